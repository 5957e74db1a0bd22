//! Log converter: an ordinary log event to an OTLP `LogRecord` and `Resource`.

use super::super::{fields, values};
use super::accessors::{FoundFields, LogAccessors};
use super::json_text::JsonText;
use super::leftover::LeftoverWriter;
use super::resource::LogOrigin;
use super::severity::FoundSeverity;
use super::text::{TEXT_KEYS, same};
use super::trace_context::{TraceContext, UsedKeys, complete_trace_context};
use crate::codec::msgpack::{Entry, MapView, Token};
use crate::codec::records::Event;
use crate::codec::records::layout::keys;
use crate::codec::wire;

/// An ordinary log as OTLP.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlainLog {
    /// An encoded `Resource`. Logs of the same origin have the same bytes here.
    pub resource: Vec<u8>,
    /// An encoded `LogRecord`.
    pub record: Vec<u8>,
}

/// Turns an ordinary log event into OTLP by the common conventions, and before them by `accessors`.
///
/// - The body is the text under `log`, `message`, `msg`, `body` or `MESSAGE`, and all other keys
///   become attributes. Without such text the body is the whole map.
/// - Trace and span ids move to their own fields, as [`super::trace_context::find_trace_context`] finds them.
/// - A severity in the common spellings becomes severity number and text.
/// - Ids and severity that the log itself lacks are taken from its text, if that is a JSON object;
///   the text stays as it is.
/// - What says where the log comes from (the `kubernetes` map of Fluent Bit's filter, journald's
///   `_HOSTNAME` and `_SYSTEMD_UNIT`, a service's name) becomes the resource.
/// - Record metadata other than `otlp` become attributes, and so does the tag, as `fluent.tag`.
///
/// What moved is not said a second time. `now_unix_nanos` is the time of observation. A group that
/// the event stands in gives the resource its attributes, if it has any, and where there is none the resource
/// that `ai_context` has put into the metadata.
#[must_use]
pub fn plain_log(
    event: &Event<'_>,
    tag: &[u8],
    now_unix_nanos: u64,
    accessors: &LogAccessors,
) -> PlainLog {
    let text = JsonText::of(event.body);
    let log = Log::read(event, accessors, &text);
    let mut resource = Vec::new();
    log.origin.write(&mut resource, event);
    let mut record = Vec::with_capacity(event.raw.len().saturating_add(64));
    let time = log.given.timestamp.unwrap_or_else(|| event.time.unix_nanos());
    wire::nonzero64(&mut record, 1, time);
    log.severity.write(&mut record);
    log.write_body(&mut record, event.body);
    log.write_attributes(&mut record, event, accessors.body_attributes);
    if !tag.is_empty() {
        values::text_attribute(&mut record, 6, b"fluent.tag", tag);
    }
    log.write_trace(&mut record);
    wire::nonzero64(&mut record, 11, log.given.observed_timestamp.unwrap_or(now_unix_nanos));
    PlainLog { resource, record }
}

/// What was recognised in a log.
struct Log<'a> {
    given: FoundFields<'a>,
    context: Option<TraceContext>,
    severity: FoundSeverity<'a>,
    origin: LogOrigin<'a>,
    /// The encoded value that is the body.
    text: Option<&'a [u8]>,
}

impl<'a> Log<'a> {
    fn read(event: &Event<'a>, accessors: &LogAccessors, json: &'a JsonText) -> Self {
        let given = FoundFields::read(accessors, event);
        let mut severity = FoundSeverity::default();
        let mut origin = LogOrigin::default();
        let mut text: Option<(usize, &'a [u8])> = None;
        for entry in MapView::new(event.metadata).filter(|entry| entry.key != keys::OTLP) {
            severity.read(&entry);
            origin.read(&entry);
        }
        for entry in MapView::new(event.body) {
            severity.read(&entry);
            severity.read_below(&entry);
            origin.read(&entry);
            if let Some(rank) = text_rank(&entry)
                && text.is_none_or(|(best, _)| rank < best)
                && !given.moved.has(entry.value)
            {
                text = Some((rank, entry.value));
            }
        }
        if severity.is_unknown() {
            MapView::new(json.pairs()).for_each(|entry| severity.read(&entry));
        }
        severity.outrank(given.severity_number, given.severity_text);
        origin.yield_to_resource(event);
        Self {
            context: complete_trace_context(event.body, event.metadata, json.pairs(), &given.trace),
            severity,
            origin,
            text: given.body.or(text.map(|(_, value)| value)),
            given,
        }
    }

    /// What moved out of the record, or by `keys` out of its metadata.
    fn leftover(&self, keys: fn(&TraceContext) -> UsedKeys) -> LeftoverWriter<'_> {
        let used = self.context.as_ref().map(keys).unwrap_or_default();
        LeftoverWriter { used, moved: &self.given.moved }
    }

    fn write_body(&self, out: &mut Vec<u8>, body: &[u8]) {
        let leftover = self.leftover(|context| context.keys);
        if let Some(text) = self.text {
            let key = key_of(body, text);
            return wire::message(out, 5, |out| leftover.write_content(out, key, text));
        }
        wire::message(out, 5, |out| {
            if fields::is_map(body) {
                wire::message(out, 6, |out| {
                    for entry in MapView::new(body) {
                        if !self.origin.has(&entry) {
                            leftover.write_entry(out, 1, &entry);
                        }
                    }
                });
            } else {
                values::content(out, body);
            }
        });
    }

    /// Writes the metadata, and what is beside the body if that is wanted.
    fn write_attributes(&self, out: &mut Vec<u8>, event: &Event<'_>, beside_body: bool) {
        let is_field = |entry: &Entry<'_>| self.origin.has(entry) || self.severity.has(entry);
        let leftover = self.leftover(|context| context.metadata_keys);
        for entry in MapView::new(event.metadata) {
            if entry.key != keys::OTLP && !is_field(&entry) {
                leftover.write_entry(out, 6, &entry);
            }
        }
        if !self.given.attributes.is_empty() {
            let key = key_of(event.metadata, self.given.attributes);
            leftover.write_pairs(out, 6, key, self.given.attributes);
        }
        let Some(text) = self.text.filter(|_| beside_body) else { return };
        let leftover = self.leftover(|context| context.keys);
        for entry in MapView::new(event.body) {
            if !same(entry.value, text) && !is_field(&entry) {
                leftover.write_entry(out, 6, &entry);
            }
        }
    }

    fn write_trace(&self, out: &mut Vec<u8>) {
        let (given, found) = (&self.given.trace, self.context.as_ref());
        let flags = given.flags.or(found.and_then(|found| found.flags).map(u32::from));
        wire::nonzero32(out, 8, flags.unwrap_or(0));
        if let Some(trace_id) = found.map(|found| found.trace_id) {
            wire::bytes(out, 9, &trace_id.0);
        }
        if let Some(span_id) = given.span_id.or(found.and_then(|found| found.span_id)) {
            wire::bytes(out, 10, &span_id.0);
        }
    }
}

/// The key of a map's value; empty if it lies deeper. Only of interest where the value is a map.
fn key_of<'m>(map: &'m [u8], value: &[u8]) -> &'m [u8] {
    if !fields::is_map(value) {
        return &[];
    }
    let entry = MapView::new(map).find(|entry| same(entry.value, value));
    entry.map(|entry| entry.key).unwrap_or_default()
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
