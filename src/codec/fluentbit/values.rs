//! Value converter: msgpack to OTLP's `AnyValue` and `KeyValue`.

use super::tally::{AtField, ReadFault, ReadPosition, ReadProblem, ReadTally};
use crate::codec::msgpack::{Entry, Reader, Token};
use crate::codec::wire;

/// Lists and maps within each other, at most. Protobuf readers commonly refuse messages that are
/// nested more than 100 deep, and a map costs three levels.
const MAX_DEPTH: u32 = 30;

const TOO_DEEP: ReadFault = "is nested deeper than 30 lists and maps";
const EXTENSION: ReadFault = "has a value of a msgpack extension type";
const NO_KEY: ReadFault = "has a key that is not text";

/// Values that had no place in OTLP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LostValues {
    count: usize,
    what: ReadFault,
}

impl LostValues {
    fn add(&mut self, what: ReadFault) {
        if self.count == 0 {
            self.what = what;
        }
        self.count = self.count.saturating_add(1);
    }
}

/// The attributes in the map `value`, each as a message in `field`. Nil is an empty map. What has
/// no place in OTLP is counted, the others are kept.
pub(super) fn attributes(
    out: &mut Vec<u8>,
    field: u32,
    value: &[u8],
    (name, position, tally): (&'static str, ReadPosition, &mut ReadTally),
) -> Result<(), ReadProblem> {
    super::fields::map(value).at(name)?;
    let mut lost = LostValues::default();
    let mut reader = Reader::new(value);
    if let Ok(Token::Map(pairs)) = reader.token() {
        key_values(out, field, &mut reader, pairs, (MAX_DEPTH, &mut lost));
    }
    tally.skip_many(lost.count, position, ReadProblem::new(name, lost.what));
    Ok(())
}

/// One attribute, as a message in `field`.
pub(super) fn attribute(out: &mut Vec<u8>, field: u32, entry: &Entry<'_>) {
    nested_attribute(out, field, entry, 0);
}

/// One pair that lies within so many maps, as a message in `field`.
pub(super) fn nested_attribute(out: &mut Vec<u8>, field: u32, entry: &Entry<'_>, outer: u32) {
    let mut reader = Reader::new(entry.raw);
    let depth = MAX_DEPTH.saturating_sub(outer);
    key_values(out, field, &mut reader, 1, (depth, &mut LostValues::default()));
}

/// One attribute whose key and value are given, as a message in `field`.
pub(super) fn named(out: &mut Vec<u8>, field: u32, key: &[u8], value: &[u8]) {
    wire::message(out, field, |out| {
        wire::nonempty(out, 1, key);
        wire::message(out, 2, |out| content(out, value));
    });
}

/// One attribute with text, as a message in `field`.
pub(super) fn text_attribute(out: &mut Vec<u8>, field: u32, key: &[u8], text: &[u8]) {
    wire::message(out, field, |out| {
        wire::nonempty(out, 1, key);
        wire::message(out, 2, |out| wire::text(out, 1, text));
    });
}

/// The content of an `AnyValue` message.
pub(super) fn content(out: &mut Vec<u8>, value: &[u8]) {
    any_value(out, &mut Reader::new(value), MAX_DEPTH, &mut LostValues::default());
}

/// Reads one value and writes the content of its `AnyValue` message. Nil is the value that is not
/// set. An integer above 2^63 - 1 is written as text, by the OpenTelemetry specification "Mapping
/// Arbitrary Data to OTLP AnyValue", section "Integer Values".
fn any_value(out: &mut Vec<u8>, reader: &mut Reader<'_>, depth: u32, lost: &mut LostValues) {
    match reader.token() {
        Ok(Token::Bool(value)) => wire::uint(out, 2, u64::from(value)),
        Ok(Token::Uint(value)) => match i64::try_from(value) {
            Ok(value) => wire::int(out, 3, value),
            Err(_) => wire::bytes(out, 1, value.to_string().as_bytes()),
        },
        Ok(Token::Int(value)) => wire::int(out, 3, value),
        Ok(Token::Float(value)) => wire::double(out, 4, value),
        Ok(Token::Str(text)) => wire::text(out, 1, text),
        Ok(Token::Bin(bytes)) => wire::bytes(out, 7, bytes),
        Ok(Token::Array(count)) => match depth.checked_sub(1) {
            Some(depth) => wire::message(out, 5, |out| {
                for _ in 0..count {
                    if reader.is_empty() {
                        break;
                    }
                    wire::message(out, 1, |out| any_value(out, reader, depth, lost));
                }
            }),
            None => too_deep(reader, u64::from(count), lost),
        },
        Ok(Token::Map(pairs)) => match depth.checked_sub(1) {
            Some(depth) => {
                wire::message(out, 6, |out| key_values(out, 1, reader, pairs, (depth, lost)));
            }
            None => too_deep(reader, u64::from(pairs).saturating_mul(2), lost),
        },
        Ok(Token::Ext(..)) => lost.add(EXTENSION),
        Ok(Token::Nil) | Err(_) => {}
    }
}

/// Reads pairs and writes each as a `KeyValue` message.
fn key_values(
    out: &mut Vec<u8>,
    field: u32,
    reader: &mut Reader<'_>,
    pairs: u32,
    (depth, lost): (u32, &mut LostValues),
) {
    for _ in 0..pairs {
        if reader.is_empty() {
            break;
        }
        let before = *reader;
        let number;
        let key = match reader.token() {
            Ok(Token::Str(key) | Token::Bin(key)) => key,
            Ok(Token::Uint(key)) => {
                number = key.to_string();
                number.as_bytes()
            }
            Ok(Token::Int(key)) => {
                number = key.to_string();
                number.as_bytes()
            }
            Ok(Token::Bool(key)) => {
                if key {
                    &b"true"[..]
                } else {
                    b"false"
                }
            }
            _ => {
                *reader = before;
                lost.add(NO_KEY);
                if reader.skip().and_then(|_| reader.skip()).is_err() {
                    break;
                }
                continue;
            }
        };
        wire::message(out, field, |out| {
            wire::nonempty(out, 1, key);
            wire::message(out, 2, |out| any_value(out, reader, depth, lost));
        });
    }
}

fn too_deep(reader: &mut Reader<'_>, objects: u64, lost: &mut LostValues) {
    lost.add(TOO_DEEP);
    for _ in 0..objects {
        if reader.skip().is_err() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
    use prost::Message as _;

    fn read(value: &[u8]) -> (Option<Value>, LostValues) {
        let (mut out, mut lost) = (Vec::new(), LostValues::default());
        any_value(&mut out, &mut Reader::new(value), MAX_DEPTH, &mut lost);
        (AnyValue::decode(&out[..]).unwrap().value, lost)
    }

    #[test]
    fn every_type_is_read() {
        let int = |number: u64| {
            let mut out = Vec::new();
            msgpack::uint(&mut out, number);
            read(&out).0
        };
        assert_eq!(int(5), Some(Value::IntValue(5)));
        assert_eq!(int(u64::MAX), Some(Value::StringValue("18446744073709551615".into())));
        assert_eq!(read(&[0xff]).0, Some(Value::IntValue(-1)));
        assert_eq!(read(&[0xc2]).0, Some(Value::BoolValue(false)));
        assert_eq!(read(&[0xca, 0x3f, 0x80, 0, 0]).0, Some(Value::DoubleValue(1.0)));
        assert_eq!(read(&[0xa0]).0, Some(Value::StringValue(String::new())));
        assert_eq!(read(&[0xa2, 0xff, 0]).0, Some(Value::StringValue("\u{fffd}\0".into())));
        assert_eq!(read(&[0xc4, 1, 0xff]).0, Some(Value::BytesValue(vec![0xff])));
        assert_eq!(read(&[0xc0]), (None, LostValues::default()));
        assert_eq!(read(&[0xd4, 1, 1]), (None, LostValues { count: 1, what: EXTENSION }));
    }

    #[test]
    fn keys_that_are_no_text_become_text_or_are_counted() {
        let (value, lost) = read(&[0x84, 7, 1, 0xff, 2, 0xc3, 3, 0xc0, 4]);
        let Some(Value::KvlistValue(list)) = value else { panic!("{value:?}") };
        let keys: Vec<_> = list.values.iter().map(|pair| pair.key.as_str()).collect();
        assert_eq!((keys, lost.count), (vec!["7", "-1", "true"], 1));
    }

    #[test]
    fn depth_is_bounded_and_what_follows_is_kept() {
        for (head, deepest) in [(&[0x91_u8][..], 30), (&[0x81, 0xa1, b'k'][..], 30)] {
            let mut value = vec![0x92];
            value.extend(head.repeat(deepest));
            value.extend([0xa1, b'x', 0x05]);
            let (read, lost) = read(&value);
            let Some(Value::ArrayValue(list)) = read else { panic!("{read:?}") };
            assert_eq!(list.values[1].value, Some(Value::IntValue(5)));
            assert_eq!(lost, LostValues { count: 1, what: TOO_DEEP });
        }
    }
}
