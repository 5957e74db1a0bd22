//! Adaptive rates: the published tables, the goals, and what the kept stand for.

use proptest::prelude::*;

use super::*;
use crate::model::TraceId;
use crate::sampling::Randomness;

const SECOND: Duration = Duration::from_secs(1);

fn average(weight: f64, interval: Duration) -> History {
    History::Average { interval, weight, age_out: weight, burst: Some((2.0, 3)) }
}

fn config(goal: Goal, history: History, shares: Shares, whole: bool) -> AdaptiveConfig {
    let (keys, unit) = (KeyFields::default(), AmountUnit::Spans);
    AdaptiveConfig {
        keys,
        goal,
        unit,
        history,
        shares,
        whole,
        initial: 10.0,
        max_keys: 500,
        of_fleet: false,
        shards: 1,
        tenants: None,
    }
}

fn sampler(goal: Goal, history: History, shares: Shares) -> AdaptiveSampler {
    AdaptiveSampler::new(config(goal, history, shares, true))
}

fn second(seconds: u64) -> Tick {
    Tick(seconds * 1_000_000_000)
}

fn average_of(sampler: &AdaptiveSampler, key: u64) -> Option<f64> {
    sampler.amounts.get(&key).map(|amounts| amounts.average.round())
}

/// Figures: dynsampler-go, `TestUpdateEMA` and `TestUpdateEMAThroughput`.
#[test]
fn averages_move_as_published() {
    let history = History::Average { interval: SECOND, weight: 0.2, age_out: 0.2, burst: None };
    let mut sampler = sampler(Goal::PerSecond(10.0), history, Shares::Logarithmic);
    let table = [
        (463., 93., 235., 47., 0.),
        (176., 109., 458., 129., 0.),
        (345., 156., 470., 197., 0.),
        (339., 193., 317., 221., 0.),
        (197., 194., 165., 210., 0.),
        (387., 232., 95., 187., 6960.),
    ];
    for (at, (a, want_a, b, want_b, c)) in table.into_iter().enumerate() {
        let now = second(at as u64);
        sampler.rate(1, a, 1.0, now);
        sampler.rate(2, b, 1.0, now);
        sampler.rate(3, c, 1.0, now);
        sampler.advance(second(at as u64 + 1));
        assert_eq!(
            (average_of(&sampler, 1), average_of(&sampler, 2)),
            (Some(want_a), Some(want_b))
        );
    }
    assert_eq!(average_of(&sampler, 3), Some(1392.0));
}

/// Figures: dynsampler-go, `TestEMAThroughputSampleUpdateMapsSparseCounts`, which the Collector's
/// `allocation_test.go` has too.
#[test]
fn a_steady_key_among_rare_ones_has_the_published_rate() {
    let mut sampler = sampler(Goal::PerSecond(10.0), average(0.2, SECOND), Shares::Logarithmic);
    for at in 0..=100 {
        sampler.rate(1, 40.0, 1.0, second(at));
        for rare in 0..5 {
            sampler.rate(100 + at * 5 + rare, 1.0, 1.0, second(at));
        }
    }
    assert_eq!(sampler.rate(1, 1.0, 1.0, second(101)), 4.0);
}

/// Figures: dynsampler-go, `TestEMAThroughputAgesOutSmallValues`; the Collector,
/// `TestEMAState_EmptyIntervalDoesNotDecay`.
#[test]
fn keys_that_do_not_come_are_forgotten_and_silence_changes_nothing() {
    let mut sampler = sampler(Goal::PerSecond(10.0), average(0.2, SECOND), Shares::Logarithmic);
    for at in 0..100 {
        sampler.rate(1, 500.0, 1.0, second(at));
    }
    sampler.advance(second(100));
    assert_eq!((average_of(&sampler, 1), sampler.keys()), (Some(500.0), 1));
    sampler.advance(second(5000));
    assert_eq!(average_of(&sampler, 1), Some(500.0));
    for at in 5000..5100 {
        sampler.rate(2, 1.0, 1.0, second(at));
    }
    assert_eq!((average_of(&sampler, 1), sampler.keys()), (None, 1));
}

/// Figures: dynsampler-go, `TestEMAThroughputBurstDetection`: 1000 at a weight of one half, twice that is
/// the threshold. Guarantees: what comes beyond it makes new rates at once, after the delay.
#[test]
fn a_burst_makes_new_rates_at_once() {
    let hour = Duration::from_secs(3600);
    let mut sampler = sampler(Goal::PerSecond(1.0), average(0.5, hour), Shares::Logarithmic);
    assert_eq!(sampler.rate(1, 1000.0, 1.0, second(0)), 10.0, "the initial rate");
    sampler.advance(second(3600));
    assert_eq!(sampler.burst_at, 1000.0);
    for _ in 0..2000 {
        sampler.rate(2, 1.0, 1.0, second(3601));
    }
    assert!(sampler.current_sum >= 2000.0, "too soon after the start");
    sampler.advance(second(3 * 3600));
    let (before, at) = (sampler.burst_at, second(3 * 3600 + 1));
    for _ in 0..3000 {
        sampler.rate(3, 1.0, 1.0, at);
    }
    assert!(sampler.burst_at != before && sampler.current_sum < before);
    assert!(sampler.amounts[&3].rate >= 1.0, "it has a rate before the interval is over");
}

/// Figures: dynsampler-go, `TestHappyPath` and `TestDropsOldBlocks` of the windowed throughput; a rate of 0
/// there is one of 1 in Refinery.
#[test]
fn a_window_moves_as_published() {
    let mut config = config(Goal::PerSecond(2.0), History::Sliding(SECOND, 5), Shares::Equal, true);
    config.initial = 1.0;
    let mut sampler = AdaptiveSampler::new(config.clone());
    for (at, count, want) in [(0, 20, 1.), (1, 10, 2.), (2, 50, 3.), (6, 40, 6.), (7, 5, 9.)] {
        for _ in 0..count {
            assert_eq!(sampler.rate(1, 1.0, 1.0, second(at)), want, "{at}");
        }
    }
    let mut sampler = AdaptiveSampler::new(config);
    for at in [0, 7] {
        (0..20).for_each(|_| assert_eq!(sampler.rate(1, 1.0, 1.0, second(at)), 1.0));
    }
}

/// Guarantees: an interval without anything forgets the rates of the last one, as `DynamicSampler` and
/// `TotalThroughputSampler` do.
#[test]
fn rates_of_the_last_interval_are_forgotten() {
    let history = History::Last(SECOND);
    let mut sampler = sampler(Goal::PerSecond(10.0), history, Shares::Equal);
    sampler.rate(1, 100.0, 1.0, second(0));
    assert_eq!(sampler.rate(1, 1.0, 1.0, second(1)), 10.0);
    assert_eq!(sampler.rate(1, 1.0, 1.0, second(4)), 1.0);
}

/// Guarantees: there are so many keys and one more, whatever comes; what is beyond shares a rate that keeps
/// its part of the goal.
#[test]
fn keys_are_bounded() {
    let history = History::Sliding(SECOND, 120);
    let goal = Goal::PerSecond(100.0);
    let config = AdaptiveConfig { max_keys: 9, ..config(goal, history, Shares::Equal, false) };
    let mut sampler = AdaptiveSampler::new(config);
    for at in 0..240 {
        for key in 1..=1000 {
            sampler.rate(key, 1.0, 1.0, second(at));
        }
    }
    assert_eq!(sampler.keys(), 10);
    assert_eq!(sampler.beyond(), 240 * 991);
    // Nine keys have less than their share; the others have what is left of 100: 91 of 991.
    let rate = sampler.rate(1000, 1.0, 1.0, second(240));
    assert!((rate / (991.0 / 91.0) - 1.0).abs() < 0.02, "{rate}");
}

/// Traces of keys that come more or less often.
struct Traffic {
    state: u64,
}

impl Traffic {
    const KEYS: usize = 18;

    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Each key comes half as often as the one before, until the last of them.
    fn next(&mut self) -> (usize, Randomness) {
        let key = (self.random() | 1 << 17).trailing_zeros() as usize;
        let id = (u128::from(self.random()) << 64) | u128::from(self.random());
        (key, Randomness::of_trace(TraceId(id.to_be_bytes())))
    }
}

/// What came and what the kept stand for, by key.
#[derive(Default, Clone, Copy)]
struct Sums {
    came: f64,
    kept: f64,
    stand_for: f64,
    variance: f64,
}

/// Feeds traces to a sampler behind another one that keeps a part, 2000 of them per second. Gives the sums
/// by key, and how much stayed per second in the second half of the time.
fn feed(config: AdaptiveConfig, traces: u64, before: Threshold) -> (Vec<Sums>, f64) {
    let mut traffic = Traffic { state: traces };
    let mut sampler = AdaptiveSampler::new(config);
    let mut sums = vec![Sums::default(); Traffic::KEYS];
    let mut late = 0.0;
    for index in 0..traces {
        let (key, randomness) = traffic.next();
        let sums = &mut sums[key];
        sums.came += 1.0;
        if !before.keeps(randomness) {
            sums.variance += before.adjusted_count() - 1.0;
            continue;
        }
        let now = Tick(index * 500_000);
        let wanted =
            sampler.threshold(key as u64 + 1, 1.0, before.adjusted_count(), now).max(before);
        sums.variance += wanted.adjusted_count() - 1.0;
        if wanted.keeps(randomness) {
            sums.kept += 1.0;
            sums.stand_for += wanted.adjusted_count();
            late += f64::from(u8::from(index >= traces / 2));
        }
    }
    (sums, late / (traces as f64 / 2.0 / 2000.0))
}

/// Chi-square over the keys: with 18 of them, 42.3 is exceeded once in a thousand times by chance alone.
fn assert_unbiased(sums: &[Sums], what: &str) {
    let by_chance = sums.iter().filter(|sums| sums.variance > 0.0);
    let chi_square: f64 =
        by_chance.map(|sums| (sums.stand_for - sums.came).powi(2) / sums.variance).sum();
    assert!(chi_square < 42.3, "{what}: {chi_square}");
    for sums in sums.iter().filter(|sums| sums.variance == 0.0) {
        assert!((sums.stand_for - sums.came).abs() < 1e-6, "{what}: kept whole");
    }
}

/// Scenario: 10^6 traces of 18 keys, for each kind of adaptive sampler, alone and behind a sampler that keeps
/// every second one. Guarantees: what stays stands for what came, key by key, and the goal is kept by
/// rates that are no whole numbers: of a throughput per second, of a rate on the average, both of what there was
/// before any sampler.
#[test]
fn adjusted_counts_are_right_and_goals_are_kept() {
    let seconds = |seconds| Duration::from_secs(seconds);
    let cases = [
        (Goal::PerSecond(200.0), average(0.5, seconds(15)), Shares::Logarithmic),
        (Goal::PerSecond(200.0), History::Sliding(SECOND, 30), Shares::Equal),
        (Goal::PerSecond(200.0), History::Last(seconds(30)), Shares::Equal),
        (Goal::OneIn(10.0), average(0.5, seconds(15)), Shares::Logarithmic),
        (Goal::OneIn(10.0), History::Last(seconds(30)), Shares::Logarithmic),
    ];
    for (goal, history, shares) in cases {
        for (before, whole) in [("0", false), ("8", false), ("0", true)] {
            let config = config(goal, history, shares, whole);
            let before = Threshold::parse(before.as_bytes()).unwrap();
            let (sums, per_second) = feed(config, 1_000_000, before);
            let what = format!("{goal:?} {history:?} {whole} {before:?}: {per_second}");
            assert_unbiased(&sums, &what);
            // What keys do not use of equal whole shares is lost, and fractions of rates are.
            assert!(whole || (per_second / 200.0 - 1.0).abs() < 0.05, "{what}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Guarantees: whatever comes at whatever times, rates are 1 at least and keys are bounded.
    #[test]
    fn any_traffic_is_taken(
        traffic in proptest::collection::vec(
            (0..2000_u64, 0.0..1e9_f64, 1.0..1e6_f64, 0..3_000_000_000_u64), 1..400,
        ),
        kind in 0..3_usize,
        whole in any::<bool>(),
    ) {
        let history = [average(0.3, SECOND), History::Last(SECOND), History::Sliding(SECOND, 7)][kind];
        let mut config = config(Goal::PerSecond(5.0), history, Shares::Logarithmic, whole);
        config.max_keys = 50;
        let mut sampler = AdaptiveSampler::new(config);
        let mut now = 0;
        for (key, amount, before, wait) in traffic {
            now += wait;
            let rate = sampler.rate(key, amount, before, Tick(now));
            prop_assert!(rate >= 1.0, "{rate}");
            prop_assert!(sampler.keys() <= 51);
        }
    }
}
