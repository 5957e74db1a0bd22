//! Append-only writers, which always choose the shortest form.

/// nil
#[inline]
pub fn nil(out: &mut Vec<u8>) {
    out.push(0xc0);
}

/// A boolean.
#[inline]
pub fn bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { 0xc3 } else { 0xc2 });
}

/// A non-negative integer.
#[inline]
pub fn uint(out: &mut Vec<u8>, value: u64) {
    if let Ok(small) = u8::try_from(value) {
        if small >= 0x80 {
            out.push(0xcc);
        }
        out.push(small);
    } else if let Ok(short) = u16::try_from(value) {
        out.push(0xcd);
        out.extend_from_slice(&short.to_be_bytes());
    } else if let Ok(word) = u32::try_from(value) {
        out.push(0xce);
        out.extend_from_slice(&word.to_be_bytes());
    } else {
        out.push(0xcf);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// An integer.
#[inline]
pub fn int(out: &mut Vec<u8>, value: i64) {
    if let Ok(positive) = u64::try_from(value) {
        uint(out, positive);
    } else if let Ok(tiny) = i8::try_from(value) {
        if tiny < -32 {
            out.push(0xd0);
        }
        out.extend_from_slice(&tiny.to_be_bytes());
    } else if let Ok(short) = i16::try_from(value) {
        out.push(0xd1);
        out.extend_from_slice(&short.to_be_bytes());
    } else if let Ok(word) = i32::try_from(value) {
        out.push(0xd2);
        out.extend_from_slice(&word.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// A number of 64 bits.
#[inline]
pub fn f64(out: &mut Vec<u8>, value: f64) {
    out.push(0xcb);
    out.extend_from_slice(&value.to_be_bytes());
}

/// Text.
#[inline]
pub fn str(out: &mut Vec<u8>, text: &str) {
    str_bytes(out, text.as_bytes());
}

/// Text given as bytes. Text longer than 4 GiB, which no chunk can hold, is cut.
#[inline]
pub fn str_bytes(out: &mut Vec<u8>, text: &[u8]) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    match length {
        0..=31 => out.push(0xa0 | (length & 0x1f).to_be_bytes()[3]),
        32..=0xff => out.extend_from_slice(&[0xd9, length.to_be_bytes()[3]]),
        0x100..=0xffff => {
            let [_, _, high, low] = length.to_be_bytes();
            out.extend_from_slice(&[0xda, high, low]);
        }
        _ => {
            out.push(0xdb);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out.extend_from_slice(text.get(..length as usize).unwrap_or(text));
}

/// Text that `write` appends, and whether it said so: if not, nothing is appended. It is moved once if its length takes
/// another header than most texts of that kind have.
pub fn str_of(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
    /// Of texts of 256 bytes to 64 KiB.
    const HEADER: usize = 3;
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    if !write(out) {
        out.truncate(start);
        return false;
    }
    let text = start.saturating_add(HEADER);
    let length = u32::try_from(out.len().saturating_sub(text)).unwrap_or(u32::MAX);
    let [_, _, high, low] = length.to_be_bytes();
    let long = length.to_be_bytes();
    let header: &[u8] = match length {
        0..=31 => &[0xa0 | (low & 0x1f)],
        32..=0xff => &[0xd9, low],
        0x100..=0xffff => &[0xda, high, low],
        _ => &[0xdb, long[0], long[1], long[2], long[3]],
    };
    if header.len() > HEADER {
        out.extend_from_slice(&[0; 2]);
    }
    let to = start.saturating_add(header.len());
    if to != text {
        let end = text.saturating_add(length as usize);
        out.copy_within(text..end, to);
        out.truncate(to.saturating_add(length as usize));
    }
    if let Some(place) = out.get_mut(start..to) {
        place.copy_from_slice(header);
    }
    true
}

/// Bytes. More than 4 GiB, which no chunk can hold, is cut.
#[inline]
pub fn bin(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let [_, _, high, low] = length.to_be_bytes();
    match length {
        0..=0xff => out.extend_from_slice(&[0xc4, low]),
        0x100..=0xffff => out.extend_from_slice(&[0xc5, high, low]),
        _ => {
            out.push(0xc6);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out.extend_from_slice(bytes.get(..length as usize).unwrap_or(bytes));
}

/// The start of an array of `count` elements.
#[inline]
pub fn array_header(out: &mut Vec<u8>, count: u32) {
    container(out, count, 0x90, 0xdc);
}

/// The start of a map of `pairs` pairs.
#[inline]
pub fn map_header(out: &mut Vec<u8>, pairs: u32) {
    container(out, pairs, 0x80, 0xde);
}

#[inline]
fn container(out: &mut Vec<u8>, count: u32, fix: u8, long: u8) {
    let [_, _, high, low] = count.to_be_bytes();
    match count {
        0..=15 => out.push(fix | low),
        16..=0xffff => out.extend_from_slice(&[long, high, low]),
        _ => {
            out.push(long + 1);
            out.extend_from_slice(&count.to_be_bytes());
        }
    }
}

/// An extension.
pub fn ext(out: &mut Vec<u8>, kind: i8, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let [_, _, high, low] = length.to_be_bytes();
    match length {
        1 => out.push(0xd4),
        2 => out.push(0xd5),
        4 => out.push(0xd6),
        8 => out.push(0xd7),
        16 => out.push(0xd8),
        0..=0xff => out.extend_from_slice(&[0xc7, low]),
        0x100..=0xffff => out.extend_from_slice(&[0xc8, high, low]),
        _ => {
            out.push(0xc9);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(bytes.get(..length as usize).unwrap_or(bytes));
}

#[cfg(test)]
mod tests {
    use super::super::{Reader, Token};
    use super::*;

    #[test]
    fn every_boundary_of_every_length_class_reads_back() {
        for length in [0_usize, 1, 2, 4, 8, 15, 16, 17, 31, 32, 255, 256, 65_535, 65_536] {
            let data = vec![b'x'; length];
            let mut out = Vec::new();
            str_bytes(&mut out, &data);
            bin(&mut out, &data);
            ext(&mut out, -3, &data);
            array_header(&mut out, u32::try_from(length).unwrap());
            map_header(&mut out, u32::try_from(length).unwrap());
            let mut reader = Reader::new(&out);
            assert_eq!(reader.token(), Ok(Token::Str(&data)));
            assert_eq!(reader.token(), Ok(Token::Bin(&data)));
            assert_eq!(reader.token(), Ok(Token::Ext(-3, &data)));
            assert_eq!(reader.token(), Ok(Token::Array(u32::try_from(length).unwrap())));
            assert_eq!(reader.token(), Ok(Token::Map(u32::try_from(length).unwrap())));
        }
    }

    /// Scenario: texts of every length class, written by a function, and one that fails. Guarantees: they are what
    /// they are as texts that are there, and what fails leaves nothing.
    #[test]
    fn texts_that_are_written_are_as_texts_that_are_there() {
        for length in [0_usize, 1, 31, 32, 255, 256, 65_535, 65_536, 70_000] {
            let data: Vec<u8> = (b'a'..=b'z').cycle().take(length).collect();
            let (mut given, mut written) = (vec![7], vec![7]);
            str_bytes(&mut given, &data);
            assert!(str_of(&mut written, |out| {
                out.extend_from_slice(&data);
                true
            }));
            assert_eq!(written, given, "{length}");
            assert!(!str_of(&mut written, |out| {
                out.extend_from_slice(&data);
                false
            }));
            assert_eq!(written, given);
        }
    }

    #[test]
    fn integers_take_the_shortest_form() {
        for (value, length) in [
            (0_i64, 1),
            (127, 1),
            (128, 2),
            (255, 2),
            (256, 3),
            (65_536, 5),
            (i64::MAX, 9),
            (-1, 1),
            (-32, 1),
            (-33, 2),
            (-129, 3),
            (-40_000, 5),
            (i64::MIN, 9),
        ] {
            let mut out = Vec::new();
            int(&mut out, value);
            assert_eq!(out.len(), length, "{value}");
            let read = match Reader::new(&out).token() {
                Ok(Token::Uint(read)) => i64::try_from(read).unwrap(),
                Ok(Token::Int(read)) => read,
                other => panic!("{other:?}"),
            };
            assert_eq!(read, value);
        }
    }
}
