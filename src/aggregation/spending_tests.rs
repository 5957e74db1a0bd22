//! What calls take of budgets, each call once.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::tests::{SECOND, START, aggregator, call, collect, config, feed, findings_of};
use super::*;
use crate::codec::records::testing::{SpanRecord, log_event};
use crate::findings::{BudgetConfig, BudgetUnit, Check, CheckMode, FindingsConfig};

const USED: &str = "fluentbit.ai.budget.used";

fn budget(name: &str, key: Option<&str>, unit: BudgetUnit, amount: f64) -> BudgetConfig {
    BudgetConfig {
        name: name.into(),
        of: key.map(|key| (key.into(), None)).into_iter().collect(),
        unit,
        amount,
        period: Duration::from_secs(86_400),
        thresholds: vec![1.0],
    }
}

/// Tokens by user, dollars by service, and all calls, of which there are 10^6, one, and 10^6.
fn watching() -> Aggregator {
    let mut config = config();
    config.findings = Some(FindingsConfig {
        budgets: vec![
            budget("users", Some("user.id"), BudgetUnit::Tokens, 1e6),
            budget("services", Some("service.name"), BudgetUnit::Usd, 1.0),
            budget("all", None, BudgetUnit::Calls, 1e6),
        ],
        ..findings_of(Check::Budgets, CheckMode::Warn)
    });
    aggregator(config)
}

fn of_user(trace: u64, span: u64) -> SpanRecord {
    call(trace, span).with("user.id", "ann")
}

/// What is used of each budget, in millionths. No other metric has a user.
fn used(aggregator: &mut Aggregator) -> BTreeMap<String, f64> {
    let metrics = collect(aggregator, 20);
    for (name, points) in &metrics {
        let has_user = points.iter().any(|point| point.attributes.contains_key("user.id"));
        assert!(name == USED || !has_user, "{name} has a dimension that is a budget's only");
    }
    let points = metrics.get(USED).into_iter().flatten();
    let named = points.map(|point| {
        let mut attributes = point.attributes.clone();
        let name = attributes.remove("fluentbit.ai.budget.name").unwrap();
        let of: Vec<String> = attributes.into_values().collect();
        (format!("{name} {}", of.join(" ")), point.sum * 1e6)
    });
    named.collect()
}

#[track_caller]
fn assert_used(aggregator: &mut Aggregator, expected: &[(&str, f64)]) {
    let used = used(aggregator);
    assert!(used.keys().map(String::as_str).eq(expected.iter().map(|(name, _)| *name)), "{used:?}");
    for (name, expected) in expected {
        let difference = used[*name] - expected;
        assert!(difference.abs() < 1e-3 * expected, "{name}: {used:?}");
    }
}

/// Scenario: calls that two spans tell of, in one chunk or two, in either order. Guarantees: each is spent once, and what was
/// spent for the outer one is taken back.
#[test]
fn a_call_is_spent_once() {
    let spans = [of_user(1, 2), of_user(1, 4).parent(2), of_user(2, 7)];
    let mut reversed = spans.clone();
    reversed.reverse();
    for spans in [spans, reversed] {
        for apart in [false, true] {
            let mut aggregator = watching();
            spans.chunks(if apart { 1 } else { 3 }).for_each(|part| feed(&mut aggregator, part));
            let expected = [("all ", 2.0), ("services shop", 450.0), ("users ann", 60.0)];
            assert_used(&mut aggregator, &expected);
        }
    }
}

/// Scenario: a sampled call, a call without tokens that failed, one of a model without a price, one without a user.
/// Guarantees: what is known of each counts for as many calls as it stands for, and the user's budget lacks only what has none.
#[test]
fn calls_count_for_as_many_as_they_stand_for() {
    let mut aggregator = watching();
    let failed = SpanRecord::new(2, 1).with("gen_ai.operation.name", "chat").error();
    let unpriced = of_user(3, 1).with("gen_ai.response.model", "no such model");
    let unpriced = unpriced.with("gen_ai.request.model", "neither");
    let spans =
        [of_user(1, 1).state("ot=th:e666"), failed.with("user.id", "ann"), unpriced, call(4, 1)];
    feed(&mut aggregator, &spans);
    let weight = 9.999_389_685_688_13;
    let expected = [
        ("all ", weight + 3.0),
        ("services shop", 225.0 * (weight + 1.0)),
        ("users ann", 30.0 * (weight + 1.0)),
    ];
    assert_used(&mut aggregator, &expected);
    assert_eq!(aggregator.findings().unwrap().tally().uncounted, [1, 0, 0]);
}

/// Scenario: an event of a call, with tokens or without, and then the span of the same answer. Guarantees: one call.
#[test]
fn an_event_is_taken_back_when_its_span_comes() {
    for with_tokens in [true, false] {
        let mut attributes = json!({
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.response.id": "one",
            "user.id": "ann",
        });
        if with_tokens {
            attributes["gen_ai.usage.input_tokens"] = json!(10);
            attributes["gen_ai.usage.output_tokens"] = json!(20);
        }
        let resource = json!({"attributes": {"service.name": "shop"}});
        let otlp = json!({"v": 1, "signal": "log", "resource": resource, "attributes": attributes});
        let event = log_event(START, &json!({ "otlp": otlp }), &json!({"log": "api_request"}));
        let mut aggregator = watching();
        aggregator.on_chunk(b"ai", &event, Tick(1), START + SECOND);
        let mut expected = vec![("all ", 1.0), ("services shop", 225.0), ("users ann", 30.0)];
        if !with_tokens {
            expected.truncate(1);
        }
        assert_used(&mut aggregator, &expected);
        let mut aggregator = watching();
        aggregator.on_chunk(b"ai", &event, Tick(1), START + SECOND);
        feed(&mut aggregator, &[of_user(1, 1).with("gen_ai.response.id", "one")]);
        let expected = [("all ", 1.0), ("services shop", 225.0), ("users ann", 30.0)];
        assert_used(&mut aggregator, &expected);
    }
}
