//! Prompts that are made up: which outcomes are found, with which evidence, and which are not.

use opentelemetry_proto::tonic::logs::v1::LogRecord;

use crate::codec::msgpack;
use crate::findings::tests::{Drawn, attribute, call, events, finder, resource, text};
use crate::findings::{
    CallOrigin, Check, CheckMode, Findings, ObservedCall, PromptNorms, UsedTokens,
};
use crate::model::{SpanId, TraceId};

/// A number below another one.
fn below(drawn: &mut Drawn, end: u64) -> u64 {
    drawn.uniform();
    (drawn.0 >> 20) % end
}

/// A prompt of 120 words, of which one says a secret and one is another in each version.
fn prompt(number: u64, version: u64) -> Vec<u8> {
    let mut drawn = Drawn(number + 1);
    (0..20).for_each(|_| drawn.0 = drawn.0.wrapping_add(below(&mut drawn, 1000)));
    let letter = |drawn: &mut Drawn| usize::try_from(below(drawn, 26)).unwrap();
    let words: Vec<String> = (0..120)
        .map(|at| match at {
            30 => format!("version{}", "i".repeat(usize::try_from(version).unwrap())),
            60 => "Xanadu".to_owned(),
            _ => format!(
                "word{}",
                "abcdefghijklmnopqrstuvwxyz".chars().nth(letter(&mut drawn)).unwrap()
            ),
        })
        .collect();
    let parts = serde_json::json!([{"type": "text", "content": words.join(" ")}]);
    text(&serde_json::json!([{"role": "user", "parts": parts}]).to_string())
}

/// What one call is like.
#[derive(Clone, Copy)]
struct Made {
    prompt: u64,
    version: u64,
    slower: f64,
    longer: f64,
    has_failed: bool,
    reason: &'static str,
    evaluation: &'static str,
}

const USUAL: Made = Made {
    prompt: 0,
    version: 0,
    slower: 1.0,
    longer: 1.0,
    has_failed: false,
    reason: "stop",
    evaluation: "pass",
};

/// The events of a span with the label of an evaluation.
fn evaluated(label: &str) -> Vec<u8> {
    if label.is_empty() {
        return Vec::new();
    }
    let attributes = serde_json::json!({"gen_ai.evaluation.score.label": label});
    let event = serde_json::json!({"name": "gen_ai.evaluation.result", "attributes": attributes});
    rmp_serde::to_vec(&serde_json::json!([{"name": "other"}, event])).unwrap()
}

/// Feeds calls and numbers them.
struct Feed {
    findings: Findings,
    drawn: Drawn,
    number: u64,
}

impl Feed {
    fn new() -> Self {
        Self { findings: finder(Check::Prompts, CheckMode::On), drawn: Drawn(11), number: 0 }
    }

    fn call(&mut self, made: Made) {
        self.number += 1;
        let resource = resource("shop");
        let origin = CallOrigin::new(Some(&resource), None);
        let messages = prompt(made.prompt, made.version);
        let mut reasons = Vec::new();
        msgpack::array_header(&mut reasons, 1);
        msgpack::str(&mut reasons, made.reason);
        let (events, drawn) = (evaluated(made.evaluation), &mut self.drawn);
        let noise = (0.4 * drawn.normal()).exp();
        self.findings.call(&ObservedCall {
            input_messages: &messages,
            finish_reasons: &reasons,
            events: &events,
            seconds: Some(made.slower * noise),
            tokens: UsedTokens {
                input: Some(130.0),
                output: Some((200.0 * made.longer * (0.4 * drawn.normal()).exp()).round()),
                ..UsedTokens::default()
            },
            has_failed: made.has_failed,
            ids: Some((TraceId(u128::from(self.number).to_be_bytes()), SpanId([1; 8]))),
            ..call(&origin, self.number * 5)
        });
    }

    /// Usual calls of forty prompts in two versions each, of which one in fifty fails.
    fn usual(&mut self, calls: u64) {
        for _ in 0..calls {
            let prompt = below(&mut self.drawn, 40);
            let version = below(&mut self.drawn, 2);
            let has_failed = self.drawn.uniform() < 0.02;
            self.call(Made { prompt, version, has_failed, ..USUAL });
        }
    }

    /// Calls of one prompt among usual ones until something is found: how many, and what.
    fn until_found(&mut self, most: u64, made: impl Fn(u64) -> Made) -> Option<u64> {
        for number in 1..=most {
            self.usual(4);
            assert_eq!(self.findings.tally().found, [0; Check::ALL.len()]);
            self.call(made(number));
            if self.findings.tally().found[Check::Prompts as usize] > 0 {
                return Some(number);
            }
        }
        None
    }
}

/// Scenario: the calls of one prompt differ from half of its calls by ten times the duration or the length of the
/// answer, or take another number of tokens in; or those of a version of a prompt fail, are refused, end or are evaluated
/// otherwise than those of the other version. Guarantees: each is found within sixty calls of the prompt, with the trace of
/// the call, that of a usual one, hashes of the prompts and their distance, and without a word of the prompt.
#[test]
fn other_outcomes_are_found_with_evidence() {
    let slow = |number| Made { slower: if number % 2 == 0 { 10.0 } else { 1.0 }, ..USUAL };
    let long = |number| Made { longer: if number % 2 == 0 { 20.0 } else { 1.0 }, ..USUAL };
    let version = Made { version: 2, ..USUAL };
    let failing = move |_| Made { has_failed: true, ..version };
    let refused = move |_| Made { reason: "content_filter", ..version };
    let blocked = move |_| Made { reason: "PROHIBITED_CONTENT", ..version };
    let cut = move |_| Made { reason: "length", ..version };
    let longer = move |_| Made { longer: 30.0, ..version };
    let bad = move |number| {
        let is_first = number % 2 == 0;
        let evaluation = if is_first { "pass" } else { "fail" };
        Made { version: if is_first { 0 } else { 2 }, evaluation, ..USUAL }
    };
    other_outcome("same_prompt", "duration", slow);
    other_outcome("same_prompt", "output_tokens", long);
    other_outcome("similar_prompts", "error", failing);
    other_outcome("similar_prompts", "refusal", refused);
    other_outcome("similar_prompts", "refusal", blocked);
    other_outcome("similar_prompts", "finish_reason", cut);
    other_outcome("similar_prompts", "output_tokens", longer);
    other_outcome("similar_prompts", "evaluation", bad);
}

fn other_outcome(kind: &str, signal: &str, made: impl Fn(u64) -> Made) {
    let mut feed = Feed::new();
    feed.usual(2000);
    let needed = feed.until_found(60, &made);
    println!("{kind} {signal}: {needed:?} calls");
    assert!(needed.is_some(), "{kind} {signal}");
    let trace = feed.findings.take_hints().pop().unwrap();
    assert_eq!(u128::from_be_bytes(trace.0), u128::from(feed.number));
    let all = events(&mut feed.findings);
    assert_eq!(all.len(), 1, "{kind} {signal}: {all:?}");
    evidence(kind, signal, &all[0]);
    // Neither has what is remembered.
    let kept = format!("{:?}", feed.findings).to_lowercase();
    assert!(!kept.contains("xanadu"));
    (0..50).for_each(|number| feed.call(made(number)));
    assert_eq!(feed.findings.tally().found[Check::Prompts as usize], 1, "it is told once");
}

fn evidence(kind: &str, signal: &str, (service, log): &(String, LogRecord)) {
    let of = |key: &str| attribute(log, &format!("fluentbit.ai.finding.{key}"));
    let number = |key: &str| of(key).parse::<f64>().unwrap();
    assert_eq!([service.as_str(), &of("type"), &of("signal")], ["shop", kind, signal]);
    assert_eq!((of("prompt").len(), of("usual_trace").len()), (12, 32));
    assert!(number("affected_calls") >= 5.0, "{log:?}");
    if kind == "similar_prompts" {
        assert!(number("distance") <= 3.0, "{log:?}");
        assert_ne!(of("prompt"), of("usual_prompt"));
    }
    let outcomes = [of("usual_outcome"), of("observed_outcome")];
    match signal {
        "refusal" => assert_eq!(outcomes, ["answered", "refused"]),
        "finish_reason" => assert_eq!(outcomes, ["stop", "length"]),
        "error" => assert_eq!(outcomes, ["success", "error"]),
        "evaluation" => assert!(outcomes.iter().all(|outcome| outcome.len() == 4)),
        _ => assert!(number("ratio") > 2.0, "{log:?}"),
    }
    let told = format!("{log:?}").to_lowercase();
    assert!(!told.contains("xanadu") && !told.contains("word"), "{told}");
}

/// Guarantees: usual calls, a service whose calls all become ten times slower, all fail for a while or get longer answers,
/// and prompts that never come again, make no finding.
#[test]
fn what_befalls_all_prompts_is_no_finding() {
    let mut feed = Feed::new();
    feed.usual(20_000);
    for _ in 0..300 {
        let prompt = below(&mut feed.drawn, 40);
        feed.call(Made { prompt, slower: 10.0, longer: 10.0, ..USUAL });
    }
    feed.usual(1000);
    for _ in 0..300 {
        let prompt = below(&mut feed.drawn, 40);
        feed.call(Made { prompt, has_failed: true, ..USUAL });
    }
    feed.usual(1000);
    (1000..3000).for_each(|prompt| feed.call(Made { prompt, ..USUAL }));
    assert_eq!(
        feed.findings.tally().found,
        [0; Check::ALL.len()],
        "{:?}",
        events(&mut feed.findings)
    );
}

/// Guarantees: calls without a prompt are not remembered, and the table is there only once there is a prompt.
#[test]
fn without_prompts_there_is_nothing() {
    let mut findings = finder(Check::Prompts, CheckMode::On);
    let origin = CallOrigin::default();
    (0..100).for_each(|number| findings.call(&call(&origin, number)));
    let watch = findings.prompts.as_ref().unwrap();
    assert!(watch.table.is_none());
    assert!(finder(Check::Usage, CheckMode::On).prompts.is_none());
    assert!(size_of::<PromptNorms>() < 300);
}
