//! Conditions: expressions in CEL over one item or one trace.
//!
//! The language is the Common Expression Language (<https://cel.dev>), compiled once. An
//! expression sees these variables, each read from the record only when the expression asks for
//! it:
//!
//! | variable | of one item | of a whole trace |
//! |---|---|---|
//! | `signal` | `"span"`, `"metric"`, `"log"` | `"trace"` |
//! | `name` | the span's or metric's name, the log's event name | of the root span |
//! | `kind` | the span's kind, the metric's kind of data (`"gauge"`, ...) | of the root span |
//! | `status` | `"unset"`, `"ok"`, `"error"` | of the root span |
//! | `duration_ms` | the span's duration; 0 for others | from the first start to the last end |
//! | `attributes` | a map; a metric shows those of its first data point | of the root span |
//! | `resource` | the resource's attributes | of the root span |
//! | `scope` | `{"name", "version", "attributes"}` | of the root span |
//! | `body` | the log's body | null |
//! | `severity` | the log's severity number, 0 when unknown | 0 |
//! | `tag` | Fluent Bit's tag | the same |
//! | `events` | a list of the span's events, each `{"name", "time_unix_nano", "attributes", "dropped_attributes_count"}`; empty for others | of the root span |
//! | `links` | a list of the span's links, each `{"trace_id", "span_id", "trace_state", "flags", "attributes", "dropped_attributes_count"}`, ids as hex text; empty for others | of the root span |
//! | `trace_state` | the span's W3C tracestate as text, `""` when there is none | of the root span |
//! | `flags` | the span's flags, the log's trace flags; 0 for others | of the root span |
//! | `is_root` | whether it is a span without a parent | of the root span |
//! | `spans` | | a list; each span has the fields above |
//! | `errors` | | the number of spans that are errors, by the [`ErrorRule`] of the filter |
//! | `root` | | the root span, or an empty map while it is missing |
//!
//! Until a trace's root is there its first span stands in for it. Fields of events and links that a
//! record lacks have their default, so that `e.name` always has an answer.
//!
//! An expression that is known to give no truth value, whatever comes, does not compile. One that has
//! no answer for an item, because a key is missing or a type does not fit, is an error of that item:
//! see [`NoAnswer`].

mod check;
mod item;
mod part;
mod types;
mod value;
mod variables;

use std::sync::Arc;

use cel::common::types::CelBool;
use cel::{Context, Env, ExecutionError, Program, Value};

pub use item::{ConditionRecord, ConditionSubject};
pub use variables::VARIABLES;

pub use crate::model::ErrorRule;
use crate::model::listed_enum;

/// The longest expression.
const MAX_LENGTH: usize = 16 << 10;
/// The most characters of a reason.
const MAX_REASON: usize = 200;
/// How deep an expression may be nested: the parser of a debug build takes 150 KiB of stack a level.
const MAX_NESTING: usize = 10;

/// A condition does not compile, or has no answer for an item.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConditionError {
    /// The text is not CEL, or names something that does not exist. The text says where.
    #[error("{0}")]
    Compile(String),
    /// The expression has no answer for this item, for example because an attribute is missing
    /// or has another type.
    #[error("{0}")]
    Evaluate(Box<ExecutionError>),
    /// The answer is of this type and not true or false.
    #[error("the condition gives a value of type {0}, not true or false")]
    NotBool(String),
}

/// A compiled condition; any number of threads may evaluate it at once.
pub struct Condition {
    text: String,
    program: Program,
    env: Arc<Env>,
    needs_trace: bool,
}

listed_enum! {
    /// Why a condition has no answer for an item, as counters name it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum NoAnswer {
        /// A key is not there: an attribute that the item does not have.
        NoSuchKey,
        /// Values have types that the expression's operators and functions do not take.
        WrongType,
        /// The answer is not true or false.
        NotBool,
        /// Anything else, such as a division by zero.
        Other,
    }
}

impl NoAnswer {
    /// The name, as counters show it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoSuchKey => "no_such_key",
            Self::WrongType => "wrong_type",
            Self::NotBool => "not_bool",
            Self::Other => "other",
        }
    }
}

impl ConditionError {
    /// The kind of reason.
    #[must_use]
    pub fn kind(&self) -> NoAnswer {
        let Self::Evaluate(error) = self else {
            return if matches!(self, Self::NotBool(_)) {
                NoAnswer::NotBool
            } else {
                NoAnswer::Other
            };
        };
        match **error {
            ExecutionError::NoSuchKey(_) => NoAnswer::NoSuchKey,
            ExecutionError::NoSuchOverload(_)
            | ExecutionError::UnexpectedType { .. }
            | ExecutionError::UnsupportedTargetType { .. }
            | ExecutionError::NotSupportedAsMethod { .. }
            | ExecutionError::UnsupportedKeyType(_)
            | ExecutionError::ValuesNotComparable(..)
            | ExecutionError::UnsupportedBinaryOperator(..)
            | ExecutionError::UnsupportedIndex(..) => NoAnswer::WrongType,
            _ => NoAnswer::Other,
        }
    }
}

impl ConditionError {
    /// The reason, without the values that the item has: they may be a user's content.
    #[must_use]
    pub fn reason(&self) -> String {
        let Self::Evaluate(error) = self else { return self.to_string() };
        let text = match **error {
            ExecutionError::NoSuchKey(_)
            | ExecutionError::NoSuchOverload(_)
            | ExecutionError::UnexpectedType { .. }
            | ExecutionError::InvalidArgumentCount { .. } => error.to_string(),
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
                "a division by zero".to_owned()
            }
            ExecutionError::Overflow(operator, ..) => format!("an overflow of '{operator}'"),
            ExecutionError::IndexOutOfBounds(_) => "an index beyond the end of a list".to_owned(),
            ExecutionError::FunctionError { ref function, .. } => format!("'{function}' failed"),
            _ => "values of types that the expression does not take".to_owned(),
        };
        text.chars().take(MAX_REASON).collect()
    }
}

impl Condition {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What is wrong and at which line and column: syntax, unknown variables, unknown functions, a
    /// result or an operand of `&&`, `||`, `!` and `?` that can never be true or false.
    pub fn compile(text: &str) -> Result<Self, ConditionError> {
        let env = Arc::new(Env::stdlib());
        bounded(text)?;
        let program = env.compile(text).map_err(|errors| syntax(&errors))?;
        let used = check::names(&program).map_err(ConditionError::Compile)?;
        types::boolean(&program).map_err(ConditionError::Compile)?;
        let needs_trace = variables::OF_TRACES.iter().any(|name| used.contains(name));
        Ok(Self { text: text.to_owned(), program, env, needs_trace })
    }

    /// Whether the expression names `spans`, `errors` or `root`, which one item does not have.
    #[must_use]
    pub const fn needs_trace(&self) -> bool {
        self.needs_trace
    }

    /// The text that it was compiled from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the item meets the condition.
    ///
    /// # Errors
    /// The expression has no answer for this item: a missing key, types that do not fit, a trace
    /// variable asked of one item; or the answer is not a truth value. What to do then is the
    /// caller's decision, and the caller's to count.
    pub fn evaluate(&self, item: &ConditionSubject<'_, '_>) -> Result<bool, ConditionError> {
        let mut context = Context::with_env(Arc::clone(&self.env));
        context.set_variable_resolver(item);
        let value = Value::resolve_val(self.program.expression(), &context)
            .map_err(|error| ConditionError::Evaluate(Box::new(error)))?;
        value
            .downcast_ref::<CelBool>()
            .map(|answer| *answer.inner())
            .ok_or_else(|| ConditionError::NotBool(value.get_type().name().to_owned()))
    }
}

impl std::fmt::Debug for Condition {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Condition").field(&self.text).finish()
    }
}

/// Refuses what would make the parser recurse deeply: it keeps a large frame for every bracket,
/// prefix operator and conditional.
fn bounded(text: &str) -> Result<(), ConditionError> {
    if text.len() > MAX_LENGTH {
        let problem = format!("the expression is longer than {MAX_LENGTH} bytes");
        return Err(ConditionError::Compile(problem));
    }
    let (mut open, mut prefixes, mut conditionals) = (0_usize, 0_usize, 0_usize);
    for character in text.chars() {
        match character {
            '(' | '[' | '{' => open = open.saturating_add(1),
            ')' | ']' | '}' => open = open.saturating_sub(1),
            '!' | '-' => prefixes = prefixes.saturating_add(1),
            '?' => conditionals = conditionals.saturating_add(1),
            _ if character.is_whitespace() => {}
            _ => prefixes = 0,
        }
        if open.saturating_add(prefixes).saturating_add(conditionals) > MAX_NESTING {
            let problem = format!("the expression is nested deeper than {MAX_NESTING} levels");
            return Err(ConditionError::Compile(problem));
        }
    }
    Ok(())
}

fn syntax(errors: &cel::ParseErrors) -> ConditionError {
    let messages = errors.errors.iter().map(|error| {
        let (line, column) = error.pos;
        let first = error.msg.lines().next().unwrap_or_default();
        format!("line {line}, column {column}: {first}")
    });
    ConditionError::Compile(messages.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests;
