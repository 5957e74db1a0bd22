//! What one span can show: a status, or an attribute with a certain value.

use regex::bytes::Regex;

use crate::codec::msgpack::{MapView, Reader, Token, elements, text_of};
use crate::codec::records::layout::keys;
use crate::codec::records::{SpanView, StatusCode, has_exception, names_an_error};
use crate::sampling::tracestate;

/// A test of one attribute's value.
#[derive(Debug, Clone)]
pub enum ValueTest {
    /// Any value will do.
    Exists,
    /// A value that is spelled so: text, a number, `true` or `false`.
    Spelled(String),
    /// One of these texts.
    Texts(Vec<String>),
    /// One of these texts, or a list in which one of them is.
    Contains(Vec<String>),
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
            (Self::Texts(texts), Token::Str(text)) => is_one_of(text, texts),
            (Self::Contains(texts), Token::Str(text)) => is_one_of(text, texts),
            (Self::Contains(texts), Token::Array(_)) => elements(encoded).any(|element| {
                text_of(element).is_some_and(|text| is_one_of(text.as_bytes(), texts))
            }),
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

fn is_one_of(text: &[u8], texts: &[String]) -> bool {
    texts.iter().any(|wanted| wanted.as_bytes() == text)
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
    Status(Vec<StatusCode>),
    /// The span tells of a failure: by the status ERROR, an attribute `error.type` or an event
    /// `exception`. A resource does not.
    Failure,
    /// The span's W3C trace flags say that it was sampled.
    Sampled,
    /// The span passes all of these tests, which were added before, by their index.
    Both(PassedTests),
    /// The span's W3C tracestate has this member, with one of these values; with any value if there
    /// are none.
    TraceState {
        /// The member's key.
        key: String,
        /// The values.
        values: Vec<String>,
    },
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
pub struct PassedTests(pub u64);

impl PassedTests {
    /// With one more.
    pub fn add(&mut self, index: usize) {
        self.0 |= 1_u64.checked_shl(u32::try_from(index).unwrap_or(u32::MAX)).unwrap_or(0);
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
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
    reads_states: bool,
    failures: PassedTests,
    sampled: PassedTests,
    /// Tests that ask for other tests, in the order in which they were added.
    joint: Vec<(usize, PassedTests)>,
}

impl SpanTests {
    /// The most tests that there can be.
    pub const MAX: usize = 64;

    /// Adds a test and gives its index; `None` when there are too many.
    pub fn add(&mut self, test: SpanTest) -> Option<usize> {
        if self.tests.len() >= Self::MAX {
            return None;
        }
        self.reads_attributes |= matches!(test, SpanTest::Attribute { .. } | SpanTest::Failure);
        self.reads_states |= matches!(test, SpanTest::TraceState { .. });
        let index = self.tests.len();
        match test {
            SpanTest::Failure => self.failures.add(index),
            SpanTest::Sampled => self.sampled.add(index),
            SpanTest::Both(parts) => self.joint.push((index, parts)),
            _ => {}
        }
        self.tests.push(test);
        Some(index)
    }

    /// What one attribute of a span shows.
    #[inline]
    pub fn attribute(&self, facts: &mut PassedTests, key: &[u8], value: &[u8]) {
        if !self.reads_attributes {
            return;
        }
        if !self.failures.is_empty() && names_an_error(key, value) {
            facts.0 |= self.failures.0;
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

    /// What the events of a span show.
    #[inline]
    pub fn events(&self, facts: &mut PassedTests, events: &[u8]) {
        if !self.failures.is_empty() && has_exception(events) {
            facts.0 |= self.failures.0;
        }
    }

    /// What the flags of a span show.
    #[inline]
    pub fn flags(&self, facts: &mut PassedTests, span: &SpanView<'_>) {
        if !self.sampled.is_empty() && span.is_sampled() {
            facts.0 |= self.sampled.0;
        }
    }

    /// Which tests of several the span passes, when everything else is shown.
    #[inline]
    pub fn joint(&self, facts: &mut PassedTests) {
        for (index, parts) in &self.joint {
            if facts.0 & parts.0 == parts.0 {
                facts.add(*index);
            }
        }
    }

    /// What a W3C tracestate shows.
    #[inline]
    pub fn trace_state(&self, facts: &mut PassedTests, state: &[u8]) {
        if !self.reads_states || state.is_empty() {
            return;
        }
        for (index, test) in self.tests.iter().enumerate() {
            if let SpanTest::TraceState { key, values } = test
                && tracestate::member(state, key.as_bytes()).is_some_and(|found| {
                    values.is_empty() || values.iter().any(|value| value.as_bytes() == found)
                })
            {
                facts.add(index);
            }
        }
    }

    /// What a resource shows, given its encoded map.
    pub fn resource(&self, facts: &mut PassedTests, resource: &[u8]) {
        if !self.reads_attributes {
            return;
        }
        let attributes = MapView::new(resource).get(keys::ATTRIBUTES).unwrap_or_default();
        let mut shown = PassedTests::default();
        for entry in MapView::new(attributes) {
            self.attribute(&mut shown, entry.key, entry.value);
        }
        facts.0 |= shown.0 & !self.failures.0;
    }

    /// What a status shows.
    #[inline]
    pub fn status(&self, facts: &mut PassedTests, status: StatusCode) {
        for (index, test) in self.tests.iter().enumerate() {
            if let SpanTest::Status(wanted) = test
                && wanted.contains(&status)
            {
                facts.add(index);
            }
        }
        if status == StatusCode::Error {
            facts.0 |= self.failures.0;
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
        let list = b"\x92\xa4stop\xa6length";
        let contains = |text: &str| ValueTest::Contains(vec![text.to_owned()]).passes(list);
        assert!(contains("stop") && contains("length") && !contains("gpt-4o"));
        assert!(ValueTest::Contains(vec!["gpt-4o".into()]).passes(&text));
        assert!(!ValueTest::Contains(vec!["5".into()]).passes(&five));
        assert!(!ValueTest::Texts(vec!["stop".into()]).passes(list));
    }

    /// Guarantees: a failure is a status, an attribute `error.type` with a value or an event
    /// `exception`, and nothing else.
    #[test]
    fn failures_are_recognised_in_three_ways() {
        let mut tests = SpanTests::default();
        assert_eq!(tests.add(SpanTest::Status(vec![StatusCode::Ok])), Some(0));
        assert_eq!(tests.add(SpanTest::Failure), Some(1));
        let shown = |show: &dyn Fn(&mut PassedTests)| {
            let mut facts = PassedTests::default();
            show(&mut facts);
            facts.has(1)
        };
        assert!(shown(&|facts| tests.status(facts, StatusCode::Error)));
        assert!(!shown(&|facts| tests.status(facts, StatusCode::Ok)));
        let attribute =
            |key: &[u8], value: &[u8]| shown(&|facts| tests.attribute(facts, key, value));
        assert!(attribute(b"error.type", b"\xa3500") && attribute(b"error.type", b"\xcd\x01\xf4"));
        assert!(!attribute(b"error.type", b"\xa0") && !attribute(b"error.type", b"\xc0"));
        assert!(!attribute(b"error.message", b"\xa1x"));
        let events = |name: &[u8]| {
            let encoded = [b"\x92\x80\x81\xa4name", name].concat();
            shown(&|facts| tests.events(facts, &encoded))
        };
        assert!(events(b"\xa9exception") && !events(b"\xa7message"));
        let resource = b"\x81\xaaattributes\x81\xaaerror.type\xa1a";
        assert!(!shown(&|facts| tests.resource(facts, resource)), "a resource does not fail");
    }

    /// Guarantees: a test of several tests passes for one span that passes them all, and not for what
    /// several spans of a trace pass together.
    #[test]
    fn several_tests_are_those_of_one_span() {
        let mut tests = SpanTests::default();
        let value = ValueTest::Texts(vec!["execute_tool".to_owned()]);
        let tool = SpanTest::Attribute { key: "gen_ai.operation.name".to_owned(), value };
        assert_eq!((tests.add(tool), tests.add(SpanTest::Failure)), (Some(0), Some(1)));
        assert_eq!(tests.add(SpanTest::Both(PassedTests(0b11))), Some(2));
        let shown = |is_tool: bool, status| {
            let mut facts = PassedTests::default();
            if is_tool {
                tests.attribute(&mut facts, b"gen_ai.operation.name", b"\xacexecute_tool");
            }
            tests.status(&mut facts, status);
            tests.joint(&mut facts);
            facts
        };
        assert_eq!(shown(true, StatusCode::Error), PassedTests(0b111));
        let apart = shown(true, StatusCode::Ok).0 | shown(false, StatusCode::Error).0;
        assert_eq!(apart, 0b11);
    }

    #[test]
    fn the_sampled_flag_is_the_lowest_bit() {
        let mut tests = SpanTests::default();
        assert_eq!(tests.add(SpanTest::Sampled), Some(0));
        for (flags, sampled) in [(0_u8, false), (1, true), (2, false), (3, true)] {
            let body = [&b"\x81\xa5flags"[..], &[flags]].concat();
            let mut facts = PassedTests::default();
            tests.flags(&mut facts, &SpanView::new(&body));
            assert_eq!(facts.has(0), sampled, "{flags}");
        }
    }

    #[test]
    fn a_trace_state_is_asked_by_its_members() {
        let mut tests = SpanTests::default();
        let values = vec!["gold".to_owned(), "silver".to_owned()];
        let any = SpanTest::TraceState { key: "tier".to_owned(), values: Vec::new() };
        assert_eq!(tests.add(SpanTest::TraceState { key: "tier".to_owned(), values }), Some(0));
        assert_eq!(tests.add(any), Some(1));
        let shown = |state: &str| {
            let mut facts = PassedTests::default();
            tests.trace_state(&mut facts, state.as_bytes());
            facts.0
        };
        assert_eq!(shown("ot=th:8, tier=silver"), 0b11);
        assert_eq!(shown("tier=golden"), 0b10);
        assert_eq!(shown("xtier=gold,tie=gold"), 0);
        assert_eq!(shown(""), 0);
    }

    #[test]
    fn a_resource_counts_as_the_span() {
        let mut tests = SpanTests::default();
        let key = "tenant".to_owned();
        let value = ValueTest::Spelled("a".to_owned());
        assert_eq!(tests.add(SpanTest::Status(vec![StatusCode::Error])), Some(0));
        assert_eq!(tests.add(SpanTest::Attribute { key, value }), Some(1));
        let mut facts = PassedTests::default();
        tests.status(&mut facts, StatusCode::Ok);
        assert_eq!(facts, PassedTests::default());
        let resource = b"\x81\xaaattributes\x81\xa6tenant\xa1a";
        tests.resource(&mut facts, resource);
        assert!(facts.has(1) && !facts.has(0));
        for _ in 2..SpanTests::MAX {
            assert!(tests.add(SpanTest::Status(Vec::new())).is_some());
        }
        assert_eq!(tests.add(SpanTest::Status(Vec::new())), None);
    }
}
