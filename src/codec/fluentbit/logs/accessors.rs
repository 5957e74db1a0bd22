//! Record accessors of a log: where the configuration says that it has its fields.

use super::super::fields;
use super::severity;
use super::trace_context;
use crate::codec::msgpack::{Accessor, MapView, Token};
use crate::codec::records::layout::keys;
use crate::codec::records::{Event, LogView};
use crate::model::{SpanId, TraceId};

/// Where a field is asked for. The metadata come first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldAccessors {
    /// In the record's metadata.
    pub metadata: Option<Accessor>,
    /// In the record itself.
    pub message: Option<Accessor>,
}

/// Where ordinary logs have what OTLP has fields for. What an accessor finds outranks the common
/// conventions; a value that is not of the field's form is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogAccessors {
    /// The body, of any type but nil: the first that is there.
    pub body: Vec<Accessor>,
    /// Whether what is beside the body becomes attributes.
    pub body_attributes: bool,
    /// When it happened: nanoseconds since the Unix epoch, as an integer or in digits.
    pub timestamp: FieldAccessors,
    /// When it was seen, in the same form.
    pub observed_timestamp: FieldAccessors,
    /// Text that is not empty.
    pub severity_text: FieldAccessors,
    /// 1 to 24, as an integer or in digits; other numbers by the scale of levels.
    pub severity_number: FieldAccessors,
    /// 32 hex digits or 16 bytes, not all zero.
    pub trace_id: FieldAccessors,
    /// 16 hex digits or 8 bytes, not all zero.
    pub span_id: FieldAccessors,
    /// An integer of 32 bits.
    pub trace_flags: FieldAccessors,
    /// A map in the metadata whose pairs become attributes.
    pub attributes: Option<Accessor>,
}

impl Default for LogAccessors {
    /// The keys of Fluent Bit's own output that the common conventions do not have.
    fn default() -> Self {
        let in_metadata =
            |key| FieldAccessors { metadata: Some(Accessor::of_key(key)), message: None };
        Self {
            body: Vec::new(),
            body_attributes: true,
            timestamp: in_metadata("Timestamp"),
            observed_timestamp: in_metadata("ObservedTimestamp"),
            severity_text: FieldAccessors::default(),
            severity_number: FieldAccessors::default(),
            trace_id: FieldAccessors::default(),
            span_id: FieldAccessors::default(),
            trace_flags: FieldAccessors::default(),
            attributes: Some(Accessor::of_key("Attributes")),
        }
    }
}

/// What the accessors found.
#[derive(Debug, Default)]
pub(super) struct FoundFields<'a> {
    /// The encoded value.
    pub(super) body: Option<&'a [u8]>,
    pub(super) timestamp: Option<u64>,
    pub(super) observed_timestamp: Option<u64>,
    pub(super) severity_text: Option<&'a [u8]>,
    pub(super) severity_number: Option<u8>,
    pub(super) trace: trace_context::KnownContext,
    /// The encoded map.
    pub(super) attributes: &'a [u8],
    pub(super) moved: MovedValues<'a>,
}

impl<'a> FoundFields<'a> {
    pub(super) fn read(accessors: &LogAccessors, event: &Event<'a>) -> Self {
        let mut given = Self::default();
        given.timestamp = given.take(&accessors.timestamp, event, time);
        given.observed_timestamp = given.take(&accessors.observed_timestamp, event, time);
        given.severity_text = given.take(&accessors.severity_text, event, severity_text);
        given.severity_number = given.take(&accessors.severity_number, event, severity::number_of);
        given.trace = trace_context::KnownContext {
            trace_id: given.take(&accessors.trace_id, event, trace_id),
            span_id: given.take(&accessors.span_id, event, span_id),
            flags: given.take(&accessors.trace_flags, event, flags),
        };
        given.take_place(event);
        if let Some(accessor) = &accessors.attributes
            && let Some(value) = accessor.find(event.metadata)
            && fields::is_map(value)
        {
            given.attributes = value;
            given.moved.add(accessor, value);
        }
        for accessor in &accessors.body {
            if let Some(value) = accessor.find(event.body)
                && fields::token(value) != Token::Nil
            {
                given.body = Some(value);
                given.moved.add(accessor, value);
                break;
            }
        }
        given
    }

    /// Takes the place in a trace that a filter has given the log, in its `otlp` map, unless the
    /// configuration names another.
    fn take_place(&mut self, event: &Event<'a>) {
        let Some(otlp) = event.otlp().filter(|_| self.trace.trace_id.is_none()) else { return };
        let log = LogView::new(otlp);
        let Some((trace, _)) = trace_id(log.trace_id) else { return };
        let value = |key: &[u8]| MapView::new(otlp).get(key).unwrap_or_default();
        let span = span_id(value(keys::SPAN_ID)).map(|(span, _)| span);
        self.trace.trace_id = Some(trace);
        self.trace.span_id = self.trace.span_id.or(span);
        self.trace.flags = self.trace.flags.or(flags(log.trace_flags).map(|(flags, _)| flags));
    }

    /// The first value of the right form. `read` also says whether the field tells all of it, so
    /// that the value need not stay. The other place says nothing new if its value is the same.
    fn take<T: Copy + PartialEq>(
        &mut self,
        accessors: &FieldAccessors,
        event: &Event<'a>,
        read: impl Fn(&'a [u8]) -> Option<(T, bool)>,
    ) -> Option<T> {
        let mut taken = None;
        let both = [(&accessors.metadata, event.metadata), (&accessors.message, event.body)];
        for (accessor, map) in both {
            let Some(accessor) = accessor else { continue };
            let Some(value) = accessor.find(map) else { continue };
            let Some((read, is_all)) = read(value) else { continue };
            if *taken.get_or_insert(read) == read && is_all {
                self.moved.add(accessor, value);
            }
        }
        taken
    }
}

/// As many values as the accessors can name: two places of seven fields, the attributes, the body.
const MAX_VALUES: usize = 16;

/// Encoded values that moved to fields, by their first bytes, which no two values share.
#[derive(Debug, Default)]
pub(super) struct MovedValues<'a> {
    values: [Option<&'a u8>; MAX_VALUES],
    count: usize,
}

impl<'a> MovedValues<'a> {
    /// Notes a value; what is taken out of a list stays there too, because what follows it in the
    /// list would get another position.
    fn add(&mut self, accessor: &Accessor, value: &'a [u8]) {
        if !accessor.is_in_list()
            && let Some(slot) = self.values.get_mut(self.count)
        {
            *slot = value.first();
            self.count = self.count.saturating_add(1);
        }
    }

    /// Whether nothing did.
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn iter(&self) -> impl Iterator<Item = &'a u8> + '_ {
        self.values.iter().take(self.count).filter_map(|value| *value)
    }

    /// Whether this value moved.
    pub(super) fn has(&self, value: &[u8]) -> bool {
        self.iter().any(|moved| std::ptr::eq(moved, value.as_ptr()))
    }

    /// Whether something inside this value moved.
    pub(super) fn is_inside(&self, value: &[u8]) -> bool {
        let inside = value.get(1..).unwrap_or_default().as_ptr_range();
        self.iter().any(|moved| inside.contains(&std::ptr::from_ref(moved)))
    }
}

fn time(value: &[u8]) -> Option<(u64, bool)> {
    let nanos = match fields::token(value) {
        Token::Uint(nanos) => nanos,
        Token::Int(nanos) => u64::try_from(nanos).ok()?,
        Token::Str(text) if text.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(text).ok()?.parse().ok()?
        }
        _ => return None,
    };
    // OTLP's word for a time that is not known.
    (nanos != 0).then_some((nanos, true))
}

fn severity_text(value: &[u8]) -> Option<(&[u8], bool)> {
    match fields::token(value) {
        Token::Str(text) if !text.is_empty() => Some((text, true)),
        _ => None,
    }
}

fn trace_id(value: &[u8]) -> Option<(TraceId, bool)> {
    let id = match fields::token(value) {
        Token::Str(text) => TraceId::from_hex(text),
        Token::Bin(bytes) => bytes.try_into().ok().map(TraceId).filter(|id| id.0 != [0; 16]),
        _ => None,
    };
    id.map(|id| (id, true))
}

fn span_id(value: &[u8]) -> Option<(SpanId, bool)> {
    let id = match fields::token(value) {
        Token::Str(text) => SpanId::from_hex(text),
        Token::Bin(bytes) => bytes.try_into().ok().map(SpanId).filter(|id| id.0 != [0; 8]),
        _ => None,
    };
    id.map(|id| (id, true))
}

fn flags(value: &[u8]) -> Option<(u32, bool)> {
    let flags = match fields::token(value) {
        Token::Uint(flags) => u32::try_from(flags).ok(),
        Token::Int(flags) => u32::try_from(flags).ok(),
        _ => None,
    };
    flags.map(|flags| (flags, true))
}
