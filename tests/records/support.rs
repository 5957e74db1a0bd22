//! Test fixtures: what the tests share.

use fluent_bit_ai::codec::msgpack::{Reader, Token};
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
    let before = out.len();
    let done = match signal {
        Signal::Traces => traces_to_records(request, out),
        Signal::Metrics => metrics_to_records(request, out, NOW),
        Signal::Logs => logs_to_records(request, out, GROUPS),
        Signal::Profiles => profiles_to_records(request, out, NOW),
    };
    every_plugin_reads(&out[before..]);
    done
}

/// Asserts that a chunk has nothing that a plugin of Fluent Bit does not survive: no extension but
/// the events' time, no key that is not text, no text that is not UTF-8, in the metadata no more than the 18
/// levels that msgpack-c reads as Fluent Bit before 4.0 builds it, and in the body the 10 of which the stock
/// outputs before 5.1 make JSON on their stacks.
pub(crate) fn every_plugin_reads(chunk: &[u8]) {
    let mut reader = Reader::new(chunk);
    while !reader.is_empty() {
        assert_eq!(reader.token(), Ok(Token::Array(2)));
        assert_eq!(reader.token(), Ok(Token::Array(2)));
        let time = reader.token().unwrap();
        assert!(matches!(time, Token::Ext(0, [_, _, _, _, _, _, _, _])), "{time:?}");
        plain(&mut reader, 16);
        plain(&mut reader, 10);
    }
}

fn plain(reader: &mut Reader<'_>, levels: u32) {
    match reader.token().unwrap() {
        Token::Ext(kind, data) => panic!("an extension of type {kind}: {data:x?}"),
        Token::Str(text) => assert!(std::str::from_utf8(text).is_ok()),
        Token::Array(elements) => {
            assert!(levels > 0, "nested too deep");
            (0..elements).for_each(|_| plain(reader, levels - 1));
        }
        Token::Map(pairs) => {
            assert!(levels > 0, "nested too deep");
            for _ in 0..pairs {
                assert!(std::str::from_utf8(reader.str().unwrap()).is_ok());
                plain(reader, levels - 1);
            }
        }
        _ => {}
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
