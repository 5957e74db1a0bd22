//! Nodes: a value of a log that is JSON text, or a map that a parser made of such.

use std::borrow::Cow;

use crate::aggregation::number::amount;
use crate::codec::json::scan::{JsonMembers, plain_string};
use crate::codec::msgpack::{MapView, Reader, Token, elements, text_of};

/// A value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Node<'t> {
    /// As JSON text.
    Json(&'t [u8]),
    /// As msgpack.
    Encoded(&'t [u8]),
}

impl<'t> Node<'t> {
    /// The members of an object with these names, found in one pass; of two with one name the last counts.
    pub(super) fn members<const N: usize>(self, names: &[&str; N]) -> [Option<Self>; N] {
        let mut found = [None; N];
        let mut note = |name: &[u8], value: Self| {
            let place = names.iter().position(|known| known.as_bytes() == name);
            if let Some(slot) = place.and_then(|place| found.get_mut(place)) {
                *slot = Some(value);
            }
        };
        match self {
            Self::Json(text) => {
                JsonMembers::new(text)
                    .for_each(|member| note(member.name, Self::Json(member.value)));
            }
            Self::Encoded(map) => {
                MapView::new(map).for_each(|entry| note(entry.key, Self::Encoded(entry.value)));
            }
        }
        found
    }

    /// The member of an object with this name.
    pub(super) fn get(self, name: &str) -> Option<Self> {
        let [member] = self.members(&[name]);
        member
    }

    /// The text of a value, if it is one and not empty.
    pub(super) fn text(self) -> Option<Cow<'t, str>> {
        let text: Cow<'t, str> = match self {
            Self::Json(text) => match plain_string(text) {
                Some(plain) => std::str::from_utf8(plain).ok()?.into(),
                None => serde_json::from_slice::<String>(text).ok()?.into(),
            },
            Self::Encoded(value) => text_of(value)?.into(),
        };
        Some(text).filter(|text| !text.is_empty())
    }

    /// The number of a value, if it is one and not negative.
    pub(super) fn number(self) -> Option<f64> {
        match self {
            Self::Json(text) => {
                let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
                (number.is_finite() && number >= 0.0).then_some(number)
            }
            Self::Encoded(value) => amount(value),
        }
    }

    /// Whether the value is `true`.
    pub(super) fn is_true(self) -> bool {
        match self {
            Self::Json(text) => text == b"true",
            Self::Encoded(value) => matches!(Reader::new(value).token(), Ok(Token::Bool(true))),
        }
    }

    /// The objects of a list, up to 128.
    pub(super) fn objects(self) -> Vec<Self> {
        const MOST: usize = 128;
        match self {
            Self::Encoded(list) => elements(list).take(MOST).map(Self::Encoded).collect(),
            Self::Json(text) => {
                let mut objects = Vec::new();
                let mut rest = text.strip_prefix(b"[").unwrap_or_default();
                while objects.len() < MOST {
                    let start = rest.trim_ascii_start();
                    let mut members = JsonMembers::new(start);
                    members.by_ref().for_each(drop);
                    if !members.is_whole() {
                        break;
                    }
                    objects.push(Self::Json(start));
                    let after = members.rest().trim_ascii_start();
                    rest = after.strip_prefix(b",").unwrap_or_default();
                }
                objects
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack;

    const TEXT: &str = r#"{"a": "x", "b": {"c": 1.5e1, "d": [ {"e": "\u00e4"} , {"e": "z"}]}, "f": true, "g": -1, "h": ""}"#;

    /// The same as msgpack.
    fn encoded() -> Vec<u8> {
        let value: serde_json::Value = serde_json::from_str(TEXT).unwrap();
        rmp_serde::to_vec(&value).unwrap()
    }

    #[test]
    fn json_and_msgpack_are_read_alike() {
        let encoded = encoded();
        for node in [Node::Json(TEXT.as_bytes()), Node::Encoded(&encoded)] {
            let [a, f, none] = node.members(&["a", "f", "none"]);
            assert_eq!(a.unwrap().text().unwrap(), "x");
            assert!(f.unwrap().is_true() && !a.unwrap().is_true() && none.is_none());
            let b = node.get("b").unwrap();
            assert_eq!(b.get("c").unwrap().number(), Some(15.0));
            let texts: Vec<_> = b.get("d").unwrap().objects();
            let texts = texts.into_iter().map(|one| one.get("e").unwrap().text().unwrap());
            assert_eq!(texts.collect::<Vec<_>>(), ["ä", "z"]);
            assert_eq!(node.get("g").unwrap().number(), None);
            assert!(node.get("h").unwrap().text().is_none() && a.unwrap().objects().is_empty());
        }
    }

    #[test]
    fn what_is_no_json_has_nothing() {
        for text in ["", "{", "[", "[{\"a\":1", "{\"a\"", "[[]]", "nul", "{\"a\":[{}{}]}"] {
            let node = Node::Json(text.as_bytes());
            assert!(node.get("b").is_none() && node.objects().len() < 2, "{text}");
        }
        let mut map = Vec::new();
        msgpack::map_header(&mut map, 5);
        assert!(Node::Encoded(&map).get("a").is_none());
    }
}
