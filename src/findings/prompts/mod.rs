//! Prompts: the same prompt with very different outcomes, and similar prompts with different outcomes.
//!
//! A prompt is known by a hash under a secret, similar ones by a sketch under the same. Nothing else of it is kept.

mod group;
mod letters;
mod norms;
mod similarity;
mod table;
mod text;

pub(super) use self::norms::PromptNorms;

use memchr::memmem;

use self::group::{Departure, GroupCall, Observed};
use self::norms::{Compared, SIGNALS};
use self::similarity::{distance, mix};
use self::table::{Identity, PromptTable};
use self::text::PromptText;
use super::call::ObservedCall;
use super::config::{Check, PromptSecret};
use super::finding::{Finding, FindingKind, Subject, cut};
use super::log2;
use super::report::Report;
use crate::codec::msgpack::{MapView, Reader, Token, elements, text_of};
use crate::codec::records::layout::keys;
use crate::digest::Digest;
use crate::model::{REFUSALS, hex};

/// What is compared of the same prompt, and of similar ones, with the units.
const SAME: [(&str, &str); SIGNALS] = [
    ("duration", "s"),
    ("input_tokens", "tokens"),
    ("output_tokens", "tokens"),
    ("cost", "USD"),
    ("", ""),
];
const SIMILAR: [(&str, &str); SIGNALS] = [
    ("output_tokens", "tokens"),
    ("error", ""),
    ("refusal", ""),
    ("finish_reason", ""),
    ("evaluation", ""),
];
/// The bits of the length of the output among these.
const SAME_LENGTH: u8 = 1 << 2;
const LENGTH: u8 = 1;
/// A factor of four, and for tokens taken in, which the prompt alone should say, of a half more.
const LEAST: f32 = 2.0;
const LEAST_INPUT: f32 = 0.585;
/// Names of outcomes that are told apart.
const MAX_OUTCOMES: usize = 100;
const OTHER: &str = "_OTHER";
/// The event of an evaluation.
const EVALUATION: &[u8] = b"gen_ai.evaluation.result";

/// Outcomes by their numbers.
#[derive(Debug, Default)]
struct OutcomeNames(Vec<Box<str>>);

impl OutcomeNames {
    fn number(&mut self, name: &str) -> u8 {
        let name = if name.len() > 64 { OTHER } else { name };
        let known = self.0.iter().position(|known| **known == *name);
        let at = known.unwrap_or_else(|| {
            if self.0.len() < MAX_OUTCOMES {
                self.0.push(name.into());
            } else if let Some(last) = self.0.last_mut() {
                *last = OTHER.into();
            }
            self.0.len() - 1
        });
        u8::try_from(at).unwrap_or(u8::MAX)
    }

    /// The name of what [`Departure`] has.
    fn name(&self, number: f32) -> &str {
        let mut named = self.0.iter().zip(0_u8..);
        named.find(|(_, at)| f32::from(*at) == number).map_or("", |(name, _)| name)
    }
}

/// Watches prompts.
#[derive(Debug)]
pub(super) struct PromptWatch {
    secret: Digest,
    seed: u64,
    /// How many prompts are remembered.
    most: usize,
    table: Option<PromptTable>,
    text: PromptText,
    outcomes: OutcomeNames,
    /// Finds whether events have an evaluation.
    evaluated: memmem::Finder<'static>,
}

impl PromptWatch {
    pub(super) fn new(PromptSecret([seed, key]): PromptSecret, most: usize) -> Self {
        Self {
            secret: Digest::keyed(&key.to_le_bytes()),
            seed,
            most,
            table: None,
            text: PromptText::default(),
            outcomes: OutcomeNames::default(),
            evaluated: memmem::Finder::new(EVALUATION),
        }
    }

    pub(super) fn call(
        &mut self,
        call: &ObservedCall<'_>,
        key: u64,
        (norms, subject): (&mut PromptNorms, &Subject),
        report: &mut Report,
    ) {
        if !self.text.read(call.input_messages, call.system_instructions) {
            return;
        }
        let prompt = self.text.hash(self.seed);
        // Of a call that two libraries tell of, each is compared with its like.
        let scope = mix(key ^ call.origin.library_hash());
        let now = u32::try_from(call.unix_nanos / 1_000_000_000).unwrap_or(u32::MAX);
        let table = self.table.get_or_insert_with(|| PromptTable::new(self.most));
        let (at, of) = table.prompt(prompt ^ scope).unwrap_or_else(|| {
            let (frame, sketch) = (self.text.frame(self.seed ^ scope), self.text.sketch(self.seed));
            let of = Identity { key, prompt: prompt ^ scope, frame, sketch };
            (table.add_prompt(of, now), of)
        });
        self.text.clear();
        let this = GroupCall { ids: call.ids, prompt, sketch: of.sketch.unwrap_or_default() };
        let Some(group) = table.group(at, now) else { return };
        let of_same = norms.of(Compared::Same);
        let (different, found) = group.add((number(at), this), same(call), u8::MAX, of_same);
        let usual = group.usual;
        if let Some(departure) = found {
            self.tell(Compared::Same, &departure, (this, usual), (call, subject), report);
        }
        let Some(table) = &mut self.table else { return };
        let Some(at) = table.similar(of, now) else { return };
        let observed = similar(call, &mut self.outcomes, &self.evaluated);
        let Some(group) = table.group(at, now) else { return };
        let usual = group.usual;
        // How far answers to one prompt differ in length is compared above.
        let is_own = usual.prompt == prompt || different & SAME_LENGTH != 0;
        let counting = if is_own { !LENGTH } else { u8::MAX };
        let norms = norms.of(Compared::Similar);
        let (_, found) = group.add((number(at), this), observed, counting, norms);
        if let Some(departure) = found {
            self.tell(Compared::Similar, &departure, (this, usual), (call, subject), report);
        }
    }

    /// A short name of a prompt, from which it cannot be guessed.
    fn name(&self, prompt: u64) -> String {
        hex(self.secret.of(&prompt.to_le_bytes()).get(..6).unwrap_or_default())
    }

    #[cold]
    fn tell(
        &self,
        compared: Compared,
        departure: &Departure,
        (this, usual): (GroupCall, GroupCall),
        (call, subject): (&ObservedCall<'_>, &Subject),
        report: &mut Report,
    ) {
        let is_same = compared == Compared::Same;
        let signals = if is_same { &SAME } else { &SIMILAR };
        let (signal, unit) = signals.get(departure.signal).copied().unwrap_or_default();
        let is_level = !unit.is_empty();
        let level = |log| if is_level { log2::back(log) } else { f64::NAN };
        let (from, to) = (level(departure.usual), level(departure.observed));
        let outcome = |number| if is_level { "" } else { self.outcomes.name(number) };
        let outcomes = [departure.usual, departure.observed].map(outcome);
        let (calls, affected) = (departure.calls, departure.different);
        let prompts = [this, usual].map(|call| self.name(call.prompt));
        let trace = usual.ids.map_or_else(String::new, |(trace, _)| hex(&trace.0));
        let apart = f64::from(distance(this.sketch, usual.sketch));
        let whose = if is_same { "one prompt" } else { "similar prompts" };
        let says = if is_level {
            format!(
                "{signal} of {whose} differs in {affected} of {calls} calls: {to:.4} {unit} where {from:.4} is usual"
            )
        } else {
            format!(
                "{signal} of {whose} differs in {affected} of {calls} calls: '{}' where '{}' is usual",
                outcomes[1], outcomes[0]
            )
        };
        report.add(&Finding {
            check: Check::Prompts,
            kind: if is_same { FindingKind::SamePrompt } else { FindingKind::SimilarPrompts },
            signal,
            subject,
            numbers: &[
                ("fluentbit.ai.finding.usual", from),
                ("fluentbit.ai.finding.observed", to),
                ("fluentbit.ai.finding.ratio", to / from.max(f64::MIN_POSITIVE)),
                ("fluentbit.ai.finding.calls", f64::from(calls)),
                ("fluentbit.ai.finding.affected_calls", f64::from(affected)),
                ("fluentbit.ai.finding.distance", if is_same { f64::NAN } else { apart }),
            ],
            texts: &[
                ("fluentbit.ai.finding.unit", unit),
                ("fluentbit.ai.finding.prompt", &prompts[0]),
                ("fluentbit.ai.finding.usual_prompt", if is_same { "" } else { &prompts[1] }),
                ("fluentbit.ai.finding.usual_trace", &trace),
                ("fluentbit.ai.finding.usual_outcome", outcomes[0]),
                ("fluentbit.ai.finding.observed_outcome", outcomes[1]),
            ],
            says,
            span: call.ids,
            unix_nanos: call.unix_nanos,
        });
    }
}

/// The number of a group at a place; none is 0.
fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or_default().wrapping_add(1)
}

fn level(value: Option<f64>, least: f32) -> Option<Observed> {
    let value = value.filter(|value| *value > 0.0)?;
    Some(Observed::Level(log2::of(value), least))
}

/// What is compared of the same prompt: of calls that succeeded.
fn same(call: &ObservedCall<'_>) -> [Option<Observed>; SIGNALS] {
    if call.has_failed {
        return [None; SIGNALS];
    }
    let (duration, output) = (level(call.seconds, LEAST), level(call.tokens.output, LEAST));
    let (input, cost) = (level(call.tokens.input, LEAST_INPUT), level(call.cost, LEAST));
    [duration, input, output, cost, None]
}

/// What is compared of similar prompts.
fn similar(
    call: &ObservedCall<'_>,
    outcomes: &mut OutcomeNames,
    evaluated: &memmem::Finder<'_>,
) -> [Option<Observed>; SIGNALS] {
    let mut outcome = |name: &str| Some(Observed::Outcome(outcomes.number(name)));
    let has_evaluation = evaluated.find(call.events).is_some();
    let evaluation = if has_evaluation { evaluation(call.events, &mut outcome) } else { None };
    if call.has_failed {
        return [None, outcome("error"), None, None, evaluation];
    }
    let reason = finish_reason(call.finish_reasons);
    let is_refused = REFUSALS.iter().any(|refusal| reason.eq_ignore_ascii_case(refusal));
    let refusal = outcome(if is_refused { "refused" } else { "answered" });
    let reason = if reason.is_empty() || is_refused { None } else { outcome(reason) };
    let length = level(call.tokens.output, LEAST).filter(|_| !is_refused);
    [length, outcome("success"), refusal, reason, evaluation]
}

/// The first finish reason.
fn finish_reason(encoded: &[u8]) -> &str {
    let first = || elements(encoded).next().and_then(text_of);
    text_of(encoded).or_else(first).unwrap_or_default()
}

/// What the first evaluation in the events of a span says: its label, or else whether its score is a half at least.
fn evaluation(
    events: &[u8],
    outcome: &mut impl FnMut(&str) -> Option<Observed>,
) -> Option<Observed> {
    let is_evaluation = |event: &&[u8]| {
        let name = MapView::new(event).get(keys::NAME).and_then(text_of);
        name.is_some_and(|name| name.as_bytes() == EVALUATION)
    };
    let event = elements(events).find(is_evaluation)?;
    let attributes = MapView::new(MapView::new(event).get(keys::ATTRIBUTES)?);
    if let Some(label) = attributes.get(b"gen_ai.evaluation.score.label").and_then(text_of) {
        return outcome(cut(label));
    }
    let score = attributes.get(b"gen_ai.evaluation.score.value")?;
    let is_high = match Reader::new(score).token().ok()? {
        Token::Float(score) => score >= 0.5,
        Token::Uint(score) => score > 0,
        _ => false,
    };
    outcome(if is_high { "high" } else { "low" })
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod text_slow;
#[cfg(test)]
mod text_tests;
