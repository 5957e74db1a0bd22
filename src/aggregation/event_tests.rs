//! Tests of what is measured of log events.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::tests::{
    COUNT, DURATION, Read, SECOND, START, USAGE, aggregator, call, collect, config,
};
use super::*;
use crate::codec::records::testing::{SpanRecord, chunk, log_event};

/// A log event with these attributes; `span` is where it stands.
fn event(span: Option<(u64, u64)>, attributes: &Value) -> Vec<u8> {
    let mut otlp = json!({
        "v": 1,
        "signal": "log",
        "resource": {"attributes": {"service.name": "shop"}},
        "attributes": attributes,
    });
    if let Some((trace, span)) = span {
        otlp["trace_id"] = json!(format!("0af7651916cd43dd{trace:016x}"));
        otlp["span_id"] = json!(format!("{span:016x}"));
    }
    log_event(START, &json!({ "otlp": otlp }), &json!({"log": "claude_code.api_request"}))
}

/// An event of a call as `ai_context` writes it, with these attributes too.
fn api_request(more: &[(&str, Value)]) -> Value {
    let mut attributes = json!({
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "duration_ms": 500,
    });
    for (key, value) in more {
        attributes[key] = value.clone();
    }
    attributes
}

/// How many operations, the seconds of all, the input tokens, and what was left out.
type Expected = (i64, f64, u64, u64);

/// The count and the sum over all points, by metric.
fn totals(events: &[&[u8]]) -> (BTreeMap<String, (i64, f64)>, AggregationTally) {
    let mut aggregator = aggregator(config());
    for event in events {
        aggregator.on_chunk(b"ai", event, Tick(1), START);
    }
    let metrics = collect(&mut aggregator, 10);
    let sum = |points: Vec<Read>| {
        let sums = points.iter().map(|point| point.sum.max(0.0)).sum();
        (points.iter().map(|point| point.count).sum(), sums)
    };
    let totals = metrics.into_iter().map(|(name, points)| (name, sum(points))).collect();
    (totals, *aggregator.tally())
}

/// Scenario: an event of a call that no span tells of. Guarantees: it is measured as a span would be.
#[test]
fn an_event_alone_is_measured() {
    let reasons = ("gen_ai.response.finish_reasons", json!(["stop", "length"]));
    let (totals, tally) = totals(&[&event(None, &api_request(&[reasons]))]);
    let want = [
        ("fluentbit.ai.cache_hit_ratio", (1, 0.4)),
        // An amount has no count.
        ("fluentbit.ai.cost", (-1, 0.000_22)),
        ("fluentbit.ai.cost.calls", (1, 0.0)),
        ("fluentbit.ai.finish_reasons", (2, 0.0)),
        ("gen_ai.client.inference.usage.cache_read.input_tokens", (4, 0.0)),
        (COUNT, (1, 0.0)),
        (DURATION, (1, 0.5)),
        (USAGE, (2, 30.0)),
    ];
    assert_eq!(totals, BTreeMap::from(want.map(|(name, total)| (name.to_owned(), total))));
    assert_eq!((tally.measured, tally.measured_events, tally.duplicate_calls), (0, 1, 0));
    assert_eq!((tally.input_tokens, tally.output_tokens), (10, 20));
}

/// Scenario: a call or a tool as events and spans, by ids or by place, in every order. Guarantees: all
/// metrics say that it was once, and the tally counts what was left out.
#[test]
fn what_spans_and_events_tell_of_counts_once() {
    let id = || ("gen_ai.response.id", json!("req_1"));
    let with_id = event(None, &api_request(&[id()]));
    let other_id = event(None, &api_request(&[("gen_ai.response.id", json!("req_2"))]));
    let in_span = event(Some((1, 2)), &api_request(&[]));
    let above = event(Some((1, 1)), &api_request(&[]));
    let details =
        event(Some((1, 2)), &api_request(&[("event.name", json!("gen_ai.client.inference"))]));
    let span = call(1, 2).parent(1).times(1000, 1500).with("gen_ai.response.id", "req_1");
    let cached = span.with("gen_ai.usage.cache_read.input_tokens", 4).encode();
    let agent = SpanRecord::new(1, 1).encode();
    let result = json!({
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "Bash",
        "gen_ai.tool.call.id": "t-1",
        "duration_ms": "500",
    });
    let tool_event = event(None, &result);
    let tool_in_span = event(Some((1, 2)), &result);
    let tool = SpanRecord::new(1, 3)
        .times(1000, 1500)
        .with("gen_ai.operation.name", "execute_tool")
        .with("gen_ai.tool.name", "Bash")
        .with("gen_ai.tool.call.id", "t-1")
        .encode();
    let once = |input: u64, duplicates: u64| (1, 0.5, input, duplicates);
    let table: [(&[&[u8]], Expected); 11] = [
        (&[&with_id, &cached], once(10, 1)),
        (&[&with_id, &with_id], once(10, 1)),
        (&[&with_id, &with_id, &cached], once(10, 2)),
        (&[&with_id, &other_id], (2, 1.0, 20, 0)),
        (&[&in_span, &cached], once(10, 1)),
        (&[&above, &cached, &agent], once(10, 1)),
        (&[&in_span, &details, &cached], once(10, 2)),
        (&[&tool_event, &tool], once(0, 1)),
        (&[&tool_in_span, &tool], once(0, 0)),
        (&[&tool_event, &tool_event], once(0, 1)),
        (&[&with_id, &cached, &tool_event, &tool], (2, 1.0, 10, 2)),
    ];
    for (items, (count, seconds, input, duplicates)) in table {
        let mut order: Vec<usize> = (0..items.len()).collect();
        for turn in 0..items.len() * 2 {
            order.rotate_left(1);
            if turn == items.len() {
                order.reverse();
            }
            let items: Vec<&[u8]> = order.iter().map(|index| items[*index]).collect();
            let (totals, tally) = totals(&items);
            let note = format!("{order:?}: {totals:?}");
            assert_eq!(totals[COUNT].0, count, "{note}");
            assert!((totals[DURATION].1 - seconds).abs() < 1e-9, "{note}");
            assert_eq!((tally.input_tokens, tally.duplicate_calls), (input, duplicates), "{note}");
            let priced = totals.get("fluentbit.ai.cost.calls").map_or(0, |total| total.0);
            assert_eq!(u64::try_from(priced).unwrap() * 10, input, "{note}");
            let cache = totals.get("gen_ai.client.inference.usage.cache_read.input_tokens");
            let cache_read = cache.map_or(0, |total| total.0);
            assert_eq!(u64::try_from(cache_read).unwrap() * 10, input * 4, "{note}");
        }
    }
}

/// Scenario: calls of two models, of which one fails, one is told of by two spans of a trace, one by a span and an
/// event without ids, in either order; and a tool. Guarantees: the table has each operation that calls a model, and the
/// tokens of each call once, as the tally has.
#[test]
fn the_table_of_models_counts_as_the_metrics_do() {
    let id = ("gen_ai.response.id", json!("req_1"));
    let told_of = event(None, &api_request(&[id]));
    let span = call(7, 2).times(1000, 1500).with("gen_ai.response.id", "req_1").encode();
    let other = SpanRecord::new(3, 3)
        .times(1000, 9000)
        .error()
        .with("gen_ai.operation.name", "chat")
        .with("gen_ai.response.model", "<img src=x>");
    let tool = SpanRecord::new(4, 4).with("gen_ai.operation.name", "execute_tool");
    let outer = call(5, 1).times(1000, 1500);
    let inner = call(5, 2).parent(1).times(1000, 1500);
    let spans = chunk(&[other, tool, outer, inner, call(6, 1).times(1000, 1500)]);
    for items in [[&told_of, &span], [&span, &told_of]] {
        let mut aggregator = aggregator(config());
        assert!(aggregator.models(Tick(1)).is_empty());
        aggregator.watch();
        for bytes in [items[0], items[1], &spans] {
            aggregator.on_chunk(b"ai", bytes, Tick(1), START);
        }
        let models = aggregator.models(Tick(2));
        let numbers = |model: &ModelUse| {
            let ModelUse { requests, errors, input_tokens, output_tokens, .. } = *model;
            (requests, errors, input_tokens, output_tokens)
        };
        let [first, second] = &models[..] else { panic!("{models:?}") };
        assert_eq!((&*first.provider, &*first.model), ("openai", "gpt-4o"));
        assert_eq!(numbers(first), (4, 0, 30, 60));
        let tally = aggregator.tally();
        assert_eq!((tally.input_tokens, tally.output_tokens), (30, 60));
        assert!((first.p50.unwrap() - 0.5).abs() < 0.03 && first.cost_usd > 0.0, "{first:?}");
        assert_eq!((&*second.provider, &*second.model), ("", "<img src=x>"));
        assert_eq!(numbers(second), (1, 1, 0, 0));
        assert!((second.p99.unwrap() / 8.0 - 1.0).abs() < 0.05, "{second:?}");
    }
}

/// Scenario: more models than there are rows. Guarantees: those beyond share one row, and nothing is lost.
#[test]
fn the_table_of_models_is_bounded() {
    let mut aggregator = aggregator(config());
    aggregator.watch();
    let spans: Vec<SpanRecord> = (1..=150)
        .map(|number| {
            let model = format!("{number}{}", "\u{20ac}".repeat(100));
            call(number, 1).with("gen_ai.request.model", &*model)
        })
        .collect();
    aggregator.on_chunk(b"ai", &chunk(&spans), Tick(1), START);
    let models = aggregator.models(Tick(2));
    assert_eq!((models.len(), models.iter().map(|model| model.requests).sum::<u64>()), (101, 150));
    assert_eq!((&*models[0].model, models[0].requests), ("other models", 50));
    assert_eq!(models.iter().map(|model| model.input_tokens).sum::<u64>(), 1500);
    assert!(models.iter().all(|model| model.model.len() <= 128));
}

/// Scenario: events that tell of no call or tool, or of no duration. Guarantees: nothing is made up.
#[test]
fn what_an_event_does_not_say_is_not_measured() {
    let decision = json!({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "Bash"});
    let prompt = json!({"event.name": "user_prompt", "duration_ms": 5});
    for attributes in [&decision, &prompt, &json!({}), &json!({"gen_ai.operation.name": ""})] {
        let (totals, tally) = totals(&[&event(None, attributes)]);
        assert_eq!((totals.len(), tally.measured_events), (0, 0), "{attributes}");
    }
    let part = api_request(&[("event.name", json!("codex.sse_event"))]);
    let (totals, _) = totals(&[&event(None, &part)]);
    assert_eq!((totals.get(DURATION), totals[COUNT].0), (None, 1));
    let line = log_event(START, &json!({}), &json!({"gen_ai.operation.name": "chat"}));
    assert_eq!(self::totals(&[&line]).1, AggregationTally::default());
}

/// Scenario: an event that our own filters emitted, and one of the host's own input in its group.
/// Guarantees: the first is left alone, the other has the resource of its group.
#[test]
fn events_are_ours_or_of_a_group() {
    let mut ours = json!({
        "v": 1, "signal": "log", "from": [7, 2], "attributes": api_request(&[]),
    });
    let mut aggregator = aggregator(config());
    let emitted = log_event(START, &json!({ "otlp": ours }), &json!({"log": ""}));
    aggregator.on_chunk(b"ai", &emitted, Tick(1), START);
    assert_eq!(aggregator.tally().measured_events, 0);
    ours["from"] = json!([7, 1]);
    let emitted = log_event(START, &json!({ "otlp": ours }), &json!({"log": ""}));
    aggregator.on_chunk(b"ai", &emitted, Tick(1), START);
    assert_eq!(aggregator.tally().measured_events, 1);
    let mut group = vec![0x92, 0x92, 0xd7, 0, 255, 255, 255, 255, 0, 0, 0, 0];
    group.extend(rmp_serde::to_vec(&json!({"schema": "otlp"})).unwrap());
    let resource = json!({"resource": {"attributes": {"service.name": "grouped"}}, "scope": {}});
    group.extend(rmp_serde::to_vec(&resource).unwrap());
    let otlp = json!({"otlp": {"attributes": api_request(&[])}});
    let record = log_event(START, &otlp, &json!({"log": "text"}));
    aggregator.on_chunk(b"ai", &[group, record].concat(), Tick(1), START);
    let metrics = collect(&mut aggregator, 10);
    let services: Vec<Option<&String>> =
        metrics[COUNT].iter().map(|point| point.attributes.get("service.name")).collect();
    assert!(services.contains(&Some(&"grouped".to_owned())), "{services:?}");
}

/// Scenario: an event is emitted, and its span comes in the next interval. Guarantees: deltas add up to one
/// call; cumulative sums do not fall.
#[test]
fn what_was_emitted_is_owed() {
    for temporality in [Temporality::Delta, Temporality::Cumulative] {
        let mut aggregator = aggregator(MetricsConfig { temporality, ..config() });
        let with_id = api_request(&[("gen_ai.response.id", json!("req_1"))]);
        aggregator.on_chunk(b"ai", &event(None, &with_id), Tick(1), START);
        let first = collect(&mut aggregator, 10);
        assert_eq!(first[COUNT][0].count, 1);
        let span = call(1, 1).times(1000, 1500).with("gen_ai.response.id", "req_1");
        aggregator.on_chunk(b"ai", &chunk(&[span]), Tick(11 * SECOND), START + 11 * SECOND);
        let second = collect(&mut aggregator, 20);
        match temporality {
            Temporality::Delta => assert!(!second.contains_key(COUNT), "{second:?}"),
            Temporality::Cumulative => assert_eq!(second[COUNT][0].count, 1),
        }
    }
}
