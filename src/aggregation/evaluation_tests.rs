//! Tests of which evaluations are told to what looks for findings.

use serde_json::{Value, json};

use super::tests::{START, aggregator, config, findings_of};
use super::*;
use crate::codec::records::testing::log_event;
use crate::findings::{Check, CheckMode};

/// Where an evaluation stands.
#[derive(Debug, Clone, Copy)]
enum Form {
    LogEvent,
    SpanEvent,
    Attributes,
}

fn otlp(signal: &str) -> Value {
    json!({"v": 1, "signal": signal, "resource": {"attributes": {"service.name": "shop"}}})
}

/// A call, and its evaluation.
fn chunk(number: u64, form: Form) -> Vec<u8> {
    let (trace, span) = (format!("0af7651916cd43dd{number:016x}"), format!("{number:016x}"));
    let evaluation = json!({
        "gen_ai.evaluation.name": "tone",
        "gen_ai.evaluation.score.value": 0.5,
        "gen_ai.evaluation.explanation": "why",
    });
    let mut call = json!({
        "trace_id": trace,
        "span_id": span,
        "name": "chat gpt-4o",
        "start_time_unix_nano": START,
        "end_time_unix_nano": START + number,
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.output_tokens": 20,
        },
    });
    let mut log = None;
    match form {
        Form::LogEvent => {
            let mut otlp = otlp("log");
            otlp["trace_id"] = json!(trace);
            otlp["span_id"] = json!(span);
            otlp["event_name"] = json!("gen_ai.evaluation.result");
            otlp["attributes"] = evaluation;
            log = Some(log_event(START, &json!({ "otlp": otlp }), &json!({"log": ""})));
        }
        Form::SpanEvent => {
            let name = "gen_ai.evaluation.result";
            let event = json!({"name": name, "attributes": evaluation});
            call["events"] = json!([{"name": "other"}, event]);
        }
        Form::Attributes => {
            for (key, value) in evaluation.as_object().unwrap() {
                call["attributes"][key] = value.clone();
            }
        }
    }
    let mut all = log_event(START, &json!({ "otlp": otlp("span") }), &call);
    all.extend(log.into_iter().flatten());
    all
}

/// Scenario: three calls with an evaluation each, wherever it stands. Guarantees: the evaluations are seen: the first one as
/// one of the service, as calls are remembered from then on, and the others as those of the model's calls.
#[test]
fn evaluations_are_seen_wherever_they_stand() {
    for form in [Form::LogEvent, Form::SpanEvent, Form::Attributes] {
        let mut config = config();
        config.findings = Some(findings_of(Check::Drift, CheckMode::On));
        let mut aggregator = aggregator(config);
        let keys = [1, 2, 3].map(|number| {
            aggregator.on_chunk(b"ai", &chunk(number, form), Tick(1), START + number);
            aggregator.findings().unwrap().tally().keys
        });
        assert_eq!(keys, [2, 3, 3], "{form:?}");
    }
}
