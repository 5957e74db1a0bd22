//! Token counts: what a model call says of its tokens, and where it is counted.

use super::attribute::Attribute;
use super::cost::CallCost;
use super::number::whole;
use super::series::SeriesHandle;
use crate::model::listed_enum;

listed_enum! {
    /// Tokens that are a part of those taken in or given out.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum TokenKind {
        /// Of those taken in, read from a cache.
        CacheRead,
        /// Of those taken in, written into a cache.
        CacheWrite,
        /// Of those given out, spent on reasoning.
        Reasoning,
        /// Of those taken in, audio.
        AudioInput,
        /// Of those given out, audio.
        AudioOutput,
        /// Of those taken in, images.
        ImageInput,
        /// Of those given out, images.
        ImageOutput,
    }
}

impl TokenKind {
    /// The attributes that have them.
    pub(super) const ATTRIBUTES: u64 = Attribute::CacheRead.bit()
        | Attribute::CacheWrite.bit()
        | Attribute::Reasoning.bit()
        | Attribute::AudioInput.bit()
        | Attribute::AudioOutput.bit()
        | Attribute::ImageInput.bit()
        | Attribute::ImageOutput.bit();

    /// The attribute that has them.
    pub(super) const fn attribute(self) -> Attribute {
        match self {
            Self::CacheRead => Attribute::CacheRead,
            Self::CacheWrite => Attribute::CacheWrite,
            Self::Reasoning => Attribute::Reasoning,
            Self::AudioInput => Attribute::AudioInput,
            Self::AudioOutput => Attribute::AudioOutput,
            Self::ImageInput => Attribute::ImageInput,
            Self::ImageOutput => Attribute::ImageOutput,
        }
    }

    /// What the tokens stand for, as the value of `gen_ai.token.modality`.
    pub(super) const fn modality(self) -> &'static str {
        match self {
            // Spans do not say it by kind.
            Self::CacheRead | Self::CacheWrite | Self::Reasoning => "unknown",
            Self::AudioInput | Self::AudioOutput => "audio",
            Self::ImageInput | Self::ImageOutput => "image",
        }
    }
}

/// Stands for a number that is not said; calls of so many tokens count as one less.
const NOT_SAID: u32 = u32::MAX;

/// The tokens of one call. They are kept for every recent call, so they are small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tokens {
    input: u32,
    output: u32,
    /// In the order of [`TokenKind::ALL`].
    parts: [u32; TokenKind::ALL.len()],
}

fn said(amount: f64) -> u32 {
    u32::try_from(whole(amount)).unwrap_or(NOT_SAID).min(NOT_SAID - 1)
}

fn number(tokens: u32) -> Option<f64> {
    (tokens != NOT_SAID).then_some(f64::from(tokens))
}

impl Tokens {
    /// Tokens taken in and given out, as far as they are said.
    pub(super) fn new(input: Option<f64>, output: Option<f64>) -> Self {
        let [input, output] = [input, output].map(|amount| amount.map_or(NOT_SAID, said));
        Self { input, output, parts: [NOT_SAID; TokenKind::ALL.len()] }
    }

    /// Those taken in, with those of the cache.
    pub(super) fn input(&self) -> Option<f64> {
        number(self.input)
    }

    /// Those given out, with those of reasoning.
    pub(super) fn output(&self) -> Option<f64> {
        number(self.output)
    }

    /// Notes a part.
    pub(super) fn set(&mut self, kind: TokenKind, amount: f64) {
        if let Some(slot) = self.parts.get_mut(kind as usize) {
            *slot = said(amount);
        }
    }

    /// The parts that are said, by their index in [`TokenKind::ALL`].
    #[inline]
    pub(super) fn parts(&self) -> impl Iterator<Item = (usize, f64)> {
        let said = |(index, part): (usize, &u32)| number(*part).map(|number| (index, number));
        self.parts.iter().enumerate().filter_map(said)
    }

    /// The share of those taken in that was read from a cache, where that is said.
    pub(super) fn cache_hit_ratio(&self) -> Option<f64> {
        let read = number(*self.parts.get(TokenKind::CacheRead as usize)?)?;
        let input = self.input()?;
        // An input that is less than its cached part was counted without it.
        let input = if read > input { input + read } else { input };
        (input > 0.0).then_some(read / input)
    }

    /// What tells calls with other tokens apart: those taken in and given out.
    pub(super) fn distinctive(&self) -> u64 {
        (u64::from(self.input) << 32) | u64::from(self.output)
    }
}

/// The row of the table of models that has a call; the default is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ModelIndex(pub(super) u16);

impl Default for ModelIndex {
    fn default() -> Self {
        Self(u16::MAX)
    }
}

/// The name of an operation, by its place among those that were seen; the default is any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OperationIndex(pub(super) u8);

impl Default for OperationIndex {
    fn default() -> Self {
        Self(u8::MAX)
    }
}

/// The tokens of one call, and where they are counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TokenCounts {
    pub(super) group: usize,
    pub(super) group_id: u64,
    /// `None` of an operation that does not call a model itself.
    pub(super) series: Option<SeriesHandle>,
    pub(super) tokens: Tokens,
    pub(super) model: ModelIndex,
    pub(super) operation: OperationIndex,
    pub(super) weight: f64,
    /// Whose budgets they are of.
    pub(super) spender: u64,
    /// `None` where costs are not asked for.
    pub(super) cost: Option<CallCost>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_said_or_not() {
        let mut tokens = Tokens::new(Some(10.0), None);
        assert_eq!(
            (tokens.input(), tokens.output(), tokens.parts().count()),
            (Some(10.0), None, 0)
        );
        tokens.set(TokenKind::Reasoning, 1e12);
        let most = f64::from(u32::MAX - 1);
        assert_eq!(tokens.parts().collect::<Vec<_>>(), [(2, most)]);
        assert_ne!(tokens.distinctive(), Tokens::new(None, Some(10.0)).distinctive());
    }

    #[test]
    fn the_share_of_the_cache_is_of_all_that_was_taken_in() {
        for (input, read, expected) in [
            (Some(100.0), Some(25.0), Some(0.25)),
            (Some(100.0), Some(0.0), Some(0.0)),
            (Some(100.0), Some(100.0), Some(1.0)),
            (Some(100.0), Some(300.0), Some(0.75)),
            (Some(100.0), None, None),
            (None, Some(5.0), None),
            (Some(0.0), Some(0.0), None),
        ] {
            let mut tokens = Tokens::new(input, None);
            if let Some(read) = read {
                tokens.set(TokenKind::CacheRead, read);
            }
            assert_eq!(tokens.cache_hit_ratio(), expected, "{input:?} {read:?}");
        }
    }
}
