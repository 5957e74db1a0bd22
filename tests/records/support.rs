//! What the tests share.

use fluent_bit_ai::codec::records::{
    DecodeError, EventKind, Events, LogOptions, RequestBuilder, Transcoded, logs_to_records,
    metrics_to_records, profiles_to_records, traces_to_records,
};
use fluent_bit_ai::model::Signal;

/// The time of arrival in these tests.
pub(crate) const NOW: u64 = 1_800_000_000_000_000_123;

/// Log options with groups.
pub(crate) const GROUPS: LogOptions =
    LogOptions { groups: true, first_group: 7, now_unix_nanos: NOW };

/// Transcodes a request of any signal.
pub(crate) fn to_records(
    signal: Signal,
    request: &[u8],
    out: &mut Vec<u8>,
) -> Result<Transcoded, DecodeError> {
    match signal {
        Signal::Traces => traces_to_records(request, out),
        Signal::Metrics => metrics_to_records(request, out, NOW),
        Signal::Logs => logs_to_records(request, out, GROUPS),
        Signal::Profiles => profiles_to_records(request, out, NOW),
    }
}

/// Builds one request from all records of a chunk.
pub(crate) fn to_request(signal: Signal, chunk: &[u8]) -> (Vec<u8>, usize) {
    let mut builder = RequestBuilder::new(signal);
    let mut items = 0;
    for event in Events::new(chunk) {
        let event = event.unwrap();
        if event.kind == EventKind::Record {
            items += builder.push(&event, &event.telemetry().unwrap()).unwrap();
        }
    }
    assert_eq!(builder.items(), items);
    assert_eq!(builder.repaired(), 0);
    (builder.finish(), items)
}
