//! Scalar visitor: numbers, text, ids and bytes to their wire form.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{IgnoredAny, SeqAccess};

use super::field::FieldVisitor;
use crate::codec::json::number::{double, unhex, whole, whole_f64};
use crate::codec::json::schema::JsonFieldType;
use crate::codec::wire;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
static STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
static URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT);

/// A number as it goes on the wire.
#[derive(Clone, Copy)]
enum Wire {
    Varint(u64),
    Fixed32(u32),
    Fixed64(u64),
}

impl FieldVisitor<'_, '_> {
    #[inline]
    fn emit(&mut self, value: Wire) {
        let skips = self.skips_empty();
        let (out, number) = (&mut *self.context.out, self.field.number);
        match value {
            Wire::Varint(0) | Wire::Fixed32(0) | Wire::Fixed64(0) if skips => {}
            Wire::Varint(value) if self.element => wire::varint(out, value),
            Wire::Varint(value) => wire::uint(out, number, value),
            Wire::Fixed32(value) => wire::fixed32(out, number, value),
            Wire::Fixed64(bits) if self.element => out.extend_from_slice(&bits.to_le_bytes()),
            Wire::Fixed64(bits) => wire::fixed64(out, number, bits),
        }
    }

    /// Whether a scalar may be here: an element of a list, or a field that is none.
    #[inline]
    fn scalar(&self) -> bool {
        self.element
            == matches!(
                self.field.kind,
                JsonFieldType::Fixed64s | JsonFieldType::Varints | JsonFieldType::Doubles
            )
    }

    /// Writes a double; whether the field is one.
    #[inline]
    pub(super) fn double(&mut self, value: f64) -> bool {
        let fits = matches!(self.field.kind, JsonFieldType::Double | JsonFieldType::Doubles)
            && self.scalar();
        if fits {
            self.emit(Wire::Fixed64(value.to_bits()));
        }
        fits
    }

    pub(super) fn boolean(&mut self, value: bool) -> bool {
        let fits = matches!(self.field.kind, JsonFieldType::Bool);
        if fits {
            self.emit(Wire::Varint(u64::from(value)));
        }
        fits
    }

    /// Writes a whole number; whether the field can hold it.
    #[inline]
    pub(super) fn whole(&mut self, value: i128) -> bool {
        if !self.scalar() {
            return false;
        }
        let on_wire = match self.field.kind {
            JsonFieldType::Fixed64 | JsonFieldType::Fixed64s => {
                u64::try_from(value).ok().map(Wire::Fixed64)
            }
            JsonFieldType::Varints => u64::try_from(value).ok().map(Wire::Varint),
            JsonFieldType::Sfixed64 => {
                signed(value).map(|value| Wire::Fixed64(value.cast_unsigned()))
            }
            JsonFieldType::Int64 => signed(value).map(|value| Wire::Varint(value.cast_unsigned())),
            JsonFieldType::Uint32 => {
                u32::try_from(value).ok().map(|value| Wire::Varint(u64::from(value)))
            }
            JsonFieldType::Fixed32 => u32::try_from(value).ok().map(Wire::Fixed32),
            JsonFieldType::Int32 | JsonFieldType::Enum(_) => {
                small(value).map(|value| Wire::Varint(value.cast_unsigned()))
            }
            JsonFieldType::Sint32 => small(value).map(|value| Wire::Varint(wire::zigzag(value))),
            _ => None,
        };
        if let Some(on_wire) = on_wire {
            self.emit(on_wire);
        }
        on_wire.is_some()
    }

    /// The same for a number that came as a double.
    #[cold]
    pub(super) fn whole_double(&mut self, value: f64) -> bool {
        whole_f64(value).is_some_and(|value| self.whole(value))
    }

    /// Writes text, or what it stands for; whether it stands for something here.
    #[inline]
    pub(super) fn text(&mut self, text: &str) -> bool {
        match self.field.kind {
            JsonFieldType::Str if !self.element => self.string(text.as_bytes()),
            JsonFieldType::Strs if self.element => self.string(text.as_bytes()),
            JsonFieldType::Hex | JsonFieldType::Id(_) => return self.hex(text),
            JsonFieldType::Bytes => return self.base64(text),
            JsonFieldType::Double | JsonFieldType::Doubles => {
                return double(text).is_some_and(|value| self.double(value));
            }
            JsonFieldType::Enum(names) => {
                let index = names.iter().position(|name| *name == text);
                let number = index.and_then(|index| i128::try_from(index).ok());
                return number.or_else(|| whole(text)).is_some_and(|number| self.whole(number));
            }
            JsonFieldType::Bool => return false,
            _ => return whole(text).is_some_and(|value| self.whole(value)),
        }
        true
    }

    #[inline]
    fn string(&mut self, text: &[u8]) {
        if !text.is_empty() || !self.skips_empty() {
            wire::bytes(self.context.out, self.field.number, text);
        }
    }

    fn hex(&mut self, text: &str) -> bool {
        if text.is_empty() && !self.skips_empty() {
            wire::bytes(self.context.out, self.field.number, b"");
        }
        if text.is_empty() {
            return !matches!(self.field.kind, JsonFieldType::Id(_));
        }
        let out = &mut *self.context.out;
        wire::key(out, self.field.number, 2);
        wire::varint(out, (text.len() / 2) as u64);
        let start = out.len();
        if unhex(text, out).is_none() {
            return false;
        }
        let id = out.get(start..).unwrap_or_default();
        match self.field.kind {
            JsonFieldType::Id(length) => id.len() == length && id.iter().any(|byte| *byte != 0),
            _ => true,
        }
    }

    fn base64(&mut self, text: &str) -> bool {
        let engine = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
        match engine.decode(text) {
            Ok(bytes) => {
                self.string(&bytes);
                true
            }
            Err(_) => false,
        }
    }
}

fn signed(value: i128) -> Option<i64> {
    i64::try_from(value).ok()
}

fn small(value: i128) -> Option<i64> {
    i32::try_from(value).ok().map(i64::from)
}

/// Reads what is left of an array that is of no use.
pub(super) fn drain_seq<'de, A: SeqAccess<'de>>(mut list: A) -> Result<(), A::Error> {
    while list.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

/// What a field may be, as text.
#[cold]
pub(super) fn expected(kind: JsonFieldType, element: bool) -> Cow<'static, str> {
    let text = match kind {
        JsonFieldType::Uint32 | JsonFieldType::Fixed32 => "a whole number from 0 to 4294967295",
        JsonFieldType::Int32 | JsonFieldType::Sint32 => {
            "a whole number from -2147483648 to 2147483647"
        }
        JsonFieldType::Int64 | JsonFieldType::Sfixed64 => {
            "a whole number from -9223372036854775808 to 9223372036854775807, as text or as a number"
        }
        JsonFieldType::Fixed64 => {
            "a whole number from 0 to 18446744073709551615, as text or as a number"
        }
        JsonFieldType::Fixed64s | JsonFieldType::Varints if element => {
            "a whole number from 0 to 18446744073709551615, as text or as a number"
        }
        JsonFieldType::Enum(names) => {
            return match (names.first(), names.last()) {
                (Some(first), Some(last)) => {
                    format!("a number or a name from {first} to {last}").into()
                }
                _ => "a number".into(),
            };
        }
        JsonFieldType::Bool => "true or false",
        JsonFieldType::Double => "a number, \"NaN\", \"Infinity\" or \"-Infinity\"",
        JsonFieldType::Doubles if element => "a number, \"NaN\", \"Infinity\" or \"-Infinity\"",
        JsonFieldType::Str => "text",
        JsonFieldType::Strs if element => "text",
        JsonFieldType::Hex => "hex digits, two for each byte",
        JsonFieldType::Id(length) => {
            return format!("{} hex digits that are not all zero", length * 2).into();
        }
        JsonFieldType::Bytes => "base64",
        JsonFieldType::Message(_) => "an object",
        JsonFieldType::Messages(_) | JsonFieldType::Points(_) | JsonFieldType::Items(_)
            if element =>
        {
            "an object"
        }
        JsonFieldType::Messages(_) | JsonFieldType::Points(_) | JsonFieldType::Items(_) => {
            "an array of objects"
        }
        JsonFieldType::Strs => "an array of text",
        JsonFieldType::Fixed64s | JsonFieldType::Varints | JsonFieldType::Doubles => {
            "an array of numbers"
        }
    };
    text.into()
}
