//! The filter `ai_metrics`: model metrics from the spans that pass.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::missing_emitter::missing_emitter;
use crate::aggregation::{Aggregator, Batch, HistogramForm, MetricsConfig, Tally, Temporality};
use crate::clock::{self, Tick};
use crate::codec::native::write::Forms;
use crate::config::{CONFIG_FILE, FileOptions, Parser};
use crate::hub::{Drain, Emission, Role, Source};
use crate::model::Position;
use crate::plugin::{
    Chunk, Environment, Filter, OpenError, OptionKind, OptionSpec, Options, Spec, Verdict,
};
use crate::sampling::{OtState, Threshold};
use crate::stats::{Counter, CounterFamily, Counters};

/// Attributes that would make a series of almost every span.
const TOO_MANY_VALUES: [&str; 6] = [
    "gen_ai.response.id",
    "gen_ai.conversation.id",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "session.id",
    "user.id",
];

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new("interval", OptionKind::Time, Some("10s"), "How often metrics are emitted"),
    OptionSpec::new(
        "dimensions",
        OptionKind::CommaList,
        None,
        "Attributes of spans or resources that metrics get beside those of the conventions",
    ),
    OptionSpec::new(
        "temporality",
        OptionKind::Str,
        Some("delta"),
        "Whether points say what came since the last ones (delta) or since the start (cumulative)",
    ),
    OptionSpec::new(
        "histogram",
        OptionKind::Str,
        Some("explicit"),
        "Form of histograms: explicit (the advised bounds) or exponential",
    ),
    OptionSpec::new(
        "emit_as",
        OptionKind::Str,
        Some("records"),
        "Form of emitted metrics: 'records', as log records that multi_otlp turns into OTLP; or \
         'native', as Fluent Bit's own metrics, for outputs such as prometheus_exporter",
    ),
    OptionSpec::new(
        "tag",
        OptionKind::Str,
        None,
        "Tag of emitted metrics; that of the spans if unset",
    ),
    OptionSpec::new(
        "max_series",
        OptionKind::Int,
        Some("2000"),
        "Most series of one metric and resource; what is beyond goes to an overflow series",
    ),
    OptionSpec::new(
        "series_expiry",
        OptionKind::Time,
        Some("5m"),
        "How long a series is remembered that nothing is added to",
    ),
    OptionSpec::new(
        "call_window",
        OptionKind::Time,
        Some("60s"),
        "How long a trace is remembered to count the tokens of one call once",
    ),
    OptionSpec::new(CONFIG_FILE, OptionKind::Str, None, "YAML file with any of these options"),
];

struct Numbers {
    measured: Counter,
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
            "Spans of GenAI operations that were measured",
            &[],
        );
        const TOKENS: CounterFamily = CounterFamily::counter(
            "counted_tokens_total",
            "Tokens of model calls, each call once, adjusted for sampling",
            &["type"],
        );
        const DUPLICATES: CounterFamily = CounterFamily::counter(
            "duplicate_calls_total",
            "Model call spans whose tokens another span tells of",
            &[],
        );
        const SERIES: CounterFamily = CounterFamily::gauge("series", "Series held", &[]);
        const OVERFLOW: CounterFamily = CounterFamily::counter(
            "overflow_total",
            "Spans that had no room for a series of their own",
            &[],
        );
        Self {
            measured: counters.counter(MEASURED, &[]),
            input_tokens: counters.counter(TOKENS, &["input"]),
            output_tokens: counters.counter(TOKENS, &["output"]),
            duplicates: counters.counter(DUPLICATES, &[]),
            series: counters.counter(SERIES, &[]),
            overflow: counters.counter(OVERFLOW, &[]),
        }
    }

    fn show(&self, tally: &Tally) {
        self.measured.set(tally.measured);
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
        self.aggregator.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Shared {
    fn take(&self, drain: Drain, now: Tick, unix_nanos: u64) -> Vec<Emission> {
        let mut aggregator = self.lock();
        let batches = aggregator.take(drain == Drain::Everything, now, unix_nanos);
        self.numbers.show(aggregator.tally());
        batches
            .into_iter()
            .map(|Batch { tag, records, events }| Emission {
                tag,
                records,
                events,
                native: self.native,
            })
            .collect()
    }

    fn put_back(&self, emission: Emission) {
        let Emission { tag, records, events, .. } = emission;
        self.lock().put_back(Batch { tag, records, events });
    }
}

/// An instance of the filter.
pub struct AiMetrics {
    shared: Arc<Shared>,
}

impl Filter for AiMetrics {
    const SPEC: Spec = Spec {
        name: "ai_metrics",
        about: "Model metrics of the GenAI conventions from spans",
        options: OPTIONS,
    };

    fn open(options: &dyn Options, environment: Environment) -> Result<Self, OpenError> {
        let options = FileOptions::read(options, OPTIONS, &[]);
        let mut parser = Parser::over(&options);
        let tags = parser.host_value("match");
        let config = read_config(&mut parser, &environment);
        let native = emit_as(&mut parser, &environment, config.histogram);
        if !environment.hub.has_emitter() {
            parser.problem(missing_emitter(&environment.host_release));
        }
        let config = parser.finish(config)?;
        let aggregator = Mutex::new(Aggregator::new(config, clock::now(), clock::unix_nanos()));
        let numbers = Numbers::new(&environment.counters);
        let shared = Arc::new(Shared { aggregator, numbers, native });
        environment.hub.add_source(Arc::clone(&shared) as Arc<dyn Source>);
        environment.place(Role::Metrics, tags);
        Ok(Self { shared })
    }

    fn on_chunk(&mut self, chunk: Chunk<'_>) -> Verdict {
        let mut aggregator = self.shared.lock();
        aggregator.on_chunk(chunk.tag, chunk.bytes, clock::now(), clock::unix_nanos());
        self.shared.numbers.show(aggregator.tally());
        Verdict::Pass
    }
}

fn read_config(parser: &mut Parser<'_>, environment: &Environment) -> MetricsConfig {
    let temporality = [("delta", Temporality::Delta), ("cumulative", Temporality::Cumulative)];
    let histogram =
        [("explicit", HistogramForm::Explicit), ("exponential", HistogramForm::Exponential)];
    let interval = parser.duration("interval", Duration::from_secs(10));
    if interval < Duration::from_secs(1) {
        let given = parser.text("interval").unwrap_or_default();
        parser.refuse("interval", given, "allowed: a duration of at least 1s");
    }
    let dimensions = parser.list("dimensions");
    for name in dimensions.iter().filter(|name| TOO_MANY_VALUES.contains(&name.as_str())) {
        let allowed = "allowed: attributes that have few values, because each makes a series";
        parser.refuse("dimensions", name, allowed);
    }
    MetricsConfig {
        interval,
        dimensions,
        temporality: parser.choice("temporality", Temporality::Delta, &temporality),
        histogram: parser.choice("histogram", HistogramForm::Explicit, &histogram),
        tag: parser.text("tag").map(|tag| tag.as_bytes().to_vec()),
        max_series: parser.parsed("max_series", 2000, "allowed: 2 to 100000", |text| {
            text.parse().ok().filter(|most| (2..=100_000).contains(most))
        }),
        max_resources: 1000,
        series_expiry: parser.duration("series_expiry", Duration::from_secs(300)),
        call_window: parser.duration("call_window", Duration::from_secs(60)),
        max_traces: 20_000,
        weight,
        position: Position { run: environment.hub.run(), after: environment.position },
    }
}

/// Whether metrics are emitted in the host's own form.
fn emit_as(parser: &mut Parser<'_>, environment: &Environment, histogram: HistogramForm) -> bool {
    let native = parser.choice("emit_as", false, &[("records", false), ("native", true)]);
    if native && !environment.native_chunks {
        parser.refuse(
            "emit_as",
            "native",
            "this host does not export 'flb_input_chunk_append_raw', which appends its own \
             metrics; allowed: records",
        );
    }
    let forms = Forms::of_release(&environment.host_release);
    if native && histogram == HistogramForm::Exponential && !forms.has_exponential_histograms() {
        parser.refuse(
            "histogram",
            "exponential",
            "with 'emit_as: native', exponential histograms need Fluent Bit 5.0 or later; \
             allowed: explicit",
        );
    }
    native
}

/// How many spans one with this tracestate stands for; one, when that is not known.
fn weight(trace_state: &[u8]) -> f64 {
    OtState::read(trace_state).threshold.map_or(1.0, Threshold::adjusted_count)
}

crate::export_filter!("filter_ai_metrics", AiMetrics);
