//! The latest values of the metrics of one place.

use std::collections::VecDeque;
use std::time::Duration;

use super::quantity::{Quantity, Told};
use crate::correlation::window_map::Weighed;

/// Series that are remembered of one place: 16 GPUs have 48.
const MAX_SERIES: usize = 128;
/// Points that are remembered of a series, as spans come some seconds after their end.
const MAX_POINTS: usize = 16;

/// A point: its time, in nanoseconds since the Unix epoch, and its value.
type Point = (u64, f64);

#[derive(Debug)]
struct Series {
    teller: usize,
    quantity: Quantity,
    /// A hash of the point's attributes.
    id: u64,
    points: VecDeque<Point>,
}

/// What is remembered of a place.
#[derive(Debug, Default)]
pub(super) struct PlaceHistory {
    series: Vec<Series>,
}

impl Weighed for PlaceHistory {
    fn heap_bytes(&self) -> usize {
        let of_points = |series: &Series| series.points.capacity() * size_of::<Point>();
        self.series.capacity() * size_of::<Series>()
            + self.series.iter().map(of_points).sum::<usize>()
    }
}

impl PlaceHistory {
    /// Notes a point. Returns whether there is room for its series.
    pub(super) fn note(&mut self, told: Told, id: u64, point: Point) -> bool {
        let Told { teller, quantity, .. } = told;
        let is_known = |series: &Series| series.teller == teller && series.id == id;
        let known = self.series.iter().position(is_known);
        if known.is_none() && self.series.len() >= MAX_SERIES {
            let latest = |series: &Series| series.points.back().map_or(0, |(time, _)| *time);
            let oldest = self.series.iter().enumerate().min_by_key(|(_, series)| latest(series));
            // A series that ended, such as that of a model that was unloaded, makes room.
            match oldest.filter(|(_, series)| latest(series) < point.0) {
                Some((oldest, _)) => drop(self.series.swap_remove(oldest)),
                None => return false,
            }
        }
        let number = known.unwrap_or_else(|| {
            let points = VecDeque::with_capacity(MAX_POINTS);
            self.series.push(Series { teller, quantity, id, points });
            self.series.len().saturating_sub(1)
        });
        let Some(series) = self.series.get_mut(number) else { return false };
        if series.points.len() >= MAX_POINTS {
            series.points.pop_front();
        }
        let place = series.points.partition_point(|(time, _)| *time < point.0);
        series.points.insert(place, point);
        true
    }

    /// The value of a quantity at a time, in nanoseconds since the Unix epoch: of each series of one metric the last
    /// one up to then that is not older than `max_age`.
    pub(super) fn value(&self, quantity: Quantity, time: u64, max_age: Duration) -> Option<f64> {
        let max_age = u64::try_from(max_age.as_nanos()).unwrap_or(u64::MAX);
        let oldest = time.saturating_sub(max_age);
        let of_series = |series: &Series| {
            let mut up_to_then = series.points.iter().rev().skip_while(|(at, _)| *at > time);
            up_to_then.next().filter(|(at, _)| *at >= oldest).map(|(_, value)| *value)
        };
        let values = || {
            let of_quantity = self.series.iter().filter(|series| series.quantity == quantity);
            of_quantity.filter_map(|series| Some((series.teller, of_series(series)?)))
        };
        let first = values().map(|(teller, _)| teller).min()?;
        quantity.combine(values().filter(|(teller, _)| *teller == first).map(|(_, value)| value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn power() -> Told {
        Told::by("hw.power").unwrap()
    }

    fn waiting() -> Told {
        Told::by("vllm:num_requests_waiting").unwrap()
    }

    #[test]
    fn the_value_is_the_last_one_up_to_then() {
        let mut history = PlaceHistory::default();
        for time in [30, 10, 20] {
            assert!(history.note(power(), 1, (time, time as f64)));
        }
        history.note(power(), 2, (20, 100.0));
        // Another exporter tells of the same GPUs.
        history.note(Told::by("DCGM_FI_DEV_POWER_USAGE").unwrap(), 1, (20, 500.0));
        let value = |time, age| history.value(Quantity::GpuPower, time, Duration::from_nanos(age));
        assert_eq!(value(9, 100), None);
        assert_eq!(value(10, 100), Some(10.0));
        assert_eq!(value(29, 100), Some(120.0));
        assert_eq!(value(99, 100), Some(130.0));
        assert_eq!(value(99, 69), Some(30.0), "the other is too old");
        assert_eq!(value(999, 69), None);
        assert_eq!(history.value(Quantity::GpuMemory, 30, Duration::from_secs(1)), None);
    }

    #[test]
    fn series_and_points_are_bounded() {
        let mut history = PlaceHistory::default();
        for time in 0..100_u64 {
            history.note(waiting(), 0, (time, time as f64));
        }
        let value = |history: &PlaceHistory, time| {
            history.value(Quantity::RequestsWaiting, time, Duration::from_secs(1))
        };
        assert_eq!((value(&history, 84), value(&history, 83)), (Some(84.0), None));
        for id in 1..MAX_SERIES as u64 {
            assert!(history.note(waiting(), id, (99, 1.0)));
        }
        assert!(!history.note(waiting(), 1_000, (99, 1.0)));
        assert!(history.note(waiting(), 1_000, (100, 1.0)), "in an older one's place");
        assert_eq!(history.series.len(), MAX_SERIES);
    }
}
