//! How many MessagePack objects bytes are.

/// The number of objects, if they end where the bytes do.
pub(super) fn objects_in(bytes: &[u8]) -> Option<usize> {
    let (mut rest, mut count) = (bytes, 0_usize);
    while !rest.is_empty() {
        rest = skip(rest)?;
        count = count.checked_add(1)?;
    }
    Some(count)
}

/// What follows the first object.
fn skip(mut bytes: &[u8]) -> Option<&[u8]> {
    let mut due = 1_usize;
    while let Some(left) = due.checked_sub(1) {
        let (first, rest) = bytes.split_first()?;
        let (header, content, inner) = shape(*first, rest)?;
        bytes = rest.get(header.checked_add(content)?..)?;
        due = left.checked_add(inner)?;
    }
    Some(bytes)
}

/// What an object has behind its first byte: bytes that say how long it is, bytes of its own, and
/// objects in it.
fn shape(first: u8, rest: &[u8]) -> Option<(usize, usize, usize)> {
    let number = |bytes: usize| -> Option<usize> {
        let digits = rest.get(..bytes)?;
        Some(digits.iter().fold(0, |number: usize, digit| (number << 8) | usize::from(*digit)))
    };
    let low = |mask: u8| usize::from(first & mask);
    Some(match first {
        0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => (0, 0, 0),
        0x80..=0x8f => (0, 0, low(0x0f).checked_mul(2)?),
        0x90..=0x9f => (0, 0, low(0x0f)),
        0xa0..=0xbf => (0, low(0x1f), 0),
        0xc4 | 0xd9 => (1, number(1)?, 0),
        0xc5 | 0xda => (2, number(2)?, 0),
        0xc6 | 0xdb => (4, number(4)?, 0),
        0xc7 => (1, number(1)?.checked_add(1)?, 0),
        0xc8 => (2, number(2)?.checked_add(1)?, 0),
        0xc9 => (4, number(4)?.checked_add(1)?, 0),
        0xcc | 0xd0 => (0, 1, 0),
        0xcd | 0xd1 => (0, 2, 0),
        0xca | 0xce | 0xd2 => (0, 4, 0),
        0xcb | 0xcf | 0xd3 => (0, 8, 0),
        0xd4 => (0, 2, 0),
        0xd5 => (0, 3, 0),
        0xd6 => (0, 5, 0),
        0xd7 => (0, 9, 0),
        0xd8 => (0, 17, 0),
        0xdc => (2, 0, number(2)?),
        0xdd => (4, 0, number(4)?),
        0xde => (2, 0, number(2)?.checked_mul(2)?),
        0xdf => (4, 0, number(4)?.checked_mul(2)?),
        0xc1 => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_counted_to_the_last_byte() {
        let event = b"\x92\x92\xd7\x00\x00\x00\x00\x01\x00\x00\x00\x02\x80\x81\xa1n\xcd\x01\x02";
        assert_eq!(objects_in(event), Some(1));
        assert_eq!(objects_in(&[&event[..], event].concat()), Some(2));
        assert_eq!(objects_in(&event[..event.len() - 1]), None);
        assert_eq!(
            objects_in(b"\xdb\x00\x00\x00\x02ab\xc4\x01x\xc7\x01\x05y\xdc\x00\x01\x07"),
            Some(4)
        );
        assert_eq!(objects_in(b"\xc1"), None);
        assert_eq!(objects_in(b"\xdd\xff\xff\xff\xff"), None);
        assert_eq!(objects_in(b""), Some(0));
    }
}
