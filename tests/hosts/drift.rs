//! Drift of answers and of evaluations, and differences of two models, on hosts: as log events, in the metric and in the
//! counters.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use testkit::made_calls::Drawn;
use testkit::made_spans::{pair, request, span, text};
use tokio::task::block_in_place;

use crate::client::Client;
use crate::findings::attribute;
use crate::hosts::free_port;
use crate::meters::{page_when, start};
use crate::sink::{Keep, ReceivedRequests, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

/// A call a minute: a day to learn, more than a day of windows, and then a few hundred that are refused more often and score less.
const USUAL: u64 = 3600;
const CALLS: u64 = USUAL + 500;

fn call(number: u64, model: &str, seconds: f64, reason: &str, output: i64) -> Span {
    let attributes = vec![
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.provider.name", "openai"),
        text("gen_ai.request.model", model),
        text("gen_ai.prompt.name", "greeting"),
        text("gen_ai.response.finish_reasons", reason),
        pair("gen_ai.usage.output_tokens", Value::IntValue(output)),
    ];
    // Six times ten seconds after the one before.
    span(number * 6, seconds, attributes)
}

/// Calls of one model, and for some of them the same request to another one, which takes twice as long.
fn calls(drawn: &mut Drawn) -> Vec<Span> {
    let mut spans = Vec::new();
    for number in 0..CALLS {
        let refused = if number < USUAL { 0.01 } else { 0.25 };
        let is_refused = drawn.uniform() < refused;
        let reason = if is_refused { "content_filter" } else { "stop" };
        let output = (5.0 + 0.8 * drawn.normal()).exp();
        let seconds = (0.3 * drawn.normal()).exp();
        spans.push(call(number, "gpt-4o", seconds, reason, output as i64 + 1));
        if number >= USUAL {
            let mut shadow = call(number, "gpt-4o-mini", 2.0 * seconds, "stop", output as i64 + 1);
            shadow.span_id = (number + (1 << 60)).to_be_bytes().to_vec();
            spans.push(shadow);
        }
    }
    spans
}

/// The evaluation of a call, which names its span.
fn evaluation(number: u64, score: f64) -> LogRecord {
    let of = span(number * 6, 0.0, Vec::new());
    LogRecord {
        time_unix_nano: of.end_time_unix_nano + 2_000_000_000,
        event_name: "gen_ai.evaluation.result".to_owned(),
        trace_id: of.trace_id,
        span_id: of.span_id,
        attributes: vec![
            text("gen_ai.evaluation.name", "relevance"),
            pair("gen_ai.evaluation.score.value", Value::DoubleValue(score)),
            text("gen_ai.evaluation.explanation", "a secret reason"),
        ],
        ..LogRecord::default()
    }
}

fn log_request(log_records: Vec<LogRecord>) -> Vec<u8> {
    let resource =
        Resource { attributes: vec![text("service.name", "shop")], ..Resource::default() };
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs =
        vec![ResourceLogs { resource: Some(resource), scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

/// Sends calls and evaluations in turns, so that an evaluation finds its call.
async fn send(http: u16) {
    let mut client = Client::connect(http, false).await.unwrap();
    let mut drawn = Drawn::new(11);
    let spans = calls(&mut drawn);
    for spans in spans.chunks(200) {
        client.send("/v1/traces", "", request("shop", spans)).await.unwrap();
        let evaluated = spans.iter().filter(|span| span.span_id[0] == 0);
        let numbers = evaluated.map(|span| {
            let id = u128::from_be_bytes(span.trace_id.clone().try_into().unwrap());
            u64::try_from((id - 1) / 6).unwrap()
        });
        let score = |number: u64| if number < USUAL { 0.8 } else { 0.4 };
        let logs = numbers.map(|number| {
            evaluation(number, (score(number) + 0.1 * drawn.normal()).clamp(0.0, 1.0))
        });
        let body = log_request(logs.collect());
        client.send("/v1/logs", "", body).await.unwrap();
    }
}

/// The log events of findings by type and signal, among those of evaluations.
fn findings(received: &ReceivedRequests) -> Vec<(String, LogRecord)> {
    let requests = received.requests.get("/v1/logs").into_iter().flatten();
    let logs = requests
        .flat_map(|body| ExportLogsServiceRequest::decode(body.clone()).unwrap().resource_logs)
        .flat_map(|of| of.scope_logs)
        .flat_map(|scope| scope.log_records);
    let found = logs.filter(|log| log.event_name == "fluentbit.ai.finding");
    let name = |log: &LogRecord| {
        let parts = ["fluentbit.ai.finding.type", "fluentbit.ai.finding.signal"];
        parts.map(|part| attribute(log, part)).join(" ")
    };
    found.map(|log| (name(&log), log)).collect()
}

/// Scenario: two days of usual calls with an evaluation each as a log event; then a quarter of the answers is refused, scores
/// fall, and a shadow model answers the same requests in twice the time. Guarantees: the drift of refusals and of scores, with
/// the shares before and after and the prompt, and the difference of the models are log events and in the counters; what an
/// evaluation explains is in none of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn drift_and_differences_are_found() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Requests).await;
        let (http, grpc) = (free_port(), free_port());
        let pipeline = Pipeline::default()
            .otlp_in(http, grpc)
            .filter(&[
                "name: ai_metrics",
                "match: '*'",
                "interval: 1s",
                "emit_as: records",
                "cost: off",
                "find_drift: on",
                "find_pairs: on",
                "compare: other unused, gpt-4o gpt-4o-mini",
            ])
            .otlp_out(&[("one", sink.port, "http/protobuf")]);
        let (running, port) = start(&host, plugins.path(), pipeline, http);
        send(http).await;
        let of = |check| [("check", check)];
        let page = page_when((&host, &running, port), &what, |page| {
            page.sum("findings_total", &of("drift")) >= 2
                && page.sum("findings_total", &of("pairs")) >= 1
        })
        .await;
        let counts = ["drift", "pairs"].map(|check| page.sum("findings_total", &of(check)));
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");

        let received = sink.received.lock().unwrap();
        let found = findings(&received);
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(found.len() as u64, counts.iter().sum::<u64>(), "{what}: {names:?}");
        let event = |name: &str| {
            let found = found.iter().find(|(of, _)| of == name);
            &found.unwrap_or_else(|| panic!("{what}: no {name} in {names:?}")).1
        };
        let refusals = event("drift refusals");
        assert_eq!(attribute(refusals, "gen_ai.prompt.name"), "greeting", "{what}");
        assert!(attribute(refusals, "fluentbit.ai.finding.bins").contains("refused 0.0"));
        let scores = event("drift evaluation_score");
        assert_eq!(attribute(scores, "gen_ai.evaluation.name"), "relevance", "{what}");
        assert_eq!(attribute(scores, "gen_ai.request.model"), "gpt-4o", "{what}");
        let slower = event("pair_difference duration");
        assert_eq!(attribute(slower, "fluentbit.ai.finding.worse"), "gpt-4o-mini", "{what}");
        let [low, high] = ["low", "high"].map(|end| {
            attribute(slower, &format!("fluentbit.ai.finding.ratio_{end}")).parse::<f64>().unwrap()
        });
        assert!(low < 2.0 && high > 1.9, "{what}: {low} {high}");
        assert!(found.iter().all(|(_, log)| !format!("{log:?}").contains("secret")), "{what}");
        println!("{what}: {names:?}");
    }
}
