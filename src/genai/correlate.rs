//! Correlation: logs get their place in the trace.
//!
//! Ids that a log carries in one of the common spellings, in its body, its attributes or its
//! metadata, are written where Fluent Bit's OpenTelemetry plugins look for them: as `trace_id` and
//! `span_id` in the `otlp` map of the record's metadata, and so is a severity that only a log's JSON
//! text names. An ordinary log stays one: only `otlp.signal` would make it anything else.

use crate::codec::fluentbit::{
    JsonText, LogSeverity, TraceContext, find_trace_context, find_trace_context_in_text,
    find_trace_context_with,
};
use crate::codec::msgpack::{self, Entry, MapView, Reader, Token, before, int_of};
use crate::codec::records::edit::{Edit, Pairs, insert_otlp, rewrite_map};
use crate::codec::records::layout::keys;
use crate::codec::records::{Event, LogView, Patch};

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
    event: &Event<'_>,
    log: &LogView<'_>,
) -> (Option<TraceContext>, Option<LogSeverity>) {
    let has_trace = is_filled(log.trace_id);
    let has_severity = is_filled(log.severity_text)
        || int_of(log.severity_number).is_some_and(|number| number > 0);
    if has_trace && has_severity {
        return (None, None);
    }
    let mut body = event.body;
    let mut text = JsonText::of(body);
    // Of a record with a key of its own for the body, that is the log, be it a map or a text.
    let body_key = Reader::new(log.body_key).str().ok();
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
        let in_metadata = || find_trace_context(&[], event.metadata);
        let in_text = || find_trace_context_in_text(body, body_key.unwrap_or_default());
        let in_fields = find_trace_context_with(body, log.attributes, &text);
        in_fields.or_else(in_metadata).or_else(in_text)
    };
    (if has_trace { None } else { context() }, severity)
}

/// The name of a GenAI event that is in an attribute instead of the log record's own field.
pub(super) fn event_name<'a>(log: &LogView<'a>) -> Option<&'a [u8]> {
    if is_filled(log.event_name) {
        return None;
    }
    MapView::new(log.attributes).find_map(genai_event)
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
pub(super) fn write(event: &Event<'_>, change: &LogChange<'_>, patch: &mut Patch) {
    let mut pairs = Pairs::new();
    if let Some(severity) = &change.severity {
        if severity.number > 0 {
            msgpack::uint(pairs.key(keys::SEVERITY_NUMBER), u64::from(severity.number));
        }
        if let Some(text) = &severity.text {
            msgpack::str_bytes(pairs.key(keys::SEVERITY_TEXT), text);
        }
    }
    if let Some(context) = change.context {
        msgpack::bin(pairs.key(keys::TRACE_ID), &context.trace_id.0);
        if let Some(span) = context.span_id {
            msgpack::bin(pairs.key(keys::SPAN_ID), &span.0);
        }
    }
    match (event.otlp(), event.metadata) {
        (Some(otlp), _) => patch.replace(otlp, |out| change_otlp(otlp, change, pairs, out)),
        (None, []) => {
            let (whole, time) = time_of(event);
            patch.replace(whole, |out| {
                msgpack::array_header(out, 2);
                out.extend_from_slice(time);
                insert_otlp(&[], &pairs, out);
            });
        }
        (None, metadata) => patch.replace(metadata, |out| insert_otlp(metadata, &pairs, out)),
    }
}

/// What stands before the body of an event in an old form, `[time, body]` or `[[time], body]`, and
/// the time alone.
fn time_of<'a>(event: &Event<'a>) -> (&'a [u8], &'a [u8]) {
    let start = before(event.raw, event.body);
    let mut reader = Reader::new(start);
    let whole = reader.token().map_or(start, |_| reader.rest());
    let time = match reader.token() {
        Ok(Token::Array(_)) => reader.rest(),
        _ => whole,
    };
    (whole, time)
}

/// Appends an `otlp` map with the pairs `ids` and what else is to change.
fn change_otlp(otlp: &[u8], change: &LogChange<'_>, ids: Pairs, out: &mut Vec<u8>) {
    let mut pairs = ids;
    let span = change.context.and_then(|context| context.span_id);
    let flags = change.context.and_then(|context| context.flags);
    // Flags that say nothing are written over, others are kept.
    let flags = flags.filter(|_| {
        MapView::new(otlp).get(keys::TRACE_FLAGS).and_then(int_of).is_none_or(|flags| flags == 0)
    });
    if let Some(flags) = flags {
        msgpack::uint(pairs.key(keys::TRACE_FLAGS), u64::from(flags));
    }
    if let Some(name) = change.event_name {
        msgpack::str_bytes(pairs.key(keys::EVENT_NAME), name);
    }
    if let Some(attributes) = change.attributes {
        pairs.push(keys::ATTRIBUTES, attributes);
    }
    let is_new = |key: &[u8]| match key {
        keys::SEVERITY_NUMBER | keys::SEVERITY_TEXT => change.severity.is_some(),
        keys::TRACE_ID => change.context.is_some(),
        keys::SPAN_ID => span.is_some(),
        keys::TRACE_FLAGS => flags.is_some(),
        keys::EVENT_NAME => change.event_name.is_some(),
        keys::ATTRIBUTES => change.attributes.is_some(),
        _ => false,
    };
    let edit = |entry: Entry<'_>| if is_new(entry.key) { Edit::Drop } else { Edit::Keep };
    rewrite_map(otlp, out, edit, &pairs);
}
