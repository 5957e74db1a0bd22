//! Names in other spellings, made by the compiler.

/// The length of [`camel`] of a name.
pub(super) const fn camel_length(name: &str) -> usize {
    let mut length = 0;
    let mut rest = name.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first != b'_' {
            length += 1;
        }
        rest = tail;
    }
    length
}

/// A `snake_case` name in lowerCamelCase.
pub(super) const fn camel<const N: usize>(name: &str) -> [u8; N] {
    let mut camel = [0; N];
    let mut slots = camel.as_mut_slice();
    let mut rest = name.as_bytes();
    let mut upper = false;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'_' {
            upper = true;
        } else if let [slot, more @ ..] = slots {
            *slot = if upper { first.to_ascii_uppercase() } else { *first };
            upper = false;
            slots = more;
        }
    }
    camel
}

/// A name in lower case.
pub(super) const fn lower<const N: usize>(name: &str) -> [u8; N] {
    let mut lower = [0; N];
    lower.split_at_mut(name.len()).0.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    lower
}

/// The text of bytes that [`camel`] or [`lower`] made.
pub(super) const fn text(name: &[u8]) -> &str {
    match str::from_utf8(name) {
        Ok(text) => text,
        Err(_) => "",
    }
}

/// Whether two names are the same.
pub(super) const fn are_equal(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    while let ([a, ones @ ..], [b, others @ ..]) = (one, other) {
        if *a != *b {
            return false;
        }
        (one, other) = (ones, others);
    }
    one.is_empty() && other.is_empty()
}
