//! What one span can show: a status, or an attribute with a certain value.

use regex::bytes::Regex;

use crate::codec::msgpack::{MapView, Reader, Token};
use crate::codec::records::Status;

/// A test of one attribute's value.
#[derive(Debug, Clone)]
pub enum ValueTest {
    /// Any value will do.
    Exists,
    /// A value that is spelled so: text, a number, `true` or `false`.
    Spelled(String),
    /// One of these texts.
    Texts(Vec<String>),
    /// A text that matches one of these expressions.
    Matches(Vec<Regex>),
    /// A number from the first to the second, both included.
    Between(f64, f64),
    /// A truth value.
    Is(bool),
}

impl ValueTest {
    /// Whether an encoded value passes.
    #[must_use]
    pub fn passes(&self, encoded: &[u8]) -> bool {
        let Ok(token) = Reader::new(encoded).token() else { return false };
        match (self, token) {
            (Self::Exists, _) => true,
            (Self::Texts(texts), Token::Str(text)) => {
                texts.iter().any(|wanted| wanted.as_bytes() == text)
            }
            (Self::Matches(patterns), Token::Str(text)) => {
                patterns.iter().any(|pattern| pattern.is_match(text))
            }
            (Self::Between(low, high), token) => {
                number(token).is_some_and(|number| (*low..=*high).contains(&number))
            }
            (Self::Is(wanted), Token::Bool(value)) => *wanted == value,
            (Self::Spelled(wanted), Token::Str(text)) => wanted.as_bytes() == text,
            (Self::Spelled(wanted), Token::Bool(value)) => {
                wanted == if value { "true" } else { "false" }
            }
            (Self::Spelled(wanted), token) => number(token)
                .is_some_and(|number| wanted.parse().is_ok_and(|wanted: f64| wanted == number)),
            _ => false,
        }
    }
}

fn number(token: Token<'_>) -> Option<f64> {
    match token {
        Token::Uint(value) => Some(value as f64),
        Token::Int(value) => Some(value as f64),
        Token::Float(value) => Some(value),
        _ => None,
    }
}

/// A test of one span; a trace passes when one of its spans does.
#[derive(Debug, Clone)]
pub enum SpanTest {
    /// The span's status is one of these.
    Status(Vec<Status>),
    /// The span, or its resource, has an attribute that passes.
    Attribute {
        /// The attribute's key.
        key: String,
        /// What its value has to be.
        value: ValueTest,
    },
}

/// A set of span tests that were passed, by their index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts(pub u64);

impl Facts {
    /// With one more.
    pub fn add(&mut self, index: usize) {
        self.0 |= 1_u64.checked_shl(u32::try_from(index).unwrap_or(u32::MAX)).unwrap_or(0);
    }

    /// Whether this one is in it.
    #[must_use]
    pub fn has(self, index: usize) -> bool {
        let mut one = Self::default();
        one.add(index);
        self.0 & one.0 != 0
    }
}

/// The span tests of all policies.
#[derive(Debug, Clone, Default)]
pub struct SpanTests {
    tests: Vec<SpanTest>,
    reads_attributes: bool,
}

impl SpanTests {
    /// The most tests that there can be.
    pub const MOST: usize = 64;

    /// Adds a test and gives its index; `None` when there are too many.
    pub fn add(&mut self, test: SpanTest) -> Option<usize> {
        if self.tests.len() >= Self::MOST {
            return None;
        }
        self.reads_attributes |= matches!(test, SpanTest::Attribute { .. });
        self.tests.push(test);
        Some(self.tests.len() - 1)
    }

    /// What one attribute of a span shows.
    #[inline]
    pub fn attribute(&self, facts: &mut Facts, key: &[u8], value: &[u8]) {
        if !self.reads_attributes {
            return;
        }
        for (index, test) in self.tests.iter().enumerate() {
            if let SpanTest::Attribute { key: wanted, value: test } = test
                && wanted.as_bytes() == key
                && test.passes(value)
            {
                facts.add(index);
            }
        }
    }

    /// What a resource shows, given its encoded map.
    pub fn resource(&self, facts: &mut Facts, resource: &[u8]) {
        if !self.reads_attributes {
            return;
        }
        let attributes = MapView::new(resource).get(b"attributes").unwrap_or_default();
        for entry in MapView::new(attributes) {
            self.attribute(facts, entry.key, entry.value);
        }
    }

    /// What a status shows.
    #[inline]
    pub fn status(&self, facts: &mut Facts, status: Status) {
        for (index, test) in self.tests.iter().enumerate() {
            if let SpanTest::Status(wanted) = test
                && wanted.contains(&status)
            {
                facts.add(index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::{bool, f64, int, nil, str};

    #[test]
    fn values_are_compared_by_their_type() {
        let encode = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            out
        };
        let text = encode(&|out| str(out, "gpt-4o"));
        let five = encode(&|out| int(out, 5));
        let minus = encode(&|out| int(out, -5));
        let half = encode(&|out| f64(out, 0.5));
        let yes = encode(&|out| bool(out, true));
        let none = encode(&|out| nil(out));
        let spelled = |text: &str| ValueTest::Spelled(text.to_owned());
        assert!(ValueTest::Exists.passes(&none));
        assert!(spelled("gpt-4o").passes(&text) && !spelled("gpt-4").passes(&text));
        assert!(spelled("5").passes(&five) && spelled("0.5").passes(&half));
        assert!(spelled("true").passes(&yes) && !spelled("x").passes(&five));
        assert!(ValueTest::Between(-5.0, 1.0).passes(&minus));
        assert!(!ValueTest::Between(-5.0, 1.0).passes(&five));
        assert!(!ValueTest::Between(-5.0, 1.0).passes(&text));
        assert!(ValueTest::Is(true).passes(&yes) && !ValueTest::Is(false).passes(&yes));
        let pattern = ValueTest::Matches(vec![Regex::new("^gpt-").unwrap()]);
        assert!(pattern.passes(&text) && !pattern.passes(&five));
        assert!(!ValueTest::Texts(vec!["a".into()]).passes(&text));
    }

    #[test]
    fn a_resource_counts_as_the_span() {
        let mut tests = SpanTests::default();
        let key = "tenant".to_owned();
        let value = ValueTest::Spelled("a".to_owned());
        assert_eq!(tests.add(SpanTest::Status(vec![Status::Error])), Some(0));
        assert_eq!(tests.add(SpanTest::Attribute { key, value }), Some(1));
        let mut facts = Facts::default();
        tests.status(&mut facts, Status::Ok);
        assert_eq!(facts, Facts::default());
        let resource = b"\x81\xaaattributes\x81\xa6tenant\xa1a";
        tests.resource(&mut facts, resource);
        assert!(facts.has(1) && !facts.has(0));
        for _ in 2..SpanTests::MOST {
            assert!(tests.add(SpanTest::Status(Vec::new())).is_some());
        }
        assert_eq!(tests.add(SpanTest::Status(Vec::new())), None);
    }
}
