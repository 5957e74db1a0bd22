//! How a goal is shared among keys: rates of which each keeps one in so many.

/// How keys share a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shares {
    /// By the logarithm of how much of each there is: rare keys stay, frequent ones are thinned out.
    Logarithmic,
    /// All alike.
    Equal,
}

/// How much there is of a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct KeyAmount {
    /// Before any sampler.
    pub(super) all: f64,
    /// What samplers before left of it, which is the most that can stay.
    pub(super) left: f64,
}

/// Rates as exact as numbers are: what keys below their share do not use, others get. Together they keep
/// `goal` of what is left, or everything if that is less.
pub(super) fn exact(shares: Shares, amounts: &[KeyAmount], goal: f64) -> Vec<f64> {
    let weight = |amount: &KeyAmount| match shares {
        Shares::Logarithmic => amount.all.max(f64::MIN_POSITIVE).ln_1p(),
        Shares::Equal => 1.0,
    };
    let wanted: Vec<(f64, f64)> =
        amounts.iter().map(|amount| (amount.left, weight(amount))).collect();
    let rate = |(amount, share): (&KeyAmount, f64)| {
        if amount.left > share { rate_of(amount.all, share) } else { 1.0 }
    };
    amounts.iter().zip(fill(&wanted, goal)).map(rate).collect()
}

/// Weighted max-min fairness: what each of those that need so much gets of a goal by their weights, so that
/// nobody gets more than they need, and what some do not need of their share goes to the others.
pub(super) fn fill(wanted: &[(f64, f64)], goal: f64) -> Vec<f64> {
    // What needs less of its share comes first, so that one pass is enough.
    let need = |index: usize| wanted.get(index).map_or(0.0, |(need, weight)| need / weight);
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_unstable_by(|a, b| need(*a).total_cmp(&need(*b)));
    let mut goal_left = goal;
    let mut weights: f64 = wanted.iter().map(|(_, weight)| weight).sum();
    let mut granted = vec![0.0; wanted.len()];
    for index in order {
        let (Some((need, weight)), Some(granted)) = (wanted.get(index), granted.get_mut(index))
        else {
            continue;
        };
        let share = if weights > 0.0 { goal_left * weight / weights } else { 0.0 };
        *granted = need.min(share);
        goal_left = (goal_left - *granted).max(0.0);
        weights -= weight;
    }
    granted
}

/// Rates in whole numbers, as Refinery's samplers have them: `counts` in the order of their keys.
pub(super) fn whole(shares: Shares, counts: &[f64], goal: f64) -> Vec<f64> {
    match shares {
        Shares::Equal => {
            let share = goal / counts.len().max(1) as f64;
            counts.iter().map(|count| rate_of(*count, share).floor()).collect()
        }
        Shares::Logarithmic => whole_logarithmic(counts, goal),
    }
}

/// What a key does not use of its share goes to those that follow. Every key may keep one at least.
fn whole_logarithmic(counts: &[f64], goal: f64) -> Vec<f64> {
    let logarithms: f64 = counts.iter().map(|count| count.max(1.0).log10()).sum();
    let (mut left_over, mut keys_left) = (0.0, counts.len() as f64);
    let rate = |count: &f64| {
        let count = count.max(1.0);
        let share = if logarithms > 0.0 { count.log10() * goal / logarithms } else { 0.0 };
        let more = left_over / keys_left;
        let share = share.max(1.0) + more;
        left_over -= more;
        keys_left -= 1.0;
        let rate = rate_of(count, share).ceil();
        left_over += share - count / rate;
        rate
    };
    counts.iter().map(rate).collect()
}

/// The rate that keeps `share` of `count`, 1 at least.
pub(super) fn rate_of(count: f64, share: f64) -> f64 {
    if share > 0.0 { (count / share).max(1.0) } else { f64::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The counts of the tests of dynsampler-go, which computes Refinery's rates, by their names.
    const MANY: [(&str, f64); 10] = [
        ("one", 1.0),
        ("two", 1.0),
        ("three", 2.0),
        ("four", 5.0),
        ("five", 8.0),
        ("six", 15.0),
        ("seven", 45.0),
        ("eight", 612.0),
        ("nine", 2000.0),
        ("ten", 10000.0),
    ];

    /// The rates in the order in which the counts are given; they are shared in the order of the names.
    fn rates(counts: &[(&str, f64)], rate: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
        let mut order: Vec<usize> = (0..counts.len()).collect();
        order.sort_by_key(|index| counts[*index].0);
        let sorted: Vec<f64> = order.iter().map(|index| counts[*index].1).collect();
        let mut out = vec![0.0; counts.len()];
        order.iter().zip(rate(&sorted)).for_each(|(index, rate)| out[*index] = rate);
        out
    }

    /// Figures: dynsampler-go, `TestAvgSampleUpdateMaps`, one in 20.
    #[test]
    fn logarithmic_rates_are_those_of_the_published_tables() {
        let few = |counts: &[f64]| {
            let names = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
            names.into_iter().zip(counts.iter().copied()).collect::<Vec<_>>()
        };
        let tables = [
            (MANY.to_vec(), vec![1., 1., 1., 1., 1., 1., 1., 6., 14., 47.]),
            (
                few(&[1., 1., 2., 5., 8., 15., 45., 50., 60.]),
                vec![1., 1., 2., 5., 8., 11., 24., 26., 30.],
            ),
            (few(&[1., 1., 2., 5., 7.]), vec![1., 1., 2., 5., 7.]),
        ];
        for (counts, want) in tables {
            let goal = counts.iter().map(|(_, count)| count).sum::<f64>() / 20.0;
            let found = rates(&counts, |counts| whole(Shares::Logarithmic, counts, goal));
            assert_eq!(found, want, "{counts:?}");
        }
    }

    /// Figures: dynsampler-go, `TestTotalThroughputUpdateMaps`, 20 per second in 30 seconds.
    #[test]
    fn equal_rates_are_those_of_the_published_tables() {
        let found = rates(&MANY, |counts| whole(Shares::Equal, counts, 600.0));
        assert_eq!(found, [1., 1., 1., 1., 1., 1., 1., 10., 33., 166.]);
        let found = rates(&MANY[..7], |counts| whole(Shares::Equal, counts, 600.0));
        assert_eq!(found, [1.0; 7]);
    }

    #[test]
    fn nothing_and_no_goal() {
        for shares in [Shares::Logarithmic, Shares::Equal] {
            assert!(exact(shares, &[], 5.0).is_empty() && whole(shares, &[], 5.0).is_empty());
            assert!(exact(shares, &[KeyAmount { all: 7.0, left: 7.0 }], 0.0)[0] > 1e9);
        }
    }

    proptest! {
        /// Scenario: keys of which a sampler before left some part. Guarantees: exact rates keep the goal of
        /// what is left, or everything; no rate is below 1; of keys that were left whole the one of which
        /// there is more has no smaller rate.
        #[test]
        fn exact_rates_keep_the_goal(
            keys in proptest::collection::vec((1.0..1e6_f64, 0.01..1.0_f64), 1..40),
            part in 0.001..1.5_f64,
            equal in any::<bool>(),
            is_whole in any::<bool>(),
        ) {
            let shares = if equal { Shares::Equal } else { Shares::Logarithmic };
            let amount = |(all, part): &(f64, f64)| {
                KeyAmount { all: *all, left: if is_whole { *all } else { all * part } }
            };
            let amounts: Vec<KeyAmount> = keys.iter().map(amount).collect();
            let left: f64 = amounts.iter().map(|amount| amount.left).sum();
            let rates = exact(shares, &amounts, left * part);
            let of_each = amounts.iter().zip(&rates);
            let kept: f64 = of_each.clone().map(|(key, rate)| (key.all / rate).min(key.left)).sum();
            prop_assert!((kept / (left * part.min(1.0)) - 1.0).abs() < 1e-6, "{kept} of {left}");
            prop_assert!(rates.iter().all(|rate| *rate >= 1.0));
            for (key, rate) in of_each.clone().filter(|_| is_whole) {
                for (_, other) in of_each.clone().filter(|(other, _)| other.all > key.all) {
                    prop_assert!(*other >= rate * (1.0 - 1e-9));
                }
            }
        }

        /// Guarantees: whole rates are whole and 1 at least.
        #[test]
        fn whole_rates_are_whole(
            counts in proptest::collection::vec(1.0..1e6_f64, 1..40), goal in 1.0..1e6_f64,
        ) {
            for shares in [Shares::Equal, Shares::Logarithmic] {
                for rate in whole(shares, &counts, goal) {
                    prop_assert!(rate >= 1.0 && rate.fract() == 0.0);
                }
            }
        }
    }
}
