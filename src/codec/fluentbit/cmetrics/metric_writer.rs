//! Writer of one metric: the `Metric` message with the points that can be read.

use super::super::tally::{AtField, ReadPosition, ReadTally};
use super::super::{fields, values};
use super::context_header::ContextHeader;
use super::external::ExternalMap;
use super::metric::{CmetricsMetric, MetricType};
use super::point::{self, MetricPoints, PointExtras};
use crate::codec::msgpack::{Entry, MapView};
use crate::codec::wire;
use crate::model::hex_digit;

/// Writes the `Metric` message with the points that can be read, and nothing without any.
pub(super) fn write(
    out: &mut Vec<u8>,
    metric: &CmetricsMetric<'_>,
    shared: &ContextHeader<'_>,
    position: ReadPosition,
    tally: &mut ReadTally,
) {
    let values = match fields::list(metric.values).at("values") {
        Ok(values) => values,
        Err(bad) => return tally.skip(position, bad),
    };
    let (length, before) = (out.len(), tally.items);
    let mut points = MetricPoints::new(metric, shared, extras_of_points(metric.extra.datapoints));
    wire::message(out, 2, |out| {
        wire::text(out, 1, &metric.name);
        wire::nonempty(out, 2, metric.description);
        wire::nonempty(out, 3, metric.unit);
        wire::message(out, metric.kind.field(metric.extra.up_and_down), |out| {
            for (index, raw) in values.enumerate() {
                point::write(out, raw, &mut points, position.with("values", index), tally);
            }
            if metric.kind.has_temporality() || metric.extra.up_and_down {
                wire::nonzero(out, 2, metric.temporality);
            }
            if metric.kind == MetricType::Counter {
                wire::uint(out, 3, 1);
            }
        });
        metadata(out, metric, shared, position, tally);
    });
    if tally.items == before {
        out.truncate(length);
    }
}

fn metadata(
    out: &mut Vec<u8>,
    metric: &CmetricsMetric<'_>,
    shared: &ContextHeader<'_>,
    position: ReadPosition,
    tally: &mut ReadTally,
) {
    let metadata = metric.extra.metadata;
    if shared.external.has_indexes() {
        let own = |entry: &Entry<'_>| !ExternalMap::is_index(entry.key);
        MapView::new(metadata).filter(own).for_each(|entry| values::attribute(out, 12, &entry));
    } else if let Err(bad) = values::attributes(out, 12, metadata, ("metadata", position, tally)) {
        tally.skip(position, bad);
    }
}

/// Reads the keys `HASH:TIME`, hex and decimal.
fn extras_of_points(datapoints: &[u8]) -> PointExtras<'_> {
    let mut extras = PointExtras::default();
    for entry in MapView::new(datapoints) {
        if let Some(key) = point_key(entry.key) {
            extras.entry(key).or_insert(entry.value);
        }
    }
    extras
}

fn point_key(key: &[u8]) -> Option<(u64, u64)> {
    let mut parts = key.splitn(2, |&byte| byte == b':');
    let hash = parts.next()?.iter().try_fold(0_u64, |hash, &digit| {
        hash.checked_mul(16)?.checked_add(u64::from(hex_digit(digit)?))
    })?;
    let time = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
    Some((hash, time))
}
