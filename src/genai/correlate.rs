//! Correlation: logs get their place in the trace.
//!
//! Ids that a log carries in one of the common spellings, in its body, its attributes or its
//! metadata, are written where Fluent Bit's OpenTelemetry plugins look for them: as `trace_id` and
//! `span_id` in the `otlp` map of the record's metadata, and so is a severity that only a log's JSON
//! text names. An ordinary log stays one: only `otlp.signal` would make it anything else.

use super::patch::{ByteRange, Patch, RecordHead, find, pairs};
use crate::codec::fluentbit::{
    JsonText, LogSeverity, TraceContext, find_trace_context, find_trace_context_with,
};
use crate::codec::msgpack::{self, Entry, MapView, Reader, Token, int_of};
use crate::codec::records::edit::{Edit, Pairs, insert_otlp, rewrite_map};
use crate::codec::records::layout::keys;

/// What a log's `otlp` map is to say from now on.
#[derive(Debug, Default)]
pub(super) struct LogChange<'a> {
    /// The trace that the log belongs to.
    pub(super) context: Option<TraceContext>,
    /// How severe the log's text says it is.
    pub(super) severity: Option<LogSeverity>,
    /// The event's name.
    pub(super) event_name: Option<&'a [u8]>,
    /// The whole encoded map of attributes.
    pub(super) attributes: Option<&'a [u8]>,
}

impl LogChange<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.context.is_none()
            && self.severity.is_none()
            && self.event_name.is_none()
            && self.attributes.is_none()
    }
}

fn is_filled(value: &[u8]) -> bool {
    match Reader::new(value).token() {
        Ok(Token::Str(text) | Token::Bin(text)) => text.iter().any(|byte| *byte != 0),
        _ => false,
    }
}

/// The trace that a log says it belongs to, and how severe its JSON text says it is, each unless its
/// `otlp` map says so already.
pub(super) fn context(
    record: &[u8],
    body: ByteRange,
    metadata: Option<ByteRange>,
) -> (Option<TraceContext>, Option<LogSeverity>) {
    let otlp = metadata.and_then(|metadata| find(record, metadata, keys::OTLP));
    let (mut attributes, mut body_key) = (ByteRange::default(), None);
    let (mut has_trace, mut has_severity) = (false, false);
    for pair in otlp.into_iter().flat_map(|otlp| pairs(record, otlp)) {
        let value = pair.value.of(record);
        match pair.key {
            b"trace_id" => has_trace |= is_filled(value),
            b"severity_text" => has_severity |= is_filled(value),
            b"severity_number" => has_severity |= int_of(value).is_some_and(|number| number > 0),
            b"attributes" => attributes = pair.value,
            keys::BODY_KEY => body_key = Reader::new(value).str().ok(),
            _ => {}
        }
    }
    if has_trace && has_severity {
        return (None, None);
    }
    let mut body = body.of(record);
    let mut text = JsonText::of(body);
    // Of a record with a key of its own for the body, that is the log, be it a map or a text.
    if let Some(value) = body_key.and_then(|key| MapView::new(body).get(key)) {
        if matches!(Reader::new(value).token(), Ok(Token::Map(_))) {
            body = value;
            text = JsonText::of(body);
        } else {
            text = JsonText::of_text(value);
        }
    }
    let severity = if has_severity { None } else { text.severity(body) };
    let context = || {
        let in_metadata = || find_trace_context(&[], metadata?.of(record));
        find_trace_context_with(body, attributes.of(record), &text).or_else(in_metadata)
    };
    (if has_trace { None } else { context() }, severity)
}

/// The name of a GenAI event that is in an attribute instead of the log record's own field.
pub(super) fn event_name(record: &[u8], otlp: ByteRange) -> Option<&[u8]> {
    let mut name = None;
    for pair in pairs(record, otlp) {
        match pair.key {
            b"event_name" if is_filled(pair.value.of(record)) => return None,
            b"attributes" => name = MapView::new(pair.value.of(record)).find_map(genai_event),
            _ => {}
        }
    }
    name
}

fn genai_event(attribute: Entry<'_>) -> Option<&[u8]> {
    if !matches!(attribute.key, b"event_name" | b"event.name") {
        return None;
    }
    match Reader::new(attribute.value).token() {
        Ok(Token::Str(text)) => text.starts_with(b"gen_ai.").then_some(text),
        _ => None,
    }
}

/// Rewrites a log's metadata with a changed, or a new, `otlp` map. An ordinary log gets the ids and
/// nothing else, and stays one.
pub(super) fn write(
    record: &[u8],
    head: &RecordHead<'_>,
    change: &LogChange<'_>,
    patch: &mut Patch,
) {
    let otlp = head.metadata.and_then(|metadata| find(record, metadata, keys::OTLP));
    let mut pairs = Pairs::new();
    if let Some(severity) = &change.severity {
        if severity.number > 0 {
            msgpack::uint(pairs.key("severity_number"), u64::from(severity.number));
        }
        if let Some(text) = &severity.text {
            msgpack::str_bytes(pairs.key("severity_text"), text);
        }
    }
    if let Some(context) = change.context {
        msgpack::bin(pairs.key("trace_id"), &context.trace_id.0);
        if let Some(span) = context.span_id {
            msgpack::bin(pairs.key("span_id"), &span.0);
        }
    }
    let range = otlp.or(head.metadata).unwrap_or(head.time);
    patch.replace(range, |out| {
        match (otlp, head.metadata) {
            (Some(otlp), _) => change_otlp(otlp.of(record), change, pairs, out),
            (None, Some(metadata)) => insert_otlp(metadata.of(record), &pairs, out),
            (None, None) => {
                msgpack::array_header(out, 2);
                out.extend_from_slice(head.time.of(record));
                insert_otlp(&[], &pairs, out);
            }
        }
        Some(())
    });
}

/// Appends an `otlp` map with the pairs `ids` and what else is to change.
fn change_otlp(otlp: &[u8], change: &LogChange<'_>, ids: Pairs, out: &mut Vec<u8>) {
    let mut pairs = ids;
    let span = change.context.and_then(|context| context.span_id);
    let flags = change.context.and_then(|context| context.flags);
    // Flags that say nothing are written over, others are kept.
    let flags = flags.filter(|_| {
        MapView::new(otlp).get(b"trace_flags").and_then(int_of).is_none_or(|flags| flags == 0)
    });
    if let Some(flags) = flags {
        msgpack::uint(pairs.key("trace_flags"), u64::from(flags));
    }
    if let Some(name) = change.event_name {
        msgpack::str_bytes(pairs.key("event_name"), name);
    }
    if let Some(attributes) = change.attributes {
        pairs.push("attributes", attributes);
    }
    let is_new = |key: &[u8]| match key {
        b"severity_number" | b"severity_text" => change.severity.is_some(),
        b"trace_id" => change.context.is_some(),
        b"span_id" => span.is_some(),
        b"trace_flags" => flags.is_some(),
        b"event_name" => change.event_name.is_some(),
        b"attributes" => change.attributes.is_some(),
        _ => false,
    };
    let edit = |entry: Entry<'_>| if is_new(entry.key) { Edit::Drop } else { Edit::Keep };
    rewrite_map(otlp, out, edit, &pairs);
}
