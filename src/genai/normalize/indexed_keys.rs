//! Indexed keys: lists and objects that a dialect spreads over many attribute keys, put together
//! again as JSON.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::codec::msgpack::text_of;
use crate::genai::json_value::{Arena, Json, MAX_DEPTH, Members};

/// What the keys `0.a.b`, `0.c`, `1.a.b` and so on hold: objects within objects. Numbers are keys
/// like any other until [`KeyTree::elements`] reads them.
#[derive(Debug, Default)]
pub struct KeyTree<'a>(BTreeMap<&'a str, Node<'a>>);

/// What stands under one part of a key.
#[derive(Debug)]
enum Node<'a> {
    /// As it is encoded.
    Value(&'a [u8]),
    Tree(KeyTree<'a>),
}

impl Node<'_> {
    /// The text under this name.
    fn text(&self, name: &str) -> Option<&str> {
        let Self::Tree(tree) = self else { return None };
        match tree.0.get(name)? {
            Node::Value(value) => text_of(value),
            Node::Tree(_) => None,
        }
    }
}

impl<'a> KeyTree<'a> {
    /// Adds the value of one attribute. The first value of a path counts.
    pub fn insert(&mut self, path: &'a [u8], encoded: &'a [u8]) {
        let Ok(path) = std::str::from_utf8(path) else { return };
        if path.bytes().filter(|byte| *byte == b'.').count() >= MAX_DEPTH {
            return;
        }
        let mut tree = self;
        let mut rest = path;
        // The parts are too short for a search to begin one.
        while let Some(end) = rest.bytes().position(|byte| byte == b'.')
            && let (Some(part), Some(after)) = (rest.get(..end), rest.get(end + 1..))
        {
            let inner = tree.0.entry(part).or_insert_with(|| Node::Tree(KeyTree::default()));
            let Node::Tree(inner) = inner else { return };
            tree = inner;
            rest = after;
        }
        if let Entry::Vacant(place) = tree.0.entry(rest) {
            place.insert(Node::Value(encoded));
        }
    }

    /// The elements in the order of their numbers.
    pub fn elements(self, arena: &'a Arena) -> impl Iterator<Item = Members<'a>> {
        self.into_members(arena).numbered()
    }

    /// The texts of this name that elements have, in the order of their numbers.
    pub fn texts(&self, name: &str) -> Vec<&str> {
        let numbered =
            self.0.iter().filter_map(|(key, node)| Some((key.parse().ok()?, node.text(name)?)));
        let mut numbered: Vec<(u32, &str)> = numbered.collect();
        numbered.sort_by_key(|(number, _)| *number);
        numbered.into_iter().map(|(_, text)| text).collect()
    }

    fn into_members(self, arena: &'a Arena) -> Members<'a> {
        let members = self.0.into_iter().map(|(key, node)| {
            let value = match node {
                Node::Value(value) => Json::of_encoded(arena, value),
                Node::Tree(tree) => Json::Object(tree.into_members(arena)),
            };
            (key.into(), value)
        });
        Members::collect(arena, members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack;

    #[test]
    fn keys_come_together_in_the_order_of_their_numbers() {
        let mut value = Vec::new();
        msgpack::str(&mut value, "x");
        let long = vec![b'.'; 1000];
        let mut tree = KeyTree::default();
        for path in ["10.a.b", "2.a.b", "2.a", "2.a.b.c", "2.c", "x.a"] {
            tree.insert(path.as_bytes(), &value);
        }
        tree.insert(&long, &value);
        assert_eq!(tree.texts("c"), ["x"]);
        let arena = Arena::default();
        let list = tree.elements(&arena).map(|members| Json::Object(members).to_text());
        let list: Vec<String> = list.collect();
        assert_eq!(list, [r#"{"a":{"b":"x"},"c":"x"}"#, r#"{"a":{"b":"x"}}"#]);
    }
}
