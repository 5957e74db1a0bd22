//! The services that report metrics themselves.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::last_amounts::LastAmounts;
use super::names::{ReportedName, name_of};
use super::point::{ReportedPoint, is_delta};
use super::reports::ServiceReports;
use super::service::{Comparison, SaidAmount, Service, ServiceKey};
use crate::aggregation::config::ReportedPolicy;
use crate::clock::Tick;
use crate::codec::msgpack::{MapView, text_of};
use crate::codec::records::layout::keys;
use crate::codec::records::{ChunkRewriter, Item, ItemReader, ItemStep, MetricView, Telemetry};
use crate::findings::ReportedDifference;
use crate::model::{Position, Signal};

/// The most services that are remembered.
const MAX_SERVICES: usize = 10_000;
/// How long calls are measured of a service that reports nothing any more, until it is one that does not.
const SILENCE: Duration = Duration::from_secs(300);
/// How long a service is remembered of which there is neither.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 3600);
/// The share of the series that comparisons may be.
const COMPARED_SHARE: usize = 10;
/// How many series each comparison is.
const SIDES: usize = 2;

/// How metrics that services report are treated.
#[derive(Debug, Clone, Copy)]
pub(in crate::aggregation) struct ReportedConfig {
    pub(in crate::aggregation) policy: ReportedPolicy,
    /// The most series of all metrics.
    pub(in crate::aggregation) max_series: usize,
    /// Whether our points are cumulative.
    pub(in crate::aggregation) is_cumulative: bool,
    /// What was emitted at this position or later is ours.
    pub(in crate::aggregation) position: Position,
}

/// What has happened so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::aggregation) struct ReportedTally {
    /// Points of metrics that services report, and that are measured here.
    pub(in crate::aggregation) points: u64,
    /// Of these, those that were taken out.
    pub(in crate::aggregation) replaced: u64,
    /// Those of services that there was no room to remember.
    pub(in crate::aggregation) unnoted: u64,
}

/// The services that report metrics themselves.
#[derive(Debug)]
pub(in crate::aggregation) struct ReportedServices {
    config: ReportedConfig,
    services: HashMap<ServiceKey, Service, RandomState>,
    last: LastAmounts,
    /// When measuring began, in nanoseconds since the Unix epoch.
    began: u64,
    comparisons: usize,
    exports: u64,
    /// Something of the present chunk is to be taken out.
    replaces: bool,
    tally: ReportedTally,
}

/// A metric that a service reports.
struct Report<'a> {
    name: ReportedName,
    metric: MetricView<'a>,
    resource: &'a [u8],
}

/// What a resource says as `service.name`.
fn service_name(resource: &[u8]) -> &str {
    let attributes = MapView::new(resource).get(keys::ATTRIBUTES).unwrap_or_default();
    MapView::new(attributes).get(b"service.name").and_then(text_of).unwrap_or_default()
}

impl ReportedServices {
    /// None is known yet.
    pub(in crate::aggregation) fn new(config: ReportedConfig, began: u64) -> Self {
        Self {
            services: HashMap::default(),
            last: LastAmounts::new(config.max_series.saturating_mul(SIDES)),
            began,
            comparisons: 0,
            exports: 0,
            replaces: false,
            tally: ReportedTally::default(),
            config,
        }
    }

    /// What has happened so far.
    pub(in crate::aggregation) const fn tally(&self) -> &ReportedTally {
        &self.tally
    }

    /// Notes a step's metric, if it is one that is measured here, too. `measured_of` says which are measured of a
    /// service, a bit each.
    pub(in crate::aggregation) fn see(
        &mut self,
        step: &ItemStep<'_>,
        measured_of: impl FnOnce(ServiceKey) -> u32,
        (now, unix_nanos): (Tick, u64),
    ) {
        let Some(report) = self.report_of(step) else { return };
        let key = ServiceKey::of(report.resource);
        let points = report.metric.data_points().count() as u64;
        self.tally.points = self.tally.points.saturating_add(points);
        if self.services.len() >= MAX_SERVICES && !self.services.contains_key(&key) {
            self.tally.unnoted = self.tally.unnoted.saturating_add(points);
            return;
        }
        let entry = self.services.entry(key);
        let service = entry
            .or_insert_with(|| Service::new(service_name(report.resource), measured_of(key), now));
        (service.seen, service.unanswered) = (now, None);
        let bit = 1 << report.name.metric;
        service.reported |= bit;
        if self.config.policy == ReportedPolicy::Replace && service.measured & bit != 0 {
            self.replaces = true;
            self.tally.replaced = self.tally.replaced.saturating_add(points);
        }
        self.compare(key, &report, unix_nanos);
    }

    /// What goes on of a chunk that was seen, if something is to be taken out.
    pub(in crate::aggregation) fn without_replaced(&mut self, chunk: &[u8]) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.replaces) {
            return None;
        }
        let mut rewriter = ChunkRewriter::new(chunk);
        let mut items = ItemReader::new(chunk);
        while let Some(step) = items.step(&mut ()) {
            let is_replaced = self.report_of(&step).is_some_and(|report| {
                let service = self.services.get(&ServiceKey::of(report.resource));
                service.is_some_and(|service| service.measured & (1 << report.name.metric) != 0)
            });
            if is_replaced {
                rewriter.replace(step.raw());
            } else {
                rewriter.keep(step.raw());
            }
        }
        rewriter.finish()
    }

    fn report_of<'a>(&self, step: &ItemStep<'a>) -> Option<Report<'a>> {
        let ItemStep::Item(Item { event, telemetry: Some(telemetry), .. }) = step else {
            return None;
        };
        let Telemetry { signal: Some(Signal::Metrics), resource, .. } = *telemetry else {
            return None;
        };
        let metric = MetricView::new(event.body);
        let name = ReportedName::find(text_of(metric.name)?)?;
        let is_theirs = !telemetry.is_past(self.config.position);
        is_theirs.then(|| Report { name, metric, resource: resource.unwrap_or_default() })
    }

    /// Adds what a service reports to what is compared.
    fn compare(&mut self, key: ServiceKey, report: &Report<'_>, unix_nanos: u64) {
        let ReportedName { metric, form, amount } = report.name;
        let Some(service) = self.services.get_mut(&key) else { return };
        let points = || {
            let points = report.metric.data_points();
            points.filter_map(|point| ReportedPoint::read(&report.metric, point, amount))
        };
        if service.comparison(metric).is_none() {
            let Some(first) = points().next() else { return };
            let most = self.config.max_series / COMPARED_SHARE / SIDES;
            if self.comparisons >= most {
                return;
            }
            // Deltas of ours are gone by now.
            let is_whole = self.config.is_cumulative && first.start >= self.began;
            service.comparisons.push(Comparison::new(metric, form, is_whole, unix_nanos));
            self.comparisons = self.comparisons.saturating_add(1);
        }
        let Some(comparison) = service.comparison(metric).filter(|one| one.form == form) else {
            return;
        };
        let is_delta = is_delta(&report.metric);
        let seed = xxh3_64_with_seed(report.resource, xxh3_64(report.metric.name));
        for ReportedPoint { attributes, start, time, amount } in points() {
            let series = xxh3_64_with_seed(attributes, seed);
            let said = SaidAmount { series, start, time, amount, is_delta };
            comparison.report(&said, &mut self.last);
        }
    }

    /// What services reported in the last hour that is not what was measured, where that is to be told.
    pub(in crate::aggregation) fn differences(
        &mut self,
        unix_nanos: u64,
        mut tell: impl FnMut(&ReportedDifference<'_>),
    ) {
        for service in self.services.values_mut() {
            for comparison in &mut service.comparisons {
                if let Some([reported, measured]) = comparison.difference(unix_nanos) {
                    let metric = name_of(comparison.metric);
                    let service = &service.name;
                    tell(&ReportedDifference { service, metric, reported, measured, unix_nanos });
                }
            }
        }
    }

    /// Begins an export.
    pub(in crate::aggregation) const fn begin_export(&mut self) {
        self.exports = self.exports.wrapping_add(1);
    }

    /// What the service of a group reports, for the export of that group, which was added to at `used` last.
    pub(in crate::aggregation) fn of_service(
        &mut self,
        key: ServiceKey,
        (group, used): (u64, Tick),
        unix_nanos: u64,
    ) -> ServiceReports<'_> {
        let service = self.services.get_mut(&key);
        let policy = self.config.policy;
        let mut reports =
            ServiceReports::new(policy, service, &mut self.last, (group, unix_nanos), self.exports);
        reports.note_use(used);
        reports
    }

    /// Forgets the services that report nothing any more, and gives those of which series have to begin anew,
    /// because not all that they counted was said, or it was said under another name.
    pub(in crate::aggregation) fn lapse(&mut self, now: Tick, unix_nanos: u64) -> Vec<ServiceKey> {
        let (mut lapsed, mut gone) = (Vec::new(), 0_usize);
        self.services.retain(|key, service| {
            let is_silent = service.unanswered.is_some_and(|since| now.since(since) >= SILENCE);
            let is_over = is_silent || now.since(service.seen) >= FORGOTTEN_AFTER;
            if is_over {
                gone = gone.saturating_add(service.comparisons.len());
                lapsed.push(*key);
            }
            !is_over
        });
        self.comparisons = self.comparisons.saturating_sub(gone);
        if !lapsed.is_empty() {
            self.began = unix_nanos;
        }
        if self.config.policy == ReportedPolicy::Replace {
            lapsed.clear();
        }
        lapsed
    }
}
