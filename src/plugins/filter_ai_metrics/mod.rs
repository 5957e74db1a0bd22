//! The filter `ai_metrics`: model metrics from the spans and log events that pass.

use std::sync::Arc;
use std::time::Duration;

use crate::aggregation::{AggregationTally, Aggregator, HistogramForm, MetricsConfig, Temporality};
use crate::clock::{self, Tick};
use crate::codec::fluentbit::write::ReaderCapabilities;
use crate::config::read::{self, Read};
use crate::config::{FileOptions, Parser, options};
use crate::hub::{Drain, FilterRole, TelemetrySource};
use crate::model::{Emission, Position};
use crate::plugin::{Chunk, Environment, Filter, OpenError, OptionSpec, Options, Spec, Verdict};
use crate::plugins::derived::missing_emitter::missing_emitter;
use crate::sampling::{OtState, Threshold};
use crate::stats::{Counter, CounterFamily, Counters};
use crate::sync::{Mutex, MutexGuard};

/// Attributes that would make a series of almost every span.
const TOO_MANY_VALUES: [&str; 6] = [
    "gen_ai.response.id",
    "gen_ai.conversation.id",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "session.id",
    "user.id",
];

options! {
    /// What is configured.
    struct Given in OPTIONS {
        interval: Duration = at_least_a_second,
            Time "interval" = "10s",
            "How often metrics are emitted";
        dimensions: Vec<String> = few_values,
            CommaList "dimensions",
            "Attributes of spans or resources that metrics get beside those of the conventions";
        temporality: Temporality = read::choice(&[
                ("delta", Temporality::Delta),
                ("cumulative", Temporality::Cumulative),
            ]),
            Str "temporality" = "delta",
            "Whether points say what came since the last ones (delta) or since the start (cumulative)";
        histogram: HistogramForm = read::choice(&[
                ("explicit", HistogramForm::Explicit),
                ("exponential", HistogramForm::Exponential),
            ]),
            Str "histogram" = "explicit",
            "Form of histograms: explicit (the advised bounds) or exponential";
        native: bool = read::choice(&[("records", false), ("native", true)]),
            Str "emit_as" = "records",
            "Form of emitted metrics: 'records', as log records that multi_otlp turns into OTLP; or \
             'native', as Fluent Bit's own metrics, for outputs such as prometheus_exporter";
        tag: Option<String> = read::text,
            Str "tag",
            "Tag of emitted metrics; that of the spans if unset";
        max_series: usize = read::count(2..=100_000),
            Int "max_series" = "2000",
            "Most series of one metric and resource; what is beyond goes to an overflow series";
        series_expiry: Duration = read::duration,
            Time "series_expiry" = "5m",
            "How long a series is remembered that nothing is added to";
        call_window: Duration = read::duration,
            Time "call_window" = "60s",
            "How long traces and response ids are remembered to count the tokens of one call once";
        + FileOptions::option("YAML file with any of these options");
    }
}

fn at_least_a_second(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Duration> {
    let interval = read::duration(parser, option)?;
    if interval < Duration::from_secs(1) {
        let given = parser.text(option.name).unwrap_or_default();
        parser.refuse(option.name, given, "allowed: a duration of at least 1s");
    }
    Some(interval)
}

/// Names of attributes, of which none is one that has too many values.
fn few_values(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Vec<String>> {
    let names = read::list(parser, option)?;
    for name in names.iter().filter(|name| TOO_MANY_VALUES.contains(&name.as_str())) {
        let allowed = "allowed: attributes that have few values, because each makes a series";
        parser.refuse(option.name, name, allowed);
    }
    Some(names)
}

struct Numbers {
    measured: Counter,
    events: Counter,
    input_tokens: Counter,
    output_tokens: Counter,
    duplicates: Counter,
    series: Counter,
    overflow: Counter,
}

impl Numbers {
    fn new(counters: &Counters) -> Self {
        const MEASURED: CounterFamily = CounterFamily::counter(
            "measured_spans_total",
            "Spans of GenAI operations, and of the Model Context Protocol, that were measured",
            &[],
        );
        const EVENTS: CounterFamily = CounterFamily::counter(
            "measured_events_total",
            "Log events of GenAI operations that were measured",
            &[],
        );
        const TOKENS: CounterFamily = CounterFamily::counter(
            "counted_tokens_total",
            "Tokens of model calls, each call once, adjusted for sampling",
            &["type"],
        );
        const DUPLICATES: CounterFamily = CounterFamily::counter(
            "duplicate_calls_total",
            "Model call spans whose tokens another span tells of, of the same trace or of another one, and \
             log events of operations that a span or another event tells of",
            &[],
        );
        const SERIES: CounterFamily = CounterFamily::gauge("series", "Series held", &[]);
        const OVERFLOW: CounterFamily = CounterFamily::counter(
            "overflow_total",
            "Spans and log events that had no room for a series of their own",
            &[],
        );
        Self {
            measured: counters.counter(MEASURED, &[]),
            events: counters.counter(EVENTS, &[]),
            input_tokens: counters.counter(TOKENS, &["input"]),
            output_tokens: counters.counter(TOKENS, &["output"]),
            duplicates: counters.counter(DUPLICATES, &[]),
            series: counters.counter(SERIES, &[]),
            overflow: counters.counter(OVERFLOW, &[]),
        }
    }

    fn show(&self, tally: &AggregationTally) {
        self.measured.set(tally.measured);
        self.events.set(tally.measured_events);
        self.input_tokens.set(tally.input_tokens);
        self.output_tokens.set(tally.output_tokens);
        self.duplicates.set(tally.duplicate_calls);
        self.series.set(tally.series);
        self.overflow.set(tally.overflow);
    }
}

/// The aggregator, shared between the filter and the inputs that drain it.
struct Shared {
    aggregator: Mutex<Aggregator>,
    numbers: Numbers,
    /// Whether they are emitted in the host's own form.
    native: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Aggregator> {
        self.aggregator.lock()
    }
}

impl TelemetrySource for Shared {
    fn take(&self, drain: Drain, now: Tick, unix_nanos: u64) -> Vec<Emission> {
        let mut aggregator = self.lock();
        let batches = aggregator.take(drain == Drain::Everything, now, unix_nanos);
        self.numbers.show(aggregator.tally());
        batches
    }

    fn put_back(&self, emission: Emission) {
        self.lock().put_back(emission);
    }

    fn is_native(&self) -> bool {
        self.native
    }
}

/// An instance of the filter.
pub struct AiMetrics {
    shared: Arc<Shared>,
}

impl Filter for AiMetrics {
    const SPEC: Spec = Spec {
        name: "ai_metrics",
        about: "Model metrics of the GenAI conventions from spans and log events",
        options: OPTIONS,
    };

    fn open(options: &dyn Options, environment: Environment) -> Result<Self, OpenError> {
        let options = FileOptions::read(options, OPTIONS, &[]);
        let mut parser = Parser::over(&options);
        let tags = parser.host_value("match");
        let given = Given::read(&mut parser)?;
        check_native(&mut parser, &given, &environment);
        if !environment.hub.has_emitter() {
            parser.problem(missing_emitter(&environment.host_release));
        }
        let given = parser.finish(given)?;
        let native = given.native;
        let config = config(given, &environment);
        let aggregator = Mutex::new(Aggregator::new(config, clock::now(), clock::unix_nanos()));
        let numbers = Numbers::new(&environment.counters);
        let shared = Arc::new(Shared { aggregator, numbers, native });
        environment.hub.add_source(Arc::clone(&shared) as Arc<dyn TelemetrySource>);
        environment.order_filter(FilterRole::Metrics, tags);
        Ok(Self { shared })
    }

    fn on_chunk(&mut self, chunk: Chunk<'_>) -> Verdict {
        let mut aggregator = self.shared.lock();
        aggregator.on_chunk(chunk.tag, chunk.bytes, clock::now(), clock::unix_nanos());
        self.shared.numbers.show(aggregator.tally());
        Verdict::Pass
    }
}

fn config(given: Given, environment: &Environment) -> MetricsConfig {
    MetricsConfig {
        interval: given.interval,
        dimensions: given.dimensions,
        temporality: given.temporality,
        histogram: given.histogram,
        tag: given.tag.map(String::into_bytes),
        max_series: given.max_series,
        max_resources: 1000,
        series_expiry: given.series_expiry,
        call_window: given.call_window,
        max_traces: 20_000,
        weight,
        position: Position { run: environment.hub.run(), after: environment.position },
    }
}

/// Refuses metrics in the host's own form where the host has no such form.
fn check_native(parser: &mut Parser<'_>, given: &Given, environment: &Environment) {
    if given.native && !environment.native_chunks {
        parser.refuse(
            "emit_as",
            "native",
            "this host does not export 'flb_input_chunk_append_raw', which appends its own \
             metrics; allowed: records",
        );
    }
    let forms = ReaderCapabilities::of_release(&environment.host_release);
    let exponential = given.histogram == HistogramForm::Exponential;
    if given.native && exponential && !forms.has_exponential_histograms() {
        parser.refuse(
            "histogram",
            "exponential",
            "with 'emit_as: native', exponential histograms need Fluent Bit 5.0 or later; \
             allowed: explicit",
        );
    }
}

/// How many spans one with this tracestate stands for; one, when that is not known.
fn weight(trace_state: &[u8]) -> f64 {
    OtState::read(trace_state).threshold.map_or(1.0, Threshold::adjusted_count)
}

crate::export_filter!("filter_ai_metrics", AiMetrics);

#[cfg(test)]
mod tests;
