//! Response classifier: whether an endpoint took a request, by its answer.
//!
//! An answer counts as success only if it is one of OTLP, or says nothing else. A wrong address is
//! often a web server that answers every path with its page and status 200; what goes there is gone.

use std::io::Read;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

use super::partial_success::PartialSuccess;
use super::{grpc, json};
use crate::routing::{
    EndpointAnswer, RequestFailureReason, grpc_answer, http_answer, is_misdirected, retry_info,
};

/// The longest answer that is read, by the OTLP specification, section "OTLP/HTTP Response".
pub(in crate::export) const MAX_ANSWER: usize = 4 << 20;
/// How much of an endpoint's own message goes into a log line.
const MAX_MESSAGE: usize = 300;
/// How much of an answer that is not OTLP is shown.
const MAX_SHOWN: usize = 80;

/// What came of one request.
#[derive(Debug)]
pub(in crate::export) struct EndpointReply {
    pub(in crate::export) answer: EndpointAnswer,
    /// Items of an accepted request that were not accepted.
    pub(in crate::export) rejected: u64,
    /// The endpoint's message, or that of the error; empty when there is nothing to say.
    pub(in crate::export) message: String,
    /// Whether the endpoint asks for other credentials.
    pub(in crate::export) unauthorized: bool,
    /// Whether the connection broke without an answer, as one does that the endpoint closed while
    /// it was idle: worth one try at once.
    pub(in crate::export) stale_connection: bool,
    /// Whether it refused what the request holds, and may take a part of it: not who sends it, and
    /// not where it goes.
    pub(in crate::export) of_content: bool,
}

/// An answer as it came.
#[derive(Debug, Default)]
pub(in crate::export) struct ReceivedReply {
    pub(in crate::export) status: u16,
    pub(in crate::export) headers: HeaderMap,
    pub(in crate::export) body: Vec<u8>,
    pub(in crate::export) trailers: Option<HeaderMap>,
}

/// `google.rpc.Status`, as far as it is shown.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(string, tag = "2")]
    message: String,
}

impl ReceivedReply {
    /// The media type without parameters, in lower case; empty if there is none.
    fn media_type(&self) -> String {
        let value = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = value.and_then(|value| value.split(';').next()).unwrap_or_default();
        essence.trim().to_ascii_lowercase()
    }

    /// The value of a header as text; empty if there is none.
    pub(in crate::export) fn header(&self, name: http::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body, without a compression that was not asked for. `None` if it cannot be read.
    fn plain_body(&self) -> Option<Vec<u8>> {
        let limit = u64::try_from(MAX_ANSWER).unwrap_or(u64::MAX);
        match self.header(CONTENT_ENCODING).trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(self.body.clone()),
            "gzip" | "x-gzip" => {
                let mut plain = Vec::new();
                let decoder = flate2::read::MultiGzDecoder::new(self.body.as_slice());
                decoder.take(limit).read_to_end(&mut plain).ok().map(|_| plain)
            }
            "zstd" => zstd::bulk::decompress(&self.body, MAX_ANSWER).ok(),
            _ => None,
        }
    }
}

/// Classifies an answer over HTTP by its status, its headers and its body.
pub(in crate::export) fn judge_http(received: &ReceivedReply) -> EndpointReply {
    let now = crate::clock::unix_nanos() / 1_000_000_000;
    let after = received.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let answer = http_answer(received.status, after, now);
    if answer == EndpointAnswer::Accepted {
        return judge_success(received);
    }
    let message = format!("HTTP status {}: {}", received.status, own_message(received));
    let status = received.status;
    let refused = answer == EndpointAnswer::Refused(RequestFailureReason::Refused);
    EndpointReply {
        unauthorized: status == 401,
        of_content: refused && !matches!(status, 401..=403 | 407),
        ..failed(answer, message)
    }
}

/// What a failing answer says in its body.
fn own_message(received: &ReceivedReply) -> String {
    let body = received.plain_body().unwrap_or_default();
    let message = if is_json(&received.media_type()) {
        json::status_message(&body)
    } else {
        RpcStatus::decode(body.as_slice()).ok().map(|status| status.message)
    };
    match message.filter(|message| !message.is_empty()) {
        Some(message) => printable(&message),
        None => printable(&String::from_utf8_lossy(&body)),
    }
}

fn is_json(media_type: &str) -> bool {
    matches!(media_type, "application/json" | "text/json")
}

fn judge_success(received: &ReceivedReply) -> EndpointReply {
    let media_type = received.media_type();
    if let Some(partial) = success(&media_type, received) {
        return accepted(partial);
    }
    let body = received.plain_body().unwrap_or_default();
    let start: String =
        printable(&String::from_utf8_lossy(&body)).chars().take(MAX_SHOWN).collect();
    let kind = match media_type.as_str() {
        "" => "no content type".to_owned(),
        media_type => format!("content type '{}'", printable(media_type)),
    };
    let message = format!(
        "HTTP status {}, but the answer is none of OTLP ({kind}), it begins with: {start}",
        received.status
    );
    failed(EndpointAnswer::Refused(RequestFailureReason::NotOtlp), message)
}

/// What an answer with a successful status says, if it is a success at all: an
/// `Export*ServiceResponse`, nothing, or plain text.
fn success(media_type: &str, received: &ReceivedReply) -> Option<PartialSuccess> {
    if received.body.trim_ascii().is_empty() {
        return Some(PartialSuccess::default());
    }
    match media_type {
        "text/plain" => Some(PartialSuccess::default()),
        // Some servers name one form and write the other.
        "application/x-protobuf"
        | "application/protobuf"
        | "application/vnd.google.protobuf"
        | "application/json"
        | "text/json" => match received.plain_body() {
            Some(body) => response(&body),
            None => Some(PartialSuccess::default()),
        },
        // The answer does not say what it is.
        "" | "application/octet-stream" | "binary/octet-stream" => {
            let body = received.plain_body()?;
            response(&body).or_else(|| is_plain_text(&body).then(PartialSuccess::default))
        }
        _ => None,
    }
}

/// An `Export*ServiceResponse` in JSON or protobuf.
fn response(body: &[u8]) -> Option<PartialSuccess> {
    if body.trim_ascii_start().first() == Some(&b'{') {
        return json::response(body);
    }
    // The message is the same on the wire for every signal.
    let response = ExportTraceServiceResponse::decode(body).ok()?;
    let partial = response.partial_success.unwrap_or_default();
    let rejected = u64::try_from(partial.rejected_spans).unwrap_or(0);
    Some(PartialSuccess { rejected, message: partial.error_message })
}

fn is_plain_text(body: &[u8]) -> bool {
    let is_text = |text: &str| {
        !text.trim_start().starts_with('<')
            && text.chars().all(|c| !c.is_control() || c.is_whitespace())
    };
    std::str::from_utf8(body).is_ok_and(is_text)
}

/// Classifies an answer over gRPC by its trailers, and by its HTTP status where it has no gRPC
/// status.
pub(in crate::export) fn judge_grpc(received: &ReceivedReply) -> EndpointReply {
    let trailers = received.trailers.as_ref().and_then(grpc::GrpcStatus::from_headers);
    let status = trailers.or_else(|| grpc::GrpcStatus::from_headers(&received.headers));
    let status = match status {
        Some(status) => status,
        None if received.status != 200 => return judge_no_grpc(received),
        None if !received.media_type().starts_with("application/grpc") => {
            return EndpointReply { of_content: false, ..judge_not_otlp_over_grpc(received) };
        }
        None => {
            let reason = RequestFailureReason::Transport;
            let text = "the call ended without a gRPC status".to_owned();
            return failed(EndpointAnswer::Retry { reason, after: None }, text);
        }
    };
    match grpc_answer(status.code, &status.message, retry_info(&status.details)) {
        EndpointAnswer::Accepted => {
            let partial = grpc::unframe(&received.body).and_then(response).unwrap_or_default();
            accepted(partial)
        }
        answer => {
            let text = format!("gRPC status {}: {}", status.code, printable(&status.message));
            let refused = answer == EndpointAnswer::Refused(RequestFailureReason::Refused);
            EndpointReply {
                unauthorized: status.code == 16,
                // PERMISSION_DENIED and UNAUTHENTICATED are about who sends.
                of_content: refused && !matches!(status.code, 7 | 16),
                ..failed(answer, text)
            }
        }
    }
}

/// A failing HTTP status where a gRPC status should be: from a proxy in front of the server, or
/// none of gRPC.
fn judge_no_grpc(received: &ReceivedReply) -> EndpointReply {
    let status = grpc::GrpcStatus::from_http(received.status);
    let answer = if is_misdirected(received.status) {
        EndpointAnswer::Refused(RequestFailureReason::Misdirected)
    } else {
        grpc_answer(status.code, &status.message, None)
    };
    let mut reason = format!("gRPC status {}: {}", status.code, status.message);
    let own = own_message(received);
    if !own.is_empty() {
        reason.push_str(": ");
        reason.push_str(&own);
    }
    EndpointReply { unauthorized: status.code == 16, ..failed(answer, reason) }
}

fn judge_not_otlp_over_grpc(received: &ReceivedReply) -> EndpointReply {
    let reply = judge_success(received);
    let reason = match reply.answer {
        EndpointAnswer::Refused(_) => reply.message,
        _ => format!(
            "HTTP status 200 with content type '{}' is no answer of gRPC",
            printable(&received.media_type())
        ),
    };
    failed(EndpointAnswer::Refused(RequestFailureReason::NotOtlp), reason)
}

fn accepted(partial: PartialSuccess) -> EndpointReply {
    EndpointReply {
        answer: EndpointAnswer::Accepted,
        rejected: partial.rejected,
        message: printable(&partial.message),
        stale_connection: false,
        unauthorized: false,
        of_content: false,
    }
}

/// A reply to a request of which no item was accepted.
pub(in crate::export) const fn failed(answer: EndpointAnswer, reason: String) -> EndpointReply {
    EndpointReply {
        answer,
        rejected: 0,
        message: reason,
        stale_connection: false,
        unauthorized: false,
        of_content: false,
    }
}

/// Text of the other side, cut and without control characters.
pub(in crate::export) fn printable(message: &str) -> String {
    let clean = message.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(MAX_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    fn http(status: u16, media_type: &str, body: &[u8]) -> EndpointReply {
        let mut received =
            ReceivedReply { status, body: body.to_vec(), ..ReceivedReply::default() };
        if !media_type.is_empty() {
            received.headers.insert(CONTENT_TYPE, media_type.parse().unwrap());
        }
        judge_http(&received)
    }

    fn partial() -> Vec<u8> {
        let partial =
            ExportTracePartialSuccess { rejected_spans: 3, error_message: "bad\nspan".into() };
        ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
    }

    #[test]
    fn what_is_an_answer_of_otlp_is_a_success() {
        let empty: &[u8] = b"";
        for (status, media_type, body) in [
            (200, "application/x-protobuf", empty),
            (200, "application/x-protobuf", b"{}"),
            (200, "Application/X-Protobuf; charset=utf-8", &[0x0a, 0]),
            (200, "application/json", b"{}"),
            (200, "application/json; charset=utf-8", b" {\"partialSuccess\": {}}\n"),
            (200, "application/json", b"{\"message\": \"received\", \"errors\": false}"),
            (200, "application/json", &[0x0a, 0]),
            (202, "", empty),
            (204, "", empty),
            (202, "text/html", empty),
            (200, "text/plain; charset=utf-8", b"OK"),
            (200, "", b"OK\n"),
            (200, "application/octet-stream", &[0x0a, 0]),
            (200, "application/octet-stream", b"{\"status\": \"success\"}"),
        ] {
            let reply = http(status, media_type, body);
            assert_eq!(
                reply.answer,
                EndpointAnswer::Accepted,
                "{status} {media_type}: {}",
                reply.message
            );
        }
        for (media_type, body) in [
            ("application/x-protobuf", partial()),
            ("", partial()),
            (
                "application/json",
                br#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"bad\nspan"}}"#.to_vec(),
            ),
        ] {
            let reply = http(200, media_type, &body);
            assert_eq!((reply.rejected, reply.message.as_str()), (3, "bad span"), "{media_type}");
        }
    }

    #[test]
    fn what_is_none_is_no_success() {
        let page = b"<!DOCTYPE html><html><body>Sign in</body></html>".as_slice();
        for (media_type, body) in [
            ("text/html; charset=utf-8", page),
            ("TEXT/HTML", page),
            ("", page),
            ("application/octet-stream", page),
            ("application/xhtml+xml", page),
            ("application/json", page),
            ("application/json", b"[1]"),
            ("application/json", b"{\"cut"),
            ("application/json", b"{\"errors\": [{\"message\": \"no such field\"}]}"),
            ("application/json", b"{\"error\": \"not found\"}"),
            ("application/x-protobuf", page),
            ("application/x-protobuf", b"\xff\xff\xff"),
            ("application/grpc", b"\0\0\0\0\0"),
            ("application/problem+json", b"{\"title\": \"x\"}"),
            ("image/png", b"\x89PNG"),
            ("", b"\x89PNG"),
        ] {
            let reply = http(200, media_type, body);
            let expected = EndpointAnswer::Refused(RequestFailureReason::NotOtlp);
            assert_eq!(reply.answer, expected, "{media_type}");
            assert!(!reply.of_content);
        }
        let reply = http(200, "text/html", page);
        assert!(reply.message.contains("'text/html'") && reply.message.contains("<!DOCTYPE html>"));
    }

    #[test]
    fn answers_that_came_compressed_are_read() {
        let mut encoder = flate2::read::GzEncoder::new(&b"{}"[..], flate2::Compression::fast());
        let mut gzip = Vec::new();
        encoder.read_to_end(&mut gzip).unwrap();
        for (encoding, body, expected) in [
            ("gzip", gzip.clone(), true),
            ("GZIP", gzip, true),
            ("zstd", zstd::bulk::compress(b"{}", 1).unwrap(), true),
            ("gzip", b"rubbish".to_vec(), true),
            ("br", b"rubbish".to_vec(), true),
            ("identity", b"rubbish".to_vec(), false),
        ] {
            let mut received = ReceivedReply { status: 200, body, ..ReceivedReply::default() };
            received.headers.insert(CONTENT_TYPE, "application/json".parse().unwrap());
            received.headers.insert(CONTENT_ENCODING, encoding.parse().unwrap());
            let is_success = judge_http(&received).answer == EndpointAnswer::Accepted;
            assert_eq!(is_success, expected, "{encoding}");
        }
    }

    #[test]
    fn an_answer_without_a_grpc_status_is_judged_by_what_it_is() {
        let of = |status, media_type: &'static str, body: &[u8]| {
            let mut received =
                ReceivedReply { status, body: body.to_vec(), ..ReceivedReply::default() };
            received.headers.insert(CONTENT_TYPE, media_type.parse().unwrap());
            judge_grpc(&received).answer
        };
        let broken = EndpointAnswer::Retry { reason: RequestFailureReason::Transport, after: None };
        assert_eq!(of(200, "application/grpc", b""), broken);
        let not_otlp = EndpointAnswer::Refused(RequestFailureReason::NotOtlp);
        assert_eq!(of(200, "text/html", b"<html>"), not_otlp);
        assert_eq!(of(200, "application/json", b"{}"), not_otlp);
        let misdirected = EndpointAnswer::Refused(RequestFailureReason::Misdirected);
        for status in [301, 307, 404, 405] {
            assert_eq!(of(status, "text/html", b"<html>"), misdirected, "{status}");
        }
        let away = EndpointAnswer::Retry { reason: RequestFailureReason::Unavailable, after: None };
        assert_eq!(of(503, "text/html", b"<html>"), away);
    }

    #[test]
    fn what_was_refused_for_its_content_differs_from_the_rest() {
        for (status, expected) in
            [(400, true), (422, true), (500, true), (401, false), (403, false), (404, false)]
        {
            assert_eq!(http(status, "", b"").of_content, expected, "{status}");
        }
    }
}
