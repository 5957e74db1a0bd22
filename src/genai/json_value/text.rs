//! JSON text <-> values, by `serde_json`.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Json, Members};
use crate::codec::msgpack;

/// Room for the elements of most lists.
const ELEMENTS: usize = 4;

/// Room for the members of most objects.
const MEMBERS: usize = 8;

impl<'a> Json<'a> {
    /// Reads JSON text.
    pub fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Reads JSON text that may be no text at all.
    pub fn read_bytes(text: &'a [u8]) -> Option<Self> {
        Self::read(std::str::from_utf8(text).ok()?)
    }

    /// The JSON text.
    pub fn to_text(&self) -> String {
        // Nothing in it can fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Appends the JSON text as an encoded text.
    pub fn append(&self, out: &mut Vec<u8>) -> bool {
        append(self, out)
    }

    /// Appends the JSON text of a list as an encoded text, unless the list is empty.
    pub fn append_list(values: &[Self], out: &mut Vec<u8>) -> bool {
        !values.is_empty() && append(values, out)
    }

    /// The JSON text of a list.
    #[cfg(test)]
    pub fn list_text(values: &[Self]) -> String {
        serde_json::to_string(values).unwrap_or_default()
    }
}

/// Appends the JSON text of anything as an encoded text, in the memory that is there.
pub(in crate::genai) fn append<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> bool {
    msgpack::str_of(out, |out| serde_json::to_writer(out, value).is_ok())
}

/// JSON text.
impl Display for Json<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_text())
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => value.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(list) => serializer.collect_seq(list),
            Self::Object(members) => members.serialize(serializer),
        }
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// A name, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Json::of_float(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json<'de>, A::Error> {
        let Some(first) = list.next_element()? else { return Ok(Json::List(Vec::new())) };
        let mut values = Vec::with_capacity(ELEMENTS);
        values.push(first);
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let Some((Name(key), value)) = map.next_entry()? else {
            return Ok(Json::Object(Members::default()));
        };
        let mut members = Members::with_capacity(MEMBERS);
        members.push(key, value);
        while let Some((Name(key), value)) = map.next_entry()? {
            members.push(key, value);
        }
        Ok(Json::Object(members))
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}
