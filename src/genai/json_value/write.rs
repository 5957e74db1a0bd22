//! Writer: values -> JSON text without white space, as `serde_json` writes it.

use std::fmt::{self, Display, Formatter, Write as _};

use super::read::plain_length;
use super::{Json, Members};

/// Room for the text of most lists of messages.
const LIST_TEXT: usize = 512;

impl Json<'_> {
    /// The JSON text.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        value(self, &mut text);
        text
    }

    /// The JSON text of a list.
    pub fn list_text(values: &[Self]) -> String {
        let mut text = String::with_capacity(LIST_TEXT);
        list(values, &mut text);
        text
    }
}

/// JSON text.
impl Display for Json<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_text())
    }
}

/// The short escapes; other control characters have only the long one.
const fn short_escape(byte: u8) -> Option<&'static str> {
    Some(match byte {
        b'"' => "\\\"",
        b'\\' => "\\\\",
        b'\n' => "\\n",
        b'\r' => "\\r",
        b'\t' => "\\t",
        0x08 => "\\b",
        0x0c => "\\f",
        _ => return None,
    })
}

/// Appends a text in quotes.
fn string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    loop {
        let plain = plain_length(rest.as_bytes());
        let Some((stays, special)) = rest.split_at_checked(plain) else { break };
        out.push_str(stays);
        let Some(byte) = special.as_bytes().first().copied() else { break };
        match short_escape(byte) {
            Some(escape) => out.push_str(escape),
            None => write!(out, "\\u{byte:04x}").unwrap_or_default(),
        }
        rest = special.get(1..).unwrap_or_default();
    }
    out.push('"');
}

/// Appends a list.
fn list(values: &[Json<'_>], out: &mut String) {
    out.push('[');
    for (number, element) in values.iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        value(element, out);
    }
    out.push(']');
}

/// Appends an object.
fn object(members: &Members<'_>, out: &mut String) {
    out.push('{');
    for (number, (name, member)) in members.iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        string(name, out);
        out.push(':');
        value(member, out);
    }
    out.push('}');
}

/// Appends a value.
fn value(value: &Json<'_>, out: &mut String) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(true) => out.push_str("true"),
        Json::Bool(false) => out.push_str("false"),
        // A string takes everything.
        Json::Number(number) => write!(out, "{number}").unwrap_or_default(),
        Json::Text(text) => string(text, out),
        Json::List(values) => list(values, out),
        Json::Object(members) => object(members, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_have_the_escapes_of_serde_json(text in "(\\PC|[\\x00-\\x7f])*") {
            let mut out = String::new();
            string(&text, &mut out);
            prop_assert_eq!(out, serde_json::to_string(&text).unwrap());
        }

        #[test]
        fn numbers_are_those_of_serde_json(float in any::<f64>(), int in any::<i64>()) {
            let float = serde_json::Number::from_f64(float);
            for number in float.into_iter().chain([int.into()]) {
                let text = Json::Number(number.clone()).to_string();
                prop_assert_eq!(text, serde_json::to_string(&number).unwrap());
            }
        }
    }
}
