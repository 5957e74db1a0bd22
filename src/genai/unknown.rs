//! Bounded tally: names of dialects that no rule knows.

use std::collections::BTreeMap;

use super::dialect::Dialect;
use super::dialects::DialectSet;

/// Names that are counted one by one; others are counted together.
const MAX_NAMES: usize = 256;

/// The longest name that is counted by itself.
const MAX_LENGTH: usize = 96;

/// What all other names are counted under.
const OTHERS: &str = "_OTHER";

/// Names of attributes under a dialect's beginnings, and how many attributes had them.
#[derive(Debug, Default)]
pub(super) struct UnknownNames {
    seen: BTreeMap<String, u64>,
    /// Names that were ever counted by themselves.
    named: usize,
}

/// Whether a name begins as names of these dialects do.
fn begins(name: &[u8], spoken: DialectSet, added: &'static [Dialect]) -> bool {
    let first = name.first();
    let begins = |beginning: &&str| {
        beginning.as_bytes().first() == first && name.starts_with(beginning.as_bytes())
    };
    spoken.dialects(added).any(|(_, dialect)| dialect.detection.beginnings.iter().any(begins))
}

impl UnknownNames {
    /// Counts those of the names that begin as names of these dialects do.
    pub(super) fn note(&mut self, spoken: DialectSet, added: &'static [Dialect], names: &[&[u8]]) {
        for name in names {
            if begins(name, spoken, added)
                && let Ok(name) = std::str::from_utf8(name)
            {
                self.note_one(name);
            }
        }
    }

    fn note_one(&mut self, name: &str) {
        if let Some(count) = self.seen.get_mut(name) {
            *count = count.saturating_add(1);
        } else if !is_current(name) {
            self.count(name);
        }
    }

    fn count(&mut self, name: &str) {
        let name = general(name);
        if let Some(count) = self.seen.get_mut(&name) {
            *count = count.saturating_add(1);
            return;
        }
        let is_named = self.named < MAX_NAMES && name.len() <= MAX_LENGTH;
        let name = if is_named { name } else { OTHERS.to_owned() };
        self.named = self.named.saturating_add(usize::from(is_named));
        let count = self.seen.entry(name).or_default();
        *count = count.saturating_add(1);
    }

    /// The names and numbers since the last call. What was named once stays known.
    pub(super) fn take(&mut self) -> Vec<(String, u64)> {
        let counted = self.seen.iter_mut().filter(|(_, count)| **count > 0);
        counted.map(|(name, count)| (name.clone(), std::mem::take(count))).collect()
    }
}

/// The name with `N` for numbers between dots, so that a list counts as one name.
fn general(name: &str) -> String {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> =
        name.split('.').map(|part| if is_number(part) { "N" } else { part }).collect();
    parts.join(".")
}

/// Whether the conventions have the name, though no rule has to do anything with it.
fn is_current(name: &str) -> bool {
    CURRENT.binary_search(&name).is_ok()
        || CURRENT_FAMILIES.iter().any(|family| name.starts_with(family))
}

/// Names of the conventions that are no fields of ours, in alphabetical order.
const CURRENT: &[&str] = &[
    "aws.bedrock.guardrail.id",
    "aws.bedrock.knowledge_base.id",
    "azure.resource_provider.namespace",
    "gen_ai.agent.description",
    "gen_ai.conversation.compacted",
    "gen_ai.data_source.id",
    "gen_ai.evaluation.explanation",
    "gen_ai.evaluation.name",
    "gen_ai.evaluation.score.label",
    "gen_ai.evaluation.score.value",
    "gen_ai.request.previous_response.id",
    "gen_ai.request.reasoning.level",
    "gen_ai.request.stream_cursor",
    "gen_ai.response.status",
    "gen_ai.retrieval.top_k",
    "gen_ai.token.modality",
    "gen_ai.token.type",
    "jsonrpc.protocol.version",
    "jsonrpc.request.id",
    "mcp.method.name",
    "mcp.protocol.version",
    "mcp.resource.uri",
    "mcp.session.id",
    "openai.api.type",
];

const CURRENT_FAMILIES: &[&str] = &[
    "gen_ai.main_agent.",
    "gen_ai.memory.",
    "gen_ai.prompt.variable.",
    "gen_ai.skill.",
    "gen_ai.usage.audio.",
    "gen_ai.usage.image.",
    "gen_ai.usage.text.",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genai::dialects::DIALECTS;

    #[test]
    fn names_of_the_conventions_are_in_order() {
        assert!(CURRENT.is_sorted());
        assert!(CURRENT.iter().all(|name| is_current(name)));
    }

    #[test]
    fn names_are_bounded_and_lists_count_as_one() {
        let last = DIALECTS.iter().position(|dialect| dialect.name == "gen_ai").unwrap();
        let spoken = DialectSet::of(last);
        let mut unknown = UnknownNames::default();
        let note = |unknown: &mut UnknownNames, name: &str| {
            unknown.note(spoken, &[], &[name.as_bytes()]);
        };
        for name in ["gen_ai.x.0.y", "gen_ai.x.17.y", "http.method", "gen_ai.memory.store.id"] {
            note(&mut unknown, name);
        }
        assert_eq!(unknown.take(), [("gen_ai.x.N.y".to_owned(), 2)]);
        assert_eq!(unknown.take(), []);
        for number in 0..MAX_NAMES + 10 {
            note(&mut unknown, &format!("gen_ai.x{number}"));
        }
        note(&mut unknown, &format!("gen_ai.{}", "x".repeat(MAX_LENGTH)));
        note(&mut unknown, "gen_ai.x.0.y");
        let taken = unknown.take();
        assert_eq!(taken.len(), MAX_NAMES + 1);
        assert_eq!(taken.iter().find(|(name, _)| name == OTHERS).unwrap().1, 12);
        assert!(taken.iter().any(|(name, count)| name == "gen_ai.x.N.y" && *count == 1));
    }
}
