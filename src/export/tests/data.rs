//! Test data: chunks as `ai_otlp` writes them, and what they hold.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use crate::codec::msgpack::{array_header, ext, map_header, str};
use crate::codec::records::{
    LogOptions, logs_to_groups, logs_to_records, logs_to_records_under, metrics_to_records,
    traces_to_records,
};

pub(in crate::export) fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn resource() -> Option<Resource> {
    Some(Resource { attributes: vec![text("service.name", "shop")], ..Resource::default() })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope { name: "lib".to_owned(), ..InstrumentationScope::default() })
}

pub(in crate::export) fn span(number: u8, attributes: Vec<KeyValue>) -> Span {
    Span {
        // The last bytes rise with the number, so that a percentage keeps the high ones.
        trace_id: [[1; 9].as_slice(), &[number, 0, 0, 0, 0, 0, 1]].concat(),
        span_id: vec![number.max(1); 8],
        name: format!("span {number}"),
        kind: 3,
        start_time_unix_nano: 1_000_000_000,
        end_time_unix_nano: 2_000_000_000,
        attributes,
        ..Span::default()
    }
}

pub(in crate::export) fn traces(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { scope: scope(), spans, ..ScopeSpans::default() }];
    let resource_spans =
        vec![ResourceSpans { resource: resource(), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}

pub(in crate::export) fn metrics(points: usize) -> ExportMetricsServiceRequest {
    let point = NumberDataPoint {
        time_unix_nano: 5,
        value: Some(Number::AsDouble(0.5)),
        ..NumberDataPoint::default()
    };
    let data = Some(Data::Gauge(Gauge { data_points: vec![point; points] }));
    let metrics = vec![Metric { name: "m".to_owned(), data, ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { scope: scope(), metrics, ..ScopeMetrics::default() }];
    let resource_metrics =
        vec![ResourceMetrics { resource: resource(), scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

pub(in crate::export) fn logs(texts: &[&str]) -> ExportLogsServiceRequest {
    let record = |expected: &&str| LogRecord {
        time_unix_nano: 7,
        observed_time_unix_nano: 8,
        severity_number: 9,
        body: Some(AnyValue { value: Some(Value::StringValue((*expected).to_owned())) }),
        ..LogRecord::default()
    };
    let log_records = texts.iter().map(record).collect();
    let scope_logs = vec![ScopeLogs { scope: scope(), log_records, ..ScopeLogs::default() }];
    let resource_logs =
        vec![ResourceLogs { resource: resource(), scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }
}

pub(in crate::export) fn trace_chunk(request: &ExportTraceServiceRequest) -> Vec<u8> {
    let mut chunk = Vec::new();
    traces_to_records(&request.encode_to_vec(), &mut chunk).unwrap();
    chunk
}

pub(in crate::export) fn metric_chunk(request: &ExportMetricsServiceRequest) -> Vec<u8> {
    let mut chunk = Vec::new();
    metrics_to_records(&request.encode_to_vec(), &mut chunk, 5).unwrap();
    chunk
}

pub(in crate::export) fn log_chunk(request: &ExportLogsServiceRequest) -> Vec<u8> {
    let mut chunk = Vec::new();
    let options = LogOptions { groups: true, first_group: 1, now_unix_nanos: 9 };
    logs_to_records(&request.encode_to_vec(), &mut chunk, options).unwrap();
    chunk
}

/// The same with bodies under a key.
pub(in crate::export) fn log_chunk_under(request: &ExportLogsServiceRequest, key: &str) -> Vec<u8> {
    let mut chunk = Vec::new();
    let options = LogOptions { groups: true, first_group: 1, now_unix_nanos: 9 };
    logs_to_records_under(&request.encode_to_vec(), &mut chunk, options, key).unwrap();
    chunk
}

/// The same in the host's own layout, which only groups say the key of.
pub(in crate::export) fn log_groups_under(
    request: &ExportLogsServiceRequest,
    key: &str,
) -> Vec<u8> {
    let mut chunk = Vec::new();
    let options = LogOptions { groups: true, first_group: 1, now_unix_nanos: 9 };
    logs_to_groups(&request.encode_to_vec(), &mut chunk, options, Some(key)).unwrap();
    chunk
}

pub(in crate::export) fn plain_log(expected: &str) -> Vec<u8> {
    plain_record(&[("log", expected), ("level", "error")])
}

/// An ordinary log whose body is a map of texts.
pub(in crate::export) fn plain_record(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut event = Vec::new();
    array_header(&mut event, 2);
    array_header(&mut event, 2);
    ext(&mut event, 0, &[0, 0, 0, 5, 0, 0, 0, 0]);
    map_header(&mut event, 0);
    map_header(&mut event, u32::try_from(pairs.len()).unwrap());
    for (key, value) in pairs {
        str(&mut event, key);
        str(&mut event, value);
    }
    event
}
