//! Totals of a generated workload: what is counted against what was called.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::tests::{COUNT, Read, SECOND, START, USAGE, config, read};
use super::*;
use crate::codec::records::testing::{SpanRecord, chunk};
use crate::model::TraceId;
use crate::sampling::{Randomness, Threshold, adjusted_count};

const TRACES: u64 = 100_000;
const SPANS_PER_CHUNK: usize = 100;
/// How far spans of one trace come apart, in spans.
const DISORDER: u64 = 400;
const CACHE_READ: &str = "gen_ai.client.inference.usage.cache_read.input_tokens";
const REASONING: &str = "gen_ai.client.inference.usage.reasoning.output_tokens";
const COST: &str = "fluentbit.ai.cost";
/// Per million tokens: input 2.5, output 10, read from a cache 1.25.
const PRICES: &str = "provider,model,tier,above,input,output,cache_read,cache_write,cache_write_1h\n\
                      openai,gpt-4o,,,2.5,10,1.25,,\n";

/// What models were called with and what they answered, in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Truth {
    input: u64,
    output: u64,
    cache_read: u64,
    reasoning: u64,
    /// Picodollars.
    cost: i128,
}

impl Truth {
    fn add(&mut self, other: &Self) {
        self.input += other.input;
        self.output += other.output;
        self.cache_read += other.cache_read;
        self.reasoning += other.reasoning;
        self.cost += other.cost;
    }
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn happens(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Makes spans, each with the place in the order in which it comes.
struct Workload {
    random: Random,
    made: u64,
    /// Those that are still to come, by their places.
    waiting: BTreeMap<(u64, u64), SpanRecord>,
    truth: Truth,
    /// Traces of gateways, whose clients lost the headers.
    others: u64,
}

fn with_usage(span: SpanRecord, usage: &Truth) -> SpanRecord {
    let number = |tokens: u64| i64::try_from(tokens).unwrap();
    let mut span = span
        .with("gen_ai.usage.input_tokens", number(usage.input))
        .with("gen_ai.usage.output_tokens", number(usage.output));
    if usage.cache_read > 0 {
        span = span.with("gen_ai.usage.cache_read.input_tokens", number(usage.cache_read));
    }
    if usage.reasoning > 0 {
        span = span.with("gen_ai.usage.reasoning.output_tokens", number(usage.reasoning));
    }
    span
}

/// One trace that is being made.
struct Trace {
    id: u64,
    spans: u64,
    /// Milliseconds.
    time: u64,
}

impl Trace {
    fn span(&mut self, parent: u64, operation: &str) -> SpanRecord {
        self.spans += 1;
        SpanRecord::new(self.id, self.spans)
            .parent(parent)
            .times(self.time, self.time + 100)
            .with("gen_ai.operation.name", operation)
    }
}

impl Workload {
    fn push(&mut self, span: SpanRecord) {
        self.made += 1;
        // One in twenty comes much later than the others of its trace.
        let late = if self.random.happens(5) { 20_000 } else { 0 };
        let place = self.made + late + self.random.below(DISORDER);
        self.waiting.insert((place, self.made), span);
    }

    /// Those that come before what is made from now on, or all.
    fn take(&mut self, all: bool) -> Vec<SpanRecord> {
        let later = self.waiting.split_off(&(if all { u64::MAX } else { self.made }, 0));
        std::mem::replace(&mut self.waiting, later).into_values().collect()
    }

    fn usage(&mut self) -> Truth {
        let input = 100 + self.random.below(4000);
        let output = 1 + self.random.below(800);
        let cache_read = if self.random.happens(30) { self.random.below(input) } else { 0 };
        let reasoning = if self.random.happens(20) { self.random.below(output) } else { 0 };
        let parts =
            [(input - cache_read, 2_500_000), (cache_read, 1_250_000), (output, 10_000_000)];
        let cost = parts.iter().map(|(tokens, price)| i128::from(*tokens) * price).sum();
        Truth { input, output, cache_read, reasoning, cost }
    }

    /// A call of a model, as so many spans as tell of it.
    fn call(&mut self, trace: &mut Trace, parent: u64) -> Truth {
        trace.time += 200;
        let of_model = |span: SpanRecord| {
            span.with("gen_ai.provider.name", "openai").with("gen_ai.request.model", "gpt-4o")
        };
        while self.random.happens(10) {
            // It fails, and is tried again.
            let failed = of_model(trace.span(parent, "chat")).error().with("error.type", "429");
            self.push(failed);
            trace.time += 200;
        }
        let usage = self.usage();
        self.truth.add(&usage);
        let mut parent = parent;
        if self.random.happens(30) {
            // A framework's span around the library's.
            let outer = with_usage(of_model(trace.span(parent, "chat")), &usage);
            parent = trace.spans;
            self.push(outer);
            if self.random.happens(30) {
                let span = trace.span(parent, "execute_tool").with("gen_ai.tool.name", "route");
                parent = trace.spans;
                self.push(span);
            }
        }
        let mut inner = with_usage(of_model(trace.span(parent, "chat")), &usage);
        if self.random.happens(40) {
            inner = inner.with("gen_ai.response.time_to_first_chunk", 0.05);
        }
        if self.random.happens(20) {
            // A gateway's span, in a trace of its own.
            let response = format!("chatcmpl-{}-{}", trace.id, trace.spans);
            inner = inner.with("gen_ai.response.id", response.as_str());
            self.others += 1;
            let gateway = SpanRecord::new(TRACES + self.others, 1)
                .times(trace.time + 10, trace.time + 90)
                .with("gen_ai.operation.name", "chat")
                .with("gen_ai.response.id", response.as_str());
            self.push(with_usage(of_model(gateway), &usage));
        }
        self.push(inner);
        usage
    }

    /// An agent, which says what all beneath it used together.
    fn agent(&mut self, trace: &mut Trace, parent: u64, depth: u64) -> Truth {
        let span = trace.span(parent, "invoke_agent").with("gen_ai.agent.name", "planner");
        let own = trace.spans;
        let mut sum = Truth::default();
        for _ in 0..=self.random.below(3) {
            sum.add(&self.call(trace, own));
            if self.random.happens(40) {
                let tool = trace.span(own, "execute_tool").with("gen_ai.tool.name", "search");
                let tool_span = trace.spans;
                self.push(tool);
                if depth < 3 && self.random.happens(50) {
                    sum.add(&self.agent(trace, tool_span, depth + 1));
                }
            }
        }
        self.push(with_usage(span, &sum));
        sum
    }
}

/// The sums of all points of a metric, of one type of tokens or of all.
fn sum(all: &[(String, Vec<Read>)], name: &str, kind: &str) -> f64 {
    let points = all.iter().filter(|(known, _)| known == name).flat_map(|(_, points)| points);
    let is_of = |point: &&Read| {
        kind.is_empty() || point.attributes.get("gen_ai.token.type").is_some_and(|it| it == kind)
    };
    points
        .filter(is_of)
        .map(|point| if point.sum < 0.0 { point.count as f64 } else { point.sum })
        .sum()
}

/// Scenario: a hundred thousand traces of agents that call models, tools and other agents, with retries, caches,
/// streams, frameworks and gateways that tell of the same calls, out of order, some of them late. Guarantees: tokens
/// and cost are those of the calls, each once.
#[test]
fn totals_are_those_of_the_calls() {
    let mut workload = Workload {
        random: Random(20_261_130),
        made: 0,
        waiting: BTreeMap::new(),
        truth: Truth::default(),
        others: 0,
    };
    let prices = Some(Arc::new(PriceTable::read(PRICES).unwrap()));
    let config = MetricsConfig { prices, dimensions: Vec::new(), max_traces: 20_000, ..config() };
    let mut aggregator = Aggregator::new(config, Tick(0), START);
    let mut metrics: Vec<(String, Vec<Read>)> = Vec::new();
    let mut end = (Tick(0), START);
    for id in 1..=TRACES {
        let mut trace = Trace { id, spans: 0, time: 1000 + id * 10 };
        workload.agent(&mut trace, 0, 1);
        // A thousand traces a second.
        let nanos = id * SECOND / 1000;
        end = (Tick(nanos), START + nanos);
        for records in workload.take(id == TRACES).chunks(SPANS_PER_CHUNK) {
            aggregator.on_chunk(b"ai", &chunk(records), end.0, end.1);
        }
        metrics.extend(read(&aggregator.take(false, end.0, end.1)));
    }
    let Workload { made: all, truth, .. } = workload;
    metrics.extend(read(&aggregator.take(true, end.0, end.1)));
    let tally = aggregator.tally();
    println!("{all} spans, {truth:?}, {} duplicates", tally.duplicate_calls);
    assert!(tally.duplicate_calls > TRACES / 4);
    assert_eq!((tally.input_tokens, tally.output_tokens), (truth.input, truth.output));
    let total = |name: &str, kind: &str| sum(&metrics, name, kind);
    assert_eq!(total(USAGE, "input"), truth.input as f64);
    assert_eq!(total(USAGE, "output"), truth.output as f64);
    assert_eq!(total(CACHE_READ, ""), truth.cache_read as f64);
    assert_eq!(total(REASONING, ""), truth.reasoning as f64);
    // What agents and frameworks repeat is what the calls within them say.
    for name in ["missing", "surplus"] {
        assert_eq!(total(&format!("fluentbit.ai.nested_usage.{name}_tokens"), ""), 0.0, "{name}");
    }
    let cost = total(COST, "") * 1e12;
    assert!((cost - truth.cost as f64).abs() < 1e3, "{cost} {}", truth.cost);
}

/// Scenario: a million calls of which samplers upstream kept shares between all and one in a hundred, some of them
/// in two steps. Guarantees: what is counted of those that came is an unbiased estimate of what there were.
#[test]
fn what_was_sampled_before_is_counted_without_bias() {
    const CALLS: u64 = 1_000_000;
    const CLASSES: u64 = 40;
    let weight = adjusted_count;
    let config = MetricsConfig { weight, dimensions: Vec::new(), prices: None, ..config() };
    let mut aggregator = Aggregator::new(config, Tick(0), START);
    let mut random = Random(7);
    let mut truth = vec![0_u64; usize::try_from(CLASSES).unwrap()];
    let share = |class: u64| [1.0, 0.5, 0.1, 0.01][usize::try_from(class % 4).unwrap()];
    let mut records = Vec::new();
    for number in 0..CALLS {
        let class = random.below(CLASSES);
        truth[usize::try_from(class).unwrap()] += 1;
        let trace = random.next();
        let mut id = [0; 16];
        id[8..].copy_from_slice(&trace.to_be_bytes());
        let randomness = Randomness::of_trace(TraceId(id));
        let threshold = Threshold::from_probability(share(class)).unwrap();
        if !threshold.keeps(randomness) {
            continue;
        }
        let mut state = b"ot=th:".to_vec();
        threshold.write(&mut state);
        let state = String::from_utf8(state).unwrap();
        let span = SpanRecord::new(trace, number + 1)
            .with("gen_ai.operation.name", "chat")
            .with("gen_ai.request.model", format!("model-{class}").as_str());
        records.push(span.state(&state));
        if records.len() == SPANS_PER_CHUNK {
            aggregator.on_chunk(b"ai", &chunk(&records), Tick(1), START + 1);
            records.clear();
        }
    }
    aggregator.on_chunk(b"ai", &chunk(&records), Tick(1), START + 1);
    let counted = read(&aggregator.take(true, Tick(SECOND), START + SECOND)).remove(COUNT).unwrap();
    assert_eq!(counted.len(), truth.len());
    let (mut chi_square, mut freedom) = (0.0, 0);
    for (class, there) in (0_u64..).zip(truth) {
        let model = format!("model-{class}");
        let point = counted.iter().find(|it| it.attributes["gen_ai.request.model"] == model);
        let (counted, there) = (point.unwrap().count as f64, there as f64);
        let share = share(class);
        if share < 1.0 {
            chi_square += (counted - there).powi(2) / (there * (1.0 - share) / share);
            freedom += 1;
        } else {
            assert_eq!(counted, there);
        }
    }
    println!("chi-square {chi_square:.1} at {freedom} degrees of freedom");
    // The 99.9 % quantile at 30 degrees of freedom.
    assert_eq!(freedom, 30);
    assert!(chi_square < 59.7, "{chi_square}");
}
