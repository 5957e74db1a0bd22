//! gRPC server: OTLP/gRPC as unary calls with raw bytes.
//!
//! The framing is done here, by the gRPC protocol document "gRPC over HTTP2", so that requests
//! share the limits, the budget and the deadlines of OTLP/HTTP, nothing is decoded into trees, and
//! every refusal gets the code that OTLP asks for.

use bytes::{Buf, BufMut, Bytes};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version};
use hyper::body::Incoming;

use super::body;
use super::counters::Transport;
use super::encoding::{Encoding, GRPC_ACCEPTED};
use super::http::{media_type, refused};
use super::media_type::PayloadFormat;
use super::refusal::Refusal;
use super::response_body::ResponseBody;
use super::service::{Payload, Service};
use crate::model::Signal;

/// A flag and a length stand before each message.
const PREFIX: usize = 5;

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Whether a request is gRPC, by its content type.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    matches!(media_type(headers).as_str(), "application/grpc" | "application/grpc+proto")
}

/// Answers a call.
pub(super) async fn answer(
    service: &Service,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    if request.version() != Version::HTTP_2 {
        service.note(&Refusal::GrpcVersion);
        return refused(request.headers(), &Refusal::GrpcVersion, None);
    }
    match export(service, request).await {
        Ok(response) => success(&response),
        Err(refusal) => {
            service.note(&refusal);
            failure(&refusal, service.wait(&refusal))
        }
    }
}

async fn export(service: &Service, request: Request<Incoming>) -> Result<Vec<u8>, Refusal> {
    let path = request.uri().path();
    let signal = Signal::WITH_PROFILES
        .into_iter()
        .find(|signal| signal.grpc_path() == path)
        .ok_or_else(|| Refusal::NoSuchMethod(path.to_owned()))?;
    service.accepts(signal)?;
    if *request.method() != Method::POST {
        return Err(Refusal::Method(request.method().to_string()));
    }
    service.meters.of(signal).request(Transport::Grpc);
    let caller = service.security.guard.check(request.headers(), request.extensions()).await?;
    let encoding = Encoding::of(request.headers(), &GRPC_ENCODING)?;
    let origin = service.tenancy.origin(request.headers(), caller.tenant)?;
    service.admit()?;
    let mut held = service.budget.share();
    let limit = service.max_request_size.saturating_add(PREFIX);
    let (body, time) = (&mut request.into_body(), service.limits.read_timeout);
    let bytes = match body::read(body, limit, time, framed_length, &mut held).await {
        Err(Refusal::TooLarge { when, .. }) => {
            return Err(Refusal::TooLarge { limit: service.max_request_size, when });
        }
        read => read?,
    };
    let payload = unframe(bytes, encoding)?;
    service.store(signal, payload, origin, held).await
}

/// How long a body is that starts like this, by the length before its message.
fn framed_length(start: &[u8]) -> usize {
    let Some([_, length @ ..]) = start.first_chunk::<PREFIX>() else { return 0 };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    length.saturating_add(PREFIX)
}

/// The one message of a unary call.
fn unframe(mut bytes: Bytes, encoding: Encoding) -> Result<Payload, Refusal> {
    if bytes.len() < PREFIX {
        return Err(Refusal::GrpcFraming("the call has no complete message"));
    }
    let encoding = match bytes.get_u8() {
        0 => Encoding::Identity,
        1 if encoding.is_compressed() => encoding,
        1 => {
            return Err(Refusal::GrpcFraming(
                "the message is marked as compressed, but there is no header grpc-encoding",
            ));
        }
        _ => return Err(Refusal::GrpcFraming("the flag before the message is not 0 or 1")),
    };
    let length = usize::try_from(bytes.get_u32()).unwrap_or(usize::MAX);
    if bytes.len() < length {
        return Err(Refusal::GrpcFraming("the call ended within the message"));
    }
    if bytes.len() > length {
        return Err(Refusal::GrpcFraming("the call has more than one message"));
    }
    Ok(Payload { bytes, encoding, format: PayloadFormat::Protobuf })
}

fn success(message: &[u8]) -> Response<ResponseBody> {
    let mut frame = Vec::with_capacity(message.len().saturating_add(PREFIX));
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    let mut response = Response::new(ResponseBody::with_trailers(frame, trailers));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn failure(refusal: &Refusal, wait: Option<u32>) -> Response<ResponseBody> {
    let mut response = refusal.grpc_status(wait).into_http::<ResponseBody>();
    if matches!(refusal, Refusal::Encoding(_)) {
        let accepted = HeaderValue::from_static(GRPC_ACCEPTED);
        response.headers_mut().insert(GRPC_ACCEPT_ENCODING, accepted);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(flag: u8, length: u32, rest: &[u8]) -> Bytes {
        let mut bytes = vec![flag];
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(rest);
        bytes.into()
    }

    #[test]
    fn a_unary_call_has_one_whole_message() {
        let payload = unframe(frame(0, 3, b"abc"), Encoding::Gzip).unwrap();
        assert_eq!((payload.bytes.as_ref(), payload.encoding), (&b"abc"[..], Encoding::Identity));
        let payload = unframe(frame(1, 3, b"abc"), Encoding::Zstd).unwrap();
        assert_eq!(payload.encoding, Encoding::Zstd);
        assert!(unframe(frame(0, 0, b""), Encoding::Identity).unwrap().bytes.is_empty());
        let wrong = [
            frame(1, 3, b"abc"),
            frame(2, 3, b"abc"),
            frame(0, 4, b"abc"),
            frame(0, 2, b"abc"),
            frame(0, u32::MAX, b"abc"),
            Bytes::from_static(b"\0\0\0\0"),
            Bytes::new(),
        ];
        for bytes in wrong {
            let refusal = unframe(bytes, Encoding::Identity).err().unwrap();
            assert_eq!(refusal.grpc_code(), tonic::Code::Internal);
        }
    }
}
