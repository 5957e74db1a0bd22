//! OTLP client: sends one request to one endpoint and says what the answer means.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use reqwest::Url;

use crate::clock;
use crate::export::request::EncodedRequest;
use crate::export::settings::{Compression, EndpointSettings, OnMisdirected, Protocol};
use crate::export::transport::advice;
use crate::export::transport::causes::causes;
use crate::export::transport::connections::{ClientHandle, EndpointConnections};
use crate::export::transport::credentials::AwsSigner;
use crate::export::transport::grpc;
use crate::export::transport::redirect::{RedirectRoute, Redirects, shown};
use crate::export::transport::reply::{
    EndpointReply, MAX_ANSWER, ReceivedReply, failed, judge_grpc, judge_http,
};
use crate::export::transport::tls::ClientProblem;
use crate::model::Signal;
use crate::routing::{EndpointAnswer, RequestFailureReason};
use crate::stats::Log;

/// The client of one endpoint.
pub(in crate::export) struct Client {
    name: String,
    connections: EndpointConnections,
    urls: [Target; 4],
    protocol: Protocol,
    compression: Compression,
    headers: HeaderMap,
    timeout: Duration,
    on_misdirected: OnMisdirected,
    redirects: Redirects,
    /// A bit for each signal of which a request was accepted.
    taken: AtomicU8,
    log: Arc<Log>,
}

/// A request on its way.
struct Outgoing<'a> {
    part: &'a EncodedRequest,
    /// Headers beside the endpoint's own.
    more: Option<&'a HeaderMap>,
    signer: Option<&'a AwsSigner>,
}

/// Where the requests of a signal go.
struct Target {
    signal: Signal,
    url: Url,
    /// The URL without what may be a secret.
    shown: String,
}

impl Client {
    pub(in crate::export) fn new(
        endpoint: &EndpointSettings,
        log: &Arc<Log>,
    ) -> Result<Self, ClientProblem> {
        let connections = EndpointConnections::new(endpoint, log)?;
        let target = |signal| {
            let text =
                endpoint.url_for(signal).map(|uri| uri.to_string()).map_err(|e| e.to_string());
            let url = text.and_then(|text| Url::parse(&text).map_err(|error| error.to_string()));
            let url = url.map_err(|problem| ClientProblem::of_url(endpoint, problem))?;
            Ok(Target { signal, shown: shown(&url), url })
        };
        Ok(Self {
            name: endpoint.name.clone(),
            connections,
            urls: [
                target(Signal::Traces)?,
                target(Signal::Metrics)?,
                target(Signal::Logs)?,
                target(Signal::Profiles)?,
            ],
            protocol: endpoint.protocol,
            compression: endpoint.compression,
            headers: headers(endpoint),
            timeout: endpoint.timeout,
            on_misdirected: endpoint.on_misdirected,
            redirects: Redirects::default(),
            taken: AtomicU8::new(0),
            log: Arc::clone(log),
        })
    }

    /// Where requests of a signal go, without what may be a secret.
    pub(in crate::export) fn shown(&self, signal: Signal) -> &str {
        &self.target(signal).shown
    }

    fn target(&self, signal: Signal) -> &Target {
        let [first, ..] = &self.urls;
        self.urls.iter().find(|target| target.signal == signal).unwrap_or(first)
    }

    /// How many fields of a request this endpoint cannot get.
    pub(in crate::export) fn lost_fields(&self, part: &EncodedRequest) -> usize {
        match self.protocol {
            Protocol::HttpJson => part.json().map_or(0, |json| json.lost_fields),
            Protocol::HttpProtobuf | Protocol::Grpc => 0,
        }
    }

    /// Sends a request, also where it is redirected to, and reads the whole answer, within the
    /// endpoint's timeout.
    pub(in crate::export) async fn send(
        &self,
        part: &EncodedRequest,
        more: Option<&HeaderMap>,
        signer: Option<&AwsSigner>,
    ) -> EndpointReply {
        let signal = part.signal;
        let mut route = self.redirects.begin(signal, &self.target(signal).url);
        let mut reply = self.follow(&Outgoing { part, more, signer }, &mut route).await;
        self.learn(signal, &route, reply.answer);
        let is_elsewhere = route.followed > 0 || route.is_remembered();
        if is_elsewhere && reply.answer != EndpointAnswer::Accepted {
            reply.message = format!("{} (redirected to {})", reply.message, shown(&route.url));
        }
        if let (EndpointAnswer::Refused(reason), OnMisdirected::Retry) =
            (reply.answer, self.on_misdirected)
            && matches!(reason, RequestFailureReason::Misdirected | RequestFailureReason::NotOtlp)
        {
            reply.answer = EndpointAnswer::Retry { reason, after: None };
        }
        reply
    }

    async fn follow(&self, outgoing: &Outgoing<'_>, route: &mut RedirectRoute) -> EndpointReply {
        let start = clock::now();
        loop {
            let left = self.timeout.saturating_sub(clock::now().since(start));
            let received = match self.exchange(outgoing, &route.url, left).await {
                Ok(received) => received,
                Err(reply) => return reply,
            };
            let redirect = match self.protocol {
                // Calls of gRPC are not redirected.
                Protocol::Grpc => None,
                Protocol::HttpProtobuf | Protocol::HttpJson => route.follow(&received),
            };
            match redirect {
                Some(Ok(())) if route.url.scheme() == "https" => self.connections.secure(),
                Some(Ok(())) => {}
                Some(Err(reply)) => return reply,
                None => {
                    let mut reply = self.judge(outgoing.part.signal, &route.url, &received);
                    // AWS answers so where a signature or a token has ended.
                    reply.unauthorized |= outgoing.signer.is_some() && received.status == 403;
                    return reply;
                }
            }
        }
    }

    /// The body of a request, and its bytes where they can be signed.
    fn body(&self, part: &EncodedRequest) -> Result<(reqwest::Body, Option<Bytes>), EndpointReply> {
        let compression = self.compression;
        let (body, reason, problem) = match self.protocol {
            Protocol::HttpProtobuf => {
                let body = part.body(compression);
                (Some((body.clone().into(), Some(body))), RequestFailureReason::Refused, "")
            }
            Protocol::HttpJson => {
                let body = part.json().map(|json| json.body(compression));
                let body = body.map(|body| (body.clone().into(), Some(body)));
                (body, RequestFailureReason::Refused, "the request has no form in JSON")
            }
            Protocol::Grpc => {
                let compressed = compression != Compression::None;
                let body = grpc::frame(part.body(compression), compressed);
                let body = body.map(|body| (reqwest::Body::wrap(body), None));
                (body, RequestFailureReason::TooLarge, "the request is larger than 4 GiB")
            }
        };
        body.ok_or_else(|| failed(EndpointAnswer::Refused(reason), problem.to_owned()))
    }

    async fn exchange(
        &self,
        outgoing: &Outgoing<'_>,
        url: &Url,
        limit: Duration,
    ) -> Result<ReceivedReply, EndpointReply> {
        let signal = outgoing.part.signal;
        let (body, bytes) = self.body(outgoing.part)?;
        let mut headers = self.headers.clone();
        for (name, value) in outgoing.more.into_iter().flatten() {
            headers.insert(name, value.clone());
        }
        if let Some((signer, bytes)) = outgoing.signer.zip(bytes) {
            let reason = RequestFailureReason::Credentials;
            let signed = signer.sign(url.as_str(), &headers, &bytes).await;
            headers.extend(signed.map_err(|message| {
                failed(EndpointAnswer::Retry { reason, after: None }, message)
            })?);
        }
        let ClientHandle { http, generation } = self.connections.current();
        let request = http.post(url.clone()).headers(headers).body(body).timeout(limit);
        let failure = |error, before| {
            let advice = |error: &reqwest::Error| self.request(signal, url).about_error(error);
            self.failure(error, before, generation, advice)
        };
        let response = request.send().await.map_err(|error| failure(error, true))?;
        let (parts, mut stream) = http::Response::from(response).into_parts();
        let mut received = ReceivedReply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: Vec::new(),
            trailers: None,
        };
        while let Some(frame) = stream.frame().await {
            let frame = frame.map_err(|error| failure(error, false))?;
            match frame.into_data() {
                Ok(data) => received.body.extend_from_slice(&data),
                Err(other) => received.trailers = other.into_trailers().ok(),
            }
            if received.body.len() > MAX_ANSWER {
                let message = "the answer is longer than 4 MiB".to_owned();
                return Err(failed(
                    EndpointAnswer::Refused(RequestFailureReason::BadAnswer),
                    message,
                ));
            }
        }
        Ok(received)
    }

    fn failure(
        &self,
        error: reqwest::Error,
        before_answer: bool,
        generation: u64,
        advice: impl Fn(&reqwest::Error) -> Option<String>,
    ) -> EndpointReply {
        let error = error.without_url();
        let mut reply = network_failure(&error, before_answer);
        let timeout = EndpointAnswer::Retry { reason: RequestFailureReason::Timeout, after: None };
        if reply.answer == timeout {
            self.connections.fell_silent(generation);
        }
        add_advice(&mut reply.message, advice(&error));
        reply
    }

    fn judge(&self, signal: Signal, url: &Url, received: &ReceivedReply) -> EndpointReply {
        let mut reply = match self.protocol {
            Protocol::HttpProtobuf | Protocol::HttpJson => judge_http(received),
            Protocol::Grpc => judge_grpc(received),
        };
        // What is said of size is read from the message.
        let of_size = matches!(
            reply.answer,
            EndpointAnswer::Refused(RequestFailureReason::TooLarge)
                | EndpointAnswer::Unclear
                | EndpointAnswer::Accepted
        );
        if !of_size {
            add_advice(&mut reply.message, self.request(signal, url).about_answer(received));
        }
        reply
    }

    fn request<'a>(&'a self, signal: Signal, url: &'a Url) -> advice::FailedRequest<'a> {
        let taken = self.taken.load(Ordering::Relaxed);
        let mut others = Signal::WITH_PROFILES.into_iter().filter(|other| *other != signal);
        let other = others.find(|other| taken & 1 << other.index() != 0);
        advice::FailedRequest {
            endpoint: &self.name,
            url,
            protocol: self.protocol,
            signal,
            other,
            has_taken: taken != 0,
        }
    }

    /// Remembers what an answer shows for the requests to come.
    fn learn(&self, signal: Signal, route: &RedirectRoute, answer: EndpointAnswer) {
        if answer == EndpointAnswer::Accepted {
            self.take(signal);
        }
        if self.redirects.end(signal, route, answer) {
            let (name, from, to) = (&self.name, self.shown(signal), shown(&route.url));
            let text = if route.is_lasting() {
                format!("endpoint '{name}': {from} moved for good to {to}; write that as its url")
            } else {
                format!("endpoint '{name}': {from} redirects to {to} for now, which is followed")
            };
            self.log.warn(text);
        }
    }

    fn take(&self, signal: Signal) {
        let bit = 1 << signal.index();
        if self.taken.load(Ordering::Relaxed) & bit == 0 {
            self.taken.fetch_or(bit, Ordering::Relaxed);
        }
    }
}

fn add_advice(message: &mut String, advice: Option<String>) {
    if let Some(advice) = advice {
        if !message.trim_end().is_empty() {
            message.push_str("; ");
        }
        message.push_str(&advice);
    }
}

impl ClientProblem {
    fn of_url(endpoint: &EndpointSettings, problem: String) -> Self {
        Self::new(&endpoint.name, "url", problem)
    }
}

fn headers(endpoint: &EndpointSettings) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let content_type = match endpoint.protocol {
        Protocol::HttpProtobuf => "application/x-protobuf",
        Protocol::HttpJson => "application/json",
        Protocol::Grpc => "application/grpc",
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let encoding = match endpoint.compression {
        Compression::None => None,
        Compression::Gzip => Some(HeaderValue::from_static("gzip")),
        Compression::Zstd => Some(HeaderValue::from_static("zstd")),
    };
    match endpoint.protocol {
        Protocol::HttpProtobuf | Protocol::HttpJson => {
            headers.insert(ACCEPT, HeaderValue::from_static(content_type));
            if let Some(encoding) = encoding {
                headers.insert(CONTENT_ENCODING, encoding);
            }
        }
        Protocol::Grpc => {
            headers.insert(TE, HeaderValue::from_static("trailers"));
            if let Ok(timeout) = HeaderValue::from_str(&grpc_timeout(endpoint.timeout)) {
                headers.insert("grpc-timeout", timeout);
            }
            if let Some(encoding) = encoding {
                headers.insert("grpc-encoding", encoding);
            }
        }
    }
    for (name, value) in &endpoint.headers {
        let mut value = value.clone();
        value.set_sensitive(true);
        headers.append(name, value);
    }
    headers
}

/// At most eight digits and a unit, by the gRPC protocol.
fn grpc_timeout(timeout: Duration) -> String {
    let milliseconds = timeout.as_millis();
    if milliseconds <= 99_999_999 {
        format!("{milliseconds}m")
    } else {
        format!("{}S", timeout.as_secs().min(99_999_999))
    }
}

fn network_failure(error: &reqwest::Error, before_answer: bool) -> EndpointReply {
    let reason = if is_dead_connection(error) {
        RequestFailureReason::Transport
    } else if error.is_timeout() {
        RequestFailureReason::Timeout
    } else if error.is_connect() {
        RequestFailureReason::Connect
    } else {
        RequestFailureReason::Transport
    };
    EndpointReply {
        stale_connection: before_answer && reason == RequestFailureReason::Transport,
        ..failed(EndpointAnswer::Retry { reason, after: None }, causes(error))
    }
}

/// Whether a ping got no answer, which is the connection's fault: the request has time left.
fn is_dead_connection(error: &(dyn Error + 'static)) -> bool {
    let known = error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout);
    known || error.source().is_some_and(is_dead_connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_fit_in_eight_digits() {
        assert_eq!(grpc_timeout(Duration::from_millis(1500)), "1500m");
        assert_eq!(grpc_timeout(Duration::from_secs(200_000)), "200000S");
    }
}
