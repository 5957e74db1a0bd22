//! Start times: since when the sums of a target count, as far as its pages show it.

use std::collections::HashMap;

/// What is remembered of the series on the last page of one target.
#[derive(Debug, Default)]
pub struct StartTimes {
    series: HashMap<u128, KnownSeries>,
    /// The number of the page that is read.
    page: u32,
}

#[derive(Debug, Clone, Copy)]
struct KnownSeries {
    start: u64,
    /// The time of its last point.
    time: u64,
    /// What only a reset makes smaller.
    total: f64,
    page: u32,
}

impl StartTimes {
    /// The start of a series at a point of `time`, in Unix nanoseconds.
    ///
    /// One that is seen for the first time starts there, as the data model says of an unknown start
    /// ("Cumulative streams: handling unknown start time"): nothing is known of what it counted before. After a
    /// reset it counts since some moment after its last point, which is taken for the start, so that nothing of
    /// what it counted is lost.
    pub(super) fn of(&mut self, key: u128, total: f64, time: u64) -> u64 {
        let page = self.page;
        let new = KnownSeries { start: time, time, total, page };
        let known = self.series.entry(key).or_insert(new);
        if total < known.total {
            known.start = known.time;
        }
        if !total.is_nan() {
            known.total = total;
        }
        known.time = time.max(known.time);
        known.page = page;
        known.start.min(time)
    }

    /// Forgets the series that were not on the page.
    pub(super) fn end_page(&mut self) {
        let page = self.page;
        self.series.retain(|_, known| known.page == page);
        self.page = page.wrapping_add(1);
    }

    /// How many series are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether no series is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_starts_where_it_is_seen_first_and_after_a_reset_at_its_last_point() {
        let mut starts = StartTimes::default();
        let mut of = |total, time| {
            let start = starts.of(1, total, time);
            starts.end_page();
            start
        };
        assert_eq!(of(100.0, 10), 10);
        assert_eq!(of(100.0, 20), 10);
        assert_eq!(of(130.0, 30), 10);
        assert_eq!(of(f64::NAN, 40), 10, "no number is no reset");
        assert_eq!(of(5.0, 50), 40);
        assert_eq!(of(6.0, 60), 40);
    }

    #[test]
    fn what_is_not_on_a_page_is_forgotten() {
        let mut starts = StartTimes::default();
        for key in 0..100 {
            starts.of(key, 1.0, 10);
        }
        starts.end_page();
        assert_eq!(starts.len(), 100);
        starts.of(7, 2.0, 20);
        starts.end_page();
        assert_eq!(starts.len(), 1);
        assert_eq!(starts.of(8, 2.0, 30), 30);
        assert_eq!(starts.of(7, 2.0, 30), 10);
    }

    #[test]
    fn a_point_before_its_start_has_no_span_of_time() {
        let mut starts = StartTimes::default();
        assert_eq!(starts.of(1, 1.0, 50), 50);
        assert_eq!(starts.of(1, 1.0, 40), 40);
    }
}
