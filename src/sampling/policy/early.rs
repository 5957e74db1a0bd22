//! Decisions before all spans of a trace are there, where nothing that follows can change them.

use super::facts::{KeepProbability, TraceFacts};
use super::rule::{Match, Prospect};
use super::{Candidates, Policies, PolicyAction, TraceOutcome, in_order};

impl Policies {
    /// Decides if no span that may follow can change the outcome: whether the trace stays, and with which
    /// probability. Of several policies that keep it for certain, the one is named that is known first.
    /// `chance_is_known` says that no span that follows can change the randomness.
    #[must_use]
    pub fn decide_early(
        &self,
        trace: &dyn TraceFacts,
        chance_is_known: bool,
    ) -> Option<TraceOutcome> {
        if self.in_order {
            return self.first_early(trace, chance_is_known);
        }
        let mut may_drop = false;
        for (index, rule) in self.having(PolicyAction::Drop) {
            match rule.prospect(trace) {
                Prospect::Yes(_) => return Some(TraceOutcome::Drop(Some(index))),
                Prospect::No => {}
                Prospect::Open => may_drop = true,
            }
        }
        if may_drop {
            return None;
        }
        let (mut candidates, mut is_open) = (Candidates::default(), false);
        for (policy, rule) in self.having(PolicyAction::Keep) {
            match rule.prospect(trace) {
                Prospect::Yes(Match::CERTAIN) => {
                    let probability = KeepProbability::Certain;
                    return Some(TraceOutcome::Keep { policy, probability });
                }
                Prospect::Yes(matched) => candidates.add(policy, matched),
                Prospect::No => {}
                Prospect::Open => is_open = true,
            }
        }
        let by_chance = candidates.by_chance(trace).unwrap_or(TraceOutcome::Drop(None));
        let is_known = !is_open && (chance_is_known || candidates.likeliest.is_none());
        is_known.then_some(by_chance)
    }

    /// The same where the first policy that matches decides.
    fn first_early(&self, trace: &dyn TraceFacts, chance_is_known: bool) -> Option<TraceOutcome> {
        for (policy, of) in self.list.iter().enumerate() {
            match of.rule.prospect(trace) {
                Prospect::No => {}
                Prospect::Open => return None,
                Prospect::Yes(matched) => {
                    let is_known = chance_is_known
                        || matched == Match::CERTAIN
                        || of.action == PolicyAction::Drop;
                    return is_known.then(|| in_order(policy, of.action, matched, trace));
                }
            }
        }
        Some(TraceOutcome::Drop(None))
    }
}
