//! Redacting the strings of an encoded record where they stand.

use super::redact::{Detector, Redactor, Role};
use super::walk::{Patch, Place, Walker, find, items, pairs};
use crate::codec::msgpack::{self, Token};
use crate::model::Signal;

/// How deep maps and arrays are told apart. Below that, keys are redacted like values.
const MAX_DEPTH: usize = 64;

/// An open map or array.
#[derive(Clone, Copy)]
struct Open {
    /// Objects still to come: keys and values, or elements.
    left: u64,
    map: bool,
    role: Role,
}

/// Notes what is to be masked in a record, by the signal it carries.
pub(super) struct Masker<'a, F> {
    pub(super) redactor: &'a Redactor,
    pub(super) patch: &'a mut Patch,
    pub(super) count: F,
}

impl<F: FnMut(Detector)> Masker<'_, F> {
    /// Masks what the record says freely: of spans their attributes, those of their events and
    /// links, and the status message; of logs the body and the attributes. Metrics are left alone.
    pub(super) fn record(
        &mut self,
        record: &[u8],
        signal: Option<Signal>,
        metadata: Option<Place>,
        body: Place,
    ) {
        match signal {
            Some(Signal::Traces) => self.span(record, body),
            Some(Signal::Metrics | Signal::Profiles) => {}
            Some(Signal::Logs) | None => self.log(record, metadata, body),
        }
    }

    fn span(&mut self, record: &[u8], body: Place) {
        for pair in pairs(record, body) {
            match pair.key {
                b"attributes" => self.value(record, pair.value, Role::Free),
                b"events" | b"links" => {
                    for item in items(record, pair.value) {
                        if let Some(attributes) = find(record, item, b"attributes") {
                            self.value(record, attributes, Role::Free);
                        }
                    }
                }
                b"status" => {
                    if let Some(message) = find(record, pair.value, b"message") {
                        self.value(record, message, Role::Free);
                    }
                }
                _ => {}
            }
        }
    }

    fn log(&mut self, record: &[u8], metadata: Option<Place>, body: Place) {
        self.value(record, body, Role::Free);
        for pair in metadata.into_iter().flat_map(|metadata| pairs(record, metadata)) {
            if pair.key != b"otlp" {
                self.value(record, pair.value, Role::of(pair.key));
            } else if let Some(attributes) = find(record, pair.value, b"attributes") {
                self.value(record, attributes, Role::Free);
            }
        }
    }

    /// Masks every string value of the object at a place, however deep it stands.
    fn value(&mut self, record: &[u8], place: Place, role: Role) {
        let mut walker = Walker::at(record, place.start);
        let mut open: Vec<Open> = Vec::new();
        let mut current = Open { left: 1, map: false, role };
        loop {
            while current.left == 0 {
                let Some(outer) = open.pop() else { return };
                current = outer;
            }
            let is_key = current.map && current.left.is_multiple_of(2);
            current.left -= 1;
            let start = walker.position();
            let Ok(token) = walker.token() else { return };
            let inner = match token {
                Token::Str(key) if is_key => {
                    current.role = Role::of(key);
                    continue;
                }
                Token::Str(text) => {
                    self.text(text, Place { start, end: walker.position() }, current.role);
                    continue;
                }
                Token::Array(count) => Open { left: count.into(), map: false, role: current.role },
                Token::Map(pairs) => {
                    Open { left: u64::from(pairs) * 2, map: true, role: current.role }
                }
                _ => continue,
            };
            if open.len() < MAX_DEPTH {
                open.push(std::mem::replace(&mut current, inner));
            } else {
                current = Open {
                    left: current.left.saturating_add(inner.left),
                    map: false,
                    role: Role::Free,
                };
            }
        }
    }

    fn text(&mut self, text: &[u8], place: Place, role: Role) {
        let (redactor, count) = (self.redactor, &mut self.count);
        if let Some(masked) = redactor.text(text, role, count) {
            self.patch.replace(place, |out| {
                msgpack::str_bytes(out, &masked);
                Some(())
            });
        }
    }
}
