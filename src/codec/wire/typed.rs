//! Typed field writers: fields by their protobuf type, for writers that build messages field by
//! field.

use super::write::{NestedMessage, bytes, fixed32, fixed64, key, uint, varint, zigzag};

/// A field of type `int32` or `int64`, also when it is zero.
pub fn int(out: &mut Vec<u8>, field: u32, value: i64) {
    uint(out, field, value.cast_unsigned());
}

/// A field of type `sint32`, also when it is zero.
pub fn sint(out: &mut Vec<u8>, field: u32, value: i64) {
    uint(out, field, zigzag(value));
}

/// A field of type `fixed64` that is left out when it is zero.
pub fn nonzero64(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        fixed64(out, field, value);
    }
}

/// A field of type `fixed32` that is left out when it is zero.
pub fn nonzero32(out: &mut Vec<u8>, field: u32, value: u32) {
    if value != 0 {
        fixed32(out, field, value);
    }
}

/// A field of type `uint32` or an enum that is left out when it is zero.
pub fn nonzero(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        uint(out, field, value);
    }
}

/// A field of type `double`, also when it is zero.
pub fn double(out: &mut Vec<u8>, field: u32, value: f64) {
    fixed64(out, field, value.to_bits());
}

/// The start of a field of `count` bytes, which must follow.
pub fn length(out: &mut Vec<u8>, field: u32, count: usize) {
    key(out, field, 2);
    varint(out, count as u64);
}

/// A field of type `string`, also when it is empty. Bytes that are not UTF-8 become U+FFFD, because
/// a receiver must reject a string that is not UTF-8, and the whole request with it.
pub fn text(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    match std::str::from_utf8(value) {
        Ok(_) => bytes(out, field, value),
        Err(_) => bytes(out, field, String::from_utf8_lossy(value).as_bytes()),
    }
}

/// A field of type `string` that is left out when it is empty.
pub fn nonempty(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    if !value.is_empty() {
        text(out, field, value);
    }
}

/// A packed repeated field of eight bytes each; left out when there is none.
pub fn packed64(out: &mut Vec<u8>, field: u32, values: impl ExactSizeIterator<Item = u64>) {
    if values.len() > 0 {
        length(out, field, values.len().saturating_mul(8));
        values.for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
    }
}

/// A field that is a message, which `fill` writes.
pub fn message<T>(out: &mut Vec<u8>, field: u32, fill: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let nested = NestedMessage::open(out, field, 0);
    let result = fill(out);
    nested.close(out);
    result
}

/// A field that is a message; if `fill` fails, nothing is written.
///
/// # Errors
/// What `fill` gives.
pub fn try_message<T, E>(
    out: &mut Vec<u8>,
    field: u32,
    fill: impl FnOnce(&mut Vec<u8>) -> Result<T, E>,
) -> Result<T, E> {
    let before = out.len();
    let result = message(out, field, fill);
    if result.is_err() {
        out.truncate(before);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::encoding::{decode_key, decode_varint};

    #[test]
    fn lengths_are_right_whatever_their_size() {
        for length in [0_usize, 1, 127, 128, 16_383, 16_384, 70_000] {
            let mut out = vec![9];
            message(&mut out, 20, |out| out.resize(out.len() + length, 7));
            out.push(8);
            let mut rest = &out[1..];
            assert_eq!(decode_key(&mut rest).unwrap().0, 20);
            assert_eq!(decode_varint(&mut rest).unwrap(), length as u64);
            assert_eq!(rest.len(), length + 1);
            assert_eq!(rest.last(), Some(&8));
        }
    }

    #[test]
    fn what_fails_leaves_nothing() {
        let mut out = vec![1];
        let result: Result<(), ()> = try_message(&mut out, 1, |out| {
            text(out, 1, b"x");
            Err(())
        });
        assert_eq!((result, out), (Err(()), vec![1]));
    }
}
