//! JSON values that borrow their texts from what they were read from, and keep the order of members.
//!
//! `serde_json::Value` allocates every text and every key, which cost more than all else of mapping messages.

mod text;

pub(in crate::genai) use text::append;

use std::borrow::Cow;

use serde_json::Number;

use crate::codec::msgpack::{MapView, Reader, Token, elements};

/// How deep an encoded value may nest; what lies deeper is left out.
pub(super) const MAX_DEPTH: usize = 12;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Json<'a> {
    #[default]
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Members<'a>),
}

/// The members of a JSON object in their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Members<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

/// The text that bytes are, with what is none of it replaced.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    // Nearly all are text, which is quicker to see at once.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

impl<'a> Json<'a> {
    /// An encoded value. Bytes, extensions and what nests too deep are null.
    pub fn of_encoded(encoded: &'a [u8]) -> Self {
        Self::of_nested(encoded, 0)
    }

    fn of_nested(encoded: &'a [u8], depth: usize) -> Self {
        match Reader::new(encoded).token() {
            Ok(Token::Str(text)) => Self::Text(text_of(text)),
            Ok(Token::Bool(value)) => Self::Bool(value),
            Ok(Token::Uint(value)) => Self::Number(value.into()),
            Ok(Token::Int(value)) => Self::Number(value.into()),
            Ok(Token::Float(value)) => Self::of_float(value),
            Ok(Token::Array(_)) if depth < MAX_DEPTH => {
                elements(encoded).map(|element| Self::of_nested(element, depth + 1)).collect()
            }
            Ok(Token::Map(_)) if depth < MAX_DEPTH => {
                let member = |key, value| (text_of(key), value);
                let members = MapView::new(encoded)
                    .map(|entry| member(entry.key, Self::of_nested(entry.value, depth + 1)));
                Self::Object(members.collect())
            }
            _ => Self::Null,
        }
    }

    fn of_float(value: f64) -> Self {
        Number::from_f64(value).map_or(Self::Null, Self::Number)
    }

    /// The member of an object.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_object()?.get(key)
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    pub const fn as_object(&self) -> Option<&Members<'a>> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    pub const fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn into_list(self) -> Option<Vec<Self>> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    pub fn into_object(self) -> Option<Members<'a>> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The same with texts of its own.
    pub fn into_owned(self) -> Json<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(value),
            Self::Number(value) => Json::Number(value),
            Self::Text(text) => Json::Text(owned(text)),
            Self::List(list) => list.into_iter().map(Json::into_owned).collect(),
            Self::Object(members) => {
                let pairs =
                    members.into_iter().map(|(key, value)| (owned(key), value.into_owned()));
                Json::Object(pairs.collect())
            }
        }
    }
}

impl<'a> From<&'a str> for Json<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> FromIterator<Json<'a>> for Json<'a> {
    fn from_iter<I: IntoIterator<Item = Json<'a>>>(values: I) -> Self {
        Self::List(values.into_iter().collect())
    }
}

impl<'a> Members<'a> {
    /// Room for this many.
    pub fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// The first member of this name.
    pub fn get(&self, key: &str) -> Option<&Json<'a>> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// The first element that one of these names has.
    pub fn first(&self, keys: &[&str]) -> Option<&Json<'a>> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// Takes the first member of this name.
    pub fn take(&mut self, key: &str) -> Option<Json<'a>> {
        let at = self.0.iter().position(|(known, _)| known == key)?;
        Some(self.0.remove(at).1)
    }

    /// All of them, to be changed in place.
    pub fn pairs_mut(&mut self) -> &mut [(Cow<'a, str>, Json<'a>)] {
        &mut self.0
    }

    /// Offers each value to `take`, and leaves those that it gives back.
    pub fn sort_out(&mut self, mut take: impl FnMut(&str, Json<'a>) -> Option<Json<'a>>) {
        self.0.retain_mut(|(key, value)| match take(key, std::mem::take(value)) {
            Some(left) => {
                *value = left;
                true
            }
            None => false,
        });
    }

    /// Adds a member before all others; to be called with names that are not there.
    pub fn prepend(&mut self, key: &'static str, value: Json<'a>) {
        self.0.insert(0, (Cow::Borrowed(key), value));
    }

    /// Leaves only the members that `keep` wants.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &Json<'a>) -> bool) {
        self.0.retain(|(key, value)| keep(key, value));
    }

    /// Adds a member; to be called with names that are not there.
    pub fn push(&mut self, key: impl Into<Cow<'a, str>>, value: Json<'a>) {
        self.0.push((key.into(), value));
    }

    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub const fn len(&self) -> usize {
        self.0.len()
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value))
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_ref())
    }

    /// The objects under the names that are numbers, in the order of these.
    pub fn into_numbered(self) -> Vec<Self> {
        let numbered = self.0.into_iter();
        let mut numbered: Vec<(u32, Self)> = numbered
            .filter_map(|(key, value)| Some((key.parse().ok()?, value.into_object()?)))
            .collect();
        numbered.sort_by_key(|(number, _)| *number);
        numbered.into_iter().map(|(_, element)| element).collect()
    }
}

impl<'a> IntoIterator for Members<'a> {
    type Item = (Cow<'a, str>, Json<'a>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> FromIterator<(Cow<'a, str>, Json<'a>)> for Members<'a> {
    fn from_iter<I: IntoIterator<Item = (Cow<'a, str>, Json<'a>)>>(members: I) -> Self {
        Self(members.into_iter().collect())
    }
}

impl<'a, const N: usize> From<[(&'a str, Json<'a>); N]> for Members<'a> {
    fn from(members: [(&'a str, Json<'a>); N]) -> Self {
        members.into_iter().map(|(key, value)| (Cow::Borrowed(key), value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    proptest! {
        /// It reads what serde_json reads, and writes what means the same.
        #[test]
        fn reads_and_writes_as_serde_json(text in "[\\[\\]{}:,\"a1.e\\\\n -]{0,24}") {
            let other: Option<Value> = serde_json::from_str(&text).ok();
            let read = Json::read(&text);
            prop_assert_eq!(read.is_some(), other.is_some());
            if let Some(read) = read {
                let again: Value = serde_json::from_str(&read.to_string()).unwrap();
                prop_assert_eq!(Some(again), other);
                prop_assert_eq!(&read.clone().into_owned(), &read);
            }
        }
    }

    #[test]
    fn texts_without_escapes_are_borrowed_and_members_keep_their_order() {
        let text = r#"{"b":"plain","a":["x\n",1,-2,0.5,true,null]}"#;
        let read = Json::read(text).unwrap();
        assert!(matches!(read.get("b"), Some(Json::Text(Cow::Borrowed("plain")))));
        assert_eq!(read.to_string(), text);
        assert_eq!(read.as_object().unwrap().keys().collect::<Vec<_>>(), ["b", "a"]);
    }

    #[test]
    fn deep_values_end() {
        let mut deep = vec![0x91; 100_000];
        deep.push(0xc0);
        assert!(Json::of_encoded(&deep).as_list().is_some());
    }
}
