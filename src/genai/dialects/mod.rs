//! Registry: the one list of GenAI dialects. A dialect is a file here and a line in `dialects!`.

pub(super) mod added;
pub(super) mod merge;

use super::dialect::Dialect;

/// Declares the files of the dialects, and the list of them in the same order.
macro_rules! dialects {
    ($($dialect:ident,)*) => {
        $(pub(crate) mod $dialect;)*

        /// All dialects. The order is their priority: a span whose attributes are of several counts
        /// as of the first, and where two say the same in the same tier, the first one's counts.
        pub const DIALECTS: &[&Dialect] = &[$(&$dialect::DIALECT,)*];
    };
}

dialects! {
    // It borrows the names of OpenLLMetry.
    litellm,
    openinference,
    traceloop,
    langsmith,
    mcp,
    openlit,
    langtrace,
    langfuse,
    mlflow,
    pydantic_ai_logfire,
    deepeval,
    braintrust,
    laminar,
    azure_ai_foundry,
    vercel_ai_sdk,
    strands,
    google_adk,
    crewai,
    haystack,
    autogen,
    semantic_kernel,
    microsoft_agent_framework,
    spring_ai,
    langchain4j,
    mastra,
    livekit,
    voltagent,
    model_servers,
    aws_bedrock_agentcore,
    claude_code,
    codex,
    gemini_cli,
    qwen_code,
    copilot,
    // Last, because everybody uses its names.
    gen_ai,
}

/// The name in counters of spans that speak no dialect and have current names with values of a wrong
/// type, for example a number as text.
const WRONG_TYPES_ONLY: &str = "retyped";

/// Whether a built-in dialect has this name.
#[must_use]
pub fn is_built_in(name: &str) -> bool {
    DIALECTS.iter().any(|dialect| dialect.name == name)
}

/// Which dialects the attribute keys of a span show, as bits by their index in [`DIALECTS`]; those of
/// added ones are the highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DialectSet(u128);

/// The most dialects that a configuration may add.
const MOST_ADDED: usize = 16;

/// The index of the first added dialect.
const FIRST_ADDED: usize = 128 - MOST_ADDED;

const _: () = assert!(DIALECTS.len() <= FIRST_ADDED, "a set of dialects does not fit its bits");

impl DialectSet {
    pub const NONE: Self = Self(0);

    /// The set of the dialect with this index.
    pub const fn of(index: usize) -> Self {
        Self(1 << index)
    }

    /// The set of the added dialect with this index among the added ones.
    pub const fn added(index: usize) -> Self {
        Self::of(FIRST_ADDED + index)
    }

    /// Both sets together.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the dialect with this index is in the set.
    pub const fn has(self, index: usize) -> bool {
        self.0 & (1 << index) != 0
    }

    /// Whether a dialect is in both sets.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The dialects that a value of a key shows.
    pub fn shown_by(key: &str, value: &[u8], signs: &[ValueSign]) -> Self {
        let is_shown =
            |sign: &&ValueSign| sign.key == key && value.starts_with(sign.beginning.as_bytes());
        signs.iter().filter(is_shown).fold(Self::NONE, |set, sign| set.and(sign.shows))
    }

    /// Those that `has` wants of the built-in dialects and the added ones.
    pub fn with(added: &'static [Dialect], has: impl Fn(&Dialect) -> bool) -> Self {
        let having = all_dialects(added).filter(|(_, dialect)| has(dialect));
        having.fold(Self::NONE, |set, (dialect, _)| set.and(dialect))
    }

    /// The set with added dialects as the lowest bits, which come first.
    const fn by_priority(self) -> u128 {
        (self.0 >> FIRST_ADDED) | (self.0 << MOST_ADDED)
    }

    /// The dialects of the set with their indices, the added ones first, in the order of their lists.
    pub fn dialects(
        self,
        added: &'static [Dialect],
    ) -> impl Iterator<Item = (usize, &'static Dialect)> + Clone + use<> {
        let mut left = self.by_priority();
        std::iter::from_fn(move || {
            let bit = usize::try_from(left.trailing_zeros()).ok()?;
            left &= left.wrapping_sub(1);
            match bit.checked_sub(MOST_ADDED) {
                Some(index) => Some((index, *DIALECTS.get(index)?)),
                None => Some((FIRST_ADDED + bit, added.get(bit)?)),
            }
        })
    }
}

/// The built-in dialects and the added ones, each with the set of it alone.
fn all_dialects(added: &'static [Dialect]) -> impl Iterator<Item = (DialectSet, &'static Dialect)> {
    let of_added = added.iter().enumerate();
    let of_added = of_added.map(|(index, dialect)| (DialectSet::added(index), dialect));
    let built_in = DIALECTS.iter().enumerate();
    of_added.chain(built_in.map(|(index, dialect)| (DialectSet::of(index), *dialect)))
}

/// What values of a key show a dialect: those that begin so.
#[derive(Debug, Clone, Copy)]
pub struct ValueSign {
    key: &'static str,
    beginning: &'static str,
    shows: DialectSet,
}

impl ValueSign {
    /// Those of all dialects.
    pub fn all(added: &'static [Dialect]) -> Vec<Self> {
        let signs = all_dialects(added).flat_map(|(shows, dialect)| {
            let values = dialect.detection.values.iter();
            values.map(move |(key, beginning)| Self { key, beginning, shows })
        });
        signs.collect()
    }
}

/// Numbers of spans by the dialect that they spoke before they were mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DialectCounts {
    built_in: [u64; DIALECTS.len() + 1],
    added: [u64; MOST_ADDED],
}

impl Default for DialectCounts {
    fn default() -> Self {
        Self { built_in: [0; DIALECTS.len() + 1], added: [0; MOST_ADDED] }
    }
}

impl DialectCounts {
    /// The words for the built-in dialects in counters: of those that are mapped.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let mapped = DIALECTS.iter().filter(|dialect| dialect.is_mapped());
        mapped.map(|dialect| dialect.name).chain([WRONG_TYPES_ONLY])
    }

    /// The numbers, in the order of [`DialectCounts::names`].
    pub fn values(&self) -> impl Iterator<Item = u64> {
        let mapped = DIALECTS.iter().map(|dialect| dialect.is_mapped()).chain([true]);
        self.built_in.iter().zip(mapped).filter(|(_, mapped)| *mapped).map(|(count, _)| *count)
    }

    /// The numbers of the added dialects, in their order.
    pub fn added(&self) -> impl Iterator<Item = u64> {
        self.added.iter().copied()
    }

    /// The number of one built-in dialect; 0 for a name that is none.
    #[must_use]
    pub fn of(&self, name: &str) -> u64 {
        Self::names().zip(self.values()).find(|(known, _)| *known == name).map_or(0, |(_, n)| n)
    }

    /// Counts one span that speaks these dialects: as of the first of them.
    pub fn count(&mut self, spoken: DialectSet) {
        let first = usize::try_from(spoken.by_priority().trailing_zeros()).unwrap_or(usize::MAX);
        let count = match first.checked_sub(MOST_ADDED) {
            Some(index) => self.built_in.get_mut(index.min(DIALECTS.len())),
            None => self.added.get_mut(first),
        };
        if let Some(count) = count {
            *count = count.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests;
