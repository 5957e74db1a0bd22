//! Metrics under the names of semantic-conventions-genai 0.1.0.

use std::collections::BTreeMap;

use super::tests::{Read, aggregator, call, collect, config, feed};
use super::*;
use crate::codec::records::testing::SpanRecord;

const WORKFLOW: &str = "gen_ai.workflow.name";

fn spans() -> Vec<SpanRecord> {
    let plain = |trace: u64, operation: &str| {
        SpanRecord::new(trace, trace).with("gen_ai.operation.name", operation)
    };
    vec![
        call(1, 1).with("gen_ai.response.time_to_first_chunk", 0.5),
        plain(2, "embeddings").with("gen_ai.usage.input_tokens", 7),
        plain(3, "invoke_workflow").with(WORKFLOW, "orders"),
        plain(4, "execute_tool").with("gen_ai.tool.name", "search"),
    ]
}

fn counts(read: &BTreeMap<String, Vec<Read>>) -> Vec<(&str, i64)> {
    let sum = |points: &[Read]| points.iter().map(|point| point.count).sum();
    let theirs = read.iter().filter(|(name, _)| name.starts_with("gen_ai."));
    theirs.map(|(name, points)| (name.as_str(), sum(points))).collect()
}

/// Scenario: operations of each kind, in both temporalities, twice. Guarantees: each is under its name of 0.1.0, once,
/// and with the attributes that it has there; input and output tokens are metrics of their own.
#[test]
fn metrics_have_the_names_of_0_1_0() {
    for temporality in [Temporality::Delta, Temporality::Cumulative] {
        let semconv = SemconvVersion::V0_1_0;
        let mut aggregator = aggregator(MetricsConfig { semconv, temporality, ..config() });
        feed(&mut aggregator, &spans());
        let read = collect(&mut aggregator, 10);
        let expected = [
            ("gen_ai.client.embeddings.duration", 1),
            ("gen_ai.client.embeddings.operation.input_tokens", 1),
            ("gen_ai.client.inference.duration", 1),
            ("gen_ai.client.inference.operation.input_tokens", 1),
            ("gen_ai.client.inference.operation.output_tokens", 1),
            ("gen_ai.client.inference.time_to_first_chunk", 1),
            ("gen_ai.client.operation.count", 4),
            ("gen_ai.client.operation.duration", 2),
            ("gen_ai.execute_tool.duration", 1),
            ("gen_ai.invoke_agent.duration", 1),
        ];
        assert_eq!(counts(&read), expected);
        let workflow = &read["gen_ai.invoke_agent.duration"][0].attributes;
        assert_eq!(workflow.get("gen_ai.agent.name").map(String::as_str), Some("orders"));
        assert_eq!(workflow.get(WORKFLOW), None);
        let input = &read["gen_ai.client.inference.operation.input_tokens"][0];
        assert_eq!((input.sum, input.attributes.get("gen_ai.token.type")), (10.0, None));
        let again = collect(&mut aggregator, 20);
        match temporality {
            Temporality::Delta => assert_eq!(counts(&again), []),
            Temporality::Cumulative => assert_eq!(counts(&again), expected),
        }
    }
}
