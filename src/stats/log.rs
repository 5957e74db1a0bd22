//! Log buffer: log lines from any thread, handed to the host's logger by the host layer on a host
//! thread.

use std::collections::{HashMap, VecDeque};

use super::log_text::LogText;
use crate::clock;
use crate::sync::Mutex;

/// How many lines wait at most; beyond that the oldest go.
const WAITING_LINES: usize = 256;
/// How many kinds of repeated lines are remembered at most.
const REPEATED_KINDS: usize = 1024;
/// How many errors and warnings are kept at most where they are asked for.
const KEPT_LINES: usize = 20;
/// How much of each of them is kept, in bytes.
const KEPT_TEXT: usize = 500;

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

/// An error or a warning that was logged before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLine {
    /// When, in Unix nanoseconds.
    pub unix_nanos: u64,
    /// How loud.
    pub level: LogLevel,
    /// What we said, without what was quoted.
    pub text: String,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<LogLine>,
    repeated: HashMap<&'static str, u64>,
    /// The last errors and warnings, where they are asked for.
    kept: Option<Vec<KeptLine>>,
}

/// The log of one instance.
#[derive(Debug, Default)]
pub struct Log {
    inner: Mutex<Inner>,
}

impl Log {
    /// Logs an error.
    pub fn error(&self, text: impl Into<LogText>) {
        self.line(LogLevel::Error, text.into(), "");
    }

    /// Logs a warning.
    pub fn warn(&self, text: impl Into<LogText>) {
        self.line(LogLevel::Warn, text.into(), "");
    }

    /// Logs an information.
    pub fn info(&self, text: impl Into<LogText>) {
        self.line(LogLevel::Info, text.into(), "");
    }

    /// Logs what happens often: the first time, then each time the number of occurrences is a
    /// power of two. `kind` is what is counted together.
    pub fn often<T: Into<LogText>>(
        &self,
        level: LogLevel,
        kind: &'static str,
        text: impl FnOnce() -> T,
    ) {
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
            self.line(level, text().into(), &suffix);
        }
    }

    fn line(&self, level: LogLevel, text: LogText, suffix: &str) {
        let LogText { own, quoted } = text;
        let mut inner = self.inner.lock();
        if level <= LogLevel::Warn
            && let Some(kept) = &mut inner.kept
        {
            keep(kept, level, format!("{}{suffix}", own.trim_end_matches(": ")));
        }
        if inner.waiting.len() >= WAITING_LINES {
            inner.waiting.pop_front();
        }
        inner.waiting.push_back(LogLine { level, text: own + &quoted + suffix });
    }

    /// From now on the last errors and warnings are kept.
    pub fn keep(&self) {
        self.inner.lock().kept.get_or_insert_default();
    }

    /// The last errors and warnings, the newest at the end, if they are kept.
    #[must_use]
    pub fn kept(&self) -> Vec<KeptLine> {
        self.inner.lock().kept.clone().unwrap_or_default()
    }

    /// Takes the waiting lines.
    #[must_use]
    pub fn take(&self) -> Vec<LogLine> {
        let mut inner = self.inner.lock();
        inner.waiting.drain(..).collect()
    }
}

fn keep(kept: &mut Vec<KeptLine>, level: LogLevel, mut text: String) {
    if text.len() > KEPT_TEXT {
        text.truncate(text.floor_char_boundary(KEPT_TEXT));
        text.push_str("...");
    }
    if kept.len() >= KEPT_LINES {
        kept.remove(0);
    }
    kept.push(KeptLine { unix_nanos: clock::unix_nanos(), level, text });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_errors_are_kept_without_what_others_said() {
        let log = Log::default();
        log.error("before");
        assert!(log.kept().is_empty());
        log.keep();
        log.info("nothing wrong");
        for number in 0..30 {
            log.warn(LogText::quoting(format!("refused {number}: "), "a prompt"));
        }
        log.often(LogLevel::Error, "kind", || LogText::quoting("\u{20ac}".repeat(400), "a prompt"));
        let kept = log.kept();
        assert_eq!((kept.len(), kept[0].text.as_str()), (KEPT_LINES, "refused 11"));
        let last = &kept[KEPT_LINES - 1];
        assert!(last.text.ends_with("\u{20ac}...") && last.text.len() <= KEPT_TEXT + 3);
        assert_eq!(last.level, LogLevel::Error);
        let printed: Vec<String> = log.take().into_iter().map(|line| line.text).collect();
        assert_eq!(printed[2], "refused 0: a prompt");
        assert_eq!(printed.iter().filter(|text| text.ends_with("a prompt")).count(), 31);
    }

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
