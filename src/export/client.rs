//! Sends one request to one endpoint and says what the answer means.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, TE};
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use prost::Message;
use reqwest::Url;

use super::connections::{Connections, Lent};
use super::credentials::AwsSigner;
use super::part::Part;
use super::settings::{Compression, EndpointSettings, Protocol};
use super::tls::ClientProblem;
use super::{grpc, json};
use crate::model::Signal;
use crate::routing::{Answer, FailureReason, grpc_answer, http_answer, retry_info};
use crate::stats::Log;

/// The longest answer that is read, by the OTLP specification, section "OTLP/HTTP Response".
const MAX_ANSWER: usize = 4 << 20;
/// How much of an endpoint's own words goes into a log line.
const MAX_WORDS: usize = 300;

/// What came of one request.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) answer: Answer,
    /// Items of an accepted request that were not accepted.
    pub(super) rejected: u64,
    /// The endpoint's words, or those of the error; empty when there is nothing to say.
    pub(super) words: String,
    /// Whether the endpoint asks for other credentials.
    pub(super) unauthorized: bool,
    /// Whether the connection broke without an answer, as one does that the endpoint closed while
    /// it was idle: worth one try at once.
    pub(super) stale_connection: bool,
}

/// `Export*ServiceResponse`, which is the same message for every signal.
#[derive(Clone, PartialEq, Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

/// `Export*PartialSuccess`.
#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// `google.rpc.Status`, as far as it is shown.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(string, tag = "2")]
    message: String,
}

/// The client of one endpoint.
pub(super) struct Client {
    connections: Connections,
    urls: [(Signal, Url); 4],
    protocol: Protocol,
    compression: Compression,
    headers: HeaderMap,
}

struct Received {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

impl Client {
    pub(super) fn new(endpoint: &EndpointSettings, log: &Arc<Log>) -> Result<Self, ClientProblem> {
        let connections = Connections::new(endpoint, log)?;
        let url = |signal| {
            let text =
                endpoint.url_for(signal).map(|uri| uri.to_string()).map_err(|e| e.to_string());
            let url = text.and_then(|text| Url::parse(&text).map_err(|error| error.to_string()));
            url.map(|url| (signal, url)).map_err(|problem| ClientProblem::of_url(endpoint, problem))
        };
        Ok(Self {
            connections,
            urls: [
                url(Signal::Traces)?,
                url(Signal::Metrics)?,
                url(Signal::Logs)?,
                url(Signal::Profiles)?,
            ],
            protocol: endpoint.protocol,
            compression: endpoint.compression,
            headers: headers(endpoint),
        })
    }

    /// How many fields of a request this endpoint cannot get.
    pub(super) fn lost_fields(&self, part: &Part) -> usize {
        match self.protocol {
            Protocol::HttpJson => part.json().map_or(0, |json| json.lost_fields),
            Protocol::HttpProtobuf | Protocol::Grpc => 0,
        }
    }

    /// Sends a request and reads the whole answer, within the endpoint's timeout.
    pub(super) async fn send(
        &self,
        part: &Part,
        more: Option<&HeaderMap>,
        signer: Option<&AwsSigner>,
    ) -> Reply {
        let compression = self.compression;
        let mut signing = None;
        let (body, reason, problem) = match self.protocol {
            Protocol::HttpProtobuf => {
                let body = part.body(compression);
                signing = signer.map(|signer| (signer, body.clone()));
                (Some(body.into()), FailureReason::Refused, "")
            }
            Protocol::HttpJson => {
                let body = part.json().map(|json| json.body(compression));
                signing = signer.zip(body.clone());
                let body = body.map(reqwest::Body::from);
                (body, FailureReason::Refused, "the request has no form in JSON")
            }
            Protocol::Grpc => {
                let compressed = compression != Compression::None;
                let body = grpc::frame(part.body(compression), compressed);
                let body = body.map(reqwest::Body::wrap);
                (body, FailureReason::TooLarge, "the request is larger than 4 GiB")
            }
        };
        let Some(body) = body else {
            return failed(Answer::Refused(reason), problem.to_owned());
        };
        match self.exchange(part.signal, body, more, signing).await {
            Ok(received) => {
                let mut reply = self.judge(&received);
                // AWS answers so where a signature or a token has ended.
                reply.unauthorized |= signer.is_some() && received.status == 403;
                reply
            }
            Err(reply) => reply,
        }
    }

    async fn exchange(
        &self,
        signal: Signal,
        body: reqwest::Body,
        more: Option<&HeaderMap>,
        signing: Option<(&AwsSigner, Bytes)>,
    ) -> Result<Received, Reply> {
        let [first, ..] = &self.urls;
        let (_, url) = self.urls.iter().find(|(known, _)| *known == signal).unwrap_or(first);
        let mut headers = self.headers.clone();
        for (name, value) in more.into_iter().flatten() {
            headers.insert(name, value.clone());
        }
        if let Some((signer, body)) = &signing {
            let reason = FailureReason::Credentials;
            let signed = signer.sign(url.as_str(), &headers, body).await;
            headers.extend(
                signed.map_err(|words| failed(Answer::Retry { reason, after: None }, words))?,
            );
        }
        let Lent { http, generation } = self.connections.current();
        let request = http.post(url.clone()).headers(headers).body(body);
        let failure = |error, before| self.failure(error, before, generation);
        let response = request.send().await.map_err(|error| failure(error, true))?;
        let (parts, mut stream) = http::Response::from(response).into_parts();
        let mut received = Received {
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
                let words = "the answer is longer than 4 MiB".to_owned();
                return Err(failed(Answer::Refused(FailureReason::BadAnswer), words));
            }
        }
        Ok(received)
    }

    fn failure(&self, error: reqwest::Error, before_answer: bool, generation: u64) -> Reply {
        let reply = network_failure(error, before_answer);
        let timeout = Answer::Retry { reason: FailureReason::Timeout, after: None };
        if reply.answer == timeout {
            self.connections.fell_silent(generation);
        }
        reply
    }

    fn judge(&self, received: &Received) -> Reply {
        match self.protocol {
            Protocol::HttpProtobuf | Protocol::HttpJson => judge_http(received),
            Protocol::Grpc => judge_grpc(received),
        }
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

fn judge_http(received: &Received) -> Reply {
    let now = crate::clock::unix_nanos() / 1_000_000_000;
    let after = received.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let answer = http_answer(received.status, after, now);
    let json = received
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if answer == Answer::Accepted {
        let body = received.body.as_slice();
        return if json { json::accepted(body) } else { accepted(Some(body)) };
    }
    let message = if json {
        json::status_message(&received.body)
    } else {
        RpcStatus::decode(received.body.as_slice()).ok().map(|status| status.message)
    };
    let own = match message.filter(|message| !message.is_empty()) {
        Some(message) => message,
        None => String::from_utf8_lossy(&received.body).into_owned(),
    };
    let words = format!("HTTP status {}: {}", received.status, printable(&own));
    Reply { unauthorized: received.status == 401, ..failed(answer, words) }
}

fn judge_grpc(received: &Received) -> Reply {
    let trailers = received.trailers.as_ref().and_then(grpc::Status::from_headers);
    let status = trailers.or_else(|| grpc::Status::from_headers(&received.headers));
    let status = match status {
        Some(status) => status,
        None if received.status != 200 => grpc::Status::from_http(received.status),
        None => {
            let reason = FailureReason::Transport;
            let words = "the call ended without a gRPC status".to_owned();
            return failed(Answer::Retry { reason, after: None }, words);
        }
    };
    match grpc_answer(status.code, &status.message, retry_info(&status.details)) {
        Answer::Accepted => accepted(grpc::unframe(&received.body)),
        answer => {
            let words = format!("gRPC status {}: {}", status.code, printable(&status.message));
            Reply { unauthorized: status.code == 16, ..failed(answer, words) }
        }
    }
}

/// An accepted request. What cannot be read as a partial success is none: the request was taken.
fn accepted(body: Option<&[u8]>) -> Reply {
    let partial = body
        .and_then(|body| ExportResponse::decode(body).ok())
        .and_then(|response| response.partial_success)
        .unwrap_or_default();
    Reply {
        answer: Answer::Accepted,
        rejected: u64::try_from(partial.rejected).unwrap_or(0),
        words: printable(&partial.error_message),
        stale_connection: false,
        unauthorized: false,
    }
}

pub(super) fn failed(answer: Answer, words: String) -> Reply {
    Reply { answer, rejected: 0, words, stale_connection: false, unauthorized: false }
}

fn network_failure(error: reqwest::Error, before_answer: bool) -> Reply {
    let error = error.without_url();
    let reason = if is_dead_connection(&error) {
        FailureReason::Transport
    } else if error.is_timeout() {
        FailureReason::Timeout
    } else if error.is_connect() {
        FailureReason::Connect
    } else {
        FailureReason::Transport
    };
    Reply {
        answer: Answer::Retry { reason, after: None },
        rejected: 0,
        words: causes(&error),
        unauthorized: false,
        stale_connection: before_answer && reason == FailureReason::Transport,
    }
}

/// Whether a ping got no answer, which is the connection's fault: the request has time left.
fn is_dead_connection(error: &(dyn Error + 'static)) -> bool {
    let known = error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout);
    known || error.source().is_some_and(is_dead_connection)
}

/// An error with what caused it, each once.
pub(super) fn causes(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        if !words.contains(&cause_words) {
            words.push_str(": ");
            words.push_str(&cause_words);
        }
        source = cause.source();
    }
    printable(&words)
}

/// Words of the other side, cut and without control characters.
pub(super) fn printable(words: &str) -> String {
    let clean = words.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(MAX_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_success_is_read_and_rubbish_is_none() {
        let partial = PartialSuccess { rejected: 3, error_message: "bad\nspan".into() };
        let body = ExportResponse { partial_success: Some(partial) }.encode_to_vec();
        let reply = accepted(Some(&body));
        assert_eq!((reply.rejected, reply.words.as_str()), (3, "bad span"));
        assert_eq!(accepted(Some(b"\xff\xff\xff")).rejected, 0);
        assert_eq!(accepted(None).answer, Answer::Accepted);
    }

    #[test]
    fn timeouts_fit_in_eight_digits() {
        assert_eq!(grpc_timeout(Duration::from_millis(1500)), "1500m");
        assert_eq!(grpc_timeout(Duration::from_secs(200_000)), "200000S");
    }
}
