//! The demo: the README's pipeline on real captures, and what came out where.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point};
use prost::Message;

use crate::client::Client;
use crate::hosts::{self, Host, RunningHost};
use crate::replay;
use crate::sink::{Keep, ReceivedRequests, Sink};

const TRACED_LOG: &str = r#"{"log": "order 4711 answered", "level": "warning", "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}"#;

pub async fn run(plugins: &Path, captures: &Path) {
    let host = hosts::newest();
    println!("1. The host: {}", host.title());
    let (apm, llm) = (Sink::start(0, Keep::Requests).await, Sink::start(0, Keep::Requests).await);
    println!("2. Two OTLP receivers of ours: apm on port {}, llm on port {}", apm.port, llm.port);
    let ports =
        Ports { grpc: hosts::free_port(), http: hosts::free_port(), page: hosts::free_port() };
    let configuration = configuration(&host, plugins, &ports, apm.port, llm.port);
    println!("3. The pipeline:\n{}", indent(&configuration));
    let running = RunningHost::start(&host, &configuration, ports.http);
    println!("4. Real captures in, each over OTLP/HTTP and OTLP/gRPC in turn:");
    let sent = send(captures, &ports).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let page = if host.is_real() {
        hosts::http_get(ports.page, "/api/v2/metrics/prometheus")
    } else {
        String::new()
    };
    let (code, log) = running.stop();
    apm.settle(0, Duration::from_secs(1), Duration::from_secs(5)).await;
    println!("\n5. What came out (the host stopped with exit code {code:?}):");
    let received = [("apm", &apm), ("llm", &llm)].map(|(name, sink)| {
        let received = sink.received.lock().unwrap();
        let view = View::of(&received);
        view.print(name);
        view
    });
    let counters = if host.is_real() { page } else { log.clone() };
    print_counters(&counters);
    verdict(&sent, &received, code, &log);
}

struct Ports {
    grpc: u16,
    http: u16,
    page: u16,
}

fn configuration(host: &Host, plugins: &Path, ports: &Ports, apm: u16, llm: u16) -> String {
    let folder = plugins.display();
    let page = if host.is_real() {
        format!("  http_server: on\n  http_listen: 127.0.0.1\n  http_port: {}\n", ports.page)
    } else {
        String::new()
    };
    format!(
        "service:
  flush: 1
  log_level: warn
{page}plugins:
  - {folder}/flb-in_ai_otlp.so
  - {folder}/flb-filter_ai_context.so
  - {folder}/flb-filter_ai_metrics.so
  - {folder}/flb-filter_ai_sampling.so
  - {folder}/flb-out_multi_otlp.so
pipeline:
  inputs:
    - name: ai_otlp
      tag: ai
      listen: 127.0.0.1
      grpc_port: {grpc}
      http_port: {http}
    - name: dummy
      tag: ai.app
      samples: 1
      dummy: '{TRACED_LOG}'
  filters:
    - name: ai_context
      match: 'ai*'
      redact: email, credit_card, secrets
    - name: ai_metrics
      match: 'ai*'
      interval: 2s
    - name: ai_sampling
      match: 'ai*'
      mode: tail
      decision_wait: 3s
      keep_errors: on
      keep_slower_than: 5s
      sampling_percentage: 50
  outputs:
    - name: multi_otlp
      match: 'ai*'
      endpoints: apm, llm
      endpoint.apm.url: http://127.0.0.1:{apm}
      endpoint.apm.content: drop
      endpoint.llm.url: http://127.0.0.1:{llm}
      endpoint.llm.protocol: grpc
      endpoint.llm.where: 'signal != \"span\" || \"gen_ai.operation.name\" in attributes'
",
        grpc = ports.grpc,
        http = ports.http,
    )
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("   | {line}")).collect::<Vec<_>>().join("\n")
}

/// What was sent.
#[derive(Default)]
struct Sent {
    spans: usize,
    metrics: usize,
    logs: usize,
}

async fn send(captures: &Path, ports: &Ports) -> Sent {
    let mut http = Client::connect(ports.http, false).await.expect("OTLP/HTTP");
    let mut grpc = Client::connect(ports.grpc, true).await.expect("OTLP/gRPC");
    let mut sent = Sent::default();
    for (name, requests) in replay::read_folder(captures) {
        let (mut spans, mut metrics, mut logs) = (0, 0, 0);
        for (index, captured) in requests.into_iter().enumerate() {
            let mut items = 0;
            crate::wire::items(&captured.body, |_| items += 1);
            match captured.path.as_str() {
                "/v1/traces" => spans += items,
                "/v1/metrics" => metrics += items,
                _ => logs += items,
            }
            let client = if index % 2 == 0 { &mut http } else { &mut grpc };
            let service = captured.service();
            client.send(&captured.path, service, captured.body).await.expect("accepted");
        }
        println!("   {name}: {spans} spans, {metrics} metrics, {logs} logs");
        sent.spans += spans;
        sent.metrics += metrics;
        sent.logs += logs;
    }
    println!("   and one ordinary log line with a trace id in its body");
    sent
}

/// What an endpoint got, as a person would want to see it.
#[derive(Default)]
struct View {
    spans: usize,
    kept: BTreeMap<String, usize>,
    calls: BTreeMap<String, usize>,
    removed: usize,
    with_content: usize,
    captured_metrics: usize,
    /// By what is printed of them, the last value of each series.
    model_metrics: BTreeMap<String, BTreeMap<String, f64>>,
    logs: usize,
    tied: usize,
}

impl View {
    fn of(received: &ReceivedRequests) -> Self {
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

    fn print(&self, name: &str) {
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

fn count_logs(view: &mut View, logs: &[opentelemetry_proto::tonic::logs::v1::LogRecord]) {
    view.logs += logs.len();
    view.tied += logs.iter().filter(|log| log.trace_id.len() == 16).count();
}

fn text_of(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|pair| pair.key == key)?.value.as_ref()?.value.as_ref()?;
    match value {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

fn print_counters(text: &str) {
    println!("\n6. The plugins' own counters, as the host's metrics show them:");
    for line in text.lines().filter(|line| line.starts_with("fluentbit_ai_")) {
        if !line.contains(" 0 ") && !line.ends_with(" 0") {
            println!("   {line}");
        }
    }
}

/// Whether everything is accounted for.
fn verdict(sent: &Sent, received: &[View; 2], code: Option<i32>, log: &str) {
    let [apm, llm] = received;
    println!("\n7. The sums:");
    println!(
        "   spans sent {}, kept at apm {}, sampled away {}",
        sent.spans,
        apm.spans,
        sent.spans - apm.spans.min(sent.spans)
    );
    println!(
        "   metrics sent {}, at apm {}, at llm {}",
        sent.metrics, apm.captured_metrics, llm.captured_metrics
    );
    println!("   logs sent {} + 1, at apm {}, at llm {}", sent.logs, apm.logs, llm.logs);
    let problems: Vec<String> = [
        (apm.spans == 0 || apm.spans > sent.spans, "spans at apm"),
        (llm.spans > apm.spans, "spans at llm"),
        (apm.captured_metrics != sent.metrics, "metrics at apm"),
        (llm.captured_metrics != sent.metrics, "metrics at llm"),
        (apm.logs != sent.logs + 1, "logs at apm"),
        (llm.logs != sent.logs + 1, "logs at llm"),
        (apm.with_content > 0, "prompts at apm, where content is dropped"),
        (apm.model_metrics.is_empty(), "model metrics"),
        (code != Some(0), "the host's exit code"),
    ]
    .into_iter()
    .filter(|(wrong, _)| *wrong)
    .map(|(_, what)| what.to_owned())
    .collect();
    if problems.is_empty() {
        println!("   everything is accounted for");
    } else {
        panic!("not as it should be: {}\nthe host's log:\n{log}", problems.join(", "));
    }
}
