use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::clock::Tick;
use crate::codec::records::edit::{group_end, group_start};
use crate::codec::records::testing::{SpanRecord, chunk, log_event};
use crate::codec::records::{EventKind, Events, Group, LogView, SpanView};
use crate::model::{Position, TraceId};
use crate::sampling::adaptive::{
    AdaptiveConfig, AdaptiveSampler, AmountUnit, Goal, History, KeyFields, Shares,
};
use crate::sampling::{LogTally, Randomness, TailTally, Threshold, Unanswered, Volume};

const POSITION: Position = Position { run: 7, after: 3 };

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn id(state: &mut u64) -> TraceId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&random(state).to_be_bytes());
    bytes[8..].copy_from_slice(&random(state).to_be_bytes());
    TraceId(bytes)
}

/// Guarantees: shards get as many traces each, also of those that chance keeps, whose ids are alike in what makes
/// their randomness.
#[test]
fn shards_have_as_many_traces_each() {
    let tenth = Threshold::from_percentage(10.0).unwrap();
    for shards in [2, 7, 256] {
        let partition = Partition::new(shards, false, POSITION);
        let (mut all, mut kept) = (vec![0_u32; shards], vec![0_u32; shards]);
        let mut state = 1;
        for _ in 0..200_000 {
            let id = id(&mut state);
            let shard = partition.shard_of(id);
            all[shard] += 1;
            kept[shard] += u32::from(tenth.keeps(Randomness::of_trace(id)));
        }
        for counts in [all, kept] {
            let mean = f64::from(counts.iter().sum::<u32>()) / shards as f64;
            let off = |count: &u32| (f64::from(*count) - mean).powi(2) / mean;
            let chi_square: f64 = counts.iter().map(off).sum();
            let freedom = (shards - 1) as f64;
            let most = freedom + 4.0 * (2.0 * freedom).sqrt() + 8.0;
            assert!(chi_square < most, "{shards}: {chi_square} of {most}");
        }
    }
}

fn log(trace: u64) -> Vec<u8> {
    let id = format!("0af7651916cd43dd{trace:016x}");
    log_event(5, &json!({ "otlp": { "trace_id": id } }), &json!({ "log": trace }))
}

fn grouped(logs: &[Vec<u8>]) -> Vec<u8> {
    let map = rmp_serde::to_vec(&json!({ "resource": { "a": 1 } })).unwrap();
    let mut out = Vec::new();
    group_start(Group { metadata: &[0x80], body: &map }, &mut out);
    logs.iter().for_each(|log| out.extend_from_slice(log));
    group_end(&mut out);
    out
}

/// The records of a stream of events, sorted, with whether they stand in a group.
fn records(events: &[u8]) -> Vec<(Vec<u8>, bool)> {
    let events = Events::new(events).map(Result::unwrap);
    let records = events.filter(|event| event.kind == EventKind::Record);
    let mut records: Vec<_> =
        records.map(|event| (event.raw.to_vec(), event.group.is_some())).collect();
    records.sort();
    records
}

/// Scenario: spans with and without trace ids, some released before, logs alone and in groups, and what is no event.
/// Guarantees: each record is in one part or goes on, within its group; all of a trace is in one part; what was
/// released and what has nothing to do with traces goes on as it came.
#[test]
fn a_chunk_is_divided_by_trace() {
    let mut state = 9;
    let spans: Vec<SpanRecord> =
        (0..500).map(|number| SpanRecord::new(random(&mut state) % 60 + 1, number)).collect();
    let released =
        chunk(&[SpanRecord::new(5, 1000).from(7, 3), SpanRecord::new(6, 1001).from(7, 4)]);
    let mut untraced = chunk(&[SpanRecord::new(5, 1002)]);
    let id = untraced.windows(4).position(|window| window == b"0af7").unwrap();
    untraced[id] = b'x';
    let plain = log_event(5, &json!({}), &json!({ "log": "x" }));
    let logs: Vec<Vec<u8>> = (0..40).map(|_| log(random(&mut state) % 60 + 1)).collect();
    let events = [
        chunk(&spans[..250]),
        released.clone(),
        plain.clone(),
        grouped(&logs[..30]),
        chunk(&spans[250..]),
        logs[30..].concat(),
        untraced.clone(),
    ]
    .concat();
    for (follows_logs, shards) in [(false, 3), (true, 1), (true, 3), (true, 256)] {
        let what = format!("{follows_logs} {shards}");
        let partition = Partition::new(shards, follows_logs, POSITION);
        let mut parts = vec![Vec::new(); shards];
        let rest = partition.divide(&events, &mut parts).unwrap();
        let mut all = records(&rest);
        let (mut shard_of, mut traces) = (HashMap::new(), 0);
        for (shard, part) in parts.iter().enumerate() {
            all.extend(records(part));
            for event in Events::new(part).map(Result::unwrap) {
                let of_log = || event.otlp().and_then(|otlp| LogView::new(otlp).trace_id());
                let Some(id) = SpanView::new(event.body).trace_id().or_else(of_log) else {
                    continue;
                };
                traces += 1;
                assert_eq!(partition.shard_of(id), shard, "{what}");
                assert_eq!(*shard_of.entry(id).or_insert(shard), shard, "{what}");
            }
            assert_eq!(partition.shard_of_first(part), if part.is_empty() { 0 } else { shard });
        }
        all.sort();
        assert_eq!(all, records(&events), "{what}");
        assert_eq!(traces, if follows_logs { 540 } else { 500 }, "{what}");
        let want = match follows_logs {
            true => records(&released),
            false => records(
                &[released.clone(), plain.clone(), grouped(&logs[..30]), logs[30..].concat()]
                    .concat(),
            ),
        };
        assert_eq!(records(&rest), want, "{what}");
    }
    let mut parts = vec![Vec::new(); 2];
    let partition = Partition::new(2, false, POSITION);
    assert_eq!(partition.divide(&[released, plain, vec![0xc1]].concat(), &mut parts), None);
    assert!(parts.iter().all(Vec::is_empty));
    let divided = partition.divide(&[chunk(&spans[..1]), vec![0xc1, 0xc1]].concat(), &mut parts);
    assert_eq!(divided, Some(vec![0xc1, 0xc1]));
}

#[test]
fn marks_of_empty_groups_go() {
    let (empty, full) = (grouped(&[]), grouped(&[log(1)]));
    let events = [empty.clone(), log(2), empty.clone(), full.clone(), empty].concat();
    assert_eq!(without_empty_groups(events), [log(2), full].concat());
    let broken = [grouped(&[]), vec![0xc1]].concat();
    assert_eq!(without_empty_groups(broken.clone()), broken);
}

/// Guarantees: sums have each count of all shards, at its place.
#[test]
fn tallies_add_up() {
    let unanswered = Unanswered { traces: [1; 4], kept_spans: 2, ..Unanswered::default() };
    let tally = TailTally {
        received: 20,
        kept: vec![1, 2],
        dropped: vec![3, 4, 5],
        untraced: 1,
        dry_run: 2,
        predicted_dropped: vec![Volume { spans: 1, bytes: 2 }],
        held: 2,
        early_full: 7,
        compared: [1, 2, 3],
        unanswered: vec![unanswered],
        ..TailTally::default()
    };
    let mut sum = TailTally::default();
    add_tally(&mut sum, &TailTally { kept: vec![5], received: 5, ..TailTally::default() });
    add_tally(&mut sum, &tally);
    add_tally(&mut sum, &tally);
    let out: u64 = sum.kept.iter().chain(&sum.dropped).sum();
    assert_eq!(sum.received, out + sum.untraced + sum.dry_run + sum.held);
    assert_eq!((sum.kept, sum.dropped), (vec![7, 4], vec![6, 8, 10]));
    assert_eq!((sum.early_full, sum.compared), (14, [2, 4, 6]));
    assert_eq!(sum.predicted_dropped, [Volume { spans: 2, bytes: 4 }]);
    assert_eq!((sum.unanswered[0].total(), sum.unanswered[0].kept_spans), (8, 4));
    let logs = LogTally {
        received: 5,
        kept: vec![0, 5],
        undecided_kept: [1, 2, 3],
        ..LogTally::default()
    };
    let mut sum = LogTally::default();
    add_log_tally(&mut sum, &logs);
    add_log_tally(&mut sum, &logs);
    assert_eq!((sum.received, sum.kept, sum.undecided_kept), (10, vec![0, 10], [2, 4, 6]));
}

/// Spans kept a second, of so many shards, for each that the goal wants, when rates have settled: the mean of 60 s, and
/// the least and the most of one.
fn of_goal(shards: usize, history: History, shares: Shares, whole: bool) -> [f64; 3] {
    const GOAL: f64 = 500.0;
    let config = AdaptiveConfig {
        keys: KeyFields::default(),
        goal: Goal::PerSecond(GOAL),
        unit: AmountUnit::Traces,
        history,
        shares,
        whole,
        initial: 10.0,
        max_keys: 500,
        of_fleet: false,
        shards: u32::try_from(shards).unwrap(),
        tenants: None,
    };
    let mut samplers: Vec<_> = (0..shards).map(|_| AdaptiveSampler::new(config.clone())).collect();
    let partition = Partition::new(shards, false, POSITION);
    let (mut state, mut kept) = (5, [0_u32; 120]);
    for trace in 0..120 * 5000_u64 {
        let (id, now) = (id(&mut state), Tick(trace * 200_000));
        // Keys, of which each is half as frequent as the one before.
        let key = u64::from(random(&mut state).trailing_zeros().min(7)) + 1;
        let threshold = samplers[partition.shard_of(id)].threshold(key, 1.0, 1.0, now);
        let second = usize::try_from(trace / 5000).unwrap();
        kept[second] += u32::from(threshold.keeps(Randomness::of_trace(id)));
    }
    let settled: Vec<f64> = kept[60..].iter().map(|kept| f64::from(*kept) / GOAL).collect();
    let mean = settled.iter().sum::<f64>() / settled.len() as f64;
    let least = settled.iter().copied().fold(f64::INFINITY, f64::min);
    [mean, least, settled.into_iter().fold(0.0, f64::max)]
}

/// Scenario: 5000 traces a second of eight keys and a goal of 500 a second, among 1 to 16 shards. Guarantees: shards
/// together keep as much as one sampler does, which is the goal.
#[test]
fn throughputs_of_shards_come_to_the_goal_together() {
    let second = Duration::from_secs(1);
    let average = History::Average {
        interval: second * 15,
        weight: 0.5,
        age_out: 0.5,
        burst: Some((2.0, 3)),
    };
    for (name, history, shares, whole) in [
        ("moving average", average, Shares::Logarithmic, false),
        ("window", History::Sliding(second, 30), Shares::Equal, false),
        ("window, whole rates", History::Sliding(second, 30), Shares::Equal, true),
    ] {
        let [alone, ..] = of_goal(1, history, shares, whole);
        for shards in [2, 4, 16] {
            let [mean, least, most] = of_goal(shards, history, shares, whole);
            println!(
                "{name}: {shards} shards {mean:.3} of the goal ({least:.2} to {most:.2}), one {alone:.3}"
            );
            assert!((mean / alone - 1.0).abs() < 0.05, "{name}: {shards}: {mean} {alone}");
        }
    }
}
