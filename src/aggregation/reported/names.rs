//! The metrics that services report themselves, under each of their names.

/// What of the points of a metric is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ComparedAmount {
    /// How many values histograms have.
    Count,
    /// What values add up to.
    Sum,
}

/// A metric of ours that services report, too.
#[derive(Debug)]
struct ReportedMetric {
    /// Our name for it.
    ours: &'static str,
    amount: ComparedAmount,
    /// Each name of theirs, and a number for those that belong together: what an SDK reports under names with
    /// different numbers it reports again.
    names: &'static [(&'static str, u8)],
}

/// A name under which a metric is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReportedName {
    /// The metric, as [`metric_of`] numbers them.
    pub(super) metric: u8,
    pub(super) form: u8,
    pub(super) amount: ComparedAmount,
}

/// Names of the conventions 1.41 and of semantic-conventions-genai 0.1.0.
static METRICS: [ReportedMetric; 15] = [
    ReportedMetric {
        ours: "gen_ai.client.operation.duration",
        amount: ComparedAmount::Count,
        names: &[
            ("gen_ai.client.operation.duration", 0),
            ("gen_ai.client.inference.duration", 1),
            ("gen_ai.client.embeddings.duration", 1),
        ],
    },
    ReportedMetric {
        ours: "gen_ai.client.token.usage",
        amount: ComparedAmount::Sum,
        names: &[
            ("gen_ai.client.token.usage", 0),
            ("gen_ai.client.inference.operation.input_tokens", 1),
            ("gen_ai.client.inference.operation.output_tokens", 1),
            ("gen_ai.client.embeddings.operation.input_tokens", 1),
            ("gen_ai.client.inference.usage.input_tokens", 2),
            ("gen_ai.client.inference.usage.output_tokens", 2),
        ],
    },
    ReportedMetric {
        ours: "gen_ai.client.operation.time_to_first_chunk",
        amount: ComparedAmount::Count,
        names: &[
            ("gen_ai.client.operation.time_to_first_chunk", 0),
            ("gen_ai.client.inference.time_to_first_chunk", 1),
        ],
    },
    same("gen_ai.server.request.duration", &[("gen_ai.server.request.duration", 0)]),
    same("gen_ai.server.time_to_first_token", &[("gen_ai.server.time_to_first_token", 0)]),
    same("gen_ai.server.time_per_output_token", &[("gen_ai.server.time_per_output_token", 0)]),
    ReportedMetric {
        ours: "gen_ai.client.inference.usage.cache_read.input_tokens",
        amount: ComparedAmount::Sum,
        names: &[("gen_ai.client.inference.usage.cache_read.input_tokens", 0)],
    },
    ReportedMetric {
        ours: "gen_ai.client.inference.usage.cache_write.input_tokens",
        amount: ComparedAmount::Sum,
        names: &[("gen_ai.client.inference.usage.cache_write.input_tokens", 0)],
    },
    ReportedMetric {
        ours: "gen_ai.client.inference.usage.reasoning.output_tokens",
        amount: ComparedAmount::Sum,
        names: &[("gen_ai.client.inference.usage.reasoning.output_tokens", 0)],
    },
    same("gen_ai.execute_tool.duration", &[("gen_ai.execute_tool.duration", 0)]),
    same("gen_ai.invoke_agent.duration", &[("gen_ai.invoke_agent.duration", 0)]),
    same("gen_ai.invoke_workflow.duration", &[("gen_ai.invoke_workflow.duration", 0)]),
    same("gen_ai.retrieval.duration", &[("gen_ai.retrieval.duration", 0)]),
    same("mcp.client.operation.duration", &[("mcp.client.operation.duration", 0)]),
    same("mcp.server.operation.duration", &[("mcp.server.operation.duration", 0)]),
];

const _: () = assert!(METRICS.len() <= 32, "a set of metrics does not fit its bits");

const fn same(ours: &'static str, names: &'static [(&'static str, u8)]) -> ReportedMetric {
    ReportedMetric { ours, amount: ComparedAmount::Count, names }
}

impl ReportedName {
    /// The metric that is reported under this name, if it is one of ours.
    pub(super) fn find(name: &str) -> Option<Self> {
        if !name.starts_with("gen_ai.") && !name.starts_with("mcp.") {
            return None;
        }
        METRICS.iter().zip(0..).find_map(|(one, metric)| {
            let (_, form) = one.names.iter().find(|(known, _)| *known == name)?;
            Some(Self { metric, form: *form, amount: one.amount })
        })
    }
}

/// The number of a metric of ours that services report, too, under any of its names, and what of it is compared.
pub(super) fn metric_of(ours: &str) -> Option<(u8, ComparedAmount)> {
    METRICS
        .iter()
        .zip(0..)
        .find(|(one, _)| one.names.iter().any(|(name, _)| *name == ours))
        .map(|(one, metric)| (metric, one.amount))
}

/// Our name for the metric of this number.
pub(super) fn name_of(metric: u8) -> &'static str {
    METRICS.get(usize::from(metric)).map_or("", |one| one.ours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregation::instruments;

    /// Guarantees: what is measured under a name of the conventions is known as reported, all but the count of
    /// operations, which these do not have; and no name means two metrics.
    #[test]
    fn every_metric_of_the_conventions_may_be_reported() {
        for instrument in instruments() {
            let is_theirs = !instrument.name.starts_with("fluentbit.")
                && instrument.name != "gen_ai.client.operation.count";
            assert_eq!(metric_of(instrument.name).is_some(), is_theirs, "{}", instrument.name);
            if let Some((metric, amount)) = metric_of(instrument.name) {
                let own = ReportedName::find(instrument.name);
                assert_eq!(own, Some(ReportedName { metric, form: 0, amount }));
                assert_eq!(name_of(metric), instrument.name);
            }
        }
        let names = || METRICS.iter().flat_map(|one| one.names);
        for (name, _) in names() {
            assert_eq!(names().filter(|(other, _)| other == name).count(), 1, "{name}");
        }
        assert_eq!(ReportedName::find("gen_ai.client.generation.choices"), None);
        assert_eq!(ReportedName::find("http.client.request.duration"), None);
    }
}
