//! The filter `ai_sampling`: head sampling by consistent probability, or tail sampling by policies.

use std::sync::Arc;
use std::time::Duration;

use super::missing_emitter::missing_emitter;
use super::policies_file::{self, PolicyList};
use super::tail_sampling::Tail;
use crate::clock;
use crate::codec::records::StatusCode;
use crate::codec::records::{ChunkRewriter, SpanEvent, SpanReader, SpanStep};
use crate::condition::Condition;
use crate::config::{CONFIG_FILE, FileOptions, Parser};
use crate::hub::{Role, Source};
use crate::model::{ErrorRule, Position, TraceId};
use crate::plugin::{
    Chunk, Environment, Filter, OpenError, OptionKind, OptionSpec, Options, Spec, Verdict,
};
use crate::sampling::policy::{Rule, SpanTest, ValueTest};
use crate::sampling::{
    Decision, HeadSampler, Mark, OtState, Probability, TailConfig, TailSampler, Threshold,
    event_start, marked_body,
};
use crate::stats::{Counter, CounterFamily};

pub(super) const RECEIVED: CounterFamily =
    CounterFamily::counter("received_spans_total", "Spans that came to be sampled", &[]);
pub(super) const KEPT: CounterFamily =
    CounterFamily::counter("kept_spans_total", "Spans kept", &["policy"]);
pub(super) const DROPPED: CounterFamily =
    CounterFamily::counter("dropped_spans_total", "Spans dropped on purpose", &["policy"]);
/// The label of spans that are kept because they have no usable trace id.
pub(super) const NO_TRACE_ID: &str = "no_trace_id";
/// The label of spans that are dropped because no policy kept them.
pub(super) const NOT_SAMPLED: &str = "not_sampled";

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "mode",
        OptionKind::Str,
        Some("head"),
        "head: each span at once, by its trace id; tail: whole traces, by policies",
    ),
    OptionSpec::new(
        "sampling_percentage",
        OptionKind::Double,
        None,
        "Percentage of traces kept; in tail mode, of those that nothing else keeps",
    ),
    OptionSpec::new(
        "decision_wait",
        OptionKind::Time,
        Some("30s"),
        "Tail: how long after its first span a trace is decided",
    ),
    OptionSpec::new(
        "keep_errors",
        OptionKind::Bool,
        Some("off"),
        "Tail: keep traces with an error",
    ),
    OptionSpec::new(
        "errors",
        OptionKind::Str,
        Some("status"),
        "Tail: which spans are errors for keep_errors and for 'errors' in expressions: status (the \
         status is ERROR) or all (also an attribute error.type or an event exception)",
    ),
    OptionSpec::new(
        "keep_slower_than",
        OptionKind::Time,
        None,
        "Tail: keep traces that take at least this long from first start to last end",
    ),
    OptionSpec::new(
        "keep_attribute",
        OptionKind::Str,
        None,
        "Tail: keep traces with a span or resource that has this attribute: KEY or KEY=VALUE",
    )
    .repeated(),
    OptionSpec::new(
        "keep_where",
        OptionKind::Str,
        None,
        "Tail: keep traces for which this CEL expression is true",
    )
    .repeated(),
    OptionSpec::new(
        "max_buffer_size",
        OptionKind::Size,
        Some("64m"),
        "Tail: most memory for traces that wait; beyond it the oldest are decided early",
    ),
    OptionSpec::new("max_traces", OptionKind::Int, Some("200000"), "Tail: most traces that wait"),
    OptionSpec::new(
        "kept_cache_size",
        OptionKind::Int,
        Some("65536"),
        "Tail: how many kept traces are remembered for late spans",
    ),
    OptionSpec::new(
        "dropped_cache_size",
        OptionKind::Int,
        Some("65536"),
        "Tail: how many dropped traces are remembered for late spans",
    ),
    OptionSpec::new(
        CONFIG_FILE,
        OptionKind::Str,
        None,
        "YAML file with any of these options, and with policies",
    ),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Head,
    Tail,
}

/// An instance of the filter.
pub struct AiSampling {
    form: Form,
}

enum Form {
    Head(Head),
    Tail(Arc<Tail>),
}

impl Filter for AiSampling {
    const SPEC: Spec =
        Spec { name: "ai_sampling", about: "Head and tail sampling of traces", options: OPTIONS };

    fn open(options: &dyn Options, environment: Environment) -> Result<Self, OpenError> {
        let options = FileOptions::read(options, OPTIONS, &["policies"]);
        let mut parser = Parser::over(&options);
        let mut list = PolicyList::default();
        parser.file_problems(policies_file::read(options.root(), &mut list));
        let tags = parser.host_value("match");
        let mode = [("head", Mode::Head), ("tail", Mode::Tail)];
        let percentage = parser.percentage("sampling_percentage");
        let form = match parser.choice("mode", Mode::Head, &mode) {
            Mode::Head => {
                check_head(&mut parser, percentage, &list);
                Form::Head(parser.finish(Head::new(percentage.unwrap_or(100.0), &environment))?)
            }
            Mode::Tail => {
                let config = read_tail(&mut parser, list, percentage, &environment);
                let sampler = TailSampler::new(parser.finish(config)?);
                let tail = Arc::new(Tail::new(sampler, &environment));
                environment.hub.add_source(Arc::clone(&tail) as Arc<dyn Source>);
                Form::Tail(tail)
            }
        };
        environment.place(Role::Sampling { tail: matches!(form, Form::Tail(_)) }, tags);
        Ok(Self { form })
    }

    fn on_chunk(&mut self, chunk: Chunk<'_>) -> Verdict {
        let changed = match &mut self.form {
            Form::Head(head) => head.on_chunk(chunk.bytes),
            Form::Tail(tail) => tail.on_chunk(chunk, clock::now()),
        };
        changed.map_or(Verdict::Pass, Verdict::Replace)
    }
}

fn check_head(parser: &mut Parser<'_>, percentage: Option<f64>, list: &PolicyList) {
    if !list.has_none() {
        parser.problem("config_file has policies, which need 'mode: tail'");
    }
    if percentage.is_none() {
        parser.problem("option 'sampling_percentage' is missing; head sampling needs it: 0 to 100");
    }
    let tail_only = [
        "decision_wait",
        "keep_slower_than",
        "keep_attribute",
        "keep_where",
        "errors",
        "max_buffer_size",
        "max_traces",
    ];
    // What differs from its default was meant to do something.
    for name in tail_only {
        let default = OPTIONS.iter().find(|option| option.name == name).and_then(|o| o.default);
        if let Some(given) = parser.text(name).filter(|given| Some(*given) != default) {
            parser.refuse(name, given, "it needs 'mode: tail'");
        }
    }
    if parser.bool("keep_errors", false) {
        parser.refuse("keep_errors", "on", "it needs 'mode: tail'");
    }
}

fn read_tail(
    parser: &mut Parser<'_>,
    mut list: PolicyList,
    percentage: Option<f64>,
    environment: &Environment,
) -> TailConfig {
    if !environment.hub.has_emitter() {
        parser.problem(missing_emitter(&environment.host_release));
    }
    let rules = [("status", ErrorRule::Status), ("all", ErrorRule::Any)];
    let errors = parser.choice("errors", ErrorRule::Status, &rules);
    flat_policies(parser, &mut list, errors);
    if let Some(percentage) = percentage {
        list.keep("sampling_percentage", Rule::Probability(Threshold::from_percentage(percentage)));
    }
    if list.is_empty() {
        parser.problem(
            "tail sampling has no policy and would drop every trace; set one of keep_errors, \
             keep_slower_than, keep_attribute, keep_where, sampling_percentage, config_file",
        );
    }
    let count = |parser: &mut Parser<'_>, name: &str, default: usize, least: usize| {
        let allowed = format!("allowed: {least} to 10000000");
        parser.parsed(name, default, &allowed, |text| {
            text.parse().ok().filter(|count| (least..=10_000_000).contains(count))
        })
    };
    let size = parser.size("max_buffer_size", 64_000_000);
    if size < 64_000 {
        let given = parser.text("max_buffer_size").unwrap_or_default();
        parser.refuse("max_buffer_size", given, "allowed: at least 64k");
    }
    TailConfig {
        decision_wait: parser.duration("decision_wait", Duration::from_secs(30)),
        max_bytes: usize::try_from(size).unwrap_or(usize::MAX),
        max_traces: count(parser, "max_traces", 200_000, 1),
        kept_cache: count(parser, "kept_cache_size", 65_536, 0),
        dropped_cache: count(parser, "dropped_cache_size", 65_536, 0),
        policies: list.finish(),
        errors,
        position: Position { run: environment.hub.run(), after: environment.position },
    }
}

fn flat_policies(parser: &mut Parser<'_>, list: &mut PolicyList, errors: ErrorRule) {
    let mut too_many = false;
    let mut keep = |list: &mut PolicyList, name: &str, test: SpanTest| match list.fact(test) {
        Some(rule) => list.keep(name, rule),
        None => too_many = true,
    };
    if parser.bool("keep_errors", false) {
        let test = match errors {
            ErrorRule::Status => SpanTest::Status(vec![StatusCode::Error]),
            ErrorRule::Any => SpanTest::Failure,
        };
        keep(list, "keep_errors", test);
    }
    for given in parser.texts("keep_attribute") {
        let (key, value) = match given.split_once('=') {
            Some((key, value)) => (key, ValueTest::Spelled(value.trim().to_owned())),
            None => (given, ValueTest::Exists),
        };
        let key = key.trim().to_owned();
        if key.is_empty() {
            parser.refuse("keep_attribute", given, "allowed: KEY or KEY=VALUE");
            continue;
        }
        keep(list, "keep_attribute", SpanTest::Attribute { key, value });
    }
    if too_many {
        parser.problem(policies_file::TOO_MANY_TESTS);
    }
    if parser.text("keep_slower_than").is_some() {
        let slow = parser.duration("keep_slower_than", Duration::ZERO);
        list.keep("keep_slower_than", Rule::Latency(slow, None));
    }
    for text in parser.texts("keep_where") {
        match Condition::compile(text) {
            Ok(condition) => list.keep("keep_where", Rule::Cel(Box::new(condition))),
            Err(error) => parser.refuse("keep_where", text, &error.to_string()),
        }
    }
}

/// Head sampling.
struct Head {
    sampler: HeadSampler,
    position: Position,
    received: Counter,
    kept: Counter,
    untraced: Counter,
    dropped: Counter,
}

impl Head {
    fn new(percentage: f64, environment: &Environment) -> Self {
        let counters = &environment.counters;
        Self {
            sampler: HeadSampler::from_percentage(percentage),
            position: Position { run: environment.hub.run(), after: environment.position },
            received: counters.counter(RECEIVED, &[]),
            kept: counters.counter(KEPT, &["sampling_percentage"]),
            untraced: counters.counter(KEPT, &[NO_TRACE_ID]),
            dropped: counters.counter(DROPPED, &[NOT_SAMPLED]),
        }
    }

    fn on_chunk(&self, chunk: &[u8]) -> Option<Vec<u8>> {
        let mut rewriter = ChunkRewriter::new(chunk);
        let mut walker = SpanReader::new(chunk);
        let (mut received, mut kept, mut untraced) = (0, 0, 0);
        while let Some(step) = walker.step(&mut ()) {
            let event = match step {
                SpanStep::Span(event) if !self.emitted_here(&event) => event,
                SpanStep::Span(SpanEvent { raw, .. })
                | SpanStep::Other(raw)
                | SpanStep::Broken(raw) => {
                    rewriter.keep(raw);
                    continue;
                }
            };
            received += 1;
            let Some(id) = TraceId::from_hex(event.span.trace_id) else {
                untraced += 1;
                rewriter.keep(event.raw);
                continue;
            };
            kept += 1;
            match self.sampler.decide(id, OtState::read(event.span.trace_state)) {
                Decision::Keep => rewriter.keep(event.raw),
                Decision::KeepWith(threshold) => {
                    let probability = Probability::AtLeast(threshold);
                    let out = rewriter.change();
                    event_start(out, event.time, event.metadata);
                    marked_body(out, event.body, Mark { probability, policy: None });
                }
                Decision::Drop => {
                    kept -= 1;
                    rewriter.change();
                }
            }
        }
        self.received.add(received);
        self.kept.add(kept);
        self.untraced.add(untraced);
        self.dropped.add(received - kept - untraced);
        rewriter.finish()
    }

    fn emitted_here(&self, event: &SpanEvent<'_>) -> bool {
        event.telemetry.position.is_some_and(|position| {
            position.run == self.position.run && position.after >= self.position.after
        })
    }
}

crate::export_filter!("filter_ai_sampling", AiSampling);
