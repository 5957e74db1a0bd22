//! Errors with paths: what is wrong with a request, and where.

use std::fmt::Write as _;

/// A request that is not OTLP/JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It is not JSON, or what holds the items is wrong.
    #[error("{path}: {problem} (line {line}, column {column})")]
    Malformed {
        /// Where, as in `resourceSpans[0].scopeSpans[1].spans[3].startTimeUnixNano`.
        path: String,
        /// What is wrong.
        problem: String,
        /// The line, counted from 1.
        line: usize,
        /// The column in bytes, counted from 1; 0 is the end of the line before.
        column: usize,
    },
    /// The text is not UTF-8, which JSON has to be: RFC 8259, section 8.1.
    #[error("request: the JSON is not UTF-8 (at byte {0})")]
    Utf8(usize),
    /// The protobuf would be larger than the limit that was given.
    #[error("the request takes more than {0} bytes as protobuf")]
    Limit(usize),
}

/// A step on the way to a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum PathStep {
    Field(&'static str),
    Index(usize),
}

/// The way to the field that is being read.
#[derive(Debug, Default)]
pub(super) struct FieldPath {
    steps: Vec<PathStep>,
}

impl FieldPath {
    #[inline]
    pub(super) fn push(&mut self, step: PathStep) {
        self.steps.push(step);
    }

    #[inline]
    pub(super) fn pop(&mut self) {
        self.steps.pop();
    }

    /// Goes to the next element.
    #[inline]
    pub(super) fn advance(&mut self) {
        if let Some(PathStep::Index(index)) = self.steps.last_mut() {
            *index += 1;
        }
    }

    /// The text of it.
    #[cold]
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            match step {
                PathStep::Field(name) if text.is_empty() => text.push_str(name),
                PathStep::Field(name) => {
                    text.push('.');
                    text.push_str(name);
                }
                PathStep::Index(index) => write!(text, "[{index}]").unwrap_or_default(),
            }
        }
        if text.is_empty() { "request".to_owned() } else { text }
    }
}
