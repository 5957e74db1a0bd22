//! Registry: the one list of GenAI dialects. A dialect is a file here and a line in `dialects!`.

pub(crate) mod merge;

use super::dialect::Dialect;

/// Declares the files of the dialects, and the list of them in the same order.
macro_rules! dialects {
    ($($dialect:ident,)*) => {
        $(pub(crate) mod $dialect;)*

        /// All dialects. The order is their priority: a span whose attributes are of several counts
        /// as of the first, and where two say the same in the same tier, the first one's counts.
        pub(crate) const DIALECTS: &[&Dialect] = &[$(&$dialect::DIALECT,)*];
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

/// Which dialects the attribute keys of a span show, as bits by their index in [`DIALECTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct DialectSet(u128);

const _: () = assert!(DIALECTS.len() <= 128, "a set of dialects does not fit its bits");

impl DialectSet {
    pub(crate) const NONE: Self = Self(0);

    /// The set of the dialect with this index.
    pub(crate) const fn of(index: usize) -> Self {
        Self(1 << index)
    }

    /// Both sets together.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the dialect with this index is in the set.
    pub(crate) const fn has(self, index: usize) -> bool {
        self.0 & (1 << index) != 0
    }

    /// Whether a dialect is in both sets.
    pub(crate) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The dialects that a value of a key shows.
    #[cold]
    pub(crate) fn shown_by(key: &str, value: &[u8]) -> Self {
        let shows = |dialect: &Dialect| {
            let mut values = dialect.detection.values.iter();
            values
                .any(|(known, beginning)| *known == key && value.starts_with(beginning.as_bytes()))
        };
        let indexed = DIALECTS.iter().enumerate().filter(|(_, dialect)| shows(dialect));
        indexed.fold(Self::NONE, |set, (index, _)| set.and(Self::of(index)))
    }

    /// The dialects of the set with their indices, in the order of the list.
    pub(crate) fn dialects(self) -> impl Iterator<Item = (usize, &'static Dialect)> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let index = usize::try_from(left.trailing_zeros()).ok()?;
            let dialect = DIALECTS.get(index)?;
            left &= left - 1;
            Some((index, *dialect))
        })
    }
}

/// Numbers of spans by the dialect that they spoke before they were mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DialectCounts([u64; DIALECTS.len() + 1]);

impl Default for DialectCounts {
    fn default() -> Self {
        Self([0; DIALECTS.len() + 1])
    }
}

impl DialectCounts {
    /// The words for the dialects in counters: of those that are mapped.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let mapped = DIALECTS.iter().filter(|dialect| dialect.is_mapped());
        mapped.map(|dialect| dialect.name).chain([WRONG_TYPES_ONLY])
    }

    /// The numbers, in the order of [`DialectCounts::names`].
    pub fn values(&self) -> impl Iterator<Item = u64> {
        let mapped = DIALECTS.iter().map(|dialect| dialect.is_mapped()).chain([true]);
        self.0.iter().zip(mapped).filter(|(_, mapped)| *mapped).map(|(count, _)| *count)
    }

    /// The number of one dialect; 0 for a name that is none.
    #[must_use]
    pub fn of(&self, name: &str) -> u64 {
        Self::names().zip(self.values()).find(|(known, _)| *known == name).map_or(0, |(_, n)| n)
    }

    /// Counts one span that speaks these dialects: as of the first of them.
    pub(crate) fn count(&mut self, spoken: DialectSet) {
        let index = spoken.dialects().next().map_or(DIALECTS.len(), |(index, _)| index);
        if let Some(count) = self.0.get_mut(index) {
            *count = count.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests;
