//! Changes: spikes and shifts of what calls of one key take, use and cost, and of the share that fails.

use super::call::ObservedCall;
use super::config::Check;
use super::finding::{Finding, FindingKind, Ids, Subject};
use super::level::{BLOCK_SECONDS, LevelChange, LevelDetector};
use super::log2;
use super::report::Report;
use super::share::{ShareChange, ShareDetector};
use crate::model::listed_enum;

listed_enum! {
    /// A quantity whose level is watched.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum Quantity {
        /// What a call takes.
        Duration,
        /// How long after its start the answer begins.
        FirstChunk,
        /// Tokens taken in.
        Input,
        /// Tokens given out.
        Output,
        /// What a call costs.
        Cost,
    }
}

/// The least change of a level that counts, as a logarithm to base 2: half as much again, or two thirds.
const LEAST_CHANGE: f32 = 0.585;
const NANOS: f32 = 1e9;
/// How far ahead of its calls a block may begin before its begin is taken for a mistake, in nanoseconds.
const AHEAD: u64 = 300_000_000_000;

impl Quantity {
    const fn name(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::FirstChunk => "time_to_first_chunk",
            Self::Input => "input_tokens",
            Self::Output => "output_tokens",
            Self::Cost => "cost",
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Duration | Self::FirstChunk => "s",
            Self::Input | Self::Output => "tokens",
            Self::Cost => "USD",
        }
    }

    fn of(self, call: &ObservedCall<'_>) -> Option<f64> {
        let value = match self {
            Self::Duration => call.seconds,
            Self::FirstChunk => call.first_chunk,
            Self::Input => call.tokens.input,
            Self::Output => call.tokens.output,
            Self::Cost => call.cost,
        };
        value.filter(|value| *value > 0.0)
    }
}

/// A level, and the largest value of the block that is open.
#[derive(Debug, Clone, Copy)]
struct Level {
    detector: LevelDetector,
    began: u64,
    largest: f32,
    largest_of: Option<Ids>,
}

/// What is learned of the calls of one key.
#[derive(Debug)]
pub(super) struct Changes {
    levels: [Level; Quantity::ALL.len()],
    failures: ShareDetector,
    /// When the open block began, in Unix nanoseconds.
    began: u64,
}

impl Changes {
    pub(super) fn new(unix_nanos: u64) -> Self {
        let level = Level {
            detector: LevelDetector::default(),
            began: unix_nanos,
            largest: f32::MIN,
            largest_of: None,
        };
        let failures = ShareDetector::default();
        Self { levels: [level; Quantity::ALL.len()], failures, began: unix_nanos }
    }

    pub(super) fn call(&mut self, call: &ObservedCall<'_>, subject: &Subject, report: &mut Report) {
        if let Some(change) = self.failures.add(call.has_failed) {
            tell_share(change, call, subject, report);
        }
        if !call.has_failed {
            for (quantity, level) in Quantity::ALL.into_iter().zip(&mut self.levels) {
                if let Some(value) = quantity.of(call) {
                    level.add(log2::of(value), call.ids);
                }
            }
        }
        let now = call.unix_nanos;
        if self.began > now.saturating_add(AHEAD) {
            self.began = now;
        }
        if seconds(self.began, now) >= BLOCK_SECONDS {
            self.close(call, subject, report);
        }
    }

    /// Ends the blocks that are full.
    fn close(&mut self, call: &ObservedCall<'_>, subject: &Subject, report: &mut Report) {
        let now = call.unix_nanos;
        self.failures.close(seconds(self.began, now));
        self.began = now;
        for (quantity, level) in Quantity::ALL.into_iter().zip(&mut self.levels) {
            if !level.detector.is_full() {
                continue;
            }
            let change = level.detector.close(seconds(level.began, now), LEAST_CHANGE);
            let span = level.largest_of.or(call.ids);
            (level.began, level.largest, level.largest_of) = (now, f32::MIN, None);
            if let Some(change) = change {
                tell_level(quantity, change, (now, span), subject, report);
            }
        }
    }
}

impl Level {
    #[inline]
    fn add(&mut self, log: f32, ids: Option<Ids>) {
        self.detector.add(log);
        if log > self.largest {
            (self.largest, self.largest_of) = (log, ids);
        }
    }
}

fn seconds(from: u64, to: u64) -> f32 {
    to.saturating_sub(from) as f32 / NANOS
}

#[cold]
fn tell_level(
    quantity: Quantity,
    change: LevelChange,
    (unix_nanos, span): (u64, Option<Ids>),
    subject: &Subject,
    report: &mut Report,
) {
    let (from, to) = (log2::back(change.from), log2::back(change.to));
    let (name, unit, values) = (quantity.name(), quantity.unit(), change.values);
    let what = if change.is_spike { "had a spike" } else { "has another level" };
    report.add(&Finding {
        check: Check::Changes,
        kind: if change.is_spike { FindingKind::Spike } else { FindingKind::LevelShift },
        signal: name,
        subject,
        numbers: &[
            ("fluentbit.ai.finding.usual", from),
            ("fluentbit.ai.finding.observed", to),
            ("fluentbit.ai.finding.ratio", to / from.max(f64::MIN_POSITIVE)),
            ("fluentbit.ai.finding.calls", f64::from(values)),
            ("fluentbit.ai.finding.spreads", f64::from(change.spreads)),
        ],
        texts: &[("fluentbit.ai.finding.unit", unit)],
        says: format!("{name} {what}: {to:.4} instead of {from:.4} {unit}, of {values} calls"),
        span,
        unix_nanos,
    });
}

#[cold]
fn tell_share(
    change: ShareChange,
    call: &ObservedCall<'_>,
    subject: &Subject,
    report: &mut Report,
) {
    let (from, to, values) = (change.from, change.to, change.values);
    report.add(&Finding {
        check: Check::Changes,
        kind: FindingKind::LevelShift,
        signal: "error_share",
        subject,
        numbers: &[
            ("fluentbit.ai.finding.usual", f64::from(from)),
            ("fluentbit.ai.finding.observed", f64::from(to)),
            ("fluentbit.ai.finding.calls", f64::from(values)),
        ],
        texts: &[],
        says: format!(
            "error_share has another level: {to:.3} instead of {from:.3}, of {values} calls"
        ),
        span: call.ids,
        unix_nanos: call.unix_nanos,
    });
}
