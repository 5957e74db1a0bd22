//! Seen attributes: the attributes of one map, told apart while it is read, so that nothing reads it again.

use super::detection::Detection;
use super::field::GenAiField;
use super::scratch::Deferred;
use crate::codec::msgpack::{Entry, MapView, int_of};
use crate::genai::dialects::merge::KeyMeaning;

/// More attributes of a kind than most spans have.
const ROOM: usize = 64;

/// An attribute of a dialect.
#[derive(Clone, Copy)]
pub(super) struct DialectAttribute<'a> {
    pub(super) meaning: &'static KeyMeaning,
    pub(super) entry: Entry<'a>,
}

/// An attribute that has its current name.
#[derive(Clone, Copy)]
pub(super) struct OwnAttribute<'a> {
    pub(super) field: GenAiField,
    pub(super) value: &'a [u8],
    /// The encoded pair.
    pub(super) raw: &'a [u8],
}

/// What a map of attributes has. Its memory is used again for the next one.
#[derive(Default)]
pub(in crate::genai) struct SeenAttributes<'a> {
    pub(in crate::genai) detection: Detection,
    pub(super) dialect: Vec<DialectAttribute<'a>>,
    pub(super) own: Vec<OwnAttribute<'a>>,
    /// Keys that mean nothing here.
    pub(super) unnamed: Vec<&'a [u8]>,
    /// Room for what is looked at when all is known.
    pub(super) deferred: Vec<Deferred<'a>>,
}

impl SeenAttributes<'_> {
    /// Nothing, with room for what most spans have.
    pub(in crate::genai) fn with_room() -> Self {
        Self {
            detection: Detection::default(),
            dialect: Vec::with_capacity(ROOM),
            own: Vec::with_capacity(ROOM),
            unnamed: Vec::with_capacity(ROOM),
            deferred: Vec::with_capacity(ROOM),
        }
    }

    /// Forgets the map.
    #[inline]
    pub(in crate::genai) fn clear(&mut self) {
        self.detection = Detection::default();
        self.dialect.clear();
        self.own.clear();
        self.unnamed.clear();
    }

    /// Whether the tokens of the input are fewer than those of the cache.
    pub(super) fn excludes_cache(&self) -> bool {
        let excess = self.own.iter().fold(0_i64, |excess, own| match own.field {
            GenAiField::InputTokens => excess.saturating_sub(int_of(own.value).unwrap_or(0)),
            GenAiField::CacheReadTokens | GenAiField::CacheCreationTokens => {
                excess.saturating_add(int_of(own.value).unwrap_or(0))
            }
            _ => excess,
        });
        excess > 0
    }

    /// Whether these are the attributes of a map: a span that has two maps shows those of both.
    pub(super) fn are_all_of(&self, attributes: &[u8]) -> bool {
        let count = self.dialect.len() + self.own.len() + self.unnamed.len();
        usize::try_from(MapView::new(attributes).len()).is_ok_and(|pairs| pairs == count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack;
    use crate::genai::normalize::{Conventions, EventValues, Normalizer};

    fn map(pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        msgpack::map_header(&mut out, u32::try_from(pairs.len()).unwrap());
        for (key, value) in pairs {
            msgpack::str(&mut out, key);
            msgpack::str(&mut out, value);
        }
        out
    }

    fn mapped<'a>(attributes: &'a [u8], seen: &mut SeenAttributes<'a>) -> Option<Vec<u8>> {
        let mut normalizer = Normalizer::new(false, Conventions::V1_41);
        let (mut out, none) = (Vec::new(), &mut EventValues::default());
        normalizer.rewrite(attributes, seen, none, &mut out).map(|_| out)
    }

    /// Scenario: a span that has two maps of attributes. Guarantees: the last one, which counts, is mapped as
    /// if it were the only one.
    #[test]
    fn of_two_maps_the_last_one_is_mapped() {
        let first = map(&[("gen_ai.system", "anthropic"), ("x", "1")]);
        let last = map(&[("y", "2"), ("gen_ai.system", "openai"), ("gen_ai.request.model", "m")]);
        let normalizer = Normalizer::new(false, Conventions::V1_41);
        let mut both = normalizer.look(&first);
        MapView::new(&last).for_each(|entry| normalizer.look_at(entry, &mut both));
        let alone = mapped(&last, &mut normalizer.look(&last));
        assert!(alone.is_some());
        assert_eq!(mapped(&last, &mut both), alone);
    }
}
