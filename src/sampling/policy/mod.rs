//! Policies of tail sampling: which traces stay, and with which probability.

mod attribute;

use std::time::Duration;

pub use attribute::{PassedTests, SpanTest, SpanTests, ValueTest};

use super::threshold::{Randomness, Threshold};
use crate::condition::{Condition, ConditionError};

/// A question about a whole trace.
#[derive(Debug)]
pub enum PolicyRule {
    /// Every trace.
    Always,
    /// One span at least passes the span test with this index.
    SpanTest(usize),
    /// The time from the first start to the last end is at least the first duration and, if there
    /// is one, less than the second.
    Latency(Duration, Option<Duration>),
    /// The trace's randomness reaches the threshold; without a threshold, no trace.
    Probability(Option<Threshold>),
    /// The expression says so.
    Cel(Box<Condition>),
    /// All of them.
    All(Vec<PolicyRule>),
    /// Not this one.
    Not(Box<PolicyRule>),
}

impl PolicyRule {
    /// Whether the answer depends on chance.
    #[must_use]
    pub fn is_probabilistic(&self) -> bool {
        match self {
            Self::Probability(_) => true,
            Self::All(rules) => rules.iter().any(Self::is_probabilistic),
            Self::Not(rule) => rule.is_probabilistic(),
            Self::Always | Self::SpanTest(_) | Self::Latency(..) | Self::Cel(_) => false,
        }
    }

    /// Whether it has an expression, which may have no answer.
    #[must_use]
    pub fn has_cel(&self) -> bool {
        match self {
            Self::Cel(_) => true,
            Self::All(rules) => rules.iter().any(Self::has_cel),
            Self::Not(rule) => rule.has_cel(),
            Self::Always | Self::SpanTest(_) | Self::Latency(..) | Self::Probability(_) => false,
        }
    }

    /// Whether a yes stays a yes, whatever spans follow.
    fn is_lasting(&self) -> bool {
        match self {
            Self::Always | Self::SpanTest(_) | Self::Probability(_) => true,
            Self::Latency(_, upper) => upper.is_none(),
            Self::All(rules) => rules.iter().all(Self::is_lasting),
            Self::Cel(_) | Self::Not(_) => false,
        }
    }

    /// Whether the answer is the same for any trace with the same randomness.
    fn ignores_spans(&self) -> bool {
        match self {
            Self::Always | Self::Probability(_) => true,
            Self::All(rules) => rules.iter().all(Self::ignores_spans),
            Self::SpanTest(_) | Self::Latency(..) | Self::Cel(_) | Self::Not(_) => false,
        }
    }

    /// The probability with which a trace stays under this rule; `None` when it does not.
    ///
    /// # Errors
    /// An expression has no answer, and no other part of the rule makes up for it: a part of `All`
    /// that says no does, and the negation of no answer is none either.
    fn probability(
        &self,
        trace: &dyn TraceFacts,
    ) -> Result<Option<KeepProbability>, ConditionError> {
        let certain = |yes: bool| yes.then_some(KeepProbability::Certain);
        Ok(match self {
            Self::Always => Some(KeepProbability::Certain),
            Self::SpanTest(index) => certain(trace.passed_tests().has(*index)),
            Self::Latency(lower, upper) => {
                let duration = trace.duration();
                certain(duration >= *lower && upper.is_none_or(|upper| duration < upper))
            }
            Self::Probability(threshold) => threshold.map(KeepProbability::At),
            Self::Cel(condition) => certain(trace.meets(condition)?),
            Self::All(rules) => return all(rules, trace),
            Self::Not(rule) => certain(rule.probability(trace)?.is_none()),
        })
    }
}

fn all(
    rules: &[PolicyRule],
    trace: &dyn TraceFacts,
) -> Result<Option<KeepProbability>, ConditionError> {
    let (mut strictest, mut unanswered) = (KeepProbability::Certain, None);
    for rule in rules {
        match rule.probability(trace) {
            Ok(Some(probability)) => strictest = strictest.max(probability),
            Ok(None) => return Ok(None),
            Err(error) => unanswered = Some(error),
        }
    }
    unanswered.map_or(Ok(Some(strictest)), Err)
}

/// The probability with which a trace stays. The order is from likely to unlikely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeepProbability {
    /// It stays, by a rule that chance has no part in.
    Certain,
    /// It stays if its randomness reaches this threshold.
    At(Threshold),
}

/// What policies ask of a trace.
pub trait TraceFacts {
    /// The span tests that its spans passed.
    fn passed_tests(&self) -> PassedTests;
    /// The time from its first start to its last end.
    fn duration(&self) -> Duration;
    /// The randomness that decides about it.
    fn randomness(&self) -> Randomness;
    /// The highest threshold at which a sampler kept one of its spans before.
    fn threshold_before(&self) -> Option<Threshold>;
    /// Whether an expression over the trace is true.
    ///
    /// # Errors
    /// It has no answer for this trace.
    fn meets(&self, condition: &Condition) -> Result<bool, ConditionError>;
}

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
    has_drop: bool,
    ignore_spans: bool,
}

impl Policies {
    /// Policies with the span tests that their rules name.
    #[must_use]
    pub fn new(list: Vec<Policy>, tests: SpanTests) -> Self {
        let has_drop = list.iter().any(|policy| policy.action == PolicyAction::Drop);
        let ignore_spans = list.iter().all(|policy| policy.rule.ignores_spans());
        Self { list, tests, has_drop, ignore_spans }
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

    /// The name of a policy.
    #[must_use]
    pub fn name(&self, index: usize) -> &str {
        self.list.get(index).map_or("", |policy| policy.name.as_str())
    }

    /// Decides about a trace by what is there of it. A policy that has no answer does not match, and
    /// is told to `unanswered` by its index.
    pub fn decide(
        &self,
        trace: &dyn TraceFacts,
        unanswered: &mut dyn FnMut(usize, ConditionError),
    ) -> TraceOutcome {
        let mut probability = |index: usize, rule: &PolicyRule| {
            rule.probability(trace).unwrap_or_else(|error| {
                unanswered(index, error);
                None
            })
        };
        let mut drops = self.having(PolicyAction::Drop);
        let dropping = drops.find(|(index, rule)| probability(*index, rule).is_some());
        if let Some((index, _)) = dropping {
            return TraceOutcome::Drop(Some(index));
        }
        // Expressions cost the most, so they are asked only when nothing else kept the trace.
        let cheap = self.having(PolicyAction::Keep).filter(|(_, rule)| !rule.has_cel());
        let dear = self.having(PolicyAction::Keep).filter(|(_, rule)| rule.has_cel());
        let probabilities =
            cheap.chain(dear).map(|(index, rule)| (index, probability(index, rule)));
        best(probabilities, trace)
    }

    /// Decides if no span that may follow can change the outcome.
    #[must_use]
    pub fn decide_early(&self, trace: &dyn TraceFacts) -> Option<TraceOutcome> {
        if self.ignore_spans {
            return Some(self.decide(trace, &mut |_, _| {}));
        }
        if self.has_drop {
            return None;
        }
        let certain = self.having(PolicyAction::Keep).filter(|(_, rule)| rule.is_lasting());
        let (policy, probability) = certain
            .filter_map(|(index, rule)| Some((index, rule.probability(trace).ok()??)))
            .find(|(_, probability)| *probability == KeepProbability::Certain)?;
        Some(TraceOutcome::Keep { policy, probability })
    }

    fn having(&self, action: PolicyAction) -> impl Iterator<Item = (usize, &PolicyRule)> {
        let policies = self.list.iter().enumerate();
        policies
            .filter(move |(_, policy)| policy.action == action)
            .map(|(index, policy)| (index, &policy.rule))
    }
}

/// The likeliest of the rules that match decides, so that the threshold written is the probability
/// with which a trace like this one stays.
fn best(
    probabilities: impl Iterator<Item = (usize, Option<KeepProbability>)>,
    trace: &dyn TraceFacts,
) -> TraceOutcome {
    let mut best: Option<(usize, KeepProbability)> = None;
    for (index, probability) in probabilities {
        match probability {
            Some(KeepProbability::Certain) => {
                return TraceOutcome::Keep { policy: index, probability: KeepProbability::Certain };
            }
            Some(probability) if best.is_none_or(|(_, before)| probability < before) => {
                best = Some((index, probability));
            }
            _ => {}
        }
    }
    match best {
        Some((policy, probability @ KeepProbability::At(threshold)))
            if threshold.keeps(trace.randomness())
                || trace.threshold_before().is_some_and(|before| before >= threshold) =>
        {
            TraceOutcome::Keep { policy, probability }
        }
        _ => TraceOutcome::Drop(None),
    }
}

#[cfg(test)]
mod tests;
