//! Simulation of what libraries say, which models answer, and of agents that run away.

use fluent_bit_ai::findings::Check;
use testkit::made_calls::{MadeCalls, USUAL};
use testkit::made_clients::{ClientChange, MadeClients, USUAL_CLIENTS};

use super::{of_seeds, row};

/// Kinds of traffic: what they are called, and what they are.
const TRAFFIC: [(&str, MadeClients); 6] = [
    (
        "a call in 50 s",
        MadeClients { calls: MadeCalls { per_second: 0.02, ..USUAL }, ..USUAL_CLIENTS },
    ),
    ("a call in 5 s", USUAL_CLIENTS),
    (
        "2 calls a second",
        MadeClients { calls: MadeCalls { per_second: 2.0, ..USUAL }, ..USUAL_CLIENTS },
    ),
    ("a call in 5 s, one in fifty says no tokens", MadeClients { silent: 0.02, ..USUAL_CLIENTS }),
    ("a call in 5 s, two snapshots answer", MadeClients { second: 0.3, ..USUAL_CLIENTS }),
    (
        "a call in 5 s, one call of a tool in five again",
        MadeClients { retried: 0.2, ..USUAL_CLIENTS },
    ),
];

const CHECKS: [(&str, Check); 3] =
    [("usage", Check::Usage), ("served model", Check::ServedModel), ("runaway", Check::Runaway)];

/// What becomes otherwise.
const CHANGES: [(&str, ClientChange); 18] = [
    ("no tokens in all calls", ClientChange::Missing(1.0)),
    ("no tokens in one call of five", ClientChange::Missing(0.2)),
    ("no tokens in one call of ten", ClientChange::Missing(0.1)),
    ("no input tokens in all calls", ClientChange::Zero(1.0)),
    ("negative tokens in one call of ten", ClientChange::Negative(0.1)),
    ("negative tokens in one call of fifty", ClientChange::Negative(0.02)),
    ("more reasoning than output in one call of ten", ClientChange::Impossible(0.1)),
    ("more reasoning than output in one call of fifty", ClientChange::Impossible(0.02)),
    ("another model in all calls", ClientChange::OtherModel(1.0)),
    ("another model in one call of ten", ClientChange::OtherModel(0.1)),
    ("another snapshot in one call of ten", ClientChange::OtherSnapshot(0.1)),
    ("another fingerprint in one call of ten", ClientChange::OtherFingerprint(0.1)),
    ("one tool with the same arguments", ClientChange::Repeated(1.0)),
    ("every second call so", ClientChange::Repeated(0.5)),
    ("every third call so", ClientChange::Repeated(0.33)),
    ("tools in a circle of three", ClientChange::Circle(3)),
    ("tools in a circle of five", ClientChange::Circle(5)),
    ("100000 tokens a call, a call in 3 s", ClientChange::Tokens(100_000.0)),
];

pub fn run(weeks: u64) {
    println!(
        "| traffic of a key | weeks | calls | false findings for each key and week: usage | served model | runaway |"
    );
    println!("|---|---|---|---|---|---|");
    for (name, traffic) in TRAFFIC {
        let weeks = if traffic.calls.per_second > 1.0 { weeks.div_ceil(10) } else { weeks };
        let mut calls = 0;
        let rates = CHECKS.map(|(_, check)| {
            let all = of_seeds(1, weeks, |seed| traffic.run(check, seed, 7.0, None));
            let found: u64 = all.iter().map(|week| week.before).sum();
            calls = all.iter().map(|week| week.calls).sum::<u64>();
            format!("{:.3}", found as f64 / weeks as f64)
        });
        println!("| {name} | {weeks} | {calls} | {} |", rates.join(" | "));
    }
    println!();
    println!(
        "| what becomes otherwise | found | calls until then: median | 9 of 10 | minutes: median | 9 of 10 |"
    );
    println!("|---|---|---|---|---|---|");
    for (name, change) in CHANGES {
        let count = weeks.min(100);
        let run = |seed| USUAL_CLIENTS.run(change.check(), seed, 0.75, Some((0.5, change))).after;
        let all: Vec<(u64, f64)> = of_seeds(1001, count, run).into_iter().flatten().collect();
        println!("| {name} | {} |", row(&all, count));
    }
}
