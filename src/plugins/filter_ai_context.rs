//! The filter `ai_context`: dialects become the current GenAI conventions, logs get their place in
//! the trace, what must not leave is masked.

use crate::config::{Parser, parse_list};
use crate::genai::{Detector, Dialect, Processor, Replacement, Settings, Tally};
use crate::model::Position;
use crate::plugin::{
    Chunk, Environment, Filter, OpenError, OptionKind, OptionSpec, Options, Spec, Verdict,
};
use crate::stats::{Counter, CounterFamily};

const NORMALIZED: CounterFamily = CounterFamily::counter(
    "normalized_spans_total",
    "Spans whose attributes were mapped to the current GenAI conventions",
    &["dialect"],
);
const CORRELATED: CounterFamily = CounterFamily::counter(
    "correlated_logs_total",
    "Logs that got the trace and span ids found in them",
    &[],
);
const REDACTIONS: CounterFamily = CounterFamily::counter(
    "redactions_total",
    "Places in attributes and log bodies that were redacted",
    &["detector"],
);
const MALFORMED: CounterFamily = CounterFamily::counter(
    "malformed_events_total",
    "Events of a chunk that could not be read and were passed on as they were",
    &[],
);

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "normalize",
        OptionKind::Bool,
        Some("on"),
        "map OpenInference, OpenLLMetry, LiteLLM, LangSmith and older gen_ai attributes to the \
         OpenTelemetry GenAI conventions 1.41",
    ),
    OptionSpec::new(
        "keep_originals",
        OptionKind::Bool,
        Some("on"),
        "keep the attributes that were mapped beside the current ones",
    ),
    OptionSpec::new(
        "correlate",
        OptionKind::Bool,
        Some("on"),
        "write trace and span ids found in a log's body or attributes where OTLP has them",
    ),
    OptionSpec::new(
        "redact",
        OptionKind::CommaList,
        None,
        "what to redact in span attributes and logs: secrets, email, credit_card, iban, ssn, \
         phone, ip",
    ),
    OptionSpec::new(
        "redact_with",
        OptionKind::Str,
        Some("mask"),
        "what redacted text becomes: mask (the detector's name in brackets) or drop (nothing)",
    ),
];

/// An instance of the filter.
pub struct AiContext {
    processor: Processor,
    normalized: Vec<Counter>,
    correlated: Counter,
    redactions: Vec<Counter>,
    malformed: Counter,
}

fn detectors(parser: &mut Parser<'_>) -> Vec<Detector> {
    let mut chosen = Vec::new();
    for list in parser.texts("redact") {
        for name in parse_list(list) {
            match Detector::named(&name) {
                Some(detector) => chosen.push(detector),
                None => {
                    let names: Vec<&str> = Detector::ALL.iter().map(|d| d.name()).collect();
                    parser.refuse("redact", &name, &format!("allowed: {}", names.join(", ")));
                }
            }
        }
    }
    chosen
}

impl Filter for AiContext {
    const SPEC: Spec = Spec {
        name: "ai_context",
        about: "Normalise GenAI telemetry, correlate logs with traces, redact content",
        options: OPTIONS,
    };

    fn open(options: &dyn Options, environment: Environment) -> Result<Self, OpenError> {
        let mut parser = Parser::new(options);
        let replacements = [("mask", Replacement::Mask), ("drop", Replacement::Drop)];
        let settings = Settings {
            normalize: parser.bool("normalize", true),
            keep_originals: parser.bool("keep_originals", true),
            correlate: parser.bool("correlate", true),
            redact: detectors(&mut parser),
            replacement: parser.choice("redact_with", Replacement::Mask, &replacements),
            position: Position { run: environment.hub.run(), after: environment.position },
        };
        let settings = parser.finish(settings)?;
        let counters = &environment.counters;
        let of_detector = |detector: &Detector| counters.counter(REDACTIONS, &[detector.name()]);
        let of_dialect = |dialect: &Dialect| counters.counter(NORMALIZED, &[dialect.name()]);
        Ok(Self {
            processor: Processor::new(settings),
            normalized: Dialect::ALL.iter().map(of_dialect).collect(),
            correlated: counters.counter(CORRELATED, &[]),
            redactions: Detector::ALL.iter().map(of_detector).collect(),
            malformed: counters.counter(MALFORMED, &[]),
        })
    }

    fn on_chunk(&mut self, chunk: Chunk<'_>) -> Verdict {
        let mut tally = Tally::default();
        let replaced = self.processor.process(chunk.bytes, &mut tally);
        add(&self.normalized, &tally.normalized);
        add(&self.redactions, &tally.redactions);
        self.correlated.add(tally.correlated);
        self.malformed.add(tally.malformed);
        replaced.map_or(Verdict::Pass, Verdict::Replace)
    }
}

fn add(counters: &[Counter], counts: &[u64]) {
    for (counter, count) in counters.iter().zip(counts) {
        counter.add(*count);
    }
}
