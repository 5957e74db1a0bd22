//! `http/json`: requests as OTLP/JSON, and answers in JSON.

use bytes::Bytes;
use serde_json::Value;

use super::client::Reply;
use super::part::Part;
use super::settings::Compression;
use crate::codec::json::from_protobuf;
use crate::model::Signal;
use crate::routing::Answer;
use crate::runtime::heavy;

/// How much more work a byte is than in compressing.
const WORK: usize = 2;

/// A request as JSON, written once for every endpoint that gets it.
#[derive(Debug)]
pub(super) struct Json {
    part: Part,
    /// Fields that JSON has no name for, because this version does not know them.
    pub(super) lost_fields: usize,
}

impl Json {
    /// The JSON of a request; `None` if it is not OTLP, or profiles, which have none yet.
    pub(super) fn of(part: &Part) -> Option<Box<Self>> {
        if part.signal == Signal::Profiles {
            return None;
        }
        let request = part.body(Compression::None);
        heavy(request.len().saturating_mul(WORK), || {
            let mut body = Vec::new();
            let lost_fields = from_protobuf(part.signal, &request, &mut body).ok()?;
            Some(Box::new(Self { part: Part::new(part.signal, part.items, body), lost_fields }))
        })
    }

    /// The body in the given compression.
    pub(super) fn body(&self, compression: Compression) -> Bytes {
        self.part.body(compression)
    }
}

/// An accepted request. What cannot be read as a partial success is none: the request was taken.
pub(super) fn accepted(body: &[u8]) -> Reply {
    let response: Value = serde_json::from_slice(body).unwrap_or_default();
    let partial = field(&response, &["partialSuccess", "partial_success"]);
    let rejected = field(
        partial,
        &[
            "rejectedSpans",
            "rejectedDataPoints",
            "rejectedLogRecords",
            "rejected_spans",
            "rejected_data_points",
            "rejected_log_records",
        ],
    );
    let words = field(partial, &["errorMessage", "error_message"]).as_str().unwrap_or_default();
    Reply {
        answer: Answer::Accepted,
        // A number of 64 bits is text in proto3 JSON, but not every server writes it so.
        rejected: rejected
            .as_u64()
            .or_else(|| rejected.as_str().and_then(|text| text.parse().ok()))
            .unwrap_or(0),
        words: super::client::printable(words),
        stale_connection: false,
        unauthorized: false,
    }
}

/// The message of a `google.rpc.Status`.
pub(super) fn status_message(body: &[u8]) -> Option<String> {
    let status: Value = serde_json::from_slice(body).ok()?;
    status.get("message")?.as_str().map(str::to_owned)
}

/// The first field of these names that is there.
fn field<'a>(object: &'a Value, names: &[&str]) -> &'a Value {
    names.iter().find_map(|name| object.get(name)).unwrap_or(&Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Signal;

    #[test]
    fn a_request_is_written_as_json_once() {
        let request = [0x0a, 3, 0x1a, 1, b'u', 0x50, 1];
        let part = Part::new(Signal::Logs, 0, request.to_vec());
        let json = part.json().unwrap();
        assert_eq!(json.body(Compression::None), r#"{"resourceLogs":[{"schemaUrl":"u"}]}"#);
        assert_eq!(json.lost_fields, 1);
        let again = part.json().unwrap();
        assert_eq!(again.body(Compression::Gzip).as_ptr(), json.body(Compression::Gzip).as_ptr());
        assert!(Part::new(Signal::Logs, 0, vec![0x0a, 3]).json().is_none());
    }

    #[test]
    fn answers_are_read_and_rubbish_is_none() {
        for body in [
            r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"bad\nspan"}}"#,
            r#"{"partial_success":{"rejected_log_records":3,"error_message":"bad\nspan"}}"#,
        ] {
            let reply = accepted(body.as_bytes());
            assert_eq!((reply.rejected, reply.words.as_str()), (3, "bad span"));
        }
        for body in ["", "{}", "[1]", "{\"partialSuccess\":7}", "\u{0}"] {
            let reply = accepted(body.as_bytes());
            assert_eq!((reply.answer, reply.rejected), (Answer::Accepted, 0));
        }
        let status = br#"{"code":3,"message":"no"}"#;
        assert_eq!(status_message(status).as_deref(), Some("no"));
        assert_eq!(status_message(b"{}"), None);
    }
}
