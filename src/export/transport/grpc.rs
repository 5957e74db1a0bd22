//! gRPC framing: the few bytes around a unary call (<https://grpc.io/docs>, "gRPC over HTTP2").

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// The status at the end of a call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::export) struct GrpcStatus {
    pub(in crate::export) code: i32,
    pub(in crate::export) message: String,
    /// An encoded `google.rpc.Status`, or nothing.
    pub(in crate::export) details: Vec<u8>,
}

/// A message after its prefix: one byte that says whether it is compressed, four of length. The
/// message is not copied for the sake of the prefix.
#[derive(Debug)]
pub(in crate::export) struct GrpcFrame {
    prefix: Bytes,
    message: Bytes,
}

/// A message with its prefix; `None` if it is too long for one.
pub(in crate::export) fn frame(message: Bytes, compressed: bool) -> Option<GrpcFrame> {
    let [a, b, c, d] = u32::try_from(message.len()).ok()?.to_be_bytes();
    let prefix = Bytes::copy_from_slice(&[u8::from(compressed), a, b, c, d]);
    Some(GrpcFrame { prefix, message })
}

impl Body for GrpcFrame {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let next = [&mut this.prefix, &mut this.message].into_iter().find(|part| !part.is_empty());
        Poll::Ready(next.map(|part| Ok(Frame::data(std::mem::take(part)))))
    }

    fn is_end_stream(&self) -> bool {
        self.prefix.is_empty() && self.message.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.prefix.len().saturating_add(self.message.len());
        SizeHint::with_exact(left as u64)
    }
}

/// The message of an answer's body; `None` if it is compressed or not whole, which we never asked
/// for.
pub(in crate::export) fn unframe(body: &[u8]) -> Option<&[u8]> {
    let (&[compressed, a, b, c, d], message) = body.split_first_chunk::<5>()?;
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
    (compressed == 0).then(|| message.get(..length)).flatten()
}

impl GrpcStatus {
    /// Reads trailers, or the headers of an answer that has nothing else.
    pub(in crate::export) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let code = headers.get("grpc-status")?.to_str().ok()?.trim().parse().unwrap_or(2);
        let message = headers.get("grpc-message").map(|value| percent_decoded(value.as_bytes()));
        let details = headers
            .get("grpc-status-details-bin")
            .and_then(|value| base64_decoded(value.as_bytes()));
        Some(Self {
            code,
            message: message.unwrap_or_default(),
            details: details.unwrap_or_default(),
        })
    }

    /// The status that a failing HTTP status stands for, by the gRPC document "HTTP to gRPC Status
    /// Code Mapping"; 413, which has none there, comes from proxies and says what gRPC libraries
    /// say with `RESOURCE_EXHAUSTED` and such a message.
    pub(in crate::export) fn from_http(status: u16) -> Self {
        if status == 413 {
            let message = "HTTP status 413: the request is too large".to_owned();
            return Self { code: 8, message, details: Vec::new() };
        }
        let code = match status {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502..=504 => 14,
            _ => 2,
        };
        Self { code, message: format!("HTTP status {status}"), details: Vec::new() }
    }
}

fn percent_decoded(text: &[u8]) -> String {
    percent_encoding::percent_decode(text).decode_utf8_lossy().into_owned()
}

/// Standard base64, with or without padding (gRPC senders leave it out).
fn base64_decoded(text: &[u8]) -> Option<Vec<u8>> {
    LENIENT.decode(text.trim_ascii_end()).ok()
}

/// Reads what any encoder writes: padded or not, whatever the bits behind the last byte are.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn messages_are_framed_and_found_again() {
        for (message, whole) in [("abc", &b"\x01\0\0\0\x03abc"[..]), ("", b"\x01\0\0\0\0")] {
            let framed = frame(Bytes::from_static(message.as_bytes()), true).unwrap();
            assert_eq!(framed.size_hint().exact(), Some(whole.len() as u64));
            assert!(!framed.is_end_stream());
            assert_eq!(framed.collect().await.unwrap().to_bytes(), whole);
        }
        assert_eq!(unframe(b"\0\0\0\0\x03abc"), Some(&b"abc"[..]));
        for broken in [&b""[..], b"\0\0\0", b"\0\0\0\0\x04abc", b"\x01\0\0\0\x03abc"] {
            assert_eq!(unframe(broken), None);
        }
    }

    #[test]
    fn a_status_is_read_from_headers() {
        let mut headers = HeaderMap::new();
        assert_eq!(GrpcStatus::from_headers(&headers), None);
        headers.insert("grpc-status", "14".parse().unwrap());
        headers.insert("grpc-message", "try%20later%%zz".parse().unwrap());
        headers.insert("grpc-status-details-bin", "CAgSAWE".parse().unwrap());
        let status = GrpcStatus::from_headers(&headers).unwrap();
        assert_eq!((status.code, status.message.as_str()), (14, "try later%%zz"));
        assert_eq!(status.details, [8, 8, 0x12, 1, b'a']);
        headers.insert("grpc-status", "lots".parse().unwrap());
        headers.insert("grpc-status-details-bin", "!".parse().unwrap());
        let status = GrpcStatus::from_headers(&headers).unwrap();
        assert_eq!((status.code, status.details.len()), (2, 0));
    }

    #[test]
    fn a_failing_http_status_stands_for_a_grpc_status() {
        use crate::routing::{EndpointAnswer, RequestFailureReason, grpc_answer};
        let codes = [(400, 13), (401, 16), (403, 7), (404, 12), (413, 8), (429, 14), (503, 14)];
        for (http, code) in codes {
            let status = GrpcStatus::from_http(http);
            assert_eq!(status.code, code, "{http}");
            assert!(status.message.contains(&format!("HTTP status {http}")));
        }
        assert_eq!(GrpcStatus::from_http(500).code, 2);
        let too_large = GrpcStatus::from_http(413);
        let answer = grpc_answer(too_large.code, &too_large.message, None);
        assert_eq!(answer, EndpointAnswer::Refused(RequestFailureReason::TooLarge));
    }

    #[test]
    fn base64_is_read_with_and_without_padding() {
        for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zm8", "fo"), ("Zm9v", "foo"), ("+/8=", "")]
        {
            let decoded = base64_decoded(text.as_bytes()).unwrap();
            if text == "+/8=" {
                assert_eq!(decoded, [0xfb, 0xff]);
            } else {
                assert_eq!(decoded, bytes.as_bytes());
            }
        }
        assert_eq!(base64_decoded(b"Z"), None);
        assert_eq!(base64_decoded(b"Z-"), None);
    }
}
