//! Protobuf, appended to a buffer in one pass.
//!
//! The protobuf encoding guide: <https://protobuf.dev/programming-guides/encoding/>. A message's
//! length is put before it after it was written, so nothing is measured twice and no tree is built.

use crate::codec::wire::{fixed32, key, zigzag};
pub(super) use crate::codec::wire::{fixed64, uint, varint};

/// The wire type of text, bytes and messages.
const LENGTH: u32 = 2;

/// A field of type `int32` or `int64`, also when it is zero.
pub(super) fn int(out: &mut Vec<u8>, field: u32, value: i64) {
    uint(out, field, value.cast_unsigned());
}

/// A field of type `sint32`, also when it is zero.
pub(super) fn sint(out: &mut Vec<u8>, field: u32, value: i64) {
    uint(out, field, zigzag(value));
}

/// A field of type `fixed64` that is left out when it is zero.
pub(super) fn nonzero64(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        fixed64(out, field, value);
    }
}

/// A field of type `fixed32` that is left out when it is zero.
pub(super) fn nonzero32(out: &mut Vec<u8>, field: u32, value: u32) {
    if value != 0 {
        fixed32(out, field, value);
    }
}

/// A field of type `uint32` or an enum that is left out when it is zero.
pub(super) fn nonzero(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        uint(out, field, value);
    }
}

/// A field of type `double`, also when it is zero.
pub(super) fn double(out: &mut Vec<u8>, field: u32, value: f64) {
    fixed64(out, field, value.to_bits());
}

/// The start of a field of `count` bytes, which must follow.
pub(super) fn length(out: &mut Vec<u8>, field: u32, count: usize) {
    key(out, field, LENGTH);
    varint(out, count as u64);
}

/// A field of type `bytes`, also when it is empty.
pub(super) fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    length(out, field, value.len());
    out.extend_from_slice(value);
}

/// A field of type `string`, also when it is empty. Bytes that are not UTF-8 become U+FFFD, because
/// a receiver must reject a string that is not UTF-8, and the whole request with it.
pub(super) fn text(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    match std::str::from_utf8(value) {
        Ok(_) => bytes(out, field, value),
        Err(_) => bytes(out, field, String::from_utf8_lossy(value).as_bytes()),
    }
}

/// A field of type `string` that is left out when it is empty.
pub(super) fn nonempty(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    if !value.is_empty() {
        text(out, field, value);
    }
}

/// A packed repeated field of eight bytes each; left out when there is none.
pub(super) fn packed64(out: &mut Vec<u8>, field: u32, values: impl ExactSizeIterator<Item = u64>) {
    if values.len() > 0 {
        length(out, field, values.len().saturating_mul(8));
        values.for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
    }
}

/// A field that is a message, which `fill` writes.
pub(super) fn message<T>(out: &mut Vec<u8>, field: u32, fill: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    key(out, field, LENGTH);
    let start = out.len();
    out.push(0);
    let result = fill(out);
    close(out, start);
    result
}

/// A field that is a message; if `fill` fails, nothing is written.
pub(super) fn try_message<T, E>(
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

/// Puts the length of what follows the byte at `start` there, and makes room if one byte is not
/// enough.
fn close(out: &mut Vec<u8>, start: usize) {
    let written = out.len().saturating_sub(start.saturating_add(1));
    if written < 0x80 {
        if let Some(byte) = out.get_mut(start) {
            *byte = written.to_le_bytes()[0];
        }
        return;
    }
    let mut prefix = Vec::with_capacity(5);
    varint(&mut prefix, written as u64);
    drop(out.splice(start..=start, prefix));
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
