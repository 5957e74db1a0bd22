//! Bounded tally: names of dialects that no rule knows.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::dialect::Dialect;
use super::dialects::DialectSet;

/// Names that are counted one by one; others are counted together.
const MAX_NAMES: usize = 256;

/// The longest name that is counted by itself.
const MAX_LENGTH: usize = 96;

/// What all other names are counted under.
const OTHERS: &str = "_OTHER";

/// The most names that are remembered, so that what SDKs write again and again is found at once.
const MAX_REMEMBERED: usize = 1024;

/// Names of attributes under a dialect's beginnings, and how many attributes had them.
#[derive(Debug, Default)]
pub(super) struct UnknownNames {
    /// The names, and the index of their count.
    seen: HashMap<Arc<str>, usize, RandomState>,
    /// The names by their index, and how often they came since they were told.
    counts: Vec<(Arc<str>, u64)>,
    /// Names that were ever counted by themselves.
    named: usize,
    /// The dialects that were spoken last, and the first bytes of their names.
    firsts: (DialectSet, [u64; 4]),
    /// Names that were looked at; all are forgotten when there are too many.
    remembered: HashMap<Box<[u8]>, RememberedName, RandomState>,
}

/// What is known of a name that was looked at.
#[derive(Debug, Clone, Copy)]
struct RememberedName {
    /// The dialects as names of which it begins.
    begun: DialectSet,
    /// The index of its count, once any of these was spoken; none for names of the conventions.
    index: Option<Option<usize>>,
}

/// The first bytes of names that begin as those of these dialects do.
fn first_bytes(spoken: DialectSet, added: &'static [Dialect]) -> [u64; 4] {
    let mut firsts = [0; 4];
    let all = spoken.dialects(added).flat_map(|(_, dialect)| dialect.detection.beginnings);
    for first in all.filter_map(|beginning| beginning.as_bytes().first()) {
        if let Some(word) = firsts.get_mut(usize::from(first >> 6)) {
            *word |= 1 << (first & 63);
        }
    }
    firsts
}

/// The dialects as names of which a name begins.
#[cold]
fn begun(name: &[u8], added: &'static [Dialect]) -> DialectSet {
    let begins = |dialect: &Dialect| {
        let mut beginnings = dialect.detection.beginnings.iter();
        beginnings.any(|beginning| name.starts_with(beginning.as_bytes()))
    };
    DialectSet::with(added, begins)
}

impl UnknownNames {
    /// Counts those of the names that begin as names of these dialects do.
    pub(super) fn note(&mut self, spoken: DialectSet, added: &'static [Dialect], names: &[&[u8]]) {
        if names.is_empty() {
            return;
        }
        if self.firsts.0 != spoken {
            self.firsts = (spoken, first_bytes(spoken, added));
        }
        let (_, firsts) = self.firsts;
        for name in names {
            let Some(first) = name.first() else { continue };
            let word = firsts.get(usize::from(first >> 6)).copied().unwrap_or(0);
            if word & (1 << (first & 63)) != 0 {
                self.note_one(name, spoken, added);
            }
        }
    }

    fn note_one(&mut self, name: &[u8], spoken: DialectSet, added: &'static [Dialect]) {
        let known = self.remembered.get(name).copied();
        let RememberedName { begun, index } = known.unwrap_or_else(|| self.remember(name, added));
        if !spoken.meets(begun) {
            return;
        }
        let index = index.unwrap_or_else(|| self.learn_index(name));
        if let Some((_, count)) = index.and_then(|index| self.counts.get_mut(index)) {
            *count = count.saturating_add(1);
        }
    }

    /// Remembers a name, unless it is too long.
    #[cold]
    fn remember(&mut self, name: &[u8], added: &'static [Dialect]) -> RememberedName {
        let known = RememberedName { begun: begun(name, added), index: None };
        if name.len() <= MAX_LENGTH {
            if self.remembered.len() >= MAX_REMEMBERED {
                self.remembered.clear();
            }
            self.remembered.insert(name.into(), known);
        }
        known
    }

    /// The index of a name's count, remembered from now on.
    #[cold]
    fn learn_index(&mut self, name: &[u8]) -> Option<usize> {
        let index = self.index(std::str::from_utf8(name).ok()?);
        if let Some(known) = self.remembered.get_mut(name) {
            known.index = Some(index);
        }
        index
    }

    /// The index of a name's count; none for a name of the conventions.
    fn index(&mut self, name: &str) -> Option<usize> {
        if let Some(index) = self.seen.get(name) {
            return Some(*index);
        }
        if is_current(name) {
            return None;
        }
        let name = general(name);
        if let Some(index) = self.seen.get(name.as_str()) {
            return Some(*index);
        }
        let is_named = self.named < MAX_NAMES && name.len() <= MAX_LENGTH;
        let name: Arc<str> = if is_named { name.into() } else { OTHERS.into() };
        self.named = self.named.saturating_add(usize::from(is_named));
        let next = self.counts.len();
        let index = *self.seen.entry(Arc::clone(&name)).or_insert(next);
        if index == next {
            self.counts.push((name, 0));
        }
        Some(index)
    }

    /// Tells the names that came since the last call, with their index and how often. What was named once stays
    /// known, under its index.
    pub(super) fn take(&mut self, mut tell: impl FnMut(usize, &str, u64)) {
        for (index, (name, count)) in self.counts.iter_mut().enumerate() {
            if *count > 0 {
                tell(index, name, std::mem::take(count));
            }
        }
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

    fn taken(unknown: &mut UnknownNames) -> Vec<(String, u64)> {
        let mut taken = Vec::new();
        unknown.take(|_, name, count| taken.push((name.to_owned(), count)));
        taken
    }

    #[test]
    fn names_of_the_conventions_are_in_order() {
        assert!(CURRENT.is_sorted());
        assert!(CURRENT.iter().all(|name| is_current(name)));
    }

    /// Scenario: one name beside a dialect whose names begin so, another one, and the first again. Guarantees: it
    /// counts only where it begins as names of the dialect do, however often it was seen.
    #[test]
    fn a_name_counts_by_what_is_spoken() {
        let of = |name| DIALECTS.iter().position(|dialect| dialect.name == name).unwrap();
        let (own, other) = (DialectSet::of(of("gen_ai")), DialectSet::of(of("litellm")));
        let mut unknown = UnknownNames::default();
        for spoken in [other, own, other, own, own.and(other)] {
            unknown.note(spoken, &[], &[b"gen_ai.x", b"", b"gen_ai.\xff"]);
        }
        assert_eq!(taken(&mut unknown), [("gen_ai.x".to_owned(), 3)]);
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
        assert_eq!(taken(&mut unknown), [("gen_ai.x.N.y".to_owned(), 2)]);
        assert_eq!(taken(&mut unknown), []);
        for number in 0..MAX_NAMES + 10 {
            note(&mut unknown, &format!("gen_ai.x{number}"));
        }
        note(&mut unknown, &format!("gen_ai.{}", "x".repeat(MAX_LENGTH)));
        note(&mut unknown, "gen_ai.x.0.y");
        let taken = taken(&mut unknown);
        assert_eq!(taken.len(), MAX_NAMES + 1);
        assert_eq!(taken.iter().find(|(name, _)| name == OTHERS).unwrap().1, 12);
        assert!(taken.iter().any(|(name, count)| name == "gen_ai.x.N.y" && *count == 1));
    }
}
