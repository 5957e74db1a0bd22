//! Bounds of what is held, under traffic that tries them.

use super::tests::{COUNT, SECOND, START, call, config, read};
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
    let (tally, bytes) = (aggregator.tally(), aggregator.groups.attribute_bytes());
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

/// Guarantees: attributes and resources that are too long for the room have no series of their own.
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
    assert_eq!(aggregator.tally().overflow, 199);
    let bytes = aggregator.groups.attribute_bytes();
    assert!(bytes < 1 << 20, "{bytes} bytes");
    let points = read(&aggregator.take(true, Tick(2), START + 2)).remove(COUNT).unwrap();
    assert_eq!(points.iter().map(|point| point.count).sum::<i64>(), 199);
}
