//! Record normaliser: one span or metric record in its encoded form.

use memchr::memmem::Finder;

use super::dialects::DialectSet;
use super::normalize::{Detection, Normalizer, provider};
use super::patch::{ByteRange, Cursor, Patch, data_points, find, items, pairs};
use crate::codec::msgpack::{self, ReadError, Token, int_of, text_of};

/// Where the parts of a span's body are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SpanShape {
    attributes: Option<ByteRange>,
    events: Option<ByteRange>,
    start: Option<ByteRange>,
    detection: Detection,
}

/// Walks over a span's body and looks at its attributes on the way.
pub(super) fn span_shape(
    cursor: &mut Cursor<'_>,
    normalizer: Option<&Normalizer>,
) -> Result<SpanShape, ReadError> {
    let mut shape = SpanShape::default();
    let before = *cursor;
    let Token::Map(pairs) = cursor.token()? else {
        *cursor = before;
        cursor.skip()?;
        return Ok(shape);
    };
    for _ in 0..pairs {
        match cursor.key()? {
            b"attributes" => {
                let start = cursor.position();
                match normalizer {
                    Some(normalizer) => detect(cursor, normalizer, &mut shape.detection)?,
                    None => {
                        cursor.skip()?;
                    }
                }
                shape.attributes = Some(ByteRange { start, end: cursor.position() });
            }
            b"events" => shape.events = Some(cursor.range()?),
            b"start_time_unix_nano" => shape.start = Some(cursor.range()?),
            _ => {
                cursor.skip()?;
            }
        }
    }
    Ok(shape)
}

fn detect(
    cursor: &mut Cursor<'_>,
    normalizer: &Normalizer,
    detection: &mut Detection,
) -> Result<(), ReadError> {
    let before = *cursor;
    let Token::Map(pairs) = cursor.token()? else {
        *cursor = before;
        return cursor.skip().map(|_| ());
    };
    for _ in 0..pairs {
        let key = cursor.key()?;
        let value = cursor.skip()?;
        normalizer.detect(detection, key, value);
    }
    Ok(())
}

/// Notes what is to be replaced in a span, and says which dialects it spoke.
pub(super) fn normalize_span(
    record: &[u8],
    shape: SpanShape,
    normalizer: &mut Normalizer,
    patch: &mut Patch,
) -> Option<DialectSet> {
    let mut spoken = None;
    if let Some(attributes) = shape.attributes
        && shape.detection.calls_for_work()
    {
        let first_token = first_token(record, shape);
        spoken = patch.replace(attributes, |out| {
            normalizer.rewrite(attributes.of(record), shape.detection, first_token, out)
        });
    }
    for event in shape.events.into_iter().flat_map(|events| items(record, events)) {
        let Some(attributes) = find(record, event, b"attributes") else { continue };
        let detection = normalizer.detect_all(attributes.of(record));
        if detection.calls_for_work() {
            let here = patch.replace(attributes, |out| {
                normalizer.rewrite(attributes.of(record), detection, None, out)
            });
            spoken = spoken.or(here);
        }
    }
    spoken
}

/// Seconds from the span's start to its first token.
fn first_token(record: &[u8], shape: SpanShape) -> Option<f64> {
    let first = shape.detection.first_token_event()?;
    let start = u64::try_from(int_of(shape.start?.of(record))?).ok()?;
    let event = items(record, shape.events?).find(|event| {
        find(record, *event, b"name").and_then(|name| text_of(name.of(record))) == Some(first)
    })?;
    let time = find(record, event, b"time_unix_nano")?;
    let time = u64::try_from(int_of(time.of(record))?).ok()?;
    Some(std::time::Duration::from_nanos(time.checked_sub(start)?).as_secs_f64())
}

/// Renames the attribute `gen_ai.system` of a metric's data points. Unlike in spans the old name
/// goes, since attributes are what tells one series from another.
#[derive(Debug)]
pub(super) struct MetricRenamer(Finder<'static>);

impl MetricRenamer {
    pub(super) fn new() -> Self {
        Self(Finder::new(b"gen_ai.system"))
    }

    /// Notes what is to be replaced in the metric whose body is at `body`.
    pub(super) fn rename(&self, record: &[u8], body: ByteRange, patch: &mut Patch) {
        if self.0.find(body.of(record)).is_none() {
            return;
        }
        for point in data_points(record, body) {
            let Some(attributes) = find(record, point, b"attributes") else { continue };
            rename_in(record, attributes, patch);
        }
    }
}

fn rename_in(record: &[u8], attributes: ByteRange, patch: &mut Patch) {
    if find(record, attributes, b"gen_ai.provider.name").is_some() {
        return;
    }
    let Some(old) = pairs(record, attributes).find(|pair| pair.key == b"gen_ai.system") else {
        return;
    };
    patch.replace(old.whole, |out| {
        msgpack::str(out, "gen_ai.provider.name");
        match text_of(old.value.of(record)) {
            Some(name) => msgpack::str(out, provider(name)),
            None => out.extend_from_slice(old.value.of(record)),
        }
        Some(())
    });
}
