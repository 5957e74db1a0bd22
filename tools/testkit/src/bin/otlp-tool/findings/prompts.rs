//! Simulation of prompts with other outcomes.

use testkit::made_calls::{MadeCalls, USUAL};
use testkit::made_prompts::{MadePrompts, PromptChange, USUAL_PROMPTS};

use super::of_seeds;

const fn every(per_second: f64) -> MadePrompts {
    MadePrompts { calls: MadeCalls { per_second, ..USUAL }, ..USUAL_PROMPTS }
}

/// Kinds of traffic: what they are called, and what they are.
const TRAFFIC: [(&str, MadePrompts); 9] = [
    ("a call in 50 s", every(0.02)),
    ("a call in 5 s", USUAL_PROMPTS),
    ("2 calls a second", every(2.0)),
    (
        "a call in 5 s, twice the spread",
        MadePrompts { calls: MadeCalls { spread: 1.0, ..USUAL }, ..USUAL_PROMPTS },
    ),
    (
        "a call in 5 s, slow and fast minutes",
        MadePrompts { calls: MadeCalls { shared_spread: 0.14, ..USUAL }, ..USUAL_PROMPTS },
    ),
    ("a call in 5 s, each prompt once", MadePrompts { single: 1.0, ..USUAL_PROMPTS }),
    ("a call in 5 s, one prompt", MadePrompts { prompts: 1, single: 0.0, ..USUAL_PROMPTS }),
    ("a call in 5 s, half end with a tool", MadePrompts { tools: 0.5, ..USUAL_PROMPTS }),
    (
        "a call in 5 s, one in seven fails",
        MadePrompts { calls: MadeCalls { failing: 0.15, ..USUAL }, ..USUAL_PROMPTS },
    ),
];

pub fn run(weeks: u64) {
    println!("| traffic of a key | weeks | calls | false findings for each key and week |");
    println!("|---|---|---|---|");
    for (name, traffic) in TRAFFIC {
        let weeks = if traffic.calls.per_second > 1.0 { weeks.div_ceil(10) } else { weeks };
        let all = of_seeds(1, weeks, |seed| traffic.run(seed, 7.0, None));
        let found: u64 = all.iter().map(|week| week.before).sum();
        let calls: u64 = all.iter().map(|week| week.calls).sum();
        println!("| {name} | {weeks} | {calls} | {:.3} |", found as f64 / weeks as f64);
    }
    println!();
    println!(
        "| change of one version of a prompt | of its calls | found | calls of it until then: median | 9 of 10 |"
    );
    println!("|---|---|---|---|---|");
    let changes = [
        ("duration x4", PromptChange::Duration(4.0)),
        ("duration x10", PromptChange::Duration(10.0)),
        ("output tokens x8", PromptChange::Output(8.0)),
        ("output tokens x20", PromptChange::Output(20.0)),
        ("input tokens x2", PromptChange::Input(2.0)),
        ("failure", PromptChange::Failing),
        ("refusal", PromptChange::Refused),
        ("end at the limit of tokens", PromptChange::Cut),
    ];
    for (name, change) in changes {
        for share in [0.2, 0.5, 1.0] {
            println!("| {name} | {:.0} % | {} |", share * 100.0, delays(change, share, weeks));
        }
    }
}

/// How many of the changes were found within 200 calls of the prompt, and after how many.
fn delays(change: PromptChange, share: f64, weeks: u64) -> String {
    // Half a day is learned from, which has nine thousand calls.
    let count = weeks.min(100);
    let run = |seed| USUAL_PROMPTS.run(seed, 3.0, Some((0.5, change, share))).after;
    let all = of_seeds(1001, count, run).into_iter().flatten();
    let mut after: Vec<u64> = all.map(|(calls, _)| calls).filter(|calls| *calls <= 200).collect();
    after.sort_unstable();
    let of = |part: usize| after.get(after.len() * part / 10).copied().unwrap_or_default();
    format!("{:.0} % | {} | {}", after.len() as f64 * 100.0 / count as f64, of(5), of(9))
}
