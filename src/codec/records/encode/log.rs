//! Log records: ours, and those that Fluent Bit's own OpenTelemetry input writes.

use super::value::{Encoder, odd_key};
use crate::codec::msgpack::{Reader, Token};
use crate::codec::records::error::{EncodeError, ValueError};
use crate::codec::records::event::{Event, Telemetry};
use crate::codec::records::schema::{LOG, MAX_DEPTH};
use crate::codec::records::walk::Common;
use crate::codec::wire::{self, Fields, WireValue};

impl Encoder {
    /// Appends the fields of a `LogRecord`.
    pub(super) fn log(
        &mut self,
        event: &Event<'_>,
        telemetry: &Telemetry<'_>,
    ) -> Result<(), EncodeError> {
        let start = self.out.len();
        self.own_pairs(telemetry)?;
        if telemetry.version.is_none() && !self.has_time(start) {
            let time = event.time.unix_nanos();
            if time != 0 {
                wire::fixed64(&mut self.out, 1, time);
            }
        }
        self.other_metadata(event.metadata)
            .map_err(|error| EncodeError::Field { field: "attributes", error })?;
        self.body(event.body, telemetry)
            .map_err(|error| EncodeError::Field { field: "body", error })
    }

    /// The `otlp` map without what says the resource, the scope and the layout.
    fn own_pairs(&mut self, telemetry: &Telemetry<'_>) -> Result<(), EncodeError> {
        let Common { at, length, before, pairs } = telemetry.common;
        let mut reader = Reader::new(telemetry.otlp);
        let all = match reader.token() {
            Ok(Token::Map(all)) if pairs > 0 => all,
            _ => return self.map(&LOG, &mut Reader::new(telemetry.otlp)),
        };
        self.message(&LOG, before, &mut reader)?;
        let after = telemetry.otlp.get(at.saturating_add(length)..).unwrap_or_default();
        let left = all.saturating_sub(before).saturating_sub(pairs);
        self.message(&LOG, left, &mut Reader::new(after))
    }

    /// Whether the record that begins at `start` has its field 1, the time.
    fn has_time(&self, start: usize) -> bool {
        let mut fields = Fields::new(self.out.get(start..).unwrap_or_default());
        while let Ok(Some(field)) = fields.read() {
            if matches!((field.number, field.value), (1, WireValue::Fixed64(_))) {
                return true;
            }
        }
        false
    }

    /// Metadata beside `otlp`, which filters and processors add, become attributes, as Fluent Bit's
    /// own output does it.
    fn other_metadata(&mut self, metadata: &[u8]) -> Result<(), ValueError> {
        let mut reader = Reader::new(metadata);
        let pairs = reader.map()?;
        if pairs == 1 {
            return Ok(());
        }
        for _ in 0..pairs {
            let key = reader.token()?;
            if key == Token::Str(b"otlp") {
                reader.skip()?;
                continue;
            }
            self.key_value(6, &odd_key(key)?, &mut reader, MAX_DEPTH)?;
        }
        Ok(())
    }

    fn body(&mut self, body: &[u8], telemetry: &Telemetry<'_>) -> Result<(), ValueError> {
        let mut reader = Reader::new(body);
        let Some(value) = single_log(body) else {
            if body == [0x80] && telemetry.body_form == b"none" {
                return Ok(());
            }
            return self.any_value(5, &mut reader, MAX_DEPTH);
        };
        match telemetry.body_form {
            b"kvlist" => self.any_value(5, &mut reader, MAX_DEPTH),
            // Fluent Bit's own input writes nil where there is no body; ours never gets here then.
            _ if value == [0xc0] && telemetry.version.is_none() => Ok(()),
            _ => self.any_value(5, &mut Reader::new(value), MAX_DEPTH),
        }
    }
}

/// The value of a map whose only key is `log`.
fn single_log(body: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(body);
    if reader.map() != Ok(1) || reader.str() != Ok(b"log") {
        return None;
    }
    Some(reader.rest())
}
