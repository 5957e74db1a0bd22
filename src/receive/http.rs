//! HTTP server: OTLP/HTTP with protobuf and JSON bodies, by the OpenTelemetry Protocol
//! Specification, section "OTLP/HTTP".

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use prost::Message;

use super::body;
use super::counters::Transport;
use super::encoding::{Encoding, HTTP_ACCEPTED};
use super::media_type::PayloadFormat;
use super::refusal::Refusal;
use super::response_body::ResponseBody;
use super::service::{Payload, Service};
use crate::model::Signal;

/// Answers a request.
pub(super) async fn answer(
    service: &Service,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let (parts, mut body) = request.into_parts();
    match export(service, &parts, &mut body).await {
        Ok(response) => reply(StatusCode::OK, format(&parts.headers), response),
        Err(refusal) => {
            service.note(&refusal);
            // Who was too slow is not waited for again.
            if must_discard(&parts, &body) && !matches!(refusal, Refusal::Slow(_)) {
                body::discard(&mut body).await;
            }
            refused(&parts.headers, &refusal, service.wait(&refusal))
        }
    }
}

async fn export(service: &Service, parts: &Parts, body: &mut Incoming) -> Result<Vec<u8>, Refusal> {
    let path = parts.uri.path();
    let signal = Signal::WITH_PROFILES
        .into_iter()
        .find(|signal| signal.http_path() == path)
        .ok_or_else(|| Refusal::NotFound(path.to_owned()))?;
    service.accepts(signal)?;
    if parts.method != Method::POST {
        return Err(Refusal::Method(parts.method.to_string()));
    }
    let format = content_format(&parts.headers);
    let transport =
        if format == Ok(PayloadFormat::Json) { Transport::HttpJson } else { Transport::Http };
    service.meters.of(signal).request(transport);
    let caller = service.security.guard.check(&parts.headers, &parts.extensions).await?;
    let format = format?;
    if (signal, format) == (Signal::Profiles, PayloadFormat::Json) {
        return Err(Refusal::JsonProfiles);
    }
    let encoding = Encoding::of(&parts.headers, &CONTENT_ENCODING)?;
    let origin = service.tenancy.origin(&parts.headers, caller.tenant)?;
    service.admit()?;
    let mut held = service.budget.share();
    let bytes =
        body::read(body, service.max_request_size, service.limits.read_timeout, |_| 0, &mut held)
            .await?;
    service.store(signal, Payload { bytes, encoding, format }, origin, held).await
}

/// The content type without parameters, in lower case.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

fn content_format(headers: &HeaderMap) -> Result<PayloadFormat, Refusal> {
    let media_type = media_type(headers);
    PayloadFormat::of(&media_type).ok_or(Refusal::ContentType(media_type))
}

/// The format of the answer: that of the request, and protobuf where it has none that we know.
fn format(headers: &HeaderMap) -> PayloadFormat {
    content_format(headers).unwrap_or(PayloadFormat::Protobuf)
}

/// Whether the rest of a refused body is to be read. HTTP/2 can end a stream without; a sender that
/// waits for "100 Continue" has not sent it.
fn must_discard(parts: &Parts, body: &Incoming) -> bool {
    parts.version <= Version::HTTP_11
        && !parts.headers.contains_key(EXPECT)
        && !body.is_end_stream()
}

/// The answer to a refused request: a `google.rpc.Status` in the format of the request, and how
/// many seconds to wait.
pub(super) fn refused(
    headers: &HeaderMap,
    refusal: &Refusal,
    wait: Option<u32>,
) -> Response<ResponseBody> {
    let format = format(headers);
    let status = refusal.status(wait);
    let body = match format {
        PayloadFormat::Protobuf => status.encode_to_vec(),
        PayloadFormat::Json => status.to_json(),
    };
    let mut response = reply(refusal.http_status(), format, body);
    let headers = response.headers_mut();
    if let Some(seconds) = wait {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(challenge) = refusal.challenge() {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if matches!(refusal, Refusal::Method(_)) {
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
    }
    if matches!(refusal, Refusal::Encoding(_)) {
        // RFC 9110, section 12.5.3: so that the sender knows that it was not the media type.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(HTTP_ACCEPTED));
    }
    response
}

fn reply(status: StatusCode, format: PayloadFormat, body: Vec<u8>) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::new(Bytes::from(body)));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(format.content_type());
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: http::HeaderName, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn content_types() {
        let check = |value| content_format(&headers(CONTENT_TYPE, &[value]));
        assert_eq!(check("application/x-protobuf; charset=utf-8"), Ok(PayloadFormat::Protobuf));
        assert_eq!(check("Application/Protobuf"), Ok(PayloadFormat::Protobuf));
        assert_eq!(check("application/json;charset=UTF-8"), Ok(PayloadFormat::Json));
        assert_eq!(check("text/plain"), Err(Refusal::ContentType("text/plain".to_owned())));
    }
}
