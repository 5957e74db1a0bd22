//! Visitor: redacting the strings of an encoded record where they stand.

use super::redact::{FindingSource, KeyRole, Redactor};
use crate::codec::msgpack::{self, MapView, Reader, Token, before, elements};
use crate::codec::records::layout::keys;
use crate::codec::records::{Event, Item, Patch, is_metric_data};
use crate::model::Signal;

/// How deep maps and arrays are told apart. Below that, keys are redacted like values.
const MAX_DEPTH: usize = 64;

/// An open map or array.
#[derive(Clone, Copy)]
struct Open<'a> {
    /// Objects still to come: keys and values, or elements.
    left: u64,
    map: bool,
    role: KeyRole,
    /// Whether the role holds for all that is inside.
    holds: bool,
    /// Of a map, its header and how many pairs that promises.
    header: &'a [u8],
    pairs: u32,
    /// Pairs that go.
    dropped: u32,
    /// What there is from the last key on, and whether its value may not go.
    key: &'a [u8],
    stays: bool,
}

impl<'a> Open<'a> {
    const fn new(left: u64, role: KeyRole) -> Self {
        let (map, holds, header, key) = (false, role.holds_inside(), &[], &[]);
        Self { left, map, role, holds, header, pairs: 0, dropped: 0, key, stays: false }
    }

    fn map(pairs: u32, role: KeyRole, header: &'a [u8]) -> Self {
        Self { map: true, header, pairs, ..Self::new(u64::from(pairs) * 2, role) }
    }

    /// Makes the header of a map right that lost pairs.
    fn close(self, patch: &mut Patch) {
        if self.dropped > 0 {
            patch.replace(self.header, |out| {
                msgpack::map_header(out, self.pairs.saturating_sub(self.dropped));
            });
        }
    }
}

/// Notes what is to be masked in a record, by the signal it carries.
pub(super) struct Masker<'a, F> {
    pub(super) redactor: &'a Redactor,
    pub(super) patch: &'a mut Patch,
    pub(super) count: F,
    /// How much of a log's body there is from the key on whose value stays whatever it is; 0 for
    /// none.
    body_key: usize,
}

impl<'m, F: FnMut(FindingSource)> Masker<'m, F> {
    pub(super) const fn new(redactor: &'m Redactor, patch: &'m mut Patch, count: F) -> Self {
        Self { redactor, patch, count, body_key: 0 }
    }

    /// Masks what the item says freely: of spans their name and attributes, the names and attributes
    /// of their events, the attributes of their links, and the status message; of logs the body and
    /// the attributes; of metrics the attributes of points and exemplars. Every pair is looked at, also
    /// of a key that a map has twice, of which the views show one.
    pub(super) fn item(&mut self, item: &Item<'_>) {
        match item.signal() {
            Signal::Traces => self.span(item.event.body),
            Signal::Metrics => self.metric(item.event.body),
            Signal::Profiles => {}
            Signal::Logs => self.log(&item.event),
        }
    }

    fn span(&mut self, body: &[u8]) {
        for entry in MapView::new(body) {
            match entry.key {
                keys::NAME | keys::ATTRIBUTES => self.value(entry.value, KeyRole::Free),
                keys::EVENTS | keys::LINKS => {
                    elements(entry.value).for_each(|part| self.named(part))
                }
                keys::STATUS => {
                    let errors = self.redactor.keys().errors();
                    let role = if errors { KeyRole::Denied } else { KeyRole::Free };
                    for message in values(entry.value, keys::STATUS_MESSAGE) {
                        self.value(message, role);
                    }
                }
                _ => {}
            }
        }
    }

    /// Masks the name and the attributes of an event or a link.
    fn named(&mut self, part: &[u8]) {
        for entry in MapView::new(part) {
            if matches!(entry.key, keys::NAME | keys::ATTRIBUTES) {
                self.value(entry.value, KeyRole::Free);
            }
        }
    }

    fn metric(&mut self, body: &[u8]) {
        let data = MapView::new(body).filter(|entry| is_metric_data(entry.key));
        for point in data.flat_map(|data| values(data.value, keys::DATA_POINTS)).flat_map(elements)
        {
            self.point(point);
        }
    }

    fn point(&mut self, point: &[u8]) {
        for entry in MapView::new(point) {
            match entry.key {
                keys::ATTRIBUTES => self.value(entry.value, KeyRole::Free),
                keys::EXEMPLARS => {
                    let of = |exemplar| values(exemplar, keys::FILTERED_ATTRIBUTES);
                    for attributes in elements(entry.value).flat_map(of) {
                        self.value(attributes, KeyRole::Free);
                    }
                }
                _ => {}
            }
        }
    }

    /// Masks the attributes of a resource and a scope that are in the metadata.
    pub(super) fn origin_of(&mut self, event: &Event<'_>) {
        values(event.metadata, keys::OTLP).for_each(|otlp| self.origin(otlp));
    }

    /// Masks the attributes of a resource and a scope that are in a map.
    pub(super) fn origin(&mut self, map: &[u8]) {
        for entry in MapView::new(map) {
            if matches!(entry.key, keys::RESOURCE | keys::SCOPE) {
                for attributes in values(entry.value, keys::ATTRIBUTES) {
                    self.value(attributes, KeyRole::Free);
                }
            }
        }
    }

    fn log(&mut self, event: &Event<'_>) {
        // A map of one pair may be the value of a body under a key of its own.
        if let [0x81, pair @ ..] = event.body
            && let Some(key) = event.otlp().and_then(|otlp| MapView::new(otlp).get(keys::BODY_KEY))
            && pair.starts_with(key)
        {
            self.body_key = pair.len();
        }
        self.value(event.body, KeyRole::Free);
        self.body_key = 0;
        for entry in MapView::new(event.metadata) {
            if entry.key != keys::OTLP {
                self.value(entry.value, self.redactor.role(entry.key));
                continue;
            }
            for attributes in values(entry.value, keys::ATTRIBUTES) {
                self.value(attributes, KeyRole::Free);
            }
        }
    }

    /// Masks every string value of an object, however deep it stands.
    fn value(&mut self, value: &[u8], role: KeyRole) {
        let mut reader = Reader::new(value);
        let mut open: Vec<Open<'_>> = Vec::new();
        let mut current = Open::new(1, role);
        loop {
            while current.left == 0 {
                current.close(self.patch);
                let Some(outer) = open.pop() else { return };
                current = outer;
            }
            let is_key = current.map && current.left.is_multiple_of(2);
            current.left -= 1;
            let start = reader.rest();
            if is_key {
                current.key = start;
                current.stays = false;
            }
            let Ok(token) = reader.token() else { break };
            let here = before(start, reader.rest());
            let inner = match token {
                Token::Str(key) if is_key => {
                    if !current.holds {
                        current.role = self.redactor.role(key);
                    }
                    current.stays = key == b"log" || start.len() == self.body_key;
                    continue;
                }
                Token::Str(text) => {
                    let pair = before(current.key, reader.rest());
                    self.text(text, here, pair, &mut current, msgpack::str_bytes);
                    continue;
                }
                Token::Bin(text) if !is_key && std::str::from_utf8(text).is_ok() => {
                    let pair = before(current.key, reader.rest());
                    self.text(text, here, pair, &mut current, msgpack::bin);
                    continue;
                }
                Token::Uint(_) | Token::Int(_) if !is_key => {
                    self.number(token, here, current.role);
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
        value: &[u8],
        pair: &[u8],
        current: &mut Open<'_>,
        write: fn(&mut Vec<u8>, &[u8]),
    ) {
        let (redactor, count) = (self.redactor, &mut self.count);
        let Some(masked) = redactor.text(text, current.role, count) else { return };
        if masked.is_empty() && current.map && !current.stays {
            current.dropped = current.dropped.saturating_add(1);
            self.patch.replace(pair, |_| {});
            return;
        }
        self.patch.replace(value, |out| write(out, &masked));
    }

    /// Puts 0 in the place of a number that is to go.
    fn number(&mut self, number: Token<'_>, value: &[u8], role: KeyRole) {
        let number = match number {
            Token::Uint(number) => Some(number),
            Token::Int(number) => u64::try_from(number).ok(),
            _ => None,
        };
        let found = number.and_then(|number| self.redactor.number(number, role));
        let Some(source) = found else { return };
        (self.count)(source);
        self.patch.replace(value, |out| msgpack::uint(out, 0));
    }
}

/// The values of all pairs of a map that have this key.
pub(super) fn values<'a>(map: &'a [u8], key: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    MapView::new(map).filter(move |entry| entry.key == key).map(|entry| entry.value)
}
