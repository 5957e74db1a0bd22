//! Log chunks that Fluent Bit's own OpenTelemetry input wrote.

use fluent_bit_ai::codec::records::{EventKind, Events};
use fluent_bit_ai::model::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::support::to_request;

const V4_0: &[u8] = include_bytes!("../golden/v4.0.14_logs_0.msgpack");
const V4_2: &[u8] = include_bytes!("../golden/v4.2.8_logs_0.msgpack");
const V5_1: &[u8] = include_bytes!("../golden/v5.1.1_logs_0.msgpack");

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: any(value), key_strindex: 0 }
}

fn any(value: Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn string(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

fn plain(body: Option<AnyValue>) -> LogRecord {
    LogRecord {
        time_unix_nano: 1_700_000_000_000_000_000,
        observed_time_unix_nano: 1_700_000_000_000_000_001,
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        body,
        ..LogRecord::default()
    }
}

fn check(chunk: &[u8], new: bool) {
    let kinds: Vec<EventKind> = Events::new(chunk).map(|event| event.unwrap().kind).collect();
    use EventKind::{GroupEnd, GroupStart, Record};
    let request = [GroupStart, Record, Record, GroupEnd, GroupStart, Record, GroupEnd];
    assert_eq!(kinds, [request, request].concat());
    let (encoded, items) = to_request(Signal::Logs, chunk);
    assert_eq!(items, 6);
    let request = ExportLogsServiceRequest::decode(encoded.as_slice()).unwrap();
    // Both requests of the chunk have the same resource, which becomes one envelope.
    assert_eq!(request.resource_logs.len(), 1);
    let outer = &request.resource_logs[0];
    assert_eq!(outer.schema_url, "https://r");
    let resource = Resource {
        attributes: vec![pair("service.name", string("svc0"))],
        dropped_attributes_count: 2,
        entity_refs: vec![],
    };
    assert_eq!(outer.resource.as_ref(), Some(&resource));
    assert_eq!(outer.scope_logs.len(), 4);
    for pair_of_scopes in outer.scope_logs.chunks(2) {
        check_scopes(pair_of_scopes, new);
    }
}

fn check_scopes(scopes: &[opentelemetry_proto::tonic::logs::v1::ScopeLogs], new: bool) {
    let scope = InstrumentationScope {
        name: "lib".to_owned(),
        version: "1".to_owned(),
        attributes: vec![pair("sa", Value::IntValue(1))],
        dropped_attributes_count: 3,
    };
    assert_eq!(scopes[0].scope.as_ref(), Some(&scope));
    assert_eq!(scopes[0].schema_url, "https://s");
    let first = LogRecord {
        attributes: vec![
            pair("i", Value::IntValue(7)),
            pair("s", string("v")),
            pair("b", Value::BytesValue(vec![0, 1])),
        ],
        dropped_attributes_count: if new { 5 } else { 0 },
        flags: 1,
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        event_name: if new { "my.event" } else { "" }.to_owned(),
        ..plain(any(string("hello")))
    };
    assert_eq!(scopes[0].log_records[0], first);
    let list = opentelemetry_proto::tonic::common::v1::KeyValueList {
        values: vec![pair("a", string("b"))],
    };
    assert_eq!(scopes[0].log_records[1], plain(any(Value::KvlistValue(list))));
    assert_eq!(scopes[1].scope, Some(InstrumentationScope::default()));
    assert_eq!(scopes[1].log_records, [plain(any(string("other scope")))]);
}

#[test]
fn chunks_of_every_release_line_are_read() {
    check(V4_0, false);
    check(V4_2, false);
    check(V5_1, true);
}
