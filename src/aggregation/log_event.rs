//! Log events of operations: which logs are, and what they say of themselves.

use memchr::memmem;

use super::attribute::Attribute;
use super::fields::SpanFieldVisitor;
use crate::codec::msgpack::MapView;
use crate::codec::records::layout::keys;
use crate::codec::records::{AttributeVisitor, Item, ItemStep, LogView, Telemetry};
use crate::model::{Signal, SpanId, TraceId};

/// A log event of an operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogEvent<'a> {
    pub(super) telemetry: Telemetry<'a>,
    pub(super) ids: Option<(TraceId, SpanId)>,
    /// Its encoded name.
    pub(super) name: &'a [u8],
    pub(super) unix_nanos: u64,
}

/// What is said of a log record, with the resource of its group if it has none of its own.
pub(super) fn with_resource<'a>(item: &Item<'a>, mut telemetry: Telemetry<'a>) -> Telemetry<'a> {
    if telemetry.resource.is_none() {
        // A record of the host's own input has it in its group.
        let group = item.event.group.map(|group| MapView::new(group.body));
        telemetry.resource = group.and_then(|group| group.get(keys::RESOURCE));
    }
    telemetry
}

/// The step's log event, if it is one of an operation.
#[inline]
pub(super) fn log_event<'a>(
    operation: &memmem::Finder<'_>,
    step: &ItemStep<'a>,
    visitor: &mut SpanFieldVisitor<'_, 'a>,
) -> Option<LogEvent<'a>> {
    let ItemStep::Item(item) = step else { return None };
    let telemetry = item.telemetry.filter(|_| item.signal() == Signal::Logs)?;
    // Most logs tell of no operation, which is seen soonest so.
    operation.find(telemetry.otlp)?;
    let view = LogView::new(telemetry.otlp);
    for entry in MapView::new(view.attributes) {
        visitor.attribute(entry.key, entry.value);
    }
    if !visitor.fields.is_operation() {
        return None;
    }
    let telemetry = with_resource(item, telemetry);
    let ids = view.trace_id().zip(view.span_id());
    let name = match view.event_name {
        [] => visitor.fields.get(Attribute::EventName),
        name => name,
    };
    Some(LogEvent { telemetry, ids, name, unix_nanos: item.event.time.unix_nanos() })
}
