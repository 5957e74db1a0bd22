use fluent_bit_ai::codec::fluentbit::{LogAccessors, plain_log};
use fluent_bit_ai::codec::records::{Event, Events};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use serde_json::{Map, Value, json};

use crate::build::{Encoded, bin, f, list, map, n, s, u};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

pub(crate) fn value(any: Option<&AnyValue>) -> Value {
    match any.and_then(|any| any.value.as_ref()) {
        None => Value::Null,
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::BoolValue(value)) => json!(value),
        Some(Any::IntValue(value)) => json!(value),
        Some(Any::DoubleValue(value)) => json!(value),
        Some(Any::ArrayValue(list)) => list.values.iter().map(|any| value(Some(any))).collect(),
        Some(Any::KvlistValue(list)) => attributes(&list.values),
        Some(Any::BytesValue(bytes)) => json!({ "bytes": bytes }),
        Some(other) => panic!("{other:?}"),
    }
}

pub(crate) fn attributes(list: &[KeyValue]) -> Value {
    let mut map = Map::new();
    for pair in list {
        let before = map.insert(pair.key.clone(), value(pair.value.as_ref()));
        assert_eq!(before, None, "{} is there twice", pair.key);
    }
    Value::Object(map)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(event: &Event<'_>) -> Value {
    read_with(event, &LogAccessors::default())
}

/// The times are shown where they are not the event's own.
pub(crate) fn read_with(event: &Event<'_>, accessors: &LogAccessors) -> Value {
    let log = plain_log(event, b"", 7, accessors);
    let record = LogRecord::decode(&log.record[..]).unwrap();
    let shown_time = |time: u64, usual: u64| json!(if time == usual { 0 } else { time });
    let resource = Resource::decode(&log.resource[..]).unwrap();
    let all = [
        ("time", shown_time(record.time_unix_nano, event.time.unix_nanos())),
        ("observed", shown_time(record.observed_time_unix_nano, 7)),
        ("body", value(record.body.as_ref())),
        ("attributes", attributes(&record.attributes)),
        ("severity", json!(record.severity_number)),
        ("severity_text", json!(record.severity_text)),
        ("trace", json!(hex(&record.trace_id))),
        ("span", json!(hex(&record.span_id))),
        ("flags", json!(record.flags)),
        ("resource", attributes(&resource.attributes)),
    ];
    let empty = [json!({}), json!(""), json!(0), Value::Null];
    let shown = all.into_iter().filter(|(key, value)| *key == "body" || !empty.contains(value));
    shown.map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>().into()
}

pub(crate) fn event(metadata: &Value, body: &Value) -> Encoded {
    rmp_serde::to_vec(&((5, metadata), body)).unwrap()
}

fn check(cases: &[(Value, Value, Value)]) {
    for (metadata, body, wanted) in cases {
        let chunk = event(metadata, body);
        let event = Events::new(&chunk).next().unwrap().unwrap();
        assert_eq!(read(&event), *wanted, "{metadata} {body}");
    }
}

#[test]
fn bodies() {
    check(&[
        (json!({}), json!({"log": "hi"}), json!({"body": "hi"})),
        (
            json!({}),
            json!({"message": "hi", "n": 1}),
            json!({"body": "hi", "attributes": {"n": 1}}),
        ),
        (
            json!({}),
            json!({"msg": "hi", "ok": true}),
            json!({"body": "hi", "attributes": {"ok": true}}),
        ),
        (json!({}), json!({"body": "hi"}), json!({"body": "hi"})),
        (json!({}), json!({"MESSAGE": "hi"}), json!({"body": "hi"})),
        (
            json!({}),
            json!({"log": "l", "message": "m"}),
            json!({"body": "l", "attributes": {"message": "m"}}),
        ),
        (
            json!({}),
            json!({"log": "", "message": "m"}),
            json!({"body": "m", "attributes": {"log": ""}}),
        ),
        (json!({}), json!({"log": ""}), json!({"body": ""})),
        (
            json!({}),
            json!({"method": "GET", "took": 1.5, "tags": ["a", null]}),
            json!({"body": {"method": "GET", "took": 1.5, "tags": ["a", null]}}),
        ),
        (json!({}), json!({"log": {"a": 1}}), json!({"body": {"log": {"a": 1}}})),
        (json!({}), json!({}), json!({"body": {}})),
        (json!({}), json!("just text"), json!({"body": "just text"})),
        (json!({}), json!(5), json!({"body": 5})),
        (
            json!({"stream": "stderr", "otlp": {"unreadable": 1}}),
            json!({"log": "x"}),
            json!({"body": "x", "attributes": {"stream": "stderr"}}),
        ),
        (json!(null), json!({"log": "x"}), json!({"body": "x"})),
    ]);
}

#[test]
fn severities() {
    let given_as = |key: &str, given: Value, number: i32, text: &str| {
        let mut wanted = json!({"body": "x", "severity": number});
        if !text.is_empty() {
            wanted["severity_text"] = json!(text);
        }
        (json!({}), json!({"log": "x", key: given}), wanted)
    };
    let mut cases = vec![
        given_as("level", json!("info"), 9, "info"),
        given_as("lvl", json!("WARN"), 13, "WARN"),
        given_as("loglevel", json!("Debug"), 5, "Debug"),
        given_as("log_level", json!("trace"), 1, "trace"),
        given_as("log.level", json!("error"), 17, "error"),
        given_as("severity", json!("CRITICAL"), 21, "CRITICAL"),
        given_as("severity_text", json!("notice"), 10, "notice"),
        given_as("SeverityText", json!("INFO2"), 10, "INFO2"),
        given_as("priority", json!("alert"), 19, "alert"),
        given_as("severityNumber", json!(17), 17, ""),
        given_as("SeverityNumber", json!("13"), 13, ""),
        given_as("severity_number", json!(24), 24, ""),
    ];
    cases.push((
        json!({}),
        json!({"log": "x", "level": "custom"}),
        json!({"body": "x", "severity_text": "custom"}),
    ));
    check(&cases);
}

#[test]
fn numbers_of_other_scales_stay_attributes() {
    let kept = |key: &str, given: Value, number: i32| {
        let mut wanted = json!({"body": "x", "attributes": {key: given}});
        if number > 0 {
            wanted["severity"] = json!(number);
        }
        (json!({}), json!({"log": "x", key: given}), wanted)
    };
    check(&[
        kept("level", json!(30), 9),
        kept("level", json!(3), 17),
        kept("level", json!("50"), 17),
        kept("levelno", json!(40), 17),
        kept("PRIORITY", json!("6"), 9),
        kept("pri", json!(165), 10),
        kept("priority", json!("high"), 0),
        kept("severity_number", json!(99), 0),
        kept("level", json!(null), 0),
        kept("level", json!("a long text that is no name of a level"), 0),
    ]);
}

#[test]
fn one_of_several_severities() {
    check(&[
        (
            json!({"level": "warn"}),
            json!({"log": "x", "level": "info"}),
            json!({"body": "x", "severity": 13, "severity_text": "warn",
                   "attributes": {"level": "info"}}),
        ),
        (
            json!({}),
            json!({"log": "x", "levelname": "ERROR", "severity_number": 18}),
            json!({"body": "x", "severity": 18, "severity_text": "ERROR"}),
        ),
        (
            json!({}),
            json!({"level": "info", "method": "GET"}),
            json!({"body": {"level": "info", "method": "GET"}, "severity": 9,
                   "severity_text": "info"}),
        ),
    ]);
}

#[test]
fn traces() {
    let found = json!({"body": "x", "trace": TRACE, "span": SPAN});
    let sampled = json!({"body": "x", "trace": TRACE, "span": SPAN, "flags": 1});
    check(&[
        (json!({}), json!({"log": "x", "trace_id": TRACE, "span_id": SPAN}), found.clone()),
        (json!({"TraceId": TRACE, "SpanId": SPAN}), json!({"log": "x"}), found.clone()),
        (
            json!({}),
            json!({"log": "x", "otelTraceID": TRACE, "otelSpanID": SPAN, "otelTraceSampled": true}),
            sampled.clone(),
        ),
        (
            json!({}),
            json!({"log": "x", "traceparent": format!("00-{TRACE}-{SPAN}-01")}),
            sampled.clone(),
        ),
        // The place that a filter gave it, which goes before what only looks like one.
        (
            json!({"otlp": {"trace_id": TRACE, "span_id": SPAN, "trace_flags": 1, "from": [7, 2]}}),
            json!({"log": "x"}),
            sampled.clone(),
        ),
        (
            json!({"otlp": {"trace_id": TRACE, "span_id": SPAN}}),
            json!({"log": "x", "trace_id": TRACE, "trace_flags": 1}),
            sampled,
        ),
        (
            json!({"otlp": {"trace_id": TRACE}}),
            json!({"log": "x", "trace_id": "1".repeat(32)}),
            json!({"body": "x", "trace": TRACE, "attributes": {"trace_id": "1".repeat(32)}}),
        ),
        (
            json!({}),
            json!({"log": "x", "trace": {"id": TRACE}, "span": {"id": SPAN, "kind": "server"}}),
            json!({"body": "x", "trace": TRACE, "span": SPAN,
                   "attributes": {"span": {"kind": "server"}}}),
        ),
        (
            json!({}),
            json!({"op": "y", "context": {"trace_id": TRACE}}),
            json!({"body": {"op": "y"}, "trace": TRACE}),
        ),
        (
            json!({}),
            json!({"log": "x", "dd.trace_id": "123", "trace_id": "0".repeat(32)}),
            json!({
                "body": "x",
                "attributes": {"trace_id": "0".repeat(32)},
                "trace": format!("{:032x}", 123),
            }),
        ),
    ]);
}

#[test]
fn kubernetes() {
    let kubernetes = json!({
        "pod_name": "p-1", "namespace_name": "ns", "pod_id": "uid", "host": "node", "pod_ip": "10.0.0.1",
        "container_name": "c", "docker_id": "abc", "container_hash": "img@sha256:0",
        "container_image": "registry:5000/img:v1", "labels": {"app": "old", "app.kubernetes.io/name": "svc"},
        "annotations": {"a/b": "c"}, "namespace_labels": {"team": "t", "n": 5, "empty": ""},
    });
    let resource = json!({
        "service.name": "svc", "k8s.pod.name": "p-1", "k8s.namespace.name": "ns", "k8s.pod.uid": "uid",
        "k8s.node.name": "node", "k8s.pod.ip": "10.0.0.1", "k8s.container.name": "c",
        "container.id": "abc", "kubernetes.container_hash": "img@sha256:0",
        "container.image.name": "registry:5000/img", "container.image.tags": ["v1"],
        "k8s.pod.label.app": "old", "k8s.pod.label.app.kubernetes.io/name": "svc",
        "k8s.pod.annotation.a/b": "c", "k8s.namespace.label.team": "t",
        "k8s.namespace.label.n": 5,
    });
    check(&[
        (
            json!({}),
            json!({"log": "x", "stream": "stdout", "kubernetes": kubernetes}),
            json!({"body": "x", "attributes": {"stream": "stdout"}, "resource": resource}),
        ),
        (
            json!({}),
            json!({"a": 1, "kubernetes": {"labels": {"app": "old"}}}),
            json!({"body": {"a": 1},
                   "resource": {"service.name": "old", "k8s.pod.label.app": "old"}}),
        ),
        (
            json!({}),
            json!({"log": "x", "kubernetes": "no map"}),
            json!({"body": "x", "attributes": {"kubernetes": "no map"}}),
        ),
    ]);
}

#[test]
fn services_and_journald() {
    check(&[
        (
            json!({}),
            json!({"MESSAGE": "up", "PRIORITY": "3", "_HOSTNAME": "h", "_SYSTEMD_UNIT": "u.service",
                   "SYSLOG_IDENTIFIER": "sshd", "_PID": "1"}),
            json!({"body": "up", "severity": 17, "attributes": {"PRIORITY": "3", "_PID": "1"},
                   "resource": {"host.name": "h", "systemd.unit": "u.service", "service.name": "sshd"}}),
        ),
        (
            json!({}),
            json!({"log": "x", "service": "api", "SYSLOG_IDENTIFIER": "id"}),
            json!({"body": "x", "attributes": {"SYSLOG_IDENTIFIER": "id"},
                   "resource": {"service.name": "api"}}),
        ),
        (
            json!({"service.name": "best"}),
            json!({"log": "x", "service": "api"}),
            json!({"body": "x", "attributes": {"service": "api"},
                   "resource": {"service.name": "best"}}),
        ),
        (
            json!({}),
            json!({"log": "x", "service": {"name": "ecs", "version": "1"}}),
            json!({"body": "x", "attributes": {"service": {"name": "ecs", "version": "1"}},
                   "resource": {"service.name": "ecs"}}),
        ),
        (
            json!({}),
            json!({"log": "x", "service": "api", "kubernetes": {"labels": {"app": "label"}}}),
            json!({"body": "x",
                   "resource": {"service.name": "api", "k8s.pod.label.app": "label"}}),
        ),
    ]);
}

#[test]
fn times_tags_and_legacy_events() {
    let mut time = 5_u32.to_be_bytes().to_vec();
    time.extend(6_u32.to_be_bytes());
    let extension = [&[0xd7, 0][..], &time].concat();
    let body = map(&[("log", s("x"))]);
    for (head, nanos) in [
        (list(&[extension.clone(), map(&[])]), 5_000_000_006),
        (extension, 5_000_000_006),
        (u(5), 5_000_000_000),
        (f(5.5), 5_500_000_000),
        (n(0), 0),
    ] {
        let chunk = list(&[head, body.clone()]);
        let event = Events::new(&chunk).next().unwrap().unwrap();
        let record = LogRecord::decode(
            &plain_log(&event, b"kube.\xff", 9, &LogAccessors::default()).record[..],
        )
        .unwrap();
        assert_eq!((record.time_unix_nano, record.observed_time_unix_nano), (nanos, 9));
        assert_eq!(attributes(&record.attributes), json!({"fluent.tag": "kube.\u{fffd}"}));
    }
}

#[test]
fn raw_ids_bytes_and_text_that_is_not_utf8() {
    let body = map(&[
        ("trace_id", bin(&[1; 16])),
        ("span_id", bin(&[2; 8])),
        ("log", vec![0xa2, b'a', 0xfe]),
        ("raw", bin(&[0xff])),
    ]);
    let chunk = list(&[u(1), body]);
    let event = Events::new(&chunk).next().unwrap().unwrap();
    let wanted = json!({"body": "a\u{fffd}", "trace": "01".repeat(16), "span": "02".repeat(8),
                        "attributes": {"raw": {"bytes": [255]}}});
    assert_eq!(read(&event), wanted);
}

#[test]
fn a_group_gives_its_resource_and_the_log_adds_to_it() {
    let group = json!({"resource": {"attributes": {"service.name": "group", "n": 1}}});
    let mut chunk = rmp_serde::to_vec(&((-1, json!({})), group)).unwrap();
    let body = json!({"log": "x", "service": "own", "_HOSTNAME": "h"});
    chunk.extend(event(&json!({}), &body));
    let event = Events::new(&chunk).nth(1).unwrap().unwrap();
    let wanted = json!({"body": "x", "attributes": {"service": "own"},
                        "resource": {"service.name": "group", "n": 1, "host.name": "h"}});
    assert_eq!(read(&event), wanted);
}

#[test]
fn logs_of_one_origin_have_equal_resources() {
    let log = |text: &str| {
        let body = json!({"log": text, "kubernetes": {"pod_name": "p", "labels": {"a": "b"}}});
        let chunk = event(&json!({}), &body);
        let event = Events::new(&chunk).next().unwrap().unwrap();
        plain_log(&event, b"", 1, &LogAccessors::default())
    };
    assert_eq!(log("one").resource, log("two").resource);
    assert_ne!(log("one").record, log("two").record);
}

/// Scenario: container logs as tail and the kubernetes filter make them of an application's JSON
/// lines, with ids in the forms of OpenTelemetry, Datadog and X-Ray. Guarantees: ids, flags and
/// severity are in their fields, and the text stays the body.
#[test]
fn json_text_of_containers() {
    let kubernetes = json!({"pod_name": "p", "namespace_name": "n"});
    let resource = json!({"k8s.pod.name": "p", "k8s.namespace.name": "n"});
    let otel = json!({"level": "error", "trace_id": TRACE, "span_id": SPAN, "trace_flags": "01"});
    let datadog = json!({"level": 40, "dd": {"trace_id": "5678901234567890123", "span_id": "17"}});
    let xray = json!({
        "severity": "WARNING",
        "xray_trace_id": "1-5759e988-bd862e3fe1be46a994272793",
    });
    let traceparent = json!({"traceparent": format!("00-{TRACE}-{SPAN}-01"), "msg": "no level"});
    let half = format!("{:032x}", 5_678_901_234_567_890_123_u64);
    let cases = [
        (
            otel,
            json!({"trace": TRACE, "span": SPAN, "flags": 1, "severity": 17, "severity_text": "error"}),
        ),
        (datadog, json!({"trace": half, "span": format!("{:016x}", 17), "severity": 13})),
        (
            xray,
            json!({"trace": "5759e988bd862e3fe1be46a994272793", "severity": 13, "severity_text": "WARNING"}),
        ),
        (traceparent, json!({"trace": TRACE, "span": SPAN, "flags": 1})),
    ];
    for (line, mut wanted) in cases {
        let text = format!("{line}\n");
        wanted["body"] = json!(text);
        wanted["attributes"] = json!({"stream": "stderr"});
        wanted["resource"] = resource.clone();
        let body = json!({"log": text, "stream": "stderr", "kubernetes": kubernetes});
        check(&[(json!({}), body, wanted)]);
    }
    let merged = json!({"level": "warn", "trace_id": TRACE, "user": 7});
    let wanted = json!({
        "body": "{...}", "severity": 13, "severity_text": "warn", "trace": TRACE,
        "attributes": {"log_processed": {"level": "warn", "user": 7}},
    });
    check(&[(json!({}), json!({"log": "{...}", "log_processed": merged}), wanted)]);
}
