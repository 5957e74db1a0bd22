//! Finds lines of a YAML file: where a key or an element stands.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// The line, from 1 on, of the value that a location such as `policies[2].latency` names, or of the
/// nearest value around it that is there. `None` if nothing of it is.
pub(super) fn line_of(text: &str, location: &str) -> Option<u64> {
    let root: Lines = serde_saphyr::from_str(text).ok()?;
    let (mut found, mut at, mut rest) = (None, &root, location);
    while let Some((child, after)) = at.child(rest) {
        found = Some(child.referenced.line());
        (at, rest) = (&child.value, after.strip_prefix('.').unwrap_or(after));
    }
    found
}

/// A value, as far as it has others in it.
enum Lines {
    Map(Vec<(String, Spanned<Self>)>),
    List(Vec<Spanned<Self>>),
    Leaf,
}

impl Lines {
    /// The value that the location begins with, and the rest of the location. Keys may have dots, so
    /// that the longest one counts.
    fn child<'l>(&self, location: &'l str) -> Option<(&Spanned<Self>, &'l str)> {
        match self {
            Self::Map(pairs) => {
                let named = pairs.iter().filter_map(|(key, value)| {
                    let rest = location.strip_prefix(key.as_str())?;
                    (rest.is_empty() || rest.starts_with(['.', '['])).then_some((value, rest))
                });
                named.min_by_key(|(_, rest)| rest.len())
            }
            Self::List(values) => {
                let (index, rest) = location.strip_prefix('[')?.split_once(']')?;
                Some((values.get(index.parse::<usize>().ok()?)?, rest))
            }
            Self::Leaf => None,
        }
    }
}

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LinesVisitor)
    }
}

struct LinesVisitor;

impl<'de> Visitor<'de> for LinesVisitor {
    type Value = Lines;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Lines, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Lines::Map(pairs))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Lines, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Lines::List(values))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Lines, E> {
        Ok(Lines::Leaf)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Lines, E> {
        Ok(Lines::Leaf)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Lines, E> {
        Ok(Lines::Leaf)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Lines, E> {
        Ok(Lines::Leaf)
    }

    fn visit_str<E>(self, _: &str) -> Result<Lines, E> {
        Ok(Lines::Leaf)
    }

    fn visit_unit<E>(self) -> Result<Lines, E> {
        Ok(Lines::Leaf)
    }

    fn visit_none<E>(self) -> Result<Lines, E> {
        Ok(Lines::Leaf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_elements_have_lines() {
        let text = "mode: tail\nprocessors:\n  tail_sampling/a.b:\n    policies:\n      - {name: x,\n         \
                    type: y}\n      - name: z\n        'a.b': null\n        a: 1\n        c: 2\n";
        for (location, line) in [
            ("mode", Some(1)),
            ("processors.tail_sampling/a.b.policies[0].name", Some(5)),
            ("processors.tail_sampling/a.b.policies[0].type", Some(6)),
            ("processors.tail_sampling/a.b.policies[1]", Some(7)),
            ("processors.tail_sampling/a.b.policies[1].a.b", Some(8)),
            ("processors.tail_sampling/a.b.policies[1].a", Some(9)),
            ("processors.tail_sampling/a.b.policies[1].missing", Some(7)),
            ("processors.tail_sampling/a.b.policies[7]", Some(5)),
            ("nothing", None),
        ] {
            assert_eq!(line_of(text, location), line, "{location}");
        }
        assert_eq!(line_of("[", "a"), None);
    }
}
