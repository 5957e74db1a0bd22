//! Series of model calls: their tokens, and when their answers began.

use super::attribute::Attribute;
use super::export::{Export, attribute_of};
use super::histogram::Exemplar;
use super::instruments::{Accumulator, OF_CALLS, TOKEN_KINDS, TOKEN_USAGE};
use super::measured::MeasuredSpan;
use super::series::SeriesTable;
use super::usage::{TokenKind, Tokens};
use crate::model::Emission;

/// What is measured of the model calls of one series.
#[derive(Debug)]
pub(super) struct Calls {
    input: Accumulator,
    output: Accumulator,
    exponential: bool,
    /// What few calls say.
    details: Option<Box<CallDetails>>,
}

#[derive(Debug)]
struct CallDetails {
    /// In the order of [`TokenKind::ALL`].
    parts: [Accumulator; TokenKind::ALL.len()],
    /// In the order of [`OF_CALLS`].
    times: [Accumulator; OF_CALLS.len()],
}

impl CallDetails {
    fn new(exponential: bool) -> Box<Self> {
        let parts = TOKEN_KINDS.each_ref().map(|instrument| instrument.accumulator(exponential));
        let times = OF_CALLS.each_ref().map(|(one, _)| one.accumulator(exponential));
        Box::new(Self { parts, times })
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
        Self { input, output, exponential, details: None }
    }

    fn details(&mut self) -> &mut CallDetails {
        let exponential = self.exponential;
        self.details.get_or_insert_with(|| CallDetails::new(exponential))
    }

    /// Adds the times that a span says.
    pub(super) fn add_times(&mut self, measured: &MeasuredSpan<'_, '_>) {
        for ((_, value_of), total) in OF_CALLS.iter().zip(&mut self.details().times) {
            if let Some(value) = value_of(measured) {
                total.add(value, measured.weight, || measured.exemplar(value));
            }
        }
    }

    /// Counts the tokens of a call.
    pub(super) fn add_tokens(
        &mut self,
        tokens: &Tokens,
        weight: f64,
        exemplar: impl Fn(f64) -> Option<Exemplar>,
    ) {
        if let Some(input) = tokens.input() {
            self.input.add(input, weight, || exemplar(input));
        }
        if let Some(output) = tokens.output() {
            self.output.add(output, weight, || exemplar(output));
        }
        for (index, part) in tokens.parts() {
            if let Some(total) = self.details().parts.get_mut(index) {
                total.add(part, weight, || None);
            }
        }
    }

    /// Takes the tokens of a call back.
    pub(super) fn take_back_tokens(&mut self, tokens: &Tokens, weight: f64) {
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
    }

    /// Writes the points of a table of these.
    pub(super) fn export(table: &mut SeriesTable<Self>, export: &Export<'_>, batch: &mut Emission) {
        for (index, (instrument, _)) in OF_CALLS.iter().enumerate() {
            export.table(batch, instrument, table, |calls, point| {
                let details = calls.details.as_mut();
                point(details.and_then(|details| details.times.get_mut(index)), &[]);
            });
        }
        let [input, output] = ["input", "output"].map(|kind| attribute_of(&TOKEN_USAGE, kind));
        export.table(batch, &TOKEN_USAGE, table, |calls, point| {
            point(Some(&mut calls.input), &input);
            point(Some(&mut calls.output), &output);
        });
        for (index, instrument) in TOKEN_KINDS.iter().enumerate() {
            // What the tokens stand for, spans do not say by kind.
            let modality = attribute_of(instrument, "unknown");
            export.table(batch, instrument, table, |calls, point| {
                let details = calls.details.as_mut();
                point(details.and_then(|details| details.parts.get_mut(index)), &modality);
            });
        }
    }
}
