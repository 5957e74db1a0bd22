//! Points of metrics that services report: how much they say.

use super::names::ComparedAmount;
use crate::aggregation::number::amount;
use crate::codec::msgpack::{MapView, int_of, text_of};
use crate::codec::records::MetricView;
use crate::codec::records::layout::keys;

/// A point of a metric that a service reports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ReportedPoint<'a> {
    /// Its encoded attributes.
    pub(super) attributes: &'a [u8],
    /// When its series began, and of when it is, in nanoseconds since the Unix epoch.
    pub(super) start: u64,
    pub(super) time: u64,
    pub(super) amount: f64,
}

/// Whether the points of a metric say what came since those before.
pub(super) fn is_delta(metric: &MetricView<'_>) -> bool {
    let temporality = MapView::new(metric.data).get(b"aggregation_temporality");
    temporality.and_then(text_of) == Some("delta")
}

impl<'a> ReportedPoint<'a> {
    /// What a point of a metric says that can be compared, if it is anything.
    pub(super) fn read(
        metric: &MetricView<'_>,
        encoded: &'a [u8],
        compared: ComparedAmount,
    ) -> Option<Self> {
        let mut point = Self { attributes: &[], start: 0, time: 0, amount: 0.0 };
        let (mut number, mut count, mut sum) = (None, Some(0.0), None);
        for entry in MapView::new(encoded) {
            let nanos = || int_of(entry.value).and_then(|nanos| u64::try_from(nanos).ok());
            match entry.key {
                keys::ATTRIBUTES => point.attributes = entry.value,
                keys::START_TIME => point.start = nanos()?,
                keys::TIME => point.time = nanos()?,
                b"as_int" | b"as_double" => number = amount(entry.value),
                b"count" => count = amount(entry.value),
                b"sum" => sum = amount(entry.value),
                // A point without a value says so.
                keys::FLAGS if int_of(entry.value).is_some_and(|flags| flags & 1 != 0) => {
                    return None;
                }
                _ => {}
            }
        }
        point.amount = match (metric.kind, compared) {
            (b"sum", ComparedAmount::Sum) => number,
            (b"histogram" | b"exponential_histogram" | b"summary", ComparedAmount::Sum) => sum,
            (b"histogram" | b"exponential_histogram" | b"summary", ComparedAmount::Count) => count,
            _ => None,
        }?;
        let kind = MapView::new(point.attributes).get(b"gen_ai.token.type").and_then(text_of);
        // The total of both other types is said beside them by Spring AI.
        (kind != Some("total")).then_some(point)
    }
}
