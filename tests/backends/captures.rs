//! The captured telemetry, item by item.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::{Value as Json, json};

use crate::client::Client;
use crate::replay::{Captured, read_folder};

/// Every captured request.
pub fn all() -> Vec<Captured> {
    let folder = testkit::root().join("tests/data/genai");
    read_folder(&folder).into_iter().flat_map(|(_, captured)| captured).collect()
}

/// Sends them to a host.
pub async fn send(captured: &[Captured], port: u16) {
    let mut client = Client::connect(port, false).await.unwrap();
    for one in captured {
        client.send(&one.path, one.service(), one.body.clone()).await.expect("accepted");
    }
}

/// How often each item is there: its signal, and what it is, with its resource and scope.
pub type Items = BTreeMap<(&'static str, String), usize>;

fn add(
    items: &mut Items,
    signal: &'static str,
    resource: Option<&Resource>,
    scope: Option<&InstrumentationScope>,
    item: &impl std::fmt::Debug,
) {
    *items.entry((signal, format!("{item:?} of {scope:?} of {resource:?}"))).or_default() += 1;
}

/// Adds the items of a request to `items`.
pub fn collect(path: &str, body: &[u8], items: &mut Items) {
    match path {
        "/v1/traces" => {
            for outer in ExportTraceServiceRequest::decode(body).unwrap().resource_spans {
                for inner in &outer.scope_spans {
                    let (resource, scope) = (outer.resource.as_ref(), inner.scope.as_ref());
                    inner.spans.iter().for_each(|one| add(items, "spans", resource, scope, one));
                }
            }
        }
        "/v1/metrics" => {
            for outer in ExportMetricsServiceRequest::decode(body).unwrap().resource_metrics {
                for inner in &outer.scope_metrics {
                    let (resource, scope) = (outer.resource.as_ref(), inner.scope.as_ref());
                    let metrics = inner.metrics.iter();
                    metrics.for_each(|one| add(items, "metrics", resource, scope, one));
                }
            }
        }
        _ => {
            for outer in ExportLogsServiceRequest::decode(body).unwrap().resource_logs {
                for inner in &outer.scope_logs {
                    let (resource, scope) = (outer.resource.as_ref(), inner.scope.as_ref());
                    let logs = inner.log_records.iter();
                    logs.for_each(|one| add(items, "logs", resource, scope, one));
                }
            }
        }
    }
}

/// How many items of each signal there are.
pub fn by_signal(items: &Items) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for ((signal, _), count) in items {
        *counts.entry(*signal).or_default() += count;
    }
    counts
}

/// An id as hex text.
pub fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A value as plain JSON.
pub fn plain(value: Option<&AnyValue>) -> Json {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => json!(text),
        Some(Value::BoolValue(flag)) => json!(flag),
        Some(Value::IntValue(number)) => json!(number),
        Some(Value::DoubleValue(number)) => json!(number),
        Some(Value::ArrayValue(array)) => {
            array.values.iter().map(|value| plain(Some(value))).collect()
        }
        Some(Value::KvlistValue(list)) => {
            let pairs = list.values.iter();
            pairs.map(|pair| (pair.key.clone(), plain(pair.value.as_ref()))).collect()
        }
        other => panic!("the captures have no such value: {other:?}"),
    }
}

/// The attributes of a span; of a key that stands there twice the last, as backends, which make maps of them, keep it.
pub fn attributes(span: &Span) -> impl Iterator<Item = &KeyValue> {
    let is_last = |at: usize, key: &str| !span.attributes[at + 1..].iter().any(|it| it.key == key);
    let all = span.attributes.iter().enumerate();
    all.filter(move |(at, one)| is_last(*at, &one.key)).map(|(_, one)| one)
}

/// A captured text or number of a span.
pub fn attribute(span: &Span, key: &str) -> Json {
    attributes(span).find(|it| it.key == key).map_or(Json::Null, |it| plain(it.value.as_ref()))
}

/// Captures of SDKs that speak the current conventions, so that `ai_context` changes nothing of calls of models.
pub fn current() -> Vec<Captured> {
    let folder = testkit::root().join("tests/data/genai");
    let files = read_folder(&folder).into_iter();
    let files = files.filter(|(name, _)| name.starts_with("otel-instrumentation-genai-"));
    files.flat_map(|(_, captured)| captured).collect()
}

/// The captured spans by their ids.
pub fn spans(captured: &[Captured]) -> BTreeMap<(String, String), Span> {
    let mut spans = BTreeMap::new();
    for one in captured.iter().filter(|one| one.path == "/v1/traces") {
        let request = ExportTraceServiceRequest::decode(one.body.as_slice()).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|outer| outer.scope_spans);
        for span in scopes.flat_map(|inner| inner.spans) {
            spans.insert((hex(&span.trace_id), hex(&span.span_id)), span);
        }
    }
    spans
}
