//! Files of Kubernetes' downward API: labels and annotations, a line each: `key="value"`, the value
//! quoted as Go's `%q` does (Kubernetes documentation, "Downward API"; the Go specification, "String
//! literals").

/// The pairs of such a file; lines that are none are left out.
pub(super) fn pairs(text: &str) -> Vec<(String, String)> {
    text.lines().filter_map(pair).collect()
}

fn pair(line: &str) -> Option<(String, String)> {
    let (key, quoted) = line.trim().split_once('=')?;
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    Some((key.to_owned(), unquote(inner)?))
}

/// What stands between the quotation marks of a Go string; `None` if it ends in the middle of an
/// escape or has one that Go does not know.
fn unquote(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            push(&mut bytes, c);
            continue;
        }
        match rest.next()? {
            'a' => bytes.push(0x07),
            'b' => bytes.push(0x08),
            'f' => bytes.push(0x0c),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'v' => bytes.push(0x0b),
            c @ ('\\' | '"' | '\'') => push(&mut bytes, c),
            // A byte that is no part of UTF-8.
            'x' => bytes.push(u8::try_from(code(&mut rest, 2)?).ok()?),
            'u' => push(&mut bytes, char::from_u32(code(&mut rest, 4)?)?),
            'U' => push(&mut bytes, char::from_u32(code(&mut rest, 8)?)?),
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn push(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn code(rest: &mut std::str::Chars<'_>, digits: usize) -> Option<u32> {
    let mut code = 0_u32;
    for _ in 0..digits {
        code = code.checked_mul(16)?.checked_add(rest.next()?.to_digit(16)?)?;
    }
    Some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_go_are_read() {
        let text = "app=\"shop\"\nbuild=\"two\\nlines \\\"quoted\\\" back\\\\slash\\ttab\"\n\
                    rune=\"\\u20ac\\U0001f600\\x00\"\nkubernetes.io/config.seen=\"2026-11-29T09:00:00.1Z\"\n\
                    equal=\"a=b\"\nplain=\"\u{e4}\"\nempty=\"\"";
        let expected = [
            ("app", "shop"),
            ("build", "two\nlines \"quoted\" back\\slash\ttab"),
            ("rune", "\u{20ac}\u{1f600}\0"),
            ("kubernetes.io/config.seen", "2026-11-29T09:00:00.1Z"),
            ("equal", "a=b"),
            ("plain", "\u{e4}"),
            ("empty", ""),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(pairs(text), expected);
    }

    #[test]
    fn what_is_no_pair_is_left_out() {
        let text = "no equal sign\na=bare\nb=\"open\nc=\"\\q\"\nd=\"\\u12\"\ne=\"\\xff\"\nf=\"ok\"";
        let read = pairs(text);
        let keys: Vec<&str> = read.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["e", "f"]);
        assert_eq!(read[0].1, "\u{fffd}");
    }
}
