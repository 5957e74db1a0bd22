//! The state of a model server and its GPU, on hosts: metrics of the server and of NVIDIA's exporter come in, and a
//! span of the server's pod gets what they say.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tokio::task::block_in_place;

use crate::arrived::span_attributes;
use crate::client::Client;
use crate::hosts::{RunningHost, free_port};
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

const TIME: u64 = 1_700_000_000_000_000_000;
const SECOND: u64 = 1_000_000_000;
const PREFIX: &str = "fluentbit.ai.server.";

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn texts(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let text =
        |(key, value): &(&str, &str)| attribute(key, Value::StringValue((*value).to_owned()));
    pairs.iter().map(text).collect()
}

fn resource(pairs: &[(&str, &str)]) -> Option<Resource> {
    Some(Resource { attributes: texts(pairs), ..Resource::default() })
}

/// Gauges of one resource, each with one point of these labels.
fn gauges(of: &[(&str, &str)], labels: &[(&str, &str)], values: &[(&str, f64)]) -> ResourceMetrics {
    let gauge = |(name, value): &(&str, f64)| {
        let point = NumberDataPoint {
            attributes: texts(labels),
            time_unix_nano: TIME,
            value: Some(number_data_point::Value::AsDouble(*value)),
            ..NumberDataPoint::default()
        };
        let data = Some(Data::Gauge(Gauge { data_points: vec![point] }));
        Metric { name: (*name).to_owned(), data, ..Metric::default() }
    };
    let metrics = values.iter().map(gauge).collect();
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    ResourceMetrics { resource: resource(of), scope_metrics, ..ResourceMetrics::default() }
}

const POD: [(&str, &str); 3] =
    [("k8s.namespace.name", "ai"), ("k8s.pod.name", "vllm-0"), ("service.name", "vllm")];

fn metrics() -> Vec<u8> {
    let server = gauges(
        &POD,
        &[("engine", "0"), ("model_name", "llama")],
        &[
            ("vllm:num_requests_waiting", 12.0),
            ("vllm:num_requests_running", 64.0),
            ("vllm:kv_cache_usage_perc", 0.875),
        ],
    );
    let gpu = gauges(
        &[("service.name", "dcgm-exporter")],
        &[("gpu", "0"), ("Hostname", "node-1"), ("namespace", "ai"), ("pod", "vllm-0")],
        &[
            ("DCGM_FI_DEV_GPU_UTIL", 50.0),
            ("DCGM_FI_DEV_FB_USED", 1024.0),
            ("DCGM_FI_DEV_POWER_USAGE", 512.5),
        ],
    );
    ExportMetricsServiceRequest { resource_metrics: vec![server, gpu] }.encode_to_vec()
}

/// A span of vLLM in this pod.
fn span(number: u8, pod: &[(&str, &str)]) -> Vec<u8> {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![number; 8],
        name: "llm_request".to_owned(),
        start_time_unix_nano: TIME + SECOND,
        end_time_unix_nano: TIME + 3 * SECOND,
        attributes: vec![attribute("gen_ai.latency.e2e", Value::DoubleValue(2.0))],
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let spans = ResourceSpans { resource: resource(pod), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![spans] }.encode_to_vec()
}

/// Scenario: metrics of a model server and of its GPU, then a span of its pod and one of another. Guarantees: the first
/// has the state, the second has none, and the metrics arrive too.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_state_of_a_server_arrives_on_its_spans() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Requests).await;
        let http = free_port();
        let pipeline = Pipeline::default()
            .otlp_in(http, 0)
            .filter(&["name: ai_context", "match: 'ai*'", "server_state: on"])
            .otlp_out(&[("sink", sink.port, "http/protobuf")]);
        let running =
            block_in_place(|| RunningHost::start(&host, &pipeline.yaml(plugins.path()), http));
        let mut client = Client::connect(http, false).await.unwrap();
        let service = TelemetryShape::Genai.service();
        client.send("/v1/metrics", service, metrics()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let other = [("k8s.namespace.name", "ai"), ("k8s.pod.name", "vllm-1")];
        for request in [span(1, &POD), span(2, &other)] {
            client.send("/v1/traces", service, request).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        let state = [
            ("requests_waiting", Value::IntValue(12)),
            ("requests_running", Value::IntValue(64)),
            ("kv_cache_usage", Value::DoubleValue(0.875)),
            ("gpu_utilization", Value::DoubleValue(0.5)),
            ("gpu_memory", Value::IntValue(1 << 30)),
            ("gpu_power", Value::DoubleValue(512.5)),
        ];
        let state = state.map(|(name, value)| (name.to_owned(), value)).into();
        let expected = [(1, state), (2, BTreeMap::new())].into();
        assert_eq!(span_attributes(&sink, PREFIX), expected, "{what}: {log}");
        let received = sink.received.lock().unwrap();
        assert!(received.requests.contains_key("/v1/metrics"), "{what}: {log}");
    }
}
