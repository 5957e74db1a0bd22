//! Indexed keys: lists and objects that a dialect spreads over many attribute keys, put together
//! again as JSON.

use serde_json::{Map, Value};

use crate::codec::msgpack::{MapView, Reader, Token, elements};

/// How deep a key or a value may nest; what lies deeper is left out.
const MAX_DEPTH: usize = 12;

/// What the keys `0.a.b`, `0.c`, `1.a.b` and so on hold: objects within objects. Numbers are keys
/// like any other until [`list`] reads them.
#[derive(Debug, Default)]
pub(crate) struct KeyTree(Map<String, Value>);

impl KeyTree {
    /// Adds the value of one attribute. The first value of a path counts.
    pub(crate) fn insert(&mut self, path: &[u8], encoded: &[u8]) {
        let Ok(path) = std::str::from_utf8(path) else { return };
        if path.split('.').count() > MAX_DEPTH {
            return;
        }
        let mut map = &mut self.0;
        let mut parts = path.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                map.entry(part).or_insert_with(|| json_of(encoded, 0));
                return;
            }
            let inner = map.entry(part).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(inner) = inner else { return };
            map = inner;
        }
    }

    /// The elements in the order of their numbers.
    pub(crate) fn list(&self) -> Vec<&Map<String, Value>> {
        list(&self.0)
    }
}

/// The objects under the keys that are numbers, in the order of these.
pub(crate) fn list(map: &Map<String, Value>) -> Vec<&Map<String, Value>> {
    let mut numbered: Vec<(u32, &Map<String, Value>)> = map
        .iter()
        .filter_map(|(key, value)| Some((key.parse().ok()?, value.as_object()?)))
        .collect();
    numbered.sort_by_key(|(number, _)| *number);
    numbered.into_iter().map(|(_, element)| element).collect()
}

/// An encoded value as JSON. Bytes, extensions and what nests too deep are null.
pub(crate) fn json_of(encoded: &[u8], depth: usize) -> Value {
    match Reader::new(encoded).token() {
        Ok(Token::Str(text)) => Value::String(String::from_utf8_lossy(text).into_owned()),
        Ok(Token::Bool(value)) => Value::Bool(value),
        Ok(Token::Uint(value)) => Value::from(value),
        Ok(Token::Int(value)) => Value::from(value),
        Ok(Token::Float(value)) => Value::from(value),
        Ok(Token::Array(_)) if depth < MAX_DEPTH => {
            elements(encoded).map(|element| json_of(element, depth + 1)).collect()
        }
        Ok(Token::Map(_)) if depth < MAX_DEPTH => {
            let pairs = MapView::new(encoded).map(|entry| {
                let key = String::from_utf8_lossy(entry.key).into_owned();
                (key, json_of(entry.value, depth + 1))
            });
            Value::Object(pairs.collect())
        }
        _ => Value::Null,
    }
}

/// An object of these members.
pub(crate) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack;

    #[test]
    fn keys_come_together_in_the_order_of_their_numbers() {
        let mut value = Vec::new();
        msgpack::str(&mut value, "x");
        let mut tree = KeyTree::default();
        for path in ["10.a.b", "2.a.b", "2.a", "2.a.b.c", "2.c", "x.a"] {
            tree.insert(path.as_bytes(), &value);
        }
        tree.insert(&vec![b'.'; 1000], &value);
        let list = tree.list();
        assert_eq!(list.len(), 2);
        assert_eq!(Value::Object(list[0].clone()).to_string(), r#"{"a":{"b":"x"},"c":"x"}"#);
        assert_eq!(Value::Object(list[1].clone()).to_string(), r#"{"a":{"b":"x"}}"#);
    }

    #[test]
    fn deep_values_end() {
        let mut deep = vec![0x91; 100_000];
        deep.push(0xc0);
        assert!(json_of(&deep, 0).is_array());
    }
}
