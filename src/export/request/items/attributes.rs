//! Attribute view: one attribute of an encoded message.

use super::fields::each;
use crate::codec::wire::{WireFields, WireValue};

/// The value of the attribute `key` as text, if `message` has it in its attribute list, field
/// `field`, and it is text, a number or a truth value.
pub(in crate::export) fn attribute(message: &[u8], field: u32, key: &str) -> Option<String> {
    let mut found = None;
    let walked = each(message, |number, content, _| {
        if let (true, Some(pair)) = (number == field, content) {
            let (name, value) = pair_of(pair);
            if name == key.as_bytes() {
                found = Some(text_of(value));
            }
        }
        Ok(())
    });
    walked.ok().and(found).flatten()
}

/// Key and value of an encoded `KeyValue`.
pub(in crate::export) fn pair_of(pair: &[u8]) -> (&[u8], &[u8]) {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    let _walked = each(pair, |number, content, _| {
        match (number, content) {
            (1, Some(bytes)) => key = bytes,
            (2, Some(bytes)) => value = bytes,
            _ => {}
        }
        Ok(())
    });
    (key, value)
}

/// An encoded `AnyValue` as text.
pub(in crate::export) fn text_of(value: &[u8]) -> Option<String> {
    let mut fields = WireFields::new(value);
    let mut text = None;
    while let Ok(Some(field)) = fields.read() {
        text = match (field.number, field.value) {
            (1, WireValue::Bytes(bytes)) => std::str::from_utf8(bytes).ok().map(str::to_owned),
            (2, WireValue::Varint(flag)) => Some((flag != 0).to_string()),
            (3, WireValue::Varint(number)) => Some(number.cast_signed().to_string()),
            (4, WireValue::Fixed64(bits)) => Some(f64::from_bits(bits).to_string()),
            _ => text,
        };
    }
    text
}
