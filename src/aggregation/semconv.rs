//! The names of metrics by the version of the conventions.

use super::attribute::Attribute;
use crate::codec::msgpack::Reader;

/// A version of the conventions for GenAI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SemconvVersion {
    /// Semantic conventions 1.41.
    V1_41,
    /// semantic-conventions-genai 0.1.0.
    V0_1_0,
}

/// Operations that have a metric of their own in 0.1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OperationKind {
    Inference,
    Embeddings,
    Other,
}

/// A name, and of which operations.
pub(super) type MetricName = (&'static str, &'static [OperationKind]);

use OperationKind::{Embeddings, Inference, Other};

const ALL: &[OperationKind] = &[Inference, Embeddings, Other];

/// The names of 0.1.0 of metrics that it calls otherwise, by that of ours.
static RENAMED: [(&str, &[MetricName]); 4] = [
    (
        "gen_ai.client.operation.duration",
        &[
            ("gen_ai.client.inference.duration", &[Inference]),
            ("gen_ai.client.embeddings.duration", &[Embeddings]),
            ("gen_ai.client.operation.duration", &[Other]),
        ],
    ),
    (
        "gen_ai.client.operation.time_to_first_chunk",
        &[("gen_ai.client.inference.time_to_first_chunk", ALL)],
    ),
    ("gen_ai.invoke_workflow.duration", &[("gen_ai.invoke_agent.duration", ALL)]),
    (
        "gen_ai.client.inference.operation.input_tokens",
        &[
            ("gen_ai.client.inference.operation.input_tokens", &[Inference, Other]),
            ("gen_ai.client.embeddings.operation.input_tokens", &[Embeddings]),
        ],
    ),
];

impl SemconvVersion {
    /// The name of an attribute of series.
    pub(super) fn key(self, attribute: Attribute) -> &'static str {
        match (self, attribute) {
            (Self::V0_1_0, Attribute::WorkflowName) => Attribute::AgentName.key(),
            _ => attribute.key(),
        }
    }
}

impl OperationKind {
    /// That of a series, by its encoded attributes.
    pub(super) fn of(attributes: &[u8]) -> Self {
        match operation(attributes) {
            Some(b"chat" | b"text_completion" | b"generate_content") => Inference,
            Some(b"embeddings") => Embeddings,
            _ => Other,
        }
    }
}

/// The operation that encoded pairs name.
fn operation(pairs: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(pairs);
    while !reader.is_empty() {
        if reader.key().ok()? == b"gen_ai.operation.name" {
            return reader.str().ok();
        }
        reader.skip().ok()?;
    }
    None
}

/// The names of a metric that a version calls otherwise than we do.
pub(super) fn renamed(semconv: SemconvVersion, ours: &str) -> Option<&'static [MetricName]> {
    match semconv {
        SemconvVersion::V1_41 => None,
        SemconvVersion::V0_1_0 => {
            RENAMED.iter().find(|(name, _)| *name == ours).map(|(_, names)| *names)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::str;

    #[test]
    fn each_operation_has_one_name() {
        for (ours, names) in &RENAMED {
            assert_eq!(renamed(SemconvVersion::V1_41, ours), None);
            assert_eq!(renamed(SemconvVersion::V0_1_0, ours), Some(*names));
            for kind in ALL {
                let of_kind = names.iter().filter(|(_, kinds)| kinds.contains(kind));
                assert_eq!(of_kind.count(), 1, "{ours} {kind:?}");
            }
        }
        assert_eq!(renamed(SemconvVersion::V0_1_0, "gen_ai.execute_tool.duration"), None);
        let pairs = |operation: &str| {
            let mut pairs = Vec::new();
            for text in ["gen_ai.provider.name", "x", "gen_ai.operation.name", operation] {
                str(&mut pairs, text);
            }
            OperationKind::of(&pairs)
        };
        assert_eq!(
            [pairs("chat"), pairs("embeddings"), pairs("retrieval")],
            [Inference, Embeddings, Other]
        );
        assert_eq!(OperationKind::of(&[]), Other);
    }
}
