//! Test data: requests to send. Each item has a name of its own, by which it is found again behind
//! the host.

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
use serde::Serialize;

use crate::table::Transport;

/// A signal of OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// Where a transport has the signal: sections "OTLP/gRPC" and "OTLP/HTTP Request".
    pub fn path(self, transport: Transport) -> &'static str {
        match (transport, self) {
            (Transport::Grpc, Self::Traces) => {
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
            }
            (Transport::Grpc, Self::Metrics) => {
                "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
            }
            (Transport::Grpc, Self::Logs) => {
                "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
            }
            (_, Self::Traces) => "/v1/traces",
            (_, Self::Metrics) => "/v1/metrics",
            (_, Self::Logs) => "/v1/logs",
        }
    }
}

fn text(value: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) })
}

pub fn resource() -> Option<Resource> {
    let attribute = KeyValue {
        key: "service.name".to_owned(),
        value: text("conformance"),
        ..KeyValue::default()
    };
    Some(Resource { attributes: vec![attribute], ..Resource::default() })
}

pub fn span(name: &str) -> Span {
    Span {
        trace_id: vec![0xa7; 16],
        span_id: vec![0xb8; 8],
        name: name.to_owned(),
        kind: 3,
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_001_000_000_000,
        ..Span::default()
    }
}

pub fn traces_of(spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: resource(),
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
}

fn metrics(names: &[String]) -> ExportMetricsServiceRequest {
    let metrics = names
        .iter()
        .map(|name| {
            let point = NumberDataPoint {
                time_unix_nano: 1_700_000_000_000_000_000,
                value: Some(number_data_point::Value::AsInt(3)),
                ..NumberDataPoint::default()
            };
            Metric {
                name: name.clone(),
                data: Some(metric::Data::Gauge(Gauge { data_points: vec![point] })),
                ..Metric::default()
            }
        })
        .collect();
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: resource(),
            scope_metrics: vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        }],
    }
}

fn logs(names: &[String]) -> ExportLogsServiceRequest {
    let log_records = names
        .iter()
        .map(|name| LogRecord {
            time_unix_nano: 1_700_000_000_000_000_000,
            body: text(name),
            ..LogRecord::default()
        })
        .collect();
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: resource(),
            scope_logs: vec![ScopeLogs { log_records, ..ScopeLogs::default() }],
            ..ResourceLogs::default()
        }],
    }
}

/// A request in the encoding of a transport.
pub fn encode(request: &(impl Message + Serialize), transport: Transport) -> Vec<u8> {
    match transport {
        Transport::Json => serde_json::to_vec(request).unwrap(),
        _ => request.encode_to_vec(),
    }
}

/// A request with one item of each name.
pub fn request(signal: Signal, transport: Transport, names: &[String]) -> Vec<u8> {
    match signal {
        Signal::Traces => {
            encode(&traces_of(names.iter().map(|name| span(name)).collect()), transport)
        }
        Signal::Metrics => encode(&metrics(names), transport),
        Signal::Logs => encode(&logs(names), transport),
    }
}

/// A request with envelopes that hold nothing.
pub fn empty_envelopes(signal: Signal, transport: Transport) -> Vec<u8> {
    match signal {
        Signal::Traces => encode(&traces_of(Vec::new()), transport),
        Signal::Metrics => encode(&metrics(&[]), transport),
        Signal::Logs => encode(&logs(&[]), transport),
    }
}
