//! `format: native`: what comes in as OTLP is in the host's own form, and goes out again.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point,
};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use prost::Message;

use crate::client::Client;
use crate::equality::arrived;
use crate::expected;
use crate::generate;
use crate::hosts::{Host, RunningHost, free_port};
use crate::sink::{Keep, ReceivedRequests, Sink};
use crate::support::{Pipeline, all_hosts, bundled, linked, real_hosts, run, text, together};

const TRACES: (&str, &str) = ("/v1/traces", "trace.v1.TraceService");
const METRICS: (&str, &str) = ("/v1/metrics", "metrics.v1.MetricsService");
const LOGS: (&str, &str) = ("/v1/logs", "logs.v1.LogsService");

fn generated<T>(count: usize, strategy: impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

fn text_value(text: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.to_owned())) }
}

/// A log for each kind of body.
fn logs() -> ExportLogsServiceRequest {
    let pair = |key: &str, value: Value| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    };
    let bodies = [
        Some(Value::StringValue("text".to_owned())),
        Some(Value::IntValue(1 << 40)),
        Some(Value::BytesValue(vec![0, 255])),
        Some(Value::ArrayValue(ArrayValue { values: vec![text_value("a")] })),
        Some(Value::KvlistValue(KeyValueList {
            values: vec![pair("log", Value::BoolValue(true)), pair("b", Value::DoubleValue(0.5))],
        })),
        None,
    ];
    let records = bodies.into_iter().enumerate().map(|(index, body)| LogRecord {
        time_unix_nano: 1_700_000_000_000_000_001 + index as u64,
        observed_time_unix_nano: 1_700_000_000_000_000_777,
        severity_number: [9, 10, 11, 12, 13, 14][index],
        severity_text: "INFO".to_owned(),
        body: body.map(|value| AnyValue { value: Some(value) }),
        attributes: vec![
            pair("bytes", Value::BytesValue(vec![1, 2])),
            pair("n", Value::IntValue(-(1 << 50))),
        ],
        dropped_attributes_count: 3,
        flags: 0x301,
        trace_id: vec![7; 16],
        span_id: vec![8; 8],
        event_name: "event".to_owned(),
    });
    let mut request = generated(
        1,
        generate::logs().prop_filter("all", |logs| {
            logs.resource_logs.iter().any(|outer| {
                !outer.scope_logs.is_empty()
                    && outer.resource.is_some()
                    && !outer.schema_url.is_empty()
            })
        }),
    )
    .remove(0);
    request.resource_logs.retain(|outer| !outer.scope_logs.is_empty() && outer.resource.is_some());
    request.resource_logs.truncate(1);
    let outer = &mut request.resource_logs[0];
    outer.scope_logs.truncate(1);
    outer.scope_logs[0].scope = Some(Default::default());
    outer.scope_logs[0].scope.as_mut().unwrap().name = "scope".to_owned();
    outer.scope_logs[0].log_records = records.collect();
    request
}

async fn send(port: u16, (path, service): (&str, &str), body: Vec<u8>) {
    let service = format!("/opentelemetry.proto.collector.{service}/Export");
    let mut client = Client::connect(port, false).await.unwrap();
    client.send(path, &service, body).await.unwrap_or_else(|problem| panic!("{path}: {problem}"));
}

fn native(http: u16, grpc: u16) -> Pipeline {
    Pipeline::default().otlp_in(http, grpc).input_option("format: native")
}

fn requests<'a>(received: &'a ReceivedRequests, path: &str) -> impl Iterator<Item = &'a [u8]> {
    received.requests.get(path).into_iter().flatten().map(AsRef::as_ref)
}

fn spans(received: &ReceivedRequests) -> Vec<String> {
    let decode = |bytes| ExportTraceServiceRequest::decode(bytes).unwrap();
    let mut spans: Vec<String> = requests(received, "/v1/traces")
        .flat_map(|bytes| expected::flat_traces(&decode(bytes)))
        .collect();
    spans.sort();
    spans
}

fn points(received: &ReceivedRequests) -> Vec<String> {
    let decode = |bytes| ExportMetricsServiceRequest::decode(bytes).unwrap();
    let mut points: Vec<String> = requests(received, "/v1/metrics")
        .flat_map(|bytes| expected::flat_metrics(decode(bytes)))
        .collect();
    points.sort();
    points
}

fn same(host: &Host, what: &str, expected: &[String], got: &[String], log: &str) {
    assert!(
        expected == got,
        "{} {what}: {} expected, {} arrived; first difference: {:#?}\n{log}",
        host.title(),
        expected.len(),
        got.len(),
        expected.iter().zip(got).find(|(left, right)| left != right)
    );
}

/// Scenario: generated spans and metrics, and logs of every kind, through the host's own form.
/// Guarantees: what `docs/NATIVE.md` says is kept arrives, field by field, on every host; and the
/// host's own `stdout` output reads every context.
#[tokio::test(flavor = "multi_thread")]
async fn the_host_s_own_form_keeps_what_the_table_says() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let release = expected::release(&host.release);
        let sink = Sink::start(0, Keep::Requests).await;
        let (http, grpc) = (free_port(), free_port());
        let pipeline = native(http, grpc).output(&["name: stdout", "match: '*'"]).otlp_out(&[(
            "one",
            sink.port,
            "http/protobuf",
        )]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        let (mut all_spans, mut all_points) = (Vec::new(), Vec::new());
        for request in generated(25, generate::traces()) {
            send(http, TRACES, request.encode_to_vec()).await;
            all_spans.extend(expected::traces(request, release));
        }
        for request in generated(25, generate::metrics()) {
            let request = expected::sensible(request);
            send(http, METRICS, request.encode_to_vec()).await;
            all_points.extend(expected::metrics(request, release));
        }
        let logs = logs();
        send(http, LOGS, logs.encode_to_vec()).await;
        let total = all_spans.len() + all_points.len() + 6;
        sink.settle(total as u64, Duration::from_secs(5), Duration::from_secs(20)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        for complaint in ["decode", "corrupt", "[error]"] {
            let line = log.lines().find(|line| line.contains(complaint) && line.contains("] ["));
            assert!(line.is_none(), "{}: {line:?}", host.title());
        }
        let received = sink.received.lock().unwrap();
        all_spans.sort();
        all_points.sort();
        let short: String = log.lines().filter(|line| line.contains("multi_otlp")).collect();
        same(&host, "spans", &all_spans, &spans(&received), &short);
        same(&host, "points", &all_points, &points(&received), &short);
        let mut sent = crate::equality::flat("/v1/logs", [logs.encode_to_vec()]);
        sent.sort();
        same(&host, "logs", &sent, &arrived(&received, "/v1/logs"), &short);
    }
}

/// Scenario: the host's own `opentelemetry` output behind `format: native`. Guarantees: it reads
/// every span and every data point that came in.
#[tokio::test(flavor = "multi_thread")]
async fn the_stock_output_reads_what_is_appended() {
    let _together = together();
    let plugins = linked();
    let captures = crate::equality::captures();
    for host in real_hosts() {
        let sink = Sink::start(0, Keep::Requests).await;
        let (http, grpc) = (free_port(), free_port());
        let pipeline = native(http, grpc).output(&[
            "name: opentelemetry",
            "match: '*'",
            "host: 127.0.0.1",
            &format!("port: {}", sink.port),
        ]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        crate::equality::send_all(&captures, http, http).await;
        sink.settle(0, Duration::from_secs(4), Duration::from_secs(15)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        let received = sink.received.lock().unwrap();
        for path in ["/v1/traces", "/v1/logs"] {
            let sent = crate::equality::sent(&captures, path, 2).len();
            assert_eq!(arrived(&received, path).len(), sent, "{} {path}: {log}", host.title());
        }
        let sent: usize = captures
            .iter()
            .filter(|captured| captured.path == "/v1/metrics")
            .map(|captured| {
                let request = ExportMetricsServiceRequest::decode(&captured.body[..]).unwrap();
                2 * expected::metrics(request, expected::release(&host.release)).len()
            })
            .sum();
        assert!(sent > 0);
        assert_eq!(points(&received).len(), sent, "{}: {log}", host.title());
    }
}

/// Scenario: processors of the host's own at the input. Guarantees: they see and change spans and
/// metrics, and nothing is lost, doubled or freed twice.
#[tokio::test(flavor = "multi_thread")]
async fn processors_of_the_host_see_native_telemetry() {
    let _together = together();
    let plugins = linked();
    for host in real_hosts() {
        let release = expected::release(&host.release);
        let sink = Sink::start(0, Keep::Requests).await;
        let (http, grpc) = (free_port(), free_port());
        let pipeline = [
            "processors:",
            "  traces:",
            "    - name: content_modifier",
            "      context: span_attributes",
            "      action: insert",
            "      key: was.here",
            "      value: spans",
            "  metrics:",
            "    - name: labels",
            "      insert: was_here metrics",
        ]
        .into_iter()
        .fold(native(http, grpc), Pipeline::input_option)
        .otlp_out(&[("one", sink.port, "grpc")]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        let (mut sent_spans, mut sent_points) = (0, 0);
        for request in generated(25, generate::traces()) {
            send(http, TRACES, request.encode_to_vec()).await;
            sent_spans += expected::traces(request, release).len();
        }
        for request in [1_u64, 2, 3].map(counters) {
            send(http, METRICS, request.encode_to_vec()).await;
            sent_points += expected::metrics(request, release).len();
        }
        sink.settle(0, Duration::from_secs(4), Duration::from_secs(15)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        let received = sink.received.lock().unwrap();
        let spans = spans(&received);
        assert_eq!(spans.len(), sent_spans, "{}: {log}", host.title());
        assert!(spans.iter().all(|span| span.contains("was.here")), "{}", host.title());
        let points = points(&received);
        assert_eq!(points.len(), sent_points, "{}: {log}", host.title());
        assert!(points.iter().all(|point| point.contains("was_here")), "{}", host.title());
    }
}

/// Scenario: a processor that copies every metric, and points of one metric of which some lack
/// attributes that others have, among them real captures. Guarantees: all points get through it
/// from 5.0.5 on; before, where a host fails to copy such metrics, their senders are told at once.
#[tokio::test(flavor = "multi_thread")]
async fn points_with_different_attributes_pass_the_labels_processor() {
    let _together = together();
    let plugins = linked();
    let mut requests: Vec<ExportMetricsServiceRequest> = crate::equality::captures()
        .into_iter()
        .filter(|captured| captured.path == METRICS.0)
        .map(|captured| ExportMetricsServiceRequest::decode(&captured.body[..]).unwrap())
        .collect();
    requests.push(uneven());
    for host in real_hosts() {
        let release = expected::release(&host.release);
        let sink = Sink::start(0, Keep::Requests).await;
        let (http, grpc) = (free_port(), free_port());
        let pipeline =
            ["processors:", "  metrics:", "    - name: labels", "      insert: was_here metrics"]
                .into_iter()
                .fold(native(http, grpc), Pipeline::input_option)
                .otlp_out(&[("one", sink.port, "grpc")]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        let (mut sent, mut refused) = (0, 0);
        let service = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
        let mut client = Client::connect(http, false).await.unwrap();
        for request in &requests {
            match client.send(METRICS.0, service, request.encode_to_vec()).await {
                Ok(()) => sent += expected::metrics(request.clone(), release).len(),
                Err(message) => {
                    assert!(message.starts_with("500"), "{}: {message}", host.title());
                    refused += 1;
                }
            }
        }
        assert!(sent > 0 && (release < (5, 0, 5) || refused == 0), "{}: {refused}", host.title());
        sink.settle(sent as u64, Duration::from_secs(4), Duration::from_secs(15)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        let received = sink.received.lock().unwrap();
        let points = points(&received);
        assert_eq!(points.len(), sent, "{}: {log}", host.title());
        // The processor leaves exponential histograms as they are.
        let has_label =
            |point: &String| point.contains("was_here") || point.contains("Exponential");
        assert!(points.iter().all(has_label), "{}", host.title());
    }
}

/// A counter of which the second and the third point have fewer and other attributes.
fn uneven() -> ExportMetricsServiceRequest {
    let mut request = counters(4);
    let metric = &mut request.resource_metrics[0].scope_metrics[0].metrics[0];
    let Some(Data::Sum(sum)) = &mut metric.data else { panic!("{metric:?}") };
    let point = sum.data_points[0].clone();
    for keys in [&["a", "b", "shard"][..], &["b"]] {
        let attributes = keys.iter().map(|key| KeyValue {
            key: (*key).to_owned(),
            value: Some(text_value("x")),
            ..KeyValue::default()
        });
        let attributes = attributes.collect();
        sum.data_points.push(NumberDataPoint { attributes, ..point.clone() });
    }
    request
}

/// Scenario: a processor of the host's that fails on a request, each time. Guarantees: the sender is
/// told so in words and not to send again, the refusal is counted, and other requests get through.
#[tokio::test(flavor = "multi_thread")]
async fn what_processors_fail_on_is_refused_for_good() {
    let _together = together();
    let plugins = linked();
    for host in real_hosts() {
        let sink = Sink::start(0, Keep::Requests).await;
        let (http, grpc) = (free_port(), free_port());
        let pipeline = [
            "processors:",
            "  traces:",
            "    - name: content_modifier",
            "      context: span_attributes",
            "      action: convert",
            "      key: n",
            "      converted_type: int",
        ]
        .into_iter()
        .fold(native(http, grpc), Pipeline::input_option)
        .otlp_out(&[("one", sink.port, "grpc")]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        let mut request = generated(1, generate::traces().prop_filter("one", one_span)).remove(0);
        let mut client = Client::connect(http, false).await.unwrap();
        let service = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        let list = ArrayValue { values: vec![text_value("a")] };
        for (value, passes) in
            [(Value::ArrayValue(list), false), (Value::StringValue("7".to_owned()), true)]
        {
            let value = Some(AnyValue { value: Some(value) });
            let attributes = vec![KeyValue { key: "n".to_owned(), value, ..KeyValue::default() }];
            for scope in &mut request.resource_spans[0].scope_spans {
                scope.spans.iter_mut().for_each(|span| span.attributes.clone_from(&attributes));
            }
            let answer = client.send(TRACES.0, service, request.encode_to_vec()).await;
            assert_eq!(answer.is_ok(), passes, "{}: {answer:?}", host.title());
            if let Err(problem) = answer {
                let message = problem.to_string();
                assert!(message.contains("500") && message.contains("processor"), "{message}");
            }
        }
        sink.settle(1, Duration::from_secs(4), Duration::from_secs(15)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        assert!(log.contains("a processor of the input failed"), "{}: {log}", host.title());
        let received = sink.received.lock().unwrap();
        assert!(!spans(&received).is_empty(), "{}: {log}", host.title());
    }
}

/// All spans are in the first resource.
fn one_span(request: &ExportTraceServiceRequest) -> bool {
    let spans = |scopes: &[opentelemetry_proto::tonic::trace::v1::ScopeSpans]| {
        scopes.iter().map(|scope| scope.spans.len()).sum::<usize>()
    };
    matches!(&request.resource_spans[..], [first] if spans(&first.scope_spans) > 0)
}

/// Two scopes with a counter each, of which every point has one attribute.
fn counters(time: u64) -> ExportMetricsServiceRequest {
    let point = NumberDataPoint {
        attributes: vec![KeyValue {
            key: "shard".to_owned(),
            value: Some(text_value("one")),
            ..KeyValue::default()
        }],
        time_unix_nano: 1_700_000_000_000_000_000 + time,
        value: Some(number_data_point::Value::AsInt(7)),
        ..NumberDataPoint::default()
    };
    let sum = Sum { data_points: vec![point], aggregation_temporality: 2, is_monotonic: true };
    let metric =
        Metric { name: "served".to_owned(), data: Some(Data::Sum(sum)), ..Metric::default() };
    let scope = ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() };
    let resource =
        ResourceMetrics { scope_metrics: vec![scope.clone(), scope], ..Default::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![resource] }
}

/// Scenario: a filter of ours beside `format: native`, and a host that cannot append contexts.
/// Guarantees: the first is said once in words, the second is refused in words.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_said() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let (http, grpc) = (free_port(), free_port());
        let pipeline = native(http, grpc)
            .filter(&["name: ai_context", "match: '*'"])
            .output(&["name: 'null'", "match: '*'"]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        let said = log.matches("do not see the traces and metrics").count();
        assert_eq!(said, 1, "{}: {log}", host.title());
    }
    let host = bundled("5.1.0");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("host.yaml");
    std::fs::write(&file, native(free_port(), free_port()).yaml(plugins.path())).unwrap();
    let path = file.to_string_lossy();
    let output = run(&host, &["--lacks", "flb_input_chunk_append_raw", "-c", &path]);
    assert!(!output.status.success());
    let log = text(&output);
    assert!(log.contains("option 'format': 'native'"), "{log}");
    assert!(log.contains("flb_input_chunk_append_raw"), "{log}");
}
