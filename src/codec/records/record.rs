//! Log events as Fluent Bit writes them: the values that all readers and writers of records share.

use super::layout::{EVENT_HEAD, GROUP_END, GROUP_START};
use crate::codec::msgpack::{ReadError, Reader, Token};

/// The time of a log event, as Fluent Bit writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventTime {
    /// Seconds since the Unix epoch; group markers have `u32::MAX` or `u32::MAX - 1`.
    pub seconds: u32,
    /// Nanoseconds within the second.
    pub nanos: u32,
}

impl EventTime {
    /// The time as nanoseconds since the Unix epoch.
    #[must_use]
    pub fn unix_nanos(self) -> u64 {
        u64::from(self.seconds) * 1_000_000_000 + u64::from(self.nanos)
    }

    /// The event time of a moment, for writing. What lies after January 2038 becomes the last second
    /// that every release reads as a time: before 5.1 the host takes seconds for signed 32 bits and
    /// negative ones for a broken mark of a group, with which it ends a chunk (3.1 to 4.1) or leaves
    /// out the record (4.2 and 5.0). The exact time is in the record.
    #[must_use]
    pub fn from_unix_nanos(unix_nanos: u64) -> Self {
        let seconds = u32::try_from(unix_nanos / 1_000_000_000).unwrap_or(u32::MAX);
        let nanos = u32::try_from(unix_nanos % 1_000_000_000).unwrap_or(0);
        Self { seconds: seconds.min(i32::MAX.unsigned_abs()), nanos }
    }
}

/// What an event is to Fluent Bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A record.
    Record,
    /// The start of a group: its metadata and body hold for the records that follow.
    GroupStart,
    /// The end of a group.
    GroupEnd,
}

/// The group that a record stands in: its encoded metadata and body maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group<'a> {
    /// For OTLP logs `{"schema": "otlp", "resource_id": n, "scope_id": n}`.
    pub metadata: &'a [u8],
    /// For OTLP logs `{"resource": {...}, "scope": {...}}`.
    pub body: &'a [u8],
}

/// One log event of a chunk; all slices are encoded msgpack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// The whole event.
    pub raw: &'a [u8],
    /// What it is.
    pub kind: EventKind,
    /// Its time.
    pub time: EventTime,
    /// Its metadata map; an empty slice in the legacy form `[time, body]`.
    pub metadata: &'a [u8],
    /// Its body, in general a map.
    pub body: &'a [u8],
    /// The group that it stands in.
    pub group: Option<Group<'a>>,
}

/// How a span ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StatusCode {
    /// Not given.
    #[default]
    Unset,
    /// Said to be all right.
    Ok,
    /// An error.
    Error,
}

/// Appends the start of an event, up to its metadata.
#[inline]
pub fn event_head(out: &mut Vec<u8>, time: EventTime) {
    let [a, b, c, d] = time.seconds.to_be_bytes();
    let [e, f, g, h] = time.nanos.to_be_bytes();
    let [w, x, y, z] = EVENT_HEAD;
    out.extend_from_slice(&[w, x, y, z, a, b, c, d, e, f, g, h]);
}

/// The time of the event that `events` begins with, and what follows it, if it is a record's and in
/// the form in which we and Fluent Bit write it.
#[inline]
pub(super) fn record_time(events: &[u8]) -> Option<(EventTime, &[u8])> {
    let rest = events.strip_prefix(&EVENT_HEAD)?;
    let (time, rest) = rest.split_first_chunk::<8>()?;
    let [a, b, c, d, e, f, g, h] = *time;
    let seconds = u32::from_be_bytes([a, b, c, d]);
    if seconds >= GROUP_END {
        return None;
    }
    Some((EventTime { seconds, nanos: u32::from_be_bytes([e, f, g, h]) }, rest))
}

/// Fluent Bit's event time (extension type 0), or a number of seconds in the legacy forms.
#[inline]
pub(super) fn event_time(token: Token<'_>) -> Result<EventTime, ReadError> {
    Ok(match token {
        Token::Ext(_, &[a, b, c, d, e, f, g, h]) => EventTime {
            seconds: u32::from_be_bytes([a, b, c, d]),
            nanos: u32::from_be_bytes([e, f, g, h]),
        },
        Token::Uint(seconds) => {
            let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
            EventTime { seconds: seconds.min(u32::MAX - 2), nanos: 0 }
        }
        Token::Int(_) => EventTime::default(),
        Token::Float(seconds) => {
            let time = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
            let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
            EventTime { seconds: seconds.min(u32::MAX - 2), nanos: time.subsec_nanos() }
        }
        _ => return Err(ReadError::Type),
    })
}

/// What an event is whose time, read from `token`, is `time`.
#[inline]
pub(super) fn event_kind(token: Token<'_>, time: EventTime) -> EventKind {
    match (token, time) {
        (Token::Ext(..), EventTime { seconds: GROUP_START, nanos: 0 }) | (Token::Int(-1), _) => {
            EventKind::GroupStart
        }
        (Token::Ext(..), EventTime { seconds: GROUP_END, nanos: 0 }) | (Token::Int(-2), _) => {
            EventKind::GroupEnd
        }
        _ => EventKind::Record,
    }
}

/// The integer that a float stands for, if it is one.
#[inline]
pub(super) fn integer(value: f64) -> Option<u64> {
    // 2^64 itself is the first float that does not fit.
    let fits = value.fract() == 0.0 && (0.0..18_446_744_073_709_551_616.0).contains(&value);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    fits.then_some(value as u64)
}

/// Skips the elements of a container whose token was read.
#[inline]
pub(super) fn skip_rest(reader: &mut Reader<'_>, token: Token<'_>) -> Result<(), ReadError> {
    let elements = match token {
        Token::Array(count) => u64::from(count),
        Token::Map(pairs) => u64::from(pairs) * 2,
        _ => 0,
    };
    for _ in 0..elements {
        reader.skip()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_written_time_is_negative_for_older_hosts() {
        let last = i32::MAX.unsigned_abs();
        for (seconds, written) in
            [(1, 1), (u64::from(last), last), (u64::from(last) + 1, last), (4_294_967_295, last)]
        {
            let time = EventTime::from_unix_nanos(seconds * 1_000_000_000 + 5);
            assert_eq!(time, EventTime { seconds: written, nanos: 5 });
        }
        assert_eq!(EventTime::from_unix_nanos(u64::MAX).seconds, last);
    }
}
