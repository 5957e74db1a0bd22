//! Compared hours: whether a service reports what is measured of it, hour by hour.

/// An hour in nanoseconds.
const HOUR: u64 = 3600 * 1_000_000_000;
/// How much of an amount may be missing on either side; and of how little that says nothing.
const BOUND: f64 = 0.1;
const LEAST: f64 = 100.0;
/// How many hours in a row make a finding. Of one the ends may be told late.
const IN_A_ROW: u8 = 2;

/// The amounts of both sides when an hour began, and how many hours before differed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ComparedHours {
    began: u64,
    sides: [f64; 2],
    differing: u8,
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
        self.differing = self.differing.saturating_add(1);
        (self.differing == IN_A_ROW).then_some(of_hour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: hours that agree, that differ by little, once, again and again, and of little. Guarantees: the second hour in a
    /// row is told with its amounts, once until they agree again.
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
}
