//! Compared hours: whether a service reports what is measured of it, hour by hour.

/// An hour in nanoseconds.
const HOUR: u64 = 3600 * 1_000_000_000;
/// How much of an amount may be missing on either side; and of how little that says nothing.
const BOUND: f64 = 0.1;
const LEAST: f64 = 100.0;
/// How many hours in a row make a finding, all of them with the same side above. What one side tells late is above in
/// one hour and below in the other.
const IN_A_ROW: i8 = 2;

/// The amounts of both sides when an hour began, and how many hours before differed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ComparedHours {
    began: u64,
    sides: [f64; 2],
    /// Hours in a row, negative where more is measured than reported.
    differing: i8,
}

impl ComparedHours {
    /// Takes the amounts of now, and gives those of the hour where the finding is to be told: once, until an hour
    /// agrees again.
    pub(super) fn note(&mut self, sides: [f64; 2], unix_nanos: u64) -> Option<[f64; 2]> {
        if self.began == 0 {
            (self.began, self.sides) = (unix_nanos, sides);
        }
        if unix_nanos.saturating_sub(self.began) < HOUR {
            return None;
        }
        let ([reported, measured], [first_reported, first_measured]) = (sides, self.sides);
        let of_hour = [reported - first_reported, measured - first_measured];
        (self.began, self.sides) = (unix_nanos, sides);
        let most = of_hour[0].max(of_hour[1]);
        if most < LEAST {
            return None;
        }
        if (of_hour[0] - of_hour[1]).abs() <= BOUND * most {
            self.differing = 0;
            return None;
        }
        let side = if of_hour[0] > of_hour[1] { 1 } else { -1 };
        let goes_on = self.differing.signum() == side;
        self.differing = if goes_on { self.differing.saturating_add(side) } else { side };
        (self.differing == side * IN_A_ROW).then_some(of_hour)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::findings::tests::Drawn;

    /// Scenario: hours that agree, that differ by little, once, to the other side, again and again, and of little. Guarantees: the
    /// second hour in a row with the same side above is told with its amounts, once until they agree again.
    #[test]
    fn the_second_hour_in_a_row_is_told_once() {
        let mut hours = ComparedHours::default();
        let (mut sides, mut now) = ([7.0, 9.0], 5);
        assert_eq!(hours.note(sides, now), None);
        for (reported, measured, expected) in [
            (1000.0, 1000.0, None),
            (1000.0, 920.0, None),
            (1000.0, 800.0, None),
            (1000.0, 1000.0, None),
            (1000.0, 800.0, None),
            (800.0, 1000.0, None),
            (50.0, 0.0, None),
            (0.0, 900.0, Some([0.0, 900.0])),
            (0.0, 900.0, None),
            (900.0, 900.0, None),
            (900.0, 0.0, None),
            (900.0, 0.0, Some([900.0, 0.0])),
        ] {
            sides = [sides[0] + reported, sides[1] + measured];
            assert_eq!(hours.note(sides, now + HOUR - 1), None);
            now += HOUR;
            assert_eq!(hours.note(sides, now), expected, "{reported} {measured}");
        }
    }

    /// Findings in so many hours of calls with a rhythm of days, nine times as many at noon as at midnight, and tokens whose
    /// logarithm has a standard deviation of 1. What the service reports of one comes up to a minute later than its
    /// span, and from `change` on of so many of them only.
    fn findings(
        seed: u64,
        calls_an_hour: f64,
        hours: usize,
        (change, told): (usize, f64),
    ) -> Vec<usize> {
        let mut drawn = Drawn(seed);
        let mut of_hours = vec![[0.0; 2]; hours + 1];
        let mut at = 0.0;
        loop {
            let day = 1.0 + 0.8 * (at / 24.0 * std::f64::consts::TAU).sin();
            at -= drawn.uniform().max(1e-12).ln() / (calls_an_hour * day);
            let hour = hour_of(at);
            if hour >= hours {
                break;
            }
            let tokens = 1000.0 * drawn.normal().exp();
            of_hours[hour][1] += tokens;
            let is_told = drawn.uniform() < told || hour < change;
            let late = hour_of(at + drawn.uniform() / 60.0);
            of_hours[late][0] += if is_told { tokens } else { 0.0 };
        }
        let mut compared = ComparedHours::default();
        let mut sides = [0.0; 2];
        compared.note(sides, 1);
        let mut found = Vec::new();
        for (hour, amounts) in of_hours[..hours].iter().enumerate() {
            sides = [sides[0] + amounts[0], sides[1] + amounts[1]];
            if compared.note(sides, 1 + (hour as u64 + 1) * HOUR).is_some() {
                found.push(hour);
            }
        }
        found
    }

    const WEEK: usize = 7 * 24;

    fn hour_of(hours: f64) -> usize {
        (Duration::from_secs_f64(hours * 3600.0).as_secs() / 3600) as usize
    }

    /// Scenario: forty weeks of few and many calls of a service that reports each of them, up to a minute late. Guarantees:
    /// less than one finding in four weeks at any rate, and none at 100 calls an hour and more.
    #[test]
    fn reports_that_come_late_are_no_difference() {
        for (calls_an_hour, most) in [(1.0, 10), (5.0, 10), (20.0, 10), (100.0, 0), (1000.0, 0)] {
            let found = findings(11, calls_an_hour, 40 * WEEK, (usize::MAX, 1.0));
            assert!(found.len() <= most, "{calls_an_hour}: {}", found.len());
        }
    }

    /// Scenario: a service that reports seven of ten calls from an hour on, and one that reports half of them, forty times
    /// each. Guarantees: it is found within a day at each rate, at 100 calls an hour within three hours.
    #[test]
    fn what_is_not_reported_is_found() {
        for (calls_an_hour, told, within) in
            [(5.0, 0.5, 24), (20.0, 0.5, 12), (20.0, 0.7, 24), (100.0, 0.7, 3)]
        {
            for seed in 1..=40 {
                let found = findings(seed, calls_an_hour, 2 * WEEK, (WEEK, told));
                let first = found.iter().find(|hour| **hour >= WEEK);
                assert!(
                    first.is_some_and(|hour| hour - WEEK < within),
                    "{calls_an_hour} {told} {found:?}"
                );
            }
        }
    }
}
