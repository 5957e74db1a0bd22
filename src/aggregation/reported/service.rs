//! A service that reports metrics itself: which, and how much beside what is measured here.

use xxhash_rust::xxh3::xxh3_64;

use super::hours::ComparedHours;
use super::last_amounts::LastAmounts;
use crate::clock::Tick;
use crate::codec::msgpack::MapView;
use crate::codec::records::layout::keys;

/// How far apart the points of one report may be.
const ONE_REPORT: u64 = 1_000_000_000;
/// How much of a service's name is kept, in bytes.
const MAX_NAME: usize = 128;
/// In msgpack this is no value.
const NONE: &[u8] = &[0xc1];

/// What tells services apart: a hash of namespace, name and instance, or of all that the resource of a service
/// without name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::aggregation) struct ServiceKey(u64);

impl ServiceKey {
    /// That of an encoded resource.
    pub(in crate::aggregation) fn of(resource: &[u8]) -> Self {
        let attributes = MapView::new(resource).get(keys::ATTRIBUTES).unwrap_or_default();
        let mut parts = [NONE; 3];
        for entry in MapView::new(attributes) {
            match entry.key {
                b"service.name" => parts[0] = entry.value,
                b"service.namespace" => parts[1] = entry.value,
                b"service.instance.id" => parts[2] = entry.value,
                _ => {}
            }
        }
        if parts[0] == NONE {
            return Self(xxh3_64(resource));
        }
        Self(xxh3_64(&parts.concat()))
    }
}

/// One side of a comparison.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ComparedSide {
    /// When it was first heard of, in nanoseconds since the Unix epoch.
    first: Option<u64>,
    amount: f64,
    exported: f64,
}

/// What one side says of a series.
#[derive(Debug, Clone, Copy)]
pub(super) struct SaidAmount {
    /// A hash of the series.
    pub(super) series: u64,
    pub(super) start: u64,
    pub(super) time: u64,
    pub(super) amount: f64,
    pub(super) is_delta: bool,
}

/// How much a service reports of a metric, and how much is measured.
#[derive(Debug, Clone)]
pub(super) struct Comparison {
    pub(super) metric: u8,
    /// Under which of its names it is compared.
    pub(super) form: u8,
    /// Whether the first report is of all that there was since we began.
    is_whole: bool,
    /// When it began, in nanoseconds since the Unix epoch.
    pub(super) since: u64,
    pub(super) reported: ComparedSide,
    pub(super) measured: ComparedSide,
    hours: ComparedHours,
}

impl Comparison {
    /// A comparison that begins.
    pub(super) fn new(metric: u8, form: u8, is_whole: bool, since: u64) -> Self {
        let (reported, measured) = (ComparedSide::default(), ComparedSide::default());
        let hours = ComparedHours::default();
        Self { metric, form, is_whole, since, reported, measured, hours }
    }

    /// Adds what the service reports.
    pub(super) fn report(&mut self, said: &SaidAmount, last: &mut LastAmounts) {
        self.reported.add(said, self.is_whole, last);
    }

    /// What both sides said of the last hour, where that is to be told.
    pub(super) fn difference(&mut self, unix_nanos: u64) -> Option<[f64; 2]> {
        self.hours.note([self.reported.amount, self.measured.amount], unix_nanos)
    }

    /// Adds what is measured.
    pub(super) fn measure(&mut self, said: &SaidAmount, last: &mut LastAmounts) {
        self.measured.add(said, self.is_whole, last);
    }
}

impl ComparedSide {
    fn add(&mut self, said: &SaidAmount, is_whole: bool, last: &mut LastAmounts) {
        let first = *self.first.get_or_insert(said.time);
        let is_first = said.time <= first.saturating_add(ONE_REPORT);
        let before =
            if said.is_delta { None } else { last.replace(said.series, (said.start, said.amount)) };
        self.amount += match before {
            // Less than before, or from another start: it began anew.
            Some((start, amount)) if start == said.start && amount <= said.amount => {
                said.amount - amount
            }
            Some(_) => said.amount,
            None if is_first && !is_whole => 0.0,
            None if said.is_delta || is_first || !last.has_forgotten() => said.amount,
            None if said.start >= first => said.amount,
            None => 0.0,
        };
    }

    /// What is to be exported.
    pub(super) fn export(&mut self, is_cumulative: bool) -> f64 {
        let before = std::mem::replace(&mut self.exported, self.amount);
        if is_cumulative { self.amount } else { self.amount - before }
    }
}

/// A service that reports metrics itself.
#[derive(Debug)]
pub(super) struct Service {
    /// `service.name`, as much of it as findings say.
    pub(super) name: Box<str>,
    /// The metrics that it reports, and those that were measured of it: a bit each.
    pub(super) reported: u32,
    pub(super) measured: u32,
    pub(super) comparisons: Vec<Comparison>,
    /// When it reported last.
    pub(super) seen: Tick,
    /// When something was first measured of it after that.
    pub(super) unanswered: Option<Tick>,
    /// The last export that has what was compared.
    pub(super) exported: u64,
}

impl Service {
    pub(super) fn new(name: &str, measured: u32, seen: Tick) -> Self {
        let comparisons = Vec::new();
        let name = name.get(..name.floor_char_boundary(MAX_NAME)).unwrap_or_default().into();
        Self { name, reported: 0, measured, comparisons, seen, unanswered: None, exported: 0 }
    }

    /// The comparison of a metric, if there is one.
    pub(super) fn comparison(&mut self, metric: u8) -> Option<&mut Comparison> {
        self.comparisons.iter_mut().find(|one| one.metric == metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn said(series: u64, start: u64, time: u64, amount: f64) -> SaidAmount {
        SaidAmount { series, start, time, amount, is_delta: false }
    }

    /// Scenario: a service that ran before us, or began after us; new series, a restart, and deltas. Guarantees:
    /// what came since both sides are known is counted, once.
    #[test]
    fn what_came_since_is_counted() {
        for is_whole in [false, true] {
            let mut last = LastAmounts::new(100);
            let mut side = ComparedSide::default();
            let mut at = |one: SaidAmount| {
                side.add(&one, is_whole, &mut last);
                side.amount
            };
            let first = if is_whole { 120.0 } else { 0.0 };
            at(said(1, 1, 60 * SECOND, 100.0));
            assert_eq!(at(said(2, 1, 60 * SECOND + 5, 20.0)), first);
            assert_eq!(at(said(1, 1, 120 * SECOND, 103.0)), first + 3.0);
            assert_eq!(at(said(1, 1, 120 * SECOND, 103.0)), first + 3.0, "sent again");
            assert_eq!(at(said(3, 1, 120 * SECOND, 7.0)), first + 10.0, "a new series");
            assert_eq!(at(said(1, 130, 180 * SECOND, 200.0)), first + 210.0, "another start");
            assert_eq!(at(said(2, 1, 180 * SECOND, 5.0)), first + 215.0, "a reset");
            let delta = SaidAmount { is_delta: true, ..said(1, 1, 240 * SECOND, 4.0) };
            assert_eq!(at(delta), first + 219.0);
            assert_eq!(side.export(true), first + 219.0);
            assert_eq!(side.export(false), 0.0);
        }
    }

    /// Guarantees: where series were forgotten, an unknown one that began before the first report is not
    /// counted again.
    #[test]
    fn forgotten_series_do_not_count_twice() {
        let mut last = LastAmounts::new(2);
        let mut side = ComparedSide::default();
        for series in 0..4 {
            side.add(&said(series, 1, 60 * SECOND, 100.0), false, &mut last);
        }
        side.add(&said(0, 1, 120 * SECOND, 101.0), false, &mut last);
        assert_eq!(side.amount, 0.0);
        side.add(&said(9, 70 * SECOND, 120 * SECOND, 5.0), false, &mut last);
        assert_eq!(side.amount, 5.0);
    }
}
