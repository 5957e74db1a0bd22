//! Without filters, what arrives equals what was sent, message by message.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::client::Client;
use crate::hosts::{RunningHost, free_port};
use crate::replay::{self, Captured};
use crate::sink::{Keep, ReceivedRequests, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

/// Every item of requests with its resource and scope, in a form that can be compared.
pub fn flat(path: &str, requests: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<String> {
    let mut items = Vec::new();
    for request in requests {
        let request = request.as_ref();
        match path {
            "/v1/traces" => {
                for resource in ExportTraceServiceRequest::decode(request).unwrap().resource_spans {
                    let outer = format!("{:?} {:?}", resource.resource, resource.schema_url);
                    for scope in resource.scope_spans {
                        let inner = format!("{:?} {:?}", scope.scope, scope.schema_url);
                        items.extend(
                            scope.spans.iter().map(|item| format!("{outer} {inner} {item:?}")),
                        );
                    }
                }
            }
            "/v1/metrics" => {
                for resource in
                    ExportMetricsServiceRequest::decode(request).unwrap().resource_metrics
                {
                    let outer = format!("{:?} {:?}", resource.resource, resource.schema_url);
                    for scope in resource.scope_metrics {
                        let inner = format!("{:?} {:?}", scope.scope, scope.schema_url);
                        items.extend(
                            scope.metrics.iter().map(|item| format!("{outer} {inner} {item:?}")),
                        );
                    }
                }
            }
            _ => {
                for resource in ExportLogsServiceRequest::decode(request).unwrap().resource_logs {
                    let outer = format!("{:?} {:?}", resource.resource, resource.schema_url);
                    for scope in resource.scope_logs {
                        let inner = format!("{:?} {:?}", scope.scope, scope.schema_url);
                        items.extend(
                            scope
                                .log_records
                                .iter()
                                .map(|item| format!("{outer} {inner} {item:?}")),
                        );
                    }
                }
            }
        }
    }
    items.sort();
    items
}

pub fn captures() -> Vec<Captured> {
    let folder = testkit::root().join("tests/data/genai");
    let captures: Vec<Captured> =
        replay::read_folder(&folder).into_iter().flat_map(|(_, requests)| requests).collect();
    assert!(captures.len() > 20);
    captures
}

/// Captures that Fluent Bit's own OTLP input takes on every release: others end some of them.
pub fn captures_for_stock() -> Vec<Captured> {
    const NAMES: [&str; 4] = [
        "litellm-",
        "openinference-openai-0.",
        "otel-instrumentation-genai-openai-",
        "traceloop-sdk-0.62.4.otlp",
    ];
    let folder = testkit::root().join("tests/data/genai");
    let captures: Vec<Captured> = replay::read_folder(&folder)
        .into_iter()
        .filter(|(name, _)| NAMES.iter().any(|start| name.starts_with(start)))
        .flat_map(|(_, requests)| requests)
        .collect();
    assert!(captures.len() > 20);
    captures
}

/// The items of the captures of one path.
pub fn sent(captures: &[Captured], path: &str, times: usize) -> Vec<String> {
    let of_path = captures.iter().filter(|captured| captured.path == path);
    let once: Vec<&[u8]> = of_path.map(|captured| captured.body.as_slice()).collect();
    let mut items = Vec::new();
    for _ in 0..times {
        items.extend(flat(path, &once));
    }
    items.sort();
    items
}

pub fn arrived(received: &ReceivedRequests, path: &str) -> Vec<String> {
    flat(path, received.requests.get(path).into_iter().flatten())
}

pub async fn send_all(captures: &[Captured], http: u16, grpc: u16) {
    for (port, over_grpc) in [(http, false), (grpc, true)] {
        let mut client = Client::connect(port, over_grpc).await.unwrap();
        for captured in captures {
            client
                .send(&captured.path, captured.service(), captured.body.clone())
                .await
                .unwrap_or_else(|problem| panic!("{}: {problem}", captured.path));
        }
    }
}

/// Scenario: real captures of all signals over both transports, to an HTTP and a gRPC endpoint.
/// Guarantees: each endpoint gets each message once, equal to what was sent.
#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_equals_what_was_sent() {
    let _together = together();
    let plugins = linked();
    let captures = captures();
    for host in all_hosts() {
        let sinks = [Sink::start(0, Keep::Requests).await, Sink::start(0, Keep::Requests).await];
        let (http, grpc) = (free_port(), free_port());
        let pipeline = Pipeline::default()
            .otlp_in(http, grpc)
            .otlp_out(&[("one", sinks[0].port, "http/protobuf"), ("two", sinks[1].port, "grpc")]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        send_all(&captures, http, grpc).await;
        let total = ["/v1/traces", "/v1/metrics", "/v1/logs"]
            .map(|path| sent(&captures, path, 2).len())
            .iter()
            .sum::<usize>();
        for sink in &sinks {
            sink.settle(total as u64, Duration::from_secs(8), Duration::from_secs(20)).await;
        }
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        for sink in &sinks {
            let received = sink.received.lock().unwrap();
            for path in ["/v1/traces", "/v1/metrics", "/v1/logs"] {
                let (left, right) = (sent(&captures, path, 2), arrived(&received, path));
                let same = left == right;
                assert!(
                    same,
                    "{} {path}: sent {} arrived {}; first difference: {:?}\n{log}",
                    host.release,
                    left.len(),
                    right.len(),
                    left.iter().zip(&right).find(|(left, right)| left != right)
                );
            }
        }
    }
}
