//! Attribute rules: what an endpoint gets instead of the attributes as they are. Works on the
//! encoded request, so that it is the same for every kind of chunk. What is dropped, hashed or renamed
//! is so also in a span's events and links and a data point's exemplars. Pure: bytes in, bytes out.

use crate::codec::otlp::METRIC_DATA;
use crate::codec::wire::{self, NestedMessage, WireError, WireFields, WireValue, nested};
use crate::digest::Digest;
use crate::export::request::items::{attributes_field, pair_of, text_of};
use crate::model::Signal;

/// The name of an attribute: of the item (span, log record, data point) or of its resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeKey {
    /// Whether it is the resource's.
    pub of_resource: bool,
    /// The name; in a rule that drops, a `*` at its end stands for anything.
    pub name: String,
}

/// What happens to attributes: in this order they are dropped, hashed, renamed and added.
#[derive(Clone, Default)]
pub struct AttributeRules {
    /// Those that are left out.
    pub drop: Vec<AttributeKey>,
    /// Those whose values become their hash in hex, so that equal ones stay equal.
    pub hash: Vec<AttributeKey>,
    /// The hash, which may have a key.
    pub digest: Digest,
    /// Those that get another name, with it; an attribute that has it already gives way.
    pub rename: Vec<(AttributeKey, String)>,
    /// Those that are added, with their texts; an attribute of that name gives way.
    pub add: Vec<(AttributeKey, String)>,
}

impl std::fmt::Debug for AttributeRules {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AttributeRules").field("drop", &self.drop).finish_non_exhaustive()
    }
}

impl AttributeKey {
    /// Reads `resource.NAME` or `NAME`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix("resource.") {
            Some(name) => Self { of_resource: true, name: name.to_owned() },
            None => Self { of_resource: false, name: text.to_owned() },
        }
    }

    /// Whether it means the attribute of this name.
    #[must_use]
    pub fn is(&self, of_resource: bool, name: &[u8]) -> bool {
        if self.of_resource != of_resource {
            return false;
        }
        match self.name.strip_suffix('*') {
            Some(start) => name.starts_with(start.as_bytes()),
            None => self.name.as_bytes() == name,
        }
    }
}

/// Where a message has attributes.
#[derive(Clone, Copy)]
struct AttributeList {
    /// The field of its own.
    list: u32,
    of_resource: bool,
    /// The fields of messages inside that have some, and the fields of those.
    within: &'static [(u32, u32)],
    /// Whether attributes are added.
    adds: bool,
}

impl AttributeList {
    const RESOURCE: Self = Self { list: 1, of_resource: true, within: &[], adds: true };

    /// A span, a log record, or a data point of a metric whose data is in field `kind`.
    const fn item(signal: Signal, kind: u32) -> Self {
        let within: &'static [(u32, u32)] = match (signal, kind) {
            (Signal::Traces, _) => &[(11, 3), (13, 4)],
            (Signal::Metrics, 5 | 7) => &[(5, 7)],
            (Signal::Metrics, 9) => &[(8, 7)],
            (Signal::Metrics, 10) => &[(11, 7)],
            _ => &[],
        };
        Self { list: attributes_field(signal, kind), of_resource: false, within, adds: true }
    }

    /// The message inside that is in this field.
    fn inside(&self, field: u32) -> Option<Self> {
        let found = self.within.iter().find(|(known, _)| *known == field);
        found.map(|(_, list)| Self { list: *list, within: &[], adds: false, ..*self })
    }
}

impl AttributeRules {
    /// Whether nothing happens.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.drop.is_empty()
            && self.hash.is_empty()
            && self.rename.is_empty()
            && self.add.is_empty()
    }

    /// The request with these rules applied. One that cannot be read is left as it is.
    pub(in crate::export) fn apply(&self, signal: Signal, request: &[u8]) -> Vec<u8> {
        if signal == Signal::Profiles {
            // Their attributes are in a dictionary that all of them share.
            return request.to_vec();
        }
        let mut out = Vec::with_capacity(request.len());
        let written = nested(&mut out, request, &mut |number, bytes, out| {
            (number == 1).then(|| self.resource(out, signal, bytes))
        });
        if written.is_ok() { out } else { request.to_vec() }
    }

    fn resource(&self, out: &mut Vec<u8>, signal: Signal, message: &[u8]) -> Result<(), WireError> {
        let mut has_resource = false;
        nested(out, message, &mut |number, bytes, out| match number {
            1 => {
                has_resource = true;
                Some(self.attributes(out, bytes, AttributeList::RESOURCE))
            }
            2 => Some(self.scope(out, signal, bytes)),
            _ => None,
        })?;
        if !has_resource && self.add.iter().any(|(key, _)| key.of_resource) {
            let resource = NestedMessage::open(out, 1, 64);
            self.attributes(out, &[], AttributeList::RESOURCE)?;
            resource.close(out);
        }
        Ok(())
    }

    fn scope(&self, out: &mut Vec<u8>, signal: Signal, message: &[u8]) -> Result<(), WireError> {
        nested(out, message, &mut |number, bytes, out| match (number, signal) {
            (2, Signal::Metrics) => Some(self.metric(out, bytes)),
            (2, _) => Some(self.attributes(out, bytes, AttributeList::item(signal, 0))),
            _ => None,
        })
    }

    fn metric(&self, out: &mut Vec<u8>, message: &[u8]) -> Result<(), WireError> {
        nested(out, message, &mut |kind, data, out| {
            let list_in = AttributeList::item(Signal::Metrics, kind);
            METRIC_DATA.contains(&kind).then(|| {
                nested(out, data, &mut |number, point, out| {
                    (number == 1).then(|| self.attributes(out, point, list_in))
                })
            })
        })
    }

    /// A message that has attributes.
    fn attributes(
        &self,
        out: &mut Vec<u8>,
        message: &[u8],
        list_in: AttributeList,
    ) -> Result<(), WireError> {
        let AttributeList { list, of_resource, adds, .. } = list_in;
        let present = |wanted: &AttributeKey| {
            let mut fields = WireFields::new(message);
            std::iter::from_fn(|| fields.read().ok().flatten()).any(|field| match field.value {
                WireValue::Bytes(pair) if field.number == list => {
                    wanted.is(of_resource, pair_of(pair).0)
                }
                _ => false,
            })
        };
        let gives_way = |name: &[u8]| {
            let added = adds && self.add.iter().any(|(key, _)| key.is(of_resource, name));
            let renamed = self.rename.iter().any(|(old, new)| {
                old.of_resource == of_resource && new.as_bytes() == name && present(old)
            });
            added || renamed || self.drop.iter().any(|key| key.is(of_resource, name))
        };
        let mut fields = WireFields::new(message);
        while let Some(field) = fields.read()? {
            let WireValue::Bytes(pair) = field.value else {
                out.extend_from_slice(field.raw);
                continue;
            };
            if let Some(inside) = list_in.inside(field.number) {
                let open = NestedMessage::open(out, field.number, pair.len());
                self.attributes(out, pair, inside)?;
                open.close(out);
                continue;
            }
            if field.number != list {
                out.extend_from_slice(field.raw);
                continue;
            }
            let (name, value) = pair_of(pair);
            let renamed = self.rename.iter().find(|(old, _)| old.is(of_resource, name));
            let dropped = self.drop.iter().any(|key| key.is(of_resource, name));
            if dropped || (renamed.is_none() && gives_way(name)) {
                continue;
            }
            let hashed = self.hash.iter().any(|key| key.is(of_resource, name));
            match (renamed, hashed) {
                (None, false) => out.extend_from_slice(field.raw),
                (renamed, hashed) => {
                    let name = renamed.map_or(name, |(_, new)| new.as_bytes());
                    let hash = hashed.then(|| self.hash_of(value));
                    write_pair(out, list, name, value, hash.as_deref());
                }
            }
        }
        let added = self.add.iter().filter(|(key, _)| adds && key.of_resource == of_resource);
        for (key, text) in added {
            write_pair(out, list, key.name.as_bytes(), &[], Some(text));
        }
        Ok(())
    }

    /// The hash of a value: of its text, or of its encoded form where it has none.
    fn hash_of(&self, value: &[u8]) -> String {
        let text = text_of(value);
        let bytes = text.as_deref().map_or(value, str::as_bytes);
        self.digest.hex(bytes)
    }
}

/// Writes a `KeyValue` with an encoded value, or with a text instead.
fn write_pair(out: &mut Vec<u8>, list: u32, name: &[u8], value: &[u8], text: Option<&str>) {
    let pair = NestedMessage::open(out, list, name.len().saturating_add(value.len()));
    wire::bytes(out, 1, name);
    match text {
        None => wire::bytes(out, 2, value),
        Some(text) => {
            let value = NestedMessage::open(out, 2, text.len());
            wire::bytes(out, 1, text.as_bytes());
            value.close(out);
        }
    }
    pair.close(out);
}

#[cfg(test)]
mod tests;
