//! Endpoints that do not get everything.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use super::data::{
    log_chunk, logs, metric_chunk, metrics, plain_log, plain_record, span, text, trace_chunk,
    traces,
};
use super::receiver::Receiver;
use super::{Bench, Fate, endpoint};
use crate::condition::Condition;
use crate::export::{ContentHandling, OnError};
use crate::model::Signal;
use crate::plugin::EventType;

fn spans_of(requests: &[ExportTraceServiceRequest]) -> Vec<String> {
    requests
        .iter()
        .flat_map(|request| &request.resource_spans)
        .flat_map(|resource| &resource.scope_spans)
        .flat_map(|scope| &scope.spans)
        .map(|span| span.name.clone())
        .collect()
}

fn condition(text: &str) -> Option<Arc<Condition>> {
    Some(Arc::new(Condition::compile(text).unwrap()))
}

#[test]
fn where_and_signals_choose_items() {
    let (all, chosen, only_logs) =
        (Receiver::accepting(), Receiver::accepting(), Receiver::accepting());
    let mut where_ = endpoint("where", &chosen);
    where_.condition = condition("signal == 'span' && attributes['k'] == 'yes' && tag == 'app'");
    let mut logs_only = endpoint("only", &only_logs);
    logs_only.signals = vec![Signal::Logs];
    let bench = Bench::new(vec![endpoint("all", &all), where_, logs_only]);
    let mut chunk = trace_chunk(&traces(vec![
        span(1, vec![text("k", "yes")]),
        span(2, vec![text("k", "no")]),
        span(3, vec![]),
    ]));
    chunk.extend(metric_chunk(&metrics(4)));
    chunk.extend(log_chunk(&logs(&["a"])));
    assert_eq!(bench.deliver(1, &chunk), Fate::Done);
    assert_eq!(all.seen().len(), 3);
    assert_eq!(spans_of(&chosen.messages("/v1/traces")), ["span 1"]);
    assert_eq!(chosen.seen().len(), 1);
    let got: Vec<ExportLogsServiceRequest> = only_logs.messages("/v1/logs");
    assert_eq!((got, only_logs.seen().len()), (vec![logs(&["a"])], 1));
    for name in ["all", "where", "only"] {
        let sent = bench.count("sent_items_total", &[name]);
        assert_eq!(sent + bench.count("filtered_items_total", &[name]), 8, "{name}");
    }
    assert_eq!(bench.count("undecided_items_total", &["where", "no_such_key"]), 1);
    assert_eq!(bench.count("undecided_items_total", &["where", "wrong_type"]), 0);
    let logged = "'where' of endpoint 'where' has no answer for 1 items of a chunk, which are dropped \
                (on_error: drop): No such key: k";
    assert!(bench.log().contains(logged), "{}", bench.log());
}

#[test]
fn an_undecided_item_is_kept_if_so_configured() {
    let receiver = Receiver::accepting();
    let mut keep = endpoint("keep", &receiver);
    keep.condition = condition("attributes['k'] == 'yes'");
    keep.on_error = OnError::Keep;
    let bench = Bench::new(vec![keep]);
    let chunk = trace_chunk(&traces(vec![span(1, vec![text("k", "no")]), span(2, vec![])]));
    assert_eq!(bench.deliver(1, &chunk), Fate::Done);
    assert_eq!(spans_of(&receiver.messages("/v1/traces")), ["span 2"]);
    let logged = "1 items of a chunk, which are sent (on_error: keep): No such key: k";
    assert!(bench.log().contains(logged), "{}", bench.log());
}

#[test]
fn a_percentage_keeps_whole_traces_and_says_so() {
    let receiver = Receiver::accepting();
    let mut half = endpoint("half", &receiver);
    half.sampling_percentage = Some(50.0);
    let nothing = Receiver::accepting();
    let mut none = endpoint("none", &nothing);
    none.sampling_percentage = Some(0.0);
    let bench = Bench::new(vec![half, none]);
    let mut chunk = trace_chunk(&traces(vec![span(0x7f, vec![]), span(0x80, vec![])]));
    chunk.extend(metric_chunk(&metrics(1)));
    chunk.extend(plain_log("no trace"));
    assert_eq!(bench.deliver(1, &chunk), Fate::Done);
    let got: Vec<ExportTraceServiceRequest> = receiver.messages("/v1/traces");
    assert_eq!(spans_of(&got), ["span 128"]);
    let state = &got[0].resource_spans[0].scope_spans[0].spans[0].trace_state;
    assert_eq!(state, "ot=th:8");
    let got: Vec<ExportMetricsServiceRequest> = receiver.messages("/v1/metrics");
    assert_eq!(got.len(), 1);
    assert_eq!(receiver.seen().len(), 3);
    assert_eq!(nothing.seen().len(), 2);
}

/// Scenario: ordinary logs that name their traces, for an endpoint that gets half of the traces.
/// Guarantees: it gets those whose spans it gets.
#[test]
fn ordinary_logs_go_the_way_of_their_traces() {
    let receiver = Receiver::accepting();
    let mut half = endpoint("half", &receiver);
    half.sampling_percentage = Some(50.0);
    let bench = Bench::new(vec![half]);
    let of = |name: &str, end: &str| {
        let id = format!("010203040506070809{end}");
        plain_record(&[("log", name), ("trace_id", &id), ("span_id", "0102030405060708")])
    };
    let mut chunk = of("above", "ff000000000000");
    chunk.extend(of("below", "01000000000000"));
    assert_eq!(bench.deliver(1, &chunk), Fate::Done);
    let got: Vec<ExportLogsServiceRequest> = receiver.messages("/v1/logs");
    let logs = &got[0].resource_logs[0].scope_logs[0].log_records;
    let bodies: Vec<_> = logs.iter().map(|log| format!("{:?}", log.body)).collect();
    assert!(bodies.len() == 1 && bodies[0].contains("above"), "{bodies:?}");
    assert_eq!(bench.count("filtered_items_total", &["half"]), 1);
}

#[test]
fn content_is_removed_for_one_endpoint_only() {
    let (full, bare) = (Receiver::accepting(), Receiver::accepting());
    let mut without = endpoint("bare", &bare);
    without.content = ContentHandling::Drop;
    let bench = Bench::new(vec![endpoint("full", &full), without]);
    let attributes = vec![text("gen_ai.input.messages", "hush"), text("gen_ai.request.model", "m")];
    let request = traces(vec![span(1, attributes), span(2, vec![])]);
    assert_eq!(bench.deliver(1, &trace_chunk(&request)), Fate::Done);
    assert_eq!(full.messages::<ExportTraceServiceRequest>("/v1/traces"), [request]);
    let got: Vec<ExportTraceServiceRequest> = bare.messages("/v1/traces");
    let spans = &got[0].resource_spans[0].scope_spans[0].spans;
    let keys: Vec<&str> =
        spans[0].attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    assert_eq!(keys, ["gen_ai.request.model", "fluentbit.ai.content.removed"]);
    assert!(spans[1].attributes.is_empty());
    assert!(memchr::memmem::find(&bare.seen()[0].body, b"hush").is_none());
    assert_eq!(bench.count("content_removed_items_total", &["bare"]), 1);
}

#[test]
fn native_chunks_are_sent_whole_and_selected_from() {
    let traces = std::fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/native/v5.1.1_traces_0.msgpack"
    ))
    .unwrap();
    let (all, none) = (Receiver::accepting(), Receiver::accepting());
    let mut selective = endpoint("selective", &none);
    selective.condition = condition("signal != 'span'");
    let mut same = endpoint("same", &none);
    same.condition = condition("signal == 'span'");
    same.signals = vec![Signal::Traces];
    let bench = Bench::new(vec![endpoint("all", &all), selective, same]);
    assert_eq!(bench.deliver_as(EventType::Traces, 1, &traces), Fate::Done);
    let spans = spans_of(&all.messages("/v1/traces"));
    assert!(!spans.is_empty());
    assert_eq!(spans_of(&none.messages("/v1/traces")), spans);
    let count = u64::try_from(spans.len()).unwrap();
    assert_eq!(bench.count("filtered_items_total", &["selective"]), count);
    assert_eq!(bench.count("sent_items_total", &["same"]), count);
    assert_eq!(bench.count("exporter_received_items_total", &["traces"]), count);
}
