//! Prompt group: the calls of one prompt, or of prompts that are similar, and whether they differ more than calls do.
//!
//! Each signal has a usual value, by the vote of Boyer and Moore (1991): a call that agrees with it supports it, one that
//! does not takes a support away, and where none is left the value of that call is the usual one. So it is that of most
//! calls, wherever the others lie. How often calls differ is held against how often those of other groups do, by the
//! logarithm of the ratio of likelihoods, added up and never less than zero (Page 1954).

use super::super::finding::Ids;
use super::norms::{NOT_DIFFERENT, Norms, SIGNALS};

/// Bits that make a finding: a mean of 2^26, 67 million, calls of a group between two by chance (Lorden 1971).
const ENOUGH: f32 = 26.0;
/// The most support of a usual value, and what it has once it is known: so that one that was taken for usual by mistake
/// goes before that is a finding.
const MAX_SUPPORT: u8 = 32;
const FIRST_SUPPORT: u8 = 4;
/// After how many calls it is known.
const LEARNED: u16 = 6;
/// From how many calls of a group is learned how often calls differ, so that one of many calls does not say it alone.
const TELLING: u16 = LEARNED + 16;

/// What one signal of a call says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Observed {
    /// The logarithm of a value to base 2, which differs when it is so far away at least.
    Level(f32, f32),
    /// One of several outcomes.
    Outcome(u8),
}

/// A call of the group.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct GroupCall {
    pub(super) ids: Option<Ids>,
    pub(super) prompt: u64,
    pub(super) sketch: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Signal {
    /// A level, or the number of an outcome.
    usual: f32,
    evidence: f32,
    calls: u16,
    different: u16,
    support: u8,
    is_told: bool,
}

/// The calls of one prompt, or of similar ones.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Group {
    signals: [Signal; SIGNALS],
    /// The last call that was as usual.
    pub(super) usual: GroupCall,
    /// Calls of it.
    pub(super) calls: u16,
}

/// A signal that differs too often.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Departure {
    pub(super) signal: usize,
    /// The usual value as [`Observed`] has it, and the one of this call.
    pub(super) usual: f32,
    pub(super) observed: f32,
    pub(super) calls: u16,
    pub(super) different: u16,
}

impl Group {
    /// Adds a call, and says which signals differ, by bits, and which does so too often by now. `counting` are the bits
    /// of the signals that count.
    pub(super) fn add(
        &mut self,
        (number, call): (u32, GroupCall),
        observed: [Option<Observed>; SIGNALS],
        counting: u8,
        norms: &mut Norms,
    ) -> (u8, Option<Departure>) {
        let (mut different, mut found) = (0, None);
        self.calls = self.calls.saturating_add(1);
        for (at, (signal, observed)) in self.signals.iter_mut().zip(observed).enumerate() {
            let Some(observed) = observed else { continue };
            let usual = signal.usual;
            let is_counted = counting >> at & 1 == 1;
            let Some(differs) = signal.add(at, observed, norms) else { continue };
            different |= u8::from(differs) << at;
            if !is_counted || !signal.judge((at, number), differs, norms) {
                continue;
            }
            let value = match observed {
                Observed::Level(value, _) => value,
                Observed::Outcome(outcome) => f32::from(outcome),
            };
            found = found.or(Some(Departure {
                signal: at,
                usual,
                observed: value,
                calls: signal.calls,
                different: signal.different,
            }));
        }
        norms.note(number, different);
        if different == 0 {
            self.usual = call;
        }
        (different, found)
    }
}

impl Signal {
    /// Adds a value, and says whether it differs from the usual one; `None` before that is known.
    fn add(&mut self, at: usize, observed: Observed, norms: &mut Norms) -> Option<bool> {
        let is_known = self.calls >= LEARNED;
        let (value, differs) = match observed {
            Observed::Level(value, least) => {
                let away = value - self.usual;
                let differs = away.abs() > norms.reach(at, least);
                if is_known {
                    norms.learn_distance(at, away.abs());
                }
                let step = norms.step(at, self.calls);
                self.usual += away.clamp(-step, step);
                (value, differs)
            }
            Observed::Outcome(outcome) => {
                let value = f32::from(outcome);
                (value, (value - self.usual).abs() > 0.5)
            }
        };
        if !differs && self.support > 0 {
            self.support = (self.support + 1).min(MAX_SUPPORT);
        } else if self.support > 1 {
            self.support -= 1;
        } else {
            // What is known of the one before does not hold of this one.
            let support = if is_known { FIRST_SUPPORT } else { 1 };
            (self.usual, self.evidence, self.support) = (value, 0.0, support);
        }
        if self.calls == LEARNED - 1 {
            self.support = FIRST_SUPPORT;
        }
        self.calls = self.calls.saturating_add(1);
        is_known.then_some(differs)
    }

    /// Weighs whether a call differs, and says whether that is enough for a finding.
    fn judge(&mut self, (at, number): (usize, u32), differs: bool, norms: &mut Norms) -> bool {
        norms.learn(at, differs, self.calls <= TELLING);
        if !differs {
            self.evidence = (self.evidence + NOT_DIFFERENT).max(0.0);
            return false;
        }
        self.different = self.different.saturating_add(1);
        self.evidence += norms.likelihood(at, number);
        let is_found = self.evidence >= ENOUGH && !self.is_told;
        self.is_told |= is_found;
        is_found
    }
}

#[cfg(test)]
mod tests {
    use super::super::norms::{Compared, PromptNorms};
    use super::*;

    /// Guarantees: a group takes more calls than its counts hold.
    #[test]
    fn counts_end_at_their_most() {
        let (mut group, mut norms) = (Group::default(), PromptNorms::default());
        let mut observed = [None; SIGNALS];
        for call in 0..70_000_u32 {
            observed[0] = Some(Observed::Outcome(u8::from(call % 3 == 0)));
            observed[1] = Some(Observed::Level(1.0, 2.0));
            let of = norms.of(Compared::Same);
            group.add((1, GroupCall::default()), observed, u8::MAX, of);
        }
        assert_eq!((group.calls, group.signals[1].different), (u16::MAX, 0));
        assert_eq!(group.signals[0].calls, u16::MAX);
    }
}
