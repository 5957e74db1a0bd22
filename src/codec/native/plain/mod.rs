//! Ordinary logs: what inputs such as tail, systemd and tcp write, and what parsers make of it.

mod resource;
mod severity;

use self::resource::Origin;
use self::severity::Severity;
use super::context::{TraceContext, UsedKeys, find_trace_context};
use super::{fields, pb, values};
use crate::codec::msgpack::{Entry, MapView, Reader, Token};
use crate::codec::records::Event;

/// An ordinary log as OTLP.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlainLog {
    /// An encoded `Resource`. Logs of the same origin have the same bytes here.
    pub resource: Vec<u8>,
    /// An encoded `LogRecord`.
    pub record: Vec<u8>,
}

/// The keys that commonly hold a log's text, the most telling first.
const TEXT_KEYS: [&[u8]; 6] = [b"log", b"message", b"msg", b"body", b"MESSAGE", b"Message"];

/// Turns an ordinary log event into OTLP by the common conventions.
///
/// - The body is the text under `log`, `message`, `msg`, `body` or `MESSAGE`, and all other keys
///   become attributes. Without such text the body is the whole map.
/// - Trace and span ids move to their own fields, as [`find_trace_context`] finds them.
/// - A severity in the common spellings becomes severity number and text.
/// - What says where the log comes from (the `kubernetes` map of Fluent Bit's filter, journald's
///   `_HOSTNAME` and `_SYSTEMD_UNIT`, a service's name) becomes the resource.
/// - Record metadata other than `otlp` become attributes, and so does the tag, as `fluent.tag`.
///
/// What moved is not said a second time. `now_unix_nanos` is the time of observation. A group that
/// the event stands in gives the resource its attributes, if it has any.
#[must_use]
pub fn plain_log(event: &Event<'_>, tag: &[u8], now_unix_nanos: u64) -> PlainLog {
    let log = Log::read(event);
    let mut resource = Vec::new();
    log.origin.write(&mut resource, event);
    let mut record = Vec::with_capacity(event.raw.len().saturating_add(64));
    pb::nonzero64(&mut record, 1, event.time.unix_nanos());
    log.severity.write(&mut record);
    log.write_body(&mut record, event.body);
    log.write_attributes(&mut record, event, tag);
    if let Some(context) = &log.context {
        pb::nonzero32(&mut record, 8, u32::from(context.flags.unwrap_or(0)));
        pb::bytes(&mut record, 9, &context.trace_id.0);
        if let Some(span_id) = context.span_id {
            pb::bytes(&mut record, 10, &span_id.0);
        }
    }
    pb::nonzero64(&mut record, 11, now_unix_nanos);
    PlainLog { resource, record }
}

/// What was recognised in a log.
struct Log<'a> {
    context: Option<TraceContext>,
    severity: Severity<'a>,
    origin: Origin<'a>,
    /// The encoded value that is the body.
    text: Option<&'a [u8]>,
}

impl<'a> Log<'a> {
    fn read(event: &Event<'a>) -> Self {
        let mut severity = Severity::default();
        let mut origin = Origin::default();
        let mut text: Option<(usize, &'a [u8])> = None;
        for entry in MapView::new(event.metadata).filter(|entry| entry.key != b"otlp") {
            severity.read(&entry);
            origin.read(&entry);
        }
        for entry in MapView::new(event.body) {
            severity.read(&entry);
            origin.read(&entry);
            if let Some(rank) = text_rank(&entry)
                && text.is_none_or(|(best, _)| rank < best)
            {
                text = Some((rank, entry.value));
            }
        }
        origin.yield_to_group(event);
        Self {
            context: find_trace_context(event.body, event.metadata),
            severity,
            origin,
            text: text.map(|(_, value)| value),
        }
    }

    fn write_body(&self, out: &mut Vec<u8>, body: &[u8]) {
        if let Some(text) = self.text {
            return pb::message(out, 5, |out| values::content(out, text));
        }
        let used = self.context.map(|context| context.keys).unwrap_or_default();
        pb::message(out, 5, |out| {
            if fields::is_map(body) {
                pb::message(out, 6, |out| {
                    for entry in MapView::new(body) {
                        if !self.origin.has(&entry) {
                            write_entry(out, 1, &entry, &used);
                        }
                    }
                });
            } else {
                values::content(out, body);
            }
        });
    }

    fn write_attributes(&self, out: &mut Vec<u8>, event: &Event<'_>, tag: &[u8]) {
        let keys = |of: fn(&TraceContext) -> UsedKeys| self.context.as_ref().map(of);
        let in_metadata = keys(|context| context.metadata_keys).unwrap_or_default();
        let in_body = keys(|context| context.keys).unwrap_or_default();
        let moved = |entry: &Entry<'_>| self.origin.has(entry) || self.severity.has(entry);
        for entry in MapView::new(event.metadata) {
            if entry.key != b"otlp" && !moved(&entry) {
                write_entry(out, 6, &entry, &in_metadata);
            }
        }
        if let Some(text) = self.text {
            for entry in MapView::new(event.body) {
                if !same(entry.value, text) && !moved(&entry) {
                    write_entry(out, 6, &entry, &in_body);
                }
            }
        }
        if !tag.is_empty() {
            values::text_attribute(out, 6, b"fluent.tag", tag);
        }
    }
}

/// How telling the text under a key is; empty text is the last choice.
fn text_rank(entry: &Entry<'_>) -> Option<usize> {
    let rank = TEXT_KEYS.iter().position(|key| *key == entry.key)?;
    match fields::token(entry.value) {
        Token::Str([]) => Some(rank.saturating_add(TEXT_KEYS.len())),
        Token::Str(_) | Token::Bin(_) => Some(rank),
        _ => None,
    }
}

/// Whether two encoded values are the same one, not only equal.
fn same(one: &[u8], other: &[u8]) -> bool {
    std::ptr::eq(one.as_ptr(), other.as_ptr())
}

/// Writes a pair without the ids that moved; a map that only had those is left out.
fn write_entry(out: &mut Vec<u8>, field: u32, entry: &Entry<'_>, used: &UsedKeys) {
    if used.is_empty() {
        return values::attribute(out, field, entry);
    }
    if used.contains(entry.key) {
        return;
    }
    let within = fields::is_map(entry.value) && used.touches(entry.key);
    if !within {
        return values::attribute(out, field, entry);
    }
    let left = |inner: &Entry<'_>| !used.contains_within(entry.key, inner.key);
    if !MapView::new(entry.value).any(|inner| left(&inner)) {
        return;
    }
    pb::message(out, field, |out| {
        pb::nonempty(out, 1, entry.key);
        pb::message(out, 2, |out| {
            pb::message(out, 6, |out| {
                MapView::new(entry.value)
                    .filter(left)
                    .for_each(|inner| values::attribute(out, 1, &inner));
            });
        });
    });
}

/// The text of an encoded value, empty if it is none.
fn text(value: &[u8]) -> &[u8] {
    match Reader::new(value).token() {
        Ok(Token::Str(text)) => text,
        _ => &[],
    }
}
