//! Detection: what the keys of attributes show before any value is mapped.

use super::field::GenAiField;
use crate::genai::dialects::DialectSet;
use crate::genai::dialects::added::AddedDialects;

/// What the keys of a span's attributes show at a glance.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::genai) struct Detection {
    pub(super) dialects: DialectSet,
    pub(super) wrong_type: bool,
    /// The fields that are there under their current names.
    pub(super) own: u64,
}

impl Detection {
    /// The fields that are there under their current names.
    pub(in crate::genai) const fn own(self) -> u64 {
        self.own
    }

    /// Whether it counts tokens of the input, and of the cache that these should include.
    pub(super) fn counts_cache(self) -> bool {
        const CACHE: u64 =
            GenAiField::CacheReadTokens.bit() | GenAiField::CacheCreationTokens.bit();
        self.own & CACHE != 0 && self.own & GenAiField::InputTokens.bit() != 0
    }

    /// Whether it is a model call that does not say so.
    pub(super) fn lacks_operation(self) -> bool {
        self.own & GenAiField::OperationName.bit() == 0
            && self.own & GenAiField::MODELS != 0
            && self.own & GenAiField::TOKENS != 0
    }

    /// The name of the span event at a stream's first token, which some dialects show in no other
    /// way.
    pub(in crate::genai) fn first_token_event(self, added: AddedDialects) -> Option<&'static str> {
        self.dialects
            .dialects(added.dialects())
            .find_map(|(_, dialect)| dialect.detection.first_token_event)
    }
}
