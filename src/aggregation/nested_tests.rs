//! Tests: operations that say other tokens than the calls within them.

use std::time::Duration;

use super::tests::{START, aggregator, call, config, feed, read};
use super::*;
use crate::codec::records::testing::SpanRecord;

/// Operation, type of tokens, missing and surplus ones.
type Difference = (String, String, i64, i64);

fn operation(trace: u64, span: u64, name: &str, tokens: [Option<i64>; 2]) -> SpanRecord {
    let mut record = SpanRecord::new(trace, span).with("gen_ai.operation.name", name);
    for (key, tokens) in ["input_tokens", "output_tokens"].iter().zip(tokens) {
        if let Some(tokens) = tokens {
            record = record.with(&format!("gen_ai.usage.{key}"), tokens);
        }
    }
    record
}

fn agent(span: u64, input: i64, output: i64) -> SpanRecord {
    operation(1, span, "invoke_agent", [Some(input), Some(output)])
}

/// What is told of spans that come in these chunks, once their traces are forgotten.
fn differences(chunks: &[Vec<SpanRecord>]) -> Vec<Difference> {
    let mut aggregator = aggregator(config());
    for chunk in chunks {
        feed(&mut aggregator, chunk);
    }
    let minute = Duration::from_secs(61);
    let mut found: Vec<Difference> = Vec::new();
    for minutes in 1..=3 {
        let nanos = u64::try_from((minute * minutes).as_nanos()).unwrap();
        let metrics = read(&aggregator.take(false, Tick(nanos), START + nanos));
        for (side, name) in ["missing", "surplus"].iter().enumerate() {
            let points = metrics.get(&format!("fluentbit.ai.nested_usage.{name}_tokens"));
            assert!(points.is_none() || minutes == 2, "the window is over then");
            for point in points.into_iter().flatten() {
                assert_eq!(point.attributes.len(), 2, "{point:?}");
                let of = |key: &str| point.attributes[key].clone();
                let mut tokens = [0; 2];
                tokens[side] = point.count;
                let [missing, surplus] = tokens;
                found.push((
                    of("gen_ai.operation.name"),
                    of("gen_ai.token.type"),
                    missing,
                    surplus,
                ));
            }
        }
    }
    found.sort();
    found
}

fn difference(operation: &str, kind: &str, missing: i64, surplus: i64) -> Difference {
    (operation.to_owned(), kind.to_owned(), missing, surplus)
}

/// Scenario: agents and frameworks that repeat the sum of the calls within them, or do not, with spans in any order and in
/// several chunks (each call has 10 input and 20 output tokens). Guarantees: what differs is told by operation and type, after
/// the window, and nothing where sums are equal or not said.
#[test]
fn sums_are_held_against_the_calls_within() {
    let called = |span: u64, parent: u64| call(1, span).parent(parent);
    let agents = "invoke_agent";
    for (what, spans, expected) in [
        ("equal", vec![agent(1, 20, 40), called(2, 1), called(3, 1)], vec![]),
        (
            "a call has no span",
            vec![agent(1, 50, 40), called(2, 1), called(3, 1)],
            vec![difference(agents, "input", 30, 0)],
        ),
        (
            "a call is not in the sum",
            vec![agent(1, 20, 10), called(2, 1), called(3, 1)],
            vec![difference(agents, "output", 0, 30)],
        ),
        (
            "no call has a span",
            vec![agent(1, 5, 6)],
            vec![difference(agents, "input", 5, 0), difference(agents, "output", 6, 0)],
        ),
        (
            "a framework's call",
            vec![operation(1, 1, "chat", [Some(12), Some(20)]), called(2, 1)],
            vec![difference("chat", "input", 2, 0)],
        ),
        (
            "agents within agents",
            vec![agent(1, 20, 40), agent(2, 20, 40).parent(1), called(3, 2), called(4, 2)],
            vec![],
        ),
        (
            "a tool between",
            vec![
                agent(1, 10, 20),
                operation(1, 2, "execute_tool", [None; 2]).parent(1),
                called(3, 2),
            ],
            vec![],
        ),
        (
            "one number alone",
            vec![operation(1, 1, agents, [None, Some(21)]), called(2, 1)],
            vec![difference(agents, "output", 1, 0)],
        ),
        ("nothing said", vec![operation(1, 1, agents, [None; 2]), called(2, 1)], vec![]),
        ("an own parent", vec![agent(1, 10, 20).parent(1), called(2, 1)], vec![]),
    ] {
        let mut spans = spans;
        for _ in 0..2 {
            assert_eq!(differences(&[spans.clone()]), expected, "{what}");
            let apart: Vec<Vec<SpanRecord>> = spans.iter().map(|span| vec![span.clone()]).collect();
            assert_eq!(differences(&apart), expected, "{what}, in several chunks");
            spans.reverse();
        }
    }
}

/// Scenario: calls of which a cache had a part, nothing, or which do not say, one told of twice. Guarantees: the share is
/// measured once for each call that says it, and the mean of many is theirs.
#[test]
fn the_share_of_the_cache_is_measured_once_a_call() {
    let cached =
        |span: u64, tokens: i64| call(1, span).with("gen_ai.usage.cache_read.input_tokens", tokens);
    let mut aggregator = aggregator(config());
    feed(&mut aggregator, &[cached(1, 9), cached(2, 9).parent(1), cached(3, 0), call(1, 4)]);
    let metrics = read(&aggregator.take(false, Tick(20_000_000_000), START + 20_000_000_000));
    let points = &metrics["fluentbit.ai.cache_hit_ratio"];
    assert_eq!(points.len(), 1);
    assert_eq!((points[0].count, points[0].sum), (2, 0.9));
    assert_eq!(points[0].exemplars, 2);
}

/// Scenario: an aggregator with a page and one without, whose emission is put back and taken again. Guarantees: the page has
/// what the last export made, once, and nothing where there is no page.
#[test]
fn a_page_has_what_was_exported_last() {
    for is_watched in [false, true] {
        let mut aggregator =
            aggregator(MetricsConfig { temporality: Temporality::Cumulative, ..config() });
        if is_watched {
            aggregator.watch();
        }
        feed(&mut aggregator, &[call(1, 1)]);
        assert!(aggregator.last_metrics().events.is_empty());
        let at = 20_000_000_000;
        let batches = aggregator.take(false, Tick(at), START + at);
        let last = aggregator.last_metrics();
        let expected: &[u8] = if is_watched { &batches[0].events } else { &[] };
        assert!(last.is_whole && last.events[..] == *expected);
        aggregator.put_back(batches[0].clone());
        assert_eq!(aggregator.take(false, Tick(2 * at), START + 2 * at), batches);
        assert_eq!(aggregator.last_metrics().unix_nanos, last.unix_nanos);
    }
}
