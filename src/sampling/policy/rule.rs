//! Policy rules: questions about a whole trace.

use std::time::Duration;

use super::facts::{KeepProbability, TraceFacts};
use super::limits::{Budgets, Charge, LimitUnit};
use super::span_rule::SpanRule;
use super::usage::TraceUsage;
use crate::condition::{Condition, ConditionError};
use crate::sampling::threshold::Threshold;

/// A question about a whole trace.
#[derive(Debug)]
pub enum PolicyRule {
    /// Every trace.
    Always,
    /// One span at least passes the span test with this index.
    SpanTest(usize),
    /// The time from the first start to the last end is more than the first duration, and not more than
    /// the second, of those that are there.
    Latency(Option<Duration>, Option<Duration>),
    /// There are at least so many spans and, if there is a second number, not more than that.
    SpanCount(u64, Option<u64>),
    /// The calls used at least this much of each.
    Usage(UsageTest),
    /// Something was found in the trace, by who looks into calls.
    Finding,
    /// An exemplar of a metric names the trace.
    Exemplar,
    /// The trace's randomness reaches the threshold; without a threshold, no trace.
    Probability(Option<Threshold>),
    /// The trace's randomness reaches the threshold that the adaptive sampler with this index says.
    Adaptive(usize),
    /// The trace is new to what keeps what is new and has this index.
    Novel(usize),
    /// Spans have fields with such values.
    Spans(Box<SpanRule>),
    /// The limit with this index has room for the trace.
    Limit(usize, LimitUnit),
    /// The first of several rules that matches, within its share of a limit.
    Composite(Box<Composite>),
    /// The expression says so.
    Cel(Box<Condition>),
    /// All of them.
    All(Vec<PolicyRule>),
    /// One of them at least.
    Any(Vec<PolicyRule>),
    /// Not this one.
    Not(Box<PolicyRule>),
}

/// The least that a trace has used; what is not asked for is 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct UsageTest {
    /// Tokens in and out.
    pub total_tokens: f64,
    /// Tokens that went in.
    pub input_tokens: f64,
    /// Tokens that came out.
    pub output_tokens: f64,
    /// What was paid.
    pub cost: f64,
}

/// Rules that share a limit of spans per second: see [`PolicyRule::Composite`].
#[derive(Debug)]
pub struct Composite {
    /// The rules, in the order in which they are asked.
    pub rules: Vec<PolicyRule>,
    /// The index of the limit of each.
    pub shares: Vec<usize>,
    /// The index of the limit of all together.
    pub total: usize,
}

/// How a rule matches a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Match {
    /// With which probability the trace stays.
    pub(super) probability: KeepProbability,
    /// Whether it also needs room in a limit.
    pub(super) is_limited: bool,
    /// The adaptive sampler by which it may be less likely.
    pub(super) adaptive: Option<usize>,
    /// What keeps what is new, if only that does.
    pub(super) novel: Option<usize>,
}

impl Match {
    /// The trace stays, and nothing else is asked.
    pub(super) const CERTAIN: Self = Self {
        probability: KeepProbability::Certain,
        is_limited: false,
        adaptive: None,
        novel: None,
    };
    const LIMITED: Self = Self { is_limited: true, ..Self::CERTAIN };

    /// The trace stays at a threshold.
    const fn at(threshold: Threshold) -> Self {
        Self { probability: KeepProbability::At(threshold), ..Self::CERTAIN }
    }
}

/// How a rule will match a trace, whatever spans follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prospect {
    /// Like this.
    Yes(Match),
    /// Not at all.
    No,
    /// That depends on what follows, or on what is asked at the end.
    Open,
}

impl Prospect {
    /// That of all rules together: what `all` makes of them.
    fn of_all(parts: impl Iterator<Item = Self>) -> Self {
        let mut together = Self::Yes(Match::CERTAIN);
        for part in parts {
            together = match (together, part) {
                (_, Self::No) => return Self::No,
                (Self::Yes(before), Self::Yes(matched)) => Self::Yes(Match {
                    probability: before.probability.max(matched.probability),
                    ..before
                }),
                _ => Self::Open,
            };
        }
        together
    }

    /// That of the likeliest of several rules: what `any` makes of them.
    fn of_any(parts: impl Iterator<Item = Self>) -> Self {
        let mut likeliest = Self::No;
        for part in parts {
            likeliest = match (likeliest, part) {
                (_, Self::Yes(Match::CERTAIN)) => return part,
                (Self::Open, _) | (_, Self::Open) => Self::Open,
                (Self::Yes(before), Self::Yes(matched))
                    if before.probability <= matched.probability =>
                {
                    likeliest
                }
                (_, Self::No) => likeliest,
                (_, Self::Yes(_)) => part,
            };
        }
        likeliest
    }
}

impl PolicyRule {
    /// Whether the answer depends on chance.
    #[must_use]
    pub fn is_probabilistic(&self) -> bool {
        self.has(&|rule| matches!(rule, Self::Probability(_) | Self::Adaptive(_)))
    }

    /// The adaptive sampler that has a part in the answer, by its index.
    #[must_use]
    pub fn adaptive_sampler(&self) -> Option<usize> {
        match self {
            Self::Adaptive(index) => Some(*index),
            _ => self.parts().iter().find_map(Self::adaptive_sampler),
        }
    }

    /// Whether a part keeps what is new alone.
    #[must_use]
    pub fn is_novel(&self) -> bool {
        self.has(&|rule| matches!(rule, Self::Novel(_)))
    }

    /// Whether the answer depends on what was kept before.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.has(&|rule| matches!(rule, Self::Limit(..) | Self::Composite(_)))
    }

    /// Whether it has an expression, which may have no answer.
    #[must_use]
    pub fn has_cel(&self) -> bool {
        self.has(&|rule| matches!(rule, Self::Cel(_)))
    }

    /// Whether it asks what calls used.
    pub(super) fn reads_usage(&self) -> bool {
        self.has(&|rule| matches!(rule, Self::Usage(_)))
    }

    /// Whether this rule or a part of it is one of those.
    fn has(&self, test: &dyn Fn(&Self) -> bool) -> bool {
        test(self) || self.parts().iter().any(|rule| rule.has(test))
    }

    /// The rules that it consists of.
    fn parts(&self) -> &[Self] {
        match self {
            Self::All(rules) | Self::Any(rules) => rules,
            Self::Not(rule) => std::slice::from_ref(rule),
            Self::Composite(composite) => &composite.rules,
            Self::Always
            | Self::SpanTest(_)
            | Self::Latency(..)
            | Self::SpanCount(..)
            | Self::Usage(_)
            | Self::Finding
            | Self::Exemplar
            | Self::Probability(_)
            | Self::Adaptive(_)
            | Self::Novel(_)
            | Self::Spans(_)
            | Self::Limit(..)
            | Self::Cel(_) => &[],
        }
    }

    /// What is known already of how the rule matches a trace of which more spans may follow. Spans only add to what
    /// a trace passed, used, lasted and counts, so that a bound that was reached stays reached.
    pub(super) fn prospect(&self, trace: &dyn TraceFacts) -> Prospect {
        let reached = |yes: bool| if yes { Prospect::Yes(Match::CERTAIN) } else { Prospect::Open };
        match self {
            Self::Always => Prospect::Yes(Match::CERTAIN),
            Self::SpanTest(index) => reached(trace.passed_tests().has(*index)),
            Self::Usage(test) => reached(test.passes(&trace.usage())),
            Self::Latency(lower, upper) => {
                let duration = trace.duration();
                match upper {
                    Some(upper) if duration > *upper => Prospect::No,
                    Some(_) => Prospect::Open,
                    None => reached(lower.is_none_or(|lower| duration > lower)),
                }
            }
            Self::SpanCount(least, most) => {
                let spans = trace.size().spans;
                match most {
                    Some(most) if spans > *most => Prospect::No,
                    Some(_) => Prospect::Open,
                    None => reached(spans >= *least),
                }
            }
            Self::Probability(None) => Prospect::No,
            Self::Probability(Some(threshold)) => Prospect::Yes(Match::at(*threshold)),
            Self::All(rules) => Prospect::of_all(rules.iter().map(|rule| rule.prospect(trace))),
            Self::Any(rules) => Prospect::of_any(rules.iter().map(|rule| rule.prospect(trace))),
            Self::Not(rule) => match rule.prospect(trace) {
                Prospect::Yes(_) => Prospect::No,
                Prospect::No => Prospect::Yes(Match::CERTAIN),
                Prospect::Open => Prospect::Open,
            },
            // What was found in too many other traces since is forgotten. Fields and expressions may ask for
            // what no span has, and limits and rates are asked once, at the end.
            Self::Finding
            | Self::Exemplar
            | Self::Spans(_)
            | Self::Cel(_)
            | Self::Adaptive(_)
            | Self::Novel(_)
            | Self::Limit(..)
            | Self::Composite(_) => Prospect::Open,
        }
    }

    /// How the rule matches a trace; `None` when it does not. Limits are taken to have room.
    ///
    /// # Errors
    /// An expression has no answer, and no other part of the rule makes up for it: a part of `All`
    /// that says no does, one of `Any` that says yes, and the negation of no answer is none either.
    pub(super) fn matches(&self, trace: &dyn TraceFacts) -> Result<Option<Match>, ConditionError> {
        let certain = |yes: bool| yes.then_some(Match::CERTAIN);
        Ok(match self {
            Self::Always => certain(true),
            Self::SpanTest(index) => certain(trace.passed_tests().has(*index)),
            Self::Latency(lower, upper) => {
                let duration = trace.duration();
                certain(
                    lower.is_none_or(|lower| duration > lower)
                        && upper.is_none_or(|upper| duration <= upper),
                )
            }
            Self::SpanCount(least, most) => {
                let spans = trace.size().spans;
                certain(spans >= *least && most.is_none_or(|most| spans <= most))
            }
            Self::Usage(test) => certain(test.passes(&trace.usage())),
            Self::Finding => certain(trace.has_finding()),
            Self::Exemplar => certain(trace.is_exemplar()),
            Self::Probability(threshold) => threshold.map(Match::at),
            Self::Adaptive(index) => Some(Match { adaptive: Some(*index), ..Match::CERTAIN }),
            Self::Novel(index) => Some(Match { novel: Some(*index), ..Match::CERTAIN }),
            Self::Spans(rule) => certain(rule.matches(trace.spans())),
            Self::Limit(..) => Some(Match::LIMITED),
            Self::Composite(composite) => composite.first(trace)?.map(|_| Match::LIMITED),
            Self::Cel(condition) => certain(trace.meets(condition)?),
            Self::All(rules) => return all(rules, trace),
            Self::Any(rules) => return any(rules, trace),
            Self::Not(rule) => certain(rule.matches(trace)?.is_none()),
        })
    }

    /// Notes what a trace that the rule matches takes out of its limits.
    pub(super) fn charge(&self, trace: &dyn TraceFacts, charges: &mut Vec<Charge>) {
        match self {
            Self::Limit(limit, unit) => {
                charges.push(Charge { limit: *limit, cost: cost(*unit, trace) })
            }
            Self::All(rules) => rules.iter().for_each(|rule| rule.charge(trace, charges)),
            Self::Composite(composite) => composite.charge(trace, charges),
            Self::Always
            | Self::SpanTest(_)
            | Self::Latency(..)
            | Self::SpanCount(..)
            | Self::Usage(_)
            | Self::Finding
            | Self::Exemplar
            | Self::Probability(_)
            | Self::Adaptive(_)
            | Self::Novel(_)
            | Self::Spans(_)
            | Self::Cel(_)
            | Self::Any(_)
            | Self::Not(_) => {}
        }
    }
}

impl UsageTest {
    fn passes(&self, usage: &TraceUsage) -> bool {
        let (input, output) = (usage.input_tokens(), usage.output_tokens());
        input >= self.input_tokens
            && output >= self.output_tokens
            && input + output >= self.total_tokens
            && usage.cost() >= self.cost
    }
}

impl Composite {
    /// The first rule that matches and that chance lets keep the trace.
    fn first(
        &self,
        trace: &dyn TraceFacts,
    ) -> Result<Option<(&PolicyRule, usize)>, ConditionError> {
        let mut unanswered = None;
        for (rule, share) in self.rules.iter().zip(&self.shares) {
            match rule.matches(trace) {
                Ok(Some(matched)) if matched.stays(trace) => return Ok(Some((rule, *share))),
                Ok(_) => {}
                Err(error) => unanswered = Some(error),
            }
        }
        unanswered.map_or(Ok(None), Err)
    }

    fn charge(&self, trace: &dyn TraceFacts, charges: &mut Vec<Charge>) {
        if let Ok(Some((rule, share))) = self.first(trace) {
            let cost = cost(LimitUnit::Spans, trace);
            charges.extend([share, self.total].map(|limit| Charge { limit, cost }));
            rule.charge(trace, charges);
        }
    }
}

impl Match {
    /// The same if the trace is new, where only that keeps it.
    pub(super) fn if_new(self, trace: &dyn TraceFacts, budgets: &mut Budgets) -> Option<Self> {
        let Some(novelty) = self.novel else { return Some(self) };
        budgets.is_new(novelty, trace).then_some(Self { novel: None, ..self })
    }

    /// The same at the rate that its adaptive sampler says, if it has one.
    pub(super) fn at_rate(self, trace: &dyn TraceFacts, budgets: &mut Budgets) -> Self {
        let Some(sampler) = self.adaptive else { return self };
        let probability = budgets.at_rate(sampler, self.probability, trace);
        Self { probability, adaptive: None, ..self }
    }

    /// Whether chance lets the trace stay.
    pub(super) fn stays(self, trace: &dyn TraceFacts) -> bool {
        self.probability.stays(trace)
    }
}

/// What a trace costs in a limit.
fn cost(unit: LimitUnit, trace: &dyn TraceFacts) -> f64 {
    let size = trace.size();
    match unit {
        LimitUnit::Spans => size.spans as f64,
        LimitUnit::Bytes => size.bytes as f64,
        LimitUnit::Traces => 1.0,
    }
}

fn all(rules: &[PolicyRule], trace: &dyn TraceFacts) -> Result<Option<Match>, ConditionError> {
    let (mut strictest, mut unanswered) = (Match::CERTAIN, None);
    for rule in rules {
        match rule.matches(trace) {
            Ok(Some(Match { probability, is_limited, adaptive, novel })) => {
                strictest.probability = strictest.probability.max(probability);
                strictest.is_limited |= is_limited;
                strictest.adaptive = strictest.adaptive.or(adaptive);
                strictest.novel = strictest.novel.or(novel);
            }
            Ok(None) => return Ok(None),
            Err(error) => unanswered = Some(error),
        }
    }
    unanswered.map_or(Ok(Some(strictest)), Err)
}

/// The likeliest; limits have no part in it.
fn any(rules: &[PolicyRule], trace: &dyn TraceFacts) -> Result<Option<Match>, ConditionError> {
    let (mut likeliest, mut unanswered): (Option<Match>, _) = (None, None);
    for rule in rules {
        match rule.matches(trace) {
            Ok(Some(Match::CERTAIN)) => return Ok(Some(Match::CERTAIN)),
            Ok(Some(matched))
                if likeliest.is_none_or(|before| matched.probability < before.probability) =>
            {
                likeliest = Some(matched);
            }
            Ok(_) => {}
            Err(error) => unanswered = Some(error),
        }
    }
    match (likeliest, unanswered) {
        (None, Some(error)) => Err(error),
        (likeliest, _) => Ok(likeliest),
    }
}
