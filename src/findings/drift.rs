//! Drift: distributions of answers and of their evaluations that are not what they were in the days before.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::call::{ObservedCall, ObservedEvaluation};
use super::config::Check;
use super::drift_bins::{Dither, DriftSignal, Names, score_position, tokens_position};
use super::drift_windows::{Drift, DriftWindows, Moment};
use super::finding::{Finding, FindingKind, Ids, Subject};
use super::report::Report;
use crate::codec::msgpack::{elements, text_of};
use crate::model::{REFUSALS, SpanId};

/// Keys that nothing came of for so long may make room for others, in nanoseconds.
const IDLE: u64 = 3600 * 1_000_000_000;
/// How often room is looked for, and which part of the keys goes then.
const MAKE_ROOM: u64 = 60 * 1_000_000_000;
const GOES: usize = 16;
/// Calls of one generation whose evaluations find them: those of the last are known too.
const MAX_CALLS: usize = 16_384;
/// Bins that the evidence names.
const TOLD_BINS: usize = 3;

/// One distribution of a key.
#[derive(Debug)]
struct Distribution {
    windows: DriftWindows,
    dither: Dither,
    names: Names,
}

/// What is known of the answers or of an evaluation of one key.
#[derive(Debug)]
struct DriftKey {
    subject: Subject,
    /// When it was last told of, in Unix nanoseconds.
    used: u64,
    distributions: [Option<Box<Distribution>>; DriftSignal::ALL.len()],
}

/// What is counted.
#[derive(Clone, Copy)]
enum Counted<'v> {
    Number(f32),
    Name(&'v str),
    Bin(usize),
}

/// Watches distributions.
#[derive(Debug)]
pub(super) struct DriftWatch {
    keys: HashMap<u64, DriftKey, RandomState>,
    max_keys: usize,
    made_room: u64,
    /// Which key the call of a span or of a response has.
    young: HashMap<u64, u64, RandomState>,
    old: HashMap<u64, u64, RandomState>,
    /// Whether there are evaluations, for which calls have to be remembered.
    has_evaluations: bool,
}

impl DriftWatch {
    pub(super) fn new(max_keys: usize) -> Self {
        Self {
            keys: HashMap::default(),
            max_keys,
            made_room: 0,
            young: HashMap::default(),
            old: HashMap::default(),
            has_evaluations: false,
        }
    }

    /// How many keys are learned of.
    pub(super) fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Looks at a call, whose key for other checks has this hash.
    pub(super) fn call(&mut self, call: &ObservedCall<'_>, hash: u64, report: &mut Report) {
        let prompt = [call.prompt_name, call.prompt_version];
        let hash = prompt.iter().fold(hash, |hash, part| xxh3_64_with_seed(part, hash));
        if self.has_evaluations {
            self.remember(call, hash);
        }
        let Some(key) = self.key(hash, call.unix_nanos, report, |_| {
            let [name, version] = prompt;
            let subject = call.subject().and("gen_ai.prompt.name", name);
            subject.and("gen_ai.prompt.version", version)
        }) else {
            return;
        };
        let at = (Moment::new(call.unix_nanos), call.ids);
        if let Some(reason) = first_text(call.finish_reasons) {
            let is_refused = is_refused(call.finish_reasons);
            let refused = Counted::Bin(usize::from(is_refused));
            key.add(DriftSignal::Refusals, refused, &at, report);
            if !is_refused {
                key.add(DriftSignal::FinishReasons, Counted::Name(reason), &at, report);
            }
        }
        if let Some(tokens) = call.tokens.output.filter(|tokens| *tokens > 0.0 && !call.has_failed)
        {
            let position = Counted::Number(tokens_position(tokens));
            key.add(DriftSignal::OutputLength, position, &at, report);
        }
    }

    /// Looks at an evaluation.
    pub(super) fn evaluation(&mut self, evaluation: &ObservedEvaluation<'_>, report: &mut Report) {
        self.has_evaluations = true;
        let Some(name) = text_of(evaluation.name).filter(|name| !name.is_empty()) else { return };
        let ids = [response_hash(evaluation.response_id), evaluation.ids.map(span_hash)];
        let call = ids.into_iter().flatten().find_map(|id| self.call_of(id));
        let hash = call.unwrap_or_else(|| evaluation.origin.service_hash());
        let hash = xxh3_64_with_seed(name.as_bytes(), hash);
        let Some(key) = self.key(hash, evaluation.unix_nanos, report, |keys| {
            let of_call = call.and_then(|call| keys.get(&call)).map(|key| key.subject.clone());
            let of = of_call.unwrap_or_else(|| evaluation.origin.service());
            of.and("gen_ai.evaluation.name", evaluation.name)
        }) else {
            return;
        };
        let at = (Moment::new(evaluation.unix_nanos), evaluation.ids);
        if let Some(score) = evaluation.score {
            let position = Counted::Number(score_position(score));
            key.add(DriftSignal::Score, position, &at, report);
        } else if let Some(label) = text_of(evaluation.label).filter(|label| !label.is_empty()) {
            key.add(DriftSignal::Label, Counted::Name(label), &at, report);
        }
    }

    /// What is known of a key, which is added if there is room.
    fn key(
        &mut self,
        hash: u64,
        now: u64,
        report: &mut Report,
        subject: impl FnOnce(&HashMap<u64, DriftKey, RandomState>) -> Subject,
    ) -> Option<&mut DriftKey> {
        if !self.keys.contains_key(&hash) {
            if self.keys.len() >= self.max_keys {
                self.make_room(now);
            }
            if self.keys.len() >= self.max_keys {
                report.note_unwatched();
                return None;
            }
            let subject = subject(&self.keys);
            self.keys
                .insert(hash, DriftKey { subject, used: now, distributions: Default::default() });
        }
        let key = self.keys.get_mut(&hash)?;
        key.used = key.used.max(now);
        Some(key)
    }

    /// Forgets the keys that were used least recently, but for those of the last hour.
    #[cold]
    fn make_room(&mut self, now: u64) {
        if now.saturating_sub(self.made_room) < MAKE_ROOM {
            return;
        }
        self.made_room = now;
        let mut used: Vec<u64> = self.keys.values().map(|key| key.used).collect();
        used.sort_unstable();
        let last = used.get(used.len() / GOES).copied().unwrap_or(0);
        let last = last.min(now.saturating_sub(IDLE));
        self.keys.retain(|_, key| key.used > last);
    }

    fn remember(&mut self, call: &ObservedCall<'_>, key: u64) {
        if self.young.len() >= MAX_CALLS {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        let ids = [response_hash(call.response_id), call.ids.map(span_hash)];
        for id in ids.into_iter().flatten() {
            self.young.insert(id, key);
        }
    }

    fn call_of(&self, id: u64) -> Option<u64> {
        self.young.get(&id).or_else(|| self.old.get(&id)).copied()
    }
}

impl DriftKey {
    fn add(
        &mut self,
        signal: DriftSignal,
        counted: Counted<'_>,
        (moment, ids): &(Moment, Option<Ids>),
        report: &mut Report,
    ) {
        let Some(slot) = self.distributions.get_mut(signal as usize) else { return };
        let bins = signal.bins();
        let distribution = slot.get_or_insert_with(|| {
            let windows = DriftWindows::new(bins, moment);
            Box::new(Distribution { windows, dither: Dither::default(), names: Names::default() })
        });
        let bin = match counted {
            Counted::Number(position) => distribution.dither.bin(position, bins),
            Counted::Name(name) => distribution.names.bin(name),
            Counted::Bin(bin) => bin,
        };
        if let Some(drift) = distribution.windows.add(bin, moment, signal.least()) {
            tell(signal, &drift, distribution, &self.subject, (moment.unix_nanos(), *ids), report);
        }
    }
}

/// A text, or the first one of a list.
fn first_text(encoded: &[u8]) -> Option<&str> {
    text_of(encoded).or_else(|| elements(encoded).find_map(text_of)).filter(|text| !text.is_empty())
}

/// Whether one of the reasons is that somebody refused to answer.
fn is_refused(reasons: &[u8]) -> bool {
    let is_refusal = |reason: &str| REFUSALS.contains(&reason);
    text_of(reasons).is_some_and(is_refusal)
        || elements(reasons).filter_map(text_of).any(is_refusal)
}

fn span_hash((trace, SpanId(span)): Ids) -> u64 {
    xxh3_64_with_seed(&span, xxh3_64(&trace.0))
}

/// The hash of an encoded id of a response.
fn response_hash(id: &[u8]) -> Option<u64> {
    text_of(id).filter(|id| !id.is_empty()).map(|id| xxh3_64(id.as_bytes()))
}

#[cold]
fn tell(
    signal: DriftSignal,
    drift: &Drift,
    distribution: &Distribution,
    subject: &Subject,
    (unix_nanos, span): (u64, Option<Ids>),
    report: &mut Report,
) {
    let (name, calls) = (signal.name(), drift.calls.round());
    let bins = moved_bins(signal, drift, distribution);
    let refused = distribution.windows.shares(drift).nth(1);
    let (usual, observed) = match refused.filter(|_| signal == DriftSignal::Refusals) {
        Some((usual, observed)) => (f64::from(usual), f64::from(observed)),
        None => (f64::NAN, f64::NAN),
    };
    report.add(&Finding {
        check: Check::Drift,
        kind: FindingKind::Drift,
        signal: name,
        subject,
        numbers: &[
            ("fluentbit.ai.finding.usual", usual),
            ("fluentbit.ai.finding.observed", observed),
            ("fluentbit.ai.finding.moved", f64::from(drift.moved)),
            ("fluentbit.ai.finding.statistic", f64::from(drift.statistic)),
            ("fluentbit.ai.finding.degrees_of_freedom", f64::from(drift.degrees)),
            ("fluentbit.ai.finding.spreads", f64::from(drift.spreads)),
            ("fluentbit.ai.finding.calls", f64::from(calls)),
            ("fluentbit.ai.finding.reference_calls", f64::from(drift.reference_calls.round())),
            ("fluentbit.ai.finding.seconds", drift.nanos as f64 / 1e9),
        ],
        texts: &[("fluentbit.ai.finding.bins", &bins)],
        says: format!(
            "{name} drifted: {:.0} % of {calls} lie elsewhere than in the days before: {bins}",
            drift.moved * 100.0
        ),
        span,
        unix_nanos,
    });
}

/// The bins that moved most, with their shares before and now.
fn moved_bins(signal: DriftSignal, drift: &Drift, distribution: &Distribution) -> String {
    let shares: Vec<(f32, f32)> = distribution.windows.shares(drift).collect();
    let mut left: Vec<usize> = (0..shares.len()).collect();
    let far = |bin: usize| shares.get(bin).map_or(0.0, |(before, now)| (now - before).abs());
    let mut text = String::new();
    for _ in 0..TOLD_BINS {
        let most =
            left.iter().copied().reduce(|one, bin| if far(bin) > far(one) { bin } else { one });
        let Some(bin) = most.filter(|bin| far(*bin) > 0.0005) else { break };
        left.retain(|other| *other != bin);
        let (before, now) = shares.get(bin).copied().unwrap_or_default();
        if !text.is_empty() {
            text.push_str("; ");
        }
        let name = distribution.names.of_bin(signal, bin);
        text.push_str(&format!("{name} {before:.3} -> {now:.3}"));
    }
    text
}
