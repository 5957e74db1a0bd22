//! Metric classifier: data points by what some endpoints refuse, the kind of their metric and its
//! temporality.

use super::fields::each;
use super::{Metric, RequestItems};
use crate::codec::wire::{WireFields, WireValue};

/// `AggregationTemporality`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::export) enum MetricTemporality {
    /// Of gauges and summaries, which have none.
    None,
    Cumulative,
    Delta,
}

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::export) struct PointKind {
    /// The number of the field of its data in `Metric`.
    pub(in crate::export) data: u32,
    pub(in crate::export) temporality: MetricTemporality,
}

impl Metric<'_> {
    fn of_kind(&self) -> PointKind {
        // Field 2 of sums and histograms; gauges and summaries have no other field than points.
        let mut temporality = MetricTemporality::None;
        for raw in &self.rest {
            if let Ok(Some(field)) = WireFields::new(raw).read()
                && let (2, WireValue::Varint(value), 7 | 9 | 10) =
                    (field.number, field.value, self.kind)
            {
                temporality = match value {
                    1 => MetricTemporality::Delta,
                    2 => MetricTemporality::Cumulative,
                    _ => MetricTemporality::None,
                };
            }
        }
        PointKind { data: self.kind, temporality }
    }
}

impl RequestItems<'_> {
    /// The name of the scope that a unit belongs to.
    pub(in crate::export) fn scope_name(&self, unit: usize) -> &[u8] {
        let mut name: &[u8] = &[];
        let _walked = each(self.scope(unit), |number, content, _| {
            if let (1, Some(content)) = (number, content) {
                name = content;
            }
            Ok(())
        });
        name
    }

    /// The kinds of metrics that it has, each once.
    pub(in crate::export) fn kinds(&self) -> Vec<PointKind> {
        let mut kinds: Vec<PointKind> = self.metrics.iter().map(Metric::of_kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// ItemSet, each in its order, by the kinds of their metrics.
    pub(in crate::export) fn by_kind(&self, units: &[usize]) -> Vec<Vec<usize>> {
        let mut groups: Vec<(PointKind, Vec<usize>)> = Vec::new();
        for at in units {
            let metric = self.units.get(*at).and_then(|unit| self.metrics.get(unit.metric));
            let Some(kind) = metric.map(Metric::of_kind) else { continue };
            match groups.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, group)) => group.push(*at),
                None => groups.push((kind, vec![*at])),
            }
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }
}
