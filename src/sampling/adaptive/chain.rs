//! Adaptive policies in the tail sampler: what whole traces stand for behind another sampler.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::codec::msgpack::{MapView, text_of};
use crate::codec::records::testing::{SpanRecord, chunk};
use crate::codec::records::{Events, StatusCode};
use crate::model::{ErrorRule, Position};
use crate::sampling::policy::{
    Field, Policies, Policy, PolicyAction, PolicyRule, SpanTest, SpanTests,
};
use crate::sampling::{
    AdaptiveKeys, HeadSampler, HeadTally, OtState, TailConfig, TailSampler, TailSettings, Threshold,
};

const POSITION: Position = Position { run: 1, after: 1 };

/// A sampler of 100 spans per second per service, which lets errors stay, by rules in order or by policies.
fn sampler(in_order: bool, unit: AmountUnit) -> TailSampler {
    TailSampler::new(config(in_order, unit, "rest", 100))
}

fn config(in_order: bool, unit: AmountUnit, name: &str, max_keys: usize) -> TailConfig {
    let mut tests = SpanTests::default();
    let errors = vec![StatusCode::Error];
    let index = tests.add(SpanTest::Status(errors)).unwrap();
    let policy =
        |name: &str, rule| Policy { name: name.to_owned(), rule, action: PolicyAction::Keep };
    let list =
        vec![policy("errors", PolicyRule::SpanTest(index)), policy(name, PolicyRule::Adaptive(0))];
    let adaptive = AdaptiveConfig {
        keys: KeyFields::new(vec![Field::parse("service.name").unwrap()], false),
        goal: Goal::PerSecond(100.0),
        unit,
        history: History::Sliding(Duration::from_secs(1), 10),
        shares: Shares::Equal,
        whole: false,
        initial: 10.0,
        max_keys,
        of_fleet: false,
        shards: 1,
        tenants: None,
    };
    let policies = Policies::new(list, tests, Vec::new());
    TailConfig {
        settings: TailSettings {
            decision_wait: Duration::from_secs(1),
            wait_after_root: None,
            longest_wait: None,
            max_bytes: 64 << 20,
            max_traces: 1_000_000,
            max_trace_spans: None,
            max_trace_bytes: None,
            shed_at: None,
            decides_early: true,
            dry_run: false,
        },
        compare_for: Duration::ZERO,
        kept_cache: 1000,
        dropped_cache: 1000,
        policies: policies.with_adaptive(vec![adaptive]).in_order(in_order),
        errors: ErrorRule::Status,
        sessions: None,
        position: POSITION,
    }
}

/// Scenario: policies that are replaced while their adaptive sampler has seen three keys and has room for one.
/// Guarantees: the same policy goes on where it was, one of another name or of other settings begins anew, and
/// what a name counts never falls.
#[test]
fn changed_policies_keep_what_is_the_same() {
    let of = |name: &str, max_keys| config(false, AmountUnit::Spans, name, max_keys);
    let mut sampler = TailSampler::new(of("rest", 1));
    let mut now = 0;
    let mut pass = |sampler: &mut TailSampler, keys: u64| {
        let key = |key: u64| {
            let service = format!("service {key}");
            SpanRecord::new(now * 100 + key + 1, 1).with("service.name", service.as_str())
        };
        let spans: Vec<_> = (0..keys).map(key).collect();
        assert_eq!(sampler.on_chunk(b"t", &chunk(&spans), Tick(now * 1_000_000_000)), Some(vec![]));
        now += 2;
        drop(sampler.take(false, Tick(now * 1_000_000_000)));
        Tick(now * 1_000_000_000)
    };
    let seen = |known, beyond| Some(AdaptiveKeys { known, beyond });
    assert_eq!((sampler.adaptive(0), sampler.adaptive(1)), (None, seen(0, 0)));
    let mut now = pass(&mut sampler, 3);
    // One, and what all others share.
    assert_eq!(sampler.adaptive(1), seen(2, 2));
    for (name, max_keys, at_first, then) in [
        ("rest", 1, seen(2, 2), seen(2, 4)),
        ("rest", 2, seen(0, 4), seen(3, 5)),
        ("other", 2, seen(0, 0), seen(3, 1)),
        ("rest", 2, seen(0, 5), seen(3, 6)),
    ] {
        assert!(sampler.replace(of(name, max_keys), now));
        assert_eq!(sampler.adaptive(1), at_first, "{name} {max_keys}");
        now = pass(&mut sampler, 3);
        assert_eq!(sampler.adaptive(1), then, "{name} {max_keys}");
    }
}

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// (trace, threshold) of each span, by trace.
fn thresholds(events: &[u8], out: &mut BTreeMap<u64, Vec<Option<Threshold>>>) {
    for event in Events::new(events) {
        let body = MapView::new(event.unwrap().body);
        let text = |key: &[u8]| body.get(key).and_then(text_of).unwrap_or_default().to_owned();
        let trace = u64::from_str_radix(text(b"trace_id").get(16..).unwrap(), 16).unwrap();
        let state = text(b"trace_state");
        let threshold = OtState::read(state.as_bytes()).threshold;
        out.entry(trace).or_default().push(threshold);
    }
}

/// A hundred more traces: their spans, and of each its service, whether it has an error, and its spans.
fn arriving(state: &mut u64, traces: &mut BTreeMap<u64, (usize, bool, u64)>) -> Vec<SpanRecord> {
    let mut spans = Vec::new();
    for _ in 0..100 {
        let trace = random(state);
        let service = (random(state) | 1 << 5).trailing_zeros() as usize;
        let is_error = random(state).is_multiple_of(50);
        let count = 1 + random(state) % 3;
        traces.insert(trace, (service, is_error, count));
        spans.extend((0..count).map(|id| {
            let span = SpanRecord::new(trace, id + 1).service(&format!("s{service}"));
            if is_error && id == 0 { span.error() } else { span }
        }));
    }
    spans
}

/// Scenario: 10^5 traces of one to three spans of six services, each half as often as the one before, 500
/// traces per second, every fiftieth with an error; behind a sampler that keeps half of them. Guarantees: no
/// trace is torn; by the written thresholds the kept stand for what came, service by service (chi-square, under
/// rules that decide in order); the goal is kept; under policies, what an error keeps has no threshold.
#[test]
fn whole_traces_stand_for_what_came() {
    for (in_order, unit) in
        [(true, AmountUnit::Spans), (true, AmountUnit::Traces), (false, AmountUnit::Spans)]
    {
        let mut before = HeadSampler::from_percentage(50.0);
        let mut sampler = sampler(in_order, unit);
        let (mut traces, mut kept) = (BTreeMap::new(), BTreeMap::new());
        let (mut state, mut late) = (11, 0.0);
        for batch in 0..1000_u64 {
            let spans = arriving(&mut state, &mut traces);
            let now = Tick(batch * 200_000_000);
            let all = chunk(&spans);
            let mut tally = HeadTally::default();
            let half = before.on_chunk((b"ai", &all), POSITION, now, &mut tally).unwrap_or(all);
            let goes_on = sampler.on_chunk(b"ai", &half, now).unwrap_or(half);
            let mut batch_kept = BTreeMap::new();
            thresholds(&goes_on, &mut batch_kept);
            for emission in sampler.take(batch == 999, now) {
                thresholds(&emission.events, &mut batch_kept);
            }
            for (trace, spans) in batch_kept {
                let (_, is_error, count) = traces[&trace];
                assert_eq!(spans.len() as u64, count, "no trace is torn");
                let amount = if unit == AmountUnit::Traces { 1.0 } else { count as f64 };
                late += if batch >= 500 && !is_error { amount } else { 0.0 };
                kept.insert(trace, spans);
            }
        }
        let (mut came, mut stand_for, mut variance) = ([0.0; 6], [0.0; 6], [0.0; 6]);
        for (service, is_error, _) in traces.values() {
            came[*service] += if in_order || !is_error { 1.0 } else { 0.0 };
        }
        for (trace, spans) in &kept {
            let (service, is_error, _) = traces[trace];
            if is_error && !in_order {
                assert_eq!(spans[0], None, "nobody knows how likely another policy keeps it");
                continue;
            }
            let count = spans[0].unwrap().adjusted_count();
            assert!(spans.iter().all(|threshold| *threshold == spans[0]));
            stand_for[service] += count;
            variance[service] += count * (count - 1.0);
        }
        let chi_square: f64 = (0..6)
            .filter(|service| variance[*service] > 0.0)
            .map(|service| (came[service] - stand_for[service]).powi(2) / variance[service])
            .sum();
        // With six of them, 22.5 is exceeded once in a thousand times by chance alone.
        assert!(chi_square < 22.5, "{in_order} {unit:?}: {chi_square} {came:?} {stand_for:?}");
        let per_second = late / 100.0;
        assert!((per_second / 100.0 - 1.0_f64).abs() < 0.1, "{in_order} {unit:?}: {per_second}");
    }
}
