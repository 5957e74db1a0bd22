//! Instruments: the table of the metrics, and what each of them adds up.
//!
//! A metric of every operation is one row in [`OF_OPERATIONS`]: it is measured, emitted and on the
//! reference page by that.

use super::attribute::Attribute;
use super::export_mode::ExportMode;
use super::histogram::{Exemplar, Histogram, HistogramPoint, HistogramShape};
use super::measured::MeasuredSpan;
use super::number::take;
use super::series::SeriesValues;
use super::usage::TokenKind;
use crate::findings;

/// A metric and what it says of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Instrument {
    /// Its name.
    pub name: &'static str,
    /// What it measures, in a sentence.
    pub description: &'static str,
    /// Its unit, by UCUM.
    pub unit: &'static str,
    /// What its points are.
    pub form: InstrumentForm,
    /// The attribute that its points have beside those of the operation.
    pub by: Option<&'static str>,
}

/// What the points of a metric are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum InstrumentForm {
    /// Sums that only grow.
    Sum,
    /// Histograms, with these bounds where they are not exponential.
    Histogram(&'static [f64]),
    /// The last value.
    Gauge,
}

/// What of an operation a metric takes, if there is anything.
type MeasuredValue = fn(&MeasuredSpan<'_, '_>) -> Option<f64>;

/// The metrics of every operation.
pub(super) static OF_OPERATIONS: [(Instrument, MeasuredValue); 2] = [
    (
        Instrument {
            name: "gen_ai.client.operation.count",
            description: "Number of GenAI operations. Not a metric of the semantic conventions.",
            unit: "{operation}",
            form: InstrumentForm::Sum,
            by: None,
        },
        |_| Some(1.0),
    ),
    (
        Instrument {
            name: "gen_ai.client.operation.duration",
            description: "GenAI operation duration.",
            unit: "s",
            form: InstrumentForm::Histogram(SECONDS),
            by: None,
        },
        |measured| measured.seconds(),
    ),
];

/// The metric of what goes wrong with calls.
pub(super) static FINDINGS: Instrument = Instrument {
    name: findings::METRIC.name,
    description: findings::METRIC.description,
    unit: findings::METRIC.unit,
    form: InstrumentForm::Sum,
    by: Some("fluentbit.ai.finding.type"),
};

/// The metric of what was spent of budgets.
pub(super) static BUDGET_USED: Instrument = Instrument {
    name: findings::BUDGET_METRIC.name,
    description: findings::BUDGET_METRIC.description,
    unit: findings::BUDGET_METRIC.unit,
    form: InstrumentForm::Gauge,
    by: Some("fluentbit.ai.budget.name"),
};

/// The metric of what operations ended with, for each reason that a response has.
pub(super) static FINISH_REASONS: Instrument = Instrument {
    name: "fluentbit.ai.finish_reasons",
    description: "Reasons for which models ended their output, of operations that say any. Not a \
                  metric of the semantic conventions.",
    unit: "{reason}",
    form: InstrumentForm::Sum,
    by: Some("fluentbit.ai.finish_reason"),
};

/// The metric of model calls whose spans say where their time went; of others there is none.
pub(super) static LATENCY: Instrument = Instrument {
    name: "fluentbit.ai.latency",
    description: "Parts of the duration of model calls. Not a metric of the semantic conventions.",
    unit: "s",
    form: InstrumentForm::Histogram(SECONDS),
    by: Some("fluentbit.ai.latency.part"),
};

/// Metrics of model calls whose spans say when the answer began.
pub(super) static OF_CALLS: [(Instrument, MeasuredValue); 5] = [
    (
        seconds(
            "gen_ai.client.operation.time_to_first_chunk",
            "Time to receive the first chunk of a streamed answer.",
            SECONDS,
        ),
        |measured| measured.fields.amount(Attribute::FirstChunk),
    ),
    (
        seconds(
            "fluentbit.ai.time_per_output_token",
            "Time per output token after the first chunk, as the client saw it, of calls that \
             succeeded. Not a metric of the semantic conventions.",
            TOKEN_SECONDS,
        ),
        |measured| {
            let first = measured.fields.amount(Attribute::FirstChunk)?;
            measured.per_token(first, measured.seconds()?)
        },
    ),
    (SERVER_DURATION, |measured| measured.fields.amount(Attribute::EngineTotal)),
    (
        seconds(
            "gen_ai.server.time_to_first_token",
            "Time to the first token in the model server, as it says.",
            FIRST_TOKEN_SECONDS,
        ),
        |measured| measured.fields.amount(Attribute::EngineFirstToken),
    ),
    (SERVER_PER_TOKEN, |measured| {
        let first = measured.fields.amount(Attribute::EngineFirstToken)?;
        measured.per_token(first, measured.fields.amount(Attribute::EngineTotal)?)
    }),
];

/// The metric of what requests took in a model server.
pub(super) static SERVER_DURATION_METRIC: Instrument = SERVER_DURATION;
const SERVER_DURATION: Instrument = seconds(
    "gen_ai.server.request.duration",
    "Duration of a request in the model server, as it says.",
    SECONDS,
);

/// The metric of what tokens took there.
pub(super) static SERVER_PER_TOKEN_METRIC: Instrument = SERVER_PER_TOKEN;
const SERVER_PER_TOKEN: Instrument = seconds(
    "gen_ai.server.time_per_output_token",
    "Time per output token after the first in the model server, of calls that succeeded.",
    TOKEN_SECONDS,
);

/// The metric of model calls, each of which counts once, whichever spans tell of it.
pub(super) static TOKEN_USAGE: Instrument = Instrument {
    name: "gen_ai.client.token.usage",
    description: "Number of input and output tokens used by model calls, each call counted once.",
    unit: "{token}",
    form: InstrumentForm::Histogram(TOKENS),
    by: Some("gen_ai.token.type"),
};

/// The same as 0.1.0 of the conventions has it: input tokens.
pub(super) static INPUT_TOKENS: Instrument = Instrument {
    name: "gen_ai.client.inference.operation.input_tokens",
    description: "Number of input tokens used by model calls, each call counted once.",
    unit: "{token}",
    form: InstrumentForm::Histogram(TOKENS),
    by: None,
};

/// And output tokens.
pub(super) static OUTPUT_TOKENS: Instrument = Instrument {
    name: "gen_ai.client.inference.operation.output_tokens",
    description: "Number of output tokens used by model calls, each call counted once.",
    unit: "{token}",
    form: InstrumentForm::Histogram(TOKENS),
    by: None,
};

/// Parts of these tokens, in the order of [`super::usage::TokenKind::ALL`]. They have metrics of their own, so
/// that the sum over the types above is right.
pub(super) static TOKEN_KINDS: [Instrument; TokenKind::ALL.len()] = [
    part_of_tokens(
        "gen_ai.client.inference.usage.cache_read.input_tokens",
        "Input tokens that were read from a cache; a part of the input tokens.",
    ),
    part_of_tokens(
        "gen_ai.client.inference.usage.cache_write.input_tokens",
        "Input tokens that were written into a cache; a part of the input tokens.",
    ),
    part_of_tokens(
        "gen_ai.client.inference.usage.reasoning.output_tokens",
        "Output tokens that were spent on reasoning; a part of the output tokens.",
    ),
    part_of_tokens(
        "fluentbit.ai.audio.input_tokens",
        "Input tokens that stand for audio; a part of the input tokens. Not a metric of the semantic conventions.",
    ),
    part_of_tokens(
        "fluentbit.ai.audio.output_tokens",
        "Output tokens that stand for audio; a part of the output tokens. Not a metric of the semantic conventions.",
    ),
    part_of_tokens(
        "fluentbit.ai.image.input_tokens",
        "Input tokens that stand for images; a part of the input tokens. Not a metric of the semantic conventions.",
    ),
    part_of_tokens(
        "fluentbit.ai.image.output_tokens",
        "Output tokens that stand for images; a part of the output tokens. Not a metric of the semantic conventions.",
    ),
];

/// The metric of how much of a prompt a cache had.
pub(super) static CACHE_HIT_RATIO: Instrument = Instrument {
    name: "fluentbit.ai.cache_hit_ratio",
    description: "Share of the input tokens of a model call that were read from a cache, of calls that say so, each \
                  call counted once. Not a metric of the semantic conventions.",
    unit: "1",
    form: InstrumentForm::Histogram(RATIOS),
    by: None,
};

/// Metrics of operations that say other tokens than the calls within them.
pub(super) static NESTED_USAGE: [Instrument; 2] = [
    nested_usage(
        "fluentbit.ai.nested_usage.missing_tokens",
        "Tokens that an operation says beyond those that the model calls within it say. Not a metric of the \
         semantic conventions.",
    ),
    nested_usage(
        "fluentbit.ai.nested_usage.surplus_tokens",
        "Tokens that the model calls within an operation say beyond those that it says itself. Not a metric of the \
         semantic conventions.",
    ),
];

/// The metric of what model calls cost, each of which counts once.
pub(super) static COST: Instrument = Instrument {
    name: "fluentbit.ai.cost",
    description: "Cost of model calls, each call counted once. Not a metric of the semantic conventions.",
    unit: "{USD}",
    form: InstrumentForm::Sum,
    by: Some("fluentbit.ai.cost.source"),
};

/// The metric of the calls that it is from, and of those whose cost is not known.
pub(super) static COST_CALLS: Instrument = Instrument {
    name: "fluentbit.ai.cost.calls",
    description: "Number of model calls by what their cost is known from, each call counted once. Not a \
                  metric of the semantic conventions.",
    unit: "{call}",
    form: InstrumentForm::Sum,
    by: Some("fluentbit.ai.cost.source"),
};

/// The metric of what differs between the metrics that services report and ours.
pub(super) static COMPARED: Instrument = Instrument {
    name: "fluentbit.ai.compared",
    description: "Tokens or operations of a metric that the service reports itself, by fluentbit.ai.compared.side: as \
                  it reports them, and as measured here, since both are known. Not a metric of the semantic \
                  conventions.",
    unit: "1",
    form: InstrumentForm::Sum,
    by: Some("fluentbit.ai.compared.metric"),
};

const fn nested_usage(name: &'static str, description: &'static str) -> Instrument {
    let by = Some("gen_ai.token.type");
    Instrument { name, description, unit: "{token}", form: InstrumentForm::Sum, by }
}

const fn part_of_tokens(name: &'static str, description: &'static str) -> Instrument {
    let by = Some("gen_ai.token.modality");
    Instrument { name, description, unit: "{token}", form: InstrumentForm::Sum, by }
}

pub(super) const fn seconds(
    name: &'static str,
    description: &'static str,
    bounds: &'static [f64],
) -> Instrument {
    let form = InstrumentForm::Histogram(bounds);
    Instrument { name, description, unit: "s", form, by: None }
}

/// The bounds that the conventions advise for durations, in seconds.
pub(super) const SECONDS: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Bounds of shares: none, by tenths, and nearly all.
const RATIOS: &[f64] = &[0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0];
/// The bounds that the conventions advise for tokens.
pub(super) const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// The bounds that the conventions advise for times to the first token.
const FIRST_TOKEN_SECONDS: &[f64] =
    &[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// The bounds that the conventions advise for times per token.
const TOKEN_SECONDS: &[f64] =
    &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];

/// The data of one point.
pub(super) enum PointData {
    /// Of a sum.
    Number(u64),
    /// Of a sum that is no whole number.
    Double(f64),
    /// Of a gauge.
    Gauge(f64),
    /// Of a histogram.
    Histogram(HistogramPoint),
}

/// What a metric has of one series.
#[derive(Debug)]
pub(super) enum Accumulator {
    /// Nothing was added yet, so that there is no series: the shape of its histogram, unless it is a sum.
    Unused(Option<HistogramShape>),
    /// A sum, and what of it was exported.
    Sum { sum: f64, exported: u64 },
    /// A histogram.
    Histogram(Box<Histogram>),
}

impl Instrument {
    /// Nothing yet.
    pub(super) fn accumulator(&self, exponential: bool) -> Accumulator {
        Accumulator::Unused(match self.form {
            InstrumentForm::Sum | InstrumentForm::Gauge => None,
            InstrumentForm::Histogram(bounds) if exponential => {
                Some(HistogramShape::Exponential(bounds))
            }
            InstrumentForm::Histogram(bounds) => Some(HistogramShape::Explicit(bounds)),
        })
    }
}

impl Accumulator {
    /// Adds a value, which is not negative, `weight` times, and says how many series that began.
    #[inline]
    pub(super) fn add(
        &mut self,
        value: f64,
        weight: f64,
        exemplar: impl FnOnce() -> Option<Exemplar>,
    ) -> usize {
        let begun = self.begin();
        match self {
            Self::Unused(_) => {}
            Self::Sum { sum, .. } => *sum += value * weight,
            Self::Histogram(histogram) => histogram.add(value, weight, exemplar()),
        }
        begun
    }

    #[inline]
    fn begin(&mut self) -> usize {
        let Self::Unused(shape) = self else { return 0 };
        *self = match *shape {
            None => Self::Sum { sum: 0.0, exported: 0 },
            Some(shape) => Self::Histogram(Box::new(Histogram::new(shape))),
        };
        1
    }

    /// Takes a value back.
    pub(super) fn take_back(&mut self, value: f64, weight: f64) {
        match self {
            Self::Unused(_) => {}
            Self::Sum { sum, .. } => *sum -= value * weight,
            Self::Histogram(histogram) => histogram.take_back(value, weight),
        }
    }

    /// The data of a point, if there is anything to say.
    pub(super) fn export(&mut self, mode: ExportMode) -> Option<PointData> {
        match self {
            Self::Unused(_) => None,
            Self::Sum { sum, exported } => {
                let number = take(mode, sum, exported);
                (number > 0).then_some(PointData::Number(number))
            }
            Self::Histogram(histogram) => histogram.export(mode).map(PointData::Histogram),
        }
    }
}

impl SeriesValues for Accumulator {
    fn series(&self) -> usize {
        usize::from(!matches!(self, Self::Unused(_)))
    }
}
