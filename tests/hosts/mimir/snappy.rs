//! Snappy's raw format, as remote write sends it: the length, then literals and copies of what was before.

/// The bytes that were compressed.
pub fn decompressed(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(varint(&mut bytes)?).ok()?;
    let mut out = Vec::new();
    while let Some((tag, rest)) = bytes.split_first() {
        bytes = rest;
        let (high, kind) = (usize::from(tag >> 2), tag & 3);
        if kind == 0 {
            let literal = match high.checked_sub(59) {
                None | Some(0) => high,
                Some(more) => little_endian(&mut bytes, more)?,
            };
            let (literal, rest) = bytes.split_at_checked(literal + 1)?;
            out.extend_from_slice(literal);
            bytes = rest;
            continue;
        }
        let (count, offset) = match kind {
            1 => ((high & 7) + 4, ((high >> 3) << 8) | little_endian(&mut bytes, 1)?),
            2 => (high + 1, little_endian(&mut bytes, 2)?),
            _ => (high + 1, little_endian(&mut bytes, 4)?),
        };
        let start = out.len().checked_sub(offset).filter(|_| offset > 0)?;
        (0..count).for_each(|at| out.push(out[start + at]));
    }
    (out.len() == length).then_some(out)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn little_endian(bytes: &mut &[u8], length: usize) -> Option<usize> {
    let (number, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(number.iter().rev().fold(0, |all, byte| (all << 8) | usize::from(*byte)))
}

#[test]
fn copies_may_reach_into_themselves() {
    // "abc", then seven bytes from three before, then a literal with a length of its own.
    let mut bytes = vec![80, 2 << 2, b'a', b'b', b'c', (3 << 2) | 1, 3, 60 << 2, 69];
    bytes.extend([b'x'; 70]);
    let expected = format!("abcabcabca{}", "x".repeat(70));
    assert_eq!(decompressed(&bytes).unwrap(), expected.as_bytes());
    assert_eq!(decompressed(&bytes[..40]), None);
}
