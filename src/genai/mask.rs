//! Visitor: redacting the strings of an encoded record where they stand.

use super::patch::{ByteRange, Cursor, Patch, data_points, find, items, pairs};
use super::redact::{FindingSource, KeyRole, Redactor};
use crate::codec::msgpack::{self, Token};
use crate::codec::records::layout::keys;
use crate::model::Signal;

/// How deep maps and arrays are told apart. Below that, keys are redacted like values.
const MAX_DEPTH: usize = 64;

/// An open map or array.
#[derive(Clone, Copy)]
struct Open {
    /// Objects still to come: keys and values, or elements.
    left: u64,
    map: bool,
    role: KeyRole,
    /// Whether the role holds for all that is inside.
    holds: bool,
    /// Of a map, where its header is and how many pairs that promises.
    header: ByteRange,
    pairs: u32,
    /// Pairs that go.
    dropped: u32,
    /// Where the last key starts, and whether its value may not go.
    key: usize,
    stays: bool,
}

impl Open {
    const fn new(left: u64, role: KeyRole) -> Self {
        let header = ByteRange { start: 0, end: 0 };
        let holds = role.holds_inside();
        Self { left, map: false, role, holds, header, pairs: 0, dropped: 0, key: 0, stays: false }
    }

    fn map(pairs: u32, role: KeyRole, header: ByteRange) -> Self {
        Self { map: true, header, pairs, ..Self::new(u64::from(pairs) * 2, role) }
    }

    /// Makes the header of a map right that lost pairs.
    fn close(self, patch: &mut Patch) {
        if self.dropped > 0 {
            patch.replace(self.header, |out| {
                msgpack::map_header(out, self.pairs.saturating_sub(self.dropped));
                Some(())
            });
        }
    }
}

/// Notes what is to be masked in a record, by the signal it carries.
pub(super) struct Masker<'a, F> {
    pub(super) redactor: &'a Redactor,
    pub(super) patch: &'a mut Patch,
    pub(super) count: F,
    /// Where the key of a log's body is whose value stays whatever it is; 0 for none.
    pub(super) body_key: usize,
}

impl<F: FnMut(FindingSource)> Masker<'_, F> {
    /// Masks what the record says freely: of spans their name and attributes, the names and
    /// attributes of their events, the attributes of their links, and the status message; of logs the
    /// body and the attributes; of metrics the attributes of points and exemplars.
    pub(super) fn record(
        &mut self,
        record: &[u8],
        signal: Option<Signal>,
        metadata: Option<ByteRange>,
        body: ByteRange,
    ) {
        match signal {
            Some(Signal::Traces) => self.span(record, body),
            Some(Signal::Metrics) => self.metric(record, body),
            Some(Signal::Profiles) => {}
            Some(Signal::Logs) | None => self.log(record, metadata, body),
        }
    }

    fn span(&mut self, record: &[u8], body: ByteRange) {
        for pair in pairs(record, body) {
            match pair.key {
                b"name" | b"attributes" => self.value(record, pair.value, KeyRole::Free),
                b"events" | b"links" => {
                    for item in items(record, pair.value) {
                        self.named(record, item);
                    }
                }
                b"status" => {
                    if let Some(message) = find(record, pair.value, b"message") {
                        let errors = self.redactor.keys().errors();
                        let role = if errors { KeyRole::Denied } else { KeyRole::Free };
                        self.value(record, message, role);
                    }
                }
                _ => {}
            }
        }
    }

    /// Masks the name and the attributes of an event or a link.
    fn named(&mut self, record: &[u8], item: ByteRange) {
        for pair in pairs(record, item) {
            if matches!(pair.key, b"name" | b"attributes") {
                self.value(record, pair.value, KeyRole::Free);
            }
        }
    }

    fn metric(&mut self, record: &[u8], body: ByteRange) {
        for point in data_points(record, body) {
            self.point(record, point);
        }
    }

    fn point(&mut self, record: &[u8], point: ByteRange) {
        for pair in pairs(record, point) {
            match pair.key {
                b"attributes" => self.value(record, pair.value, KeyRole::Free),
                b"exemplars" => {
                    for exemplar in items(record, pair.value) {
                        if let Some(attributes) = find(record, exemplar, b"filtered_attributes") {
                            self.value(record, attributes, KeyRole::Free);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Masks the attributes of a resource and a scope that are in the map at a place.
    pub(super) fn origin(&mut self, record: &[u8], map: ByteRange) {
        for pair in pairs(record, map) {
            if matches!(pair.key, keys::RESOURCE | keys::SCOPE)
                && let Some(attributes) = find(record, pair.value, keys::ATTRIBUTES)
            {
                self.value(record, attributes, KeyRole::Free);
            }
        }
    }

    fn log(&mut self, record: &[u8], metadata: Option<ByteRange>, body: ByteRange) {
        // A map of one pair may be the value of a body under a key of its own.
        self.body_key = 0;
        if body.of(record).first() == Some(&0x81)
            && let Some(otlp) = metadata.and_then(|metadata| find(record, metadata, keys::OTLP))
            && let Some(key) = find(record, otlp, keys::BODY_KEY)
            && let Some(after) = body.of(record).get(1..)
            && after.starts_with(key.of(record))
        {
            self.body_key = body.start.saturating_add(1);
        }
        self.value(record, body, KeyRole::Free);
        for pair in metadata.into_iter().flat_map(|metadata| pairs(record, metadata)) {
            if pair.key != keys::OTLP {
                self.value(record, pair.value, self.redactor.keys().role(pair.key));
            } else if let Some(attributes) = find(record, pair.value, b"attributes") {
                self.value(record, attributes, KeyRole::Free);
            }
        }
    }

    /// Masks every string value of the object at a place, however deep it stands.
    fn value(&mut self, record: &[u8], range: ByteRange, role: KeyRole) {
        let mut cursor = Cursor::at(record, range.start);
        let mut open: Vec<Open> = Vec::new();
        let mut current = Open::new(1, role);
        loop {
            while current.left == 0 {
                current.close(self.patch);
                let Some(outer) = open.pop() else { return };
                current = outer;
            }
            let is_key = current.map && current.left.is_multiple_of(2);
            current.left -= 1;
            let start = cursor.position();
            if is_key {
                current.key = start;
                current.stays = false;
            }
            let Ok(token) = cursor.token() else { break };
            let here = ByteRange { start, end: cursor.position() };
            let inner = match token {
                Token::Str(key) if is_key => {
                    if !current.holds {
                        current.role = self.redactor.keys().role(key);
                    }
                    current.stays = key == b"log" || start == self.body_key;
                    continue;
                }
                Token::Str(text) => {
                    self.text(text, here, &mut current, msgpack::str_bytes);
                    continue;
                }
                Token::Bin(text) if !is_key && std::str::from_utf8(text).is_ok() => {
                    self.text(text, here, &mut current, msgpack::bin);
                    continue;
                }
                Token::Uint(number) if !is_key => {
                    self.number(number, here, current.role);
                    continue;
                }
                Token::Int(number) if !is_key => {
                    if let Ok(number) = u64::try_from(number) {
                        self.number(number, here, current.role);
                    }
                    continue;
                }
                Token::Array(count) => Open::new(count.into(), current.role),
                Token::Map(pairs) => Open::map(pairs, current.role, here),
                _ => continue,
            };
            if open.len() < MAX_DEPTH {
                open.push(std::mem::replace(&mut current, inner));
            } else {
                current.left = current.left.saturating_add(inner.left);
                current.map = false;
                if !current.holds {
                    current.role = KeyRole::Free;
                }
            }
        }
        current.close(self.patch);
        open.into_iter().for_each(|outer| outer.close(self.patch));
    }

    /// Masks a text, written by `write`. A pair of a map goes if nothing is left of its value, except a
    /// log's body, which is the value of `log`, or of the record's own key, where the body is a text.
    fn text(
        &mut self,
        text: &[u8],
        range: ByteRange,
        current: &mut Open,
        write: fn(&mut Vec<u8>, &[u8]),
    ) {
        let (redactor, count) = (self.redactor, &mut self.count);
        let Some(masked) = redactor.text(text, current.role, count) else { return };
        if masked.is_empty() && current.map && !current.stays {
            current.dropped = current.dropped.saturating_add(1);
            self.patch.replace(ByteRange { start: current.key, end: range.end }, |_| Some(()));
            return;
        }
        self.patch.replace(range, |out| {
            write(out, &masked);
            Some(())
        });
    }

    /// Puts 0 in the place of a number that is to go.
    fn number(&mut self, number: u64, range: ByteRange, role: KeyRole) {
        let Some(source) = self.redactor.number(number, role) else { return };
        (self.count)(source);
        self.patch.replace(range, |out| {
            msgpack::uint(out, 0);
            Some(())
        });
    }
}
