//! Series of model calls: their tokens, what they cost, and when their answers began.

use super::attribute::Attribute;
use super::cost::{CallCosts, CostSource};
use super::export::{Export, attribute_of};
use super::histogram::Exemplar;
use super::instruments::{
    Accumulator, CACHE_HIT_RATIO, COST, COST_CALLS, INPUT_TOKENS, OF_CALLS, OUTPUT_TOKENS,
    PointData, TOKEN_KINDS, TOKEN_USAGE,
};
use super::measured::MeasuredSpan;
use super::semconv::SemconvVersion;
use super::series::{SeriesTable, SeriesValues};
use super::usage::{TokenCounts, TokenKind};
use crate::model::Emission;

/// What is measured of the model calls of one series.
#[derive(Debug)]
pub(super) struct Calls {
    input: Accumulator,
    output: Accumulator,
    exponential: bool,
    /// What few calls say.
    details: Option<Box<CallDetails>>,
    /// Where costs are asked for.
    costs: Option<Box<CallCosts>>,
}

#[derive(Debug)]
struct CallDetails {
    /// In the order of [`TokenKind::ALL`].
    parts: [Accumulator; TokenKind::ALL.len()],
    /// In the order of [`OF_CALLS`].
    times: [Accumulator; OF_CALLS.len()],
    cache_hit_ratio: Accumulator,
}

/// The times of a call, in the order of [`OF_CALLS`].
pub(super) type CallTimes = [Option<f64>; OF_CALLS.len()];

impl CallDetails {
    fn new(exponential: bool) -> Box<Self> {
        let parts = TOKEN_KINDS.each_ref().map(|instrument| instrument.accumulator(exponential));
        let times = OF_CALLS.each_ref().map(|(one, _)| one.accumulator(exponential));
        let cache_hit_ratio = CACHE_HIT_RATIO.accumulator(exponential);
        Box::new(Self { parts, times, cache_hit_ratio })
    }
}

impl Calls {
    /// The attributes without any of which there is nothing to measure.
    pub(super) const ATTRIBUTES: u64 = Attribute::Input.bit()
        | Attribute::Output.bit()
        | Attribute::Prompt.bit()
        | Attribute::Completion.bit()
        | Attribute::TIMES;

    pub(super) fn new(exponential: bool) -> Self {
        let [input, output] = [(), ()].map(|()| TOKEN_USAGE.accumulator(exponential));
        Self { input, output, exponential, details: None, costs: None }
    }

    /// How many series a call may begin at most.
    pub(super) fn most(measured: &MeasuredSpan<'_, '_>, is_priced: bool) -> usize {
        let Some(tokens) = measured.fields.tokens() else { return Self::most_times(measured) };
        let used = [tokens.input(), tokens.output()].iter().flatten().count();
        let costs = if is_priced { CallCosts::MOST } else { 0 };
        let cache = usize::from(tokens.cache_hit_ratio().is_some());
        used + tokens.parts().count() + cache + costs + Self::most_times(measured)
    }

    const fn most_times(measured: &MeasuredSpan<'_, '_>) -> usize {
        if measured.fields.has_any(Attribute::TIMES) { OF_CALLS.len() } else { 0 }
    }

    fn details(&mut self) -> &mut CallDetails {
        let exponential = self.exponential;
        self.details.get_or_insert_with(|| CallDetails::new(exponential))
    }

    /// What the calls cost.
    pub(super) fn costs(&mut self) -> &mut CallCosts {
        self.costs.get_or_insert_default()
    }

    /// Adds the times that a span says, and says how many series that began.
    pub(super) fn add_times(&mut self, measured: &MeasuredSpan<'_, '_>) -> usize {
        let mut begun = 0;
        for ((_, value_of), total) in OF_CALLS.iter().zip(&mut self.details().times) {
            if let Some(value) = value_of(measured) {
                begun += total.add(value, measured.weight, || measured.exemplar(value));
            }
        }
        begun
    }

    /// The times that an item says, if any.
    pub(super) fn times_of(measured: &MeasuredSpan<'_, '_>) -> Option<Box<CallTimes>> {
        let has_any = measured.fields.has_any(Attribute::TIMES);
        has_any.then(|| Box::new(OF_CALLS.each_ref().map(|(_, value_of)| value_of(measured))))
    }

    /// Takes the times of a call back.
    pub(super) fn take_back_times(&mut self, times: &CallTimes) {
        for (total, value) in self.details().times.iter_mut().zip(times) {
            if let Some(value) = value {
                total.take_back(*value, 1.0);
            }
        }
    }

    /// Counts the tokens of a call and what it cost, and says how many series that began.
    pub(super) fn count(
        &mut self,
        counts: &TokenCounts,
        exemplar: impl Fn(f64) -> Option<Exemplar>,
    ) -> usize {
        let (tokens, weight) = (&counts.tokens, counts.weight);
        let mut begun = 0;
        if let Some(input) = tokens.input() {
            begun += self.input.add(input, weight, || exemplar(input));
        }
        if let Some(output) = tokens.output() {
            begun += self.output.add(output, weight, || exemplar(output));
        }
        for (index, part) in tokens.parts() {
            if let Some(total) = self.details().parts.get_mut(index) {
                begun += total.add(part, weight, || None);
            }
        }
        if let Some(ratio) = tokens.cache_hit_ratio() {
            begun += self.details().cache_hit_ratio.add(ratio, weight, || exemplar(ratio));
        }
        if let Some(cost) = counts.cost {
            begun += self.costs().add(cost, weight);
        }
        begun
    }

    /// Takes the tokens of a call back, and what it cost.
    pub(super) fn take_back(&mut self, counts: &TokenCounts) {
        let (tokens, weight) = (&counts.tokens, counts.weight);
        if let Some(input) = tokens.input() {
            self.input.take_back(input, weight);
        }
        if let Some(output) = tokens.output() {
            self.output.take_back(output, weight);
        }
        for (index, part) in tokens.parts() {
            if let Some(total) = self.details().parts.get_mut(index) {
                total.take_back(part, weight);
            }
        }
        if let Some(ratio) = tokens.cache_hit_ratio() {
            self.details().cache_hit_ratio.take_back(ratio, weight);
        }
        if let Some(cost) = counts.cost {
            self.costs().take_back(cost, weight);
        }
    }

    /// Writes the points of a table of these.
    pub(super) fn export(
        table: &mut SeriesTable<Self>,
        export: &mut Export<'_>,
        batch: &mut Emission,
    ) {
        for (index, (instrument, _)) in OF_CALLS.iter().enumerate() {
            export.table(batch, instrument, table, |calls, point| {
                let details = calls.details.as_mut();
                point(details.and_then(|details| details.times.get_mut(index)), &[]);
            });
        }
        match export.semconv {
            SemconvVersion::V1_41 => {
                let [input, output] =
                    ["input", "output"].map(|kind| attribute_of(&TOKEN_USAGE, kind));
                export.table(batch, &TOKEN_USAGE, table, |calls, point| {
                    point(Some(&mut calls.input), &input);
                    point(Some(&mut calls.output), &output);
                });
            }
            SemconvVersion::V0_1_0 => {
                export.table(batch, &INPUT_TOKENS, table, |calls, point| {
                    point(Some(&mut calls.input), &[]);
                });
                export.table(batch, &OUTPUT_TOKENS, table, |calls, point| {
                    point(Some(&mut calls.output), &[]);
                });
            }
        }
        for (kind, instrument) in TokenKind::ALL.into_iter().zip(&TOKEN_KINDS) {
            let (index, modality) = (kind as usize, attribute_of(instrument, kind.modality()));
            export.table(batch, instrument, table, |calls, point| {
                let details = calls.details.as_mut();
                point(details.and_then(|details| details.parts.get_mut(index)), &modality);
            });
        }
        export.table(batch, &CACHE_HIT_RATIO, table, |calls, point| {
            point(calls.details.as_mut().map(|details| &mut details.cache_hit_ratio), &[]);
        });
        let sources = |instrument| CostSource::ALL.map(|one| attribute_of(instrument, one.name()));
        let mode = export.mode;
        let by_source = sources(&COST);
        export.data(batch, &COST, table, |calls, point| {
            let amounts = calls.costs.as_mut().map(|costs| costs.amounts(mode));
            for (usd, source) in amounts.into_iter().flatten().zip(&by_source) {
                point(usd.map(PointData::Double), source);
            }
        });
        let by_source = sources(&COST_CALLS);
        export.data(batch, &COST_CALLS, table, |calls, point| {
            let numbers = calls.costs.as_mut().map(|costs| costs.calls(mode));
            for (number, source) in numbers.into_iter().flatten().zip(&by_source) {
                point(number.map(PointData::Number), source);
            }
        });
    }
}

impl SeriesValues for Calls {
    fn series(&self) -> usize {
        let details = self.details.iter();
        let details = details.flat_map(|details| {
            let times = details.times.iter().chain([&details.cache_hit_ratio]);
            details.parts.iter().chain(times)
        });
        let totals = [&self.input, &self.output].into_iter().chain(details);
        let begun: usize = totals.map(SeriesValues::series).sum();
        begun.saturating_add(self.costs.as_ref().map_or(0, |costs| costs.series()))
    }
}
