use std::time::Duration;

use super::*;
use crate::clock::Tick;
use crate::condition::Condition;
use crate::model::TraceId;
use crate::sampling::threshold::Randomness;

mod early;
mod limited;
mod novel;

struct Trace {
    facts: PassedTests,
    duration: Duration,
    size: TraceSize,
    usage: TraceUsage,
    low: bool,
    before: Option<Threshold>,
    meets: Option<bool>,
}

impl TraceFacts for Trace {
    fn passed_tests(&self) -> PassedTests {
        self.facts
    }
    fn duration(&self) -> Duration {
        self.duration
    }
    fn size(&self) -> TraceSize {
        self.size
    }
    fn usage(&self) -> TraceUsage {
        self.usage
    }
    fn has_finding(&self) -> bool {
        false
    }
    fn is_exemplar(&self) -> bool {
        true
    }
    fn randomness(&self) -> Randomness {
        Randomness::of_trace(TraceId(if self.low { [0x11; 16] } else { [0xee; 16] }))
    }
    fn threshold_before(&self) -> Option<Threshold> {
        self.before
    }
    fn spans(&self) -> &[SpanParts<'_>] {
        &[]
    }
    fn meets(&self, _condition: &Condition) -> Result<bool, ConditionError> {
        self.meets.ok_or_else(|| ConditionError::NotBool("int".to_owned()))
    }
}

fn trace() -> Trace {
    Trace {
        facts: PassedTests::default(),
        duration: Duration::ZERO,
        size: TraceSize { spans: 1, bytes: 100 },
        usage: TraceUsage::default(),
        low: true,
        before: None,
        meets: Some(false),
    }
}

fn half() -> PolicyRule {
    PolicyRule::Probability(Threshold::from_percentage(50.0))
}

fn policies(rules: Vec<(PolicyRule, PolicyAction)>) -> Policies {
    let list = rules.into_iter().map(|(rule, action)| Policy { name: "p".into(), rule, action });
    Policies::new(list.collect(), SpanTests::default(), Vec::new())
}

fn keep(policy: usize, probability: KeepProbability) -> TraceOutcome {
    TraceOutcome::Keep { policy, probability }
}

fn at(percentage: f64) -> KeepProbability {
    KeepProbability::At(Threshold::from_percentage(percentage).unwrap())
}

fn decide(policies: &Policies, trace: &Trace) -> TraceOutcome {
    policies
        .decide(trace, &mut Budgets::default(), &mut |_, _| panic!("each expression has an answer"))
}

fn cel() -> PolicyRule {
    PolicyRule::Cel(Box::new(Condition::compile("errors > 0").unwrap()))
}

#[test]
fn the_likeliest_matching_policy_decides() {
    let tenth = PolicyRule::Probability(Threshold::from_percentage(10.0));
    let error_half = PolicyRule::All(vec![PolicyRule::SpanTest(0), half()]);
    let policies = policies(vec![(tenth, PolicyAction::Keep), (error_half, PolicyAction::Keep)]);
    let mut error = trace();
    error.facts.add(0);
    assert_eq!(decide(&policies, &error), TraceOutcome::Drop(None));
    error.low = false;
    assert_eq!(decide(&policies, &error), keep(1, at(50.0)));
    assert_eq!(decide(&policies, &Trace { low: false, ..trace() }), keep(0, at(10.0)));
    let before = Threshold::from_percentage(5.0);
    assert_eq!(decide(&policies, &Trace { before, ..trace() }), keep(0, at(10.0)));
}

#[test]
fn a_drop_policy_wins() {
    let slow = PolicyRule::Latency(Some(Duration::from_secs(1)), None);
    let policies =
        policies(vec![(PolicyRule::SpanTest(0), PolicyAction::Keep), (slow, PolicyAction::Drop)]);
    let mut error = trace();
    error.facts.add(0);
    assert_eq!(decide(&policies, &error), keep(0, KeepProbability::Certain));
    assert_eq!(policies.decide_early(&error, true), None, "it may still become slow");
    error.duration = Duration::from_millis(1001);
    assert_eq!(decide(&policies, &error), TraceOutcome::Drop(Some(1)));
}

#[test]
fn early_only_what_cannot_change() {
    let not_error = PolicyRule::Not(Box::new(PolicyRule::SpanTest(0)));
    let brief = PolicyRule::Latency(None, Some(Duration::from_secs(1)));
    let slow = PolicyRule::Latency(Some(Duration::from_secs(5)), None);
    let keeps = [not_error, brief, half(), slow].map(|rule| (rule, PolicyAction::Keep));
    let policies = policies(keeps.into());
    assert_eq!(policies.decide_early(&Trace { low: false, ..trace() }, true), None);
    assert_eq!(decide(&policies, &trace()), keep(0, KeepProbability::Certain));
    let duration = Duration::from_secs(6);
    let early = policies.decide_early(&Trace { duration, ..trace() }, true);
    assert_eq!(early, Some(keep(3, KeepProbability::Certain)));
}

#[test]
fn chance_alone_decides_at_once() {
    let policies = policies(vec![(half(), PolicyAction::Keep)]);
    assert_eq!(policies.decide_early(&trace(), true), Some(TraceOutcome::Drop(None)));
    let high = Trace { low: false, ..trace() };
    assert_eq!(policies.decide_early(&high, true), Some(keep(0, at(50.0))));
    let never = self::policies(vec![(PolicyRule::Probability(None), PolicyAction::Keep)]);
    assert_eq!(decide(&never, &high), TraceOutcome::Drop(None));
}

#[test]
fn expressions_are_asked_last() {
    let policies =
        policies(vec![(cel(), PolicyAction::Keep), (PolicyRule::SpanTest(0), PolicyAction::Keep)]);
    let mut met = Trace { meets: Some(true), ..trace() };
    assert_eq!(decide(&policies, &met), keep(0, KeepProbability::Certain));
    assert_eq!(policies.decide_early(&met, true), None);
    met.facts.add(0);
    assert_eq!(decide(&policies, &met), keep(1, KeepProbability::Certain));
}

/// Whether a rule alone keeps a trace.
fn keeps(rule: &PolicyRule, trace: &Trace) -> bool {
    let policies = policies(vec![(rule_again(rule), PolicyAction::Keep)]);
    decide(&policies, trace) == keep(0, KeepProbability::Certain)
}

/// The bounds are those of the Collector since 0.157: more than the lower, up to the upper.
#[test]
fn latency_is_above_the_lower_and_up_to_the_upper_bound() {
    let milliseconds = |bound: Option<u64>| bound.map(Duration::from_millis);
    for (lower, upper, duration, kept) in [
        (Some(5000), None, 4500, false),
        (Some(5000), None, 5000, false),
        (Some(5000), None, 5001, true),
        (Some(5000), None, 5500, true),
        (Some(5000), Some(10_000), 5000, false),
        (Some(5000), Some(10_000), 5001, true),
        (Some(5000), Some(10_000), 10_000, true),
        (Some(5000), Some(10_000), 10_001, false),
        (None, Some(100), 0, true),
        (Some(0), None, 0, false),
    ] {
        let rule = PolicyRule::Latency(milliseconds(lower), milliseconds(upper));
        let duration = Duration::from_millis(duration);
        assert_eq!(keeps(&rule, &Trace { duration, ..trace() }), kept, "{rule:?} {duration:?}");
    }
}

/// The figures are those of the Collector's tests of `span_count`.
#[test]
fn span_counts_include_both_bounds() {
    for (least, most, spans, kept) in [
        (3, None, 1, false),
        (3, None, 2, false),
        (3, None, 3, true),
        (3, None, 6, true),
        (0, Some(20), 0, true),
        (0, Some(20), 20, true),
        (0, Some(20), 21, false),
        (3, Some(20), 2, false),
        (3, Some(20), 3, true),
        (3, Some(20), 10, true),
        (3, Some(20), 20, true),
        (3, Some(20), 21, false),
    ] {
        let size = TraceSize { spans, bytes: 0 };
        let rule = PolicyRule::SpanCount(least, most);
        assert_eq!(keeps(&rule, &Trace { size, ..trace() }), kept, "{least} {most:?} {spans}");
    }
}

#[test]
fn what_calls_used_is_asked_for_at_least() {
    let mut span = SpanUsage::default();
    span.attribute(b"gen_ai.usage.input_tokens", &[0xcd, 0x03, 0xe8]);
    span.attribute(b"gen_ai.usage.output_tokens", &[0x32]);
    let mut usage = TraceUsage::default();
    usage.add(&span);
    let none = UsageTest::default();
    for (test, kept) in [
        (UsageTest { total_tokens: 1050.0, ..none }, true),
        (UsageTest { total_tokens: 1051.0, ..none }, false),
        (UsageTest { input_tokens: 1000.0, ..none }, true),
        (UsageTest { input_tokens: 1000.0, output_tokens: 51.0, ..none }, false),
        (UsageTest { cost: 0.01, ..none }, false),
    ] {
        assert_eq!(keeps(&PolicyRule::Usage(test), &Trace { usage, ..trace() }), kept, "{test:?}");
    }
}

/// Guarantees: `Any` gives the likeliest of its parts, and is decided early when they all would be.
#[test]
fn any_of_several_rules_will_do() {
    let rules = || vec![half(), PolicyRule::SpanTest(0)];
    let policies = policies(vec![(PolicyRule::Any(rules()), PolicyAction::Keep)]);
    assert_eq!(decide(&policies, &trace()), TraceOutcome::Drop(None));
    assert_eq!(decide(&policies, &Trace { low: false, ..trace() }), keep(0, at(50.0)));
    let error = Trace { facts: PassedTests(1), ..trace() };
    assert_eq!(decide(&policies, &error), keep(0, KeepProbability::Certain));
    assert_eq!(policies.decide_early(&error, true), Some(keep(0, KeepProbability::Certain)));
    assert_eq!(policies.decide_early(&trace(), true), None);
}

/// Guarantees: a policy without an answer does not match, however the expression is combined, and is
/// told by its index; what has an answer without it is not told.
#[test]
fn no_answer_is_neither_yes_nor_no() {
    let not = |rule| PolicyRule::Not(Box::new(rule));
    let unanswered = Trace { meets: None, ..trace() };
    for (rule, told) in [
        (cel(), 1),
        (not(cel()), 1),
        (not(not(cel())), 1),
        (PolicyRule::All(vec![cel(), PolicyRule::Always]), 1),
        (PolicyRule::All(vec![cel(), PolicyRule::SpanTest(0)]), 0),
        (not(PolicyRule::All(vec![PolicyRule::Always, not(cel())])), 1),
        (PolicyRule::Any(vec![cel(), PolicyRule::SpanTest(0)]), 1),
    ] {
        let text = format!("{rule:?}");
        for action in [PolicyAction::Keep, PolicyAction::Drop] {
            let rule = rule_again(&rule);
            let policies =
                policies(vec![(PolicyRule::SpanTest(1), PolicyAction::Keep), (rule, action)]);
            let mut indices = Vec::new();
            let outcome =
                policies.decide(&unanswered, &mut Budgets::default(), &mut |index, error| {
                    indices.push((index, error.kind().name()));
                });
            assert_eq!(outcome, TraceOutcome::Drop(None), "{text}");
            assert_eq!(indices, vec![(1, "not_bool"); told], "{text}");
        }
    }
}

/// The same rule once more.
fn rule_again(rule: &PolicyRule) -> PolicyRule {
    match rule {
        PolicyRule::Always => PolicyRule::Always,
        PolicyRule::SpanTest(index) => PolicyRule::SpanTest(*index),
        PolicyRule::Latency(lower, upper) => PolicyRule::Latency(*lower, *upper),
        PolicyRule::SpanCount(least, most) => PolicyRule::SpanCount(*least, *most),
        PolicyRule::Usage(test) => PolicyRule::Usage(*test),
        PolicyRule::Finding => PolicyRule::Finding,
        PolicyRule::Exemplar => PolicyRule::Exemplar,
        PolicyRule::Probability(threshold) => PolicyRule::Probability(*threshold),
        PolicyRule::Limit(limit, unit) => PolicyRule::Limit(*limit, *unit),
        PolicyRule::Composite(composite) => PolicyRule::Composite(Box::new(Composite {
            rules: composite.rules.iter().map(rule_again).collect(),
            shares: composite.shares.clone(),
            total: composite.total,
        })),
        PolicyRule::Cel(_) => cel(),
        PolicyRule::All(rules) => PolicyRule::All(rules.iter().map(rule_again).collect()),
        PolicyRule::Any(rules) => PolicyRule::Any(rules.iter().map(rule_again).collect()),
        PolicyRule::Adaptive(index) => PolicyRule::Adaptive(*index),
        PolicyRule::Novel(index) => PolicyRule::Novel(*index),
        PolicyRule::Spans(rule) => PolicyRule::Spans(rule.clone()),
        PolicyRule::Not(rule) => PolicyRule::Not(Box::new(rule_again(rule))),
    }
}
