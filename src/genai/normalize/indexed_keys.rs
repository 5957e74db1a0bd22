//! Indexed keys: lists and objects that a dialect spreads over many attribute keys, put together
//! again as JSON.

use std::cmp::Ordering;

use crate::genai::json_value::{Arena, Json, MAX_DEPTH, Members, Pair};

/// What the keys `0.a.b`, `0.c`, `1.a.b` and so on hold: objects within objects. Numbers are keys
/// like any other until [`IndexedKeys::elements`] reads them.
#[derive(Debug, Default)]
pub(super) struct IndexedKeys<'a>(Vec<IndexedKey<'a>>);

/// One of these keys.
#[derive(Debug, Clone, Copy)]
struct IndexedKey<'a> {
    path: &'a str,
    /// How many came before it.
    number: usize,
    /// The value as it is encoded.
    value: &'a [u8],
}

impl<'a> IndexedKey<'a> {
    /// The first part of what follows of the path here.
    fn part(&self, from: usize) -> &'a str {
        let rest = self.path.get(from..).unwrap_or_default();
        // The parts are too short for a search to begin one.
        let end = rest.bytes().position(|byte| byte == b'.').unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    /// Whether that part is this one.
    fn has_part(&self, from: usize, part: &str) -> bool {
        let rest = self.path.get(from..).and_then(|rest| rest.strip_prefix(part));
        rest.is_some_and(|rest| matches!(rest.as_bytes(), [] | [b'.', ..]))
    }
}

/// Part by part, so that all under one stand together.
fn by_parts(one: &str, other: &str) -> Ordering {
    let rank = |byte: u8| if byte == b'.' { 0 } else { u16::from(byte) + 1 };
    one.bytes().map(rank).cmp(other.bytes().map(rank))
}

impl<'a> IndexedKeys<'a> {
    /// Adds the value of one attribute. The first value of a path counts.
    pub(super) fn insert(&mut self, path: &'a [u8], value: &'a [u8]) {
        let Ok(path) = std::str::from_utf8(path) else { return };
        if path.bytes().filter(|byte| *byte == b'.').count() < MAX_DEPTH {
            self.0.push(IndexedKey { path, number: self.0.len(), value });
        }
    }

    /// The objects under numbers, in the order of these.
    pub(super) fn elements<'j>(mut self, arena: &'j Arena) -> &'j [Members<'j>]
    where
        'a: 'j,
    {
        self.0.sort_by(|one, other| by_parts(one.path, other.path));
        arena.list(members(arena, &self.0, 0).numbered())
    }
}

/// What these keys hold under what they all begin with, which is so long.
fn members<'a>(arena: &'a Arena, mut keys: &[IndexedKey<'a>], from: usize) -> Members<'a> {
    let mut members = arena.building::<Pair<'a>>(0);
    while let Some(first) = keys.first() {
        let part = first.part(from);
        let of_part = keys.iter().take_while(|key| key.has_part(from, part)).count();
        let (here, others) = keys.split_at_checked(of_part).unwrap_or_default();
        members.push((part.into(), value(arena, here, from.saturating_add(part.len()))));
        keys = others;
    }
    Members::of(members)
}

/// The value of a part that all these keys have and that ends there: what came first, a value or an object.
fn value<'a>(arena: &'a Arena, keys: &[IndexedKey<'a>], end: usize) -> Json<'a> {
    // Values come before what lies deeper, the first of them first.
    let values = keys.iter().take_while(|key| key.path.len() == end).count();
    let (values, deeper) = keys.split_at_checked(values).unwrap_or_default();
    let first_deeper = deeper.iter().map(|key| key.number).min();
    match values.first() {
        Some(value) if first_deeper.is_none_or(|number| value.number < number) => {
            Json::of_encoded(arena, value.value)
        }
        // Behind the dot.
        _ => Json::Object(members(arena, deeper, end.saturating_add(1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack;
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    /// What the keys hold, put in one after the other.
    fn one_by_one(paths: &[String]) -> Vec<Value> {
        let mut tree = Map::new();
        for (number, path) in paths.iter().enumerate() {
            let (before, last) = path.rsplit_once('.').unwrap_or(("", path));
            let outer = if before.is_empty() && !path.contains('.') {
                Some(&mut tree)
            } else {
                before.split('.').try_fold(&mut tree, |tree, part| {
                    let inner = tree.entry(part).or_insert_with(|| Value::Object(Map::new()));
                    inner.as_object_mut()
                })
            };
            if let Some(outer) = outer {
                outer.entry(last).or_insert_with(|| number.into());
            }
        }
        let numbered = tree.into_iter().filter(|(_, value)| value.is_object());
        let mut numbered: Vec<(u32, Value)> =
            numbered.filter_map(|(key, value)| Some((key.parse().ok()?, value))).collect();
        numbered.sort_by_key(|(number, _)| *number);
        numbered.into_iter().map(|(_, value)| value).collect()
    }

    proptest! {
        /// Scenario: keys in any order, some twice, some under a value, some before. Guarantees: the objects are those
        /// that come of adding one key after the other.
        #[test]
        fn keys_are_put_together_as_if_one_by_one(
            paths in prop::collection::vec("[0-2]{1,2}(\\.[ab-]{0,2}){0,3}", 0..12),
        ) {
            let encoded = (0_u64..).zip(&paths).map(|(number, path)| {
                let mut value = Vec::new();
                msgpack::uint(&mut value, number);
                (path, value)
            });
            let encoded: Vec<(&String, Vec<u8>)> = encoded.collect();
            let mut keys = IndexedKeys::default();
            encoded.iter().for_each(|(path, value)| keys.insert(path.as_bytes(), value));
            let arena = Arena::default();
            let elements = keys.elements(&arena).iter().map(|members| {
                serde_json::from_str(&Json::Object(*members).to_text()).unwrap()
            });
            prop_assert_eq!(elements.collect::<Vec<Value>>(), one_by_one(&paths));
        }
    }

    #[test]
    fn keys_come_together_in_the_order_of_their_numbers() {
        let mut value = Vec::new();
        msgpack::str(&mut value, "x");
        let long = vec![b'.'; 1000];
        let mut keys = IndexedKeys::default();
        for path in ["10.a.b", "2.a.b", "2.a", "2.a.b.c", "2.c", "x.a"] {
            keys.insert(path.as_bytes(), &value);
        }
        keys.insert(&long, &value);
        let arena = Arena::default();
        let list = keys.elements(&arena).iter().map(|members| Json::Object(*members).to_text());
        let list: Vec<String> = list.collect();
        assert_eq!(list, [r#"{"a":{"b":"x"},"c":"x"}"#, r#"{"a":{"b":"x"}}"#]);
    }
}
