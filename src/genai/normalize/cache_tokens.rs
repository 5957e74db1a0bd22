//! Cache tokens: input tokens that do not include those of the cache -> the convention's number, which does.

use super::collect::{Collected, FIRST, text};
use super::field::GenAiField;
use super::json;
use crate::codec::msgpack::{self, elements, int_of, text_of};
use crate::genai::json_value::Json;

/// What Anthropic's API calls tokens of the cache.
const CACHE: [(&str, GenAiField); 2] = [
    ("cache_read_input_tokens", GenAiField::CacheReadTokens),
    ("cache_creation_input_tokens", GenAiField::CacheCreationTokens),
];

impl Collected<'_, '_> {
    /// Takes the tokens of the cache that Anthropic's API gave, and notes how many it gave beside them.
    pub(super) fn anthropic_usage(&mut self, path: &str, rank: u16, value: &[u8]) {
        // What has no such member is not read.
        let given = text(value).filter(|text| {
            CACHE.iter().any(|(name, _)| memchr::memmem::find(text, name.as_bytes()).is_some())
        });
        let arena = self.arena;
        let object = given.and_then(|given| json::read_object(arena, given));
        let Some(usage) = object.and_then(|object| json::member(object, path)) else { return };
        for (name, field) in CACHE {
            if let Some(value) = usage.get(name) {
                self.make(field, rank, |out| json::append(arena, field, value, out));
            }
        }
        self.beside_cache = match usage.get("input_tokens") {
            Some(Json::Number(tokens)) => tokens.as_i64(),
            _ => None,
        };
    }

    /// Adds the tokens of the cache to input tokens that do not include them: those of dialects that
    /// count so, those that the provider gave so, and those that are fewer than the cache's.
    pub(super) fn resolve_cache(&mut self) {
        let number = |this: &Self, field| this.final_value(field).and_then(int_of);
        let Some(input) = number(self, GenAiField::InputTokens) else { return };
        let read = number(self, GenAiField::CacheReadTokens).unwrap_or(0);
        let cached =
            number(self, GenAiField::CacheCreationTokens).unwrap_or(0).saturating_add(read);
        if cached <= 0 {
            return;
        }
        let is_own = self.own & GenAiField::InputTokens.bit() != 0;
        let by_dialect = self.dialects().any(|(_, dialect)| dialect.excludes_cache);
        let by_provider = self.beside_cache == Some(input);
        let excludes = by_provider || (by_dialect && !is_own);
        if !(input < cached || excludes || self.excludes_cache_of_provider()) {
            return;
        }
        let sum = input.saturating_add(cached);
        let write = |out: &mut Vec<u8>| {
            msgpack::int(out, sum);
            true
        };
        if is_own {
            self.correct(GenAiField::InputTokens, write);
        } else {
            self.found &= !GenAiField::InputTokens.bit();
            self.make(GenAiField::InputTokens, FIRST, write);
        }
        self.added_cache = true;
        if !(by_dialect || by_provider) {
            self.scratch.inferred.push(GenAiField::InputTokens.name());
        }
    }

    /// Whether a dialect gives input tokens beside the cache for this call's provider. It is not where they
    /// are marked to have been put right.
    fn excludes_cache_of_provider(&self) -> bool {
        let mut dialects = self.dialects().map(|(_, dialect)| dialect.excludes_cache_of);
        let provider = || self.final_value(GenAiField::ProviderName).and_then(text_of);
        let is_of = |names: &[&str]| {
            !names.is_empty() && provider().is_some_and(|provider| names.contains(&provider))
        };
        let marked = || {
            let marks = self.final_value(GenAiField::Inferred).unwrap_or_default();
            elements(marks).filter_map(text_of).any(|name| name == GenAiField::InputTokens.name())
        };
        dialects.any(is_of) && !marked()
    }
}
