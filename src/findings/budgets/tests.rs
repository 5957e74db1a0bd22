//! Budgets of calls that are made up: when thresholds and burn rates are told, again and not again, and for whom.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times of tests")]

use std::time::Duration;

use super::*;
use crate::findings::tests::{DAY, SECOND, config, text};
use crate::findings::{CheckMode, Findings, KeptFinding};

/// Somewhere within a day, so that no bucket begins there.
const START: u64 = 20_000 * DAY + 12_345 * SECOND;
const MONTH: u64 = 30 * DAY;

fn budget(unit: BudgetUnit, amount: f64, period: u64) -> BudgetConfig {
    BudgetConfig {
        name: "users".into(),
        of: vec![("user.id".into(), None)],
        unit,
        amount,
        period: Duration::from_nanos(period),
        thresholds: vec![0.8, 1.0],
    }
}

fn watching(budgets: Vec<BudgetConfig>, max_keys: usize) -> Findings {
    let mut config = config(Check::Budgets, CheckMode::Warn);
    (config.budgets, config.max_keys) = (budgets, max_keys);
    let mut findings = Findings::new(config, START);
    findings.keep();
    findings
}

fn spending(spender: u64, unix_nanos: u64, usd: Option<f64>) -> ObservedSpending {
    let tokens = Some(100.0);
    ObservedSpending { spender, unix_nanos, weight: 1.0, usd, tokens, has_failed: false, ids: None }
}

/// A call of a user, which cost so much.
fn call(findings: &mut Findings, user: &str, unix_nanos: u64, usd: f64) {
    let spender = findings.spender(&[&text(user)], unix_nanos);
    findings.spend(&spending(spender, unix_nanos, Some(usd)), false);
}

fn lines(findings: &mut Findings) -> Vec<String> {
    findings.take_lines()
}

/// Which part of its budget each key has used, ascending.
fn used(findings: &Findings, unix_nanos: u64) -> Vec<f64> {
    let watch = findings.budgets.as_ref().unwrap();
    let mut all: Vec<f64> = watch
        .keys
        .values()
        .map(|key| key.spent(unix_nanos).amount / watch.budgets[key.budget].amount)
        .collect();
    all.sort_unstable_by(f64::total_cmp);
    all
}

/// Spends at a rate that would spend the budget so many times in its period, in calls that are so many nanoseconds apart,
/// and says after how many nanoseconds what was told.
fn burn(period: u64, rate: f64, every: u64, until: u64) -> Vec<(u64, String)> {
    let mut findings = watching(vec![budget(BudgetUnit::Usd, 100.0, period)], 10);
    let usd = 100.0 * rate * every as f64 / period as f64;
    let mut told = Vec::new();
    let mut after = every;
    while after <= until {
        call(&mut findings, "a", START + after, usd);
        told.extend(lines(&mut findings).into_iter().map(|line| (after, line)));
        after += every;
    }
    told
}

fn is_burning(line: &str) -> bool {
    line.contains("times what the budget allows")
}

/// The workbook has a detection time of limit x window / burn rate, from when a budget burns: of 14.4 in an hour, and of 6 in
/// six hours. Guarantees: it is that for budgets of every period, within a bucket of five minutes of 30 days and the ten calls
/// that it takes at least; what burns more slowly is not told before it is spent.
#[test]
fn burns_are_told_when_the_workbook_says() {
    const HOUR: u64 = 3600 * SECOND;
    for (period, scale) in
        [(MONTH, 1.0), (7 * DAY, 7.0 / 30.0), (DAY, 1.0 / 30.0), (HOUR, 1.0 / 720.0)]
    {
        for (rate, seconds) in [
            (1000.0, 51.84),
            (100.0, 518.4),
            (50.0, 1036.8),
            (20.0, 2592.0),
            (14.5, 3575.2),
            (10.0, 12_960.0),
            (6.1, 21_245.9),
        ] {
            let expected = seconds * scale;
            let every = ((expected * 1e9) as u64 / 200).max(1);
            let told = burn(period, rate, every, (expected * 1.6e9) as u64 + 20 * every);
            let after = told.iter().find(|(_, line)| is_burning(line));
            let (after, line) = after.unwrap_or_else(|| panic!("{rate} of {period}: {told:?}"));
            let (after, bucket) = (*after as f64 / 1e9, 300.0 * scale);
            assert!(after > expected * 0.99, "{rate} of {period}: {after} for {expected}: {line}");
            assert!(after < expected * 1.02 + bucket, "{rate} of {period}: {after} for {expected}");
            assert_eq!(told.len(), 1, "{told:?}");
        }
        for rate in [1.0, 2.0, 5.0, 5.8] {
            let every = period / 8640 / 4;
            let told = burn(period, rate, every, (0.79 * period as f64 / rate) as u64);
            assert!(told.is_empty(), "{rate} of {period}: {told:?}");
        }
    }
}

#[test]
fn a_finding_says_when_all_of_it_will_be_gone() {
    let told = burn(MONTH, 20.0, 6 * SECOND, DAY / 12);
    let (_, line) = &told[0];
    let hours = line.split_once("all of it in ").unwrap().1.split(' ').next().unwrap();
    // Of 36 hours 43 minutes have passed.
    assert!((33.5..37.0).contains(&hours.parse::<f64>().unwrap()), "{line}");
    assert!(line.contains("; fluentbit.ai.budget.name users; user.id a"), "{line}");
}

#[test]
fn a_few_large_calls_are_no_rate() {
    let mut findings = watching(vec![budget(BudgetUnit::Usd, 100.0, MONTH)], 10);
    for number in 0..9 {
        call(&mut findings, "a", START + number * SECOND, 8.0);
    }
    assert!(lines(&mut findings).is_empty());
    call(&mut findings, "a", START + 9 * SECOND, 8.0);
    let told = lines(&mut findings);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("80 of 100 USD in 720 h are spent, 80 % or more"), "{told:?}");
    assert!(is_burning(&told[1]), "{told:?}");
}

#[test]
fn thresholds_are_told_once_until_it_fell_below_again() {
    let mut findings = watching(vec![budget(BudgetUnit::Usd, 100.0, DAY)], 10);
    let mut told = |after: u64, usd| {
        call(&mut findings, "a", START + after, usd);
        let told = lines(&mut findings).into_iter().filter(|line| !is_burning(line));
        told.map(|line| {
            line.split_once(" % or more").unwrap().0.rsplit(' ').next().unwrap().to_owned()
        })
        .collect::<Vec<_>>()
    };
    let hour = 3600 * SECOND;
    assert!(told(0, 79.9).is_empty());
    assert_eq!(told(SECOND, 0.2), ["80"]);
    assert!(told(2 * SECOND, 10.0).is_empty());
    assert_eq!(told(12 * hour, 12.0), ["100"], "the higher one");
    assert!(told(13 * hour, 50.0).is_empty());
    // A day later 62 of it are left, which is below both, and then both are reached at once.
    assert!(told(25 * hour, 1.0).is_empty());
    assert_eq!(told(26 * hour, 60.0), ["100"]);
    assert!(told(27 * hour, 1.0).is_empty());
    // What hovers around a threshold is told once.
    let usd = |step: u64| 80.2 / 240.0 * if step % 40 < 20 { 1.06 } else { 0.94 };
    let told: usize =
        (0..1000_u64).map(|step| told(100 * hour + step * hour / 10, usd(step)).len()).sum();
    assert_eq!(told, 1);
}

#[test]
fn a_burn_is_told_again_once_it_was_over() {
    let mut findings = watching(vec![budget(BudgetUnit::Usd, 100.0, MONTH)], 10);
    let mut told = Vec::new();
    let minute = 60 * SECOND;
    for at in 0..24 * 60_u64 {
        // Twenty times as fast as it may for an hour, each six hours.
        let usd = if at % 360 < 60 { 100.0 * 20.0 / 43_200.0 } else { 0.0 };
        call(&mut findings, "a", START + at * minute, usd);
        let burning = lines(&mut findings).into_iter().filter(|line| is_burning(line));
        told.extend(burning.map(|_| at));
    }
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told.iter().all(|at| (42..=50).contains(&(at % 360))), "{told:?}");
}

#[test]
fn each_value_has_its_own_and_what_has_none_is_counted() {
    let mut findings = watching(vec![budget(BudgetUnit::Usd, 10.0, DAY)], 10);
    call(&mut findings, "a", START, 5.0);
    call(&mut findings, "b", START, 9.0);
    let empty: [&[u8]; 3] = [&[], b"\xa0", b"\xc0"];
    for value in empty {
        let spender = findings.spender(&[value], START);
        findings.spend(&spending(spender, START, Some(100.0)), false);
    }
    assert_eq!(used(&findings, START), [0.5, 0.9]);
    assert_eq!(findings.tally().uncounted, [3, 0, 0]);
    let told = lines(&mut findings);
    assert!(told.len() == 1 && told[0].contains("user.id b"), "{told:?}");
    // Numbers are values too.
    let spender = findings.spender(&[&[42]], START);
    findings.spend(&spending(spender, START, Some(20.0)), false);
    let kept: Vec<&KeptFinding> = findings.kept().iter().collect();
    assert_eq!(kept.last().unwrap().subject[1], "user.id 42");
}

/// Guarantees: of several budgets with one name the first that fits holds; those of other names count beside it.
#[test]
fn the_first_that_fits_holds() {
    let fixed = |name: &str, value: Option<&str>, amount| BudgetConfig {
        name: name.into(),
        of: vec![("tenant.id".into(), value.map(Into::into)), ("team".into(), None)],
        amount,
        ..budget(BudgetUnit::Usd, 1.0, DAY)
    };
    let all =
        BudgetConfig { name: "all".into(), of: vec![], ..budget(BudgetUnit::Calls, 1000.0, DAY) };
    let budgets = vec![fixed("t", Some("acme"), 500.0), fixed("t", None, 50.0), all];
    assert_eq!(attributes(&budgets), ["tenant.id", "team"]);
    let mut findings = watching(budgets, 10);
    for (tenant, team) in [("acme", "x"), ("acme", "y"), ("globex", "x")] {
        let spender = findings.spender(&[&text(tenant), &text(team)], START);
        findings.spend(&spending(spender, START, Some(10.0)), false);
    }
    assert_eq!(used(&findings, START), [0.003, 0.02, 0.02, 0.2]);
    // Without a team no budget t counts it, and that is told once, not for each of them.
    let spender = findings.spender(&[&text("acme"), &[]], START);
    findings.spend(&spending(spender, START, Some(10.0)), false);
    assert_eq!(findings.tally().uncounted, [1, 0, 0]);
    assert_eq!(used(&findings, START), [0.004, 0.02, 0.02, 0.2]);
}

/// Guarantees: calls count for as many as they stand for; those without a price are no zero cost but a share; failed ones
/// without tokens are neither.
#[test]
fn what_has_no_price_is_said() {
    let mut findings = watching(vec![budget(BudgetUnit::Usd, 10.0, DAY)], 10);
    let spender = findings.spender(&[&text("a")], START);
    let of = |weight, usd, tokens, has_failed| ObservedSpending {
        weight,
        tokens,
        has_failed,
        ..spending(spender, START, usd)
    };
    findings.spend(&of(4.0, None, Some(10.0), false), false);
    findings.spend(&of(2.0, None, None, true), false);
    findings.spend(&of(1.0, None, None, false), false);
    assert_eq!(findings.export(&mut Vec::new(), START + SECOND), 0, "nothing is known of it");
    findings.spend(&of(3.0, Some(3.0), Some(10.0), false), false);
    let key = findings.budgets.as_ref().unwrap().keys.values().next().unwrap();
    assert_eq!(key.spent(START), Spent { amount: 9.0, calls: 10.0, beside: 5.0 });
    assert_eq!(lines(&mut findings).len(), 1);
    findings.spend(&of(3.0, Some(3.0), Some(10.0), false), true);
    assert_eq!(used(&findings, START), [0.0]);
}

#[test]
fn late_calls_count_when_they_were_and_not_if_they_are_too_old() {
    let mut findings = watching(vec![budget(BudgetUnit::Tokens, 1000.0, DAY)], 10);
    call(&mut findings, "a", START, 1.0);
    call(&mut findings, "a", START - DAY / 2, 1.0);
    call(&mut findings, "a", START - 2 * DAY, 1.0);
    assert_eq!(findings.tally().uncounted, [0, 1, 0]);
    assert_eq!(used(&findings, START), [0.2]);
    assert!((used(&findings, START + DAY / 2 + DAY / 50)[0] - 0.1).abs() < 1e-9);
}

/// Guarantees: there are never more keys than allowed, those that were used least recently go, and a call whose key went is
/// counted as such.
#[test]
fn least_recently_used_keys_go_first() {
    let mut findings = watching(vec![budget(BudgetUnit::Usd, 10.0, DAY)], 32);
    let early = findings.spender(&[&text("early")], START);
    findings.spend(&spending(early, START, Some(1.0)), false);
    for number in 1..1000_u64 {
        call(&mut findings, &format!("user {number}"), START + number * SECOND, 1.0);
        call(&mut findings, "often", START + number * SECOND, 0.001);
        let tally = findings.tally();
        assert!(tally.keys <= 32 && findings.budgets.as_ref().unwrap().spenders.len() <= 128);
    }
    let tally = findings.tally();
    assert_eq!(tally.evicted_keys, 1001 - tally.keys);
    assert!(
        (used(&findings, START + 1000 * SECOND)[0] - 0.1).abs() < 0.01,
        "what stayed in use stayed"
    );
    findings.spend(&spending(early, START, Some(1.0)), true);
    assert_eq!(findings.tally().uncounted, [0, 0, 1]);
}

/// Guarantees: a key takes what the guide says.
#[test]
fn a_key_takes_so_many_bytes() {
    let buckets = (61 + 73) * size_of::<Spent>();
    let bytes = buckets + size_of::<BudgetKey>();
    assert!((2100..2500).contains(&bytes), "{bytes}");
}

#[test]
fn the_metric_has_the_most_used_of_many() {
    let mut findings = watching(vec![budget(BudgetUnit::Usd, 1e6, DAY)], 5000);
    for number in 0..3000_u32 {
        call(&mut findings, &format!("user {number}"), START, f64::from(number));
    }
    let mut out = Vec::new();
    assert_eq!(findings.export(&mut out, START + SECOND), 2);
    let has = |name: &str| memchr::memmem::find(&out, &text(name)).is_some();
    assert!(has("user 2000") && has("user 2999") && !has("user 1999"));
    assert!(has(BUDGET_METRIC.name) && has("user.id") && has("users"));
}
