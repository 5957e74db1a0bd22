//! Diagnostics: what the host says, log lines, and problems that make the run unclean.

use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use fluent_bit_ai::clock;

/// Levels as the host's logger numbers them.
pub(crate) const ERROR: i32 = 1;
/// See [`ERROR`].
pub(crate) const WARN: i32 = 2;
/// See [`ERROR`].
pub(crate) const INFO: i32 = 3;
/// See [`ERROR`].
pub(crate) const DEBUG: i32 = 4;

static LEVEL: AtomicI32 = AtomicI32::new(INFO);
static PROBLEMS: AtomicUsize = AtomicUsize::new(0);

/// Sets how much is logged.
pub(crate) fn set_level(level: i32) {
    LEVEL.store(level, Ordering::Relaxed);
}

/// Reads a level's name.
pub(crate) fn level_of(name: &str) -> Option<i32> {
    Some(match name.to_ascii_lowercase().as_str() {
        "off" => 0,
        "error" => ERROR,
        "warn" | "warning" => WARN,
        "info" => INFO,
        "debug" => DEBUG,
        "trace" => 5,
        _ => return None,
    })
}

/// Logs a line if its level is wanted.
pub(crate) fn line(level: i32, text: &str) {
    if level <= LEVEL.load(Ordering::Relaxed) {
        print(level, text);
    }
}

/// Logs a line whatever its level: plugins have asked the host's level themselves.
pub(crate) fn print(level: i32, text: &str) {
    let name = match level {
        ERROR => "error",
        WARN => " warn",
        INFO => " info",
        DEBUG => "debug",
        _ => "trace",
    };
    let nanos = clock::unix_nanos();
    eprintln!("[{}.{:03}] [{name}] {text}", nanos / 1_000_000_000, nanos / 1_000_000 % 1000);
}

/// Logs something that must not happen; the run ends with exit code 2.
pub(crate) fn problem(text: &str) {
    PROBLEMS.fetch_add(1, Ordering::Relaxed);
    print(ERROR, &format!("[flb-host] PROBLEM: {text}"));
}

/// How many problems there were.
pub(crate) fn problems() -> usize {
    PROBLEMS.load(Ordering::Relaxed)
}
