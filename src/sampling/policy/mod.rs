//! Policies of tail sampling: which traces stay, and with which probability.

mod attribute;
mod early;
mod facts;
mod field;
mod limits;
mod novelty;
mod rule;
mod span_rule;
mod usage;

pub use attribute::{PassedTests, SpanTest, SpanTests, ValueTest};
pub use facts::{KeepProbability, TraceFacts, TraceSize};
pub use field::{Field, FieldValue, SpanParts};
pub use limits::{Budgets, Limit, LimitUnit};
pub use novelty::{MAX_REMEMBERED, Novelty, NoveltyConfig};
pub use rule::{Composite, PolicyRule, UsageTest};
pub use span_rule::{Comparison, Operand, RuleCondition, SpanRule, ValueCheck, truncated};
pub use usage::{SpanUsage, TraceUsage};

use self::facts::stays_at;
use self::rule::Match;
use super::adaptive::AdaptiveConfig;
use super::threshold::Threshold;
use crate::codec::records::ContentHint;
use crate::condition::ConditionError;

/// What a policy does with the traces that it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyAction {
    /// They stay.
    Keep,
    /// They go, whatever other policies say.
    Drop,
}

/// A rule with a name.
#[derive(Debug)]
pub struct Policy {
    /// The name, as counters and the policy attribute show it.
    pub name: String,
    /// Which traces.
    pub rule: PolicyRule,
    /// What happens to them.
    pub action: PolicyAction,
}

/// What was decided about a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceOutcome {
    /// It stays, by the policy with this index and this level.
    Keep {
        /// The index of the policy.
        policy: usize,
        /// With which probability.
        probability: KeepProbability,
    },
    /// It goes, by the policy with this index, or because no policy kept it.
    Drop(Option<usize>),
}

/// All policies of a sampler, in order.
#[derive(Debug, Default)]
pub struct Policies {
    list: Vec<Policy>,
    tests: SpanTests,
    limits: Vec<Limit>,
    adaptive: Vec<AdaptiveConfig>,
    /// What policies say of the content of what they keep, by their index.
    content: Vec<(usize, ContentHint)>,
    novelty: Vec<NoveltyConfig>,
    /// How many instances share the goals of a fleet; 0 is 1.
    fleet_size: u32,
    in_order: bool,
    read_usage: bool,
}

impl Policies {
    /// Policies with the span tests and the limits that their rules name.
    #[must_use]
    pub fn new(list: Vec<Policy>, tests: SpanTests, limits: Vec<Limit>) -> Self {
        let read_usage = list.iter().any(|policy| policy.rule.reads_usage());
        Self { list, tests, limits, read_usage, ..Self::default() }
    }

    /// The same with the adaptive samplers that their rules name.
    #[must_use]
    pub fn with_adaptive(self, adaptive: Vec<AdaptiveConfig>) -> Self {
        Self { adaptive, ..self }
    }

    /// The same with what keeps what is new, which their rules name.
    #[must_use]
    pub fn with_novelty(self, novelty: Vec<NoveltyConfig>) -> Self {
        Self { novelty, ..self }
    }

    /// Says how many instances share the goals of a fleet.
    pub const fn set_fleet_size(&mut self, size: u32) {
        self.fleet_size = size;
    }

    /// The same, where the first policy that matches a trace decides about it.
    #[must_use]
    pub fn in_order(self, in_order: bool) -> Self {
        Self { in_order, ..self }
    }

    /// The same with what policies, by their index, say of the content of what they keep.
    #[must_use]
    pub fn with_content(self, content: Vec<(usize, ContentHint)>) -> Self {
        Self { content, ..self }
    }

    /// What a policy says of the content of what it keeps.
    #[must_use]
    pub fn content(&self, policy: usize) -> Option<ContentHint> {
        self.content.iter().find(|(of, _)| *of == policy).map(|(_, hint)| *hint)
    }

    /// The policies.
    #[must_use]
    pub fn list(&self) -> &[Policy] {
        &self.list
    }

    /// The span tests.
    #[must_use]
    pub const fn tests(&self) -> &SpanTests {
        &self.tests
    }

    /// Whether a policy asks what calls used.
    #[must_use]
    pub const fn read_usage(&self) -> bool {
        self.read_usage
    }

    /// What the limits have before anything was kept.
    #[must_use]
    pub fn budgets(&self) -> Budgets {
        let budgets = Budgets::new(&self.limits).with_adaptive(&self.adaptive);
        let mut budgets = budgets.with_novelty(&self.novelty);
        budgets.set_fleet_size(self.fleet_size);
        budgets
    }

    /// Makes what is left for policies before these into what these begin with: limits keep what they have
    /// if all of them are the same, and an adaptive sampler if its policy's name and its settings are.
    pub fn take_over(&self, before: &Self, budgets: &mut Budgets) {
        if self.limits != before.limits {
            budgets.renew_limits(&self.limits);
        }
        let known = |(index, config): (usize, &AdaptiveConfig)| {
            let name = self.adaptive_policy(index);
            let mut others = before.adaptive.iter().enumerate();
            others.position(|(other, old)| old == config && before.adaptive_policy(other) == name)
        };
        let known: Vec<Option<usize>> = self.adaptive.iter().enumerate().map(known).collect();
        budgets.renew_adaptive(&self.adaptive, &known);
        budgets.renew_novelty(&self.novelty);
        budgets.set_fleet_size(self.fleet_size);
    }

    /// The name of the policy whose adaptive sampler has this index.
    fn adaptive_policy(&self, sampler: usize) -> Option<&str> {
        let mut policies = self.list.iter();
        let policy = policies.find(|policy| policy.rule.adaptive_sampler() == Some(sampler))?;
        Some(&policy.name)
    }

    /// The policies that share a goal among tenants, by their index.
    pub fn with_tenants(&self) -> impl Iterator<Item = usize> {
        let with = |index: &usize| {
            let rule = self.list.get(*index).and_then(|policy| policy.rule.adaptive_sampler());
            let config = rule.and_then(|sampler| self.adaptive.get(sampler));
            config.is_some_and(|config| config.tenants.is_some())
        };
        (0..self.list.len()).filter(with)
    }

    /// The name of a policy.
    #[must_use]
    pub fn name(&self, index: usize) -> &str {
        self.list.get(index).map_or("", |policy| policy.name.as_str())
    }

    /// Decides about a trace by what is there of it. A policy that has no answer does not match, and
    /// is told to `unanswered` by its index. What a policy with a limit keeps is taken out of `budgets`.
    pub fn decide(
        &self,
        trace: &dyn TraceFacts,
        budgets: &mut Budgets,
        unanswered: &mut dyn FnMut(usize, ConditionError),
    ) -> TraceOutcome {
        let mut matches = |index: usize, rule: &PolicyRule| {
            rule.matches(trace).unwrap_or_else(|error| {
                unanswered(index, error);
                None
            })
        };
        if self.in_order {
            return self.first_match(trace, budgets, &mut matches);
        }
        let mut drops = self.having(PolicyAction::Drop);
        let dropping = drops.find(|(index, rule)| matches(*index, rule).is_some());
        if let Some((index, _)) = dropping {
            return TraceOutcome::Drop(Some(index));
        }
        // Expressions cost the most, so they are asked only when nothing else kept the trace.
        let cheap = self.having(PolicyAction::Keep).filter(|(_, rule)| !rule.has_cel());
        let dear = self.having(PolicyAction::Keep).filter(|(_, rule)| rule.has_cel());
        let (mut candidates, mut adaptive) = (Candidates::default(), Vec::new());
        let mut novel = Vec::new();
        for (index, rule) in cheap.chain(dear) {
            let Some(matched) = matches(index, rule) else { continue };
            if matched == Match::CERTAIN {
                return TraceOutcome::Keep { policy: index, probability: KeepProbability::Certain };
            }
            match matched {
                Match { novel: Some(_), .. } => novel.push((index, matched)),
                Match { adaptive: Some(_), .. } => adaptive.push((index, matched)),
                _ => candidates.add(index, matched),
            }
        }
        // What something else keeps for certain is not seen by those that keep what is new.
        for (index, matched) in novel {
            match matched.if_new(trace, budgets) {
                None => {}
                Some(Match::CERTAIN) => {
                    let probability = KeepProbability::Certain;
                    return TraceOutcome::Keep { policy: index, probability };
                }
                Some(matched) if matched.adaptive.is_some() => adaptive.push((index, matched)),
                Some(matched) => candidates.add(index, matched),
            }
        }
        // They make their rates of what nothing else keeps for certain.
        for (index, matched) in adaptive {
            candidates.add(index, matched.at_rate(trace, budgets));
        }
        candidates
            .by_chance(trace)
            .unwrap_or_else(|| self.within_limits(candidates, trace, budgets))
    }

    /// The first policy that matches decides, also that the trace goes.
    fn first_match(
        &self,
        trace: &dyn TraceFacts,
        budgets: &mut Budgets,
        matches: &mut dyn FnMut(usize, &PolicyRule) -> Option<Match>,
    ) -> TraceOutcome {
        for (policy, Policy { rule, action, .. }) in self.list.iter().enumerate() {
            let matched = matches(policy, rule).and_then(|it| it.if_new(trace, budgets));
            let Some(matched) = matched else { continue };
            return in_order(policy, *action, matched.at_rate(trace, budgets), trace);
        }
        TraceOutcome::Drop(None)
    }

    /// The first policy whose limits have room keeps the trace. If none has, the first one drops it.
    fn within_limits(
        &self,
        mut candidates: Candidates,
        trace: &dyn TraceFacts,
        budgets: &mut Budgets,
    ) -> TraceOutcome {
        candidates.limited.retain(|(_, matched)| matched.stays(trace));
        candidates.limited.sort_unstable_by_key(|(index, _)| *index);
        let mut charges = Vec::new();
        for (index, _) in &candidates.limited {
            charges.clear();
            let policy = self.list.get(*index);
            policy.into_iter().for_each(|policy| policy.rule.charge(trace, &mut charges));
            if budgets.take(&charges) {
                let probability = KeepProbability::Unknown;
                return TraceOutcome::Keep { policy: *index, probability };
            }
        }
        TraceOutcome::Drop(candidates.limited.first().map(|(index, _)| *index))
    }

    fn having(&self, action: PolicyAction) -> impl Iterator<Item = (usize, &PolicyRule)> {
        let policies = self.list.iter().enumerate();
        policies
            .filter(move |(_, policy)| policy.action == action)
            .map(|(index, policy)| (index, &policy.rule))
    }
}

/// What the first policy that matches makes of a trace. One that stays for certain has the threshold of what always
/// stays, because that does not depend on other policies.
fn in_order(
    policy: usize,
    action: PolicyAction,
    matched: Match,
    trace: &dyn TraceFacts,
) -> TraceOutcome {
    if action == PolicyAction::Drop || !matched.stays(trace) {
        return TraceOutcome::Drop(Some(policy));
    }
    let always = KeepProbability::At(Threshold::ALWAYS);
    TraceOutcome::Keep { policy, probability: matched.probability.max(always) }
}

/// The policies that match a trace, where none keeps it for certain.
#[derive(Debug, Default)]
struct Candidates {
    /// The likeliest of those without a limit. It decides, so that the threshold written is the
    /// probability with which a trace like this one stays.
    likeliest: Option<(usize, Threshold)>,
    limited: Vec<(usize, Match)>,
}

impl Candidates {
    fn add(&mut self, index: usize, matched: Match) {
        match matched.probability {
            _ if matched.is_limited => self.limited.push((index, matched)),
            KeepProbability::At(threshold)
                if self.likeliest.is_none_or(|(_, before)| threshold < before) =>
            {
                self.likeliest = Some((index, threshold));
            }
            _ => {}
        }
    }

    /// What chance alone decides. The threshold says how likely that was, unless a policy with a limit
    /// may keep traces like this one that chance does not.
    fn by_chance(&self, trace: &dyn TraceFacts) -> Option<TraceOutcome> {
        let (policy, threshold) = self.likeliest.filter(|(_, at)| stays_at(*at, trace))?;
        let by_chance = KeepProbability::At(threshold);
        let adds_more = self.limited.iter().any(|(_, matched)| matched.probability < by_chance);
        let probability = if adds_more { KeepProbability::Unknown } else { by_chance };
        Some(TraceOutcome::Keep { policy, probability })
    }
}

#[cfg(test)]
mod tests;
