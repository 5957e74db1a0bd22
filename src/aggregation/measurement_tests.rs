//! Tests of what is measured of spans.

use std::collections::BTreeMap;

use super::tests::{COUNT, Read, USAGE, aggregator, call, collect, config, feed};
use super::*;
use crate::codec::records::testing::SpanRecord;

/// The points of a metric: its attributes without those of the resource, its count and its sum.
fn points(spans: &[SpanRecord], name: &str) -> Vec<(BTreeMap<String, String>, i64, f64)> {
    let mut aggregator = aggregator(config());
    feed(&mut aggregator, spans);
    let mut points: Vec<_> = collect(&mut aggregator, 10)
        .remove(name)
        .unwrap_or_default()
        .into_iter()
        .map(|mut point| {
            point.attributes.remove("service.name");
            (point.attributes, point.count, point.sum)
        })
        .collect();
    points.sort_by(|left, right| left.0.cmp(&right.0));
    points
}

/// Attributes of a call as [`call`] makes it, and these.
fn of_call(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "gpt-4o"),
    ];
    own.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn attributes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Scenario: calls that say which of their tokens a cache had or got and which went into reasoning, in both
/// releases' names, one of them told of twice. Guarantees: each part is counted once and apart, and the
/// tokens in and out are what they are without.
#[test]
fn parts_of_the_tokens_are_counted_apart() {
    let with_parts = |span: u64| {
        call(1, span)
            .with("gen_ai.usage.cache_read.input_tokens", 4)
            .with("gen_ai.usage.reasoning.output_tokens", 15)
    };
    let spans = [
        with_parts(1),
        with_parts(2).parent(1).with("gen_ai.usage.cache_creation.input_tokens", 3),
        call(2, 3).with("gen_ai.usage.cache_write.input_tokens", 2),
    ];
    let modality = of_call(&[("gen_ai.token.modality", "unknown")]);
    let sums = [("cache_read.input", 4), ("cache_write.input", 5), ("reasoning.output", 15)];
    for (part, sum) in sums {
        let name = format!("gen_ai.client.inference.usage.{part}_tokens");
        let points = points(&spans, &name);
        assert_eq!(points, [(modality.clone(), sum, -1.0)], "{name}");
    }
    let usage = points(&spans, USAGE);
    let kinds = [("input", 20.0), ("output", 40.0)];
    let want = kinds.map(|(kind, sum)| (of_call(&[("gen_ai.token.type", kind)]), 2, sum));
    assert_eq!(usage, want);
}

/// Scenario: calls that say which of their tokens are audio and which images, one of them told of twice. Guarantees: each
/// is counted once, by direction, with its modality.
#[test]
fn tokens_of_audio_and_images_are_counted_apart() {
    let with_parts = |span: u64| {
        call(1, span)
            .with("gen_ai.usage.audio.input_tokens", 4)
            .with("gen_ai.usage.audio.output_tokens", 15)
            .with("gen_ai.usage.image.input_tokens", 6)
    };
    let spans = [with_parts(1), with_parts(2).parent(1), call(2, 3)];
    let sums = [("audio", "input", 4), ("audio", "output", 15), ("image", "input", 6)];
    for (modality, direction, sum) in sums {
        let name = format!("fluentbit.ai.{modality}.{direction}_tokens");
        let expected = of_call(&[("gen_ai.token.modality", modality)]);
        assert_eq!(points(&spans, &name), [(expected, sum, -1.0)], "{name}");
    }
    assert_eq!(points(&spans, "fluentbit.ai.image.output_tokens"), []);
}

/// Scenario: spans that say when their answer began, as a client or as a model server, that failed, or that had
/// one token. Guarantees: each metric has the values that its definition gives, and no other.
#[test]
fn times_within_a_call_are_those_of_the_conventions() {
    const FIRST: &str = "gen_ai.response.time_to_first_chunk";
    let streamed = |trace: u64| call(trace, 1).times(1000, 3500).with(FIRST, 0.5);
    let engine = |first: f64, total: f64| {
        call(9, 9)
            .with("gen_ai.latency.time_to_first_token", first)
            .with("gen_ai.latency.e2e", total)
    };
    let one_token = SpanRecord::new(4, 1)
        .times(1000, 2000)
        .with("gen_ai.operation.name", "chat")
        .with("gen_ai.usage.output_tokens", 1)
        .with(FIRST, 0.5);
    let table: [(&[SpanRecord], &str, i64, f64); 8] = [
        (&[streamed(1), one_token], "gen_ai.client.operation.time_to_first_chunk", 2, 1.0),
        (&[streamed(1)], "fluentbit.ai.time_per_output_token", 1, 2.0 / 19.0),
        (&[streamed(1).error()], "fluentbit.ai.time_per_output_token", 0, 0.0),
        (&[streamed(1).error()], "gen_ai.client.operation.time_to_first_chunk", 1, 0.5),
        (&[engine(0.5, 2.4)], "gen_ai.server.request.duration", 1, 2.4),
        (&[engine(0.5, 2.4)], "gen_ai.server.time_to_first_token", 1, 0.5),
        (&[engine(0.5, 2.4)], "gen_ai.server.time_per_output_token", 1, 1.9 / 19.0),
        (&[engine(2.5, 2.4)], "gen_ai.server.time_per_output_token", 0, 0.0),
    ];
    for (spans, name, count, sum) in table {
        let points = points(spans, name);
        let found = points.iter().map(|(_, count, sum)| (*count, *sum));
        let (counted, summed) = found.fold((0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
        assert_eq!(counted, count, "{name}");
        assert!((summed - sum).abs() < 1e-9, "{name}: {summed}");
    }
    let agent =
        SpanRecord::new(1, 1).with("gen_ai.operation.name", "invoke_agent").with(FIRST, 1.0);
    assert!(points(&[agent], "gen_ai.client.operation.time_to_first_chunk").is_empty());
}

/// Scenario: responses with a reason, with too long and too many ones. Guarantees: each is counted, by at
/// most sixteen names.
#[test]
fn finish_reasons_are_counted() {
    const REASONS: &str = "gen_ai.response.finish_reasons";
    let mut spans = vec![call(1, 1).with(REASONS, "stop"), call(2, 1).with(REASONS, "stop")];
    spans.push(call(3, 1).with(REASONS, "x".repeat(65).as_str()));
    let found = points(&spans, "fluentbit.ai.finish_reasons");
    let reason = |reason: &str| of_call(&[("fluentbit.ai.finish_reason", reason)]);
    assert_eq!(found, [(reason("_OTHER"), 1, -1.0), (reason("stop"), 2, -1.0)]);
    let many = (1..=100).map(|trace| call(trace, 1).with(REASONS, format!("r{trace}").as_str()));
    let found = points(&many.collect::<Vec<_>>(), "fluentbit.ai.finish_reasons");
    assert_eq!(found.len(), 16);
    assert_eq!(found.iter().map(|(_, count, _)| count).sum::<i64>(), 100);
}

/// An attribute with its value.
type Pair = (&'static str, &'static str);

const NAMES: [&str; 6] = [
    "gen_ai.execute_tool.duration",
    "gen_ai.invoke_agent.duration",
    "gen_ai.invoke_workflow.duration",
    "gen_ai.retrieval.duration",
    "mcp.client.operation.duration",
    "mcp.server.operation.duration",
];

/// Scenario: spans of tools, agents, workflows, retrievals and of both ends of the Model Context Protocol.
/// Guarantees: each is measured under its metric and with its attributes, and under no other.
#[test]
fn what_has_a_name_is_measured_by_it() {
    let span = |pairs: &[Pair]| {
        let span = SpanRecord::new(1, 1).times(1000, 1500);
        pairs.iter().fold(span, |span, (key, value)| span.with(key, *value))
    };
    let tool = [
        ("gen_ai.operation.name", "execute_tool"),
        ("gen_ai.tool.name", "search"),
        ("gen_ai.tool.type", "function"),
        ("gen_ai.agent.name", "planner"),
    ];
    let agent = [
        ("gen_ai.operation.name", "invoke_agent"),
        ("gen_ai.agent.name", "planner"),
        ("gen_ai.request.model", "gpt-4o"),
    ];
    let workflow =
        [("gen_ai.operation.name", "invoke_workflow"), ("gen_ai.workflow.name", "orders")];
    let retrieval = [
        ("gen_ai.operation.name", "retrieval"),
        ("gen_ai.data_source.id", "manuals"),
        ("server.port", "443"),
    ];
    let method = [("mcp.method.name", "tools/call"), ("gen_ai.tool.name", "search")];
    let called = [&method[..], &[("gen_ai.operation.name", "execute_tool")]].concat();
    let table: [(SpanRecord, &[&str], Vec<Pair>); 10] = [
        (span(&tool), &["gen_ai.execute_tool.duration"], tool[1..].to_vec()),
        (
            span(&tool).error(),
            &["gen_ai.execute_tool.duration"],
            [&tool[1..], &[("error.type", "_OTHER")]].concat(),
        ),
        (span(&agent), &["gen_ai.invoke_agent.duration"], agent[1..].to_vec()),
        (span(&workflow), &["gen_ai.invoke_workflow.duration"], workflow[1..].to_vec()),
        (span(&retrieval), &["gen_ai.retrieval.duration"], retrieval[1..2].to_vec()),
        (span(&method).kind("client"), &["mcp.client.operation.duration"], method.to_vec()),
        (span(&method).kind("server"), &["mcp.server.operation.duration"], method.to_vec()),
        (span(&called).kind("client"), &["mcp.client.operation.duration"], called.clone()),
        (span(&called).kind("server"), &["mcp.server.operation.duration"], called.clone()),
        (
            span(&called).kind("internal"),
            &["gen_ai.execute_tool.duration", "mcp.client.operation.duration"],
            vec![],
        ),
    ];
    for (span, names, want) in table {
        for name in NAMES {
            let found = points(std::slice::from_ref(&span), name);
            assert_eq!(found.len(), usize::from(names.contains(&name)), "{name}: {found:?}");
            for (found, count, sum) in found {
                assert_eq!((count, sum), (1, 0.5));
                assert!(want.is_empty() || found == attributes(&want), "{name}: {found:?}");
            }
        }
    }
}

/// Guarantees: a request of the protocol that says no operation is measured, and is no operation.
#[test]
fn a_request_of_the_protocol_is_no_operation() {
    let mut aggregator = aggregator(config());
    let request = SpanRecord::new(1, 1).kind("client").with("mcp.method.name", "tools/list");
    feed(&mut aggregator, &[request]);
    assert_eq!(aggregator.tally().measured, 1);
    assert!(!collect(&mut aggregator, 10).contains_key(COUNT));
}

/// Scenario: more tools than there may be series of all metrics, and then none for long. Guarantees: names
/// beyond are lost and counted, durations are not; in the end nothing is held.
#[test]
fn names_are_bounded() {
    let mut aggregator = aggregator(MetricsConfig { max_series: 40, ..config() });
    for trace in 1..=50 {
        let tool = SpanRecord::new(trace, 1)
            .with("gen_ai.operation.name", "execute_tool")
            .with("gen_ai.tool.name", format!("tool{trace}").as_str());
        feed(&mut aggregator, &[tool.clone(), tool]);
    }
    assert_eq!((aggregator.tally().series, aggregator.tally().overflow), (41, 24));
    let metrics = collect(&mut aggregator, 10);
    let durations = &metrics["gen_ai.execute_tool.duration"];
    assert_eq!(durations.iter().map(|point| point.count).sum::<i64>(), 100);
    let overflow = |point: &&Read| point.attributes.contains_key("otel.metric.overflow");
    assert_eq!(durations.iter().find(overflow).unwrap().count, 24);
    assert_eq!(metrics[COUNT][0].count, 100);
    collect(&mut aggregator, 400);
    assert_eq!(aggregator.tally().series, 0);
}
