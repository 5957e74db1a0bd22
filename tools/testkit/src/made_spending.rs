//! Made spending: days of calls with a daily rhythm that stay within a budget, or spend it faster from a moment on, and what
//! `ai_metrics` finds in them.

use std::time::Duration;

use fluent_bit_ai::findings::{BudgetConfig, BudgetUnit, Check, Findings, ObservedSpending};

use crate::made_calls::{Drawn, Found, finder_of, text};

const DAY: f64 = 86_400.0;
/// The mean of what a call costs, in what the budget is in.
const COST: f64 = 1.0;

/// What calls spend. What one costs has a logarithm with a standard deviation of 1, and one in a hundred costs twenty times
/// as much.
#[derive(Debug, Clone, Copy)]
pub struct MadeSpending {
    /// Calls a second, on average over a day. By night there are a fifth of them, and nine times as many by day.
    pub per_second: f64,
    /// The period of the budget, in days.
    pub days: f64,
    /// Which part of the budget is spent in a period.
    pub used: f64,
}

/// What usual spending is like.
pub const USUAL_SPENDING: MadeSpending = MadeSpending { per_second: 0.02, days: 30.0, used: 0.6 };

impl MadeSpending {
    fn watch(&self) -> Findings {
        let amount = self.per_second * self.days * DAY * COST / self.used;
        let budget = BudgetConfig {
            name: "users".into(),
            of: vec![("user.id".into(), None)],
            unit: BudgetUnit::Usd,
            amount,
            period: Duration::from_secs_f64(self.days * DAY),
            thresholds: vec![0.8, 1.0],
        };
        finder_of(Check::Budgets, vec![budget])
    }

    /// Makes calls of so many days. From a day on there are so many times as many as the budget allows.
    pub fn run(&self, seed: u64, days: f64, burn: Option<(f64, f64)>) -> Found {
        let mut drawn = Drawn::new(seed);
        let (mut findings, mut found) = (self.watch(), Found::default());
        let start = 100.0 * DAY + drawn.uniform() * DAY;
        let (mut time, mut since) = (0.0, 0);
        let at = burn.map_or(f64::MAX, |(at, _)| at * DAY);
        let more = burn.map_or(1.0, |(_, rate)| rate / self.used);
        let user = text("user");
        // The mean of what is drawn, so that it becomes the cost.
        let mean = 0.5_f64.exp() * 1.19;
        while time < days * DAY {
            let day = ((start + time) / DAY * std::f64::consts::TAU).sin();
            let usual = self.per_second * (1.0 + 0.8 * day);
            let rate = if time < at { usual } else { self.per_second * more };
            let next = time - drawn.uniform().max(1e-12).ln() / rate;
            if time < at && next >= at {
                // From here on the other rate holds.
                time = at;
                continue;
            }
            time = next;
            let mut cost = drawn.normal().exp() / mean * COST;
            if drawn.uniform() < 0.01 {
                cost *= 20.0;
            }
            found.calls += 1;
            since += u64::from(time >= at);
            let unix_nanos = ((start + time) * 1e9) as u64;
            let spender = findings.spender(&[&user], unix_nanos);
            let spending = ObservedSpending {
                spender,
                unix_nanos,
                weight: 1.0,
                usd: Some(cost),
                tokens: Some(1.0),
                has_failed: false,
                ids: None,
            };
            findings.spend(&spending, false);
            let lines = findings.take_lines().len() as u64;
            if lines > 0 && time >= at {
                found.after = Some((since, time - at));
                break;
            }
            found.before += lines;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: who stays within a budget, with a daily rhythm and with calls of very different costs, is not told of,
    /// whatever the period. What is documented is of many more weeks: `make findings`.
    #[test]
    fn who_stays_within_a_budget_is_not_told_of() {
        for (per_second, days) in [(0.001, 30.0), (0.02, 30.0), (0.02, 7.0), (0.2, 1.0)] {
            let spending = MadeSpending { per_second, days, ..USUAL_SPENDING };
            let runs = (1..=5).map(|seed| spending.run(seed, days + 10.0, None).before);
            let found: u64 = runs.sum();
            assert_eq!(found, 0, "{spending:?}");
        }
    }

    /// Guarantees: who spends ten times as much as a budget allows is told of when the workbook says, in 3.6 hours, or soon
    /// after; who spends fifty times as much, in 17 minutes.
    #[test]
    fn who_spends_too_fast_is_told_of_in_time() {
        for (rate, hours) in [(10.0, 3.6), (50.0, 0.288)] {
            let found = |seed| USUAL_SPENDING.run(seed, 4.0, Some((2.0, rate))).after;
            let after: Vec<f64> = (1..=20).filter_map(found).map(|(_, seconds)| seconds).collect();
            assert_eq!(after.len(), 20, "{rate}");
            let in_time = after.iter().filter(|seconds| **seconds < 1.5 * hours * 3600.0).count();
            assert!(in_time >= 18, "{rate}: {after:?}");
        }
    }
}
