//! Metrics of an encoded request, one after the other.

use xxhash_rust::xxh3::Xxh3Default;

use super::point::unordered;
use crate::codec::wire::{self, NestedMessage, WireError, WireFields, WireValue};

/// Writes a message anew; false where nothing is left of it.
type MessageWriter<'f> = dyn FnMut(&[u8], &mut Vec<u8>) -> Result<bool, WireError> + 'f;

/// Writes a metric anew, given a hash that stands for its resource and scope.
type MetricWriter<'f> = dyn FnMut(u128, &[u8], &mut Vec<u8>) -> Result<bool, WireError> + 'f;

/// The hash of texts in their order.
pub(super) fn hash(texts: &[&[u8]]) -> u128 {
    let mut hash = Xxh3Default::new();
    for text in texts {
        hash.update(&text.len().to_le_bytes());
        hash.update(text);
    }
    hash.digest128()
}

/// The first message in a field.
fn first_of(message: &[u8], number: u32) -> Result<&[u8], WireError> {
    let mut first: &[u8] = &[];
    wire::each(message, number, |content| {
        if first.is_empty() {
            first = content;
        }
        Ok(())
    })?;
    Ok(first)
}

/// Writes the fields of a message; of those with this number what `write` leaves something of. Whether it
/// left something of any.
pub(super) fn fields(
    message: &[u8],
    number: u32,
    out: &mut Vec<u8>,
    write: &mut MessageWriter<'_>,
) -> Result<bool, WireError> {
    let mut left = false;
    let mut fields = WireFields::new(message);
    while let Some(field) = fields.read()? {
        let inner = match field.value {
            WireValue::Bytes(inner) if field.number == number => inner,
            _ => {
                out.extend_from_slice(field.raw);
                continue;
            }
        };
        let start = out.len();
        let open = NestedMessage::open(out, number, inner.len());
        if write(inner, out)? {
            open.close(out);
            left = true;
        } else {
            out.truncate(start);
        }
    }
    Ok(left)
}

/// Writes an `ExportMetricsServiceRequest` anew.
pub(super) fn rewrite(
    request: &[u8],
    out: &mut Vec<u8>,
    write: &mut MetricWriter<'_>,
) -> Result<(), WireError> {
    fields(request, 1, out, &mut |resource, out| {
        let attributes = unordered(first_of(resource, 1)?, 1)?;
        fields(resource, 2, out, &mut |scope, out| {
            let key = hash(&[&attributes.to_le_bytes(), first_of(scope, 1)?]);
            fields(scope, 2, out, &mut |metric, out| write(key, metric, out))
        })
    })?;
    Ok(())
}

/// What a metric says beside its points.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct MetricHead<'a> {
    pub(super) name: &'a [u8],
    pub(super) unit: &'a [u8],
    /// The field of its data.
    pub(super) data: u32,
    /// `AggregationTemporality`; 0 where it has none.
    pub(super) temporality: u64,
    pub(super) is_monotonic: bool,
    /// How many points it has.
    pub(super) points: usize,
}

impl<'a> MetricHead<'a> {
    pub(super) fn read(metric: &'a [u8]) -> Result<Self, WireError> {
        let (mut head, mut data) = (Self::default(), &[][..]);
        let mut fields = WireFields::new(metric);
        while let Some(field) = fields.read()? {
            match (field.number, field.value) {
                (1, WireValue::Bytes(name)) => head.name = name,
                (3, WireValue::Bytes(unit)) => head.unit = unit,
                (5 | 7 | 9..=11, WireValue::Bytes(content)) => {
                    (head.data, data) = (field.number, content);
                }
                _ => {}
            }
        }
        let mut fields = WireFields::new(data);
        while let Some(field) = fields.read()? {
            match (field.number, field.value) {
                (1, WireValue::Bytes(_)) => head.points += 1,
                (2, WireValue::Varint(value)) => head.temporality = value,
                (3, WireValue::Varint(value)) => head.is_monotonic = value != 0,
                _ => {}
            }
        }
        Ok(head)
    }
}
