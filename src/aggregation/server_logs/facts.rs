//! Server facts: what one log says.

use super::format::ServerLogFormat;
use super::measures::ServerMeasure;
use crate::codec::msgpack::f64;
use crate::codec::records::edit::Pairs;

/// What a log says.
#[expect(clippy::large_enum_variant, reason = "it lives on the stack while one log is read")]
#[derive(Debug)]
pub(super) enum LogFacts<'t> {
    /// Something of a model server and its requests.
    Server(ServerFacts<'t>),
    /// A call of a model with its tokens, as the attributes of an event.
    Call(ServerLogFormat, Pairs),
    /// It is of a known kind, and what is to be measured cannot be read.
    Incomplete,
    /// It is longer than what is read.
    TooLong,
}

/// What a log of a model server says.
#[derive(Debug)]
pub(super) struct ServerFacts<'t> {
    pub(super) format: ServerLogFormat,
    /// Which engine of the server it is about; empty where that is not said.
    pub(super) engine: &'t str,
    /// The operation of the conventions; empty where that is not said.
    pub(super) operation: &'static str,
    /// Why the request failed; empty if it did not.
    pub(super) error: &'t str,
    /// Why the answer ended; empty where that is not said.
    pub(super) finish_reason: &'t str,
    values: [Option<f64>; ServerMeasure::ALL.len()],
}

impl<'t> ServerFacts<'t> {
    pub(super) const fn new(format: ServerLogFormat) -> Self {
        Self {
            format,
            engine: "",
            operation: "",
            error: "",
            finish_reason: "",
            values: [None; ServerMeasure::ALL.len()],
        }
    }

    /// Notes a value, if there is one; `None` if there is none.
    pub(super) fn set(&mut self, measure: ServerMeasure, value: Option<f64>) -> Option<()> {
        let value = value.filter(|value| value.is_finite() && *value >= 0.0)?;
        *self.values.get_mut(measure as usize)? = Some(value);
        Some(())
    }

    /// Notes that a request ended, with an error if there is one.
    pub(super) fn request(&mut self, operation: &'static str, error: &'t str) {
        (self.operation, self.error) = (operation, error);
        self.set(ServerMeasure::Requests, Some(1.0));
        if !error.is_empty() {
            self.set(ServerMeasure::Errors, Some(1.0));
        }
    }

    /// Notes why an answer ended, if that is a reason as engines have them.
    pub(super) fn finish(&mut self, reason: &'t str) {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        if !reason.is_empty() && reason.len() <= 32 && reason.bytes().all(is_name) {
            self.finish_reason = reason;
            self.set(ServerMeasure::FinishReasons, Some(1.0));
        }
    }

    /// The values that are said.
    pub(super) fn values(&self) -> impl Iterator<Item = (ServerMeasure, f64)> + '_ {
        let values = ServerMeasure::ALL.into_iter().zip(&self.values);
        values.filter_map(|(measure, value)| Some((measure, (*value)?)))
    }

    /// The attributes of the points of a measure.
    pub(super) fn attributes(&self, measure: ServerMeasure) -> Pairs {
        let mut pairs = Pairs::new();
        let error = match measure {
            ServerMeasure::Errors | ServerMeasure::Duration => self.error,
            _ => "",
        };
        let reason = match measure {
            ServerMeasure::FinishReasons => self.finish_reason,
            _ => "",
        };
        let (_, part) = measure.metric();
        for (key, value) in [
            ("fluentbit.ai.server.engine", self.format.name()),
            ("engine", self.engine),
            ("gen_ai.operation.name", self.operation),
            ("error.type", error),
            ("fluentbit.ai.finish_reason", reason),
        ]
        .into_iter()
        .chain(part)
        {
            if !value.is_empty() {
                pairs.text(key, value);
            }
        }
        pairs
    }
}

/// Adds a number, if there is one.
pub(super) fn number(pairs: &mut Pairs, key: &str, value: Option<f64>) {
    if let Some(value) = value {
        f64(pairs.key(key), value);
    }
}
