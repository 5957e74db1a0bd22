//! Where the time of a model call went, on hosts: the spans of an application, of LiteLLM and of vLLM come from
//! three senders, and the parts arrive on the application's span and as a metric.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tokio::task::block_in_place;

use crate::arrived::span_attributes;
use crate::client::Client;
use crate::hosts::{RunningHost, free_port};
use crate::model_metrics::latest;
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

/// When the call begins by the application's clock.
const TIME: u64 = 1_700_000_000_000_000_000;
const MILLI: u64 = 1_000_000;
const PREFIX: &str = "fluentbit.ai.latency.";

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn seconds(name: &str, value: f64) -> KeyValue {
    attribute(&format!("gen_ai.latency.{name}"), Value::DoubleValue(value))
}

/// A span by its number, that of its parent, name and kind; its time in milliseconds after the call began, by a
/// clock that is `skew` seconds late.
fn span(
    (number, parent): (u8, u8),
    (name, kind): (&str, SpanKind),
    (start, end, skew): (u64, u64, u64),
    attributes: Vec<KeyValue>,
) -> Span {
    let time = |millis: u64| TIME + millis * MILLI - skew * 1_000 * MILLI;
    Span {
        trace_id: vec![1; 16],
        span_id: vec![number; 8],
        parent_span_id: if parent > 0 { vec![parent; 8] } else { Vec::new() },
        name: name.to_owned(),
        kind: kind as i32,
        start_time_unix_nano: time(start),
        end_time_unix_nano: time(end),
        attributes,
        ..Span::default()
    }
}

fn request(service: &str, spans: Vec<Span>) -> Vec<u8> {
    let attributes = vec![text("service.name", service)];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let spans = ResourceSpans { resource, scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![spans] }.encode_to_vec()
}

/// What an application sends: its SDK's span of the call, and that of its HTTP client.
fn application() -> Vec<u8> {
    let call = vec![
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.provider.name", "openai"),
        text("gen_ai.request.model", "llama"),
    ];
    let spans = vec![
        span((3, 2), ("POST", SpanKind::Client), (20, 2020, 0), vec![]),
        span((2, 1), ("chat llama", SpanKind::Client), (0, 2050, 0), call),
        span((1, 0), ("GET /ask", SpanKind::Server), (0, 2060, 0), vec![]),
    ];
    request("shop", spans)
}

/// What LiteLLM's proxy sends.
fn gateway() -> Vec<u8> {
    let call = vec![
        text("gen_ai.operation.name", "acompletion"),
        text("gen_ai.system", "hosted_vllm"),
        text("gen_ai.request.model", "hosted_vllm/llama"),
        text("litellm.call_id", "c-1"),
    ];
    let spans = vec![
        span((6, 5), ("raw_gen_ai_request", SpanKind::Internal), (60, 1960, 3600), vec![]),
        span((5, 4), ("litellm_request", SpanKind::Internal), (60, 1960, 3600), call),
        span((4, 3), ("Received Proxy Server Request", SpanKind::Server), (30, 1990, 3600), vec![]),
    ];
    request("litellm-proxy", spans)
}

/// What vLLM sends.
fn model_server() -> Vec<u8> {
    let said = vec![
        text("gen_ai.request.id", "chatcmpl-1"),
        seconds("time_in_queue", 0.25),
        seconds("time_in_model_prefill", 0.5),
        seconds("time_in_model_decode", 1.0),
        seconds("time_in_model_inference", 1.5),
        seconds("time_to_first_token", 0.76),
        seconds("e2e", 1.78),
    ];
    let times = (100, 1900, 7200);
    request("vllm", vec![span((7, 6), ("llm_request", SpanKind::Server), times, said)])
}

/// The parts of the spans that have arrived, by their numbers.
fn arrived(sink: &Sink) -> BTreeMap<u8, BTreeMap<String, f64>> {
    let number = |value| match value {
        Value::DoubleValue(number) => number,
        other => panic!("{other:?}"),
    };
    let numbers = |parts: BTreeMap<String, Value>| {
        parts.into_iter().map(|(name, value)| (name, number(value))).collect()
    };
    let arrived = span_attributes(sink, PREFIX).into_iter();
    arrived.map(|(span, parts)| (span, numbers(parts))).collect()
}

/// The sums of the metric by part and model.
fn measured(sink: &Sink) -> BTreeMap<(String, String), (u64, f64)> {
    let received = sink.received.lock().unwrap();
    let mut measured = BTreeMap::new();
    for point in latest(&received, "fluentbit.ai.latency") {
        let of = |key: &str| point.attributes[key].clone();
        let series = (of("fluentbit.ai.latency.part"), of("gen_ai.request.model"));
        let again = measured.insert(series, (point.count, point.sum));
        assert!(again.is_none(), "measured twice");
    }
    measured
}

/// Scenario: the spans of one call, of which the client's come first and the model server's last, by clocks that are
/// hours apart, and the same call's client again just before the end, with nobody below it. Guarantees: each span
/// arrives once; that of the client has all parts, which add up to its duration, the others have none; the metric
/// has each part once; the last one does not wait for anybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parts_of_a_calls_latency_arrive_on_the_clients_span() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Requests).await;
        let http = free_port();
        let pipeline = Pipeline::default()
            .otlp_in(http, 0)
            .filter(&[
                "name: ai_context",
                "match: 'ai*'",
                "split_latency: on",
                "split_latency_wait: 3s",
            ])
            .filter(&["name: ai_metrics", "match: 'ai*'", "interval: 1s"])
            .otlp_out(&[("sink", sink.port, "http/protobuf")]);
        let running =
            block_in_place(|| RunningHost::start(&host, &pipeline.yaml(plugins.path()), http));
        let mut client = Client::connect(http, false).await.unwrap();
        let service = TelemetryShape::Genai.service();
        for request in [application(), gateway(), model_server()] {
            client.send("/v1/traces", service, request).await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        tokio::time::sleep(Duration::from_millis(4000)).await;
        let mut last = ExportTraceServiceRequest::decode(&application()[..]).unwrap();
        let spans = &mut last.resource_spans[0].scope_spans[0].spans;
        spans.retain(|span| span.name == "chat llama");
        spans[0].trace_id = vec![2; 16];
        spans[0].span_id = vec![9; 8];
        client.send("/v1/traces", service, last.encode_to_vec()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!arrived(&sink).contains_key(&9), "{what}: it waits");
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        let parts = [
            ("client", 0.05),
            ("network", 0.04),
            ("gateway", 0.16),
            ("queue", 0.25),
            ("prefill", 0.5),
            ("decode", 1.0),
            ("server", 0.05),
        ];
        let of_client = parts.map(|(part, seconds)| (part.to_owned(), seconds)).into();
        let mut expected: BTreeMap<u8, BTreeMap<String, f64>> =
            [1, 3, 4, 5, 6, 7, 9].map(|number| (number, BTreeMap::new())).into();
        expected.insert(2, of_client);
        assert_eq!(arrived(&sink), expected, "{what}: {log}");
        let of_metric =
            parts.map(|(part, seconds)| ((part.to_owned(), "llama".to_owned()), (1, seconds)));
        assert_eq!(measured(&sink), of_metric.into(), "{what}: {log}");
    }
}
