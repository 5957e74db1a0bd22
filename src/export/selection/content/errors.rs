//! Error classifier: which items are of an error.

use crate::codec::msgpack::{MapView, int_of, text_of};
use crate::codec::records::{Event, LogView, SpanView, StatusCode, Telemetry};
use crate::model::Signal;

/// The lowest severity number of an error, by the logs data model, "Severity Fields".
const ERROR: i64 = 17;
/// Where ordinary logs say how bad it is.
const LEVELS: [&[u8]; 5] = [b"level", b"severity", b"log.level", b"levelname", b"severity_text"];
/// Beginnings of the severities of errors and worse.
const WORDS: [&str; 6] = ["err", "fatal", "crit", "alert", "emerg", "panic"];

/// A span whose status is an error, a log of the severity of an error.
pub(super) fn is_error(event: &Event<'_>, telemetry: Option<&Telemetry<'_>>) -> bool {
    let Some(telemetry) = telemetry else { return is_bad(event.body) };
    match telemetry.signal {
        Some(Signal::Traces) => SpanView::new(event.body).status_code() == StatusCode::Error,
        Some(Signal::Metrics | Signal::Profiles) => false,
        Some(Signal::Logs) | None => {
            let log = LogView::new(telemetry.otlp);
            match int_of(log.severity_number) {
                Some(severity) if severity > 0 => severity >= ERROR,
                _ => text_of(log.severity_text).is_some_and(is_word) || is_bad(event.body),
            }
        }
    }
}

fn is_bad(body: &[u8]) -> bool {
    let view = MapView::new(body);
    LEVELS.iter().any(|key| view.get(key).and_then(text_of).is_some_and(is_word))
}

fn is_word(word: &str) -> bool {
    let word = word.trim().to_ascii_lowercase();
    WORDS.iter().any(|start| word.starts_with(start))
}
