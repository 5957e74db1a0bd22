use super::*;
use crate::model::TraceId;

struct Trace {
    facts: PassedTests,
    duration: Duration,
    low: bool,
    before: Option<Threshold>,
    meets: Option<bool>,
}

impl TraceFacts for Trace {
    fn facts(&self) -> PassedTests {
        self.facts
    }
    fn duration(&self) -> Duration {
        self.duration
    }
    fn randomness(&self) -> Randomness {
        Randomness::of_trace(TraceId(if self.low { [0x11; 16] } else { [0xee; 16] }))
    }
    fn threshold_before(&self) -> Option<Threshold> {
        self.before
    }
    fn meets(&self, _condition: &Condition) -> Result<bool, ConditionError> {
        self.meets.ok_or_else(|| ConditionError::NotBool("int".to_owned()))
    }
}

fn trace() -> Trace {
    Trace {
        facts: PassedTests::default(),
        duration: Duration::ZERO,
        low: true,
        before: None,
        meets: Some(false),
    }
}

fn half() -> Rule {
    Rule::Probability(Threshold::from_percentage(50.0))
}

fn policies(rules: Vec<(Rule, Action)>) -> Policies {
    let list = rules.into_iter().map(|(rule, action)| Policy { name: "p".into(), rule, action });
    Policies::new(list.collect(), SpanTests::default())
}

fn keep(policy: usize, level: Level) -> Outcome {
    Outcome::Keep { policy, level }
}

fn at(percentage: f64) -> Level {
    Level::At(Threshold::from_percentage(percentage).unwrap())
}

fn decide(policies: &Policies, trace: &Trace) -> Outcome {
    policies.decide(trace, &mut |_, _| panic!("each expression has an answer"))
}

fn cel() -> Rule {
    Rule::Cel(Box::new(Condition::compile("errors > 0").unwrap()))
}

#[test]
fn the_likeliest_matching_policy_decides() {
    let tenth = Rule::Probability(Threshold::from_percentage(10.0));
    let error_half = Rule::All(vec![Rule::Fact(0), half()]);
    let policies = policies(vec![(tenth, Action::Keep), (error_half, Action::Keep)]);
    let mut error = trace();
    error.facts.add(0);
    assert_eq!(decide(&policies, &error), Outcome::Drop(None));
    error.low = false;
    assert_eq!(decide(&policies, &error), keep(1, at(50.0)));
    assert_eq!(decide(&policies, &Trace { low: false, ..trace() }), keep(0, at(10.0)));
    let before = Threshold::from_percentage(5.0);
    assert_eq!(decide(&policies, &Trace { before, ..trace() }), keep(0, at(10.0)));
}

#[test]
fn a_drop_policy_wins() {
    let slow = Rule::Latency(Duration::from_secs(1), None);
    let policies = policies(vec![(Rule::Fact(0), Action::Keep), (slow, Action::Drop)]);
    let mut error = trace();
    error.facts.add(0);
    assert_eq!(decide(&policies, &error), keep(0, Level::Certain));
    assert_eq!(policies.decide_early(&error), None, "it may still become slow");
    error.duration = Duration::from_secs(1);
    assert_eq!(decide(&policies, &error), Outcome::Drop(Some(1)));
}

#[test]
fn early_only_what_cannot_change() {
    let not_error = Rule::Not(Box::new(Rule::Fact(0)));
    let brief = Rule::Latency(Duration::ZERO, Some(Duration::from_secs(1)));
    let slow = Rule::Latency(Duration::from_secs(5), None);
    let keeps = [not_error, brief, half(), slow].map(|rule| (rule, Action::Keep));
    let policies = policies(keeps.into());
    assert_eq!(policies.decide_early(&Trace { low: false, ..trace() }), None);
    assert_eq!(decide(&policies, &trace()), keep(0, Level::Certain));
    let duration = Duration::from_secs(6);
    let early = policies.decide_early(&Trace { duration, ..trace() });
    assert_eq!(early, Some(keep(3, Level::Certain)));
}

#[test]
fn chance_alone_decides_at_once() {
    let policies = policies(vec![(half(), Action::Keep)]);
    assert_eq!(policies.decide_early(&trace()), Some(Outcome::Drop(None)));
    let high = Trace { low: false, ..trace() };
    assert_eq!(policies.decide_early(&high), Some(keep(0, at(50.0))));
    let never = self::policies(vec![(Rule::Probability(None), Action::Keep)]);
    assert_eq!(decide(&never, &high), Outcome::Drop(None));
}

#[test]
fn expressions_are_asked_last() {
    let policies = policies(vec![(cel(), Action::Keep), (Rule::Fact(0), Action::Keep)]);
    let mut met = Trace { meets: Some(true), ..trace() };
    assert_eq!(decide(&policies, &met), keep(0, Level::Certain));
    assert_eq!(policies.decide_early(&met), None);
    met.facts.add(0);
    assert_eq!(decide(&policies, &met), keep(1, Level::Certain));
}

/// Guarantees: a policy without an answer does not match, however the expression is combined, and is
/// told by its index; what has an answer without it is not told.
#[test]
fn no_answer_is_neither_yes_nor_no() {
    let not = |rule| Rule::Not(Box::new(rule));
    let unanswered = Trace { meets: None, ..trace() };
    for (rule, told) in [
        (cel(), 1),
        (not(cel()), 1),
        (not(not(cel())), 1),
        (Rule::All(vec![cel(), Rule::Always]), 1),
        (Rule::All(vec![cel(), Rule::Fact(0)]), 0),
        (not(Rule::All(vec![Rule::Always, not(cel())])), 1),
    ] {
        let words = format!("{rule:?}");
        for action in [Action::Keep, Action::Drop] {
            let rule = rule_again(&rule);
            let policies = policies(vec![(Rule::Fact(1), Action::Keep), (rule, action)]);
            let mut indices = Vec::new();
            let outcome = policies.decide(&unanswered, &mut |index, error| {
                indices.push((index, error.kind().name()));
            });
            assert_eq!(outcome, Outcome::Drop(None), "{words}");
            assert_eq!(indices, vec![(1, "not_bool"); told], "{words}");
        }
    }
}

/// The same rule once more.
fn rule_again(rule: &Rule) -> Rule {
    match rule {
        Rule::Always => Rule::Always,
        Rule::Fact(index) => Rule::Fact(*index),
        Rule::Latency(lower, upper) => Rule::Latency(*lower, *upper),
        Rule::Probability(threshold) => Rule::Probability(*threshold),
        Rule::Cel(_) => cel(),
        Rule::All(rules) => Rule::All(rules.iter().map(rule_again).collect()),
        Rule::Not(rule) => Rule::Not(Box::new(rule_again(rule))),
    }
}
