//! Tail sampling by a Collector's configuration, with a limit and with policies of model calls, on hosts.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use tokio::task::block_in_place;

use crate::arrived;
use crate::hosts::free_port;
use crate::meters::{page_when, start};
use crate::sampling::send_spans;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

/// A limit that lets two spans through, and no more while a test runs.
const CONFIGURATION: &str = r#"
receivers: {otlp: {protocols: {http: {}}}}
processors:
  batch: {}
  tail_sampling:
    decision_wait: 60s
    decision_wait_after_root_received: 2s
    policies:
      - {name: failed, type: status_code, status_code: {status_codes: [ERROR]}}
      - {name: limit, type: rate_limiting, rate_limiting: {spans_per_second: 0.001, burst_capacity: 2}}
      - name: probes
        type: drop
        drop:
          drop_sub_policy:
            - {name: path, type: string_attribute, string_attribute: {key: url.path, values: [/health]}}
service: {pipelines: {traces: {receivers: [otlp], processors: [tail_sampling, batch], exporters: []}}}
policies:
  - {name: dear, type: tokens, min_total: 1000}
"#;

fn span(trace: u8, id: u8) -> Span {
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![id; 8],
        name: format!("{trace}.{id}"),
        trace_state: "ot=th:8".to_owned(),
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        ..Span::default()
    }
}

fn with(key: &str, value: Value, span: Span) -> Span {
    let value = Some(AnyValue { value: Some(value) });
    let pair = KeyValue { key: key.to_owned(), value, ..KeyValue::default() };
    Span { attributes: [span.attributes, vec![pair]].concat(), ..span }
}

/// Scenario: a Collector's configuration beside a policy of ours; traces that fail, that are probes, that
/// use many tokens in two requests, and five that only the limit may keep. Guarantees: each policy keeps or
/// drops what it says and counts it, the limit lets as much through as it has, and what it keeps has no
/// threshold any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_collectors_configuration_decides() {
    let _together = together();
    let plugins = linked();
    let file = plugins.path().join("collector.yaml");
    std::fs::write(&file, CONFIGURATION).unwrap();
    let file = format!("config_file: {}", file.display());
    for host in all_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Requests).await;
        let http = free_port();
        let pipeline = Pipeline::default()
            .otlp_in(http, 0)
            .filter(&["name: ai_sampling", "match: 'ai*'", "mode: tail", &file])
            .otlp_out(&[("sink", sink.port, "http/protobuf")]);
        let (running, port) = start(&host, plugins.path(), pipeline, http);
        let failed = |span| Span { status: Some(Status { code: 2, ..Status::default() }), ..span };
        let probe = |span| with("url.path", Value::StringValue("/health".to_owned()), span);
        let call = |tokens, span| {
            let chat = with("gen_ai.operation.name", Value::StringValue("chat".to_owned()), span);
            with("gen_ai.usage.input_tokens", Value::IntValue(tokens), chat)
        };
        let child = Span { parent_span_id: vec![9; 8], ..span(3, 1) };
        send_spans(http, vec![failed(span(1, 1)), probe(failed(span(2, 1))), call(600, child)])
            .await;
        send_spans(
            http,
            [vec![call(400, span(3, 2))], (4..9).map(|id| span(id, 1)).collect()].concat(),
        )
        .await;
        let page = page_when((&host, &running, port), &what, |page| {
            page.has("received_spans_total")
                && page.sum("received_spans_total", &[]) == 9
                && page.sum("held_spans", &[]) == 0
        })
        .await;
        for (name, policy, spans) in [
            ("kept_spans_total", "failed", 1),
            ("kept_spans_total", "dear", 2),
            ("kept_spans_total", "limit", 2),
            ("dropped_spans_total", "limit", 3),
            ("dropped_spans_total", "probes", 1),
            ("dropped_spans_total", "not_sampled", 0),
        ] {
            assert_eq!(page.sum(name, &[("policy", policy)]), spans, "{what}: {name} {policy}");
        }
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        let spans = arrived::spans(&sink);
        let mut names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names[..3], ["1.1", "3.1", "3.2"], "{what}");
        assert_eq!(names.len(), 5, "{what}: {names:?}");
        assert!(spans.iter().all(|span| span.trace_state.is_empty()), "{what}: {spans:?}");
    }
}
