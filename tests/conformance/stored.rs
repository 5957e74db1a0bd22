//! Probe: what came out behind the host.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::answer::{Verdict, ensure};
use crate::requests::Signal;
use crate::sink::ReceivedRequests;

/// What a rule demands.
#[derive(Debug)]
pub enum Expected {
    /// An item of this name came so often: a span's or metric's name, a log record's body.
    Times(Signal, String, usize),
    /// The span of this name equals this one.
    Span(Box<Span>),
    /// The metric of this name equals this one.
    Metric(Box<Metric>),
    /// The log record with this body equals this one.
    Log(Box<LogRecord>),
    /// These bytes came, in some request.
    Bytes(Vec<u8>),
}

/// The items that came, and the requests.
#[derive(Default)]
pub struct Stored {
    spans: Vec<Span>,
    metrics: Vec<Metric>,
    logs: Vec<LogRecord>,
    requests: Vec<u8>,
}

fn body(log: &LogRecord) -> &str {
    match &log.body {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => text,
        _ => "",
    }
}

impl Stored {
    pub fn of(received: &ReceivedRequests) -> Self {
        let mut stored = Self::default();
        for (path, requests) in &received.requests {
            for request in requests {
                stored.requests.extend_from_slice(request);
                stored.add(path, request);
            }
        }
        stored
    }

    fn add(&mut self, path: &str, request: &[u8]) {
        match path {
            "/v1/traces" => {
                let request = ExportTraceServiceRequest::decode(request).unwrap();
                let scopes = request.resource_spans.into_iter().flat_map(|outer| outer.scope_spans);
                self.spans.extend(scopes.flat_map(|inner| inner.spans));
            }
            "/v1/metrics" => {
                let request = ExportMetricsServiceRequest::decode(request).unwrap();
                let outer = request.resource_metrics.into_iter();
                let scopes = outer.flat_map(|outer| outer.scope_metrics);
                self.metrics.extend(scopes.flat_map(|inner| inner.metrics));
            }
            _ => {
                let request = ExportLogsServiceRequest::decode(request).unwrap();
                let scopes = request.resource_logs.into_iter().flat_map(|outer| outer.scope_logs);
                self.logs.extend(scopes.flat_map(|inner| inner.log_records));
            }
        }
    }

    /// Whether something that is demanded is there; in words if it is not.
    pub fn check(&self, expected: &Expected) -> Verdict {
        match expected {
            Expected::Times(signal, name, times) => {
                let came = match signal {
                    Signal::Traces => self.spans.iter().filter(|span| span.name == *name).count(),
                    Signal::Metrics => {
                        self.metrics.iter().filter(|item| item.name == *name).count()
                    }
                    Signal::Logs => self.logs.iter().filter(|log| body(log) == name).count(),
                };
                ensure!(came == *times, "'{name}' came {came} times, not {times}");
            }
            Expected::Span(span) => {
                let came = self.spans.iter().find(|came| came.name == span.name);
                ensure!(came == Some(span), "came {came:?}\nnot  {span:?}");
            }
            Expected::Metric(metric) => {
                let came = self.metrics.iter().find(|came| came.name == metric.name);
                ensure!(came == Some(metric), "came {came:?}\nnot  {metric:?}");
            }
            Expected::Log(log) => {
                let came = self.logs.iter().find(|came| body(came) == body(log));
                ensure!(came == Some(log), "came {came:?}\nnot  {log:?}");
            }
            Expected::Bytes(bytes) => {
                let there = self.requests.windows(bytes.len()).any(|window| window == bytes);
                ensure!(there, "the bytes {bytes:02x?} did not come");
            }
        }
        Ok(())
    }
}
