//! Broken context: what is found of a trace, by itself and in generated traffic, and how it is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::codec::records::Events;
use crate::codec::records::testing::{SpanRecord, chunk, log_event};
use crate::correlation::traffic_tests::Random;

const HERE: Position = Position { run: 7, after: 2 };
const SECOND: u64 = 1_000_000_000;
const WINDOW: Duration = Duration::from_secs(60);
/// When the filter starts, before all spans.
const STARTED: u64 = 1;

fn finder(max_bytes: usize, temporality: MetricTemporality) -> BrokenContextFinder {
    let config = BrokenContextConfig {
        window: WINDOW,
        tolerance: Duration::from_millis(100),
        max_bytes,
        temporality,
        interval: Duration::from_secs(10),
        position: HERE,
    };
    BrokenContextFinder::new(config, Tick(0), STARTED)
}

fn at(seconds: u64) -> Tick {
    Tick(seconds * SECOND)
}

/// What the metric says: the attributes of its points, and their values.
type Points = BTreeMap<String, i64>;

/// The name of a point: kind, service and the other service.
fn point(kind: &str, service: &str, peer: Option<&str>) -> String {
    format!("{kind} {service} {}", peer.unwrap_or("-"))
}

fn read(emissions: &[Emission], points: &mut Points) {
    for emission in emissions {
        let events: Vec<_> = Events::new(&emission.events).map(Result::unwrap).collect();
        assert_eq!(events.len(), emission.records);
        for event in events {
            assert_eq!(event.telemetry().unwrap().position, Some(HERE));
            let body: Value = rmp_serde::from_slice(event.body).unwrap();
            assert_eq!(body["name"], "fluentbit.ai.context.broken");
            assert_eq!(body["sum"]["is_monotonic"], true);
            for given in body["sum"]["data_points"].as_array().unwrap() {
                let text = |key: &str| given["attributes"][key].as_str();
                let kind = text("fluentbit.ai.context.kind").unwrap_or("overflow");
                let service = text("service.name").unwrap_or("-");
                let name = point(kind, service, text("service.peer.name"));
                *points.entry(name).or_default() += given["as_int"].as_i64().unwrap();
            }
        }
    }
}

/// What is found in these spans.
fn found(spans: &[SpanRecord]) -> Vec<(String, i64)> {
    let mut finder = finder(1 << 20, MetricTemporality::Delta);
    finder.on_chunk(b"ai", &chunk(spans), at(1));
    assert!(finder.take(false, at(61), 5).is_empty(), "the window is not over");
    let mut points = Points::new();
    read(&finder.take(false, at(71), 6), &mut points);
    points.into_iter().collect()
}

fn span(id: u64, parent: u64, service: &str, start: u64, end: u64) -> SpanRecord {
    SpanRecord::new(1, id).parent(parent).service(service).times(start, end)
}

#[test]
fn a_whole_trace_is_not_broken() {
    assert_eq!(found(&[]), []);
    let whole = [
        span(3, 2, "shop", 110, 900),
        span(2, 1, "gateway", 100, 1000),
        span(1, 0, "gateway", 100, 1000),
        // It goes on after its parent, and its clock is nearly right.
        span(4, 3, "queue", 20, 5000),
        // It was sent again.
        span(3, 2, "shop", 110, 900),
    ];
    assert_eq!(found(&whole), []);
}

#[test]
fn each_kind_is_found_and_says_whose_it_is() {
    let orphan = [span(1, 0, "a", 100, 900), span(3, 2, "b", 200, 300), span(4, 3, "c", 210, 220)];
    assert_eq!(
        found(&orphan),
        [(point("orphan", "b", None), 1)],
        "what is below it has its parent"
    );
    let roots = [span(2, 0, "b", 200, 300), span(1, 0, "a", 100, 900), span(3, 0, "b", 200, 300)];
    assert_eq!(found(&roots), [(point("several_roots", "b", Some("a")), 2)]);
    let early = [span(1, 0, "a", 1000, 9000), span(2, 1, "b", 800, 900)];
    assert_eq!(found(&early), [(point("clock_skew", "b", Some("a")), 1)]);
    let own = [span(1, 1, "a", 1000, 9000)];
    assert_eq!(found(&own), [(point("orphan", "a", None), 1)], "no span is its own parent");
}

#[test]
fn flags_and_sides_are_read() {
    let resource = json!({ "attributes": { "service.name": "b" } });
    let metadata = json!({ "otlp": { "v": 1, "signal": "span", "resource": resource } });
    let event = |id: u64, parent: u64, more: Value| {
        let mut body = json!({
            "trace_id": "0af7651916cd43dd0000000000000001",
            "span_id": format!("{id:016x}"), "parent_span_id": format!("{parent:016x}"),
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        log_event(5, &metadata, &body)
    };
    let times = |kind: &str, start: u64, end: u64| json!({ "kind": kind, "start_time_unix_nano": start * SECOND, "end_time_unix_nano": end * SECOND });
    for (events, expected) in [
        (vec![event(2, 9, json!({ "flags": 0x301 }))], Some(("remote_parent", None))),
        (vec![event(2, 9, json!({ "flags": 0x101 }))], Some(("orphan", None))),
        (vec![event(2, 9, json!({}))], Some(("orphan", None))),
        (
            vec![event(1, 0, times("client", 10, 20)), event(2, 1, times("server", 15, 21))],
            Some(("clock_skew", Some("b"))),
        ),
        (vec![event(1, 0, times("client", 10, 20)), event(2, 1, times("server", 10, 25))], None),
        (vec![event(1, 0, times("client", 10, 20)), event(2, 1, times("internal", 15, 21))], None),
        (vec![event(1, 0, times("producer", 10, 11)), event(2, 1, times("server", 15, 16))], None),
    ] {
        let mut finder = finder(1 << 20, MetricTemporality::Delta);
        finder.on_chunk(b"ai", &events.concat(), at(1));
        let mut points = Points::new();
        read(&finder.take(false, at(100), 6), &mut points);
        let expected = expected.map(|(kind, peer)| (point(kind, "b", peer), 1));
        assert_eq!(points.into_iter().collect::<Vec<_>>(), Vec::from_iter(expected));
    }
}

#[test]
fn what_cannot_be_said_is_not_said() {
    let mut finder = finder(1 << 20, MetricTemporality::Delta);
    // It began before the filter.
    let before = SpanRecord::new(1, 2).parent(1).times_nanos(0, 5);
    let mut before = before.encode();
    let (old, new) = (b"start_time_unix_nano\x00", b"start_time_unix_nano\x01");
    let place = before.windows(old.len()).position(|part| part == old).unwrap();
    before[place..place + new.len()].copy_from_slice(new);
    let mut late_start = BrokenContextFinder::new(
        BrokenContextConfig {
            window: WINDOW,
            tolerance: Duration::ZERO,
            max_bytes: 1 << 20,
            temporality: MetricTemporality::Delta,
            interval: Duration::from_secs(10),
            position: HERE,
        },
        Tick(0),
        100,
    );
    late_start.on_chunk(b"ai", &before, at(1));
    late_start.take(false, at(90), 200);
    assert_eq!(late_start.tally().unexamined, [0, 0, 1, 0]);
    // It has too many spans.
    let many: Vec<SpanRecord> = (0..5000).map(|id| SpanRecord::new(2, id + 2).parent(1)).collect();
    finder.on_chunk(b"ai", &chunk(&many), at(1));
    // Ours, and spans without ids.
    let ours = [SpanRecord::new(3, 2).parent(1).from(7, 2)];
    finder.on_chunk(b"ai", &chunk(&ours), at(1));
    finder.take(false, at(90), 5);
    // It comes late.
    finder.on_chunk(b"ai", &chunk(&many[..3]), at(100));
    let mut points = Points::new();
    read(&finder.take(false, at(300), 6), &mut points);
    assert_eq!((finder.held_bytes(), points.len()), (0, 0));
    // The pipeline ends.
    finder.on_chunk(b"ai", &SpanRecord::new(4, 2).parent(1).encode(), at(301));
    assert!(finder.take(true, at(302), 7).is_empty());
    finder.on_chunk(b"ai", &SpanRecord::new(5, 2).parent(1).encode(), at(303));
    let tally = *finder.tally();
    assert_eq!((tally.unexamined, tally.late_spans), ([0, 1, 0, 1], 3));
    assert_eq!((tally.examined, tally.broken), (0, [0; 4]));
    assert_eq!(finder.held_bytes(), 0);
}

#[test]
fn points_say_what_is_new_or_all() {
    for (temporality, expected) in
        [(MetricTemporality::Delta, [1, 0, 2]), (MetricTemporality::Cumulative, [1, 1, 3])]
    {
        let mut finder = finder(1 << 20, temporality);
        let orphan = |trace| SpanRecord::new(trace, 2).parent(1).service("b");
        finder.on_chunk(b"ai", &orphan(1).encode(), at(0));
        let mut values = Vec::new();
        for second in [70, 80, 150] {
            if second == 80 {
                finder.on_chunk(b"ai", &chunk(&[orphan(2), orphan(3)]), at(81));
            }
            let emissions = finder.take(false, at(second), second * SECOND);
            assert!(finder.take(false, at(second + 9), second * SECOND).is_empty(), "{second}");
            let mut points = Points::new();
            read(&emissions, &mut points);
            values.push(points.get(&point("orphan", "b", None)).copied().unwrap_or(0));
            emissions.into_iter().for_each(|emission| {
                assert_eq!(emission.tag, b"ai");
                finder.put_back(emission.clone());
                assert_eq!(finder.take(false, at(second + 9), 0), [emission], "offered again");
            });
        }
        assert_eq!(values, expected);
    }
}

#[test]
fn memory_and_series_are_bounded() {
    const LIMIT: usize = 256 << 10;
    let mut finder = finder(LIMIT, MetricTemporality::Delta);
    let mut points = Points::new();
    for number in 0..6_000_u64 {
        let service = format!("service-{}", number % 500);
        let roots = [
            SpanRecord::new(number, 1).service(&format!("first-{}", number % 7)).times(1, 2),
            SpanRecord::new(number, 2).service(&service).times(2, 3),
        ];
        // The last quarter comes at once.
        let now = at(number.min(4_500) / 5);
        finder.on_chunk(b"ai", &chunk(&roots), now);
        assert!(finder.held_bytes() <= LIMIT, "{}", finder.held_bytes());
        read(&finder.take(false, now, number), &mut points);
    }
    read(&finder.take(false, at(9_000), u64::MAX / 2), &mut points);
    let tally = *finder.tally();
    let series = points.len();
    assert!(series <= 2001 && points.contains_key("overflow - -"), "{series}");
    assert_eq!(points.values().sum::<i64>(), i64::try_from(tally.broken[2]).unwrap());
    assert_eq!(tally.examined + tally.unexamined[0], 6_000);
    assert!(tally.unexamined[0] > 0 && tally.examined > 1_000, "{tally:?}");
}

/// A generated trace, whose truth is counted while it is made.
fn generate(random: &mut Random, trace: u64, start: u64, truth: &mut Points) -> Vec<SpanRecord> {
    let size = random.between(2, 25);
    // Of each span: parent, service, start, end, in milliseconds.
    let mut spans: Vec<(u64, u64, u64, u64)> = vec![(0, 0, start, start + 10_000)];
    for index in 1..size {
        let above = usize::try_from(random.between(0, index)).unwrap();
        let (_, service, from, to) = spans[above];
        let begin = random.between(from, to.max(from + 1));
        let end = random.between(begin, to.max(begin + 1));
        let service = if random.percent(50) { random.between(0, 12) } else { service };
        spans.push((u64::try_from(above).unwrap() + 1, service, begin, end));
    }
    let name = |service: u64| format!("service-{service}");
    let mut count = |kind: &str, service: u64, peer: Option<u64>| {
        let peer = peer.map(name);
        *truth.entry(point(kind, &name(service), peer.as_deref())).or_default() += 1;
    };
    let last = spans.len() - 1;
    let mut lost = None;
    match random.between(0, 10) {
        // A span is lost; those below it are orphans.
        0..3 => {
            let gone = usize::try_from(random.between(0, size)).unwrap();
            let id = u64::try_from(gone).unwrap() + 1;
            lost = Some(gone);
            spans.iter().filter(|span| span.0 == id).for_each(|span| count("orphan", span.1, None));
        }
        // The header was lost, so that the last span is a root of its own.
        3..5 => {
            spans[last].0 = 0;
            spans[last].2 = spans[last].2.max(start + 1);
            count("several_roots", spans[last].1, Some(0));
        }
        // The clock of the last span's service is late by ten minutes.
        5..7 => {
            let above = usize::try_from(spans[last].0).unwrap() - 1;
            (spans[last].2, spans[last].3) = (spans[last].2 - 600_000, spans[last].3 - 600_000);
            count("clock_skew", spans[last].1, Some(spans[above].1));
        }
        _ => {}
    }
    let record = |(index, (parent, service, begin, end)): (usize, &(u64, u64, u64, u64))| {
        let id = u64::try_from(index).unwrap() + 1;
        SpanRecord::new(trace, id).parent(*parent).service(&name(*service)).times(*begin, *end)
    };
    let kept = spans.iter().enumerate().filter(|(index, _)| Some(*index) != lost);
    kept.map(record).collect()
}

/// Scenario: 3000 overlapping traces of twelve services, of which three in ten lose a span, two a header, and
/// in two a clock is wrong, with spans in any order and up to 50 s apart, in chunks of their own.
/// Guarantees: exactly what is broken is found, each under its services, and nothing else.
#[test]
fn exactly_what_is_broken_is_found() {
    for seed in [0x1234_5678_9abc_def1, 77_777] {
        let mut random = Random(seed);
        let mut truth = Points::new();
        let mut arrivals = Vec::new();
        for trace in 1..=3000 {
            let start = 1_000_000 + trace * 50;
            for span in generate(&mut random, trace, start, &mut truth) {
                let at = trace * 50 + random.between(0, 50_000);
                arrivals.push((at, span.encode()));
            }
        }
        arrivals.sort_by_key(|(at, _)| *at);
        let mut finder = finder(64 << 20, MetricTemporality::Delta);
        let mut points = Points::new();
        for (at, event) in &arrivals {
            let now = Tick(at * 1_000_000);
            read(&finder.take(false, now, at * 1_000_000), &mut points);
            finder.on_chunk(b"ai", event, now);
        }
        read(&finder.take(false, at(100_000), 100_000 * SECOND), &mut points);
        assert_eq!(points, truth);
        let broken: i64 = truth.values().sum();
        println!("{} spans, {broken} broken in {} pairs", arrivals.len(), truth.len());
        assert!(broken > 1_000 && finder.tally().examined > 2_900, "{broken}");
    }
}
