//! Failure policy: what becomes of what could not be searched for what is to be redacted.
//!
//! A filter that is to keep something in must not let through what it could not look into. So an
//! event that cannot be read is a failure, with a reason that is counted, and is dropped, kept aside
//! or passed as the user says.

use crate::codec::msgpack;
use crate::codec::records::edit::{Pairs, write_position};
use crate::codec::records::layout::{VERSION, keys};
use crate::codec::records::{EventKind, EventTime, Events, event_head};
use crate::model::{Position, Signal, listed_enum};

listed_enum! {
    /// Why something could not be searched.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum FailureReason {
        /// It is no event, or the chunk breaks off in it.
        Unreadable,
        /// It is a record in a newer layout than ours.
        NewerLayout,
        /// Values stand beside the record that cannot be read there.
        HiddenValues,
        /// It is a request of profiles, whose messages still change from release to release.
        Profiles,
        /// It came after a panic, which ended what would have searched it.
        Panic,
    }
}

impl FailureReason {
    /// The word for it in counters and in quarantined events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::NewerLayout => "newer_layout",
            Self::HiddenValues => "hidden_values",
            Self::Profiles => "profiles",
            Self::Panic => "panic",
        }
    }

    /// Its index in [`FailureReason::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// What becomes of what could not be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// It goes.
    #[default]
    Drop,
    /// It goes, and is handed over to be kept elsewhere.
    Quarantine,
    /// It stays as it is.
    Pass,
}

/// An event that could not be searched and is to be kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedEvent {
    /// Why.
    pub reason: FailureReason,
    /// The event as it was; not always one that can be read.
    pub event: Vec<u8>,
}

impl FailedEvent {
    /// Appends a log event that carries this one: its reason, the tag under which it came, and its
    /// bytes. It says that the filter at `position` emitted it, which leaves it alone then.
    pub fn write(&self, tag: &[u8], unix_nanos: u64, position: Position, out: &mut Vec<u8>) {
        event_head(out, EventTime::from_unix_nanos(unix_nanos));
        let mut pairs = Pairs::new();
        msgpack::uint(pairs.key(keys::VERSION), VERSION);
        pairs.text(keys::SIGNAL, Signal::Logs.item());
        write_position(position, &mut pairs);
        msgpack::map_header(out, 1);
        msgpack::str_bytes(out, keys::OTLP);
        pairs.write_map(out);
        msgpack::map_header(out, 3);
        msgpack::str(out, "reason");
        msgpack::str(out, self.reason.name());
        msgpack::str(out, "tag");
        msgpack::str_bytes(out, tag);
        msgpack::str(out, "event");
        msgpack::bin(out, &self.event);
    }
}

/// What is done with a chunk that no filter searches: where the filter that would search it is gone.
///
/// Events that the filter emitted itself stay, so that what it kept elsewhere arrives there. `fail`
/// gets the others. What stays, or `None` if all does.
#[must_use]
pub fn without_search(
    chunk: &[u8],
    position: Position,
    mut fail: impl FnMut(FailedEvent),
) -> Option<Vec<u8>> {
    let (mut kept, mut read, mut failed) = (Vec::new(), 0_usize, false);
    let mut fails = |event: &[u8]| {
        failed = true;
        fail(FailedEvent { reason: FailureReason::Panic, event: event.to_vec() });
    };
    for event in Events::new(chunk) {
        // What is no event has no end that could be told.
        let Ok(event) = event else { break };
        read = read.saturating_add(event.raw.len());
        let ours = || event.telemetry().and_then(|telemetry| telemetry.position);
        if event.kind != EventKind::Record || ours().is_some_and(|from| position.leaves_alone(from))
        {
            kept.extend_from_slice(event.raw);
        } else {
            fails(event.raw);
        }
    }
    let rest = chunk.get(read..).unwrap_or_default();
    if !rest.is_empty() {
        fails(rest);
    }
    failed.then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::MapView;

    const HERE: Position = Position { run: 7, after: 2 };

    #[test]
    fn a_failed_event_travels_in_one_that_can_be_read() {
        let failed = FailedEvent { reason: FailureReason::Unreadable, event: b"\xc1\xc1".to_vec() };
        let mut out = Vec::new();
        failed.write(b"app", 5_000_000_007, HERE, &mut out);
        let event = Events::new(&out).next().unwrap().unwrap();
        assert_eq!((event.time.seconds, event.time.nanos), (5, 7));
        assert_eq!(event.telemetry().unwrap().position, Some(HERE));
        let body = MapView::new(event.body);
        assert_eq!(body.get(b"reason"), Some(&b"\xaaunreadable"[..]));
        assert_eq!(body.get(b"tag"), Some(&b"\xa3app"[..]));
        assert_eq!(body.get(b"event"), Some(&b"\xc4\x02\xc1\xc1"[..]));
    }

    /// Scenario: a chunk with a record, one that we emitted, and an end that is broken. Guarantees:
    /// only our own stays.
    #[test]
    fn without_a_search_only_our_own_events_stay() {
        let theirs = [0x92, 0x92, 5, 0x80, 0x80];
        let mut ours = Vec::new();
        let failed = FailedEvent { reason: FailureReason::Panic, event: theirs.to_vec() };
        failed.write(b"app", 1, HERE, &mut ours);
        let mut earlier = Vec::new();
        failed.write(b"app", 1, Position { run: 7, after: 1 }, &mut earlier);
        let chunk = [&theirs[..], &ours, &earlier, b"\xc1\x01"].concat();
        let mut gone = Vec::new();
        let kept = without_search(&chunk, HERE, |failed| gone.push(failed.event));
        assert_eq!(kept.as_deref(), Some(&ours[..]));
        assert_eq!(gone, [&theirs[..], &earlier, b"\xc1\x01"]);
        assert_eq!(without_search(&ours, HERE, |_| panic!("none fails")), None);
    }
}
