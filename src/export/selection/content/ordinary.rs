//! Content in ordinary logs: what inputs such as tail write, and what parsers make of it.

use super::cleaned::Cleaned;
use crate::codec::msgpack::{Entry, MapView, text_of};
use crate::codec::records::Event;
use crate::codec::records::layout::keys;
use crate::export::selection::content::cleaner::Cleaner;
use crate::export::selection::content::maps::{PairEdit, edit_map, is_structure, with_pair};
use crate::genai::is_content_event;

/// What a log keeps whose event carries nothing but content: when it was, how bad, and where.
const SKELETON: [&[u8]; 24] = [
    b"time",
    b"timestamp",
    b"@timestamp",
    b"date",
    b"ts",
    b"level",
    b"severity",
    b"stream",
    b"logtag",
    b"_p",
    b"kubernetes",
    b"host",
    b"hostname",
    b"service",
    b"service.name",
    b"service_name",
    b"trace_id",
    b"traceId",
    b"span_id",
    b"spanId",
    b"traceparent",
    b"name",
    b"event_name",
    b"eventName",
];

/// An ordinary log: its body's own keys are looked at, and those of its metadata, which become
/// attributes.
pub(super) fn clean<'a>(event: &'a Event<'a>, mut cleaner: Cleaner<'a, '_>) -> Option<Cleaned> {
    let metadata = edit_map(event.metadata, |entry| match entry.key {
        keys::OTLP => PairEdit::Keep,
        _ => cleaner.log_step(entry, entry.key),
    });
    let of_content = names_content(event.body, 0);
    let body = edit_map(event.body, |entry| {
        if of_content && !is_kept(entry) {
            return cleaner.event_step(entry);
        }
        cleaner.log_step(entry, entry.key)
    });
    if cleaner.found_nothing() {
        return None;
    }
    let body = with_pair(body.as_deref().unwrap_or(event.body), &cleaner.list());
    Some(Cleaned { metadata, body: Some(body), group: None })
}

/// Whether a pair of a content event is looked at like one of any other log.
fn is_kept(entry: &Entry<'_>) -> bool {
    SKELETON.contains(&entry.key) || (is_structure(entry.value) && entry.key == b"attributes")
}

/// Whether a log is an event that carries nothing but content, by its own name or that among its
/// attributes.
fn names_content(map: &[u8], depth: usize) -> bool {
    MapView::new(map).any(|entry| match entry.key {
        b"event.name" | b"event_name" | b"eventName" | b"name" => {
            text_of(entry.value).is_some_and(is_content_event)
        }
        b"attributes" if depth == 0 => names_content(entry.value, 1),
        _ => false,
    })
}
