//! Visitor context: what all visitors share, the output, the way to where they are, and what was
//! wrong.

use serde::de::Error;

use crate::codec::json::error::{FieldPath, JsonError, PathStep};

/// The state of one conversion.
pub(super) struct JsonReadContext<'o> {
    pub(super) out: &'o mut Vec<u8>,
    pub(super) path: FieldPath,
    /// How many values are around this one.
    pub(super) depth: u32,
    /// How long the output may get.
    limit: usize,
    over_limit: bool,
    in_item: bool,
    fault: Option<Fault>,
    /// The data points in this item so far.
    pub(super) points: usize,
    pub(super) rejected: usize,
    pub(super) reason: Option<String>,
    pub(super) misnamed: usize,
    pub(super) misnamed_first: Option<String>,
}

/// The name of a field in the protobuf files.
pub(super) fn snake_case(camel: &str) -> String {
    let mut snake = String::with_capacity(camel.len() + 4);
    for c in camel.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

struct Fault {
    path: String,
    problem: String,
}

impl<'o> JsonReadContext<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>, limit: usize) -> Self {
        Self {
            out,
            path: FieldPath::default(),
            depth: 0,
            limit,
            over_limit: false,
            in_item: false,
            fault: None,
            points: 0,
            rejected: 0,
            reason: None,
            misnamed: 0,
            misnamed_first: None,
        }
    }

    /// Notes that the name of a field of OTLP came in snake_case, so that it is ignored.
    #[cold]
    pub(super) fn misnamed(&mut self, should: &'static str) {
        self.misnamed += 1;
        if self.misnamed_first.is_none() {
            let path = self.path.text();
            let path = if path.is_empty() { String::new() } else { format!("{path}: ") };
            let given = snake_case(should);
            self.misnamed_first = Some(format!(
                "{path}'{given}' is ignored, as OTLP/JSON asks for unknown names; it is '{should}' \
                 there"
            ));
        }
    }

    /// Whether the item that is being read is bad already.
    #[inline]
    pub(super) const fn failed(&self) -> bool {
        self.fault.is_some()
    }

    /// Notes that the field which is being read is wrong.
    ///
    /// # Errors
    /// The field is not in an item, so that the whole request is wrong.
    #[cold]
    pub(super) fn fail<E: Error>(&mut self, problem: impl FnOnce() -> String) -> Result<(), E> {
        if self.fault.is_none() {
            self.fault = Some(Fault { path: self.path.text(), problem: problem() });
        }
        if self.in_item { Ok(()) } else { Err(E::custom("")) }
    }

    /// Looks at the limit of the output.
    ///
    /// # Errors
    /// It is passed.
    #[inline]
    pub(super) fn check_limit<E: Error>(&mut self) -> Result<(), E> {
        if self.out.len() <= self.limit {
            return Ok(());
        }
        self.over_limit = true;
        Err(E::custom(""))
    }

    /// Begins an item: what is wrong from here on is wrong with the item alone.
    pub(super) fn begin_item(&mut self) {
        self.in_item = true;
        self.points = 0;
    }

    /// Ends an item that was written from `mark` on: a bad one is taken back and counted. A bad
    /// item without data points counts as one.
    pub(super) fn end_item(&mut self, mark: usize) {
        self.in_item = false;
        if let Some(fault) = self.fault.take() {
            self.out.truncate(mark);
            self.rejected += self.points.max(1);
            if self.reason.is_none() {
                self.reason = Some(format!("{}: {}", fault.path, fault.problem));
            }
        }
    }

    /// The error of the request, where the parser stopped with `error`.
    #[cold]
    pub(super) fn error(&mut self, error: &serde_json::Error, limit: usize) -> JsonError {
        if self.over_limit {
            return JsonError::Limit(limit);
        }
        let fault = self.fault.take().filter(|_| error.is_data());
        let (path, problem) = match fault {
            Some(fault) => (fault.path, fault.problem),
            None => {
                let text = error.to_string();
                let problem = text.split(" at line ").next().unwrap_or_default();
                (self.path.text(), format!("not JSON: {problem}"))
            }
        };
        JsonError::Malformed { path, problem, line: error.line(), column: error.column() }
    }

    #[inline]
    pub(super) fn enter(&mut self, name: &'static str) {
        self.path.push(PathStep::Field(name));
    }

    #[inline]
    pub(super) fn enter_list(&mut self) {
        self.path.push(PathStep::Index(0));
    }
}
