//! Log encoder: log records of ours, and those that Fluent Bit's own OpenTelemetry input writes.

use super::message::find;
use super::value::{ProtobufEncoder, odd_key};
use crate::codec::msgpack::{Reader, Token};
use crate::codec::records::error::{EncodeError, ValueError};
use crate::codec::records::layout::{MAX_DEPTH, keys};
use crate::codec::records::record::Event;
use crate::codec::records::record_reader::OpenLogRecord;
use crate::codec::records::schema::LOG;
use crate::codec::records::telemetry::{CommonPairs, Telemetry};
use crate::codec::wire::{self, WireFields, WireValue};

impl ProtobufEncoder {
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
        self.body(&mut Reader::new(event.body), telemetry, telemetry.body_form)
            .map_err(|error| EncodeError::Field { field: "body", error })
    }

    /// The `otlp` map without what says the resource, the scope and the layout.
    fn own_pairs(&mut self, telemetry: &Telemetry<'_>) -> Result<(), EncodeError> {
        let CommonPairs { at, length, before, pairs } = telemetry.common;
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
        let mut fields = WireFields::new(self.out.get(start..).unwrap_or_default());
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
            if key == Token::Str(keys::OTLP) {
                reader.skip()?;
                continue;
            }
            self.key_value(6, &odd_key(key)?, &mut reader, MAX_DEPTH)?;
        }
        Ok(())
    }

    /// Appends the fields of a record that is laid out like the one before it, and leaves `reader`,
    /// which is at the `otlp` map, behind its body. `None` where the general way has to look.
    #[inline]
    pub(super) fn open_log(
        &mut self,
        log: &OpenLogRecord<'_>,
        reader: &mut Reader<'_>,
    ) -> Option<()> {
        let mut left = reader.map().ok()?;
        let mut expected = LOG.fields;
        loop {
            let rest = reader.rest();
            if rest.first() == log.common.first()
                && let Some(rest) = rest.strip_prefix(log.common)
            {
                left = left.checked_sub(log.known.common.pairs)?;
                *reader = Reader::new(rest);
                break;
            }
            left = left.checked_sub(1)?;
            let (field, after) = find(expected, reader)?;
            expected = after;
            self.field(field, reader).ok()?;
        }
        let form = match left {
            0 => &[][..],
            1 if reader.str() == Ok(keys::BODY) => reader.str().ok()?,
            _ => return None,
        };
        self.body(reader, &log.known, form).ok()
    }

    /// Appends the body that `reader` has next.
    fn body(
        &mut self,
        reader: &mut Reader<'_>,
        telemetry: &Telemetry<'_>,
        form: &[u8],
    ) -> Result<(), ValueError> {
        let key = telemetry.body_key();
        let Some(mut value) = single_value(*reader, key).filter(|_| form != b"kvlist") else {
            if form == b"none" && reader.rest().first() == Some(&0x80) {
                return reader.skip().map(drop).map_err(ValueError::from);
            }
            return self.any_value(5, reader, MAX_DEPTH);
        };
        // Fluent Bit's own input writes nil where there is no body; ours never gets here then.
        if telemetry.version.is_none() && value.rest().first() == Some(&0xc0) {
            value.skip()?;
        } else {
            self.any_value(5, &mut value, MAX_DEPTH)?;
        }
        *reader = value;
        Ok(())
    }
}

/// A reader at the value of a map whose only key is `key`.
fn single_value<'a>(mut body: Reader<'a>, key: &[u8]) -> Option<Reader<'a>> {
    (body.map() == Ok(1) && body.str() == Ok(key)).then_some(body)
}
