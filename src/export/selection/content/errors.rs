//! Error classifier: which items are of an error.

use crate::codec::msgpack::{MapView, Reader, Token, text_of};
use crate::codec::records::layout::keys;
use crate::codec::records::{Event, Telemetry};
use crate::model::Signal;

/// The lowest severity number of an error, by the logs data model, "Severity Fields".
const ERROR: u64 = 17;
/// Where ordinary logs say how bad it is.
const LEVELS: [&[u8]; 5] = [b"level", b"severity", b"log.level", b"levelname", b"severity_text"];
/// Beginnings of the severities of errors and worse.
const WORDS: [&str; 6] = ["err", "fatal", "crit", "alert", "emerg", "panic"];

/// A span whose status is an error, a log of the severity of an error.
pub(super) fn is_error(event: &Event<'_>, telemetry: Option<&Telemetry<'_>>) -> bool {
    let Some(telemetry) = telemetry else { return is_bad(event.body) };
    match telemetry.signal {
        Some(Signal::Traces) => {
            let status = MapView::new(event.body).get(keys::STATUS);
            let code = status.and_then(|status| MapView::new(status).get(keys::STATUS_CODE));
            code.is_some_and(|code| text_of(code) == Some("error") || number(code) == Some(2))
        }
        Some(Signal::Metrics | Signal::Profiles) => false,
        Some(Signal::Logs) | None => {
            let otlp = MapView::new(telemetry.otlp);
            match otlp.get(b"severity_number").and_then(number) {
                Some(severity) if severity > 0 => severity >= ERROR,
                _ => {
                    otlp.get(b"severity_text").and_then(text_of).is_some_and(is_word)
                        || is_bad(event.body)
                }
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

fn number(value: &[u8]) -> Option<u64> {
    match Reader::new(value).token().ok()? {
        Token::Uint(number) => Some(number),
        Token::Int(number) => u64::try_from(number).ok(),
        _ => None,
    }
}
