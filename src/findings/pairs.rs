//! Pairs: a primary and a shadow or canary model compared while both answer.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::call::ObservedCall;
use super::config::{Check, ModelPair};
use super::finding::{Finding, FindingKind, Ids, Subject};
use super::log2;
use super::pairs_sequence::{Difference, PairBounds, PairSequence};
use super::report::Report;
use crate::codec::msgpack::{Reader, elements, text_of};
use crate::model::{REFUSALS, listed_enum};

listed_enum! {
    /// A quantity that is compared.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum PairQuantity {
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
        /// Calls that fail.
        Failed,
        /// Answers that were cut.
        Cut,
        /// Answers that were refused.
        Refused,
        /// Answers that call tools.
        ToolCalls,
    }
}

const QUANTITIES: usize = PairQuantity::ALL.len();
/// Of which on shares are compared, and the logarithms of levels before.
const SHARES: usize = PairQuantity::Failed as usize;
/// Calls of each model that make a block, and how long one lasts at least and at most, in nanoseconds.
const BLOCK_CALLS: u32 = 16;
const BLOCK_NANOS: u64 = 60_000_000_000;
const LONGEST_BLOCK: u64 = 24 * 3600 * 1_000_000_000;
/// How far ahead of its calls a block may begin before its begin is taken for a mistake.
const AHEAD: u64 = 300_000_000_000;
/// Services and operations whose pairs are compared at most.
const MAX_KEYS: usize = 1000;
/// Keys that nothing came of for so long make room, in nanoseconds.
const IDLE: u64 = 24 * 3600 * 1_000_000_000;
/// How often room is looked for.
const MAKE_ROOM: u64 = 60 * 1_000_000_000;
/// Levels: a tenth more counts. Shares: two in a hundred.
const LEVELS: PairBounds = PairBounds { least: 0.1375, likely: 0.3, spread: 0.02 };
const PARTS: PairBounds = PairBounds { least: 0.02, likely: 0.05, spread: 0.02 };

/// What a quantity is called, its unit, and whether more of it is worse.
const WORDS: [(&str, &str, bool); QUANTITIES] = [
    ("duration", "s", true),
    ("time_to_first_chunk", "s", true),
    ("input_tokens", "tokens", false),
    ("output_tokens", "tokens", false),
    ("cost", "USD", true),
    ("error_share", "1", true),
    ("cut_share", "1", true),
    ("refusal_share", "1", true),
    ("tool_call_share", "1", false),
];

/// Of a share the difference, of a level the factor, and between which bounds it lies.
const DIFFERENCE: [&str; 3] = [
    "fluentbit.ai.finding.difference",
    "fluentbit.ai.finding.difference_low",
    "fluentbit.ai.finding.difference_high",
];
const RATIO: [&str; 3] = [
    "fluentbit.ai.finding.ratio",
    "fluentbit.ai.finding.ratio_low",
    "fluentbit.ai.finding.ratio_high",
];
/// Finish reasons of answers that were cut, and of those that call tools.
const CUT: [&str; 5] = ["length", "max_tokens", "MAX_TOKENS", "max_output_tokens", "model_length"];
const TOOL_CALLS: [&str; 4] = ["tool_call", "tool_calls", "tool_use", "function_call"];

/// What came of one model in a block: sums and numbers of values.
#[derive(Debug, Clone, Copy, Default)]
struct Side {
    calls: u32,
    sums: [f32; QUANTITIES],
    counts: [u32; QUANTITIES],
}

/// One pair of one service and operation.
#[derive(Debug)]
struct PairKey {
    subject: Subject,
    used: u64,
    /// When the block began, in Unix nanoseconds.
    began: u64,
    /// The primary and the shadow.
    sides: [Side; 2],
    sequences: [PairSequence; QUANTITIES],
}

/// Compares pairs.
#[derive(Debug)]
pub(super) struct PairWatch {
    pairs: Vec<ModelPair>,
    keys: HashMap<u64, Box<PairKey>, RandomState>,
    made_room: u64,
}

impl PairWatch {
    pub(super) fn new(pairs: &[ModelPair]) -> Self {
        Self { pairs: pairs.to_vec(), keys: HashMap::default(), made_room: 0 }
    }

    pub(super) fn call(&mut self, call: &ObservedCall<'_>, report: &mut Report) {
        let names = [call.request_model, call.response_model]
            .map(|name| Reader::new(name).str().unwrap_or_default());
        let is_of = |model: &str| !model.is_empty() && names.contains(&model.as_bytes());
        for (at, pair) in self.pairs.iter().enumerate() {
            // Where the names of both are there, the requested one tells.
            let is_shadow = match (is_of(&pair.primary), is_of(&pair.shadow)) {
                (false, false) => continue,
                (true, true) => names[0] == pair.shadow.as_bytes(),
                (_, is_shadow) => is_shadow,
            };
            let hash = xxh3_64_with_seed(call.operation, call.origin.service_hash());
            let hash = hash.wrapping_add(at as u64);
            let now = call.unix_nanos;
            if !self.keys.contains_key(&hash) {
                if self.keys.len() >= MAX_KEYS && now.saturating_sub(self.made_room) >= MAKE_ROOM {
                    self.made_room = now;
                    self.keys.retain(|_, key| now.saturating_sub(key.used) < IDLE);
                }
                if self.keys.len() >= MAX_KEYS {
                    report.note_unwatched();
                    continue;
                }
                self.keys.insert(hash, Box::new(PairKey::new(call, pair)));
            }
            if let Some(key) = self.keys.get_mut(&hash) {
                key.add(call, (pair, is_shadow), report);
            }
        }
    }
}

impl PairKey {
    fn new(call: &ObservedCall<'_>, pair: &ModelPair) -> Self {
        let subject = call.origin.service().and("gen_ai.operation.name", call.operation);
        let subject = subject.named("fluentbit.ai.finding.primary", &pair.primary);
        Self {
            subject: subject.named("fluentbit.ai.finding.shadow", &pair.shadow),
            used: call.unix_nanos,
            began: call.unix_nanos,
            sides: [Side::default(); 2],
            sequences: [PairSequence::default(); QUANTITIES],
        }
    }

    fn add(
        &mut self,
        call: &ObservedCall<'_>,
        (pair, is_shadow): (&ModelPair, bool),
        report: &mut Report,
    ) {
        let now = call.unix_nanos;
        self.used = self.used.max(now);
        if self.began > now.saturating_add(AHEAD) {
            self.began = now;
        }
        if let Some(side) = self.sides.get_mut(usize::from(is_shadow)) {
            side.add(call);
        }
        let length = now.saturating_sub(self.began);
        if length >= BLOCK_NANOS && self.sides.iter().all(|side| side.calls >= BLOCK_CALLS) {
            self.close(pair, (now, call.ids), report);
        } else if length >= LONGEST_BLOCK {
            (self.sides, self.began) = ([Side::default(); 2], now);
        }
    }

    /// Ends a block.
    #[cold]
    fn close(&mut self, pair: &ModelPair, (now, ids): (u64, Option<Ids>), report: &mut Report) {
        let [primary, shadow] = std::mem::take(&mut self.sides);
        self.began = now;
        for (index, sequence) in self.sequences.iter_mut().enumerate() {
            let Some((before, after)) = primary.mean(index).zip(shadow.mean(index)) else {
                continue;
            };
            let bounds = if index < SHARES { &LEVELS } else { &PARTS };
            let Some(difference) = sequence.add(before, after, bounds) else { continue };
            tell(index, &difference, pair, &self.subject, (now, ids), report);
        }
    }
}

impl Side {
    fn add(&mut self, call: &ObservedCall<'_>) {
        self.calls = self.calls.saturating_add(1);
        let (has_failed, mut values) = (call.has_failed, [None; QUANTITIES]);
        let log = |value: Option<f64>| value.filter(|value| *value > 0.0).map(log2::of);
        if !has_failed {
            let tokens = &call.tokens;
            let all = [call.seconds, call.first_chunk, tokens.input, tokens.output, call.cost];
            values.iter_mut().zip(all).for_each(|(value, of_call)| *value = log(of_call));
        }
        let shares = values.iter_mut().skip(SHARES);
        shares.zip(shares_of(call)).for_each(|(value, share)| *value = share);
        for ((sum, count), value) in self.sums.iter_mut().zip(&mut self.counts).zip(values) {
            if let Some(value) = value {
                *sum += value;
                *count = count.saturating_add(1);
            }
        }
    }

    /// The mean of a quantity that half of the calls of a block have at least.
    fn mean(&self, index: usize) -> Option<f32> {
        let (sum, count) = self.sums.get(index).zip(self.counts.get(index))?;
        (*count >= BLOCK_CALLS / 2).then_some(*sum / *count as f32)
    }
}

/// Whether a call failed, and whether its answer was cut, refused, or calls tools.
fn shares_of(call: &ObservedCall<'_>) -> [Option<f32>; QUANTITIES - SHARES] {
    let reasons = call.finish_reasons;
    let is_known = !reasons.is_empty();
    let has = |words: &[&str]| {
        let is_one = |reason: &str| words.contains(&reason);
        let is_any = || {
            text_of(reasons).is_some_and(is_one)
                || elements(reasons).filter_map(text_of).any(is_one)
        };
        is_known.then(|| f32::from(u8::from(is_any())))
    };
    [Some(f32::from(u8::from(call.has_failed))), has(&CUT), has(&REFUSALS), has(&TOOL_CALLS)]
}

#[cold]
fn tell(
    index: usize,
    difference: &Difference,
    pair: &ModelPair,
    subject: &Subject,
    (unix_nanos, span): (u64, Option<Ids>),
    report: &mut Report,
) {
    let Some((name, unit, is_worse)) = WORDS.get(index).copied() else { return };
    let Difference { level, mean, low, high, blocks } = *difference;
    let is_share = index >= SHARES;
    let value = |level: f32| if is_share { f64::from(level) } else { log2::back(level) };
    // Of logarithms the difference is a factor.
    let what = if is_share { "difference" } else { "ratio" };
    let by = |difference: f32| {
        if is_share { f64::from(difference) } else { f64::from(difference).exp2() }
    };
    let (usual, observed) = (value(level), value(level + mean));
    let worse: &str = match (is_worse, mean > 0.0) {
        (false, _) => "",
        (true, true) => &pair.shadow,
        (true, false) => &pair.primary,
    };
    let mut says = format!(
        "{name} of '{}' is {observed:.4} {unit}, that of '{}' {usual:.4}: {what} {:.3} ({:.3} to {:.3}), of {blocks} blocks",
        pair.shadow,
        pair.primary,
        by(mean),
        by(low),
        by(high)
    );
    if !worse.is_empty() {
        says.push_str("; worse is ");
        says.push_str(worse);
    }
    let keys = if is_share { DIFFERENCE } else { RATIO };
    report.add(&Finding {
        check: Check::Pairs,
        kind: FindingKind::PairDifference,
        signal: name,
        subject,
        numbers: &[
            ("fluentbit.ai.finding.usual", usual),
            ("fluentbit.ai.finding.observed", observed),
            (keys[0], by(mean)),
            (keys[1], by(low)),
            (keys[2], by(high)),
            ("fluentbit.ai.finding.blocks", f64::from(blocks)),
        ],
        texts: &[("fluentbit.ai.finding.unit", unit), ("fluentbit.ai.finding.worse", worse)],
        says,
        span,
        unix_nanos,
    });
}
