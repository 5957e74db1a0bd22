//! Policies that keep what is new, among others.

use super::*;
use crate::sampling::adaptive::KeyFields;

fn rare(seconds: u64) -> NoveltyConfig {
    let (fields, novelty) = (KeyFields::default(), Novelty::Rare(1, 10));
    NoveltyConfig { fields, novelty, window: Duration::from_secs(seconds) }
}

fn decided(policies: &Policies, budgets: &mut Budgets) -> TraceOutcome {
    policies.decide(&trace(), budgets, &mut |_, _| panic!("each expression has an answer"))
}

/// Guarantees: the first trace is kept for certain and the second is not; policies that change go on with what the
/// same settings have seen, and others begin anew; with rules in order what is not new goes to the next rule.
#[test]
fn what_was_seen_is_not_new_again() {
    let of = |seconds| {
        let list = vec![(PolicyRule::Novel(0), PolicyAction::Keep)];
        policies(list).with_novelty(vec![rare(seconds)])
    };
    let first = of(60);
    let mut budgets = first.budgets();
    assert_eq!(decided(&first, &mut budgets), keep(0, KeepProbability::Certain));
    assert_eq!(decided(&first, &mut budgets), TraceOutcome::Drop(None));
    of(60).take_over(&first, &mut budgets);
    assert_eq!(decided(&first, &mut budgets), TraceOutcome::Drop(None));
    of(61).take_over(&first, &mut budgets);
    assert_eq!(decided(&first, &mut budgets), keep(0, KeepProbability::Certain));
    assert_eq!(first.decide_early(&trace(), true), None, "a trace is new as a whole");

    let list =
        vec![(PolicyRule::Novel(0), PolicyAction::Keep), (PolicyRule::Always, PolicyAction::Drop)];
    let in_order = policies(list).with_novelty(vec![rare(60)]).in_order(true);
    let mut budgets = in_order.budgets();
    let always = KeepProbability::At(Threshold::ALWAYS);
    assert_eq!(decided(&in_order, &mut budgets), keep(0, always));
    assert_eq!(decided(&in_order, &mut budgets), TraceOutcome::Drop(Some(1)));
}

/// Guarantees: what another policy keeps for certain does not count as seen; chance and a limit in an `and` with
/// one that keeps what is new decide about what is new alone.
#[test]
fn what_is_new_is_asked_after_what_is_certain() {
    let list = vec![
        (PolicyRule::Novel(0), PolicyAction::Keep),
        (PolicyRule::SpanTest(0), PolicyAction::Keep),
    ];
    let policies = policies(list).with_novelty(vec![rare(60)]);
    let mut budgets = policies.budgets();
    let mut error = trace();
    error.facts.add(0);
    let outcome = policies.decide(&error, &mut budgets, &mut |_, _| {});
    assert_eq!(outcome, keep(1, KeepProbability::Certain));
    assert_eq!(decided(&policies, &mut budgets), keep(0, KeepProbability::Certain));

    let both = PolicyRule::All(vec![PolicyRule::Novel(0), half()]);
    let policies = self::policies(vec![(both, PolicyAction::Keep)]).with_novelty(vec![rare(60)]);
    let mut budgets = policies.budgets();
    let high = Trace { low: false, ..trace() };
    let outcome = policies.decide(&high, &mut budgets, &mut |_, _| {});
    assert_eq!(outcome, keep(0, at(50.0)));
    let outcome = policies.decide(&high, &mut budgets, &mut |_, _| {});
    assert_eq!(outcome, TraceOutcome::Drop(None));
}
