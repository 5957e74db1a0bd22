//! Recursive-descent parser: JSON text (RFC 8259) -> values that borrow from it. It takes and refuses what
//! `serde_json` does, whose general way through visitors costs twice as much.

use std::borrow::Cow;

use serde_json::Number;

use super::{Json, Members};

/// How deep lists and objects may nest in each other.
const MAX_NESTED: usize = 127;

/// Room for the members of most objects.
const MEMBERS: usize = 8;

impl<'a> Json<'a> {
    /// Reads JSON text.
    pub fn read(text: &'a str) -> Option<Self> {
        JsonReader { text, at: 0 }.whole()
    }

    /// Reads JSON text that may be no text at all.
    pub fn read_bytes(text: &'a [u8]) -> Option<Self> {
        Self::read(std::str::from_utf8(text).ok()?)
    }
}

/// A JSON text on its way.
struct JsonReader<'a> {
    text: &'a str,
    at: usize,
}

/// Each byte of a word.
const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The highest bit of each byte that is 0; above the first one others may be set, too.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(each(1)) & !word & each(0x80)
}

/// Whether a string has the byte only behind a backslash.
const fn is_special(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, b'"' | b'\\')
}

/// How many bytes stand as they are in a string: up to a quote, a backslash or a control character.
#[inline]
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    let mut length = 0;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(each(0x20)) & !word & each(0x80);
        let special = control | zeros(word ^ each(b'"')) | zeros(word ^ each(b'\\'));
        if special != 0 {
            return length + usize::try_from(special.trailing_zeros() / 8).unwrap_or(0);
        }
        length += 8;
    }
    length + rest.iter().take_while(|byte| !is_special(**byte)).count()
}

impl<'a> JsonReader<'a> {
    /// The one value of the text; `None` if it is no JSON or has more than a value.
    fn whole(mut self) -> Option<Json<'a>> {
        let value = self.value(0)?;
        self.token().is_none().then_some(value)
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space, which is not taken.
    #[inline]
    fn token(&mut self) -> Option<u8> {
        loop {
            let byte = self.byte()?;
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Takes the next byte that is no white space, if it is this one.
    #[inline]
    fn takes(&mut self, byte: u8) -> bool {
        let is_it = self.token() == Some(byte);
        self.at += usize::from(is_it);
        is_it
    }

    fn value(&mut self, depth: usize) -> Option<Json<'a>> {
        match self.token()? {
            b'"' => self.string().map(Json::Text),
            b'{' if depth < MAX_NESTED => self.object(depth + 1),
            b'[' if depth < MAX_NESTED => self.list(depth + 1),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            _ => None,
        }
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Option<Json<'a>> {
        let is_it = self.text.as_bytes().get(self.at..)?.starts_with(word.as_bytes());
        self.at += word.len();
        is_it.then_some(value)
    }

    fn object(&mut self, depth: usize) -> Option<Json<'a>> {
        self.at += 1;
        if self.takes(b'}') {
            return Some(Json::Object(Members::default()));
        }
        let mut members = Members::with_capacity(MEMBERS);
        loop {
            if self.token()? != b'"' {
                return None;
            }
            let name = self.string()?;
            if !self.takes(b':') {
                return None;
            }
            members.push(name, self.value(depth)?);
            if !self.goes_on(b'}')? {
                return Some(Json::Object(members));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<Json<'a>> {
        self.at += 1;
        let mut values = Vec::new();
        if self.takes(b']') {
            return Some(Json::List(values));
        }
        loop {
            values.push(self.value(depth)?);
            if !self.goes_on(b']')? {
                return Some(Json::List(values));
            }
        }
    }

    /// Takes a comma or the end; whether it was a comma.
    #[inline]
    fn goes_on(&mut self, end: u8) -> Option<bool> {
        let byte = self.token()?;
        self.at += 1;
        if byte == b',' {
            return Some(true);
        }
        (byte == end).then_some(false)
    }

    /// The string whose opening quote comes next.
    #[inline]
    fn string(&mut self) -> Option<Cow<'a, str>> {
        let start = self.at + 1;
        let end = start + plain_length(self.text.as_bytes().get(start..)?);
        self.at = end + 1;
        match self.text.as_bytes().get(end)? {
            b'"' => self.text.get(start..end).map(Cow::Borrowed),
            b'\\' => self.escaped(start, end).map(Cow::Owned),
            _ => None,
        }
    }

    /// The string with escapes, of which the first is at `end`.
    #[inline(never)]
    fn escaped(&mut self, start: usize, end: usize) -> Option<String> {
        let mut out = String::with_capacity(end - start + 64);
        let (mut from, mut end) = (start, end);
        loop {
            out.push_str(self.text.get(from..end)?);
            self.at = end + 1;
            match self.text.as_bytes().get(end)? {
                b'"' => return Some(out),
                b'\\' => out.push(self.escape()?),
                _ => return None,
            }
            from = self.at;
            end = from + plain_length(self.text.as_bytes().get(from..)?);
        }
    }

    /// The character of an escape whose backslash was taken.
    fn escape(&mut self) -> Option<char> {
        let byte = self.byte()?;
        self.at += 1;
        Some(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.hex()?;
                let low = match unit {
                    0xd800..=0xdbff => {
                        let is_pair = self.text.as_bytes().get(self.at..)?.starts_with(b"\\u");
                        self.at += 2;
                        Some(self.hex().filter(|_| is_pair)?)
                    }
                    _ => None,
                };
                let units = std::iter::once(unit).chain(low);
                char::decode_utf16(units).next()?.ok()?
            }
            _ => return None,
        })
    }

    fn hex(&mut self) -> Option<u16> {
        let digits = self.text.as_bytes().get(self.at..)?.first_chunk::<4>()?;
        self.at += 4;
        digits.iter().try_fold(0, |unit, digit| {
            let digit = char::from(*digit).to_digit(16)?;
            Some((unit << 4) | u16::try_from(digit).ok()?)
        })
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Option<Json<'a>> {
        let start = self.at;
        let is_negative = self.byte() == Some(b'-');
        self.at += usize::from(is_negative);
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else if self.digits() == 0 {
            return None;
        }
        let mut is_whole = true;
        if self.byte() == Some(b'.') {
            self.at += 1;
            is_whole = false;
            if self.digits() == 0 {
                return None;
            }
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            is_whole = false;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return None;
            }
        }
        let text = self.text.get(start..self.at)?;
        // There is no whole number that is less than nothing and nothing.
        let whole: Option<Number> = match is_negative {
            _ if !is_whole => None,
            false => text.parse::<u64>().ok().map(Number::from),
            true => text.parse::<i64>().ok().filter(|value| *value != 0).map(Number::from),
        };
        whole.or_else(|| Number::from_f64(text.parse().ok()?)).map(Json::Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn same(text: &str) {
        let other: Option<Value> = serde_json::from_str(text).ok();
        let read = Json::read(text);
        assert_eq!(read.is_some(), other.is_some(), "{text}");
        let Some((read, other)) = read.zip(other) else { return };
        let written = read.to_string();
        let again: Value = serde_json::from_str(&written).unwrap();
        assert_eq!(again, other, "{text}");
        if !text.contains('{') {
            assert_eq!(written, other.to_string());
        }
    }

    proptest! {
        /// It takes what serde_json takes, and writes what that writes.
        #[test]
        fn it_reads_as_serde_json(
            soup in "[\\[\\]{}:,\"a1.e\\\\n -]{0,24}",
            string in "(\\PC|[\\x00-\\x22\\\\]|\\\\u[0-9d][0-9a-fA-Fc-f]{3}|\\\\[\"/\\\\bfnrtux]){0,12}",
            number in "-?[0-9]{0,21}(\\.[0-9]{0,3})?([eE][+-]?[0-9]{0,3})?",
            space in "[ \t\r\n\u{b}]{0,2}",
        ) {
            same(&soup);
            same(&format!("{space}[\"{string}\"{space},{space}{number}{space}]{space}"));
            same(&number);
            same(&format!("{{\"{string}\":{number}}}"));
        }

        /// Every length of what stands before a special byte is seen.
        #[test]
        fn plain_bytes_are_counted(
            bytes in prop::collection::vec(prop_oneof![8 => b' '..=b'!', 1 => any::<u8>()], 0..100),
        ) {
            let counted = bytes.iter().take_while(|byte| !is_special(**byte)).count();
            prop_assert_eq!(plain_length(&bytes), counted);
        }
    }

    #[test]
    fn numbers_and_surrogates_at_their_bounds() {
        for text in [
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775808",
            "-9223372036854775809",
            "-0",
            "-0.0",
            "0",
            "01",
            "1e308",
            "1e309",
            "-1e999",
            "1e-999",
            "0.1",
            "1.",
            ".1",
            "-",
            r#""\ud83d\ude00""#,
            r#""\ud83d""#,
            r#""\ude00""#,
            r#""\ud83dx\ude00""#,
            r#""\ud83d\u0041""#,
            r#""\u00""#,
            r#""\u+0ff""#,
            "\"\u{7f}\u{e9}\"",
            "\"\n\"",
            "tru",
            "nul1",
            "true false",
            "[1,]",
            "{\"a\":1,}",
            "{,}",
            "",
            " ",
        ] {
            same(text);
        }
    }

    #[test]
    fn what_nests_too_deep_is_refused() {
        for depth in [1, MAX_NESTED, MAX_NESTED + 1, 100_000] {
            same(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
            same(&format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)));
        }
    }
}
