//! Fuzz logic: feeds any bytes through the converters, for fuzz targets and tests. What must hold
//! is asserted.

use super::{from_protobuf, to_protobuf};
use crate::codec::records::{LogOptions, logs_to_records, metrics_to_records, traces_to_records};
use crate::model::Signal;

/// How large the protobuf may get; more than any fuzzer's input makes.
const LIMIT: usize = 64 << 20;
/// Records that may be more than the limit on their growth.
const MANY: usize = 8 << 20;
const OPTIONS: LogOptions = LogOptions { groups: true, first_group: 0, now_unix_nanos: 1 };

/// Reads `bytes` as an OTLP/JSON request of each signal. What is accepted must be valid protobuf in
/// which no item is rejected, and must survive the way to JSON and back unchanged.
///
/// # Panics
/// A converter is wrong.
pub fn json_requests(bytes: &[u8]) {
    for signal in Signal::ALL {
        let mut request = Vec::new();
        if to_protobuf(signal, bytes, &mut request, LIMIT).is_err() {
            assert!(request.is_empty(), "an error must append nothing");
            continue;
        }
        let mut events = Vec::new();
        let done = match signal {
            Signal::Traces => traces_to_records(&request, &mut events),
            Signal::Metrics => metrics_to_records(&request, &mut events, 1),
            Signal::Logs | Signal::Profiles => logs_to_records(&request, &mut events, OPTIONS),
        };
        // Each record holds its resource, so that much of it times many items is too much.
        let large = events.len() > MANY;
        let accepted = done.is_ok_and(|done| done.rejected == 0 || large);
        assert!(accepted, "requests of ours must be accepted");
        let (first, unknown) = json(signal, &request);
        assert_eq!(unknown, 0, "we write known fields only");
        let mut again = Vec::new();
        let back = to_protobuf(signal, &first, &mut again, LIMIT);
        assert!(back.is_ok_and(|back| back.rejected == 0), "JSON of ours must be accepted");
        assert!(json(signal, &again).0 == first, "JSON must survive the way to protobuf and back");
    }
}

/// Reads `bytes` as a protobuf request of each signal; its JSON must be accepted.
///
/// # Panics
/// A converter is wrong.
pub fn protobuf_requests(bytes: &[u8]) {
    for signal in Signal::ALL {
        let mut first = Vec::new();
        if from_protobuf(signal, bytes, &mut first).is_err() {
            assert!(first.is_empty(), "an error must append nothing");
            continue;
        }
        let back = to_protobuf(signal, &first, &mut Vec::new(), LIMIT);
        assert!(back.is_ok(), "JSON of ours must be accepted");
    }
}

fn json(signal: Signal, request: &[u8]) -> (Vec<u8>, usize) {
    let mut out = Vec::new();
    let unknown = from_protobuf(signal, request, &mut out).unwrap_or(usize::MAX);
    (out, unknown)
}
