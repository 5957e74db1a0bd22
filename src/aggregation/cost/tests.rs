//! The cost of calls as the aggregator measures it.

use std::collections::BTreeMap;

use super::*;
use crate::aggregation::tests::{
    Read, SECOND, START, aggregator, call, collect, config, feed, read,
};
use crate::aggregation::{Aggregator, MetricsConfig, Temporality};
use crate::clock::Tick;
use crate::codec::records::testing::{SpanRecord, chunk};
use crate::model::Emission;

const COST: &str = "fluentbit.ai.cost";
const CALLS: &str = "fluentbit.ai.cost.calls";
/// Picodollars in a dollar.
const DOLLAR: i128 = 1_000_000_000_000;

const PRICES: &str = "provider,model,tier,above,input,output,cache_read,cache_write,cache_write_1h\n\
                      openai,gpt-4o,,,2.5,10,1.25,,\n\
                      openai,gpt-4o,batch,,1.25,5,,,\n\
                      openai,gpt-4o,,200000,5,20,2.5,,\n\
                      anthropic,claude-x,,,3,15,0.3,3.75,6\n\
                      openai,tiny,,,0.000001,0.000003,,,\n";

fn priced() -> MetricsConfig {
    let prices = Some(Arc::new(PriceTable::read(PRICES).unwrap()));
    MetricsConfig { prices, dimensions: Vec::new(), ..config() }
}

/// A call without tokens.
fn bare(provider: &str, model: &str) -> SpanRecord {
    SpanRecord::new(1, 1)
        .with("gen_ai.operation.name", "chat")
        .with("gen_ai.provider.name", provider)
        .with("gen_ai.request.model", model)
}

fn tokens(span: SpanRecord, input: u64, output: u64) -> SpanRecord {
    let of = |tokens: u64| i64::try_from(tokens).unwrap();
    span.with("gen_ai.usage.input_tokens", of(input)).with("gen_ai.usage.output_tokens", of(output))
}

/// Picodollars and calls by source, of all series.
fn by_source(metrics: &BTreeMap<String, Vec<Read>>) -> BTreeMap<String, (i128, i64)> {
    let mut found: BTreeMap<String, (i128, i64)> = BTreeMap::new();
    for (name, points) in metrics {
        for point in points.iter().filter(|_| name == COST || name == CALLS) {
            let source = point.attributes["fluentbit.ai.cost.source"].clone();
            let (cost, calls) = found.entry(source).or_default();
            match name.as_str() {
                COST => *cost += i128::from(from_usd(point.sum).unwrap()),
                _ => *calls += point.count,
            }
        }
    }
    found
}

/// What one span says, as the source, the picodollars and the calls.
fn one(span: SpanRecord) -> (String, i128, i64) {
    let mut aggregator = aggregator(priced());
    feed(&mut aggregator, &[span]);
    let mut found = by_source(&collect(&mut aggregator, 10));
    let (source, (cost, calls)) = found.pop_first().unwrap();
    assert!(found.is_empty(), "{found:?}");
    (source, cost, calls)
}

#[test]
fn a_call_costs_what_its_tokens_cost() {
    let gpt = || tokens(bare("openai", "gpt-4o"), 1000, 100);
    let claude = |input| tokens(bare("anthropic", "claude-x-20260101"), input, 0);
    let micro = |dollars: i128| dollars * 1_000_000;
    for (span, source, cost) in [
        (gpt(), "computed", micro(2500 + 1000)),
        (
            gpt().with("gen_ai.usage.cache_read.input_tokens", 400),
            "computed",
            micro(1500 + 500 + 1000),
        ),
        (gpt().with("openai.response.service_tier", "default"), "computed", micro(3500)),
        (gpt().with("openai.request.service_tier", "batch"), "computed", micro(1750)),
        (
            gpt()
                .with("openai.response.service_tier", "batch")
                .with("openai.request.service_tier", "auto"),
            "computed",
            micro(1750),
        ),
        (gpt().with("openai.response.service_tier", "priority"), "unpriced", 0),
        (tokens(bare("openai", "gpt-4o"), 300_000, 0), "computed", micro(1_500_000)),
        (
            claude(1000)
                .with("gen_ai.usage.cache_read.input_tokens", 500)
                .with("gen_ai.usage.cache_creation.input_tokens", 300),
            "computed",
            micro(600 + 150 + 1125),
        ),
        (
            claude(1000)
                .with("gen_ai.usage.cache_write.input_tokens", 300)
                .with("gen_ai.usage.cache_write_1h_input_tokens", 200),
            "computed",
            micro(2100 + 375 + 1200),
        ),
        (tokens(bare("openai", "nobody"), 1000, 100), "unpriced", 0),
        (
            tokens(bare("openai", "ours"), 1000, 100).with("gen_ai.response.model", "gpt-4o"),
            "computed",
            micro(3500),
        ),
    ] {
        assert_eq!(one(span), (source.to_owned(), cost, 1));
    }
}

#[test]
fn a_call_costs_what_it_reports() {
    let gpt = || tokens(bare("openai", "gpt-4o"), 1000, 100);
    let nobody = || tokens(bare("openai", "nobody"), 1000, 100);
    let micro = |dollars: i128| dollars * 1_000_000;
    for (span, source, cost) in [
        (gpt().with("gen_ai.usage.cost", 0.25), "reported", DOLLAR / 4),
        (nobody().with("gen_ai.cost.total_cost", 0.000_225), "reported", micro(225)),
        (nobody().with("llm.cost.total", 2), "reported", 2 * DOLLAR),
        (nobody().with("operation.cost", "0.0123"), "reported", micro(12_300)),
        (nobody().with("mlflow.llm.cost", r#"{"total_cost": 0.3}"#), "reported", micro(300_000)),
        (
            nobody().with("langfuse.observation.cost_details", r#"{"input": 0.1, "total": 0.5}"#),
            "reported",
            micro(500_000),
        ),
        // What is no report.
        (nobody().with("gen_ai.usage.cost", 0.0), "unpriced", 0),
        (gpt().with("gen_ai.cost.total_cost", 0.0), "computed", micro(3500)),
        (gpt().with("gen_ai.usage.cost", -1.0), "computed", micro(3500)),
        (gpt().with("gen_ai.usage.cost", "much"), "computed", micro(3500)),
        (
            gpt().with("gen_ai.usage.cost.amount", 1.0).with("gen_ai.usage.cost.currency", "EUR"),
            "computed",
            micro(3500),
        ),
        (
            gpt().with("gen_ai.usage.cost.amount", 1.0).with("gen_ai.usage.cost.currency", "USD"),
            "reported",
            DOLLAR,
        ),
        (gpt().with("mlflow.llm.cost", "{"), "computed", micro(3500)),
    ] {
        assert_eq!(one(span), (source.to_owned(), cost, 1));
    }
}

#[test]
fn no_call_costs_anything_where_none_is_asked_for() {
    let mut off = aggregator(MetricsConfig { prices: None, ..priced() });
    feed(&mut off, &[call(1, 1).with("gen_ai.usage.cost", 1.0)]);
    assert_eq!(off.tally().cost, CostTally::default());
    let metrics = collect(&mut off, 10);
    assert!(!metrics.contains_key(COST) && !metrics.contains_key(CALLS));
    // Nor does what is no call to a model.
    let mut agents = aggregator(priced());
    let agent = SpanRecord::new(1, 1)
        .with("gen_ai.operation.name", "invoke_agent")
        .with("gen_ai.usage.input_tokens", 1000)
        .with("gen_ai.usage.cost", 1.0);
    feed(&mut agents, &[agent]);
    assert!(by_source(&collect(&mut agents, 10)).is_empty());
}

#[test]
fn the_cost_of_an_outer_span_is_taken_back() {
    let gateway = call(1, 2).with("gen_ai.usage.cost", 0.5);
    let client = call(1, 4).parent(2);
    for order in [[&gateway, &client], [&client, &gateway]] {
        let mut aggregator = aggregator(priced());
        for span in order {
            feed(&mut aggregator, std::slice::from_ref(span));
        }
        let found = by_source(&collect(&mut aggregator, 10));
        let computed = 10 * 2_500_000 + 20 * 10_000_000;
        assert_eq!(found, BTreeMap::from([("computed".to_owned(), (computed, 1))]));
        assert_eq!(aggregator.tally().cost.calls[1], 1);
    }
}

#[test]
fn other_prices_hold_for_the_calls_to_come() {
    let mut aggregator =
        aggregator(MetricsConfig { temporality: Temporality::Cumulative, ..priced() });
    feed(&mut aggregator, &[call(1, 1), call(2, 1)]);
    let dearer = PRICES.replace("gpt-4o,,,2.5,10", "gpt-4o,,,25,100");
    aggregator.replace_prices(PriceTable::read(&dearer).unwrap());
    feed(&mut aggregator, &[call(3, 1)]);
    let cheap = 10 * 2_500_000 + 20 * 10_000_000;
    let computed = |cost, calls| BTreeMap::from([("computed".to_owned(), (cost, calls))]);
    assert_eq!(by_source(&collect(&mut aggregator, 10)), computed(2 * cheap + 10 * cheap, 3));
    // What is taken back is what was counted.
    feed(&mut aggregator, &[call(1, 2).parent(1), call(2, 2).parent(1)]);
    assert_eq!(by_source(&collect(&mut aggregator, 20)), computed(30 * cheap, 3));
}

#[test]
fn calls_in_an_overflow_series_have_the_prices_of_their_models() {
    let mut aggregator = aggregator(MetricsConfig { max_series: 2, ..priced() });
    let spans = [
        tokens(bare("openai", "first"), 1, 1),
        tokens(bare("openai", "gpt-4o"), 1000, 0),
        tokens(bare("anthropic", "claude-x"), 1000, 0),
        tokens(bare("openai", "nobody"), 1000, 0),
    ];
    for (number, mut span) in (1..).zip(spans) {
        span.trace = number;
        feed(&mut aggregator, &[span]);
    }
    let found = by_source(&collect(&mut aggregator, 10));
    let computed = 1000 * (2_500_000 + 3_000_000);
    let expected = [("computed", (computed, 2)), ("unpriced", (0, 2))];
    assert_eq!(found, BTreeMap::from(expected.map(|(name, of)| (name.to_owned(), of))));
}

#[test]
fn sampled_calls_stand_for_several() {
    let mut aggregator = aggregator(priced());
    let mut cost = 0;
    for round in 1..=300 {
        feed(&mut aggregator, &[call(round, 1).state("ot=th:e666")]);
        cost += by_source(&collect(&mut aggregator, round * 10))["computed"].0;
    }
    let one = f64::from(10 * 2_500_000 + 20 * 10_000_000);
    let expected = 300.0 * one * 9.999_389_685_688_13;
    assert!((cost as f64 - expected).abs() < 300.0, "{cost} {expected}");
    assert_eq!(aggregator.tally().cost.calls, [0, 3000, 0]);
}

/// A small generator of numbers: SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

/// What the calls of the generated traffic cost in truth.
#[derive(Debug, Default, PartialEq, Eq)]
struct Truth(BTreeMap<String, (i128, i64)>);

/// One call to a model as its innermost span tells of it, and what it costs.
fn generated_call(
    numbers: &mut Numbers,
    (trace, span): (u64, u64),
    truth: &mut Truth,
) -> SpanRecord {
    let (input, output) = (numbers.next(5000), numbers.next(2000));
    let read = if numbers.next(3) == 0 { numbers.next(input + 1) } else { 0 };
    // Input, output, cache read, in picodollars a token.
    let (provider, model, rates) = match numbers.next(4) {
        0 => ("openai", "gpt-4o-2024-08-06", Some([2_500_000, 10_000_000, 1_250_000])),
        1 => ("anthropic", "claude-x", Some([3_000_000, 15_000_000, 300_000])),
        2 => ("openai", "tiny", Some([1, 3, 1])),
        _ => ("openai", "nobody", None),
    };
    let mut made = tokens(bare(provider, model), input, output);
    (made.trace, made.span) = (trace, span);
    if read > 0 {
        made = made.with("gen_ai.usage.cache_read.input_tokens", i64::try_from(read).unwrap());
    }
    let reports = numbers.next(5) == 0;
    let (source, cost) = match rates {
        _ if reports => {
            let microdollars = numbers.next(90_000) + 1;
            made = made.with("gen_ai.usage.cost", microdollars as f64 / 1e6);
            ("reported", i128::from(microdollars) * 1_000_000)
        }
        Some(rates) => {
            let [input, output, read] = [input - read, output, read].map(i128::from);
            ("computed", input * rates[0] + output * rates[1] + read * rates[2])
        }
        None => ("unpriced", 0),
    };
    let (total, calls) = truth.0.entry(source.to_owned()).or_default();
    *total += cost;
    *calls += 1;
    made
}

/// The spans of one trace: an agent, which repeats the sum of its calls, and calls, some of them through a gateway that
/// tells of them too.
fn generated_trace(numbers: &mut Numbers, trace: u64, truth: &mut Truth) -> Vec<SpanRecord> {
    let agent = SpanRecord::new(trace, 1)
        .with("gen_ai.operation.name", "invoke_agent")
        .with("gen_ai.usage.input_tokens", 100_000)
        .with("gen_ai.usage.cost", 7.0);
    let mut spans = vec![agent];
    for number in 0..=numbers.next(4) {
        let (inner, outer) = (10 + number * 2, 11 + number * 2);
        let call = generated_call(numbers, (trace, inner), truth);
        if numbers.next(2) == 0 {
            let mut gateway = call.clone().parent(1).with("gen_ai.cost.total_cost", 0.0001);
            gateway.span = outer;
            spans.push(gateway);
            spans.push(call.parent(outer));
        } else {
            spans.push(call.parent(1));
        }
    }
    spans
}

/// Scenario: traces of agents with calls that gateways tell of too, that report their cost or do not, whose models are
/// known or not, with caches; spans come shuffled, in many chunks, and some are late. Guarantees: what is emitted is what
/// the calls cost, to the picodollar, and how many they are.
#[test]
fn the_cost_of_generated_traffic_is_exact() {
    for temporality in [Temporality::Delta, Temporality::Cumulative] {
        let mut numbers = Numbers(14);
        let mut truth = Truth::default();
        let config = MetricsConfig { temporality, max_traces: 100_000, ..priced() };
        let mut aggregator = Aggregator::new(config, Tick(0), START);
        let (mut emitted, mut late) = (Vec::new(), Vec::new());
        for round in 1..=40_u64 {
            let mut spans = std::mem::take(&mut late);
            for trace in 0..50 {
                spans.extend(generated_trace(&mut numbers, round * 1000 + trace, &mut truth));
            }
            for index in (1..spans.len()).rev() {
                let other = numbers.next(index as u64 + 1);
                spans.swap(index, usize::try_from(other).unwrap());
            }
            if round < 40 {
                late = spans.split_off(spans.len() * 9 / 10);
            }
            let now = Tick(round * SECOND);
            for spans in spans.chunks(37) {
                aggregator.on_chunk(b"ai", &chunk(spans), now, START + round * SECOND);
            }
            let batches: Vec<Emission> = aggregator.take(true, now, START + round * SECOND);
            if temporality == Temporality::Cumulative {
                emitted.clear();
            }
            emitted.extend(batches);
        }
        let found = by_source(&read(&emitted));
        assert_eq!(Truth(found), truth, "{temporality:?}");
        let tally = aggregator.tally().cost;
        assert_eq!(i64::try_from(tally.calls[2]).unwrap(), truth.0["unpriced"].1);
        let computed = truth.0["computed"].0 / 1_000_000;
        assert_eq!(i128::from(tally.microdollars[1]), computed);
    }
}
