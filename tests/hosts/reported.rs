//! Metrics that a service reports itself beside those that `ai_metrics` makes of its spans, on hosts.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Histogram, HistogramDataPoint, Metric, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tokio::task::block_in_place;

use crate::client::Client;
use crate::hosts::free_port;
use crate::meters::{page_when, start};
use crate::sink::{Keep, ReceivedRequests, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

const USAGE: &str = "gen_ai.client.token.usage";
const BESIDE: &str = "fluentbit.gen_ai.client.token.usage";
const SDK: &str = "an.sdk";
/// After the start of any test, so that all of the report counts.
const START: u64 = 4_000_000_000_000_000_000;

fn pair(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn text(key: &str, text: &str) -> KeyValue {
    pair(key, Value::StringValue(text.to_owned()))
}

fn shop() -> Option<Resource> {
    Some(Resource { attributes: vec![text("service.name", "shop")], ..Resource::default() })
}

/// A call of 15 input tokens.
fn call(trace: u8) -> Vec<u8> {
    let span = Span {
        trace_id: vec![trace; 16],
        span_id: vec![trace; 8],
        name: "chat".to_owned(),
        start_time_unix_nano: 1_000,
        end_time_unix_nano: 2_000,
        attributes: vec![
            text("gen_ai.operation.name", "chat"),
            pair("gen_ai.usage.input_tokens", Value::IntValue(15)),
        ],
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let resource_spans =
        vec![ResourceSpans { resource: shop(), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// What the service says of the tokens of so many calls.
fn report(calls: u64) -> Vec<u8> {
    let point = HistogramDataPoint {
        attributes: vec![text("gen_ai.token.type", "input")],
        start_time_unix_nano: START,
        time_unix_nano: START + calls,
        count: calls,
        sum: Some(15.0 * calls as f64),
        ..HistogramDataPoint::default()
    };
    let data = Histogram { data_points: vec![point], aggregation_temporality: 2 };
    let metric = Metric {
        name: USAGE.to_owned(),
        unit: "{token}".to_owned(),
        data: Some(Data::Histogram(data)),
        ..Metric::default()
    };
    let scope = InstrumentationScope { name: SDK.to_owned(), ..InstrumentationScope::default() };
    let scope_metrics =
        vec![ScopeMetrics { scope: Some(scope), metrics: vec![metric], ..ScopeMetrics::default() }];
    let resource_metrics =
        vec![ResourceMetrics { resource: shop(), scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

/// How often a metric arrived, as the service's and as ours.
fn arrived(received: &ReceivedRequests, name: &str) -> [usize; 2] {
    let mut arrived = [0; 2];
    for request in received.requests.get("/v1/metrics").into_iter().flatten() {
        let request = ExportMetricsServiceRequest::decode(request.clone()).unwrap();
        for scope in request.resource_metrics.into_iter().flat_map(|of| of.scope_metrics) {
            let is_theirs = scope.scope.is_some_and(|scope| scope.name == SDK);
            let number = scope.metrics.iter().filter(|metric| metric.name == name).count();
            arrived[usize::from(!is_theirs)] += number;
        }
    }
    arrived
}

/// Scenario: a service that reports its tokens itself, before and after it made a call, under each policy. Guarantees: from
/// the first report on the metric arrives from one of both, or under two names, and all of both is compared.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_service_reports_arrives_once() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        for policy in ["prefer", "replace", "both"] {
            let what = format!("{}, {policy}", host.title());
            let sink = Sink::start(0, Keep::Requests).await;
            let (http, grpc) = (free_port(), free_port());
            let reported = format!("reported: {policy}");
            let metrics = ["name: ai_metrics", "match: '*'", "interval: 1s", &reported];
            let pipeline = Pipeline::default().otlp_in(http, grpc).filter(&metrics).otlp_out(&[(
                "one",
                sink.port,
                "http/protobuf",
            )]);
            let (running, port) = start(&host, plugins.path(), pipeline, http);
            let target = (&host, &running, port);
            let mut client = Client::connect(http, false).await.unwrap();
            client.send("/v1/metrics", "", report(1)).await.unwrap();
            client.send("/v1/traces", "", call(1)).await.unwrap();
            page_when(target, &what, |page| page.sum("measured_spans_total", &[]) == 1).await;
            // An interval, by which the metric is one that is measured.
            tokio::time::sleep(Duration::from_secs(2)).await;
            client.send("/v1/traces", "", call(2)).await.unwrap();
            client.send("/v1/metrics", "", report(2)).await.unwrap();
            let page = page_when(target, &what, |page| {
                page.sum("measured_spans_total", &[]) == 2
                    && page.sum("reported_points_total", &[]) == 2
            })
            .await;
            let replaced = u64::from(policy == "replace");
            assert_eq!(page.sum("replaced_points_total", &[]), replaced, "{what}");
            tokio::time::sleep(Duration::from_secs(2)).await;
            let (code, log) = block_in_place(|| running.stop());
            assert_eq!(code, Some(0), "{what}: {log}");
            let received = sink.received.lock().unwrap();
            let ([theirs, ours], [_, beside]) =
                (arrived(&received, USAGE), arrived(&received, BESIDE));
            let expected = match policy {
                "prefer" => (2, false, false),
                "replace" => (1, true, false),
                _ => (2, false, true),
            };
            assert_eq!((theirs, ours > 0, beside > 0), expected, "{what}: {log}");
            let compared = crate::model_metrics::latest(&received, "fluentbit.ai.compared");
            let sums: Vec<f64> = compared.iter().map(|point| point.sum).collect();
            assert_eq!(sums, [30.0, 30.0], "{what}: {compared:?}");
            println!("{what}: {theirs} of theirs, {ours} of ours, {beside} beside");
        }
    }
}
