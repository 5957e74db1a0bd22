//! Requests of whole streams of records.

use super::builder::RequestBuilder;
use crate::codec::records::error::EncodeError;
use crate::codec::records::event_reader::Events;
use crate::codec::records::record::EventKind;

/// Adds the records in a stream of log events to a request; events that are none are left out.
///
/// # Errors
/// A record is of another signal, of a newer layout, or not what the layout says.
pub fn push_records(builder: &mut RequestBuilder, events: &[u8]) -> Result<(), EncodeError> {
    for event in Events::new(events).flatten().filter(|event| event.kind == EventKind::Record) {
        if let Some(telemetry) = event.telemetry() {
            builder.push(&event, &telemetry)?;
        }
    }
    Ok(())
}
