//! Append-only writers. Varints are always minimal.

/// Appends a varint.
#[inline]
pub fn varint(out: &mut Vec<u8>, value: u64) {
    let [low, ..] = value.to_le_bytes();
    match value {
        0..=0x7f => out.push(low),
        0x80..=0x3fff => {
            let [high, ..] = (value >> 7).to_le_bytes();
            out.extend_from_slice(&[low | 0x80, high]);
        }
        _ => long_varint(out, value),
    }
}

#[inline(never)]
fn long_varint(out: &mut Vec<u8>, value: u64) {
    let (bytes, length) = encode_varint(value);
    out.extend_from_slice(bytes.get(..length).unwrap_or(&bytes));
}

/// The bytes of a varint, and how many of them count.
#[inline]
fn encode_varint(mut value: u64) -> ([u8; 10], usize) {
    let mut bytes = [0_u8; 10];
    let mut length = 0;
    for byte in &mut bytes {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        length += 1;
        if value == 0 {
            *byte = low & 0x7f;
            break;
        }
        *byte = low | 0x80;
    }
    (bytes, length)
}

/// The number of bytes that a varint takes.
#[inline]
#[must_use]
pub const fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Maps a signed number to an unsigned one as `sint32` and `sint64` do.
#[inline]
#[must_use]
pub const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// Appends a field's key; `kind` is the wire type.
#[inline]
pub fn key(out: &mut Vec<u8>, number: u32, kind: u32) {
    varint(out, u64::from((number << 3) | kind));
}

/// Appends a varint field.
#[inline]
pub fn uint(out: &mut Vec<u8>, number: u32, value: u64) {
    key(out, number, 0);
    varint(out, value);
}

/// Appends a field of 64 bits; for a double, give its bits.
#[inline]
pub fn fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    key(out, number, 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a field of 32 bits.
#[inline]
pub fn fixed32(out: &mut Vec<u8>, number: u32, value: u32) {
    key(out, number, 5);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a field of text, bytes, or an encoded message.
#[inline]
pub fn bytes(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    key(out, number, 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// A field of a message that is still being written: room for its length is left by an estimate and
/// put right when the message ends, so that nested messages need no buffer of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct NestedMessage {
    start: usize,
    reserved: usize,
}

impl NestedMessage {
    /// Starts the field; `estimate` is about how many bytes the message will take.
    #[inline]
    pub fn open(out: &mut Vec<u8>, number: u32, estimate: usize) -> Self {
        key(out, number, 2);
        let reserved = varint_len(estimate as u64);
        out.resize(out.len() + reserved, 0);
        Self { start: out.len(), reserved }
    }

    /// Where the message's first byte is now; [`Self::close`] may move it.
    #[inline]
    #[must_use]
    pub const fn start(&self) -> usize {
        self.start
    }

    /// Ends the field: writes its length, after moving the message where the estimate was wrong.
    /// Returns where the message begins now.
    #[inline]
    pub fn close(self, out: &mut Vec<u8>) -> usize {
        let length = out.len().saturating_sub(self.start);
        let (bytes, needed) = encode_varint(length as u64);
        let prefix = self.start.saturating_sub(self.reserved);
        if needed != self.reserved {
            self.shift(out, needed);
        }
        if let (Some(target), Some(bytes)) =
            (out.get_mut(prefix..prefix + needed), bytes.get(..needed))
        {
            target.copy_from_slice(bytes);
        }
        prefix + needed
    }

    #[cold]
    fn shift(self, out: &mut Vec<u8>, needed: usize) {
        let end = out.len();
        if needed > self.reserved {
            out.resize(end + needed - self.reserved, 0);
            out.copy_within(self.start..end, self.start + needed - self.reserved);
        } else {
            let less = self.reserved - needed;
            out.copy_within(self.start..end, self.start - less);
            out.truncate(end - less);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{WireFields, WireValue};
    use super::*;

    #[test]
    fn nested_messages_have_minimal_lengths_whatever_the_estimate() {
        for length in [0_usize, 1, 127, 128, 16_383, 16_384] {
            for estimate in [0_usize, 127, 128, 20_000, 3_000_000] {
                let mut out = vec![0x08, 1];
                let outer = NestedMessage::open(&mut out, 2, estimate);
                let inner = NestedMessage::open(&mut out, 3, estimate);
                out.extend(std::iter::repeat_n(b'x', length));
                inner.close(&mut out);
                let start = outer.close(&mut out);
                let expected = length + 1 + varint_len(length as u64);
                assert_eq!(out.len(), 2 + 1 + varint_len(expected as u64) + expected);
                assert_eq!(out.len() - start, expected);
                let mut fields = WireFields::new(&out);
                fields.read().unwrap();
                let WireValue::Bytes(inner) = fields.read().unwrap().unwrap().value else {
                    panic!()
                };
                let inner = WireFields::new(inner).read().unwrap().unwrap().value;
                assert_eq!(inner, WireValue::Bytes(&vec![b'x'; length]));
            }
        }
    }

    #[test]
    fn zigzag_keeps_small_numbers_small() {
        assert_eq!([0, -1, 1, -2].map(zigzag), [0, 1, 2, 3]);
        assert_eq!(zigzag(i64::MIN), u64::MAX);
    }
}
