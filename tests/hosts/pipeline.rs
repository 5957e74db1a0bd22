//! Every file of `fluent-bit-conf/`, and the whole pipeline on real telemetry.

use std::path::Path;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::equality::{captures, send_all};
use crate::hosts::{Host, RunningHost, free_port};
use crate::model_metrics::latest;
use crate::sink::{Keep, ReceivedRequests, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

/// Configurations that run at the same time: most of what one takes is the host's grace at its end.
const SIDE_BY_SIDE: usize = 4;

/// Scenario: each configuration that we ship, classic and YAML, beside its `plugins.conf`, with its
/// ports and paths replaced. Guarantees: every host starts with it, runs, and stops cleanly.
#[tokio::test(flavor = "multi_thread")]
async fn every_configuration_starts() {
    let _together = together();
    let sink = Sink::start(0, Keep::Numbers).await;
    let plugins = linked();
    let is_configuration = |(name, text): &(String, String)| {
        name != "plugins.conf" && (!name.ends_with(".yaml") || text.contains("pipeline:"))
    };
    let names: Vec<String> =
        shipped().into_iter().filter(is_configuration).map(|(name, _)| name).collect();
    assert!(names.len() > 10, "{names:?}");
    for host in all_hosts() {
        for names in names.chunks(SIDE_BY_SIDE) {
            std::thread::scope(|scope| {
                for name in names {
                    let (host, plugins) = (&host, plugins.path());
                    scope.spawn(move || starts(host, plugins, name, sink.port));
                }
            });
        }
        println!("{}: {} shipped configurations", host.title(), names.len());
    }
}

/// Starts a host with one of the files, and stops it.
fn starts(host: &Host, plugins: &Path, name: &str, to: u16) {
    let is_yaml = name.ends_with(".yaml");
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    for (other, text) in shipped() {
        let text = placed(&text, plugins, folder.path(), port, to);
        std::fs::write(folder.path().join(other), text).unwrap();
    }
    let file = folder.path().join(name);
    let mut text = std::fs::read_to_string(&file).unwrap();
    if text.contains("name: kafka") && !has_kafka(host) {
        text = without_kafka(&text, &host.title());
    }
    if let Some(at) =
        text.find("      message_key_field:").filter(|_| host.frees_the_key_of_kafka_twice())
    {
        let title = host.title();
        println!("{title} frees message_key_field twice at its end, as the file says: without it");
        let end = text[at..].find('\n').map_or(text.len(), |length| at + length + 1);
        text.replace_range(at..end, "");
    }
    if is_yaml && !text.contains("name: ai_otlp") {
        let probe = "    - name: ai_otlp\n      tag: probe\n      grpc_port: 0\n";
        let inputs = format!("  inputs:\n{probe}      http_port: {port}\n");
        text = text.replacen("  inputs:\n", &inputs, 1);
    }
    std::fs::write(file, text).unwrap();
    let running = RunningHost::start_file(host, folder, name, port, &[]);
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{} {name}: {log}", host.title());
    // There is no broker, and Kafka's client library says so.
    let is_wrong = |line: &str| line.contains("[error]") && !line.contains("kafka:kafka");
    assert!(!log.lines().any(is_wrong), "{} {name}: {log}", host.title());
}

/// The files of `fluent-bit-conf/`.
fn shipped() -> Vec<(String, String)> {
    let folder = testkit::root().join("fluent-bit-conf");
    let files = std::fs::read_dir(folder).unwrap().flatten().map(|entry| {
        let name = entry.file_name().into_string().unwrap();
        (name, std::fs::read_to_string(entry.path()).unwrap())
    });
    files.collect()
}

/// A file's text with the places of this run in it.
fn placed(text: &str, plugins: &Path, folder: &Path, port: u16, sink: u16) -> String {
    let receiver = format!("127.0.0.1:{sink}");
    text.replace("127.0.0.1:14318", &receiver)
        .replace("127.0.0.1:14317", &receiver)
        .replace("127.0.0.1:24317", &receiver)
        .replace("/opt/fluent-bit-ai", &plugins.to_string_lossy())
        .replace("config_file: fluent-bit-conf/", &format!("config_file: {}/", folder.display()))
        .replace("http_port: 4318", &format!("http_port: {port}"))
        .replace("http_port  4318", &format!("http_port  {port}"))
        .replace("grpc_port: 4317", &format!("grpc_port: {}", free_port()))
        .replace("grpc_port  4317", &format!("grpc_port  {}", free_port()))
        .replace("127.0.0.1:9092", &format!("127.0.0.1:{}", free_port()))
}

/// Whether a host has the built-in plugins for Kafka.
fn has_kafka(host: &Host) -> bool {
    let help = std::process::Command::new(&host.executable).arg("--help").output().unwrap();
    host.arguments.is_empty() && String::from_utf8_lossy(&help.stdout).contains("  kafka ")
}

/// The configuration for a host without Kafka's plugins, with ours in their place, so that all the
/// rest of it is run. Says so.
fn without_kafka(text: &str, host: &str) -> String {
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
    out
}

/// Scenario: the pipeline of the README on real captures. Guarantees: spans arrive under the
/// current conventions, model metrics are made and tokens are counted once, errors are kept.
#[tokio::test(flavor = "multi_thread")]
async fn the_whole_pipeline_on_real_telemetry() {
    let _together = together();
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
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
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
        let operations = operations(&received);
        assert!(operations >= 10.0, "{}: {operations} operations\n{log}", host.title());
    }
}

/// Scenario: `ai_metrics` with `emit_as: native` on real captures, and the host's own `stdout`.
/// Guarantees: the model metrics are the host's own, which its output prints, and arrive as OTLP.
#[tokio::test(flavor = "multi_thread")]
async fn model_metrics_in_the_host_s_own_form() {
    let _together = together();
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
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        send_all(&captures[..], http, grpc).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        // As a record it would be a map with this key.
        assert!(!log.contains("data_points"), "{}: {log}", host.title());
        let received = sink.received.lock().unwrap();
        let operations = operations(&received);
        assert!(operations >= 10.0, "{}: {operations} operations\n{log}", host.title());
    }
}

/// The sum of our operation counter.
fn operations(received: &ReceivedRequests) -> f64 {
    latest(received, "gen_ai.client.operation.count").iter().map(|point| point.sum).sum()
}
