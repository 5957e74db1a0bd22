//! OTLP/HTTP with protobuf bodies, by the OpenTelemetry Protocol Specification, section "OTLP/HTTP".

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
use super::encoding::{Encoding, HTTP_ACCEPTED};
use super::meters::Transport;
use super::refusal::Refusal;
use super::reply::Reply;
use super::service::{Payload, Service};
use crate::model::Signal;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// Answers a request.
pub(super) async fn answer(service: &Service, request: Request<Incoming>) -> Response<Reply> {
    let (parts, mut body) = request.into_parts();
    match export(service, &parts, &mut body).await {
        Ok(response) => reply(StatusCode::OK, PROTOBUF, response),
        Err(refusal) => {
            service.note(&refusal);
            // Who was too slow is not waited for again.
            if must_discard(&parts, &body) && !matches!(refusal, Refusal::Slow(_)) {
                body::discard(&mut body).await;
            }
            refused(&parts.headers, &refusal)
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
    service.meters.of(signal).request(Transport::Http);
    let caller = service.security.guard.check(&parts.headers, &parts.extensions).await?;
    check_content_type(media_type(&parts.headers))?;
    let encoding = Encoding::of(&parts.headers, &CONTENT_ENCODING)?;
    let origin = service.tenancy.origin(&parts.headers, caller.tenant)?;
    service.admit()?;
    let mut held = service.budget.share();
    let bytes =
        body::read(body, service.max_request_size, service.limits.read_timeout, &mut held).await?;
    service.store(signal, Payload { bytes, encoding }, origin, held).await
}

/// The content type without parameters, in lower case.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

fn check_content_type(media_type: String) -> Result<(), Refusal> {
    match media_type.as_str() {
        PROTOBUF | "application/protobuf" => Ok(()),
        JSON => Err(Refusal::Json),
        _ => Err(Refusal::ContentType(media_type)),
    }
}

/// Whether the rest of a refused body is to be read. HTTP/2 can end a stream without; a sender that
/// waits for "100 Continue" has not sent it.
fn must_discard(parts: &Parts, body: &Incoming) -> bool {
    parts.version <= Version::HTTP_11
        && !parts.headers.contains_key(EXPECT)
        && !body.is_end_stream()
}

/// The answer to a refused request: a `google.rpc.Status` in the format of the request.
pub(super) fn refused(headers: &HeaderMap, refusal: &Refusal) -> Response<Reply> {
    let status = refusal.status();
    let mut response = if media_type(headers) == JSON {
        let text = serde_json::json!({ "code": status.code, "message": status.message });
        reply(refusal.http_status(), JSON, text.to_string().into_bytes())
    } else {
        reply(refusal.http_status(), PROTOBUF, status.encode_to_vec())
    };
    let headers = response.headers_mut();
    if let Some(seconds) = refusal.retry_after() {
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

fn reply(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Reply> {
    let mut response = Response::new(Reply::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
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
        let check = |value| check_content_type(media_type(&headers(CONTENT_TYPE, &[value])));
        assert_eq!(check("application/x-protobuf; charset=utf-8"), Ok(()));
        assert_eq!(check("Application/Protobuf"), Ok(()));
        assert_eq!(check("application/json"), Err(Refusal::Json));
        assert_eq!(check("text/plain"), Err(Refusal::ContentType("text/plain".to_owned())));
    }
}
