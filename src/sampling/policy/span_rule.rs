//! Rules over the fields of spans, as Refinery's rules-based sampler has them.

use std::cmp::Ordering;

use regex::bytes::Regex;

use super::field::{Field, FieldValue, SpanParts};

/// The text of a value that is not there, which operators on texts compare with.
const MISSING: &[u8] = b"<nil>";

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    const fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// What a value is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// Nothing.
    Nil,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any number.
    Float(f64),
    /// A text.
    Text(Vec<u8>),
}

/// A question about the value of a field.
#[derive(Debug, Clone)]
pub enum ValueCheck {
    /// It is there.
    Exists,
    /// It is not.
    NotExists,
    /// It is of a like type and compares so.
    Compares(Comparison, Operand),
    /// It compares so when it is made what the operand is: a text, a number or a truth value.
    ComparesAs(Comparison, Operand),
    /// Its text begins so.
    StartsWith(Vec<u8>),
    /// Its text has this in it, or has not.
    Contains(Vec<u8>, bool),
    /// It is among these when it is made what they are, or is not.
    IsIn(Vec<Operand>, bool),
    /// Its text matches.
    Matches(Regex),
}

impl ValueCheck {
    /// Whether a value passes; `None` if it is not there.
    #[must_use]
    pub fn passes(&self, value: Option<FieldValue<'_>>) -> bool {
        let text = || {
            let mut text = Vec::new();
            match value {
                Some(value) => value.write(&mut text),
                None => text.extend_from_slice(MISSING),
            }
            text
        };
        match self {
            Self::Exists => value.is_some(),
            Self::NotExists => value.is_none(),
            Self::Compares(comparison, operand) => {
                let order = value.and_then(|value| compare(value, operand));
                order.is_some_and(|order| comparison.holds(order))
            }
            Self::ComparesAs(comparison, Operand::Text(operand)) => {
                comparison.holds(text().as_slice().cmp(operand))
            }
            Self::ComparesAs(comparison, operand) => {
                let order = value.and_then(|value| compare_as(value, operand));
                order.is_some_and(|order| comparison.holds(order))
            }
            Self::StartsWith(start) => text().starts_with(start),
            Self::Contains(part, wanted) => {
                memchr::memmem::find(&text(), part).is_some() == *wanted
            }
            Self::IsIn(operands, wanted) => {
                let text = text();
                let is_in = operands.iter().any(|operand| match operand {
                    Operand::Text(operand) => *operand == text,
                    operand => value
                        .and_then(|value| compare_as(value, operand))
                        .is_some_and(Ordering::is_eq),
                });
                is_in == *wanted
            }
            Self::Matches(pattern) => pattern.is_match(&text()),
        }
    }
}

/// The order of a value and an operand of a like type: numbers, texts, truth values. Nothing is less than
/// anything else.
fn compare(value: FieldValue<'_>, operand: &Operand) -> Option<Ordering> {
    match (value, operand) {
        (FieldValue::Nil, Operand::Nil) => Some(Ordering::Equal),
        (FieldValue::Nil, _) => Some(Ordering::Less),
        (_, Operand::Nil) => Some(Ordering::Greater),
        (FieldValue::Int(value), Operand::Int(operand)) => Some(value.cmp(operand)),
        (FieldValue::Int(value), Operand::Float(operand)) => (value as f64).partial_cmp(operand),
        (FieldValue::Float(value), Operand::Int(operand)) => value.partial_cmp(&(*operand as f64)),
        (FieldValue::Float(value), Operand::Float(operand)) => value.partial_cmp(operand),
        (FieldValue::Bool(value), Operand::Bool(operand)) => Some(value.cmp(operand)),
        (FieldValue::Text(value), Operand::Text(operand)) => Some(value.cmp(operand.as_slice())),
        _ => None,
    }
}

/// The order of a value that is made what the operand is. A value that is no truth value counts as false.
fn compare_as(value: FieldValue<'_>, operand: &Operand) -> Option<Ordering> {
    match operand {
        Operand::Int(operand) => to_int(value).map(|value| value.cmp(operand)),
        Operand::Float(operand) => to_float(value)?.partial_cmp(operand),
        Operand::Bool(operand) => Some(to_bool(value).cmp(operand)),
        Operand::Nil | Operand::Text(_) => None,
    }
}

fn to_int(value: FieldValue<'_>) -> Option<i64> {
    match value {
        FieldValue::Int(value) => Some(value),
        FieldValue::Float(value) => Some(truncated(value)),
        FieldValue::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        FieldValue::Nil | FieldValue::Bool(_) | FieldValue::Other(_) => None,
    }
}

/// A number without its fraction.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "what is beyond the ends becomes the end")]
pub const fn truncated(number: f64) -> i64 {
    number as i64
}

fn to_float(value: FieldValue<'_>) -> Option<f64> {
    match value {
        FieldValue::Int(value) => Some(value as f64),
        FieldValue::Float(value) => Some(value),
        FieldValue::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        FieldValue::Nil | FieldValue::Bool(_) | FieldValue::Other(_) => None,
    }
}

fn to_bool(value: FieldValue<'_>) -> bool {
    let mut text = Vec::new();
    value.write(&mut text);
    matches!(&text[..], b"1" | b"t" | b"T" | b"true" | b"True" | b"TRUE")
}

/// A condition of a rule.
#[derive(Debug, Clone)]
pub enum RuleCondition {
    /// The trace has a root, or has none.
    HasRoot(bool),
    /// The number of spans of the trace passes.
    SpanCount(ValueCheck),
    /// The first field that a span has passes.
    Field {
        /// The fields in their order.
        fields: Vec<Field>,
        /// Whether names may lead into maps, if there is no field of the whole name.
        nested: bool,
        /// The question.
        check: ValueCheck,
    },
}

/// Conditions that a trace meets, all of them.
#[derive(Debug, Clone)]
pub struct SpanRule {
    /// The conditions.
    pub conditions: Vec<RuleCondition>,
    /// Whether one span has to meet them all; else each may be met by another one.
    pub same_span: bool,
}

impl SpanRule {
    /// Whether the spans of a trace meet the conditions.
    #[must_use]
    pub fn matches(&self, spans: &[SpanParts<'_>]) -> bool {
        let root = spans.iter().find(|span| span.is_root());
        let met = |condition: &RuleCondition, span| condition.met(span, root, spans.len());
        if self.same_span {
            let all = |span| self.conditions.iter().all(|condition| met(condition, span));
            return self.conditions.is_empty() || spans.iter().any(all);
        }
        self.conditions.iter().all(|condition| spans.iter().any(|span| met(condition, span)))
    }
}

impl RuleCondition {
    fn met(&self, span: &SpanParts<'_>, root: Option<&SpanParts<'_>>, count: usize) -> bool {
        match self {
            Self::HasRoot(wanted) => root.is_some() == *wanted,
            Self::SpanCount(check) => {
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                check.passes(Some(FieldValue::Int(count)))
            }
            Self::Field { fields, nested, check } => {
                let of = |field: &Field| if field.is_of_root() { root } else { Some(span) };
                let value = fields.iter().find_map(|field| field.value(of(field)?));
                let inside = || fields.iter().find_map(|field| field.nested(of(field)?));
                check.passes(if *nested { value.or_else(inside) } else { value })
            }
        }
    }
}
