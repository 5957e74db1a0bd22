//! Attributes that are put on items: on spans and log records of OTLP beside theirs, on ordinary logs as
//! fields, which `multi_otlp` makes attributes of.

use crate::codec::msgpack::{Reader, Token, map_header, str_bytes};
use crate::codec::records::edit::Pairs;
use crate::codec::records::layout::keys;
use crate::codec::records::{Item, LogView, Patch};
use crate::model::Signal;

/// Where an item has its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AttributePlace<'a> {
    /// In this map.
    Map(&'a [u8]),
    /// In no map yet, which is to be a pair of this one.
    MissingIn(&'a [u8]),
    /// Nowhere: it is no item that has some.
    Nowhere,
}

impl<'a> AttributePlace<'a> {
    /// Where this item has them.
    pub(super) fn of(item: &Item<'a>) -> Self {
        match item.signal() {
            Signal::Traces => Self::in_map(item.span.attributes, item.event.body),
            Signal::Logs => Self::of_log(item),
            Signal::Metrics | Signal::Profiles => Self::Nowhere,
        }
    }

    fn of_log(item: &Item<'a>) -> Self {
        let event = &item.event;
        match (event.otlp(), item.telemetry) {
            (Some(otlp), Some(said)) if !said.is_ordinary(event) => {
                Self::in_map(LogView::new(otlp).attributes, otlp)
            }
            _ if is_map(event.body) => Self::Map(event.body),
            _ => Self::Nowhere,
        }
    }

    fn in_map(attributes: &'a [u8], around: &'a [u8]) -> Self {
        if attributes.is_empty() { Self::MissingIn(around) } else { Self::Map(attributes) }
    }

    /// The map of attributes; an empty slice if there is none.
    pub(super) const fn map(self) -> &'a [u8] {
        match self {
            Self::Map(map) => map,
            Self::MissingIn(_) | Self::Nowhere => &[],
        }
    }
}

fn is_map(value: &[u8]) -> bool {
    matches!(Reader::new(value).token(), Ok(Token::Map(_)))
}

/// Appends the item with further attributes, which it must not have.
pub(super) fn write_with(item: &Item<'_>, pairs: &Pairs, patch: &mut Patch, out: &mut Vec<u8>) {
    patch.begin(item.event.raw);
    match AttributePlace::of(item) {
        AttributePlace::Map(map) => {
            patch.edit_map(map, 0, pairs.len(), |out| out.extend_from_slice(pairs.encoded()));
        }
        AttributePlace::MissingIn(around) => patch.edit_map(around, 0, 1, |out| {
            str_bytes(out, keys::ATTRIBUTES);
            map_header(out, pairs.len());
            out.extend_from_slice(pairs.encoded());
        }),
        AttributePlace::Nowhere => {}
    }
    patch.apply(item.event.raw, out);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::codec::records::testing::{SpanRecord, log_event};
    use crate::codec::records::{ItemReader, ItemStep};

    fn with(chunk: &[u8]) -> Vec<Value> {
        let Some(ItemStep::Item(item)) = ItemReader::new(chunk).step(&mut ()) else { panic!() };
        let mut pairs = Pairs::new();
        pairs.text("user.id", "u");
        let mut out = Vec::new();
        write_with(&item, &pairs, &mut Patch::default(), &mut out);
        let Some(ItemStep::Item(item)) = ItemReader::new(&out).step(&mut ()) else { panic!() };
        assert_eq!(item.event.raw.len(), out.len());
        assert_ne!(AttributePlace::of(&item).map(), b"");
        let json = |bytes: &[u8]| rmp_serde::from_slice::<Value>(bytes).unwrap();
        vec![json(item.event.metadata), json(item.event.body)]
    }

    #[test]
    fn every_kind_of_item_has_its_place() {
        let span = with(&SpanRecord::new(1, 2).encode());
        assert_eq!(span[1]["attributes"], json!({ "user.id": "u" }));
        let span = with(&SpanRecord::new(1, 2).with("a", "b").encode());
        assert_eq!(span[1]["attributes"], json!({ "a": "b", "user.id": "u" }));
        let ids = json!({ "otlp": { "trace_id": "0af7651916cd43dd8448eb211c80319c" } });
        let body = json!({ "log": "x" });
        let ordinary = with(&log_event(5, &ids, &body));
        assert_eq!(ordinary, [ids, json!({ "log": "x", "user.id": "u" })]);
        let record = json!({ "otlp": { "v": 1, "signal": "log" } });
        let log = with(&log_event(5, &record, &body));
        assert_eq!(log[0]["otlp"]["attributes"], json!({ "user.id": "u" }));
        assert_eq!(log[1], body);
        let record = json!({ "otlp": { "v": 1, "signal": "log", "attributes": { "a": 1 } } });
        let log = with(&log_event(5, &record, &body));
        assert_eq!(log[0]["otlp"]["attributes"], json!({ "a": 1, "user.id": "u" }));
    }
}
