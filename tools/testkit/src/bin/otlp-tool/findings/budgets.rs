//! Simulation of findings about budgets: who stays within one, and who spends it too fast.

use testkit::made_spending::{MadeSpending, USUAL_SPENDING};

use super::row;

/// Days of which calls are made without a finding: a whole period of 30 days, and five weeks.
const DAYS: f64 = 65.0;
/// Kinds of spending: what they are called, and what they are.
const SPENDING: [(&str, MadeSpending); 8] = [
    ("a call in 1000 s, 30 days", MadeSpending { per_second: 0.001, ..USUAL_SPENDING }),
    ("a call in 50 s, 30 days", USUAL_SPENDING),
    ("a call in 5 s, 30 days", MadeSpending { per_second: 0.2, ..USUAL_SPENDING }),
    ("a call in 50 s, a week", MadeSpending { days: 7.0, ..USUAL_SPENDING }),
    ("a call in 5 s, a day", MadeSpending { per_second: 0.2, days: 1.0, ..USUAL_SPENDING }),
    ("a call in 5 s, an hour", MadeSpending { per_second: 0.2, days: 1.0 / 24.0, used: 0.2 }),
    ("a call in 1000 s, a day", MadeSpending { per_second: 0.001, days: 1.0, used: 0.2 }),
    ("a call in 50 s, 30 days, three quarters used", MadeSpending { used: 0.75, ..USUAL_SPENDING }),
];
/// Those of which spending too fast is shown.
const SHOWN: usize = 5;

pub fn run(weeks: u64) {
    println!(
        "| spending of a key, budget of | used | weeks | calls | false findings for each key and week |"
    );
    println!("|---|---|---|---|---|");
    for (name, spending) in SPENDING {
        let runs = if spending.per_second > 0.1 { weeks.div_ceil(20) } else { weeks.div_ceil(5) };
        let (mut found, mut calls) = (0, 0);
        for seed in 1..=runs {
            let run = spending.run(seed, DAYS, None);
            found += run.before;
            calls += run.calls;
        }
        let (weeks, used) = (runs as f64 * DAYS / 7.0, spending.used * 100.0);
        println!("| {name} | {used:.0} % | {weeks:.0} | {calls} | {:.3} |", found as f64 / weeks);
    }
    let head = "found | calls until then: median | 9 of 10 | minutes: median | 9 of 10 | by the workbook |";
    println!(
        "\n| spending of a key, budget of | as fast as it may | {head}\n|---|---|---|---|---|---|---|---|"
    );
    for (name, spending) in &SPENDING[..SHOWN] {
        for rate in [2.0, 5.0, 10.0, 50.0, 1000.0] {
            // A period is waited for, in which all of it is spent, after two days of usual spending.
            let until = 2.0 + spending.days;
            let count = weeks.min(if spending.per_second > 0.1 { 20 } else { 200 });
            let found = |seed| spending.run(seed + 1000, until, Some((2.0, rate))).after;
            let all: Vec<(u64, f64)> = (1..=count).filter_map(found).collect();
            println!(
                "| {name} | x{rate} | {} | {} |",
                row(&all, count),
                by_the_workbook(spending, rate)
            );
        }
    }
}

/// When the workbook's limits are passed, in minutes; what is slower is told when most of it is spent.
fn by_the_workbook(spending: &MadeSpending, rate: f64) -> String {
    let month = spending.days / 30.0;
    let limits = [(14.4, 60.0), (6.0, 360.0)];
    match limits.iter().find(|(limit, _)| rate >= *limit) {
        Some((limit, minutes)) => format!("{:.1}", limit * minutes * month / rate),
        None => "".to_owned(),
    }
}
