//! Limits of spans and bytes per second, alone, combined and shared.

use super::*;

/// A sampler's policies and what is left of their limits.
struct Sampler {
    policies: Policies,
    budgets: Budgets,
}

impl Sampler {
    fn new(rules: Vec<PolicyRule>, limits: &[(f64, f64)]) -> Self {
        let list = rules.into_iter().map(|rule| {
            let action = PolicyAction::Keep;
            Policy { name: "p".into(), rule, action }
        });
        let limits = limits.iter().map(|(rate, burst)| Limit { rate: *rate, burst: *burst });
        let policies = Policies::new(list.collect(), SpanTests::default(), limits.collect());
        let budgets = policies.budgets();
        Self { policies, budgets }
    }

    fn decide(&mut self, trace: &Trace) -> TraceOutcome {
        assert_eq!(self.policies.decide_early(trace, true), None, "limits are asked at the end");
        self.policies.decide(trace, &mut self.budgets, &mut |_, _| panic!("all have an answer"))
    }

    fn at(&mut self, second: u64) {
        self.budgets.advance(Tick(second * 1_000_000_000));
    }

    /// How many of so many traces stay.
    fn kept(&mut self, traces: usize, trace: &Trace) -> usize {
        (0..traces).filter(|_| matches!(self.decide(trace), TraceOutcome::Keep { .. })).count()
    }
}

fn spans(index: usize) -> PolicyRule {
    PolicyRule::Limit(index, LimitUnit::Spans)
}

const UNKNOWN: KeepProbability = KeepProbability::Unknown;

fn of_size(spans: u64, bytes: u64) -> Trace {
    Trace { size: TraceSize { spans, bytes }, ..trace() }
}

#[test]
fn spans_and_bytes_per_second_are_limits_of_their_own() {
    let bytes = PolicyRule::Limit(1, LimitUnit::Bytes);
    let mut sampler = Sampler::new(vec![spans(0), bytes], &[(3.0, 3.0), (100.0, 200.0)]);
    assert_eq!(sampler.decide(&of_size(3, 150)), keep(0, UNKNOWN));
    assert_eq!(sampler.decide(&of_size(3, 150)), keep(1, UNKNOWN), "the other one has room");
    assert_eq!(sampler.decide(&of_size(3, 150)), TraceOutcome::Drop(Some(0)));
    sampler.at(1);
    assert_eq!(sampler.decide(&of_size(2, 200)), keep(0, UNKNOWN));
    assert_eq!(sampler.decide(&of_size(2, 150)), keep(1, UNKNOWN));
}

/// Guarantees: what another policy keeps takes nothing out of a limit.
#[test]
fn limits_are_for_what_nothing_else_keeps() {
    let mut sampler = Sampler::new(vec![spans(0), PolicyRule::SpanTest(0)], &[(1.0, 1.0)]);
    let error = Trace { facts: PassedTests(1), ..trace() };
    for _ in 0..5 {
        let outcome = sampler.policies.decide(&error, &mut sampler.budgets, &mut |_, _| {});
        assert_eq!(outcome, keep(1, KeepProbability::Certain));
    }
    assert_eq!(sampler.kept(3, &trace()), 1);
}

/// Guarantees: a threshold is written only where traces stay exactly as likely as it says. Where a
/// limit may keep traces that chance does not, nobody knows how likely that is.
#[test]
fn a_limit_beside_chance_makes_the_probability_unknown() {
    let high = Trace { low: false, ..trace() };
    let beside = |rule: PolicyRule| vec![half(), rule];
    let and = |rules| PolicyRule::All(rules);
    let tenth = || PolicyRule::Probability(Threshold::from_percentage(10.0));
    let slow = || PolicyRule::Latency(Some(Duration::from_secs(5)), None);
    for (rules, outcome) in [
        (beside(spans(0)), keep(0, UNKNOWN)),
        (beside(and(vec![spans(0), half()])), keep(0, at(50.0))),
        (beside(and(vec![spans(0), tenth()])), keep(0, at(50.0))),
        (beside(and(vec![spans(0), slow()])), keep(0, at(50.0))),
        (vec![tenth(), and(vec![spans(0), half()])], keep(0, UNKNOWN)),
        (vec![and(vec![spans(0), half()])], keep(0, UNKNOWN)),
    ] {
        let text = format!("{rules:?}");
        assert_eq!(Sampler::new(rules, &[(9.0, 9.0)]).decide(&high), outcome, "{text}");
    }
    let mut sampler = Sampler::new(vec![and(vec![spans(0), half()])], &[(1.0, 1.0)]);
    assert_eq!(sampler.decide(&trace()), TraceOutcome::Drop(None), "chance drops it");
    assert_eq!(sampler.decide(&high), keep(0, UNKNOWN), "so that nothing was taken");
    assert_eq!(sampler.decide(&high), TraceOutcome::Drop(Some(0)));
}

/// A composite of these rules: (rule, share), under a total.
fn composite(rules: Vec<(PolicyRule, f64)>, total: f64) -> Sampler {
    let shares: Vec<f64> = rules.iter().map(|(_, share)| *share).collect();
    let rules: Vec<PolicyRule> = rules.into_iter().map(|(rule, _)| rule).collect();
    let limits: Vec<(f64, f64)> =
        shares.iter().chain([&total]).map(|rate| (*rate, *rate)).collect();
    let composite = Composite { shares: (0..rules.len()).collect(), total: rules.len(), rules };
    Sampler::new(vec![PolicyRule::Composite(Box::new(composite))], &limits)
}

/// The cases and figures are those of the Collector's tests of `composite`; test 0 stands for the
/// attribute that they ask for.
#[test]
fn a_composite_decides_as_documented() {
    let (tagged, plain) = (Trace { facts: PassedTests(1), ..trace() }, trace());
    let tag = || PolicyRule::SpanTest(0);
    let none = composite(vec![(tag(), 100.0), (tag(), 100.0)], 1000.0).decide(&plain);
    assert_eq!(none, TraceOutcome::Drop(None), "no rule matches");
    let second =
        composite(vec![(tag(), 100.0), (PolicyRule::Always, 100.0)], 1000.0).decide(&plain);
    assert_eq!(second, keep(0, UNKNOWN));

    let mut overflow = composite(vec![(tag(), 1.0), (PolicyRule::Always, 1.0)], 3.0);
    assert_eq!(overflow.decide(&tagged), keep(0, UNKNOWN));
    assert_eq!(overflow.decide(&tagged), TraceOutcome::Drop(Some(0)), "no later rule is asked");
    assert_eq!(overflow.decide(&plain), keep(0, UNKNOWN));

    let not_tag = PolicyRule::Not(Box::new(tag()));
    let mut inverted = composite(vec![(tag(), 20.0), (not_tag, 20.0)], 10.0);
    assert_eq!(inverted.kept(10, &plain), 10);
    assert_eq!(inverted.kept(10, &plain), 0, "the total holds for all together");

    let mut throttled = composite(vec![(PolicyRule::Always, 10.0)], 10.0);
    assert_eq!(throttled.kept(20, &plain), 10);
    throttled.at(1);
    assert_eq!(throttled.kept(10, &plain), 10);

    let mut halves = composite(vec![(tag(), 5.0), (PolicyRule::Always, 5.0)], 10.0);
    for second in 0..3 {
        halves.at(second);
        assert_eq!((halves.kept(25, &plain), halves.kept(25, &tagged)), (5, 5), "{second}");
    }
}

/// Guarantees: chance decides before a limit is asked, and a limit inside counts too.
#[test]
fn rules_of_a_composite_may_have_chance_and_limits_of_their_own() {
    let mut chance = composite(vec![(half(), 1.0), (PolicyRule::Always, 2.0)], 10.0);
    assert_eq!(chance.kept(5, &trace()), 2, "the second rule's share");
    assert_eq!(chance.kept(5, &Trace { low: false, ..trace() }), 1);
    let inner = PolicyRule::All(vec![PolicyRule::Always, spans(2)]);
    let mut limited = composite(vec![(inner, 5.0)], 5.0);
    limited.budgets = Budgets::new(&[5.0, 5.0, 1.0].map(|rate| Limit { rate, burst: rate }));
    assert_eq!(limited.kept(5, &trace()), 1);
}
