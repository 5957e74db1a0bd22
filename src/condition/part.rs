//! The events and links of a span as CEL values.

use cel::common::types::CelList;

use super::value::{CelFields, CelValue, int, lazy_map, text, value};
use crate::codec::msgpack::{MapView, elements, int_of};

/// An encoded empty map.
const EMPTY: &[u8] = &[0x80];

/// What a field is while the record does not have it.
#[derive(Debug, Clone, Copy)]
enum Default {
    Int,
    Text,
    Map,
}

const EVENT: [(&str, Default); 4] = [
    ("name", Default::Text),
    ("time_unix_nano", Default::Int),
    ("attributes", Default::Map),
    ("dropped_attributes_count", Default::Int),
];

const LINK: [(&str, Default); 6] = [
    ("trace_id", Default::Text),
    ("span_id", Default::Text),
    ("trace_state", Default::Text),
    ("flags", Default::Int),
    ("attributes", Default::Map),
    ("dropped_attributes_count", Default::Int),
];

/// One event or link: an encoded map, and the fields that it shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct EventOrLink<'a> {
    encoded: &'a [u8],
    fields: &'static [(&'static str, Default)],
}

impl<'a> EventOrLink<'a> {
    /// A field; `None` for other names.
    pub(super) fn field(&self, name: &str) -> Option<CelValue<'a>> {
        let (_, default) = self.fields.iter().find(|(known, _)| *known == name)?;
        let found = MapView::new(self.encoded).get(name.as_bytes());
        Some(match (default, found) {
            (Default::Map, found) => lazy_map(found.unwrap_or(EMPTY)),
            (Default::Int, found) => int(found.and_then(int_of).unwrap_or(0)),
            (Default::Text, Some(found)) => value(found),
            (Default::Text, None) => text(b""),
        })
    }
}

/// The events of a span, of an encoded array.
pub(super) fn events(encoded: &[u8]) -> CelValue<'_> {
    list(encoded, &EVENT)
}

/// The links of a span, of an encoded array.
pub(super) fn links(encoded: &[u8]) -> CelValue<'_> {
    list(encoded, &LINK)
}

fn list<'a>(encoded: &'a [u8], fields: &'static [(&'static str, Default)]) -> CelValue<'a> {
    let parts = elements(encoded).map(|encoded| EventOrLink { encoded, fields });
    let values = parts.map(|part| -> CelValue<'a> { Box::new(CelFields::EventOrLink(part)) });
    Box::new(CelList::from(values.collect::<Vec<_>>()))
}
