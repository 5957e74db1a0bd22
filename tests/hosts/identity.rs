//! What is known of the pod arrives in the resource of each signal.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

use crate::client::Client;
use crate::hosts::{RunningHost, free_port};
use crate::sink::{Keep, ReceivedRequests, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

const UID: &str = "0a9d2f4e-6b1c-4d3a-9e57-2f8c1b7d6e50";

/// A pod's files as far as they are read, below a folder.
fn pod() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("etc/podinfo/labels", "pod-template-hash=\"7d9c5b6f4\"\nteam=\"a \\\"b\\\"\""),
        ("etc/podinfo/annotations", "resource.opentelemetry.io/service.version=\"2.1\""),
        ("proc/sys/kernel/hostname", "shop-7d9c5b6f4-x2x9z\n"),
        ("proc/self/cgroup", "0::/\n"),
        (
            "proc/self/mountinfo",
            &format!("9 8 0:1 /var/lib/kubelet/pods/{UID}/etc-hosts /etc/hosts rw - ext4 d rw\n"),
        ),
        ("var/run/secrets/kubernetes.io/serviceaccount/namespace", "store"),
    ] {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    root
}

/// A resource that says nothing but its service's name.
fn sender() -> Option<Resource> {
    let value = Some(AnyValue { value: Some(Value::StringValue("mine".to_owned())) });
    let name = KeyValue { key: "service.name".to_owned(), value, ..KeyValue::default() };
    Some(Resource { attributes: vec![name], ..Resource::default() })
}

/// A span, a metric and a log.
fn requests() -> [(&'static str, Vec<u8>); 3] {
    let span = Span {
        trace_id: vec![7; 16],
        span_id: vec![8; 8],
        name: "a span".to_owned(),
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let spans = ResourceSpans { resource: sender(), scope_spans, ..ResourceSpans::default() };
    let value = Some(number_data_point::Value::AsInt(1));
    let data_points = vec![NumberDataPoint { value, ..NumberDataPoint::default() }];
    let data = Some(metric::Data::Gauge(Gauge { data_points }));
    let metrics = vec![Metric { name: "a.metric".to_owned(), data, ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let metrics =
        ResourceMetrics { resource: sender(), scope_metrics, ..ResourceMetrics::default() };
    let log_records = vec![LogRecord { time_unix_nano: 1, ..LogRecord::default() }];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let logs = ResourceLogs { resource: sender(), scope_logs, ..ResourceLogs::default() };
    [
        ("/v1/traces", ExportTraceServiceRequest { resource_spans: vec![spans] }.encode_to_vec()),
        (
            "/v1/metrics",
            ExportMetricsServiceRequest { resource_metrics: vec![metrics] }.encode_to_vec(),
        ),
        ("/v1/logs", ExportLogsServiceRequest { resource_logs: vec![logs] }.encode_to_vec()),
    ]
}

/// The resources that have arrived at a path.
fn resources(received: &ReceivedRequests, path: &str) -> Vec<Resource> {
    let mut resources = Vec::new();
    for request in received.requests.get(path).into_iter().flatten() {
        let request = request.clone();
        match path {
            "/v1/traces" => {
                let request = ExportTraceServiceRequest::decode(request).unwrap();
                resources.extend(request.resource_spans.into_iter().filter_map(|one| one.resource));
            }
            "/v1/metrics" => {
                let request = ExportMetricsServiceRequest::decode(request).unwrap();
                resources
                    .extend(request.resource_metrics.into_iter().filter_map(|one| one.resource));
            }
            _ => {
                let request = ExportLogsServiceRequest::decode(request).unwrap();
                resources.extend(request.resource_logs.into_iter().filter_map(|one| one.resource));
            }
        }
    }
    resources
}

fn text<'a>(resource: &'a Resource, key: &str) -> Option<&'a str> {
    let mut pairs = resource.attributes.iter().filter(|pair| pair.key == key);
    let pair = pairs.next()?;
    assert!(pairs.next().is_none(), "{key} is there once");
    match pair.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// Scenario: spans, metrics and logs by OTLP, and a container's log of another pod, through a host that runs in a
/// pod. Guarantees: all that came by OTLP have the pod's attributes and the sender's service name; the other pod's
/// log has its own. The filter stands twice, and the second one finds nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn every_signal_says_which_pod_it_came_from() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let (root, title) = (pod(), host.title());
        let sink = Sink::start(0, Keep::Requests).await;
        let port = free_port();
        let root = format!("identify_root: {}", root.path().display());
        let filter =
            ["name: ai_context", "match: '*'", "identify: k8s, host, kubernetes_filter", &root];
        let other = "dummy: '{\"log\": \"a line\", \"kubernetes\": {\"pod_name\": \"cart-1\", \"namespace_name\": \"store\"}}'";
        let pipeline = Pipeline::default()
            .otlp_in(port, 0)
            .input(&["name: dummy", "tag: kube.cart", "samples: 1", other])
            .filter(&filter)
            .filter(&filter)
            .otlp_out(&[("one", sink.port, "http/protobuf")]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), port);
        let mut client = Client::connect(port, false).await.unwrap();
        for (path, body) in requests() {
            client.send(path, "", body).await.unwrap();
        }
        sink.settle(4, Duration::from_secs(3), Duration::from_secs(12)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{title}: {log}");
        assert!(log.contains("identify: resources get "), "{title}: {log}");
        assert!(log.contains("do not pass filters"), "{title}: {log}");
        let received = sink.received.lock().unwrap();
        for path in ["/v1/traces", "/v1/metrics", "/v1/logs"] {
            let mut resources = resources(&received, path);
            if path == "/v1/logs" {
                let of_other =
                    |resource: &Resource| text(resource, "k8s.pod.name") == Some("cart-1");
                let others: Vec<Resource> = resources.extract_if(.., |one| of_other(one)).collect();
                assert_eq!(others.len(), 1, "{title}: {log}");
                assert_eq!(text(&others[0], "k8s.pod.uid"), None, "{title}");
                assert_eq!(text(&others[0], "k8s.deployment.name"), None, "{title}");
            }
            assert!(!resources.is_empty(), "{title} {path}: {log}");
            for resource in &resources {
                for (key, value) in [
                    ("service.name", "mine"),
                    ("k8s.pod.name", "shop-7d9c5b6f4-x2x9z"),
                    ("k8s.pod.uid", UID),
                    ("k8s.namespace.name", "store"),
                    ("k8s.deployment.name", "shop"),
                    ("k8s.pod.label.team", "a \"b\""),
                ] {
                    assert_eq!(text(resource, key), Some(value), "{title} {path}: {resource:?}");
                }
                assert_eq!(
                    text(resource, "service.version"),
                    None,
                    "{title}: that of another service"
                );
            }
        }
        println!("{title}: every signal says which pod it came from");
    }
}
