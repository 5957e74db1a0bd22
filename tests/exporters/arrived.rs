//! Assertions: what came of each service.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::emit::{ITEMS, Way};
use crate::sink::{ReceivedRequests, Sink};

fn value<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let pair = attributes.iter().find(|pair| pair.key == key)?;
    pair.value.as_ref()?.value.as_ref()
}

fn service(resource: Option<&Resource>) -> String {
    match resource.and_then(|resource| value(&resource.attributes, "service.name")) {
        Some(Value::StringValue(name)) => name.clone(),
        _ => String::new(),
    }
}

fn number(attributes: &[KeyValue]) -> u64 {
    match value(attributes, "n") {
        Some(Value::IntValue(number)) => u64::try_from(*number).unwrap(),
        // JavaScript has one type of numbers; its exporters write whole ones as integers.
        other => panic!("an item without its number: {other:?}"),
    }
}

/// The numbers of the items of each service, by path.
type Numbers = BTreeMap<(String, &'static str), Vec<u64>>;

fn numbers(received: &ReceivedRequests, wanted: &[String]) -> Numbers {
    let mut all = Numbers::new();
    let mut add = |resource: Option<&Resource>, path, attributes: &[KeyValue]| {
        let service = service(resource);
        if wanted.contains(&service) {
            all.entry((service, path)).or_default().push(number(attributes));
        }
    };
    for body in received.requests.get("/v1/traces").into_iter().flatten() {
        for outer in ExportTraceServiceRequest::decode(body.as_ref()).unwrap().resource_spans {
            for span in outer.scope_spans.iter().flat_map(|inner| &inner.spans) {
                add(outer.resource.as_ref(), "spans", &span.attributes);
            }
        }
    }
    for body in received.requests.get("/v1/metrics").into_iter().flatten() {
        for outer in ExportMetricsServiceRequest::decode(body.as_ref()).unwrap().resource_metrics {
            for metric in outer.scope_metrics.iter().flat_map(|inner| &inner.metrics) {
                if metric.name != "emitted" {
                    continue;
                }
                let Some(Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
                for point in &sum.data_points {
                    add(outer.resource.as_ref(), "points", &point.attributes);
                }
            }
        }
    }
    for body in received.requests.get("/v1/logs").into_iter().flatten() {
        for outer in ExportLogsServiceRequest::decode(body.as_ref()).unwrap().resource_logs {
            for log in outer.scope_logs.iter().flat_map(|inner| &inner.log_records) {
                add(outer.resource.as_ref(), "logs", &log.attributes);
            }
        }
    }
    all
}

/// Whether all ways' items have come, or more.
pub fn complete(sink: &Sink, ways: &[Way]) -> bool {
    let names: Vec<String> = ways.iter().map(|way| way.name()).collect();
    let all = numbers(&sink.received.lock().unwrap(), &names);
    let items: usize = all.values().map(Vec::len).sum();
    items as u64 >= 3 * ITEMS * ways.len() as u64
}

/// Asserts that of each way each item came exactly once.
pub fn assert_exactly_once(sink: &Sink, ways: &[Way], log: &str) {
    let names: Vec<String> = ways.iter().map(|way| way.name()).collect();
    let mut all = numbers(&sink.received.lock().unwrap(), &names);
    for name in names {
        for kind in ["spans", "points", "logs"] {
            let mut came = all.remove(&(name.clone(), kind)).unwrap_or_default();
            came.sort_unstable();
            let expected: Vec<u64> = (0..ITEMS).collect();
            assert_eq!(came, expected, "{name}, {kind}: {} came\n{log}", came.len());
        }
    }
}
