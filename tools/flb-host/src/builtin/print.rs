//! Chunks as text, one event a line.

use std::fmt::Write;

use fluent_bit_ai::codec::msgpack::{Reader, Token};
use fluent_bit_ai::codec::records::Events;
use fluent_bit_ai::model::hex;

const DEEPEST: usize = 64;

/// The events of a chunk; of metrics and traces only their size.
pub(crate) fn chunk(kind: i32, tag: &[u8], bytes: &[u8]) -> String {
    let tag = String::from_utf8_lossy(tag);
    if kind != 0 {
        let what = if kind == 1 { "metrics" } else { "traces" };
        return format!("{tag}: {what} of {} bytes\n", bytes.len());
    }
    let mut text = String::new();
    for event in Events::new(bytes) {
        // Writing to a String does not fail.
        match event {
            Ok(event) => {
                write!(text, "{tag}: [{}.{:09}, ", event.time.seconds, event.time.nanos).ok();
                value(&mut Reader::new(event.metadata), &mut text, 0);
                text.push_str(", ");
                value(&mut Reader::new(event.body), &mut text, 0);
                text.push_str("]\n");
            }
            Err(error) => {
                writeln!(text, "{tag}: {error}").ok();
            }
        }
    }
    text
}

fn value(reader: &mut Reader<'_>, text: &mut String, depth: usize) {
    if depth > DEEPEST {
        text.push_str("...");
        return;
    }
    let Ok(token) = reader.token() else {
        text.push('?');
        return;
    };
    match token {
        Token::Nil => text.push_str("null"),
        Token::Bool(value) => text.push_str(if value { "true" } else { "false" }),
        Token::Uint(value) => text.push_str(&value.to_string()),
        Token::Int(value) => text.push_str(&value.to_string()),
        Token::Float(value) => text.push_str(&value.to_string()),
        Token::Str(bytes) => quoted(&String::from_utf8_lossy(bytes), text),
        Token::Bin(bytes) | Token::Ext(_, bytes) => quoted(&hex(bytes), text),
        Token::Array(count) => {
            text.push('[');
            for index in 0..count {
                comma(index, text);
                value(reader, text, depth + 1);
            }
            text.push(']');
        }
        Token::Map(count) => {
            text.push('{');
            for index in 0..count {
                comma(index, text);
                value(reader, text, depth + 1);
                text.push(':');
                value(reader, text, depth + 1);
            }
            text.push('}');
        }
    }
}

fn comma(index: u32, text: &mut String) {
    if index > 0 {
        text.push(',');
    }
}

fn quoted(value: &str, text: &mut String) {
    text.push_str(&serde_json::Value::from(value).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_printed() {
        let event = [0x92, 0x92, 0x05, 0x80, 0x81, 0xa1, b'k', 0x92, 0xc0, 0xc4, 1, 0xff];
        assert_eq!(chunk(0, b"a", &event), "a: [5.000000000, {}, {\"k\":[null,\"ff\"]}]\n");
        assert_eq!(chunk(2, b"a", &event), "a: traces of 12 bytes\n");
    }

    #[test]
    fn hostile_chunks_are_printed_too() {
        let mut deep = vec![0x92, 0x92, 0x05, 0x80];
        deep.extend(std::iter::repeat_n(0x91, 10_000));
        assert!(!chunk(0, b"a", &deep).is_empty());
        assert!(chunk(0, b"a", &[0x92, 0x05, 0x91]).contains("msgpack"));
    }
}
