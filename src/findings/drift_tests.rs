//! Checks of drift on answers that are made up: what is found, when, with what evidence, and what is not.

use super::tests::{
    DAY, Drawn, SECOND, attribute, call, config, events, finder, found, resource, text,
};
use super::*;

/// A day in which learning begins.
const FIRST: u64 = 100 * DAY;
/// Between two calls.
const GAP: u64 = 20 * SECOND;

/// What answers are like.
#[derive(Clone, Copy)]
struct Answers {
    /// How many times as long as usual.
    length: f64,
    /// Shares of those that were refused, and that were cut.
    refused: f64,
    cut: f64,
    /// How much less than usual they score.
    worse: f64,
}

const USUAL: Answers = Answers { length: 1.0, refused: 0.01, cut: 0.03, worse: 0.0 };

/// Feeds so many calls from a number on, whose answers are longer by day than by night, each with an evaluation.
fn feed(findings: &mut Findings, drawn: &mut Drawn, from: u64, calls: u64, answers: Answers) {
    let resource = resource("shop");
    let origin = CallOrigin::new(Some(&resource), None);
    let reasons = ["content_filter", "length", "stop"]
        .map(|reason| rmp_serde::to_vec(&serde_json::json!([reason])).unwrap());
    let (prompt, evaluation) = (text("greeting"), text("relevance"));
    for number in from..from + calls {
        let unix_nanos = FIRST + number * GAP;
        let day = (unix_nanos as f64 / DAY as f64 * std::f64::consts::TAU).sin();
        let (level, one) = (0.28 * day, drawn.uniform());
        let refused = answers.refused * level.exp();
        let reason = match one {
            _ if one < refused => 0,
            _ if one < refused + answers.cut * level.exp() => 1,
            _ => 2,
        };
        let output = (5.0 + level + 0.8 * drawn.normal()).exp() * answers.length;
        let tokens = UsedTokens { output: Some(output.round()), ..UsedTokens::default() };
        let call = ObservedCall {
            unix_nanos,
            tokens,
            finish_reasons: &reasons[reason],
            prompt_name: &prompt,
            ..call(&origin, number)
        };
        findings.call(&call);
        let score = 0.8 - answers.worse + 0.03 * day + 0.15 * drawn.normal();
        findings.evaluation(&ObservedEvaluation {
            origin: &origin,
            unix_nanos: unix_nanos + SECOND,
            name: &evaluation,
            score: Some(score.clamp(0.0, 1.0)),
            label: &[],
            response_id: &[],
            ids: call.ids,
        });
    }
}

/// Calls of a day, and of the reference and the windows whose differences are learned.
const OF_DAY: u64 = DAY / GAP;
const LEARNED: u64 = 2 * OF_DAY;

/// Guarantees: two weeks of usual answers with a daily rhythm make no finding.
#[test]
fn usual_answers_make_no_finding() {
    for seed in 1..=3 {
        let mut findings = finder(Check::Drift, CheckMode::On);
        feed(&mut findings, &mut Drawn(seed), 0, 14 * OF_DAY, USUAL);
        assert_eq!(found(&mut findings), [""; 0]);
        assert_eq!(
            findings.tally().keys,
            2 + 1,
            "a call, its evaluation, and that of the first one"
        );
    }
}

/// Guarantees: each kind of drift is found within a number of calls, nine times of ten at least, as what it is and once,
/// with the bins that moved, the prompt and the service.
#[test]
fn drift_is_found_with_evidence() {
    let cases = [
        (Answers { length: 2.0, ..USUAL }, 600, "drift output_length", ""),
        (Answers { refused: 0.12, ..USUAL }, 800, "drift refusals", "refused 0.0"),
        (Answers { cut: 0.2, ..USUAL }, 600, "drift finish_reasons", "length 0.0"),
        (Answers { worse: 0.2, ..USUAL }, 400, "drift evaluation_score", ""),
    ];
    for (answers, within, name, bin) in cases {
        let mut missed = 0;
        for seed in 1..=10 {
            let mut findings = finder(Check::Drift, CheckMode::On);
            let mut drawn = Drawn(seed);
            feed(&mut findings, &mut drawn, 0, LEARNED, USUAL);
            assert_eq!(found(&mut findings), [""; 0], "{name}");
            feed(&mut findings, &mut drawn, LEARNED, within, answers);
            let told = events(&mut findings);
            let Some((service, log)) = told.first() else {
                missed += 1;
                continue;
            };
            assert_eq!((told.len(), service.as_str()), (1, "shop"), "{name}: {told:?}");
            let of = |key: &str| attribute(log, &format!("fluentbit.ai.finding.{key}"));
            assert_eq!(format!("{} {}", of("type"), of("signal")), name);
            assert_eq!(attribute(log, "gen_ai.prompt.name"), "greeting", "{name}");
            assert!(of("bins").contains(bin) && of("bins").contains(" -> "), "{}", of("bins"));
            let numbers = ["moved", "spreads", "calls", "reference_calls"];
            let numbers = numbers.map(|key| of(key).parse::<f64>().unwrap());
            assert!(numbers[0] > 0.02 && numbers[1] > 5.5 && numbers[2] >= 100.0, "{numbers:?}");
            let has_shares = !of("usual").is_empty();
            assert_eq!(has_shares, name == "drift refusals");
            if seed == 1 {
                // What stays so is told no more, and a day later it is what is usual.
                feed(&mut findings, &mut drawn, LEARNED + within, 4 * OF_DAY, answers);
                assert_eq!(found(&mut findings), [""; 0], "{name} is told once");
            }
        }
        assert!(missed <= 1, "{name}: {missed} of 10");
    }
}

/// Guarantees: what is over within a day leaves the reference as it was, so that it is found again when it comes
/// again, and the return to what was usual is no finding.
#[test]
fn what_is_over_is_found_again() {
    let (mut findings, mut drawn) = (finder(Check::Drift, CheckMode::On), Drawn(7));
    let bad = Answers { length: 3.0, ..USUAL };
    feed(&mut findings, &mut drawn, 0, LEARNED, USUAL);
    feed(&mut findings, &mut drawn, LEARNED, 800, bad);
    assert_eq!(found(&mut findings), ["drift output_length"]);
    feed(&mut findings, &mut drawn, LEARNED + 800, 3 * OF_DAY, USUAL);
    assert_eq!(found(&mut findings), [""; 0]);
    feed(&mut findings, &mut drawn, LEARNED + 800 + 3 * OF_DAY, 800, bad);
    assert_eq!(found(&mut findings), ["drift output_length"]);
}

/// Guarantees: evaluations find the call of their span or of their response, those of calls that are not known are the
/// service's, and labels count where there is no score.
#[test]
fn evaluations_belong_to_their_call() {
    let resource = resource("shop");
    let origin = CallOrigin::new(Some(&resource), None);
    let (name, other) = (text("tone"), text("resp-2"));
    let evaluate = |findings: &mut Findings, number: u64, label: &str, ids, response_id| {
        findings.evaluation(&ObservedEvaluation {
            origin: &origin,
            unix_nanos: FIRST + number * GAP,
            name: &name,
            score: None,
            label: &text(label),
            response_id,
            ids,
        });
    };
    for (by_response, model) in [(false, "gpt-4o"), (true, "gpt-4o"), (false, "")] {
        let mut findings = finder(Check::Drift, CheckMode::On);
        evaluate(&mut findings, 0, "pass", None, &[]);
        for number in 0..LEARNED + 700 {
            let unix_nanos = FIRST + number * GAP;
            let call = ObservedCall { unix_nanos, response_id: &other, ..call(&origin, number) };
            let is_known = !model.is_empty();
            let ids = call.ids.filter(|_| !by_response && is_known);
            let response_id = if by_response { &other[..] } else { &[] };
            findings.call(&call);
            let is_bad = number % if number < LEARNED { 50 } else { 4 } == 0;
            let label = if is_bad { "fail" } else { "pass" };
            evaluate(&mut findings, number, label, ids, response_id);
        }
        let told = events(&mut findings);
        assert_eq!(told.len(), 1, "{told:?}");
        let log = &told[0].1;
        assert_eq!(attribute(log, "fluentbit.ai.finding.signal"), "evaluation_label");
        assert_eq!(attribute(log, "gen_ai.evaluation.name"), "tone");
        assert_eq!(attribute(log, "gen_ai.request.model"), model);
        assert!(attribute(log, "fluentbit.ai.finding.bins").contains("fail 0.0"));
    }
}

/// Guarantees: a clock that jumps ahead and back, calls that come late, and hundreds of thousands of keys are survived,
/// within bounds, and the keys that were used least recently make room.
#[test]
fn odd_times_and_many_keys_are_survived() {
    let (mut findings, mut drawn) = (finder(Check::Drift, CheckMode::On), Drawn(3));
    feed(&mut findings, &mut drawn, 0, LEARNED, USUAL);
    feed(&mut findings, &mut drawn, 500 * OF_DAY, 3, USUAL);
    feed(&mut findings, &mut drawn, LEARNED, 2 * OF_DAY, USUAL);
    assert_eq!(found(&mut findings), [""; 0]);
    feed(&mut findings, &mut drawn, 4 * OF_DAY, 800, Answers { length: 3.0, ..USUAL });
    assert_eq!(found(&mut findings), ["drift output_length"], "after a jump of the clock");

    let mut small = config(Check::Drift, CheckMode::On);
    small.max_keys = 160;
    let mut findings = Findings::new(small, 0);
    let origin = CallOrigin::default();
    for number in 0..100_000_u64 {
        let model = text(&number.to_string());
        let unix_nanos = FIRST + number * SECOND / 10;
        findings.call(&ObservedCall { unix_nanos, request_model: &model, ..call(&origin, 1) });
    }
    let tally = findings.tally();
    assert!(tally.keys <= 160 && tally.unwatched > 90_000, "{tally:?}");
    let model = text("late");
    let unix_nanos = FIRST + 2 * DAY;
    findings.call(&ObservedCall { unix_nanos, request_model: &model, ..call(&origin, 1) });
    assert!((150..160).contains(&findings.tally().keys), "a sixteenth made room");
}

/// Guarantees: a key with all that a call has takes less than 4 KiB, and an evaluation less than 3 KiB.
#[test]
fn a_key_is_bounded() {
    use super::drift_bins::DriftSignal;
    use super::drift_windows::{DriftWindows, Moment};
    let of = |signal: DriftSignal| DriftWindows::new(signal.bins(), &Moment::new(0)).bytes() + 80;
    let all = [DriftSignal::FinishReasons, DriftSignal::Refusals, DriftSignal::OutputLength];
    let (call, score) = (all.map(of).iter().sum::<usize>(), of(DriftSignal::Score));
    println!("{call} bytes for a call, {score} for an evaluation, beside their names");
    assert!(call < 4096 && score < 3072, "{call} {score}");
}
