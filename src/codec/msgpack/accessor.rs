//! Record accessors: Fluent Bit's way to name a value in a record, as in `$a['b'][0]`.

use super::{MapView, elements};

/// Keys and positions in one accessor, at most. Values that deep are rare.
const MAX_PARTS: usize = 16;

/// The place of a value in a map, found in encoded maps without taking memory.
///
/// The language is that of Fluent Bit's record accessors: `$log`, `$a['b']['c']`, `$list[0]`; a
/// quote in a key is doubled. The `$` may be left out. Beyond Fluent Bit's, the first key may be in
/// brackets too, for keys that are no plain word: `$['@timestamp']`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accessor {
    /// The key at the top.
    key: Box<[u8]>,
    /// What follows it.
    parts: Box<[Part]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// The value of a key of a map.
    Key(Box<[u8]>),
    /// An element of a list, counted from 0.
    Element(usize),
}

/// The text is no record accessor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessorError {
    /// There is no key.
    #[error("it names no key")]
    Empty,
    /// Something else where a key should start.
    #[error("a key starts with a letter or '_', or is written as ['KEY'], but there is '{0}'")]
    Start(String),
    /// Something else after a key.
    #[error("after a key follows ['KEY'] or [NUMBER], but there is '{0}'")]
    Rest(String),
    /// A bracket without its counterpart.
    #[error("a bracket is not closed")]
    Open,
    /// A quote without its counterpart.
    #[error("a quote is not closed")]
    Quote,
    /// Between brackets is neither a key nor a number.
    #[error("between brackets stands a key in single quotes or a number, but there is '{0}'")]
    Part(String),
    /// `$TAG`.
    #[error("the tag is no part of the record; a key of that name is written as $['TAG']")]
    Tag,
    /// Too many parts.
    #[error("it is deeper than {MAX_PARTS} keys and numbers")]
    TooDeep,
}

impl Accessor {
    /// Reads an accessor.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, AccessorError> {
        let text = text.trim();
        let text = text.strip_prefix('$').unwrap_or(text);
        if text.is_empty() {
            return Err(AccessorError::Empty);
        }
        let (key, mut rest) = first_key(text)?;
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let Some(inside) = rest.strip_prefix('[') else {
                return Err(AccessorError::Rest(rest.to_owned()));
            };
            // The key at the top counts as well.
            if parts.len().saturating_add(1) >= MAX_PARTS {
                return Err(AccessorError::TooDeep);
            }
            let (part, after) = part(inside)?;
            parts.push(part);
            rest = after;
        }
        Ok(Self { key, parts: parts.into() })
    }

    /// The place of a key at the top, whatever characters it has.
    #[must_use]
    pub fn of_key(key: &str) -> Self {
        Self { key: key.as_bytes().into(), parts: Box::default() }
    }

    /// The encoded value at this place of an encoded map, nil and all. Of keys that occur twice the
    /// first counts.
    #[must_use]
    pub fn find<'a>(&self, map: &'a [u8]) -> Option<&'a [u8]> {
        let mut value = MapView::new(map).get(&self.key)?;
        for part in &self.parts {
            value = match part {
                Part::Key(key) => MapView::new(value).get(key)?,
                Part::Element(number) => elements(value).nth(*number)?,
            };
        }
        Some(value)
    }

    /// Whether the value is inside a list.
    #[must_use]
    pub fn is_in_list(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Element(_)))
    }
}

/// The key at the top, and what follows it.
fn first_key(text: &str) -> Result<(Box<[u8]>, &str), AccessorError> {
    if let Some(inside) = text.strip_prefix('[') {
        return match part(inside)? {
            (Part::Key(key), rest) => Ok((key, rest)),
            (Part::Element(_), _) => Err(AccessorError::Start(text.to_owned())),
        };
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/');
    let end = text.find(|c: char| !is_word(c)).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    if !word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return Err(AccessorError::Start(text.to_owned()));
    }
    if word == "TAG" {
        return Err(AccessorError::Tag);
    }
    Ok((word.as_bytes().into(), rest))
}

/// One part from behind its opening bracket, and what follows its closing one.
fn part(inside: &str) -> Result<(Part, &str), AccessorError> {
    if let Some(quoted) = inside.strip_prefix('\'') {
        let (key, after) = quoted_key(quoted)?;
        let rest = after.strip_prefix(']').ok_or(AccessorError::Open)?;
        if key.is_empty() {
            return Err(AccessorError::Empty);
        }
        return Ok((Part::Key(key.into_bytes().into()), rest));
    }
    let (number, rest) = inside.split_once(']').ok_or(AccessorError::Open)?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok().filter(|_| digits);
    let number = number.ok_or_else(|| {
        let found = inside.split(']').next().unwrap_or_default();
        AccessorError::Part(found.to_owned())
    })?;
    Ok((Part::Element(number), rest))
}

/// A key from behind its opening quote, and what follows its closing one.
fn quoted_key(text: &str) -> Result<(String, &str), AccessorError> {
    let (mut key, mut rest) = (String::new(), text);
    loop {
        let (before, after) = rest.split_once('\'').ok_or(AccessorError::Quote)?;
        key.push_str(before);
        match after.strip_prefix('\'') {
            Some(more) => {
                key.push('\'');
                rest = more;
            }
            None => return Ok((key, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(accessor: &str, map: &serde_json::Value) -> Option<serde_json::Value> {
        let map = rmp_serde::to_vec(map).unwrap();
        let value = Accessor::parse(accessor).unwrap().find(&map)?;
        Some(rmp_serde::from_slice(value).unwrap())
    }

    #[test]
    fn places_are_found() {
        let map = serde_json::json!({
            "log": "x", "a": {"b": {"c": 1}, "it's": 2, "]": 3}, "list": [4, [5, {"d": 6}]],
            "k8s.pod/name-1": 7, "@timestamp": 8, "_x": null, "TAG": 9,
        });
        for (accessor, wanted) in [
            ("$log", serde_json::json!("x")),
            ("log", serde_json::json!("x")),
            (" $log ", serde_json::json!("x")),
            ("$a['b']['c']", serde_json::json!(1)),
            ("a['b']", serde_json::json!({"c": 1})),
            ("$a['it''s']", serde_json::json!(2)),
            ("$a[']']", serde_json::json!(3)),
            ("$list[0]", serde_json::json!(4)),
            ("$list[1][1]['d']", serde_json::json!(6)),
            ("$k8s.pod/name-1", serde_json::json!(7)),
            ("$['@timestamp']", serde_json::json!(8)),
            ("$_x", serde_json::json!(null)),
            ("$['TAG']", serde_json::json!(9)),
        ] {
            assert_eq!(found(accessor, &map), Some(wanted), "{accessor}");
        }
        for accessor in
            ["$Log", "$log['x']", "$log[0]", "$a['c']", "$a[0]", "$list[2]", "$list['0']"]
        {
            assert_eq!(found(accessor, &map), None, "{accessor}");
        }
        assert_eq!(Accessor::parse("$a").unwrap().find(&[]), None);
        assert_eq!(Accessor::parse("$a").unwrap().find(&[0x81, 0xa1, b'a']), None);
        assert!(Accessor::parse("$a[0]['b']").unwrap().is_in_list());
        assert!(!Accessor::parse("$a['0']").unwrap().is_in_list());
    }

    #[test]
    fn of_equal_keys_the_first_counts() {
        let map = [0x82, 0xa1, b'a', 1, 0xa1, b'a', 2];
        assert_eq!(Accessor::parse("a").unwrap().find(&map), Some(&[1][..]));
    }

    #[test]
    fn what_is_no_accessor_is_refused_with_a_message() {
        for (text, message) in [
            ("", "names no key"),
            (" $ ", "names no key"),
            ("$['']", "names no key"),
            ("$$a", "but there is '$a'"),
            ("$0", "but there is '0'"),
            ("$[0]", "but there is '[0]'"),
            ("a b", "after a key follows"),
            ("$a['b'].c", "but there is '.c'"),
            ("$a['b'", "bracket is not closed"),
            ("$a['b'x]", "bracket is not closed"),
            ("$a[0", "bracket is not closed"),
            ("$a]", "but there is ']'"),
            ("$a[b]", "single quotes or a number, but there is 'b'"),
            ("$a[\"b\"]", "single quotes"),
            ("$a[-1]", "but there is '-1'"),
            ("$a[+1]", "but there is '+1'"),
            ("$a[]", "single quotes"),
            ("$a[99999999999999999999]", "or a number"),
            ("$a['b]", "quote is not closed"),
            ("$TAG", "the tag is no part"),
            ("TAG[0]", "the tag is no part"),
        ] {
            let error = Accessor::parse(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
        let deep = |parts: usize| format!("$a{}", "['b']".repeat(parts - 1));
        assert!(Accessor::parse(&deep(16)).is_ok());
        assert_eq!(Accessor::parse(&deep(17)), Err(AccessorError::TooDeep));
    }
}
