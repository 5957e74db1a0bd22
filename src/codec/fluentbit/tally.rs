//! Tally with diagnostics: counts what was read, and says where and why something was not.

use std::fmt;

/// Why a field could not be read.
pub(super) type ReadFault = &'static str;

/// A field that could not be read; what it belongs to is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReadProblem {
    field: &'static str,
    what: ReadFault,
}

impl ReadProblem {
    pub(super) const fn new(field: &'static str, what: ReadFault) -> Self {
        Self { field, what }
    }
}

/// Names the field of an error.
pub(super) trait AtField<T> {
    fn at(self, field: &'static str) -> Result<T, ReadProblem>;
}

impl<T> AtField<T> for Result<T, ReadFault> {
    fn at(self, field: &'static str) -> Result<T, ReadProblem> {
        self.map_err(|what| ReadProblem { field, what })
    }
}

/// A position in a chunk: a context, and the indexes of the lists down from there.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadPosition {
    context: usize,
    steps: [(&'static str, usize); 5],
    depth: usize,
}

impl ReadPosition {
    pub(super) const fn context(context: usize) -> Self {
        Self { context, steps: [("", 0); 5], depth: 0 }
    }

    /// The element `index` of the list `name` at this position.
    pub(super) fn with(mut self, name: &'static str, index: usize) -> Self {
        if let Some(step) = self.steps.get_mut(self.depth) {
            *step = (name, index);
            self.depth = self.depth.saturating_add(1);
        }
        self
    }
}

impl fmt::Display for ReadPosition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "context {}", self.context)?;
        for (number, (name, index)) in self.steps.iter().take(self.depth).enumerate() {
            let separator = if number == 0 { ": " } else { "." };
            write!(formatter, "{separator}{name}[{index}]")?;
        }
        Ok(())
    }
}

/// What came out of a chunk so far.
#[derive(Debug, Default)]
pub(super) struct ReadTally {
    pub(super) items: usize,
    pub(super) contexts: usize,
    pub(super) skipped: usize,
    pub(super) reason: Option<String>,
}

impl ReadTally {
    /// Counts one thing that could not be read; the first one's reason is kept.
    pub(super) fn skip(&mut self, position: ReadPosition, bad: ReadProblem) {
        self.skip_many(1, position, bad);
    }

    /// Counts several things that could not be read for the same reason.
    pub(super) fn skip_many(&mut self, count: usize, position: ReadPosition, bad: ReadProblem) {
        self.skipped = self.skipped.saturating_add(count);
        if count > 0 && self.reason.is_none() {
            let ReadProblem { field, what } = bad;
            let separator = if field.is_empty() { ":" } else { ": " };
            self.reason = Some(format!("{position}{separator}{field} {what}"));
        }
    }
}
