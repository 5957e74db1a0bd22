//! Decisions before a trace is whole: by each kind of policy, and never another one than at the end.

use proptest::prelude::*;

use super::*;

fn latency(lower: Option<u64>, upper: Option<u64>) -> PolicyRule {
    PolicyRule::Latency(lower.map(Duration::from_secs), upper.map(Duration::from_secs))
}

fn not(rule: PolicyRule) -> PolicyRule {
    PolicyRule::Not(Box::new(rule))
}

/// What is decided of a trace that took 5 s with 5 spans and passed test 0.
fn early(list: Vec<(PolicyRule, PolicyAction)>) -> Option<TraceOutcome> {
    let size = TraceSize { spans: 5, bytes: 500 };
    let (facts, duration) = (PassedTests(1), Duration::from_secs(5));
    policies(list).decide_early(&Trace { facts, duration, size, ..trace() }, true)
}

const KEPT: Option<bool> = Some(true);
const DROPPED: Option<bool> = Some(false);

/// Guarantees: a policy alone decides early where, and only where, what follows cannot change its answer.
#[test]
fn each_kind_of_policy_decides_as_soon_as_it_is_certain() {
    let limit = PolicyRule::Limit(0, LimitUnit::Spans);
    let composite = Composite { rules: vec![PolicyRule::Always], shares: vec![0], total: 0 };
    let tokens =
        |total_tokens| PolicyRule::Usage(UsageTest { total_tokens, ..UsageTest::default() });
    let test = PolicyRule::SpanTest;
    let chance = |percentage| PolicyRule::Probability(Threshold::from_percentage(percentage));
    for (rule, decided) in [
        (PolicyRule::Always, KEPT),
        (test(0), KEPT),
        (test(1), None),
        (latency(Some(4), None), KEPT),
        (latency(Some(5), None), None),
        (latency(None, Some(5)), None),
        (latency(None, Some(4)), DROPPED),
        (latency(Some(1), Some(4)), DROPPED),
        (latency(Some(4), Some(9)), None),
        (PolicyRule::SpanCount(5, None), KEPT),
        (PolicyRule::SpanCount(6, None), None),
        (PolicyRule::SpanCount(0, Some(5)), None),
        (PolicyRule::SpanCount(0, Some(4)), DROPPED),
        (tokens(0.0), KEPT),
        (tokens(1.0), None),
        (PolicyRule::Finding, None),
        (chance(100.0), KEPT),
        (chance(1.0), DROPPED),
        (PolicyRule::Probability(None), DROPPED),
        (PolicyRule::Adaptive(0), None),
        (limit, None),
        (PolicyRule::Composite(Box::new(composite)), None),
        (cel(), None),
        (PolicyRule::All(vec![test(0), latency(Some(4), None)]), KEPT),
        (PolicyRule::All(vec![test(0), cel()]), None),
        (PolicyRule::All(vec![cel(), latency(None, Some(4))]), DROPPED),
        (PolicyRule::All(vec![test(0), chance(1.0)]), DROPPED),
        (PolicyRule::All(vec![test(1), chance(1.0)]), None),
        (PolicyRule::All(Vec::new()), KEPT),
        (PolicyRule::Any(vec![cel(), test(0)]), KEPT),
        (PolicyRule::Any(vec![cel(), latency(None, Some(4))]), None),
        (PolicyRule::Any(vec![PolicyRule::SpanCount(0, Some(1)), latency(None, Some(4))]), DROPPED),
        (PolicyRule::Any(vec![chance(1.0), test(1)]), None),
        (PolicyRule::Any(vec![chance(1.0), chance(100.0)]), KEPT),
        (PolicyRule::Any(Vec::new()), DROPPED),
        (not(test(0)), DROPPED),
        (not(test(1)), None),
        (not(latency(None, Some(4))), KEPT),
        (not(cel()), None),
        (not(not(test(0))), KEPT),
    ] {
        let text = format!("{rule:?}");
        let outcome = early(vec![(rule, PolicyAction::Keep)]);
        let outcome = outcome.map(|outcome| matches!(outcome, TraceOutcome::Keep { .. }));
        assert_eq!(outcome, decided, "{text}");
    }
}

/// Guarantees: nothing is kept early while another policy may still drop it, and what a policy drops for certain
/// goes at once.
#[test]
fn drop_policies_are_asked_first() {
    let keep_it = || (PolicyRule::SpanTest(0), PolicyAction::Keep);
    let certain = Some(keep(0, KeepProbability::Certain));
    for (rule, outcome) in [
        (PolicyRule::SpanTest(1), None),
        (latency(Some(9), None), None),
        (cel(), None),
        (latency(None, Some(4)), certain),
        (PolicyRule::All(vec![cel(), not(PolicyRule::SpanTest(0))]), certain),
        (latency(Some(4), None), Some(TraceOutcome::Drop(Some(1)))),
    ] {
        let text = format!("{rule:?}");
        assert_eq!(early(vec![keep_it(), (rule, PolicyAction::Drop)]), outcome, "{text}");
    }
    let goes = early(vec![(cel(), PolicyAction::Keep), (PolicyRule::Always, PolicyAction::Drop)]);
    assert_eq!(goes, Some(TraceOutcome::Drop(Some(1))), "whatever the expression says");
}

/// Guarantees: where the first policy that matches decides, those before it must be out of the question. Chance is
/// asked early only where nothing that follows can change the randomness.
#[test]
fn order_and_chance_are_respected() {
    let keep = |rule| (rule, PolicyAction::Keep);
    let in_order = |first: PolicyRule| {
        let list = vec![keep(first), keep(PolicyRule::SpanTest(0))];
        let size = TraceSize { spans: 5, bytes: 500 };
        let policies = policies(list).in_order(true);
        policies.decide_early(&Trace { facts: PassedTests(1), size, ..trace() }, true)
    };
    assert_eq!(in_order(PolicyRule::SpanTest(1)), None);
    assert_eq!(in_order(PolicyRule::SpanCount(0, Some(4))), Some(self::keep(1, at(100.0))));
    assert_eq!(in_order(half()), Some(TraceOutcome::Drop(Some(0))));
    for in_order in [false, true] {
        let policies =
            policies(vec![keep(latency(None, Some(4))), keep(half())]).in_order(in_order);
        let slow = Trace { duration: Duration::from_secs(5), low: false, ..trace() };
        assert_eq!(policies.decide_early(&slow, true), Some(self::keep(1, at(50.0))));
        assert_eq!(policies.decide_early(&slow, false), None);
        assert_eq!(policies.decide_early(&Trace { low: false, ..trace() }, true), None);
    }
}

/// Any rule, of those that a test can have.
fn any_rule() -> impl Strategy<Value = String> {
    let one = prop_oneof![
        Just("always".to_owned()),
        (0..3_usize).prop_map(|test| format!("test {test}")),
        (0..4_u64, 0..6_u64).prop_map(|(lower, upper)| format!("latency {lower} {upper}")),
        (0..4_u64, 0..6_u64).prop_map(|(least, most)| format!("spans {least} {most}")),
        (0..5_u32).prop_map(|tokens| format!("tokens {tokens}")),
        (0..3_u32).prop_map(|part| format!("chance {}", part * 50)),
        Just("cel".to_owned()),
        Just("limit".to_owned()),
    ];
    one.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|rule| format!("not ( {rule} )")),
            (prop::collection::vec(inner, 0..3), any::<bool>()).prop_map(|(rules, all)| {
                format!("{} ( {} )", if all { "all" } else { "any" }, rules.join(" "))
            }),
        ]
    })
}

/// Reads a rule.
fn rule<'w>(words: &mut impl Iterator<Item = &'w str>) -> Option<PolicyRule> {
    let word = words.next()?;
    let mut number = || words.next().unwrap().parse::<u64>().unwrap();
    let optional = |number: u64| (number > 0).then_some(number);
    Some(match word {
        "always" => PolicyRule::Always,
        "test" => PolicyRule::SpanTest(usize::try_from(number()).unwrap()),
        "latency" => {
            let lower = optional(number());
            latency(lower, optional(number()))
        }
        "spans" => {
            let least = number();
            PolicyRule::SpanCount(least, optional(number()))
        }
        "tokens" => {
            let input_tokens = number() as f64;
            PolicyRule::Usage(UsageTest { input_tokens, ..UsageTest::default() })
        }
        "chance" => PolicyRule::Probability(Threshold::from_percentage(number() as f64)),
        "cel" => cel(),
        "limit" => PolicyRule::Limit(0, LimitUnit::Spans),
        "not" | "all" | "any" => {
            words.next();
            let rules: Vec<PolicyRule> = std::iter::from_fn(|| rule(words)).collect();
            match word {
                "not" => not(rules.into_iter().next().unwrap()),
                "all" => PolicyRule::All(rules),
                _ => PolicyRule::Any(rules),
            }
        }
        _ => return None,
    })
}

/// What a span adds: a test that it passes, seconds, tokens.
fn growth() -> impl Strategy<Value = (u64, u64, u8)> {
    (prop_oneof![4 => Just(0), 1 => 0..8_u64], 0..3_u64, 0..3_u8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Scenario: policies of all kinds and combinations, and a trace that grows span by span. Guarantees: what is
    /// decided early is what would have been decided at the end, whether the trace stays and with which
    /// probability, whatever expressions say and limits have room for. A policy that asks only whether a span
    /// passed a test is decided as soon as one did.
    #[test]
    fn what_is_decided_early_is_what_is_decided_at_the_end(
        list in prop::collection::vec((any_rule(), prop::bool::weighted(0.2)), 1..4),
        in_order in any::<bool>(),
        spans in prop::collection::vec(growth(), 1..8),
        low in any::<bool>(),
        meets in any::<Option<bool>>(),
        room in any::<bool>(),
    ) {
        let policy = |(text, drops): &(String, bool)| {
            let action = if *drops { PolicyAction::Drop } else { PolicyAction::Keep };
            (rule(&mut text.split(' ')).unwrap(), action)
        };
        let policies = policies(list.iter().map(policy).collect()).in_order(in_order);
        let mut trace = Trace { size: TraceSize::default(), low, meets, ..trace() };
        let mut early = None;
        for (tests, seconds, tokens) in &spans {
            let mut usage = SpanUsage::default();
            usage.attribute(b"gen_ai.usage.input_tokens", &[*tokens]);
            trace.usage.add(&usage);
            trace.facts.0 |= tests;
            trace.duration += Duration::from_secs(*seconds);
            trace.size.spans += 1;
            early = early.or(policies.decide_early(&trace, true));
        }
        let burst = if room { 1e6 } else { 0.0 };
        let mut budgets = Budgets::new(&[Limit { rate: burst, burst }]);
        let end = policies.decide(&trace, &mut budgets, &mut |_, _| {});
        let told = |outcome: TraceOutcome| match outcome {
            TraceOutcome::Keep { probability, .. } => Some(probability),
            TraceOutcome::Drop(_) => None,
        };
        if let Some(early) = early {
            prop_assert_eq!(told(early), told(end));
        }
        if matches!(&list[..], [(text, false)] if text == "test 0") && trace.facts.has(0) {
            prop_assert!(early.is_some());
        }
    }
}
