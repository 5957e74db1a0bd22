//! OTLP/HTTP with protobuf and JSON bodies, by the OpenTelemetry Protocol Specification, section "OTLP/HTTP".

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use prost::Message;

use super::body::{self, READ_LIMIT};
use super::format::Format;
use super::meters::Transport;
use super::refusal::{RETRY_AFTER_SECONDS, Refusal};
use super::reply::Reply;
use super::service::{Payload, Service};
use crate::model::Signal;

/// Answers a request.
pub(super) async fn answer(service: &Service, request: Request<Incoming>) -> Response<Reply> {
    let (parts, mut body) = request.into_parts();
    match export(service, &parts, &mut body).await {
        Ok(response) => reply(StatusCode::OK, format(&parts.headers), response),
        Err(refusal) => {
            service.note(&refusal);
            if must_discard(&parts, &body) {
                body::discard(&mut body).await;
            }
            refused(&parts.headers, &refusal)
        }
    }
}

async fn export(service: &Service, parts: &Parts, body: &mut Incoming) -> Result<Vec<u8>, Refusal> {
    let path = parts.uri.path();
    let signal = Signal::ALL
        .into_iter()
        .find(|signal| signal.http_path() == path)
        .ok_or_else(|| Refusal::NotFound(path.to_owned()))?;
    if parts.method != Method::POST {
        return Err(Refusal::Method(parts.method.to_string()));
    }
    let format = content_format(&parts.headers);
    let transport = if format == Ok(Format::Json) { Transport::HttpJson } else { Transport::Http };
    service.meters.of(signal).request(transport);
    let format = format?;
    let gzip = is_gzip(&parts.headers, &CONTENT_ENCODING)?;
    service.admit()?;
    let mut held = service.budget.share();
    let bytes = body::read(body, service.max_request_size, READ_LIMIT, &mut held).await?;
    service.store(signal, Payload { bytes, gzip, format }, held).await
}

/// The content type without parameters, in lower case.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

fn content_format(headers: &HeaderMap) -> Result<Format, Refusal> {
    let media_type = media_type(headers);
    Format::of(&media_type).ok_or(Refusal::ContentType(media_type))
}

/// The format of the answer: that of the request, and protobuf where it has none that we know.
fn format(headers: &HeaderMap) -> Format {
    content_format(headers).unwrap_or(Format::Protobuf)
}

/// Whether a header says gzip; anything but gzip and identity is refused.
pub(super) fn is_gzip(headers: &HeaderMap, name: &HeaderName) -> Result<bool, Refusal> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    let Some(value) = first else { return Ok(false) };
    let text = String::from_utf8_lossy(value.as_bytes());
    let text = text.trim();
    if second.is_none() && text.eq_ignore_ascii_case("gzip") {
        Ok(true)
    } else if second.is_none() && (text.is_empty() || text.eq_ignore_ascii_case("identity")) {
        Ok(false)
    } else {
        Err(Refusal::Encoding(text.to_owned()))
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
    let format = format(headers);
    let status = refusal.status();
    let body = match format {
        Format::Protobuf => status.encode_to_vec(),
        Format::Json => status.to_json(),
    };
    let mut response = reply(refusal.http_status(), format, body);
    let headers = response.headers_mut();
    if refusal.is_retryable() {
        headers.insert(RETRY_AFTER, HeaderValue::from(u16::from(RETRY_AFTER_SECONDS)));
    }
    if matches!(refusal, Refusal::Method(_)) {
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
    }
    response
}

fn reply(status: StatusCode, format: Format, body: Vec<u8>) -> Response<Reply> {
    let mut response = Response::new(Reply::new(Bytes::from(body)));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(format.content_type());
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn encodings() {
        let encoding = |values: &[&'static str]| {
            is_gzip(&headers(CONTENT_ENCODING, values), &CONTENT_ENCODING)
        };
        assert_eq!(encoding(&[]), Ok(false));
        assert_eq!(encoding(&["identity"]), Ok(false));
        assert_eq!(encoding(&[" GZIP"]), Ok(true));
        assert_eq!(encoding(&["zstd"]), Err(Refusal::Encoding("zstd".to_owned())));
        assert!(encoding(&["gzip, gzip"]).is_err());
        assert!(encoding(&["gzip", "gzip"]).is_err());
    }

    #[test]
    fn content_types() {
        let check = |value| content_format(&headers(CONTENT_TYPE, &[value]));
        assert_eq!(check("application/x-protobuf; charset=utf-8"), Ok(Format::Protobuf));
        assert_eq!(check("Application/Protobuf"), Ok(Format::Protobuf));
        assert_eq!(check("application/json;charset=UTF-8"), Ok(Format::Json));
        assert_eq!(check("text/plain"), Err(Refusal::ContentType("text/plain".to_owned())));
    }
}
