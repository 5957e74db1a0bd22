//! Every file of `fluent-bit-conf/`, and the whole pipeline on real telemetry.

use std::path::Path;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point};
use prost::Message;

use crate::equality::{captures, send_all};
use crate::hosts::{Host, Running, free_port};
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, alone, linked};

/// Scenario: each configuration that we ship, with its ports and paths replaced. Guarantees: every
/// host starts with it, runs, and stops cleanly.
#[tokio::test(flavor = "multi_thread")]
async fn every_configuration_starts() {
    let _alone = alone();
    let sink = Sink::start(0, Keep::Numbers).await;
    let plugins = linked();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fluent-bit-conf");
    for host in all_hosts() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            if !text.contains("pipeline:") {
                continue;
            }
            let port = free_port();
            let receiver = format!("127.0.0.1:{}", sink.port);
            let text = text
                .replace("127.0.0.1:14318", &receiver)
                .replace("127.0.0.1:14317", &receiver)
                .replace("127.0.0.1:24317", &receiver)
                .replace("/opt/fluent-bit-ai", &plugins.path().to_string_lossy())
                .replace("fluent-bit-conf/", &format!("{}/", folder.display()))
                .replace("http_port: 4318", &format!("http_port: {port}"))
                .replace("grpc_port: 4317", &format!("grpc_port: {}", free_port()));
            let broker = format!("127.0.0.1:{}", free_port());
            let text = text.replace("127.0.0.1:9092", &broker);
            let text = match text.contains("name: kafka") && !has_kafka(&host) {
                true => without_kafka(&text, &host.title(), plugins.path()),
                false => text,
            };
            let listens = text.contains("name: ai_otlp");
            let text = if listens {
                text
            } else {
                text.replacen(
                    "  inputs:\n",
                    &format!("  inputs:\n    - name: ai_otlp\n      tag: probe\n      http_port: {port}\n      grpc_port: 0\n"),
                    1,
                )
            };
            let text = text.replacen(
                "plugins:\n",
                &format!("plugins:\n  - {}/flb-in_ai_otlp.so\n", plugins.path().display()),
                usize::from(!listens),
            );
            let running = Running::start(&host, &text, port);
            let (code, log) = running.stop();
            assert_eq!(code, Some(0), "{} {}: {log}", host.title(), path.display());
            // There is no broker, and Kafka's client library says so.
            let is_wrong = |line: &str| line.contains("[error]") && !line.contains("kafka:kafka");
            assert!(!log.lines().any(is_wrong), "{} {}: {log}", host.title(), path.display());
        }
    }
}

/// Whether a host has the built-in plugins for Kafka.
fn has_kafka(host: &Host) -> bool {
    let help = std::process::Command::new(&host.executable).arg("--help").output().unwrap();
    host.arguments.is_empty() && String::from_utf8_lossy(&help.stdout).contains("  kafka ")
}

/// The configuration for a host without Kafka's plugins, with ours in their place, so that all the
/// rest of it is run. Says so.
fn without_kafka(text: &str, host: &str, plugins: &Path) -> String {
    println!("{host} has no plugins for Kafka: the rest of the configuration is run without them");
    let (mut out, mut inside, mut outputs) = (String::new(), false, false);
    for line in text.lines() {
        outputs |= line.trim() == "outputs:";
        if line.trim() == "- name: kafka" {
            inside = true;
            if outputs {
                let lines = ["    - name: multi_otlp", "      match: '*'"];
                let url = "      endpoint.instead.url: http://127.0.0.1:14318";
                out.extend(lines.iter().chain([&url]).map(|line| format!("{line}\n")));
            }
            continue;
        }
        inside &= line.starts_with("      ");
        if !inside {
            out.push_str(line);
            out.push('\n');
        }
    }
    let multi_otlp = format!("plugins:\n  - {}/flb-out_multi_otlp.so\n", plugins.display());
    match outputs && !out.contains("flb-out_multi_otlp.so") {
        true => out.replacen("plugins:\n", &multi_otlp, 1),
        false => out,
    }
}

/// Scenario: the pipeline of the README on real captures. Guarantees: spans arrive under the
/// current conventions, model metrics are made and tokens are counted once, errors are kept.
#[tokio::test(flavor = "multi_thread")]
async fn the_whole_pipeline_on_real_telemetry() {
    let _alone = alone();
    let plugins = linked();
    let captures = captures();
    for host in all_hosts() {
        let sink = Sink::start(0, Keep::Requests).await;
        let (http, grpc) = (free_port(), free_port());
        let pipeline = Pipeline::default()
            .otlp_in(http, grpc)
            .filter(&["name: ai_context", "match: 'ai*'", "redact: email, credit_card, secrets"])
            .filter(&["name: ai_metrics", "match: 'ai*'", "interval: 1s"])
            .filter(&[
                "name: ai_sampling",
                "match: 'ai*'",
                "mode: tail",
                "decision_wait: 1s",
                "keep_errors: on",
                "keep_slower_than: 5s",
                "sampling_percentage: 0",
            ])
            .otlp_out(&[("one", sink.port, "http/protobuf")]);
        let running = Running::start(&host, &pipeline.yaml(plugins.path()), http);
        send_all(&captures[..], http, grpc).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        let received = sink.received.lock().unwrap();
        let spans: Vec<_> = received
            .requests
            .get("/v1/traces")
            .into_iter()
            .flatten()
            .flat_map(|r| ExportTraceServiceRequest::decode(r.clone()).unwrap().resource_spans)
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans)
            .collect();
        assert!(!spans.is_empty(), "{}: {log}", host.title());
        for span in &spans {
            let policy = span.attributes.iter().any(|a| a.key == "fluentbit.ai.sampling.policy");
            assert!(policy, "{}: {span:?}", host.title());
        }
        assert!(
            spans.iter().any(|span| span.status.as_ref().is_some_and(|status| status.code == 2)),
            "{}: the error trace was not kept",
            host.title()
        );
        let operations = operations(received.requests.get("/v1/metrics").into_iter().flatten());
        assert!(operations >= 10.0, "{}: {operations} operations\n{log}", host.title());
    }
}

/// Scenario: `ai_metrics` with `emit_as: native` on real captures, and the host's own `stdout`.
/// Guarantees: the model metrics are the host's own, which its output prints, and arrive as OTLP.
#[tokio::test(flavor = "multi_thread")]
async fn model_metrics_in_the_host_s_own_form() {
    let _alone = alone();
    let plugins = linked();
    let captures = captures();
    for host in all_hosts() {
        let sink = Sink::start(0, Keep::Requests).await;
        let (http, grpc) = (free_port(), free_port());
        let pipeline = Pipeline::default()
            .otlp_in(http, grpc)
            .filter(&[
                "name: ai_metrics",
                "match: '*'",
                "interval: 1s",
                "emit_as: native",
                "tag: own",
            ])
            .output(&["name: stdout", "match: own"])
            .otlp_out(&[("one", sink.port, "http/protobuf")]);
        let running = Running::start(&host, &pipeline.yaml(plugins.path()), http);
        send_all(&captures[..], http, grpc).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        // As a record it would be a map with this key.
        assert!(!log.contains("data_points"), "{}: {log}", host.title());
        let received = sink.received.lock().unwrap();
        let operations = operations(received.requests.get("/v1/metrics").into_iter().flatten());
        assert!(operations >= 10.0, "{}: {operations} operations\n{log}", host.title());
    }
}

/// The sum of our operation counter.
fn operations<'a>(requests: impl Iterator<Item = &'a bytes::Bytes>) -> f64 {
    let metrics = requests
        .flat_map(|r| ExportMetricsServiceRequest::decode(r.clone()).unwrap().resource_metrics)
        .flat_map(|resource| resource.scope_metrics)
        .flat_map(|scope| scope.metrics)
        .filter(|metric| metric.name == "gen_ai.client.operation.count");
    metrics
        .filter_map(|metric| match metric.data {
            Some(Data::Sum(sum)) => Some(sum.data_points),
            _ => None,
        })
        .flatten()
        .map(|point| match point.value {
            Some(number_data_point::Value::AsInt(value)) => value as f64,
            Some(number_data_point::Value::AsDouble(value)) => value,
            None => 0.0,
        })
        .sum()
}
