//! Our log lines -> the host's logger.

use std::ffi::c_int;

use super::detect::host;
use super::lend;
use super::symbols::required;
use crate::stats::LogLevel;

/// More than this the host's logger cuts off; cut here, so that no character is torn.
const MAX_LENGTH: usize = 2048;

/// The host's number for a level (`FLB_LOG_ERROR` and so on).
pub(super) const fn number(level: LogLevel) -> c_int {
    match level {
        LogLevel::Error => 1,
        LogLevel::Warn => 2,
        LogLevel::Info => 3,
        LogLevel::Debug => 4,
    }
}

/// Prints one line through the host, whatever levels are wanted. Nothing is printed where the
/// host has no logger: then there is no host.
pub(super) fn print(level: LogLevel, text: &str) {
    let Ok(host) = host() else { return print_to_unknown(level, text) };
    if let Ok(common) = required(&host.symbols.common) {
        print_with(*common, level, text);
    }
}

/// A host that we do not know may well have a logger all the same.
fn print_to_unknown(level: LogLevel, text: &str) {
    if let Ok(common) = super::symbols::CommonFunctions::load() {
        print_with(common, level, text);
    }
}

fn print_with(common: super::symbols::CommonFunctions, level: LogLevel, text: &str) {
    let text = lend::c_string(text.get(..text.floor_char_boundary(MAX_LENGTH)).unwrap_or(text));
    // SAFETY: the format takes exactly one string, and all strings end with a zero and outlive the
    // call; the host allows its logger on every thread.
    unsafe {
        (common.flb_log_print)(number(level), std::ptr::null(), 0, c"%s".as_ptr(), text.as_ptr());
    }
}
