use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::codec::msgpack::{MapView, elements, int_of, text_of};
use crate::codec::records::Events;
use crate::codec::records::testing::{SpanRecord, chunk};
use crate::findings::{Check, CheckMode, FindingsConfig, PromptSecret};
use crate::model::{Emission, Position, Signal};

pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const START: u64 = 1_000 * SECOND;

/// What looks for findings by one check.
pub(super) fn findings_of(check: Check, mode: CheckMode) -> FindingsConfig {
    let mut modes = [CheckMode::Off; Check::ALL.len()];
    modes[check as usize] = mode;
    FindingsConfig {
        modes,
        max_keys: 100,
        tokens_per_minute: 0,
        pairs: Vec::new(),
        budgets: Vec::new(),
        max_prompts: 100,
        prompt_secret: PromptSecret([1, 2]),
        tag: None,
        temporality: Temporality::Cumulative,
        position: config().position,
    }
}

pub(super) fn config() -> MetricsConfig {
    MetricsConfig {
        interval: Duration::from_secs(10),
        dimensions: vec!["tenant".to_owned(), "service.name".to_owned()],
        semconv: SemconvVersion::V1_41,
        temporality: Temporality::Delta,
        histogram: HistogramForm::Explicit,
        reported: ReportedPolicy::Prefer,
        tag: None,
        is_whole: false,
        max_series: 2000,
        series_expiry: Duration::from_secs(300),
        call_window: Duration::from_secs(60),
        max_traces: 1000,
        prices: Some(Arc::new(PriceTable::shipped())),
        findings: None,
        server_logs: ServerLogFormats::default(),
        weight: |state| match state {
            b"ot=th:e666" => Some(9.999_389_685_688_13),
            b"ot=th:unknown" => None,
            _ => Some(1.0),
        },
        position: Position { run: 7, after: 2 },
    }
}

pub(super) fn aggregator(config: MetricsConfig) -> Aggregator {
    Aggregator::new(config, Tick(0), START)
}

pub(super) fn feed(aggregator: &mut Aggregator, spans: &[SpanRecord]) {
    aggregator.on_chunk(b"ai", &chunk(spans), Tick(1), START + 1);
}

pub(super) fn call(trace: u64, span: u64) -> SpanRecord {
    SpanRecord::new(trace, span)
        .with("gen_ai.operation.name", "chat")
        .with("gen_ai.provider.name", "openai")
        .with("gen_ai.request.model", "gpt-4o")
        .with("gen_ai.usage.input_tokens", 10)
        .with("gen_ai.usage.output_tokens", 20)
}

/// One data point, as far as tests look at it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Read {
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) count: i64,
    /// Of a sum, its value where that is no whole number.
    pub(super) sum: f64,
    pub(super) buckets: Vec<i64>,
    pub(super) start: i64,
    pub(super) time: i64,
    pub(super) exemplars: usize,
    pub(super) temporality: String,
}

fn spelled(encoded: &[u8]) -> String {
    let number = int_of(encoded).map(|number| number.to_string());
    text_of(encoded).map(str::to_owned).or(number).unwrap_or_else(|| format!("{encoded:?}"))
}

fn point(encoded: &[u8], temporality: &str) -> Read {
    let field = |key: &str| MapView::new(encoded).get(key.as_bytes()).unwrap_or_default();
    let number = |key: &str| int_of(field(key)).unwrap_or(-1);
    let attributes = MapView::new(field("attributes"));
    let pair = |entry: crate::codec::msgpack::Entry<'_>| {
        (String::from_utf8(entry.key.to_vec()).unwrap(), spelled(entry.value))
    };
    let sum = [field("sum"), field("as_double")].concat();
    let sum = match crate::codec::msgpack::Reader::new(&sum).token() {
        Ok(crate::codec::msgpack::Token::Float(sum)) => sum,
        _ => -1.0,
    };
    assert_eq!(encoded.len(), crate::codec::msgpack::Reader::new(encoded).skip().unwrap().len());
    Read {
        attributes: attributes.map(pair).collect(),
        count: number("count").max(number("as_int")),
        sum,
        buckets: elements(field("bucket_counts")).map(|count| int_of(count).unwrap()).collect(),
        start: number("start_time_unix_nano"),
        time: number("time_unix_nano"),
        exemplars: elements(field("exemplars")).count(),
        temporality: temporality.to_owned(),
    }
}

/// The data points by metric name.
pub(super) fn read(batches: &[Emission]) -> BTreeMap<String, Vec<Read>> {
    let mut metrics: BTreeMap<String, Vec<Read>> = BTreeMap::new();
    for batch in batches {
        assert_eq!(batch.records, Events::new(&batch.events).count());
        for event in Events::new(&batch.events) {
            let event = event.unwrap();
            let telemetry = event.telemetry().unwrap();
            assert_eq!(telemetry.signal, Some(Signal::Metrics));
            assert_eq!(telemetry.position, Some(Position { run: 7, after: 2 }));
            let body = MapView::new(event.body);
            let name = text_of(body.get(b"name").unwrap()).unwrap();
            let kinds: [&[u8]; 4] = [b"sum", b"histogram", b"exponential_histogram", b"gauge"];
            let data = MapView::new(kinds.iter().find_map(|kind| body.get(kind)).unwrap());
            let temporality =
                data.get(b"aggregation_temporality").and_then(text_of).unwrap_or_default();
            let points = elements(data.get(b"data_points").unwrap());
            metrics
                .entry(name.to_owned())
                .or_default()
                .extend(points.map(|encoded| point(encoded, temporality)));
        }
    }
    metrics
}

pub(super) fn collect(aggregator: &mut Aggregator, seconds: u64) -> BTreeMap<String, Vec<Read>> {
    let batches = aggregator.take(false, Tick(seconds * SECOND), START + seconds * SECOND);
    read(&batches)
}

pub(super) const COUNT: &str = "gen_ai.client.operation.count";
pub(super) const DURATION: &str = "gen_ai.client.operation.duration";
pub(super) const USAGE: &str = "gen_ai.client.token.usage";
const LATENCY: &str = "fluentbit.ai.latency";

/// Scenario: spans of two models whose latency was split, in part or not at all. Guarantees: each part is measured
/// under its name and the model, and of spans that say nothing there is nothing.
#[test]
fn parts_of_the_latency_are_measured_by_model() {
    for histogram in [HistogramForm::Explicit, HistogramForm::Exponential] {
        let mut aggregator = aggregator(MetricsConfig { histogram, ..config() });
        feed(&mut aggregator, &[call(1, 1)]);
        assert_eq!(collect(&mut aggregator, 10).get(LATENCY), None);
        let other = call(2, 2).with("gen_ai.response.model", "gpt-4o-2026");
        feed(
            &mut aggregator,
            &[
                call(1, 3).with("fluentbit.ai.latency.client", 0.5),
                call(1, 4)
                    .with("fluentbit.ai.latency.client", 1.0)
                    .with("fluentbit.ai.latency.decode", 2.0)
                    .with("fluentbit.ai.latency.other", 2.0),
                other.with("fluentbit.ai.latency.queue", 0.25),
            ],
        );
        let mut metrics = collect(&mut aggregator, 20);
        let mut points: Vec<(String, bool, i64, f64)> = metrics
            .remove(LATENCY)
            .unwrap()
            .into_iter()
            .map(|point| {
                assert_eq!(point.attributes["gen_ai.request.model"], "gpt-4o");
                let part = point.attributes["fluentbit.ai.latency.part"].clone();
                let is_other = point.attributes.contains_key("gen_ai.response.model");
                (part, is_other, point.count, point.sum)
            })
            .collect();
        points.sort_by(|left, right| left.0.cmp(&right.0));
        let expected =
            [("client", false, 2, 1.5), ("decode", false, 1, 2.0), ("queue", true, 1, 0.25)];
        assert_eq!(
            points,
            expected.map(|(part, other, count, sum)| (part.to_owned(), other, count, sum))
        );
    }
}

/// Scenario: a client and a gateway with traces of their own for one call, and another call that has the
/// same response id, later. Guarantees: the tokens of each call count once, whichever span comes first.
#[test]
fn one_call_in_two_traces_counts_once() {
    let of = |trace: u64, from: u64, to: u64| {
        call(trace, trace).times(from, to).with("gen_ai.response.id", "chatcmpl-7")
    };
    let spans = [of(1, 100, 200), of(2, 120, 180), of(3, 300, 400)];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut aggregator = aggregator(config());
        for index in order {
            feed(&mut aggregator, &[spans[index].clone()]);
        }
        let tally = aggregator.tally();
        assert_eq!((tally.measured, tally.duplicate_calls), (3, 1), "{order:?}");
        let usage = &collect(&mut aggregator, 10)[USAGE];
        let sums: Vec<f64> = usage.iter().map(|point| point.sum).collect();
        assert_eq!(sums.iter().sum::<f64>(), 60.0, "{order:?}");
    }
    // Other tokens are another call's.
    let mut aggregator = aggregator(config());
    let other = of(4, 120, 180).with("gen_ai.usage.output_tokens", 21);
    feed(&mut aggregator, &[spans[0].clone(), other]);
    assert_eq!(aggregator.tally().duplicate_calls, 0);
}

#[test]
fn an_operation_becomes_three_metrics() {
    let mut aggregator = aggregator(config());
    let span = call(1, 1)
        .times(1000, 1500)
        .with("gen_ai.response.model", "gpt-4o-2026")
        .with("server.address", "api.example")
        .with("server.port", 443)
        .with("tenant", "acme");
    feed(&mut aggregator, &[span]);
    assert!(collect(&mut aggregator, 9).is_empty());
    let metrics = collect(&mut aggregator, 10);
    let duration = &metrics[DURATION][0];
    let pairs: Vec<(&str, &str)> =
        duration.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(
        pairs,
        [
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.provider.name", "openai"),
            ("gen_ai.request.model", "gpt-4o"),
            ("gen_ai.response.model", "gpt-4o-2026"),
            ("server.address", "api.example"),
            ("server.port", "443"),
            ("service.name", "shop"),
            ("tenant", "acme"),
        ]
    );
    assert_eq!((duration.count, duration.sum, duration.exemplars), (1, 0.5, 1));
    assert_eq!(duration.buckets, [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!((duration.start, duration.time), (1_000_000_000_000, 1_010_000_000_000));
    assert_eq!((metrics[COUNT][0].count, &*metrics[COUNT][0].temporality), (1, "delta"));
    let sums: BTreeMap<&str, f64> = metrics[USAGE]
        .iter()
        .map(|point| (point.attributes["gen_ai.token.type"].as_str(), point.sum))
        .collect();
    assert_eq!(sums, BTreeMap::from([("input", 10.0), ("output", 20.0)]));
    assert!(collect(&mut aggregator, 20).is_empty(), "nothing new");
    assert_eq!((aggregator.tally().input_tokens, aggregator.tally().output_tokens), (10, 20));
}

#[test]
fn older_names_and_errors() {
    let mut aggregator = aggregator(config());
    let old = SpanRecord::new(1, 1)
        .with("gen_ai.operation.name", "chat")
        .with("gen_ai.system", "openai")
        .with("gen_ai.usage.prompt_tokens", 3)
        .with("gen_ai.usage.completion_tokens", 4);
    let both = call(2, 1).with("gen_ai.usage.prompt_tokens", 99).error();
    let typed = call(3, 1).error().with("error.type", "timeout");
    feed(&mut aggregator, &[old, both, typed]);
    let metrics = collect(&mut aggregator, 10);
    let errors: Vec<Option<&str>> = metrics[COUNT]
        .iter()
        .map(|point| point.attributes.get("error.type").map(String::as_str))
        .collect();
    for error in [None, Some("_OTHER"), Some("timeout")] {
        assert!(errors.contains(&error), "{errors:?}");
    }
    assert!(metrics[COUNT].iter().all(|p| p.attributes["gen_ai.provider.name"] == "openai"));
    assert!(metrics[USAGE].iter().all(|p| !p.attributes.contains_key("error.type")));
    assert_eq!(aggregator.tally().input_tokens, 3 + 10 + 10);
}

#[test]
fn tokens_are_those_of_model_calls_and_count_once() {
    let agent = SpanRecord::new(1, 1)
        .with("gen_ai.operation.name", "invoke_agent")
        .with("gen_ai.usage.input_tokens", 1000);
    let gateway = call(1, 2).parent(1);
    let between = SpanRecord::new(1, 3).parent(2);
    let client = call(1, 4).parent(3);
    let spans = [agent, gateway, between, client];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
        for one_by_one in [false, true] {
            let mut aggregator = aggregator(config());
            let spans: Vec<SpanRecord> = order.map(|index: usize| spans[index].clone()).into();
            let step = if one_by_one { 1 } else { 4 };
            spans.chunks(step).for_each(|spans| feed(&mut aggregator, spans));
            let metrics = collect(&mut aggregator, 10);
            let tokens: f64 = metrics[USAGE].iter().map(|point| point.sum).sum();
            assert_eq!(tokens, 30.0, "{order:?}");
            assert_eq!(metrics[COUNT].iter().map(|point| point.count).sum::<i64>(), 3);
            assert_eq!(aggregator.tally().duplicate_calls, 1);
            assert_eq!(aggregator.tally().measured, 3);
        }
    }
}

#[test]
fn a_call_that_turns_out_to_be_an_outer_one_is_taken_back_later() {
    let mut aggregator = aggregator(config());
    feed(&mut aggregator, &[call(1, 2)]);
    assert_eq!(collect(&mut aggregator, 10)[USAGE].len(), 2);
    feed(&mut aggregator, &[call(1, 4).parent(2)]);
    let metrics = collect(&mut aggregator, 20);
    assert!(!metrics.contains_key(USAGE), "the debt and the new call cancel out");
    assert_eq!(aggregator.tally().input_tokens, 10);
}

#[test]
fn spans_without_ids_and_other_records() {
    let mut aggregator = aggregator(config());
    let mut anonymous = call(1, 1).encode();
    let at = anonymous.windows(4).position(|window| window == b"0af7").unwrap();
    anonymous[at] = b'x';
    let ours = call(9, 9).from(7, 2).encode();
    let log = [0x92, 0x92, 0x05, 0x80, 0x81, 0xa1, b'k', 0x01];
    let chunk = [&anonymous[..], &log, &ours, &anonymous, &[0xc1]].concat();
    aggregator.on_chunk(b"ai", &chunk, Tick(1), START);
    assert_eq!((aggregator.tally().measured, aggregator.tally().input_tokens), (2, 20));
    let metrics = collect(&mut aggregator, 10);
    assert_eq!(metrics[DURATION][0].exemplars, 0);
}

#[test]
fn sampled_spans_stand_for_several() {
    let mut aggregator = aggregator(config());
    let (mut count, mut tokens) = (0, 0.0);
    for round in 1..=300 {
        feed(&mut aggregator, &[call(round, 1).state("ot=th:e666")]);
        let metrics = collect(&mut aggregator, round * 10);
        count += metrics[COUNT][0].count;
        assert_eq!(metrics[DURATION][0].buckets.iter().sum::<i64>(), metrics[DURATION][0].count);
        tokens += metrics[USAGE].iter().map(|point| point.sum).sum::<f64>();
    }
    assert_eq!(count, 3000);
    assert!((tokens - 300.0 * 30.0 * 9.999_389_685_688_13).abs() < 1e-6);
    assert_eq!(aggregator.tally().unknown_weights, 0);
    // One whose weight is not known counts as one, and is marked.
    feed(&mut aggregator, &[call(999, 1).state("ot=th:unknown")]);
    assert_eq!(collect(&mut aggregator, 4000)[COUNT][0].count, 1);
    assert_eq!(aggregator.tally().unknown_weights, 1);
}

#[test]
fn each_resource_and_tag_has_its_own_metrics() {
    let mut aggregator = aggregator(config());
    feed(&mut aggregator, &[call(1, 1), call(2, 1).service("other"), call(3, 1)]);
    aggregator.on_chunk(b"second", &chunk(&[call(4, 1)]), Tick(1), START);
    let batches = aggregator.take(false, Tick(10 * SECOND), START + 10 * SECOND);
    let mut tags: Vec<&[u8]> = batches.iter().map(|batch| &batch.tag[..]).collect();
    tags.sort();
    assert_eq!(tags, [&b"ai"[..], b"ai", b"second"]);
    assert_eq!(read(&batches)[COUNT].iter().map(|point| point.count).sum::<i64>(), 4);
    let mut named = Aggregator::new(
        MetricsConfig { tag: Some(b"metrics".to_vec()), ..config() },
        Tick(0),
        START,
    );
    feed(&mut named, &[call(1, 1)]);
    named.on_chunk(b"second", &chunk(&[call(4, 1)]), Tick(1), START);
    let batches = named.take(true, Tick(1), START);
    assert_eq!(batches.iter().map(|batch| &batch.tag[..]).collect::<Vec<_>>(), [b"metrics"]);
}

/// Scenario: more tenants than there is room for, and services that come later. Guarantees: what has no room
/// goes to the overflow series of its service, and where there is no room for that to one without service;
/// after an export those that are silent make room, and begin anew when they come back.
#[test]
fn too_many_series_lose_their_names_only() {
    let temporality = Temporality::Cumulative;
    let mut aggregator =
        aggregator(MetricsConfig { max_series: 40, temporality, prices: None, ..config() });
    for trace in 1..=13 {
        let tenant = format!("tenant{trace}");
        feed(&mut aggregator, &[call(trace, 1).with("tenant", tenant.as_str())]);
    }
    assert_eq!((aggregator.tally().series, aggregator.tally().overflow), (44, 3));
    for service in ["a", "b", "c"] {
        feed(&mut aggregator, &[call(20, 1).service(service)]);
    }
    assert_eq!((aggregator.tally().series, aggregator.tally().overflow), (48, 6));
    let metrics = collect(&mut aggregator, 10);
    assert_eq!(metrics[COUNT].iter().map(|point| point.count).sum::<i64>(), 16);
    let overflow = metrics[COUNT]
        .iter()
        .filter(|point| point.attributes.contains_key("otel.metric.overflow"))
        .map(|point| point.count);
    assert_eq!(overflow.collect::<Vec<_>>(), [3, 3]);
    let at = |aggregator: &mut Aggregator, seconds: u64, span: SpanRecord| {
        let nanos = seconds * SECOND;
        aggregator.on_chunk(b"ai", &chunk(&[span]), Tick(nanos), START + nanos);
    };
    at(&mut aggregator, 11, call(30, 1).service("a"));
    assert_eq!((aggregator.tally().evicted, aggregator.tally().overflow), (44, 6));
    at(&mut aggregator, 12, call(31, 1).with("tenant", "tenant1"));
    let metrics = collect(&mut aggregator, 20);
    let again =
        metrics[COUNT].iter().find(|point| point.attributes.contains_key("tenant")).unwrap();
    assert_eq!((again.count, again.start), (1, 1_012_000_000_000));
}

#[test]
fn cumulative_points_go_on_and_idle_series_end() {
    let mut aggregator =
        aggregator(MetricsConfig { temporality: Temporality::Cumulative, ..config() });
    feed(&mut aggregator, &[call(1, 1)]);
    let first = collect(&mut aggregator, 10);
    feed(&mut aggregator, &[call(2, 1)]);
    let second = collect(&mut aggregator, 20);
    assert_eq!((first[COUNT][0].count, second[COUNT][0].count), (1, 2));
    assert_eq!(first[DURATION][0].start, second[DURATION][0].start);
    assert_eq!((second[USAGE][0].count, &*second[COUNT][0].temporality), (2, "cumulative"));
    assert_eq!(collect(&mut aggregator, 301)[COUNT][0].count, 2);
    assert!(collect(&mut aggregator, 400).is_empty());
    assert_eq!(aggregator.tally().series, 0);
}

/// Guarantees: a series that was forgotten and comes back begins anew, from nothing and after its last
/// point, even if the wall clock was set back; and no point begins after its own time.
#[test]
fn a_cumulative_series_that_comes_back_begins_anew() {
    for set_back in [0, 500 * SECOND] {
        let mut aggregator =
            aggregator(MetricsConfig { temporality: Temporality::Cumulative, ..config() });
        feed(&mut aggregator, &[call(1, 1), call(2, 1)]);
        let before = collect(&mut aggregator, 10)[COUNT][0].clone();
        assert_eq!((before.count, before.start), (2, 1_000_000_000_001));
        assert_eq!(collect(&mut aggregator, 301)[COUNT][0].start, before.start);
        assert!(collect(&mut aggregator, 310).is_empty());
        let at = 320 * SECOND;
        aggregator.on_chunk(b"ai", &chunk(&[call(3, 1)]), Tick(at), START + at - set_back);
        let batches = aggregator.take(false, Tick(at), START + at - set_back);
        for points in read(&batches).values() {
            for point in points {
                // An amount has no count.
                assert!(point.count == 1 || point.sum > 0.0, "{point:?}");
                assert!(point.start >= 1_301_000_000_000, "{point:?}");
                assert!(point.start <= point.time, "{point:?}");
            }
        }
    }
}

/// Scenario: spans that another filter releases while an input drains, so that they come after the time of the
/// export was taken. Guarantees: no point is older than its series, which keeps its start.
#[test]
fn a_series_may_begin_after_the_time_of_an_export_was_taken() {
    let mut aggregator =
        aggregator(MetricsConfig { temporality: Temporality::Cumulative, ..config() });
    aggregator.on_chunk(b"ai", &chunk(&[call(1, 1)]), Tick(10 * SECOND), START + 10 * SECOND + 5);
    let first = collect(&mut aggregator, 10)[COUNT][0].clone();
    let second = collect(&mut aggregator, 20)[COUNT][0].clone();
    assert_eq!((first.start, first.time), (1_010_000_000_005, 1_010_000_000_005));
    assert_eq!((second.start, second.time), (first.start, 1_020_000_000_000));
}

/// The host stops in several steps, and asks for everything in each.
#[test]
fn a_stop_does_not_repeat_cumulative_points() {
    let mut aggregator =
        aggregator(MetricsConfig { temporality: Temporality::Cumulative, ..config() });
    assert_eq!(aggregator.take(true, Tick(1), START + 1), []);
    feed(&mut aggregator, &[call(1, 1)]);
    assert_eq!(read(&aggregator.take(true, Tick(2), START + 2))[COUNT][0].count, 1);
    assert_eq!(aggregator.take(true, Tick(3), START + 3), []);
    let over = 11 * SECOND;
    assert_eq!(aggregator.take(true, Tick(over), START + over), [], "nor if an interval is over");
    feed(&mut aggregator, &[call(2, 1)]);
    assert_eq!(read(&aggregator.take(true, Tick(over), START + over))[COUNT][0].count, 2);
    assert_eq!(collect(&mut aggregator, 30)[COUNT][0].count, 2, "an interval says it again");
}

#[test]
fn exponential_histograms() {
    let histogram = HistogramForm::Exponential;
    let mut aggregator = aggregator(MetricsConfig { histogram, ..config() });
    feed(&mut aggregator, &[call(1, 1).times(1000, 1500), call(2, 1).times(1000, 3000)]);
    let metrics = collect(&mut aggregator, 10);
    assert_eq!((metrics[DURATION][0].count, metrics[DURATION][0].sum), (2, 2.5));
}

#[test]
fn the_last_interval_is_emitted_and_what_was_refused_comes_again() {
    let mut aggregator = aggregator(config());
    feed(&mut aggregator, &[call(1, 1)]);
    let batches = aggregator.take(true, Tick(2), START + 2);
    assert_eq!(read(&batches)[COUNT][0].count, 1);
    for batch in batches.clone() {
        aggregator.put_back(batch);
    }
    assert_eq!(aggregator.take(false, Tick(3), START + 3), batches);
    assert_eq!(aggregator.take(true, Tick(4), START + 4), []);
}

#[test]
fn any_bytes_are_survived() {
    let mut aggregator = aggregator(config());
    let whole = call(1, 1).encode();
    for length in 0..whole.len() {
        aggregator.on_chunk(b"ai", &whole[..length], Tick(1), START);
        let mut broken = whole.clone();
        broken[length] = 0xdf;
        aggregator.on_chunk(b"ai", &broken, Tick(1), START);
    }
    let _batches = aggregator.take(true, Tick(2), START + 2);
}
