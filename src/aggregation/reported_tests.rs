//! Metrics that services report themselves beside spans that are measured.

use std::collections::BTreeMap;

use super::tests::{
    COUNT, DURATION, Read, SECOND, START, USAGE, aggregator, call, collect, config, findings_of,
};
use super::*;
use crate::codec::msgpack::text_of;
use crate::codec::records::edit::Pairs;
use crate::codec::records::metric_writer::{
    HistogramTotals, MetricData, MetricHead, MetricOrigin, MetricPoint, PointValue, metadata,
    metric,
};
use crate::codec::records::testing::{SpanRecord, chunk};
use crate::codec::records::{Events, MetricView};
use crate::findings::{Check, CheckMode};

const COMPARED: &str = "fluentbit.ai.compared";
const BESIDE: &str = "fluentbit.gen_ai.client.token.usage";
const MINUTE: u64 = 60 * SECOND;

/// What a service reports: values of a histogram by an attribute, each with its count and its sum.
struct Report {
    service: &'static str,
    name: &'static str,
    points: Vec<(&'static str, u64, f64)>,
    start: u64,
    time: u64,
    temporality: Temporality,
}

fn report(name: &'static str, points: &[(&'static str, u64, f64)], time: u64) -> Report {
    let (points, temporality) = (points.to_vec(), Temporality::Cumulative);
    Report { service: "shop", name, points, start: START, time: START + time, temporality }
}

fn map_of(pairs: &Pairs) -> Vec<u8> {
    let mut map = Vec::new();
    pairs.write_map(&mut map);
    map
}

impl Report {
    fn encode(&self) -> Vec<u8> {
        let mut attributes = Pairs::new();
        attributes.text("service.name", self.service);
        let mut resource = Pairs::new();
        resource.push("attributes", &map_of(&attributes));
        let (mut head, mut out) = (Vec::new(), Vec::new());
        let origin = MetricOrigin {
            resource: &map_of(&resource),
            scope_name: "sdk",
            scope_version: "1",
            schema_url: "",
            position: None,
        };
        metadata(&origin, &mut head);
        let attributes: Vec<Vec<u8>> = self
            .points
            .iter()
            .map(|(kind, ..)| {
                let mut pairs = Pairs::new();
                pairs.text("gen_ai.token.type", kind);
                map_of(&pairs)
            })
            .collect();
        let points: Vec<MetricPoint<'_>> = self
            .points
            .iter()
            .zip(&attributes)
            .map(|((_, count, sum), attributes)| MetricPoint {
                attributes,
                start_unix_nanos: self.start,
                unix_nanos: self.time,
                value: PointValue::Histogram {
                    totals: HistogramTotals {
                        count: *count,
                        sum: Some(*sum),
                        min: None,
                        max: None,
                    },
                    counts: &[],
                    bounds: &[],
                },
                exemplars: &[],
            })
            .collect();
        let data = MetricData::Histogram { temporality: self.temporality, points: &points };
        let described = MetricHead { name: self.name, description: "", unit: "" };
        metric(&mut out, self.time, &head, &described, &data);
        out
    }
}

fn of(reported: ReportedPolicy) -> Aggregator {
    aggregator(MetricsConfig { reported, temporality: Temporality::Cumulative, ..config() })
}

fn shop(trace: u64) -> SpanRecord {
    call(trace, trace).service("shop")
}

fn feed_at(aggregator: &mut Aggregator, bytes: &[u8], nanos: u64) -> Option<Vec<u8>> {
    aggregator.on_chunk(b"ai", bytes, Tick(nanos), START + nanos);
    aggregator.without_replaced(bytes)
}

fn services(points: Option<&Vec<Read>>) -> Vec<String> {
    let points = points.into_iter().flatten();
    let mut all: Vec<_> = points.map(|it| it.attributes["service.name"].clone()).collect();
    all.sort();
    all
}

/// What was reported and measured of a metric.
fn compared(read: &BTreeMap<String, Vec<Read>>, metric: &str) -> [i64; 2] {
    ["reported", "measured"].map(|side| {
        let is_it = |point: &&Read| {
            point.attributes["fluentbit.ai.compared.metric"] == metric
                && point.attributes["fluentbit.ai.compared.side"] == side
        };
        let points: Vec<_> = read[COMPARED].iter().filter(is_it).collect();
        assert_eq!(points.len(), 1, "{metric} {side}");
        points[0].count
    })
}

const TOKENS: [(&str, u64, f64); 3] = [("input", 1, 10.0), ("output", 1, 20.0), ("total", 1, 30.0)];

/// Scenario: a service that reports tokens itself, in three types, and one that does not. Guarantees: ours of that
/// service and metric are withheld, all else is emitted; what both say is compared, the total of both types left
/// out, and what is missing from the spans is in the comparison.
#[test]
fn what_a_service_reports_is_not_said_twice() {
    let mut aggregator = of(ReportedPolicy::Prefer);
    feed_at(&mut aggregator, &chunk(&[shop(1), call(2, 2).service("other")]), SECOND);
    assert_eq!(feed_at(&mut aggregator, &report(USAGE, &TOKENS, 2).encode(), 2 * SECOND), None);
    let read = collect(&mut aggregator, 10);
    assert_eq!(services(read.get(USAGE)), ["other", "other"]);
    assert_eq!(services(read.get(DURATION)), ["other", "shop"]);
    assert_eq!(services(read.get(COUNT)), ["other", "shop"]);
    assert_eq!(compared(&read, USAGE), [30, 30]);
    let more = [("input", 3, 50.0), ("output", 3, 60.0), ("total", 3, 110.0)];
    feed_at(&mut aggregator, &chunk(&[shop(3)]), 11 * SECOND);
    feed_at(&mut aggregator, &report(USAGE, &more, MINUTE).encode(), 12 * SECOND);
    let read = collect(&mut aggregator, 20);
    assert_eq!(compared(&read, USAGE), [110, 60], "a call has no span");
    assert_eq!((aggregator.tally().reported_points, aggregator.tally().replaced_points), (6, 0));
}

/// Scenario: a service that ran before us and reports deltas, or cumulative points, whichever we emit. Guarantees: what
/// was before both sides were known is in neither.
#[test]
fn what_was_before_is_not_compared() {
    for temporality in [Temporality::Delta, Temporality::Cumulative] {
        let mut aggregator = aggregator(MetricsConfig { temporality, ..config() });
        feed_at(&mut aggregator, &chunk(&[shop(1)]), SECOND);
        let at = |sum: f64, seconds: u64| Report {
            start: if temporality == Temporality::Delta { START + seconds - 1 } else { 1 },
            temporality,
            ..report(USAGE, &[("input", 1, sum)], seconds * SECOND)
        };
        feed_at(&mut aggregator, &at(7000.0, 2).encode(), 2 * SECOND);
        assert_eq!(compared(&collect(&mut aggregator, 10), USAGE), [0, 0]);
        feed_at(&mut aggregator, &chunk(&[shop(2)]), 11 * SECOND);
        let sum = if temporality == Temporality::Delta { 30.0 } else { 7030.0 };
        feed_at(&mut aggregator, &at(sum, 12).encode(), 12 * SECOND);
        assert_eq!(compared(&collect(&mut aggregator, 20), USAGE), [30, 30], "{temporality:?}");
        let again = if temporality == Temporality::Delta { [0, 0] } else { [30, 30] };
        assert_eq!(compared(&collect(&mut aggregator, 30), USAGE), again);
    }
}

/// Scenario: an SDK that emits durations under its old and its new name. Guarantees: they count once, by the name that
/// came first, and calls and embeddings together.
#[test]
fn two_names_of_one_metric_count_once() {
    let mut aggregator = of(ReportedPolicy::Prefer);
    feed_at(&mut aggregator, &chunk(&[shop(1), shop(2)]), SECOND);
    for (name, count) in [
        ("gen_ai.client.inference.duration", 1),
        (DURATION, 2),
        ("gen_ai.client.embeddings.duration", 1),
    ] {
        feed_at(&mut aggregator, &report(name, &[("", count, 1.0)], 2).encode(), 2 * SECOND);
    }
    let read = collect(&mut aggregator, 10);
    assert_eq!(read.get(DURATION), None);
    assert_eq!(compared(&read, DURATION), [2, 2]);
}

/// Guarantees: what a service reports is taken out where it is measured here, whatever its name, and nothing else is.
#[test]
fn what_a_service_reports_is_replaced() {
    let mut aggregator = of(ReportedPolicy::Replace);
    let other = Report { service: "no spans", ..report(USAGE, &TOKENS, 2) };
    let kept = [report("http.client.duration", &TOKENS, 2), other];
    let gone = [report(USAGE, &TOKENS, 2), report("gen_ai.client.inference.duration", &TOKENS, 2)];
    let all = || kept.iter().chain(&gone).flat_map(Report::encode).collect::<Vec<u8>>();
    assert_eq!(feed_at(&mut aggregator, &all(), 1), None, "nothing is measured yet");
    feed_at(&mut aggregator, &chunk(&[shop(1)]), SECOND);
    assert_eq!(services(collect(&mut aggregator, 10).get(USAGE)), ["shop", "shop"]);
    let rest = feed_at(&mut aggregator, &all(), 11 * SECOND).unwrap();
    let name = |event: crate::codec::records::Event<'_>| {
        text_of(MetricView::new(event.body).name).map(str::to_owned).unwrap()
    };
    let names: Vec<String> = Events::new(&rest).map(|event| name(event.unwrap())).collect();
    assert_eq!(names, ["http.client.duration", USAGE]);
    assert_eq!((aggregator.tally().reported_points, aggregator.tally().replaced_points), (18, 6));
    assert_eq!(services(collect(&mut aggregator, 20).get(USAGE)), ["shop", "shop"]);
    // Of a service that was measured before it reported, the first report goes already.
    feed_at(&mut aggregator, &chunk(&[call(2, 2).service("late")]), 21 * SECOND);
    collect(&mut aggregator, 30);
    let late = Report { service: "late", ..report(USAGE, &TOKENS, 2) }.encode();
    assert_eq!(feed_at(&mut aggregator, &late, 31 * SECOND), Some(Vec::new()));
}

/// Guarantees: ours stand beside what a service reports, under another name, as soon as it does.
#[test]
fn both_are_told_apart_by_their_names() {
    let mut aggregator = of(ReportedPolicy::Both);
    feed_at(&mut aggregator, &chunk(&[shop(1)]), SECOND);
    let read = collect(&mut aggregator, 10);
    assert_eq!((read[USAGE].len(), read.get(BESIDE)), (2, None));
    feed_at(&mut aggregator, &report(USAGE, &TOKENS, 2).encode(), 11 * SECOND);
    let read = collect(&mut aggregator, 20);
    assert_eq!((read.get(USAGE), read[BESIDE].len()), (None, 2));
}

/// Scenario: a service stops to report, and calls go on. Guarantees: after five minutes ours are emitted, and say only
/// what came since; an idle service stays known.
#[test]
fn a_service_that_stops_to_report_is_measured_anew() {
    let mut aggregator = of(ReportedPolicy::Prefer);
    feed_at(&mut aggregator, &chunk(&[shop(1)]), SECOND);
    feed_at(&mut aggregator, &report(USAGE, &TOKENS, 2).encode(), 2 * SECOND);
    assert_eq!(collect(&mut aggregator, 10).get(USAGE), None);
    collect(&mut aggregator, 1000);
    let mut last = None;
    for (minute, trace) in (20..30).zip(10..) {
        feed_at(&mut aggregator, &chunk(&[shop(trace)]), minute * MINUTE);
        let read = collect(&mut aggregator, minute * 60 + 30);
        let tokens = read.get(USAGE).map(|points| (points[0].count, points[0].attributes.len()));
        assert_eq!(tokens.is_some(), minute > 25, "minute {minute}");
        last = tokens.or(last);
    }
    assert_eq!(last.map(|(calls, _)| calls), Some(4));
}

/// Scenario: a service that reports every call, and later one that has no span as well, for hours. Guarantees: the second hour in
/// which the sides are a tenth apart is a finding of the service and metric, with both amounts; until then there is none.
#[test]
fn what_is_reported_otherwise_is_found() {
    let config = MetricsConfig { temporality: Temporality::Cumulative, ..config() };
    let findings = findings_of(Check::Usage, CheckMode::Warn);
    let mut aggregator = aggregator(MetricsConfig { findings: Some(findings), ..config });
    let (mut tokens, mut found) = (0.0, Vec::new());
    for minute in 1..=5 * 60 {
        let at = minute * MINUTE;
        feed_at(&mut aggregator, &chunk(&[shop(minute)]), at);
        // After two hours a fifth of the calls has no span.
        tokens += if minute > 120 && minute % 4 == 0 { 20.0 } else { 10.0 };
        let points = [("input", minute, tokens), ("output", minute, 2.0 * tokens)];
        let report = report(USAGE, &points, at + SECOND);
        feed_at(&mut aggregator, &report.encode(), at + SECOND);
        collect(&mut aggregator, minute * 60 + 30);
        let lines = aggregator.findings().unwrap().take_lines();
        found.extend(lines.into_iter().map(|line| (minute, line)));
    }
    assert_eq!(found.len(), 1, "{found:?}");
    assert!((240..=245).contains(&found[0].0), "{found:?}");
    assert!(found[0].1.contains("2250 of gen_ai.client.token.usage are reported"), "{found:?}");
}

/// Guarantees: our own metrics that come again are nobody's report.
#[test]
fn our_own_metrics_are_no_report() {
    let mut aggregator = of(ReportedPolicy::Prefer);
    feed_at(&mut aggregator, &chunk(&[shop(1)]), SECOND);
    let ours = aggregator.take(false, Tick(10 * SECOND), START + 10 * SECOND);
    feed_at(&mut aggregator, &ours[0].events, 11 * SECOND);
    assert_eq!(aggregator.tally().reported_points, 0);
    assert_eq!(collect(&mut aggregator, 20)[USAGE].len(), 2);
}
