//! What is known of the place where telemetry comes in, in the resources of every kind of record.

use std::sync::Arc;

use fluent_bit_ai::codec::fluentbit::{LogAccessors, plain_log};
use fluent_bit_ai::codec::records::{EventKind, Events};
use fluent_bit_ai::genai::ContextSettings;
use fluent_bit_ai::model::Signal;
use fluent_bit_ai::resource::{EditorSettings, ResourceAttributes, ResourceEditor, ResourceTally};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use serde_json::{Value, json};

use crate::records::{capture, decode, event, read, request};
use crate::{run, settings};

const OURS: [(&str, &str); 4] = [
    ("k8s.pod.name", "shop-0"),
    ("k8s.namespace.name", "store"),
    ("host.name", "shop-0"),
    ("team", "a"),
];

fn identity(pairs: &[(&str, &str)]) -> EditorSettings {
    let mut attributes = ResourceAttributes::default();
    pairs.iter().for_each(|(key, value)| attributes.text(key, value));
    EditorSettings {
        attributes: Arc::new(attributes),
        overrides: false,
        kubernetes: false,
        position: settings().position,
    }
}

/// Nothing but resources is changed.
fn only(identify: EditorSettings) -> ContextSettings {
    ContextSettings { normalize: false, correlate: false, identify: Some(identify), ..settings() }
}

fn edit(identify: EditorSettings, chunk: &[u8]) -> (Vec<u8>, ResourceTally) {
    let (out, tally) = run(only(identify), chunk);
    (out.unwrap_or_else(|| chunk.to_vec()), tally.resources)
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let pair = attributes.iter().find(|pair| pair.key == key)?;
    match pair.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text.clone()),
        other => Some(format!("{other:?}")),
    }
}

fn resources(chunk: &[u8], signal: Signal) -> Vec<Resource> {
    let bytes = request(chunk, signal);
    let all: Vec<Option<Resource>> = match signal {
        Signal::Traces => {
            let all = ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap().resource_spans;
            all.into_iter().map(|one| one.resource).collect()
        }
        Signal::Metrics => {
            let all =
                ExportMetricsServiceRequest::decode(bytes.as_slice()).unwrap().resource_metrics;
            all.into_iter().map(|one| one.resource).collect()
        }
        _ => {
            let all = ExportLogsServiceRequest::decode(bytes.as_slice()).unwrap().resource_logs;
            all.into_iter().map(|one| one.resource).collect()
        }
    };
    all.into_iter().map(Option::unwrap_or_default).collect()
}

const CAPTURE: &str = "litellm-1.106.2-default.otlp.jsonl";
const SIGNALS: [(&str, Signal); 3] =
    [("span", Signal::Traces), ("metric", Signal::Metrics), ("log", Signal::Logs)];

/// Scenario: captures of all signals. Guarantees: every resource has what it had and what is known here, nothing
/// else is changed, and a second pass changes nothing.
#[test]
fn resources_of_all_signals_say_where_they_came_in() {
    for (item, signal) in SIGNALS {
        let chunk = capture(CAPTURE, item);
        let items = read(&chunk).len() as u64;
        assert!(items > 1, "{item}");
        let (out, tally) = edit(identity(&OURS), &chunk);
        assert_eq!(tally, ResourceTally { identified: items, withheld: 0 }, "{item}");
        let (before, after) = (resources(&chunk, signal), resources(&out, signal));
        assert_eq!(before.len(), after.len(), "{item}");
        for (before, after) in before.iter().zip(&after) {
            for (key, value) in OURS {
                assert_eq!(text(&after.attributes, key).as_deref(), Some(value), "{item} {key}");
            }
            assert_eq!(after.attributes[..before.attributes.len()], before.attributes, "{item}");
            assert_eq!(after.attributes.len(), before.attributes.len() + OURS.len(), "{item}");
        }
        for (one, other) in read(&chunk).iter().zip(read(&out)) {
            assert_eq!(one.body, other.body);
            let without = |metadata: &Value| {
                let mut metadata = metadata.clone();
                metadata["otlp"].as_object_mut().unwrap().remove("resource");
                metadata
            };
            assert_eq!(without(&one.metadata), without(&other.metadata));
        }
        let (again, _) = run(only(identity(&OURS)), &out);
        assert_eq!(again, None, "{item}: once is enough");
    }
}

/// Scenario: resources that name the service, a pod of another name, and nothing at all. Guarantees: the sender's
/// word stays, unless it is overridden, and nothing of our pod is said of another one.
#[test]
fn the_senders_word_wins_unless_told_otherwise() {
    let metadata = |resource: &Value| json!({ "otlp": { "v": 1, "signal": "span", "resource": resource, "scope": { "name": "s" } } });
    let of = |overrides: bool, resource: Value| {
        let mut chunk = Vec::new();
        event(&metadata(&resource), &json!({ "name": "x" }), &mut chunk);
        let settings = EditorSettings { overrides, ..identity(&OURS) };
        let (out, tally) = edit(settings, &chunk);
        (read(&out)[0].metadata["otlp"]["resource"]["attributes"].clone(), tally)
    };
    let sender =
        json!({ "attributes": { "k8s.pod.name": "cart-1", "team": "b" }, "schema_url": "u" });
    let (attributes, tally) = of(false, sender.clone());
    assert_eq!(attributes, json!({ "k8s.pod.name": "cart-1", "team": "b", "host.name": "shop-0" }));
    assert_eq!(tally, ResourceTally { identified: 1, withheld: 1 });
    let ours: Value = OURS.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    assert_eq!(of(true, sender), (ours.clone(), ResourceTally { identified: 1, withheld: 0 }));
    assert_eq!(of(false, json!({})).0, ours);
    let mut none = Vec::new();
    event(&json!({ "otlp": { "v": 1, "signal": "metric" } }), &json!({ "name": "x" }), &mut none);
    let (out, _) = edit(identity(&OURS), &none);
    assert_eq!(read(&out)[0].metadata["otlp"]["resource"], json!({ "attributes": ours }));
}

/// Scenario: an ordinary log, one of another pod, and one that has been given a trace. Guarantees: as OTLP they
/// have our attributes and their own, each once.
#[test]
fn ordinary_logs_have_a_resource_too() {
    let otlp = |metadata: Value, body: Value| {
        let mut chunk = Vec::new();
        event(&metadata, &body, &mut chunk);
        let (out, _) = edit(identity(&OURS), &chunk);
        let (again, _) = run(only(identity(&OURS)), &out);
        assert_eq!(again, None, "once is enough");
        let event = Events::new(&out).next().unwrap().unwrap();
        let telemetry = event.telemetry().unwrap();
        assert!(telemetry.is_ordinary(&event), "{body}");
        let log = plain_log(&event, b"", 1, &LogAccessors::default());
        let mut attributes = Resource::decode(log.resource.as_slice()).unwrap().attributes;
        let keys = attributes.len();
        attributes.sort_by(|one, other| one.key.cmp(&other.key));
        attributes.dedup_by_key(|pair| pair.key.clone());
        assert_eq!(keys, attributes.len());
        attributes
    };
    let ours = otlp(json!({}), json!({ "log": "x" }));
    assert_eq!(ours.len(), OURS.len());
    assert_eq!(text(&ours, "k8s.pod.name").as_deref(), Some("shop-0"));
    let traced =
        otlp(json!({ "otlp": { "trace_id": "aa" } }), json!({ "log": "x", "service": "s" }));
    assert_eq!(text(&traced, "service.name").as_deref(), Some("s"));
    assert_eq!(text(&traced, "team").as_deref(), Some("a"));
    let map =
        json!({ "pod_name": "cart-1", "namespace_name": "store", "container_image": "r/cart:1" });
    let other = otlp(json!({}), json!({ "log": "x", "_HOSTNAME": "node", "kubernetes": map }));
    for (key, value) in [
        ("k8s.pod.name", Some("cart-1")),
        ("host.name", Some("node")),
        ("container.image.name", Some("r/cart")),
        ("team", Some("a")),
    ] {
        assert_eq!(text(&other, key).as_deref(), value, "{key}");
    }
}

/// Scenario: a span, and a log in a group, to which Fluent Bit's filter `kubernetes` has added its map.
/// Guarantees: the map is in their resource and in no body, what the sender said stays, the other log of the
/// group has its own resource still, and nothing of our pod is in the resource of another one.
#[test]
fn the_map_of_the_kubernetes_filter_moves_to_the_resource() {
    let map =
        json!({ "pod_name": "cart-1", "namespace_name": "store", "labels": { "app": "cart" } });
    let settings = EditorSettings { kubernetes: true, ..identity(&OURS) };
    let mut spans = Vec::new();
    let resource = json!({ "attributes": { "service.name": "mine" } });
    let metadata =
        json!({ "otlp": { "v": 1, "signal": "span", "resource": resource, "scope": {} } });
    event(&metadata, &json!({ "name": "before" }), &mut spans);
    event(&metadata, &json!({ "name": "x", "kubernetes": map }), &mut spans);
    event(&metadata, &json!({ "name": "after", "kubernetes": "a text" }), &mut spans);
    let (out, tally) = edit(settings.clone(), &spans);
    let of_map = json!({
        "service.name": "mine", "k8s.pod.name": "cart-1", "k8s.namespace.name": "store",
        "k8s.pod.label.app": "cart", "host.name": "shop-0", "team": "a",
    });
    let spans = read(&out);
    assert_eq!(spans[1].body, json!({ "name": "x" }));
    assert_eq!(spans[1].metadata["otlp"]["resource"]["attributes"], of_map);
    assert_eq!(spans[2].body["kubernetes"], "a text");
    assert_eq!(spans[0].metadata, spans[2].metadata);
    assert_eq!(tally, ResourceTally { identified: 3, withheld: 0 });

    let chunk = capture(CAPTURE, "log");
    let mut logs = Vec::new();
    for (index, one) in Events::new(&chunk).map(Result::unwrap).enumerate() {
        if one.kind == EventKind::Record && index == 1 {
            let body = json!({ "log": "with a map", "kubernetes": map });
            event_like(one.metadata, &body, &mut logs);
        } else {
            logs.extend_from_slice(one.raw);
        }
    }
    let settings = EditorSettings { attributes: Arc::default(), ..settings };
    let (out, tally) = edit(settings, &logs);
    assert_eq!(tally.identified, 1);
    let after = resources(&out, Signal::Logs);
    let pods: Vec<Option<String>> =
        after.iter().map(|resource| text(&resource.attributes, "k8s.pod.name")).collect();
    assert_eq!(pods.iter().flatten().collect::<Vec<_>>(), ["cart-1"]);
    assert!(pods.len() > 1 && !read(&out)[0].body.to_string().contains("cart-1"));
}

/// An event with metadata as it was encoded, because JSON has no bytes.
fn event_like(metadata: &[u8], body: &Value, out: &mut Vec<u8>) {
    let start = out.len();
    event(&json!({}), body, out);
    // The empty map stands after the head of 12 bytes.
    let rest = out.split_off(start + 13);
    out.truncate(start + 12);
    out.extend_from_slice(metadata);
    out.extend_from_slice(&rest);
}

/// Scenario: chunks that Fluent Bit's own OpenTelemetry input wrote, and chunks that are broken. Guarantees: the
/// groups' resources get our attributes, nothing that cannot be read is lost, and nothing fails.
#[test]
fn chunks_of_other_writers() {
    for chunk in [
        &include_bytes!("../golden/v4.0.14_logs_0.msgpack")[..],
        include_bytes!("../golden/v4.2.8_logs_0.msgpack"),
        include_bytes!("../golden/v5.1.1_logs_0.msgpack"),
    ] {
        let (out, tally) = edit(identity(&OURS), chunk);
        assert!(tally.identified > 0);
        let mut groups = 0;
        for event in Events::new(&out).map(Result::unwrap) {
            if event.kind == EventKind::GroupStart {
                groups += 1;
                let body = decode(event.body);
                assert_eq!(body["resource"]["attributes"]["team"], "a", "{body}");
            }
        }
        assert!(groups > 0);
        assert_eq!(read(chunk).len(), read(&out).len());
        assert_eq!(run(only(identity(&OURS)), &out).0, None);
        for end in (0..chunk.len()).step_by(7) {
            let (cut, _) = edit(identity(&OURS), &chunk[..end]);
            let lost = Events::new(&chunk[..end]).filter(Result::is_ok).count()
                - Events::new(&cut).filter(Result::is_ok).count();
            assert_eq!(lost, 0);
        }
    }
    let (rubbish, tally) = edit(identity(&OURS), &[0x93, 1, 2, 3, 0xc1]);
    assert_eq!((rubbish, tally), (vec![0x93, 1, 2, 3, 0xc1], ResourceTally::default()));
}

/// Scenario: records that filters emitted here or later, of a newer layout, and profiles; and a new identity.
/// Guarantees: those are left alone, and the new one counts from then on.
#[test]
fn some_records_are_left_alone() {
    let mut chunk = Vec::new();
    for otlp in [
        json!({ "v": 1, "signal": "span", "from": [7, 2] }),
        json!({ "v": 9, "signal": "span" }),
        json!({ "v": 1, "signal": "profiles" }),
    ] {
        event(&json!({ "otlp": otlp }), &json!({ "name": "x" }), &mut chunk);
    }
    let mut tally = ResourceTally::default();
    let mut editor = ResourceEditor::new(identity(&OURS));
    assert_eq!(editor.process(&chunk, &mut tally), None);
    assert_eq!(tally, ResourceTally::default());
    let mut span = Vec::new();
    let metadata = json!({ "otlp": { "v": 1, "signal": "span", "resource": {}, "scope": {} } });
    event(&metadata, &json!({ "name": "x" }), &mut span);
    for name in ["first", "second"] {
        editor.replace(identity(&[("service.name", name)]).attributes);
        let out = editor.process(&span, &mut tally).unwrap();
        let resource = &read(&out)[0].metadata["otlp"]["resource"];
        assert_eq!(resource["attributes"]["service.name"], name);
    }
    editor.replace(Arc::default());
    assert_eq!(editor.process(&span, &mut tally), None);
}
