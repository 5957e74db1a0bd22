//! Bounds of what is held, under traffic that tries them.

use super::tests::{COUNT, SECOND, START, USAGE, call, config, read};
use super::*;
use crate::codec::records::testing::{SpanRecord, chunk};

/// How many spans come between two exports.
const EXPORT_EVERY: u64 = 5000;
const SPANS_PER_CHUNK: u64 = 100;

/// Spans whose every one has a value of its own, over many resources: half of the spans resource by
/// resource, half of them one resource after the other.
fn span(index: u64, spans: u64, resources: u64) -> SpanRecord {
    let resource = match index * 2 < spans {
        true => index * 2 * resources / spans,
        false => index % resources,
    };
    call(index + 1, 1).service(&format!("service-{resource}")).with("tenant", index.cast_signed())
}

/// The most series that there were.
fn most_series(
    aggregator: &mut Aggregator,
    spans: u64,
    mut exported: impl FnMut(&[Emission]),
) -> u64 {
    let mut most = 0;
    for first in (0..spans).step_by(usize::try_from(SPANS_PER_CHUNK).unwrap()) {
        let records: Vec<SpanRecord> =
            (first..first + SPANS_PER_CHUNK).map(|index| span(index, spans, 10_000)).collect();
        let seconds = first * 10 / EXPORT_EVERY;
        let (now, unix_nanos) = (Tick(seconds * SECOND), START + seconds * SECOND);
        aggregator.on_chunk(b"ai", &chunk(&records), now, unix_nanos);
        most = most.max(aggregator.tally().series);
        exported(&aggregator.take(false, now, unix_nanos));
    }
    let end = spans * 10 / EXPORT_EVERY + 10;
    exported(&aggregator.take(true, Tick(end * SECOND), START + end * SECOND));
    most
}

/// Scenario: a million distinct values of an attribute over ten thousand resources. Guarantees: there are
/// never more series than the limit and a tenth, and what goes to make room, or to overflow series,
/// is counted.
#[test]
fn a_million_values_stay_within_the_limit() {
    const LIMIT: usize = 10_000;
    let config =
        MetricsConfig { temporality: Temporality::Cumulative, max_series: LIMIT, ..config() };
    let mut aggregator = Aggregator::new(config, Tick(0), START);
    let most = most_series(&mut aggregator, 1_000_000, |_| {});
    let (tally, bytes) = (aggregator.tally(), aggregator.groups.costs()[0].bytes);
    println!("{most} series at most, {tally:?}, {bytes} bytes of attributes and resources");
    assert!((9_900..=11_100).contains(&most), "{most} series");
    assert_eq!((tally.measured, tally.input_tokens), (1_000_000, 10_000_000));
    assert!(tally.overflow > 0 && tally.evicted > 0);
    assert!(bytes <= LIMIT * 1024 * 11 / 10);
}

/// Guarantees: whatever goes to make room, and whatever goes to overflow series, every call is in what is
/// emitted.
#[test]
fn nothing_is_lost_for_want_of_room() {
    let limited = MetricsConfig { max_series: 1000, ..config() };
    let mut aggregator = Aggregator::new(limited, Tick(0), START);
    let (mut calls, mut overflow) = (0, 0);
    let most = most_series(&mut aggregator, 50_000, |emissions| {
        for point in read(emissions).remove(COUNT).into_iter().flatten() {
            calls += point.count;
            if point.attributes.contains_key("otel.metric.overflow") {
                overflow += point.count;
            }
        }
    });
    let tally = aggregator.tally();
    assert!(most <= 1110, "{most} series");
    assert_eq!((calls, u64::try_from(overflow).unwrap()), (50_000, tally.overflow));
    assert!(tally.evicted > 0);
}

/// Guarantees: attributes that are too long are cut, and resources that are too long for the room have no series of their own.
#[test]
fn long_values_are_bounded_in_bytes() {
    let limited = MetricsConfig { max_series: 1000, ..config() };
    let mut aggregator = Aggregator::new(limited, Tick(0), START);
    let long = "x".repeat(100_000);
    let spans: Vec<SpanRecord> = (1..100)
        .map(|index| call(index, 1).with("tenant", format!("{long}{index}").as_str()))
        .chain((100..200).map(|index| call(index, 1).service(&format!("{long}{index}"))))
        .collect();
    aggregator.on_chunk(b"ai", &chunk(&spans), Tick(1), START);
    let bytes = aggregator.groups.costs()[0].bytes;
    assert!(bytes < 1 << 20, "{bytes} bytes");
    let points = read(&aggregator.take(true, Tick(2), START + 2)).remove(COUNT).unwrap();
    assert_eq!(points.len(), 2);
    assert_eq!(points.iter().map(|point| point.count).sum::<i64>(), 199);
}

/// A span or a log event of any kind that is measured; what it says goes by its number.
fn mixed(index: u64) -> Vec<u8> {
    let of = |name: &str, several: u64| format!("{name}-{}", index / 7 % several);
    let mut span = call(index + 1, 1)
        .service(&of("service", 40))
        .with("tenant", of("tenant", 9).as_str())
        .with("gen_ai.response.id", format!("r-{}", index / 2).as_str());
    let more: &[(&str, &str)] = match index % 11 {
        0 => &[("gen_ai.response.finish_reasons", "stop")],
        1 => &[("gen_ai.response.finish_reasons", "length"), ("gen_ai.usage.cost", "0.5")],
        2 => &[("error.type", "timeout")],
        3 => &[("mcp.method.name", "tools/call"), ("gen_ai.tool.name", "search")],
        _ => &[],
    };
    span = more.iter().fold(span, |span, (key, value)| span.with(key, *value));
    let numbers: &[(&str, f64)] = match index % 13 {
        0 => &[("gen_ai.usage.cache_read.input_tokens", 4.0)],
        1 => &[("gen_ai.usage.reasoning.output_tokens", 4.0), ("fluentbit.ai.latency.queue", 0.1)],
        2 => &[("gen_ai.response.time_to_first_chunk", 0.5)],
        3 => &[("gen_ai.latency.e2e", 0.5), ("gen_ai.latency.time_to_first_token", 0.25)],
        _ => &[],
    };
    numbers.iter().fold(span, |span, (key, value)| span.with(key, *value)).encode()
}

/// Scenario: spans of all kinds, two of each response, over more resources and values than there is room for, with
/// pauses in which series are forgotten. Guarantees: after every chunk the budget is what there is, and every span
/// and every call is in what is emitted, once.
#[test]
fn the_budget_is_what_there_is() {
    const SPANS: u64 = 6000;
    for max_series in [100, 400, 100_000] {
        let mut aggregator =
            Aggregator::new(MetricsConfig { max_series, ..config() }, Tick(0), START);
        let (mut spans, mut calls) = (0, 0);
        for first in (0..SPANS).step_by(50) {
            let at = first * SECOND / if first < SPANS / 2 { 20 } else { 1 };
            let chunk: Vec<u8> = (first..first + 50).flat_map(mixed).collect();
            aggregator.on_chunk(b"ai", &chunk, Tick(at), START + at);
            let [budget, counted] = aggregator.groups.costs();
            assert_eq!(budget, counted, "{max_series}: {first}");
            let emitted = read(&aggregator.take(first + 50 == SPANS, Tick(at), START + at));
            let count = |name: &str| -> i64 {
                emitted.get(name).into_iter().flatten().map(|point| point.count).sum()
            };
            (spans, calls) = (spans + count(COUNT), calls + count(USAGE));
            let [budget, counted] = aggregator.groups.costs();
            assert_eq!(budget, counted, "{max_series}: {first} emitted");
        }
        let tally = aggregator.tally();
        assert_eq!((spans, tally.measured), (6000, SPANS), "{max_series}: {tally:?}");
        assert_eq!(calls, 2 * (6000 - i64::try_from(tally.duplicate_calls).unwrap()));
        assert_eq!(tally.overflow > 0, max_series < 1000, "{max_series}: {tally:?}");
    }
}
