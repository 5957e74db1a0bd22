//! Test data: requests to send.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use crate::codec::wire::bytes as wire_bytes;
use crate::model::Signal;

fn text(value: String) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Value::StringValue(value)) })
}

fn resource(bytes: usize) -> Option<Resource> {
    let attribute = KeyValue {
        key: "service.name".to_owned(),
        value: text("x".repeat(bytes)),
        ..KeyValue::default()
    };
    Some(Resource { attributes: vec![attribute], ..Resource::default() })
}

fn span(number: usize) -> Span {
    Span {
        trace_id: vec![7; 16],
        span_id: (number as u64 + 1).to_be_bytes().to_vec(),
        name: format!("span {number}"),
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_001_000_000_000,
        ..Span::default()
    }
}

fn traces_of(spans: Vec<Span>, resource_bytes: usize) -> Vec<u8> {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: resource(resource_bytes),
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
    .encode_to_vec()
}

/// A request with so many spans and a resource attribute of so many bytes.
pub(crate) fn traces(spans: usize, resource_bytes: usize) -> Vec<u8> {
    traces_of((0..spans).map(span).collect(), resource_bytes)
}

/// Two good spans and one without a valid trace id.
pub(crate) fn partly_bad_traces() -> Vec<u8> {
    let bad = Span { trace_id: vec![1; 3], ..span(2) };
    traces_of(vec![span(0), bad, span(1)], 5)
}

/// A request of the signal with so many items.
pub(crate) fn request(signal: Signal, items: usize) -> Vec<u8> {
    match signal {
        Signal::Traces => traces(items, 10),
        Signal::Metrics => metrics(items),
        Signal::Logs => logs(items),
        Signal::Profiles => profiles(items),
    }
}

fn metrics(points: usize) -> Vec<u8> {
    let point = NumberDataPoint {
        time_unix_nano: 1_700_000_000_000_000_000,
        value: Some(number_data_point::Value::AsInt(3)),
        ..NumberDataPoint::default()
    };
    let gauge = Gauge { data_points: vec![point; points] };
    let metric = Metric {
        name: "queue.size".to_owned(),
        data: Some(metric::Data::Gauge(gauge)),
        ..Metric::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: resource(10),
            scope_metrics: vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        }],
    }
    .encode_to_vec()
}

fn logs(records: usize) -> Vec<u8> {
    let log_records = (0..records)
        .map(|number| LogRecord {
            time_unix_nano: 1_700_000_000_000_000_000,
            body: text(format!("line {number}")),
            ..LogRecord::default()
        })
        .collect();
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: resource(10),
            scope_logs: vec![ScopeLogs { log_records, ..ScopeLogs::default() }],
            ..ResourceLogs::default()
        }],
    }
    .encode_to_vec()
}

/// A request with a profile in each of so many resources, and a dictionary.
pub(crate) fn profiles(resources: usize) -> Vec<u8> {
    let mut request = Vec::new();
    for _ in 0..resources {
        let mut scope = Vec::new();
        wire_bytes(&mut scope, 2, &[0x19, 1, 2, 3, 4, 5, 6, 7, 8]);
        let mut resource = Vec::new();
        wire_bytes(&mut resource, 2, &scope);
        wire_bytes(&mut request, 1, &resource);
    }
    wire_bytes(&mut request, 2, b"\x2a\x03cpu");
    request
}
