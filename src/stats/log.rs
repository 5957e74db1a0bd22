//! Log buffer: log lines from any thread, handed to the host's logger by the host layer on a host
//! thread.

use crate::sync::Mutex;
use std::collections::{HashMap, VecDeque};

/// How many lines wait at most; beyond that the oldest go.
const WAITING_LINES: usize = 256;
/// How many kinds of repeated lines are remembered at most.
const REPEATED_KINDS: usize = 1024;

/// The host's levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warn,
    /// Something worth knowing happened.
    Info,
    /// For the search for a fault.
    Debug,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How loud.
    pub level: LogLevel,
    /// What; one line, without the instance's name.
    pub text: String,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<LogLine>,
    repeated: HashMap<&'static str, u64>,
}

/// The log of one instance.
#[derive(Debug, Default)]
pub struct Log {
    inner: Mutex<Inner>,
}

impl Log {
    /// Logs an error.
    pub fn error(&self, text: impl Into<String>) {
        self.line(LogLevel::Error, text.into());
    }

    /// Logs a warning.
    pub fn warn(&self, text: impl Into<String>) {
        self.line(LogLevel::Warn, text.into());
    }

    /// Logs an information.
    pub fn info(&self, text: impl Into<String>) {
        self.line(LogLevel::Info, text.into());
    }

    /// Logs what happens often: the first time, then each time the number of occurrences is a
    /// power of two. `kind` is what is counted together.
    pub fn often(&self, level: LogLevel, kind: &'static str, text: impl FnOnce() -> String) {
        let count = {
            let mut inner = self.inner.lock();
            if inner.repeated.len() >= REPEATED_KINDS && !inner.repeated.contains_key(kind) {
                return;
            }
            let count = inner.repeated.entry(kind).or_default();
            *count = count.saturating_add(1);
            *count
        };
        if count.is_power_of_two() {
            let suffix = if count > 1 { format!(" ({count} times so far)") } else { String::new() };
            self.line(level, format!("{}{suffix}", text()));
        }
    }

    fn line(&self, level: LogLevel, text: String) {
        let mut inner = self.inner.lock();
        if inner.waiting.len() >= WAITING_LINES {
            inner.waiting.pop_front();
        }
        inner.waiting.push_back(LogLine { level, text });
    }

    /// Takes the waiting lines.
    #[must_use]
    pub fn take(&self) -> Vec<LogLine> {
        let mut inner = self.inner.lock();
        inner.waiting.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_often_is_logged_seldom() {
        let log = Log::default();
        for _ in 0..9 {
            log.often(LogLevel::Warn, "kind", || "it happened".to_owned());
        }
        let texts: Vec<String> = log.take().into_iter().map(|line| line.text).collect();
        assert_eq!(texts.len(), 4);
        assert_eq!(texts.first().map(String::as_str), Some("it happened"));
        assert_eq!(texts.last().map(String::as_str), Some("it happened (8 times so far)"));
    }
}
