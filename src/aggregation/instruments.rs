//! Instruments: the table of the metrics, and what each of them adds up.
//!
//! A metric of every operation is one row in [`OF_OPERATIONS`]: it is measured, emitted and on the
//! reference page by that.

use std::time::Duration;

use super::fields::SpanFields;
use super::histogram::{Exemplar, Histogram, HistogramPoint, HistogramShape};
use super::number::{take_whole, whole};
use crate::codec::records::SpanView;
use crate::model::{SpanId, TraceId};

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
}

/// All of them, in the order in which they are emitted.
pub fn instruments() -> impl Iterator<Item = &'static Instrument> {
    OF_OPERATIONS.iter().map(|(instrument, _)| instrument).chain([
        &LATENCY,
        &TOKEN_USAGE,
        &COST,
        &COST_CALLS,
    ])
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

/// The metric of model calls whose spans say where their time went; of others there is none.
pub(super) static LATENCY: Instrument = Instrument {
    name: "fluentbit.ai.latency",
    description: "Parts of the duration of model calls. Not a metric of the semantic conventions.",
    unit: "s",
    form: InstrumentForm::Histogram(SECONDS),
    by: Some("fluentbit.ai.latency.part"),
};

/// The metric of model calls, each of which counts once, whichever spans tell of it.
pub(super) static TOKEN_USAGE: Instrument = Instrument {
    name: "gen_ai.client.token.usage",
    description: "Number of input and output tokens used by model calls, each call counted once.",
    unit: "{token}",
    form: InstrumentForm::Histogram(TOKENS),
    by: Some("gen_ai.token.type"),
};

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

/// The bounds that the conventions advise for durations, in seconds.
const SECONDS: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// The bounds that the conventions advise for tokens.
const TOKENS: &[f64] = &[
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

/// A span of a GenAI operation.
#[derive(Clone, Copy)]
pub(super) struct MeasuredSpan<'m, 'a> {
    pub(super) fields: &'m SpanFields<'a>,
    pub(super) further: &'m [&'a [u8]],
    pub(super) span: &'m SpanView<'a>,
    pub(super) ids: Option<(TraceId, SpanId)>,
    pub(super) weight: f64,
}

impl MeasuredSpan<'_, '_> {
    fn seconds(&self) -> Option<f64> {
        let (start, end) = (self.span.start_unix_nanos(), self.span.end_unix_nanos());
        (start > 0 && end >= start).then(|| Duration::from_nanos(end - start).as_secs_f64())
    }

    pub(super) fn exemplar(&self, value: f64) -> Option<Exemplar> {
        let (trace_id, span_id) = self.ids?;
        let time_unix_nano = self.span.end_unix_nanos().max(self.span.start_unix_nanos());
        Some(Exemplar { time_unix_nano, value, trace_id: trace_id.0, span_id: span_id.0 })
    }
}

/// The data of one point.
pub(super) enum PointData {
    /// Of a sum.
    Number(u64),
    /// Of a sum that is no whole number.
    Double(f64),
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
            InstrumentForm::Sum => None,
            InstrumentForm::Histogram(_) if exponential => Some(HistogramShape::Exponential),
            InstrumentForm::Histogram(bounds) => Some(HistogramShape::Explicit(bounds)),
        })
    }
}

impl Accumulator {
    /// Adds a value, which is not negative, `weight` times.
    pub(super) fn add(&mut self, value: f64, weight: f64, exemplar: Option<Exemplar>) {
        if let Self::Unused(shape) = self {
            *self = match *shape {
                None => Self::Sum { sum: 0.0, exported: 0 },
                Some(shape) => Self::Histogram(Box::new(Histogram::new(shape))),
            };
        }
        match self {
            Self::Unused(_) => {}
            Self::Sum { sum, .. } => *sum += value * weight,
            Self::Histogram(histogram) => histogram.add(value, weight, exemplar),
        }
    }

    /// Whether nothing was added yet.
    pub(super) const fn is_unused(&self) -> bool {
        matches!(self, Self::Unused(_))
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
    pub(super) fn export(&mut self, cumulative: bool) -> Option<PointData> {
        match self {
            Self::Unused(_) => None,
            Self::Sum { sum, exported } => {
                let number = if cumulative {
                    *exported = whole(*sum).max(*exported);
                    *exported
                } else {
                    take_whole(sum)
                };
                (number > 0).then_some(PointData::Number(number))
            }
            Self::Histogram(histogram) => histogram.export(cumulative).map(PointData::Histogram),
        }
    }
}
