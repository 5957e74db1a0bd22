//! Values -> JSON text.
//!
//! Numbers and texts are written by `serde_json`, but for texts that stood in JSON without an escape: to look for
//! what is to be escaped in each of them again was a twentieth of what mapping a span took.

use serde::Serialize;

use super::{Json, Members, Text};
use crate::codec::msgpack;

impl Json<'_> {
    /// The JSON text.
    pub fn to_text(self) -> String {
        let mut out = Vec::new();
        write(self, &mut out);
        // It consists of texts.
        String::from_utf8(out).unwrap_or_default()
    }

    /// Appends the JSON text as an encoded text.
    pub fn append(self, out: &mut Vec<u8>) -> bool {
        msgpack::str_of(out, |out| {
            write(self, out);
            true
        })
    }

    /// Appends the JSON text of a list as an encoded text, unless the list is empty.
    pub fn append_list(values: &[Json<'_>], out: &mut Vec<u8>) -> bool {
        !values.is_empty() && Json::List(values).append(out)
    }
}

/// Appends the JSON text of anything as an encoded text, in the memory that is there.
pub(in crate::genai) fn append<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> bool {
    msgpack::str_of(out, |out| serde_json::to_writer(out, value).is_ok())
}

fn write(value: Json<'_>, out: &mut Vec<u8>) {
    match value {
        Json::Null => out.extend_from_slice(b"null"),
        Json::Bool(true) => out.extend_from_slice(b"true"),
        Json::Bool(false) => out.extend_from_slice(b"false"),
        Json::Number(number) => by_serde(&number, out),
        Json::Text(text) => write_text(text, out),
        Json::List(list) => write_list(list, out),
        Json::Object(members) => write_members(members, out),
    }
}

fn write_list(list: &[Json<'_>], out: &mut Vec<u8>) {
    let mut before = b'[';
    for value in list {
        out.push(before);
        write(*value, out);
        before = b',';
    }
    end(before, b"[]", out);
}

fn write_members(members: Members<'_>, out: &mut Vec<u8>) {
    let mut before = b'{';
    for (name, value) in members.pairs() {
        write_name(before, *name, out);
        write(*value, out);
        before = b',';
    }
    end(before, b"{}", out);
}

/// Appends a member's name between what is before and after it.
fn write_name(before: u8, name: Text<'_>, out: &mut Vec<u8>) {
    if !name.is_plain() {
        out.push(before);
        by_serde(name.as_str(), out);
        return out.push(b':');
    }
    out.extend_from_slice(&[before, b'"']);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Ends what has one of these brackets before its first part.
fn end(before: u8, [open, close]: &[u8; 2], out: &mut Vec<u8>) {
    if before == *open {
        out.push(*open);
    }
    out.push(*close);
}

fn write_text(text: Text<'_>, out: &mut Vec<u8>) {
    if !text.is_plain() {
        return by_serde(text.as_str(), out);
    }
    out.reserve(text.len().saturating_add(2));
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

fn by_serde<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    let length = out.len();
    // Neither a text nor a finite number can fail to be written.
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(length);
        out.extend_from_slice(b"null");
    }
}
