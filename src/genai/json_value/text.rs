//! JSON text <-> values. `serde_json` reads it, and writes what has to be escaped.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter, Write};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Json, Members};

/// Room for the text of what most values are.
const ROOM: usize = 256;

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
        let mut out = String::with_capacity(ROOM);
        self.write(&mut out);
        out
    }

    /// The JSON text of a list.
    pub fn list_text(values: &[Self]) -> String {
        let mut out = String::with_capacity(ROOM);
        Self::write_list(values, &mut out);
        out
    }

    /// Appends the JSON text.
    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            // A string takes whatever is written.
            Self::Number(value) => write!(out, "{value}").unwrap_or_default(),
            Self::Text(text) => write_text(text, out),
            Self::List(list) => Self::write_list(list, out),
            Self::Object(members) => members.write(out),
        }
    }

    fn write_list(values: &[Self], out: &mut String) {
        out.push('[');
        for (number, value) in values.iter().enumerate() {
            if number > 0 {
                out.push(',');
            }
            value.write(out);
        }
        out.push(']');
    }
}

impl Members<'_> {
    fn write(&self, out: &mut String) {
        out.push('{');
        for (number, (key, value)) in self.iter().enumerate() {
            if number > 0 {
                out.push(',');
            }
            write_text(key, out);
            out.push(':');
            value.write(out);
        }
        out.push('}');
    }
}

/// Appends a text as JSON has it. Most have nothing to escape, which is seen many bytes at once; others are left to
/// `serde_json`.
fn write_text(text: &str, out: &mut String) {
    if has_escapes(text.as_bytes()) {
        out.push_str(&serde_json::to_string(text).unwrap_or_default());
        return;
    }
    out.push('"');
    out.push_str(text);
    out.push('"');
}

/// Whether JSON has to escape any of these bytes: control characters, quotation marks and backslashes.
fn has_escapes(text: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    let (words, rest) = text.as_chunks::<8>();
    let marks = words.iter().fold(0, |marks, word| {
        let word = u64::from_le_bytes(*word);
        // The highest bit of each byte that is zero, beside those that follow one.
        let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
        let quote = zeros(word ^ (ONES * u64::from(b'"')));
        let backslash = zeros(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * u64::from(b' ')) & !word;
        marks | quote | backslash | control
    });
    marks & (ONES << 7) != 0 || rest.iter().any(|byte| matches!(byte, ..b' ' | b'"' | b'\\'))
}

/// JSON text.
impl Display for Json<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_text())
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
        let mut values = Vec::new();
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
