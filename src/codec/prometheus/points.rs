//! Point writer: the points of a family -> metrics of OTLP, by the compatibility specification of OpenTelemetry
//! ("Prometheus and OpenMetrics Compatibility", section "Prometheus Metric points to OTLP").

use super::family::{Family, FamilyKind, Point};
use super::line::{Exemplar, Labels};
use super::scopes::{Scopes, attribute};
use super::start_times::StartTimes;
use super::units;
use crate::codec::wire;
use crate::model::{SpanId, TraceId};

/// Field numbers of `Metric.data`.
const GAUGE: u32 = 5;
const SUM: u32 = 7;
const HISTOGRAM: u32 = 9;
const SUMMARY: u32 = 11;
const CUMULATIVE: u64 = 2;

/// When the points of a page were taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageTime {
    /// Of those that do not say it, in nanoseconds since the Unix epoch.
    pub(super) unix_nanos: u64,
    /// Of how many seconds one unit of timestamps is.
    pub(super) seconds: f64,
}

impl FamilyKind {
    const fn data(self) -> u32 {
        match self {
            Self::Unknown | Self::Gauge | Self::GaugeHistogram => GAUGE,
            Self::Counter | Self::Info | Self::StateSet => SUM,
            Self::Histogram => HISTOGRAM,
            Self::Summary => SUMMARY,
        }
    }
}

/// Writes the points of a family into their scopes, and says how many are not valid and were left out.
pub(super) fn write(
    family: &mut Family<'_>,
    scopes: &mut Scopes<'_>,
    starts: &mut StartTimes,
    time: PageTime,
) -> usize {
    let mut points = std::mem::take(&mut family.points);
    let before = points.len();
    points.retain_mut(|point| point.is_valid(family.kind));
    let valid = points.len();
    if points.iter().any(|point| point.scope != 0) {
        points.sort_unstable_by_key(|point| point.scope);
    }
    for points in points.chunk_by(|left, right| left.scope == right.scope) {
        let scope = points.first().map_or(0, |point| point.scope);
        if let Some(out) = scopes.metrics(scope) {
            wire::message(out, 2, |out| metric(out, family, points, starts, time));
        }
    }
    before.saturating_sub(valid)
}

/// Writes a gauge of one point without attributes.
pub(super) fn gauge(out: &mut Vec<u8>, [name, help, unit]: [&str; 3], value: f64, unix_nanos: u64) {
    wire::message(out, 2, |out| {
        head(out, [name, ""], help, unit);
        wire::message(out, GAUGE, |out| {
            wire::message(out, 1, |out| {
                wire::fixed64(out, 3, unix_nanos);
                wire::double(out, 4, value);
            });
        });
    });
}

fn head(out: &mut Vec<u8>, [name, suffix]: [&str; 2], help: &str, unit: &str) {
    wire::text(out, 1, [name, suffix].concat().as_bytes());
    wire::nonempty(out, 2, help.as_bytes());
    wire::nonempty(out, 3, unit.as_bytes());
}

fn metric(
    out: &mut Vec<u8>,
    family: &Family<'_>,
    points: &[Point<'_>],
    starts: &mut StartTimes,
    time: PageTime,
) {
    let kind = family.kind;
    head(out, [&family.name, family.suffix], &family.help, units::ucum(family.unit));
    wire::message(out, kind.data(), |out| {
        for point in points {
            wire::message(out, 1, |out| point.write(out, kind, starts, time));
        }
        match kind.data() {
            SUM => {
                wire::uint(out, 2, CUMULATIVE);
                wire::nonzero(out, 3, u64::from(kind == FamilyKind::Counter));
            }
            HISTOGRAM => wire::uint(out, 2, CUMULATIVE),
            _ => {}
        }
    });
}

impl Point<'_> {
    /// Whether OTLP has a place for it. Buckets are put into order, and the count is taken from the last one
    /// where it is missing.
    fn is_valid(&mut self, kind: FamilyKind) -> bool {
        match kind {
            FamilyKind::Histogram => self.is_histogram(),
            FamilyKind::Summary => self.count.is_none_or(|count| whole(count).is_some()),
            _ => self.value.is_some(),
        }
    }

    fn is_histogram(&mut self) -> bool {
        self.pairs.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
        let last = self.pairs.last().map(|(_, count)| *count);
        let Some(count) = self.count.or(last) else { return false };
        self.count = Some(count);
        // The last bucket has all, whatever its bound is.
        self.pairs.retain(|(bound, _)| bound.is_finite());
        let counts = self.pairs.iter().map(|(_, count)| *count).chain([count]);
        let mut before = 0.0;
        let mut grows = counts.map(|count| {
            let is_more = count >= before && whole(count).is_some();
            before = count;
            is_more
        });
        grows.all(|grows| grows)
            && self.pairs.windows(2).all(|pair| match pair {
                [left, right] => left.0 < right.0,
                _ => true,
            })
    }

    fn write(&self, out: &mut Vec<u8>, kind: FamilyKind, starts: &mut StartTimes, page: PageTime) {
        let own = self.timestamp.and_then(|time| nanos(time * page.seconds));
        let time = own.unwrap_or(page.unix_nanos);
        let start = self.start(kind, starts, time);
        wire::nonzero64(out, 2, start);
        wire::fixed64(out, 3, time);
        let (attributes, exemplars) = match kind.data() {
            HISTOGRAM => (9, 8),
            _ => (7, 5),
        };
        for (name, value) in &self.attributes {
            attribute(out, attributes, name, value);
        }
        match kind.data() {
            HISTOGRAM => self.write_histogram(out),
            SUMMARY => self.write_summary(out),
            _ => wire::double(out, 4, self.value.unwrap_or_default()),
        }
        if matches!(kind, FamilyKind::Counter | FamilyKind::Histogram) {
            for exemplar in &self.exemplars {
                wire::message(out, exemplars, |out| write_exemplar(out, exemplar, time));
            }
        }
    }

    /// Since when a sum counts: what the page says, else since it is seen. Other points have no start.
    fn start(&self, kind: FamilyKind, starts: &mut StartTimes, time: u64) -> u64 {
        let total = match kind {
            FamilyKind::Counter => self.value,
            FamilyKind::Histogram | FamilyKind::Summary => self.count.or(self.sum),
            _ => return 0,
        };
        match self.created.and_then(nanos) {
            Some(created) => created.min(time),
            None => starts.of(self.key, total.unwrap_or_default(), time),
        }
    }

    fn write_histogram(&self, out: &mut Vec<u8>) {
        let count = self.count.and_then(whole).unwrap_or_default();
        wire::fixed64(out, 4, count);
        if let Some(sum) = self.sum {
            wire::double(out, 5, sum);
        }
        let mut before = 0;
        let mut counts: Vec<u64> = Vec::with_capacity(self.pairs.len().saturating_add(1));
        let upper = self.pairs.iter().map(|(_, count)| whole(*count).unwrap_or_default());
        for upper in upper.chain([count]) {
            counts.push(upper.saturating_sub(before));
            before = upper;
        }
        wire::packed64(out, 6, counts.into_iter());
        wire::packed64(out, 7, self.pairs.iter().map(|(bound, _)| bound.to_bits()));
    }

    fn write_summary(&self, out: &mut Vec<u8>) {
        wire::fixed64(out, 4, self.count.and_then(whole).unwrap_or_default());
        wire::double(out, 5, self.sum.unwrap_or_default());
        for (quantile, value) in &self.pairs {
            wire::message(out, 6, |out| {
                wire::double(out, 1, *quantile);
                wire::double(out, 2, *value);
            });
        }
    }
}

fn write_exemplar(out: &mut Vec<u8>, exemplar: &Exemplar<'_>, time: u64) {
    wire::fixed64(out, 2, exemplar.timestamp.and_then(nanos).unwrap_or(time));
    wire::double(out, 3, exemplar.value);
    let label = |name: &str| exemplar.labels.iter().find(|(known, _)| known == name);
    let trace = label("trace_id").and_then(|(_, text)| TraceId::from_hex(text.as_bytes()));
    let span = label("span_id").and_then(|(_, text)| SpanId::from_hex(text.as_bytes()));
    if let Some(span) = span {
        wire::bytes(out, 4, &span.0);
    }
    if let Some(trace) = trace {
        wire::bytes(out, 5, &trace.0);
    }
    let is_id = |name: &str| match name {
        "trace_id" => trace.is_some(),
        "span_id" => span.is_some(),
        _ => false,
    };
    write_other(out, &exemplar.labels, is_id);
}

fn write_other(out: &mut Vec<u8>, labels: &Labels<'_>, is_id: impl Fn(&str) -> bool) {
    for (name, value) in labels.iter().filter(|(name, _)| !is_id(name)) {
        attribute(out, 7, name, value);
    }
}

/// Seconds since the Unix epoch in nanoseconds, if they are such.
fn nanos(seconds: f64) -> Option<u64> {
    whole((seconds * 1e9).round())
}

/// A count as an integer, if it is one or may be taken for one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
fn whole(value: f64) -> Option<u64> {
    (0.0..1.8e19).contains(&value).then_some(value as u64)
}
