//! Validation of histogram data points: opentelemetry-proto, `HistogramDataPoint`, asks for
//! bounds that ascend and for one bucket more than bounds, or for neither.

use super::value::next;
use crate::codec::records::error::{DecodeFault, DecodeKind, DecodeResult};
use crate::codec::wire::{self, WireField, WireFields, WireValue};

/// The field of a metric that holds a histogram, and that of its data points.
pub(super) const HISTOGRAM: u32 = 9;
const DATA_POINTS: u32 = 1;

/// Data points that are left out of a metric.
#[derive(Debug)]
pub(super) struct LeftOut {
    /// How many they are.
    pub(super) points: usize,
    /// What is wrong with the first one.
    pub(super) fault: Box<DecodeFault>,
}

/// What is wrong with the buckets of a data point, if it is known to be wrong. What is no data
/// point at all is for others to find.
#[inline]
pub(crate) fn bucket_problem(point: &[u8]) -> Option<DecodeKind> {
    let (mut counts, mut bounds, mut last) = (0_usize, 0_usize, f64::NEG_INFINITY);
    let mut ascends = true;
    let mut bound = |bits: u64| {
        let value = f64::from_bits(bits);
        // The first may be minus infinity; of NaN neither is true.
        ascends &= value > last || bounds == 0 && value == last;
        (last, bounds) = (value, bounds + 1);
    };
    let mut fields = WireFields::new(point);
    while let Some(field) = fields.read().ok()? {
        match (field.number, field.value) {
            (6, WireValue::Bytes(packed)) => counts += packed.len() / 8,
            (6, WireValue::Fixed64(_)) => counts += 1,
            (7, WireValue::Bytes(packed)) => {
                packed.as_chunks::<8>().0.iter().for_each(|bits| bound(u64::from_le_bytes(*bits)));
            }
            (7, WireValue::Fixed64(bits)) => bound(bits),
            _ => {}
        }
    }
    if !ascends {
        return Some(DecodeKind::Bounds);
    }
    let fits = counts == bounds + 1 || (counts == 0 && bounds == 0);
    (!fits).then_some(DecodeKind::Buckets { counts, bounds })
}

/// The data points of a histogram with their places.
fn points(data: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let mut fields = WireFields::new(data);
    let points = std::iter::from_fn(move || fields.read().ok().flatten());
    (0..).zip(points.filter_map(|field| point_of(&field)))
}

const fn point_of<'a>(field: &WireField<'a>) -> Option<&'a [u8]> {
    match field.value {
        WireValue::Bytes(point) if field.number == DATA_POINTS => Some(point),
        _ => None,
    }
}

/// Whether no data point of a histogram, which may come in parts, is known to be wrong.
#[inline]
pub(super) fn is_valid(data: &[u8]) -> bool {
    points(data).all(|(_, point)| bucket_problem(point).is_none())
}

/// A metric without the data points whose buckets are wrong.
///
/// # Errors
/// No data point is left.
#[cold]
pub(super) fn without_wrong_points(metric: &[u8], data: &[u8]) -> DecodeResult<(Vec<u8>, LeftOut)> {
    let wrong = points(data)
        .find_map(|(index, point)| bucket_problem(point).map(|problem| (index, point, problem)));
    let Some((index, point, problem)) = wrong else {
        return Err(DecodeFault::new(DecodeKind::Bounds, metric));
    };
    let field = if problem == DecodeKind::Bounds { "explicit_bounds" } else { "bucket_counts" };
    let fault = DecodeFault::new(problem, point)
        .within(field)
        .within_index("data_points", index)
        .within("histogram");
    let (mut kept, mut left, mut out) = (Vec::new(), 0_usize, Vec::new());
    let mut fields = WireFields::new(data);
    while let Some(field) = next(&mut fields)? {
        match point_of(&field) {
            Some(point) if bucket_problem(point).is_some() => left += 1,
            _ => kept.extend_from_slice(field.raw),
        }
    }
    if points(&kept).next().is_none() {
        return Err(fault);
    }
    let mut fields = WireFields::new(metric);
    while let Some(field) = next(&mut fields)? {
        if field.number != HISTOGRAM {
            out.extend_from_slice(field.raw);
        }
    }
    // The last of a metric's data counts.
    wire::bytes(&mut out, HISTOGRAM, &kept);
    Ok((out, LeftOut { points: left, fault }))
}
