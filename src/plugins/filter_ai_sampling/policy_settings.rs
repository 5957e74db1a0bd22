//! The settings of single policies, in our form and in that of the Collector's `tail_sampling`.

use std::time::Duration;

use regex::bytes::Regex;
use serde_json::Value;

use super::policy_list::{PolicyList, TOO_MANY_TESTS};
use crate::codec::records::StatusCode;
use crate::condition::Condition;
use crate::config::{Node, Notes};
use crate::sampling::Threshold;
use crate::sampling::policy::{
    Limit, LimitUnit, PassedTests, PolicyRule, SpanTest, UsageTest, ValueTest,
};

/// Any number that is not negative.
const NOT_NEGATIVE: (f64, f64) = (0.0, f64::MAX);
/// The attributes with the seconds until the first token or chunk: the conventions', and that of model
/// servers.
const FIRST_TOKEN: [&str; 2] =
    ["gen_ai.response.time_to_first_chunk", "gen_ai.latency.time_to_first_token"];
/// The attributes with a model's name.
const MODELS: [&str; 2] = ["gen_ai.request.model", "gen_ai.response.model"];

/// Reads settings, collects mistakes, and gives rules what they need of the list.
pub(super) struct Settings<'l> {
    /// The mistakes.
    pub(super) notes: Notes,
    /// The list.
    pub(super) list: &'l mut PolicyList,
}

impl Settings<'_> {
    /// A percentage.
    pub(super) fn probability(&mut self, node: Node<'_>) -> Option<PolicyRule> {
        let percentage = self.notes.number(node, "sampling_percentage", (0.0, 100.0))?;
        Some(PolicyRule::Probability(Threshold::from_percentage(percentage)))
    }

    /// The Collector's percentage: none is 0, and what is over 100 counts as 100. Its `hash_salt` would
    /// decide against other samplers, and what it keeps could have no threshold.
    pub(super) fn collector_probability(&mut self, node: Node<'_>) -> Option<PolicyRule> {
        if node.map.get("hash_salt").is_some_and(|salt| salt.as_str() != Some("")) {
            self.notes.refuse(
                node,
                "hash_salt",
                "allowed: none; the randomness of the trace decides, so that all samplers agree",
            );
        }
        let percentage = self.bound(node, "sampling_percentage", not_negative)?.unwrap_or_default();
        Some(PolicyRule::Probability(Threshold::from_percentage(percentage.min(100.0))))
    }

    /// Bounds as durations.
    pub(super) fn latency(&mut self, node: Node<'_>) -> Option<PolicyRule> {
        let upper = self.bound(node, "upper_threshold", Notes::duration)?;
        let lower = match upper {
            Some(_) => self.bound(node, "threshold", Notes::duration)?,
            None => Some(self.notes.duration(node, "threshold")?),
        };
        self.latency_between(node, lower, upper, ("threshold", "upper_threshold"))
    }

    /// The Collector's bounds, in milliseconds; an upper one of 0 is none.
    pub(super) fn latency_ms(&mut self, node: Node<'_>) -> Option<PolicyRule> {
        let lower = self.bound(node, "threshold_ms", milliseconds)?.unwrap_or_default();
        let upper = self.bound(node, "upper_threshold_ms", milliseconds)?;
        let upper = upper.filter(|upper| !upper.is_zero());
        self.latency_between(node, Some(lower), upper, ("threshold_ms", "upper_threshold_ms"))
    }

    fn latency_between(
        &mut self,
        node: Node<'_>,
        lower: Option<Duration>,
        upper: Option<Duration>,
        (lower_key, upper_key): (&str, &str),
    ) -> Option<PolicyRule> {
        if lower.zip(upper).is_some_and(|(lower, upper)| upper <= lower) {
            self.notes.refuse(node, upper_key, &format!("allowed: more than '{lower_key}'"));
        }
        Some(PolicyRule::Latency(lower, upper))
    }

    /// What a key says, if it is there: `None` is a mistake.
    fn bound<T>(
        &mut self,
        node: Node<'_>,
        key: &str,
        read: fn(&mut Notes, Node<'_>, &str) -> Option<T>,
    ) -> Option<Option<T>> {
        if node.map.contains_key(key) {
            read(&mut self.notes, node, key).map(Some)
        } else {
            Some(None)
        }
    }

    /// How many spans; an upper bound of 0 is none.
    pub(super) fn span_count(&mut self, node: Node<'_>) -> Option<PolicyRule> {
        let least = self.bound(node, "min_spans", whole)?.unwrap_or(0);
        let most = self.bound(node, "max_spans", whole)?.filter(|most| *most > 0);
        if least == 0 && most.is_none() {
            self.notes.refuse(node, "min_spans", "allowed: a number; 'max_spans' is missing too");
        }
        if most.is_some_and(|most| most < least) {
            self.notes.refuse(node, "max_spans", "allowed: not less than 'min_spans'");
        }
        Some(PolicyRule::SpanCount(least, most))
    }

    /// A limit; it holds the amount of two seconds where no burst is given.
    pub(super) fn limit(
        &mut self,
        node: Node<'_>,
        key: &str,
        unit: LimitUnit,
    ) -> Option<PolicyRule> {
        let rate = self.notes.number(node, key, NOT_NEGATIVE)?;
        let burst = self.bound(node, "burst_capacity", not_negative)?;
        let burst = burst.filter(|burst| *burst > 0.0).unwrap_or(rate * 2.0);
        Some(PolicyRule::Limit(self.list.limit(Limit { rate, burst }), unit))
    }

    /// The traces of exemplars, so many in a second; the limit holds those of two seconds, one at least.
    pub(super) fn exemplar(&mut self, node: Node<'_>) -> Option<PolicyRule> {
        let rate = self.notes.number(node, "max_per_second", NOT_NEGATIVE)?;
        let limit = self.list.limit(Limit { rate, burst: (rate * 2.0).max(1.0) });
        let within = PolicyRule::Limit(limit, LimitUnit::Traces);
        Some(PolicyRule::All(vec![PolicyRule::Exemplar, within]))
    }

    /// An expression.
    pub(super) fn cel(&mut self, node: Node<'_>) -> Option<PolicyRule> {
        let text = self.notes.text(node, "expression")?;
        match Condition::compile(&text) {
            Ok(condition) => Some(PolicyRule::Cel(Box::new(condition))),
            Err(error) => {
                self.notes.refuse(node, "expression", &error.to_string());
                None
            }
        }
    }

    /// Codes of the status.
    pub(super) fn status(&mut self, node: Node<'_>) -> Option<PolicyRule> {
        let mut statuses = Vec::new();
        for text in self.notes.texts(node, "status_codes") {
            match text.to_ascii_lowercase().as_str() {
                "error" => statuses.push(StatusCode::Error),
                "ok" => statuses.push(StatusCode::Ok),
                "unset" => statuses.push(StatusCode::Unset),
                _ => self.notes.refuse(node, "status_codes", "allowed: error, ok, unset"),
            }
        }
        self.span_test(SpanTest::Status(statuses))
    }

    /// A member of the W3C tracestate.
    pub(super) fn trace_state(&mut self, node: Node<'_>) -> Option<PolicyRule> {
        let key = self.notes.text(node, "key")?;
        if key.is_empty() || key.contains(['=', ',', ' ']) {
            self.notes.refuse(node, "key", "allowed: the key of a member of the W3C tracestate");
            return None;
        }
        let values = match node.map.get("values") {
            Some(_) => self.notes.texts(node, "values"),
            None => Vec::new(),
        };
        self.span_test(SpanTest::TraceState { key, values })
    }

    /// A number with bounds, under these keys, of which one must be there.
    pub(super) fn number(
        &mut self,
        node: Node<'_>,
        (low_key, high_key): (&str, &str),
    ) -> Option<PolicyRule> {
        let (low, high) = (self.bound(node, low_key, any)?, self.bound(node, high_key, any)?);
        if low.is_none() && high.is_none() {
            self.notes.refuse(
                node,
                low_key,
                &format!("allowed: a number; '{high_key}' is missing too"),
            );
        }
        if low.zip(high).is_some_and(|(low, high)| high < low) {
            self.notes.refuse(node, high_key, &format!("allowed: not less than '{low_key}'"));
        }
        let test = ValueTest::Between(low.unwrap_or(f64::MIN), high.unwrap_or(f64::MAX));
        self.attribute(node, test)
    }

    /// A truth value.
    pub(super) fn boolean(&mut self, node: Node<'_>, default: bool) -> Option<PolicyRule> {
        let value = self.notes.flag(node, "value", default)?;
        self.attribute(node, ValueTest::Is(value))
    }

    /// Texts, or regular expressions if the switch under `regex` says so.
    pub(super) fn text(&mut self, node: Node<'_>, regex: &str) -> Option<PolicyRule> {
        let test = self.text_test(node, regex)?;
        self.attribute(node, test)
    }

    /// The attribute under `key` passes a test, or no span has one that does, by `invert_match`.
    fn attribute(&mut self, node: Node<'_>, value: ValueTest) -> Option<PolicyRule> {
        let key = self.notes.text(node, "key");
        let invert = self.notes.flag(node, "invert_match", false)?;
        let rule = self.span_test(SpanTest::Attribute { key: key?, value })?;
        Some(if invert { PolicyRule::Not(Box::new(rule)) } else { rule })
    }

    fn text_test(&mut self, node: Node<'_>, regex: &str) -> Option<ValueTest> {
        let texts = self.notes.texts(node, "values");
        if !self.notes.flag(node, regex, false)? {
            return Some(ValueTest::Texts(texts));
        }
        let mut patterns = Vec::new();
        for text in texts {
            match Regex::new(&text) {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => self.notes.refuse(node, "values", &error.to_string()),
            }
        }
        Some(ValueTest::Matches(patterns))
    }

    /// The least number of tokens, in all or of a kind.
    pub(super) fn tokens(&mut self, node: Node<'_>) -> Option<PolicyRule> {
        let mut least = |key| Some(self.bound(node, key, not_negative)?.unwrap_or_default());
        let test = UsageTest {
            total_tokens: least("min_total")?,
            input_tokens: least("min_input")?,
            output_tokens: least("min_output")?,
            cost: 0.0,
        };
        if test == UsageTest::default() {
            self.notes.refuse(
                node,
                "min_total",
                "allowed: a number over 0, here or in 'min_input' or 'min_output'",
            );
        }
        Some(PolicyRule::Usage(test))
    }

    /// The least that was paid.
    pub(super) fn cost(&mut self, node: Node<'_>) -> Option<PolicyRule> {
        let cost = self.notes.number(node, "min", (f64::MIN_POSITIVE, f64::MAX))?;
        Some(PolicyRule::Usage(UsageTest { cost, ..UsageTest::default() }))
    }

    /// The least time until the first token.
    pub(super) fn first_token(&mut self, node: Node<'_>) -> Option<PolicyRule> {
        let least = self.notes.duration(node, "min")?.as_secs_f64();
        self.any_of(&FIRST_TOKEN, &ValueTest::Between(least, f64::MAX))
    }

    /// Why a model stopped.
    pub(super) fn finish_reason(&mut self, node: Node<'_>) -> Option<PolicyRule> {
        let value = ValueTest::Contains(self.notes.texts(node, "values"));
        let key = "gen_ai.response.finish_reasons".to_owned();
        self.span_test(SpanTest::Attribute { key, value })
    }

    /// The model that was asked, or that answered.
    pub(super) fn model(&mut self, node: Node<'_>) -> Option<PolicyRule> {
        let test = self.text_test(node, "regex")?;
        self.any_of(&MODELS, &test)
    }

    /// A tool that failed.
    pub(super) fn tool_error(&mut self) -> Option<PolicyRule> {
        let key = "gen_ai.operation.name".to_owned();
        let value = ValueTest::Texts(vec!["execute_tool".to_owned()]);
        let mut both = PassedTests::default();
        for test in [SpanTest::Attribute { key, value }, SpanTest::Failure] {
            both.add(self.test(test)?);
        }
        self.span_test(SpanTest::Both(both))
    }

    /// One of these attributes passes the test.
    fn any_of(&mut self, keys: &[&str], value: &ValueTest) -> Option<PolicyRule> {
        let mut rules = Vec::new();
        for key in keys {
            let (key, value) = ((*key).to_owned(), value.clone());
            rules.push(self.span_test(SpanTest::Attribute { key, value })?);
        }
        Some(PolicyRule::Any(rules))
    }

    /// A whole number of a range.
    pub(super) fn whole(
        &mut self,
        node: Node<'_>,
        key: &str,
        (low, high): (u64, u64),
        default: u64,
    ) -> Option<u64> {
        let Some(value) = node.map.get(key) else { return Some(default) };
        let number = value.as_u64().filter(|number| (low..=high).contains(number));
        if number.is_none() {
            let up_to = if high < u64::MAX { format!(" to {high}") } else { String::new() };
            self.notes.refuse(node, key, &format!("allowed: a whole number from {low}{up_to}"));
        }
        number
    }

    /// A rule that asks for a span that passes the test.
    pub(super) fn span_test(&mut self, test: SpanTest) -> Option<PolicyRule> {
        self.test(test).map(PolicyRule::SpanTest)
    }

    /// A test of single spans, by its index.
    pub(super) fn test(&mut self, test: SpanTest) -> Option<usize> {
        let index = self.list.test(test);
        if index.is_none() {
            self.notes.problem(TOO_MANY_TESTS.to_owned());
        }
        index
    }
}

fn not_negative(notes: &mut Notes, node: Node<'_>, key: &str) -> Option<f64> {
    notes.number(node, key, NOT_NEGATIVE)
}

fn any(notes: &mut Notes, node: Node<'_>, key: &str) -> Option<f64> {
    notes.number(node, key, (f64::MIN, f64::MAX))
}

fn milliseconds(notes: &mut Notes, node: Node<'_>, key: &str) -> Option<Duration> {
    let milliseconds = notes.number(node, key, NOT_NEGATIVE)?;
    Duration::try_from_secs_f64(milliseconds / 1000.0).ok()
}

fn whole(notes: &mut Notes, node: Node<'_>, key: &str) -> Option<u64> {
    let number = node.map.get(key).and_then(Value::as_u64);
    if number.is_none() {
        notes.refuse(node, key, "allowed: a whole number");
    }
    number
}
