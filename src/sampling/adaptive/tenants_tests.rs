//! Tenants that share a goal: who gets what, what the kept stand for, and bounds.

use proptest::prelude::*;

use super::tenants::{grants, hash_of};
use super::*;
use crate::codec::records::Events;
use crate::codec::records::testing::{SpanRecord, chunk};
use crate::model::TraceId;
use crate::sampling::Randomness;
use crate::sampling::policy::Field;

const SECOND: Duration = Duration::from_secs(1);

const fn share(weight: f64, minimum: f64, priority: u32) -> TenantShare {
    TenantShare { weight, minimum, priority }
}

/// Guarantees: minimums come first, those of higher priorities before others; then higher priorities get what
/// they need, alike by weight; what one does not need goes to the others; there is never more than the goal.
#[test]
fn a_goal_is_shared_by_minimum_priority_and_weight() {
    type Row = (&'static str, f64, &'static [(f64, TenantShare, f64)]);
    const ROWS: [Row; 11] = [
        ("all fit", 100.0, &[(20.0, share(1., 0., 0), 20.), (50.0, share(1., 0., 0), 50.)]),
        ("equal weights", 100.0, &[(80., share(1., 0., 0), 50.), (80., share(1., 0., 0), 50.)]),
        ("by weight", 100.0, &[(200., share(3., 0., 0), 75.), (200., share(1., 0., 0), 25.)]),
        (
            "what is not used goes to others by weight",
            100.0,
            &[
                (10., share(5., 0., 0), 10.),
                (500., share(2., 0., 0), 60.),
                (500., share(1., 0., 0), 30.),
            ],
        ),
        (
            "a minimum comes before weights",
            100.0,
            &[(500., share(9., 0., 0), 54.), (500., share(1., 40., 0), 46.)],
        ),
        (
            "a minimum that is not used goes to others",
            100.0,
            &[(500., share(1., 0., 0), 95.), (5., share(1., 40., 0), 5.)],
        ),
        (
            "a higher priority gets what it needs first",
            100.0,
            &[(70., share(1., 0., 5), 70.), (500., share(9., 0., 0), 30.)],
        ),
        (
            "the lowest priority has its minimum even so",
            100.0,
            &[(500., share(1., 0., 5), 90.), (500., share(9., 10., 0), 10.)],
        ),
        (
            "minimums beyond the goal go by priority",
            100.0,
            &[(500., share(1., 80., 1), 80.), (500., share(1., 60., 0), 20.)],
        ),
        (
            "and alike within a priority, in proportion",
            100.0,
            &[(500., share(1., 150., 0), 75.), (500., share(9., 50., 0), 25.)],
        ),
        ("no goal", 0.0, &[(10., share(1., 5., 0), 0.), (10., share(1., 0., 3), 0.)]),
    ];
    assert_eq!(share(1.0, 0.0, 0), TenantShare::default());
    for (what, goal, tenants) in ROWS {
        let needs: Vec<f64> = tenants.iter().map(|(need, ..)| *need).collect();
        let shares: Vec<TenantShare> = tenants.iter().map(|(_, share, _)| *share).collect();
        // The same for a window of ten seconds.
        for seconds in [1.0, 10.0] {
            let needs: Vec<f64> = needs.iter().map(|need| need * seconds).collect();
            let found = grants(&needs, &shares, goal * seconds, seconds);
            for (found, (_, _, want)) in found.iter().zip(tenants) {
                assert!((found / seconds - want).abs() < 1e-9, "{what}: {found} for {want}");
            }
        }
    }
}

fn tenants(named: &[(&str, TenantShare)], others: TenantShare) -> Tenants {
    let named: Vec<_> = named.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect();
    Tenants::new(Field::parse("tenant.id").unwrap(), others, &named)
}

fn config(goal: f64, tenants: Tenants) -> AdaptiveConfig {
    AdaptiveConfig {
        keys: KeyFields::default(),
        goal: Goal::PerSecond(goal),
        unit: AmountUnit::Traces,
        history: History::Sliding(SECOND, 10),
        shares: Shares::Equal,
        whole: false,
        initial: 10.0,
        max_keys: 20,
        of_fleet: false,
        shards: 1,
        tenants: Some(tenants),
    }
}

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Scenario: 10^6 traces, 2000 per second, of eight tenants, each half as often as the one before, two of them
/// with shares of their own, alone and behind a sampler that leaves half. Guarantees: by the thresholds the kept
/// stand for what came of each tenant (chi-square); the goal is kept within 5 %; who is guaranteed a minimum
/// has it; who has three times the weight of another that needs as much gets three times as much.
#[test]
fn what_tenants_keep_stands_for_what_came() {
    let names: Vec<String> = (0..8).map(|tenant| format!("t{tenant}")).collect();
    for before in ["0", "8"] {
        let before = Threshold::parse(before.as_bytes()).unwrap();
        let named = [("t0", share(3.0, 0.0, 0)), ("t3", share(1.0, 50.0, 0))];
        let mut sampler = AdaptiveSampler::new(config(200.0, tenants(&named, share(1., 0., 0))));
        let (mut came, mut stand, mut variance, mut late) =
            ([0.0; 8], [0.0; 8], [0.0_f64; 8], [0.0; 8]);
        let mut state = 77;
        for trace in 0..1_000_000_u64 {
            let tenant = (random(&mut state) | 1 << 7).trailing_zeros() as usize;
            let id = u128::from(random(&mut state)) << 64 | u128::from(random(&mut state));
            let randomness = Randomness::of_trace(TraceId(id.to_be_bytes()));
            came[tenant] += 1.0;
            if !before.keeps(randomness) {
                continue;
            }
            let key = hash_of(names[tenant].as_bytes());
            let now = Tick(trace * 500_000);
            let count_before = before.adjusted_count();
            let threshold = sampler.threshold(key, 1.0, count_before, now).max(before);
            if threshold.keeps(randomness) {
                let count = threshold.adjusted_count();
                stand[tenant] += count;
                variance[tenant] += count * (count - 1.0);
                late[tenant] += if trace >= 500_000 { 1.0 / 250.0 } else { 0.0 };
            }
        }
        let chi_square: f64 = (0..8)
            .filter(|tenant| variance[*tenant] > 0.0)
            .map(|tenant| (came[tenant] - stand[tenant]).powi(2) / variance[tenant])
            .sum();
        // With eight of them, 26.1 is exceeded once in a thousand times by chance alone.
        assert!(chi_square < 26.1, "{before:?}: {chi_square} {came:?} {stand:?}");
        let kept: f64 = late.iter().sum();
        assert!((kept / 200.0 - 1.0).abs() < 0.05, "{before:?}: {kept} per second: {late:?}");
        assert!(late[3] > 47.0, "{before:?}: the guaranteed minimum: {late:?}");
        assert!((late[0] / late[1] - 3.0).abs() < 0.3, "{before:?}: weights: {late:?}");
    }
}

/// Guarantees: the tenant of a trace is the least name that its spans or resources say, whatever their order; one
/// without a name has a tenant too, and long names are cut.
#[test]
fn the_tenant_of_a_trace_does_not_depend_on_the_order_of_spans() {
    let name = |spans: &[SpanRecord]| {
        let chunk = chunk(spans);
        let events: Vec<_> = Events::new(&chunk).map(Result::unwrap).collect();
        let parts: Vec<_> = events.iter().map(SpanParts::of_event).collect();
        let name = tenants(&[], share(1., 0., 0)).name_of(&parts);
        String::from_utf8(name).unwrap()
    };
    let with = |id, value: &str| SpanRecord::new(1, id).with("tenant.id", value);
    let long = "x".repeat(1000);
    for (spans, want) in [
        (vec![with(1, "b"), with(2, "a"), SpanRecord::new(1, 3)], "a"),
        (vec![SpanRecord::new(1, 3), with(2, "a"), with(1, "b")], "a"),
        (vec![SpanRecord::new(1, 3)], NO_TENANT),
        (vec![with(1, "")], NO_TENANT),
        (vec![SpanRecord::new(1, 1).with("tenant.id", 7)], "7"),
        (vec![with(1, &long)], long.get(..256).unwrap()),
    ] {
        assert_eq!(name(&spans), want);
    }
}

/// Guarantees: so many tenants are counted and one more for all others, whose counts begin anew when they were
/// shown; rates of tenants beyond the most share one.
#[test]
fn tenants_are_bounded() {
    let mut counts = TenantCounts::default();
    for tenant in 0..1000 {
        counts.add(format!("t{tenant}").as_bytes(), 3, 2, tenant % 2 == 0);
    }
    let mut shown = Vec::new();
    counts.take(&mut |name, count| shown.push((name.to_owned(), count.kept, count.dropped)));
    let of = |name: &str, kept, dropped| (name.to_owned(), kept, dropped);
    let wanted = [of("t0", 2, 0), of("t1", 0, 2), of("t2", 2, 0), of(OTHER_TENANTS, 996, 998)];
    assert_eq!(shown, wanted);
    counts.take(&mut |name, _| panic!("{name} had nothing since"));
    counts.add(b"t1", 3, 1, true);
    counts.take(&mut |name, count| assert_eq!((name, count.kept), ("t1", 1)));
    let mut sampler = AdaptiveSampler::new(config(10.0, tenants(&[], share(1., 0., 0))));
    for second in 0..30 {
        for key in 1..=500 {
            sampler.threshold(key, 1.0, 1.0, Tick(second * 1_000_000_000));
        }
    }
    assert_eq!(sampler.keys(), 21);
}

proptest! {
    /// Guarantees: nobody gets more than they need, all together get no more than the goal and all of it where it
    /// is needed, and everybody has their minimum, if the minimums fit and they need it.
    #[test]
    fn grants_are_fair(
        tenants in proptest::collection::vec(
            (0.0..1e4_f64, 0.1..10.0_f64, 0.0..100.0_f64, 0..3_u32), 1..30,
        ),
        goal in 0.0..1e5_f64,
    ) {
        let needs: Vec<f64> = tenants.iter().map(|(need, ..)| *need).collect();
        let shares: Vec<TenantShare> =
            tenants.iter().map(|(_, weight, minimum, at)| share(*weight, *minimum, *at)).collect();
        let granted_all = grants(&needs, &shares, goal, 1.0);
        let (all, needed): (f64, f64) = (granted_all.iter().sum(), needs.iter().sum());
        prop_assert!((all - goal.min(needed)).abs() < 1e-6 * (1.0 + goal), "{all} of {goal}");
        let minimums: f64 = shares.iter().map(|share| share.minimum).sum();
        for ((need, share), granted) in needs.iter().zip(&shares).zip(&granted_all) {
            prop_assert!(*granted <= need + 1e-9);
            if minimums <= goal {
                prop_assert!(*granted >= need.min(share.minimum) - 1e-6);
            }
            // Of two with the same priority above their minimums, none has less by its weight.
            let above = |share: &TenantShare, has: f64| (has - share.minimum) / share.weight;
            let same = shares.iter().zip(&granted_all).filter(|(it, _)| it.priority == share.priority);
            for (other, of_other) in same {
                if minimums <= goal && *granted < need - 1e-6 {
                    prop_assert!(above(other, *of_other) <= above(share, *granted) + 1e-6);
                }
            }
        }
    }
}
