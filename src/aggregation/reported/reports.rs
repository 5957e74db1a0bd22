//! What one service reports, as far as the export of its metrics has to know.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::last_amounts::LastAmounts;
use super::names::{ComparedAmount, metric_of, name_of};
use super::service::{SaidAmount, Service};
use crate::aggregation::config::ReportedPolicy;
use crate::aggregation::instruments::{COMPARED, Instrument, PointData};
use crate::aggregation::number::whole;
use crate::aggregation::write::{MetricEnvelope, MetricWriter, PointContext};
use crate::clock::Tick;
use crate::codec::msgpack::str;
use crate::model::Emission;

/// The names of the sides of a comparison.
const SIDES: [&str; 2] = ["reported", "measured"];

/// What becomes of a metric of ours in an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::aggregation) struct MetricFate {
    /// Its number, if services report it.
    metric: Option<(u8, ComparedAmount)>,
    is_compared: bool,
    /// The service says it itself.
    pub(in crate::aggregation) is_withheld: bool,
    /// It goes beside what the service says.
    pub(in crate::aggregation) is_beside: bool,
}

/// What one service reports.
#[derive(Debug)]
pub(in crate::aggregation) struct ServiceReports<'e> {
    policy: ReportedPolicy,
    service: Option<&'e mut Service>,
    last: &'e mut LastAmounts,
    group: u64,
    unix_nanos: u64,
    exports: u64,
    /// The metrics of the group that had something to say: a bit each.
    pub(in crate::aggregation) measured: u32,
}

impl<'e> ServiceReports<'e> {
    pub(super) const fn new(
        policy: ReportedPolicy,
        service: Option<&'e mut Service>,
        last: &'e mut LastAmounts,
        (group, unix_nanos): (u64, u64),
        exports: u64,
    ) -> Self {
        Self { policy, service, last, group, unix_nanos, exports, measured: 0 }
    }

    /// Notes when something was measured last.
    pub(super) fn note_use(&mut self, used: Tick) {
        if let Some(service) = &mut self.service
            && used > service.seen
        {
            service.unanswered.get_or_insert(used);
        }
    }

    /// What becomes of a metric.
    pub(in crate::aggregation) fn fate(&self, instrument: &Instrument) -> MetricFate {
        if self.service.is_none() && self.policy != ReportedPolicy::Replace {
            return MetricFate::default();
        }
        let Some(metric) = metric_of(instrument.name) else { return MetricFate::default() };
        let is_reported =
            self.service.as_ref().is_some_and(|it| it.reported & (1 << metric.0) != 0);
        MetricFate {
            metric: Some(metric),
            is_compared: is_reported,
            is_withheld: is_reported && self.policy == ReportedPolicy::Prefer,
            is_beside: is_reported && self.policy == ReportedPolicy::Both,
        }
    }

    /// Notes a point of a metric.
    #[inline]
    pub(in crate::aggregation) fn note(
        &mut self,
        fate: MetricFate,
        point: &PointContext<'_>,
        data: &PointData,
        is_delta: bool,
    ) {
        let Some((metric, amount)) = fate.metric else { return };
        self.measured |= 1 << metric;
        if fate.is_compared {
            self.compare(metric, point, amount_of(data, amount), is_delta);
        }
    }

    fn compare(&mut self, metric: u8, point: &PointContext<'_>, amount: f64, is_delta: bool) {
        let service = self.service.as_mut();
        let Some(comparison) = service.and_then(|service| service.comparison(metric)) else {
            return;
        };
        // No resource has this hash but by chance.
        let seed = xxh3_64_with_seed(&self.group.to_le_bytes(), u64::from(metric) | (1 << 63));
        let series = xxh3_64_with_seed(point.more, xxh3_64_with_seed(point.attributes, seed));
        let (start, time) = (point.start, self.unix_nanos);
        let said = SaidAmount { series, start, time, amount, is_delta };
        comparison.measure(&said, self.last);
    }

    /// Ends the export of a group: writes what is compared, once for a service in an export.
    pub(in crate::aggregation) fn finish(
        self,
        batch: &mut Emission,
        envelope: &MetricEnvelope,
        delta: Option<u64>,
    ) -> u32 {
        let Some(service) = self.service else { return self.measured };
        service.measured |= self.measured;
        if service.exported == self.exports {
            return self.measured;
        }
        service.exported = self.exports;
        let mut writer = MetricWriter::new(batch, &COMPARED, ["", COMPARED.name], envelope);
        for comparison in &mut service.comparisons {
            let start = delta.map_or(comparison.since, |since| since.max(comparison.since));
            let name = name_of(comparison.metric);
            let sides = [&mut comparison.reported, &mut comparison.measured];
            for (side, amounts) in SIDES.into_iter().zip(sides) {
                let mut attributes = Vec::new();
                str(&mut attributes, COMPARED.by.unwrap_or_default());
                str(&mut attributes, name);
                str(&mut attributes, "fluentbit.ai.compared.side");
                str(&mut attributes, side);
                let context = PointContext { attributes: &attributes, more: &[], pairs: 2, start };
                writer.add(context, PointData::Number(whole(amounts.export(delta.is_none()))));
            }
        }
        writer.flush();
        self.measured
    }
}

fn amount_of(data: &PointData, amount: ComparedAmount) -> f64 {
    match (data, amount) {
        (PointData::Number(number), _) => *number as f64,
        (PointData::Double(number) | PointData::Gauge(number), _) => *number,
        (PointData::Histogram(histogram), ComparedAmount::Count) => histogram.count as f64,
        (PointData::Histogram(histogram), ComparedAmount::Sum) => histogram.sum,
    }
}
