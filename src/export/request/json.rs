//! OTLP/JSON encoding of a request, for endpoints with the protocol `http/json`.

use bytes::Bytes;

use super::body::EncodedBody;
use crate::codec::json::from_protobuf;
use crate::export::settings::Compression;
use crate::model::Signal;
use crate::runtime::heavy;

/// How much more work a byte is than in compressing.
const WORK: usize = 2;

/// A request as JSON, written once for every endpoint that gets it.
#[derive(Debug)]
pub(in crate::export) struct JsonRequest {
    body: EncodedBody,
    /// Fields that JSON has no name for, because this version does not know them.
    pub(in crate::export) lost_fields: usize,
}

impl JsonRequest {
    /// The JSON of a request in protobuf; `None` if it is not OTLP, or profiles, which have none
    /// yet.
    pub(super) fn new(signal: Signal, request: &[u8]) -> Option<Box<Self>> {
        if signal == Signal::Profiles {
            return None;
        }
        heavy(request.len().saturating_mul(WORK), || {
            let mut body = Vec::new();
            let lost_fields = from_protobuf(signal, request, &mut body).ok()?;
            Some(Box::new(Self { body: EncodedBody::new(body), lost_fields }))
        })
    }

    /// The body in the given compression.
    pub(in crate::export) fn body(&self, compression: Compression) -> Bytes {
        self.body.in_compression(compression)
    }
}

#[cfg(test)]
mod tests {
    use crate::export::request::EncodedRequest;
    use crate::export::settings::Compression;
    use crate::model::Signal;

    #[test]
    fn a_request_is_written_as_json_once() {
        let request = [0x0a, 3, 0x1a, 1, b'u', 0x50, 1];
        let part = EncodedRequest::new(Signal::Logs, 0, request.to_vec());
        let json = part.json().unwrap();
        assert_eq!(json.body(Compression::None), r#"{"resourceLogs":[{"schemaUrl":"u"}]}"#);
        assert_eq!(json.lost_fields, 1);
        let again = part.json().unwrap();
        assert_eq!(again.body(Compression::Gzip).as_ptr(), json.body(Compression::Gzip).as_ptr());
        assert!(EncodedRequest::new(Signal::Logs, 0, vec![0x0a, 3]).json().is_none());
    }
}
