//! Logs whose bodies stand under a key of the user's, as Fluent Bit's own input does it with
//! `logs_body_key`.

use fluent_bit_ai::codec::msgpack::{MapView, Reader, Token, text_of};
use fluent_bit_ai::codec::records::{
    Event, EventKind, Events, LogOptions, logs_to_groups, logs_to_records_under,
};
use fluent_bit_ai::model::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proptest::prelude::*;
use prost::Message;

use crate::generate;
use crate::support::{GROUPS, every_plugin_reads, to_request};

fn value(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn text(text: &str) -> AnyValue {
    value(Value::StringValue(text.to_owned()))
}

fn kvlist(pairs: &[(&str, AnyValue)]) -> AnyValue {
    let pair = |(key, value): &(&str, AnyValue)| KeyValue {
        key: (*key).to_owned(),
        value: Some(value.clone()),
        ..KeyValue::default()
    };
    value(Value::KvlistValue(KeyValueList { values: pairs.iter().map(pair).collect() }))
}

/// Bodies of every kind, and those that look like what a key makes of others.
fn bodies() -> Vec<Option<AnyValue>> {
    let mut bodies = vec![
        text("said"),
        text(""),
        value(Value::IntValue(-3)),
        value(Value::BoolValue(false)),
        value(Value::DoubleValue(0.5)),
        value(Value::BytesValue(vec![1, 2])),
        value(Value::ArrayValue(ArrayValue { values: vec![text("a"), kvlist(&[])] })),
        kvlist(&[]),
        kvlist(&[("message", text("inner"))]),
        kvlist(&[("log", text("inner"))]),
        kvlist(&[("a", text("b")), ("message", text("c"))]),
    ];
    bodies.push(kvlist(&[("message", kvlist(&[("message", text("deep"))]))]));
    bodies.into_iter().map(Some).chain([None]).collect()
}

fn request(bodies: &[Option<AnyValue>]) -> ExportLogsServiceRequest {
    let log = |body: &Option<AnyValue>| LogRecord {
        time_unix_nano: 5,
        body: body.clone(),
        ..LogRecord::default()
    };
    let log_records = bodies.iter().map(log).collect();
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }],
    }
}

fn records(chunk: &[u8]) -> Vec<Event<'_>> {
    let events = Events::new(chunk).map(Result::unwrap);
    events.filter(|event| event.kind == EventKind::Record).collect()
}

fn back_bodies(chunk: &[u8]) -> Vec<Option<AnyValue>> {
    let (encoded, _) = to_request(Signal::Logs, chunk);
    let back = ExportLogsServiceRequest::decode(encoded.as_slice()).unwrap();
    let scopes = back.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
    scopes.flat_map(|scope| scope.log_records).map(|log| log.body).collect()
}

/// Guarantees: whatever a body is, it stands under the key in a map of one pair, but for no body in
/// records of ours; and it comes back as it was, from records of ours and from those in the layout
/// of the host's own input.
#[test]
fn every_body_stands_under_the_key_and_comes_back() {
    let bodies = bodies();
    let given = request(&bodies).encode_to_vec();
    for key in ["message", "log", "a key", "otlp"] {
        let (mut ours, mut plain) = (Vec::new(), Vec::new());
        logs_to_records_under(&given, &mut ours, GROUPS, key).unwrap();
        logs_to_groups(&given, &mut plain, GROUPS, Some(key)).unwrap();
        for (chunk, is_ours) in [(&ours, true), (&plain, false)] {
            every_plugin_reads(chunk);
            for (event, body) in records(chunk).iter().zip(&bodies) {
                let map = MapView::new(event.body);
                if body.is_none() && is_ours {
                    assert!(map.is_empty());
                    continue;
                }
                assert_eq!((map.len(), map.get(key.as_bytes()).is_some()), (1, true), "{body:?}");
            }
            assert_eq!(back_bodies(chunk), bodies, "under {key}, ours: {is_ours}");
        }
    }
}

/// Guarantees: without a key the host's layout is what it was, to the byte.
#[test]
fn the_hosts_layout_says_nothing_of_keys_by_default() {
    let given = request(&[Some(text("said"))]).encode_to_vec();
    let mut plain = Vec::new();
    logs_to_groups(&given, &mut plain, GROUPS, None).unwrap();
    assert!(!plain.windows(8).any(|bytes| bytes == b"body_key"));
    let body = records(&plain)[0].body;
    assert_eq!(MapView::new(body).get(b"log").and_then(text_of), Some("said"));
}

/// A filter that adds a key makes a map of the body, as it does under `log`.
#[test]
fn a_body_to_which_a_filter_adds_a_key_is_a_map() {
    let given = request(&[Some(text("said"))]).encode_to_vec();
    let mut chunk = Vec::new();
    let options = LogOptions { groups: false, ..GROUPS };
    logs_to_records_under(&given, &mut chunk, options, "message").unwrap();
    let event = records(&chunk)[0];
    let Ok(Token::Map(1)) = Reader::new(event.body).token() else { panic!("{:x?}", event.body) };
    let start = chunk.len() - event.body.len();
    chunk[start] = 0x82;
    chunk.extend_from_slice(b"\xa5added\xc3");
    let both = kvlist(&[("message", text("said")), ("added", value(Value::BoolValue(true)))]);
    assert_eq!(back_bodies(&chunk), [Some(both)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn requests_come_back_from_under_a_key(
        given in generate::logs(),
        groups in any::<bool>(),
        key in "[a-z]{1,40}",
    ) {
        let mut chunk = Vec::new();
        let options = LogOptions { groups, ..GROUPS };
        let encoded = given.encode_to_vec();
        let done = logs_to_records_under(&encoded, &mut chunk, options, &key).unwrap();
        prop_assert_eq!(done.rejected, 0);
        every_plugin_reads(&chunk);
        let (encoded, _) = to_request(Signal::Logs, &chunk);
        let mut given = given;
        for resource in &mut given.resource_logs {
            resource.scope_logs.retain(|scope| !scope.log_records.is_empty());
        }
        given.resource_logs.retain(|resource| !resource.scope_logs.is_empty());
        prop_assert_eq!(ExportLogsServiceRequest::decode(encoded.as_slice()).unwrap(), given);
    }
}
