//! Severity mapping: how severe a log is, in the common spellings.
//!
//! The numbers are those of the OpenTelemetry logs data model, section "Severity fields" and
//! appendix B, "SeverityNumber example mappings".

use super::super::fields;
use super::text::same;
use crate::codec::msgpack::{Entry, MapView, Token};
use crate::codec::wire;

/// What the numbers under a key mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// OpenTelemetry's 1 to 24.
    OpenTelemetry,
    /// Words mostly. Multiples of ten are Bunyan's and Pino's levels, 0 to 7 are GELF's, which are
    /// syslog's, and the others are OpenTelemetry's.
    Level,
    /// The numbers of Python's logging.
    Python,
    /// Syslog's 0 to 7, also with the facility before it as in `PRI`.
    Syslog,
}

fn scale(key: &[u8]) -> Option<Scale> {
    Some(match key {
        b"severityNumber" | b"SeverityNumber" | b"severity_number" => Scale::OpenTelemetry,
        b"severity" | b"Severity" | b"SEVERITY" | b"severity_text" | b"severityText"
        | b"SeverityText" | b"level" | b"Level" | b"LEVEL" | b"lvl" | b"loglevel" | b"logLevel"
        | b"LogLevel" | b"log_level" | b"log.level" | b"levelname" | b"level_name" => Scale::Level,
        b"levelno" => Scale::Python,
        b"priority" | b"PRIORITY" | b"Priority" | b"pri" => Scale::Syslog,
        _ => return None,
    })
}

/// Whether a key holds a severity.
pub(super) fn is_severity_key(key: &[u8]) -> bool {
    scale(key).is_some()
}

/// How severe a log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSeverity {
    /// OpenTelemetry's number, 1 to 24; 0 if the text is no name that is known.
    pub number: u8,
    /// The text, if there is one.
    pub text: Option<Vec<u8>>,
}

/// The severity that the keys of an encoded map say.
pub(super) fn severity_of(map: &[u8]) -> Option<LogSeverity> {
    let mut severity = FoundSeverity::default();
    for entry in MapView::new(map) {
        severity.read(&entry);
        severity.read_below(&entry);
    }
    let text = severity.text.map(<[u8]>::to_vec);
    (!severity.is_unknown()).then(|| LogSeverity { number: severity.number(), text })
}

/// Longer text is no name of a severity.
const MAX_LENGTH: usize = 32;

/// The severity, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct FoundSeverity<'a> {
    /// OpenTelemetry's own number.
    number: Option<u8>,
    /// Its encoded value.
    number_value: &'a [u8],
    /// A number of another scale.
    other: Option<u8>,
    /// The text.
    text: Option<&'a [u8]>,
    /// Its encoded value.
    text_value: &'a [u8],
}

impl<'a> FoundSeverity<'a> {
    /// Takes what a key says; the first of a kind counts.
    pub(super) fn read(&mut self, entry: &Entry<'a>) {
        let Some(scale) = scale(entry.key) else { return };
        let read = match fields::token(entry.value) {
            Token::Uint(number) => from_number(scale, number),
            Token::Int(number) => u64::try_from(number).ok().and_then(|n| from_number(scale, n)),
            Token::Str(text) => match digits(text) {
                Some(number) => from_number(scale, number),
                None => return self.read_text(scale, text, entry.value),
            },
            _ => None,
        };
        match (scale, read) {
            (Scale::OpenTelemetry, Some(number)) if self.number.is_none() => {
                (self.number, self.number_value) = (Some(number), entry.value);
            }
            (_, Some(number)) => self.other = self.other.or(Some(number)),
            (_, None) => {}
        }
    }

    /// Takes what the map says that Fluent Bit's kubernetes filter makes of JSON text by
    /// `Merge_Log_Key`.
    pub(super) fn read_below(&mut self, entry: &Entry<'a>) {
        if entry.key == b"log_processed" && self.is_unknown() {
            MapView::new(entry.value).for_each(|inner| self.read(&inner));
        }
    }

    /// Whether nothing is known.
    pub(super) fn is_unknown(&self) -> bool {
        self.number.is_none() && self.other.is_none() && self.text.is_none()
    }

    fn read_text(&mut self, scale: Scale, text: &'a [u8], value: &'a [u8]) {
        let known = from_text(text);
        // A "priority" of other words is a matter of urgency, not of severity.
        let takes_any = scale == Scale::Level && !text.is_empty() && text.len() <= MAX_LENGTH;
        let better = match self.text {
            None => true,
            Some(before) => known.is_some() && from_text(before).is_none(),
        };
        if better && (known.is_some() || takes_any) {
            (self.text, self.text_value) = (Some(text), value);
        }
    }

    /// Puts what is known from elsewhere first; a pair that says something else is not told.
    pub(super) fn outrank(&mut self, number: Option<u8>, text: Option<&'a [u8]>) {
        if number.is_some() && number != self.number {
            (self.number, self.number_value) = (number, &[]);
        }
        if text.is_some() && text != self.text {
            (self.text, self.text_value) = (text, &[]);
        }
    }

    /// Whether the pair says no more than the severity fields. Numbers of other scales are not.
    pub(super) fn has(&self, entry: &Entry<'_>) -> bool {
        let same_value = |value: &[u8]| !value.is_empty() && same(value, entry.value);
        same_value(self.number_value) || same_value(self.text_value)
    }

    /// OpenTelemetry's number; 0 if it is not known.
    fn number(&self) -> u8 {
        let named = || self.text.and_then(|text| from_text(text).or_else(|| from_digits(text)));
        self.number.or_else(named).or(self.other).unwrap_or(0)
    }

    /// Writes severity number and text.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        wire::nonzero(out, 2, u64::from(self.number()));
        wire::nonempty(out, 3, self.text.unwrap_or_default());
    }
}

/// The number for a value that is one, and whether it says all: numbers of other scales do not.
pub(super) fn number_of(value: &[u8]) -> Option<(u8, bool)> {
    let number = match fields::token(value) {
        Token::Uint(number) => number,
        Token::Int(number) => u64::try_from(number).ok()?,
        Token::Str(text) => digits(text)?,
        _ => return None,
    };
    match from_number(Scale::OpenTelemetry, number) {
        Some(own) => Some((own, true)),
        None => from_number(Scale::Level, number).map(|known| (known, false)),
    }
}

fn digits(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok())
}

/// The number of a text that is one on the scale of levels.
fn from_digits(text: &[u8]) -> Option<u8> {
    digits(text).and_then(|number| from_number(Scale::Level, number))
}

fn from_number(scale: Scale, number: u64) -> Option<u8> {
    let own = || u8::try_from(number).ok().filter(|number| (1..=24).contains(number));
    match scale {
        Scale::OpenTelemetry => own(),
        Scale::Syslog => syslog(number),
        Scale::Python => match number {
            1..10 => Some(1),
            10..20 => Some(5),
            20..30 => Some(9),
            30..40 => Some(13),
            40..50 => Some(17),
            50..=60 => Some(21),
            _ => None,
        },
        Scale::Level => match number {
            10 => Some(1),
            20 => Some(5),
            30 => Some(9),
            40 => Some(13),
            50 => Some(17),
            60 => Some(21),
            0..=7 => syslog(number),
            _ => own(),
        },
    }
}

/// Syslog's severities, RFC 5424 section 6.2.1; a priority value has the facility times 8 on top.
fn syslog(number: u64) -> Option<u8> {
    const NUMBERS: [u8; 8] = [21, 19, 18, 17, 13, 10, 9, 5];
    if number > 191 {
        return None;
    }
    NUMBERS.get(usize::try_from(number % 8).ok()?).copied()
}

/// The number of a name, of either case, or of its first letter; OpenTelemetry's names may have
/// their digit, as in `INFO2`. "Critical" is the fatal level of Python, .NET and Windows; syslog's
/// short "crit" is less.
fn from_text(text: &[u8]) -> Option<u8> {
    let mut lower = [0_u8; 16];
    let name = lower.get_mut(..text.trim_ascii().len())?;
    name.copy_from_slice(text.trim_ascii());
    name.make_ascii_lowercase();
    let number = match &*name {
        b"finest" | b"verbose" | b"silly" => 1,
        b"finer" | b"dbg" => 5,
        b"fine" => 6,
        b"config" => 7,
        b"information" | b"informational" | b"i" => 9,
        b"notice" => 10,
        b"warning" | b"w" => 13,
        b"err" | b"severe" | b"e" => 17,
        b"crit" | b"dpanic" => 18,
        b"alert" | b"panic" => 19,
        b"critical" | b"emergency" | b"emerg" | b"f" => 21,
        b"t" => 1,
        b"d" => 5,
        _ => return numbered(name),
    };
    Some(number)
}

fn numbered(name: &[u8]) -> Option<u8> {
    let (name, step) = match name.split_last() {
        Some((digit @ b'2'..=b'4', name)) => (name, digit.saturating_sub(b'1')),
        _ => (name, 0),
    };
    let first: u8 = match name {
        b"trace" => 1,
        b"debug" => 5,
        b"info" => 9,
        b"warn" => 13,
        b"error" => 17,
        b"fatal" => 21,
        _ => return None,
    };
    first.checked_add(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_numbers() {
        for (name, number) in [
            ("trace", 1),
            ("TRACE3", 3),
            ("Debug", 5),
            ("INFO", 9),
            ("info4", 12),
            ("notice", 10),
            ("WARN", 13),
            ("warning", 13),
            ("error", 17),
            ("ERR", 17),
            ("crit", 18),
            ("alert", 19),
            ("CRITICAL", 21),
            ("fatal", 21),
            ("emergency", 21),
            (" info ", 9),
            ("E", 17),
        ] {
            assert_eq!(from_text(name.as_bytes()), Some(number), "{name}");
        }
        for name in ["", "information overload", "info5", "2", "high"] {
            assert_eq!(from_text(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn numbers_have_their_scales() {
        assert_eq!(from_number(Scale::OpenTelemetry, 10), Some(10));
        assert_eq!(from_number(Scale::OpenTelemetry, 25), None);
        assert_eq!(from_number(Scale::Level, 30), Some(9));
        assert_eq!(from_number(Scale::Level, 3), Some(17));
        assert_eq!(from_number(Scale::Level, 17), Some(17));
        assert_eq!(from_number(Scale::Python, 30), Some(13));
        assert_eq!(from_number(Scale::Python, 0), None);
        assert_eq!(from_number(Scale::Syslog, 6), Some(9));
        assert_eq!(from_number(Scale::Syslog, 13 * 8 + 2), Some(18));
        assert_eq!(from_number(Scale::Syslog, 192), None);
    }
}
