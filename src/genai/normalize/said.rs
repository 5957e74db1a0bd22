//! Redundancy: whether fields under their current names say all that an attribute of a dialect does, so that it can go.

use super::collect::{Collected, translated};
use super::convert::convert;
use super::field::GenAiField;
use super::verbatim::is_verbatim;
use crate::genai::dialect::RuleAction;
use crate::genai::dialects::merge::KeyMeaning;

impl Collected<'_, '_> {
    /// Whether a field says all that the attribute with this rank does.
    fn says_attribute(&mut self, field: GenAiField, rank: u16, value: &[u8]) -> bool {
        let is_repeated = !self.repeated.is_empty() && self.repeated.contains(&rank);
        if is_repeated || !self.is_made_of(field, rank) {
            return self.says(field, value);
        }
        // A word of the conventions may stand for several of the dialect's.
        field != GenAiField::FinishReasons || is_verbatim(value, self.value(field))
    }

    /// Whether a field says all that a value does.
    fn says(&mut self, field: GenAiField, value: &[u8]) -> bool {
        let mut compared = std::mem::take(&mut self.scratch.compared);
        compared.clear();
        let converted = convert(self.arena, field, value, &mut compared);
        let start = compared.len();
        // What is there already may be encoded in another way.
        let same = converted
            && self.final_value(field).is_some_and(|said| {
                convert(self.arena, field, said, &mut compared)
                    && compared.get(..start) == compared.get(start..)
            });
        // A word of the conventions may stand for several of the dialect's.
        let narrows = field == GenAiField::FinishReasons && !is_verbatim(value, &compared);
        self.scratch.compared = compared;
        same && !narrows
    }

    /// Whether all that the attribute says is said by fields under their current names.
    pub(super) fn replaced(&mut self, meaning: &KeyMeaning, value: &[u8]) -> bool {
        let filled = self.own | self.found;
        let has = |field: GenAiField| filled & field.within(self.conventions).bit() != 0;
        if meaning.stays || (meaning.is_common && !self.spoken.meets(meaning.speakers)) {
            return false;
        }
        match meaning.action {
            RuleAction::Details(_) if self.dropped_usage => false,
            // The number beside the cache follows from the sum.
            RuleAction::To(GenAiField::InputTokens) if self.added_cache => true,
            RuleAction::To(GenAiField::OutputTokens) if self.added_reasoning => true,
            RuleAction::To(field) => self.says_attribute(field, meaning.rank, value),
            RuleAction::Words(field, words) => {
                let translated = translated(value, words);
                self.says(field, translated.as_deref().unwrap_or(value))
            }
            RuleAction::Model => {
                self.says(GenAiField::ResponseModel, value)
                    || self.says(GenAiField::RequestModel, value)
            }
            RuleAction::List(index) => {
                self.added.lists().get(index).is_some_and(|known| has(known.list.field))
            }
            RuleAction::Prompts => has(GenAiField::InputMessages),
            RuleAction::Total => has(GenAiField::InputTokens) && has(GenAiField::OutputTokens),
            _ => self.scratch.mapped.has(meaning.rank),
        }
    }
}
