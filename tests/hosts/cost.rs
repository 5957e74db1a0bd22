//! What model calls cost, on hosts: reported, by list prices, by own prices that change, and unknown.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point::Value as Number};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tokio::task::block_in_place;

use crate::client::Client;
use crate::hosts::free_port;
use crate::meters::{page_when, start};
use crate::sink::{Keep, ReceivedRequests, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// A call of 1000 input and 100 output tokens, in a trace of its own.
fn call(trace: u8, model: &str, more: &[(&str, Value)]) -> Span {
    let text = |text: &str| Value::StringValue(text.to_owned());
    let mut attributes = vec![
        pair("gen_ai.operation.name", text("chat")),
        pair("gen_ai.provider.name", text("openai")),
        pair("gen_ai.response.model", text(model)),
        pair("gen_ai.usage.input_tokens", Value::IntValue(1000)),
        pair("gen_ai.usage.output_tokens", Value::IntValue(100)),
    ];
    attributes.extend(more.iter().map(|(key, value)| pair(key, value.clone())));
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![trace; 8],
        name: "chat".to_owned(),
        start_time_unix_nano: 1_000,
        end_time_unix_nano: 2_000,
        attributes,
        ..Span::default()
    }
}

async fn send(http: u16, spans: Vec<Span>) {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    let request = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    let mut client = Client::connect(http, false).await.unwrap();
    client.send("/v1/traces", "", request).await.unwrap();
}

/// The sums of a metric that arrived, by source, in millionths.
fn sums(received: &ReceivedRequests, name: &str) -> BTreeMap<String, i64> {
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    let requests = received.requests.get("/v1/metrics").into_iter().flatten();
    let metrics = requests
        .flat_map(|r| ExportMetricsServiceRequest::decode(r.clone()).unwrap().resource_metrics)
        .flat_map(|resource| resource.scope_metrics)
        .flat_map(|scope| scope.metrics)
        .filter(|metric| metric.name == name);
    for metric in metrics {
        let Some(Data::Sum(sum)) = metric.data else { panic!("{name} is no sum") };
        assert!(sum.is_monotonic);
        for point in sum.data_points {
            let source =
                point.attributes.iter().find(|pair| pair.key == "fluentbit.ai.cost.source");
            let source = source.and_then(|pair| pair.value.clone()?.value);
            let Some(Value::StringValue(source)) = source else { panic!("no source") };
            *sums.entry(source).or_default() += match point.value.unwrap() {
                Number::AsInt(value) => value as f64,
                Number::AsDouble(value) => value,
            };
        }
    }
    sums.into_iter().map(|(source, sum)| (source, (sum * 1e6).round() as i64)).collect()
}

fn by_source(sums: &[(&str, i64)]) -> BTreeMap<String, i64> {
    sums.iter().map(|(source, sum)| ((*source).to_owned(), *sum)).collect()
}

/// Scenario: calls whose cost is reported, in the list that is shipped, in the user's own list, and unknown; the own
/// list changes, and then becomes unreadable. Guarantees: each call costs what holds when it comes, what is unknown is
/// counted and costs nothing, the host's counters say the same, and a broken list is told by its line and does no harm.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_cost_what_prices_say() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("prices.csv");
        let write = |line: &str| {
            std::fs::write(&list, format!("provider,model,input,output\n*,house*,{line}\n"))
                .unwrap();
        };
        write("2,8");
        let sink = Sink::start(0, Keep::Requests).await;
        let (http, grpc) = (free_port(), free_port());
        let prices = format!("prices_file: {}", list.display());
        let metrics =
            ["name: ai_metrics", "match: '*'", "interval: 1s", "temporality: delta", &prices];
        let pipeline = Pipeline::default()
            .otlp_in(http, grpc)
            .filter(&["name: ai_context", "match: '*'"])
            .filter(&metrics)
            .otlp_out(&[("one", sink.port, "http/protobuf")]);
        let (running, port) = start(&host, plugins.path(), pipeline, http);
        let target = (&host, &running, port);
        let cached = [("gen_ai.usage.cache_read.input_tokens", Value::IntValue(400))];
        let reported = [("gen_ai.cost.total_cost", Value::DoubleValue(0.25))];
        let first = vec![
            call(1, "gpt-4o-2024-08-06", &cached),
            call(2, "nobody-knows", &reported),
            call(3, "nobody-knows", &[]),
            call(4, "house-model", &[]),
        ];
        send(http, first).await;
        let calls = |source| [("source", source)];
        page_when(target, &what, |page| {
            page.sum("priced_calls_total", &calls("computed")) == 2
                && page.sum("priced_calls_total", &calls("unpriced")) == 1
        })
        .await;

        write("20,80");
        let start = Instant::now();
        while !running.log_text().contains("has changed") {
            assert!(start.elapsed() < testkit::at_most(Duration::from_secs(20)), "{what}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        send(http, vec![call(5, "house-model", &[])]).await;
        page_when(target, &what, |page| page.sum("priced_calls_total", &calls("computed")) == 3)
            .await;
        write("cheap,80");
        page_when(target, &what, |page| page.sum("prices_file_errors_total", &[]) == 1).await;
        send(http, vec![call(6, "house-model", &[])]).await;
        let page = page_when(target, &what, |page| {
            page.sum("priced_calls_total", &calls("computed")) == 4
        })
        .await;
        // Input, cached input and output of the first; then those of the own list.
        let computed = 1500 + 500 + 1000 + 2800 + 2 * 28_000;
        assert_eq!(page.sum("cost_microdollars_total", &calls("computed")), computed, "{what}");
        assert_eq!(page.sum("cost_microdollars_total", &calls("reported")), 250_000, "{what}");

        tokio::time::sleep(Duration::from_secs(2)).await;
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        assert!(log.contains("line 2: input 'cheap' is not allowed"), "{what}: {log}");
        let received = sink.received.lock().unwrap();
        let computed = i64::try_from(computed).unwrap();
        let costs = by_source(&[("computed", computed), ("reported", 250_000)]);
        assert_eq!(sums(&received, "fluentbit.ai.cost"), costs, "{what}: {log}");
        let counts = [("computed", 4), ("reported", 1), ("unpriced", 1)];
        let counts = by_source(&counts.map(|(source, calls)| (source, calls * 1_000_000)));
        assert_eq!(sums(&received, "fluentbit.ai.cost.calls"), counts, "{what}: {log}");
        println!("{what}: 6 calls cost {computed} and 250000 microdollars, 1 of them is unpriced");
    }
}
