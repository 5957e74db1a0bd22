//! Sessions: all traces of one conversation or session get the same randomness, so that every sampler
//! that goes by the tracestate decides about them alike.
//!
//! OpenTelemetry specification, "`TraceState` Handling", key `rv`: explicit randomness takes the place of
//! that of the trace id. It is not changed once it is there.

use memchr::memmem;

use super::threshold::Randomness;
use super::trace_cache::TraceCache;
use crate::codec::msgpack::{Reader, Token};
use crate::codec::records::{AttributeVisitor, ItemReader};
use crate::digest::Digest;
use crate::model::{Position, TraceId};

/// How many traces a head sampler remembers the session of.
const REMEMBERED: usize = 65_536;

/// Which attributes name a session, and how their values become randomness.
#[derive(Debug, Clone)]
pub struct SessionKeys {
    attributes: Vec<String>,
    digest: Digest,
}

/// An attribute of a span that names its session: its place in the list, and its encoded value.
pub(super) type SessionName<'a> = (usize, &'a [u8]);

impl SessionKeys {
    /// Attributes in the order of preference, and the key of the hash, if there is one.
    #[must_use]
    pub fn new(attributes: Vec<String>, key: Option<&[u8]>) -> Self {
        Self { attributes, digest: key.map_or_else(Digest::default, Digest::keyed) }
    }

    /// Takes in one attribute of a span.
    #[inline]
    pub(super) fn attribute<'a>(
        &self,
        name: &mut Option<SessionName<'a>>,
        key: &[u8],
        value: &'a [u8],
    ) {
        let Some(index) = self.attributes.iter().position(|wanted| wanted.as_bytes() == key) else {
            return;
        };
        if name.is_none_or(|(before, _)| index < before) {
            *name = Some((index, value));
        }
    }

    /// The randomness of a session: the first 56 bits of the hash of its text. Which attribute named it
    /// does not matter. `None` for what is neither text nor an integer, and for empty text.
    pub(super) fn randomness(&self, (_, value): SessionName<'_>) -> Option<Randomness> {
        let hash = match Reader::new(value).token().ok()? {
            Token::Str([]) => return None,
            Token::Str(text) => self.digest.of(text),
            Token::Uint(number) => self.digest.of(number.to_string().as_bytes()),
            Token::Int(number) => self.digest.of(number.to_string().as_bytes()),
            _ => return None,
        };
        Some(Randomness::of_hash(&hash))
    }
}

/// The sessions of traces whose spans come one by one.
#[derive(Debug)]
pub(super) struct TraceSessions {
    keys: SessionKeys,
    traces: TraceCache<Randomness>,
}

impl TraceSessions {
    pub(super) fn new(keys: SessionKeys) -> Self {
        Self { keys, traces: TraceCache::new(REMEMBERED) }
    }

    /// Takes in which traces of a chunk belong to which session. The first that a trace names counts.
    pub(super) fn learn(&mut self, chunk: &[u8], position: Position) {
        let mut attributes = self.keys.attributes.iter();
        if !attributes.any(|key| memmem::find(chunk, key.as_bytes()).is_some()) {
            return;
        }
        let mut visitor = NameVisitor { keys: &self.keys, name: None };
        let mut items = ItemReader::new(chunk);
        while let Some(step) = items.step(&mut visitor) {
            let name = visitor.name.take();
            let span = step.span().filter(|(_, telemetry)| !telemetry.is_past(position));
            let Some((name, id)) = name.zip(span.and_then(|(item, _)| item.span.trace_id())) else {
                continue;
            };
            if self.traces.get(id).is_none()
                && let Some(randomness) = self.keys.randomness(name)
            {
                self.traces.insert(id, randomness);
            }
        }
    }

    /// The randomness of the trace's session, if it is known.
    pub(super) fn of(&mut self, id: TraceId) -> Option<Randomness> {
        self.traces.get(id)
    }
}

struct NameVisitor<'k, 'a> {
    keys: &'k SessionKeys,
    name: Option<SessionName<'a>>,
}

impl<'a> AttributeVisitor<'a> for NameVisitor<'_, 'a> {
    #[inline]
    fn attribute(&mut self, key: &'a [u8], value: &'a [u8]) {
        self.keys.attribute(&mut self.name, key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_known_by_its_text() {
        let keys = |key: Option<&[u8]>| {
            SessionKeys::new(vec!["conversation".to_owned(), "session".to_owned()], key)
        };
        let plain = keys(None);
        let mut name = None;
        plain.attribute(&mut name, b"other", b"\xa1a");
        assert_eq!(name, None);
        plain.attribute(&mut name, b"session", b"\xa1b");
        plain.attribute(&mut name, b"conversation", b"\xa1a");
        plain.attribute(&mut name, b"session", b"\xa1c");
        assert_eq!(name, Some((0, &b"\xa1a"[..])), "by the order of the list");
        // FIPS 180-4's example for "abc", and RFC 4231, test case 2.
        let abc = plain.randomness((1, b"\xa3abc"));
        assert_eq!(abc, Randomness::parse(b"ba7816bf8f01cf"));
        assert_eq!(abc, plain.randomness((0, b"\xa3abc")), "whichever attribute says it");
        let keyed = keys(Some(b"Jefe"));
        let what = [&b"\xbc"[..], b"what do ya want for nothing?"].concat();
        assert_eq!(keyed.randomness((0, &what)), Randomness::parse(b"5bdcc146bf6075"));
        assert_eq!(plain.randomness((0, b"\x07")), plain.randomness((0, b"\xa17")));
        assert_eq!(plain.randomness((0, b"\xff")), plain.randomness((0, b"\xa2-1")));
        for odd in [&b"\xa0"[..], b"\xc0", b"\xc3", b"\x90", b""] {
            assert_eq!(plain.randomness((0, odd)), None);
        }
    }
}
