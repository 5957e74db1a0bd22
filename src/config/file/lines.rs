//! Finds lines of a file: where a key or an element stands.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A value, as far as it has others in it, each with its line, from 1 on.
pub(super) enum Lines {
    Map(Vec<(String, u64, Self)>),
    List(Vec<(u64, Self)>),
    Leaf,
}

impl Lines {
    /// The lines of a text; none where it is no YAML.
    pub(super) fn of_yaml(text: &str) -> Option<Self> {
        serde_saphyr::from_str(text).ok()
    }

    /// The line of the value that a location such as `policies[2].latency` names, or of the nearest value
    /// around it that is there. `None` if nothing of it is.
    pub(super) fn line_of(&self, location: &str) -> Option<u64> {
        let (mut found, mut at, mut rest) = (None, self, location);
        while let Some((line, child, after)) = at.child(rest) {
            found = Some(line);
            (at, rest) = (child, after.strip_prefix('.').unwrap_or(after));
        }
        found
    }

    /// The value that the location begins with, and the rest of the location. Keys may have dots, so
    /// that the longest one counts.
    fn child<'l>(&self, location: &'l str) -> Option<(u64, &Self, &'l str)> {
        match self {
            Self::Map(pairs) => {
                let named = pairs.iter().filter_map(|(key, line, value)| {
                    let rest = location.strip_prefix(key.as_str())?;
                    let is_named = rest.is_empty() || rest.starts_with(['.', '[']);
                    is_named.then_some((*line, value, rest))
                });
                named.min_by_key(|(_, _, rest)| rest.len())
            }
            Self::List(values) => {
                let (index, rest) = location.strip_prefix('[')?.split_once(']')?;
                let (line, value) = values.get(index.parse::<usize>().ok()?)?;
                Some((*line, value, rest))
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
        while let Some((key, of)) = map.next_entry::<String, Spanned<Lines>>()? {
            pairs.push((key, of.referenced.line(), of.value));
        }
        Ok(Lines::Map(pairs))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Lines, A::Error> {
        let mut values = Vec::new();
        while let Some(of) = list.next_element::<Spanned<Lines>>()? {
            values.push((of.referenced.line(), of.value));
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
            assert_eq!(Lines::of_yaml(text).unwrap().line_of(location), line, "{location}");
        }
        assert!(Lines::of_yaml("[").is_none());
    }
}
