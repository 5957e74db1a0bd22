//! `ai_sampling` on hosts: what its counters and lines say when nothing comes any more, and what is
//! said of the order of filters.

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use tokio::task::block_in_place;

use crate::arrived;
use crate::client::Client;
use crate::hosts::free_port;
use crate::meters::{Page, page_when, start};
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

/// Traces of one span each.
async fn send(http: u16, spans: Vec<Span>) {
    let spans = spans.into_iter().zip(1..).map(|(span, number)| Span {
        trace_id: vec![number; 16],
        span_id: vec![number; 8],
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        ..span
    });
    send_spans(http, spans.collect()).await;
}

/// One request of these spans.
pub async fn send_spans(http: u16, spans: Vec<Span>) {
    let request = spans_request(spans);
    let shape = TelemetryShape::Genai;
    let mut client = Client::connect(http, false).await.unwrap();
    client.send(shape.path(), shape.service(), request).await.unwrap();
}

/// A request of spans without a resource.
pub fn spans_request(spans: Vec<Span>) -> Vec<u8> {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn plain(name: &str) -> Span {
    Span { name: name.to_owned(), ..Span::default() }
}

/// Scenario: two traces that no policy keeps, one of which asks for an attribute that they lack, and
/// then nothing. Guarantees: within seconds the counters say what became of them, and the log says
/// once that a policy had no answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counters_come_to_rest_when_nothing_follows() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Numbers).await;
        let http = free_port();
        let pipeline = Pipeline::default()
            .otlp_in(http, 0)
            .filter(&[
                "name: ai_sampling",
                "match: 'ai*'",
                "mode: tail",
                "decision_wait: 1s",
                "keep_errors: on",
                "keep_where: 'attributes[\"no.such\"] == 1'",
            ])
            .otlp_out(&[("sink", sink.port, "http/protobuf")]);
        let (running, port) = start(&host, plugins.path(), pipeline, http);
        send(http, vec![plain("x"), plain("y")]).await;
        let sent = Instant::now();
        let sum = |page: &Page, name: &str| page.sum(name, &[]);
        let page = page_when((&host, &running, port), &what, |page| {
            page.has("received_spans_total")
                && sum(page, "received_spans_total") == 2
                && sum(page, "held_spans") == 0
        })
        .await;
        assert_eq!(
            (sum(&page, "dropped_spans_total"), sum(&page, "kept_spans_total")),
            (2, 0),
            "{what}"
        );
        assert_eq!(sum(&page, "held_bytes"), 0, "{what}");
        let missing = [("policy", "keep_where"), ("reason", "no_such_key")];
        assert_eq!(page.sum("condition_errors_total", &missing), 2, "{what}");
        let rest = sent.elapsed();
        assert!(rest < Duration::from_secs(15), "{what}: {rest:?}");
        let log = running.log_text();
        let line = "policy 'keep_where' has no answer for 2 traces so far (No such key: no.such)";
        assert_eq!(log.matches(line).count(), 1, "{what}: {log}");
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        println!("{what}: at rest after {} ms", rest.as_millis());
    }
}

/// Scenario: failed spans of instrumentation that sets no status. Guarantees: with `errors: all` they
/// are kept, and the span that did not fail is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn failures_without_a_status_arrive() {
    let _together = together();
    let plugins = linked();
    let event = |name: &str| vec![Event { name: name.to_owned(), ..Event::default() }];
    let text = AnyValue { value: Some(Value::StringValue("RateLimitError".to_owned())) };
    let key = "error.type".to_owned();
    let error_type = KeyValue { key, value: Some(text), ..KeyValue::default() };
    let status = |code| Some(Status { code, ..Status::default() });
    for host in all_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Requests).await;
        let http = free_port();
        let pipeline = Pipeline::default()
            .otlp_in(http, 0)
            .filter(&[
                "name: ai_sampling",
                "match: 'ai*'",
                "mode: tail",
                "decision_wait: 1s",
                "keep_errors: on",
                "errors: all",
            ])
            .otlp_out(&[("sink", sink.port, "http/protobuf")]);
        let (running, _) = start(&host, plugins.path(), pipeline, http);
        let spans = vec![
            Span { attributes: vec![error_type.clone()], ..plain("a") },
            Span { status: status(1), events: event("exception"), ..plain("b") },
            Span { events: event("exception"), ..plain("d") },
            Span { status: status(2), ..plain("e") },
            Span { events: event("start"), ..plain("f") },
        ];
        send(http, spans).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        let mut names: Vec<String> =
            arrived::spans(&sink).into_iter().map(|span| span.name).collect();
        names.sort();
        assert_eq!(names, ["a", "b", "d", "e"], "{what}: {log}");
    }
}

/// Scenario: our filters in an order that means something else, and in the one that fits. Guarantees:
/// the start says of each pair what will be wrong, a reload says it again, and the order that fits
/// gets no warning.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_order_of_filters_is_looked_at() {
    const CONTEXT: &[&str] = &["name: ai_context", "match: 'ai*'", "redact: email"];
    const METRICS: &[&str] = &["name: ai_metrics", "match: 'ai*'"];
    const SAMPLING: &[&str] =
        &["name: ai_sampling", "match: 'a*'", "mode: tail", "keep_errors: on"];
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Numbers).await;
        for (filters, expected) in [
            (
                [SAMPLING, METRICS, CONTEXT],
                vec![
                    "'ai_metrics.1' stands after 'ai_sampling.0': metrics see only the spans",
                    "'ai_context.2' stands after 'ai_sampling.0': policies ask for the names",
                    "'ai_context.2' stands after 'ai_metrics.1': spans whose names",
                ],
            ),
            ([CONTEXT, METRICS, SAMPLING], Vec::new()),
        ] {
            let http = free_port();
            let pipeline = filters
                .into_iter()
                .fold(Pipeline::default().otlp_in(http, 0), Pipeline::filter)
                .service("hot_reload: on")
                .otlp_out(&[("sink", sink.port, "http/protobuf")]);
            let (running, _) = start(&host, plugins.path(), pipeline, http);
            let count = |log: &str| log.matches("stands after").count();
            // The port is open before the filters start.
            let wait = async |warnings: usize| {
                let start = Instant::now();
                while count(&running.log_text()) < warnings {
                    let log = running.log_text();
                    assert!(
                        start.elapsed() < testkit::at_most(Duration::from_secs(20)),
                        "{what}: {log}"
                    );
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            };
            wait(expected.len()).await;
            let log = running.log_text();
            for line in &expected {
                assert_eq!(log.matches(line).count(), 1, "{what}: {line}: {log}");
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            running.signal("HUP");
            wait(2 * expected.len()).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let (code, log) = block_in_place(|| running.stop());
            assert_eq!(code, Some(0), "{what}: {log}");
            assert_eq!(count(&log), 2 * expected.len(), "{what}: {log}");
        }
    }
}
