//! JSON text -> values, by `serde_json`.

use std::fmt::{self, Formatter};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::arena::Arena;
use super::members::Members;
use super::{Json, Number, Text};

/// Room for the elements of most lists.
const ELEMENTS: usize = 4;

/// Room for the members of most objects.
const MEMBERS: usize = 8;

impl<'a> Json<'a> {
    /// Reads JSON text; none for an item that has had too much of it.
    pub fn read(arena: &'a Arena, text: &'a str) -> Option<Self> {
        if arena.is_full() {
            return None;
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        let read = ValueSeed(arena).deserialize(&mut reader).ok()?;
        reader.end().ok()?;
        Some(read)
    }

    /// Reads JSON text that may be no text at all.
    pub fn read_bytes(arena: &'a Arena, text: &'a [u8]) -> Option<Self> {
        Self::read(arena, std::str::from_utf8(text).ok()?)
    }
}

/// Reads a value into an arena.
#[derive(Clone, Copy)]
struct ValueSeed<'a>(&'a Arena);

impl<'a> DeserializeSeed<'a> for ValueSeed<'a> {
    type Value = Json<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Json<'a>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for ValueSeed<'a> {
    type Value = Json<'a>;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'a>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'a>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'a>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'a>, E> {
        Ok(Json::Number(Number::Uint(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'a>, E> {
        Ok(Json::of_float(value))
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Json<'a>, E> {
        Ok(Json::Text(Text::plain(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'a>, E> {
        Ok(Json::from(self.0.text(text)))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<Json<'a>, A::Error> {
        let Some(first) = list.next_element_seed(self)? else { return Ok(Json::List(&[])) };
        let mut values = self.0.building(ELEMENTS);
        values.push(first);
        while let Some(value) = list.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Json::List(values.into_bump_slice()))
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Json<'a>, A::Error> {
        let name = NameSeed(self.0);
        let Some(first) = map.next_entry_seed(name, self)? else {
            return Ok(Json::Object(Members::default()));
        };
        let mut members = self.0.building(MEMBERS);
        members.push(first);
        while let Some(member) = map.next_entry_seed(name, self)? {
            members.push(member);
        }
        Ok(Json::Object(Members::of(members)))
    }
}

/// Reads the name of a member.
#[derive(Clone, Copy)]
struct NameSeed<'a>(&'a Arena);

impl<'a> DeserializeSeed<'a> for NameSeed<'a> {
    type Value = Text<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Text<'a>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for NameSeed<'a> {
    type Value = Text<'a>;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a member")
    }

    fn visit_borrowed_str<E>(self, name: &'a str) -> Result<Text<'a>, E> {
        Ok(Text::plain(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Text<'a>, E> {
        Ok(self.0.text(name).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    proptest! {
        /// Scenario: what is JSON or nearly. Guarantees: it reads what serde_json reads, and writes what means the
        /// same.
        #[test]
        fn reads_and_writes_as_serde_json(text in "[\\[\\]{}:,\"a1.e\\\\nu0-9 -]{0,24}") {
            let arena = Arena::default();
            let other: Option<Value> = serde_json::from_str(&text).ok();
            let read = Json::read(&arena, &text);
            prop_assert_eq!(read.is_some(), other.is_some());
            if let Some(read) = read {
                let again: Value = serde_json::from_str(&read.to_text()).unwrap();
                prop_assert_eq!(Some(again), other);
            }
        }

        /// Scenario: any text as a value and as a name, however it was escaped. Guarantees: it is written as
        /// serde_json writes it.
        #[test]
        fn texts_are_written_as_serde_json_does(text in any::<String>(), escape_all in any::<bool>()) {
            let quoted = serde_json::to_string(&text).unwrap();
            let inner: String = match escape_all {
                true => text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
                false => quoted.get(1..quoted.len() - 1).unwrap().to_owned(),
            };
            let given = format!("{{\"{inner}\":\"{inner}\"}}");
            let arena = Arena::default();
            let read = Json::read(&arena, &given).unwrap();
            prop_assert_eq!(read.get(&text).and_then(Json::as_str), Some(text.as_str()));
            prop_assert_eq!(read.to_text(), format!("{{{quoted}:{quoted}}}"));
        }
    }

    /// Scenario: an item with much JSON, of the kind that takes most memory for its length. Guarantees: what it takes
    /// has a bound, and the next item is read.
    #[test]
    fn an_item_has_a_limit() {
        let text = format!("[{}0]", "[0],".repeat(64 << 10));
        let mut arena = Arena::default();
        let reads = (0..1000).take_while(|_| Json::read(&arena, &text).is_some()).count();
        assert!((3..100).contains(&reads), "{reads}");
        assert!(Json::read(&arena, "1").is_none());
        arena.clear();
        assert!(Json::read(&arena, "1").is_some());
    }

    #[test]
    fn texts_without_escapes_are_borrowed_and_members_keep_their_order() {
        let text = r#"{"b":"plain","a":["x\n",1,-2,0.5,true,null]}"#;
        let arena = Arena::default();
        let read = Json::read(&arena, text).unwrap();
        let borrowed = read.get("b").and_then(Json::as_str).unwrap();
        assert!(text.as_bytes().as_ptr_range().contains(&borrowed.as_ptr()));
        assert_eq!(read.to_text(), text);
        assert_eq!(read.as_object().unwrap().names().collect::<Vec<_>>(), ["b", "a"]);
    }
}
