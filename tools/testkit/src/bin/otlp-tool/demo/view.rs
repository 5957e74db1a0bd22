//! What an endpoint got.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point};
use prost::Message;

use crate::sink::ReceivedRequests;

/// What an endpoint got, as a person would want to see it.
#[derive(Default)]
pub struct View {
    pub spans: usize,
    pub kept: BTreeMap<String, usize>,
    pub calls: BTreeMap<String, usize>,
    /// Providers and models of calls.
    pub models: BTreeSet<(String, String)>,
    removed: usize,
    pub with_content: usize,
    pub captured_metrics: usize,
    /// By what is printed of them, the last value of each series.
    pub model_metrics: BTreeMap<String, BTreeMap<String, f64>>,
    pub logs: usize,
    pub tied: usize,
    /// What findings say.
    pub findings: Vec<String>,
}

impl View {
    pub fn of(received: &ReceivedRequests) -> Self {
        let mut view = Self::default();
        let requests = |path: &str| received.requests.get(path).cloned().unwrap_or_default();
        for request in requests("/v1/traces") {
            view.traces(&ExportTraceServiceRequest::decode(request).expect("OTLP"));
        }
        for request in requests("/v1/metrics") {
            view.metrics(&ExportMetricsServiceRequest::decode(request).expect("OTLP"));
        }
        for request in requests("/v1/logs") {
            let request = ExportLogsServiceRequest::decode(request).expect("OTLP");
            for scope in request.resource_logs.iter().flat_map(|r| &r.scope_logs) {
                count_logs(&mut view, &scope.log_records);
            }
        }
        view
    }

    fn traces(&mut self, request: &ExportTraceServiceRequest) {
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        for span in scopes.flat_map(|scope| &scope.spans) {
            self.spans += 1;
            let attribute = |key: &str| text_of(&span.attributes, key);
            let policy = attribute("fluentbit.ai.sampling.policy");
            *self
                .kept
                .entry(policy.unwrap_or_else(|| "(no policy noted)".to_owned()))
                .or_default() += 1;
            if let Some(operation) = attribute("gen_ai.operation.name") {
                let provider = attribute("gen_ai.provider.name").unwrap_or_else(|| "-".to_owned());
                let model = attribute("gen_ai.response.model")
                    .or_else(|| attribute("gen_ai.request.model"))
                    .unwrap_or_else(|| "-".to_owned());
                *self.calls.entry(format!("{operation} / {provider} / {model}")).or_default() += 1;
                if model != "-" {
                    self.models.insert((provider, model));
                }
            }
            let has = |key: &str| span.attributes.iter().any(|pair| pair.key == key);
            self.removed += usize::from(has("fluentbit.ai.content.removed"));
            self.with_content += usize::from(has("gen_ai.input.messages"));
        }
    }

    fn metrics(&mut self, request: &ExportMetricsServiceRequest) {
        for of in &request.resource_metrics {
            let resource = format!("{:?}", of.resource);
            for scope in &of.scope_metrics {
                let ours =
                    scope.scope.as_ref().is_some_and(|scope| scope.name.contains("fluent-bit-ai"));
                if !ours {
                    self.captured_metrics += scope.metrics.len();
                    continue;
                }
                for metric in &scope.metrics {
                    self.model_metric(&metric.name, metric.data.as_ref(), &resource);
                }
            }
        }
    }

    /// Notes the points of a metric. They are cumulative, so that the last one of a series counts.
    fn model_metric(&mut self, name: &str, data: Option<&Data>, resource: &str) {
        let mut note = |attributes: &[KeyValue], value: f64| {
            let model =
                text_of(attributes, "gen_ai.request.model").unwrap_or_else(|| "-".to_owned());
            let kind = text_of(attributes, "gen_ai.token.type").map(|t| format!(" {t}"));
            let error = text_of(attributes, "error.type").map(|e| format!(" error {e}"));
            let key = format!(
                "{name}{} for {model}{}",
                kind.unwrap_or_default(),
                error.unwrap_or_default()
            );
            let series = format!("{resource}{attributes:?}");
            self.model_metrics.entry(key).or_default().insert(series, value);
        };
        match data {
            Some(Data::Histogram(histogram)) => {
                for point in &histogram.data_points {
                    note(&point.attributes, point.sum.unwrap_or(0.0));
                }
            }
            Some(Data::Sum(sum)) => {
                for point in &sum.data_points {
                    let value = match point.value {
                        Some(number_data_point::Value::AsInt(value)) => value as f64,
                        Some(number_data_point::Value::AsDouble(value)) => value,
                        None => 0.0,
                    };
                    note(&point.attributes, value);
                }
            }
            _ => {}
        }
    }

    /// Prints all of it.
    pub fn print(&self, name: &str) {
        println!("   endpoint {name}:");
        println!("     spans {}, kept because of {:?}", self.spans, self.kept);
        println!(
            "       with prompts: {}; prompts removed on the way: {}",
            self.with_content, self.removed
        );
        for (call, count) in &self.calls {
            println!("       {count} x {call}");
        }
        println!("     metrics of the applications: {}", self.captured_metrics);
        println!("     metrics that ai_metrics made of the spans (sums):");
        for (metric, series) in &self.model_metrics {
            println!("       {metric}: {:.3}", series.values().sum::<f64>());
        }
        println!("     logs {}, of which tied to a trace: {}", self.logs, self.tied);
    }
}

fn count_logs(view: &mut View, logs: &[LogRecord]) {
    let (findings, others): (Vec<_>, Vec<_>) =
        logs.iter().partition(|log| log.event_name == "fluentbit.ai.finding");
    view.findings.extend(findings.into_iter().filter_map(|log| {
        match log.body.as_ref()?.value.as_ref()? {
            Value::StringValue(text) => {
                let model = text_of(&log.attributes, "gen_ai.request.model");
                Some(format!("{}: {text}", model.unwrap_or_else(|| "a library".to_owned())))
            }
            _ => None,
        }
    }));
    view.logs += others.len();
    view.tied += others.iter().filter(|log| log.trace_id.len() == 16).count();
}

fn text_of(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|pair| pair.key == key)?.value.as_ref()?.value.as_ref()?;
    match value {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}
