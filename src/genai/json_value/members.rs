//! The members of JSON objects.

use super::arena::{Arena, Building};
use super::{Json, Text};

/// A member: its name and its value.
pub(in crate::genai) type Pair<'a> = (Text<'a>, Json<'a>);

/// The members of a JSON object in their order.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Members<'a>(&'a [Pair<'a>]);

impl<'a> Members<'a> {
    pub(in crate::genai) const fn new(pairs: &'a [Pair<'a>]) -> Self {
        Self(pairs)
    }

    /// These members.
    pub(in crate::genai) fn collect(
        arena: &'a Arena,
        pairs: impl IntoIterator<Item = Pair<'a>>,
    ) -> Self {
        Self(arena.list(pairs))
    }

    /// Those that were made.
    pub(in crate::genai) fn of(made: Building<'a, Pair<'a>>) -> Self {
        Self(made.into_bump_slice())
    }

    /// All of them.
    pub(in crate::genai) const fn pairs(self) -> &'a [Pair<'a>] {
        self.0
    }

    /// The first member of this name.
    pub fn get(self, name: &str) -> Option<Json<'a>> {
        self.0.iter().find(|(known, _)| **known == *name).map(|(_, value)| *value)
    }

    /// The first element that one of these names has.
    pub fn first(self, names: &[&str]) -> Option<Json<'a>> {
        names.iter().find_map(|name| self.get(name))
    }

    /// Takes the first member of this name.
    pub fn take(&mut self, arena: &'a Arena, name: &str) -> Option<Json<'a>> {
        let at = self.0.iter().position(|(known, _)| **known == *name)?;
        let (before, rest) = self.0.split_at_checked(at)?;
        let ((_, taken), after) = rest.split_first()?;
        self.0 = match (before, after) {
            // What stays lies as it is to be.
            ([], stays) | (stays, []) => stays,
            _ => Members::collect(arena, before.iter().chain(after).copied()).0,
        };
        Some(*taken)
    }

    /// All but the first member of this name.
    pub fn without(mut self, arena: &'a Arena, name: &str) -> Self {
        self.take(arena, name);
        self
    }

    /// These and one more; to be called with names that are not there.
    pub fn with(self, arena: &'a Arena, name: &'static str, value: Json<'a>) -> Self {
        let more = [(Text::word(name), value)];
        Members::collect(arena, self.0.iter().copied().chain(more))
    }

    /// The members that `keep` wants.
    pub fn filtered(self, arena: &'a Arena, mut keep: impl FnMut(&str, Json<'a>) -> bool) -> Self {
        let mut kept = arena.building(self.0.len());
        kept.extend(self.0.iter().filter(|(name, value)| keep(name, *value)).copied());
        Self::of(kept)
    }

    pub fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub const fn len(self) -> usize {
        self.0.len()
    }

    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(self) -> impl Iterator<Item = (&'a str, Json<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    pub fn names(self) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The objects under the names that are numbers, in the order of these.
    pub fn numbered(self) -> impl Iterator<Item = Self> {
        let numbered = self.iter();
        let mut numbered: Vec<(u32, Self)> = numbered
            .filter_map(|(name, value)| Some((name.parse().ok()?, value.as_object()?)))
            .collect();
        numbered.sort_by_key(|(number, _)| *number);
        numbered.into_iter().map(|(_, element)| element)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a member taken from the start, the middle and the end, twice and in vain. Guarantees: the others
    /// stay in their order.
    #[test]
    fn what_is_taken_is_gone_and_the_rest_stays() {
        let arena = Arena::default();
        let read = |text| Json::read(&arena, text).and_then(Json::as_object).unwrap();
        for (name, taken, left) in [
            ("a", Some("1"), r#"{"b":2,"c":3,"b":4}"#),
            ("b", Some("2"), r#"{"a":1,"c":3,"b":4}"#),
            ("c", Some("3"), r#"{"a":1,"b":2,"b":4}"#),
            ("d", None, r#"{"a":1,"b":2,"c":3,"b":4}"#),
        ] {
            let mut members = read(r#"{"a":1,"b":2,"c":3,"b":4}"#);
            let value = members.take(&arena, name).map(|value| value.to_text());
            assert_eq!(value.as_deref(), taken);
            assert_eq!(Json::Object(members).to_text(), left);
        }
        let mut one = read(r#"{"a":1}"#);
        assert!(one.take(&arena, "a").is_some() && one.is_empty());
        let numbered = read(r#"{"10":{"a":1},"x":{"a":2},"2":{"a":3},"3":4}"#).numbered();
        let numbered: Vec<String> =
            numbered.map(|members| Json::Object(members).to_text()).collect();
        assert_eq!(numbered, [r#"{"a":3}"#, r#"{"a":1}"#]);
    }
}
