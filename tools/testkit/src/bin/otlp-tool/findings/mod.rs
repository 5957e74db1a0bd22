//! Simulation of findings: how often nothing is taken for something, and how soon something is found.

mod answers;
mod budgets;
mod clients;
mod prompts;

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};

use testkit::made_calls::{Change, MadeCalls, USUAL};

/// What the simulation does.
#[derive(clap::Args)]
pub struct Args {
    /// Weeks of each kind of traffic, and changes of each kind.
    #[arg(long, default_value_t = 200)]
    weeks: u64,
    /// What is simulated; everything if it is not given.
    #[arg(long, value_enum)]
    part: Vec<Part>,
}

/// A part of the simulation.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Shifts of levels.
    Changes,
    /// Token counts, models that answer, and agents that run away.
    Clients,
    /// Drift of distributions.
    Drift,
    /// Differences of two models.
    Pairs,
    /// Prompts with other outcomes.
    Prompts,
    /// Budgets that are spent too fast.
    Budgets,
}

/// Kinds of traffic: what they are called, and what they are.
const TRAFFIC: [(&str, MadeCalls); 8] = [
    ("a call in 200 s", MadeCalls { per_second: 0.005, ..USUAL }),
    ("a call in 50 s", MadeCalls { per_second: 0.02, ..USUAL }),
    ("a call in 5 s", USUAL),
    ("2 calls a second", MadeCalls { per_second: 2.0, ..USUAL }),
    ("a call in 5 s, twice the spread", MadeCalls { spread: 1.0, ..USUAL }),
    (
        "a call in 5 s, hardly any spread, rhythm x1.5",
        MadeCalls { spread: 0.07, rhythm: 0.42, outliers: 0.0, ..USUAL },
    ),
    ("a call in 5 s, slow and fast minutes", MadeCalls { shared_spread: 0.14, ..USUAL }),
    (
        "2 calls a second, slow and fast minutes",
        MadeCalls { per_second: 2.0, shared_spread: 0.14, ..USUAL },
    ),
];

/// Runs something with the seeds from `first` on, on all processors, and gives what came of it in their order.
fn of_seeds<T: Send>(first: u64, count: u64, run: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let work = || {
        let seeds = std::iter::from_fn(|| {
            Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < count)
        });
        seeds.map(|number| (number, run(first + number))).collect::<Vec<_>>()
    };
    let mut all: Vec<(u64, T)> = std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    });
    all.sort_unstable_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, one)| one).collect()
}

/// Two calls a second for a week are as many as all others together.
fn weeks(calls: &MadeCalls, args: &Args) -> u64 {
    if calls.per_second > 1.0 { args.weeks.div_ceil(10) } else { args.weeks }
}

pub fn run(args: &Args) {
    let is_wanted = |part| args.part.is_empty() || args.part.contains(&part);
    if is_wanted(Part::Changes) {
        changes(args);
    }
    if is_wanted(Part::Clients) {
        clients::run(args.weeks);
    }
    if is_wanted(Part::Drift) {
        answers::drifts(args);
    }
    if is_wanted(Part::Pairs) {
        answers::differences(args);
    }
    if is_wanted(Part::Prompts) {
        prompts::run(args.weeks);
    }
    if is_wanted(Part::Budgets) {
        budgets::run(args.weeks);
    }
}

fn changes(args: &Args) {
    println!("| traffic of a key | weeks | calls | false findings for each key and week |");
    println!("|---|---|---|---|");
    for (name, calls) in TRAFFIC {
        let (mut found, mut seen, weeks) = (0, 0, weeks(&calls, args));
        for seed in 1..=weeks {
            let week = calls.run(seed, 7.0, None);
            found += week.before;
            seen += week.calls;
        }
        println!("| {name} | {weeks} | {seen} | {:.3} |", found as f64 / weeks as f64);
    }
    println!();
    println!(
        "| traffic of a key | change | found | calls until then: median | 9 of 10 | minutes: median | 9 of 10 |"
    );
    println!("|---|---|---|---|---|---|---|");
    let changes = [1.25, 1.5, 1.75, 2.0, 3.0, 5.0].map(Change::Duration);
    let outputs = [1.5, 2.0, 4.0].map(Change::Output);
    let shares = [0.06, 0.12, 0.3].map(Change::Failing);
    for (name, calls) in &TRAFFIC[..4] {
        for change in changes.iter().chain(&outputs).chain(&shares) {
            println!("| {name} | {} | {} |", told(*change), delays(calls, *change, args));
        }
    }
}

fn told(change: Change) -> String {
    match change {
        Change::Duration(factor) => format!("duration x{factor}"),
        Change::Output(factor) => format!("output tokens x{factor}"),
        Change::Failing(share) => format!("errors from 2 % to {:.0} %", share * 100.0),
    }
}

/// How many of the changes were found, and after how long.
fn delays(calls: &MadeCalls, change: Change, args: &Args) -> String {
    // Levels are learned from 256 calls; what is found later than 500 calls after the change is not found in time.
    let learned = (600.0 / calls.per_second / 86_400.0).max(0.5);
    let until = learned + 500.0 / calls.per_second / 86_400.0;
    let count = args.weeks.min(200);
    let all: Vec<(u64, f64)> = (1..=count)
        .filter_map(|seed| calls.run(seed + 1000, until, Some((learned, change))).after)
        .collect();
    row(&all, count)
}

/// How many of so many changes were found, and after how many calls and minutes: the median, and nine of ten.
pub fn row(all: &[(u64, f64)], count: u64) -> String {
    let mut after: Vec<u64> = all.iter().map(|(calls, _)| *calls).collect();
    let mut minutes: Vec<u64> = all.iter().map(|(_, seconds)| (seconds / 6.0) as u64).collect();
    after.sort_unstable();
    minutes.sort_unstable();
    let of = |sorted: &[u64], part: usize| {
        sorted.get(sorted.len() * part / 10).copied().unwrap_or_default()
    };
    let minutes_of = |part| of(&minutes, part) as f64 / 10.0;
    format!(
        "{:.0} % | {} | {} | {:.1} | {:.1}",
        all.len() as f64 * 100.0 / count as f64,
        of(&after, 5),
        of(&after, 9),
        minutes_of(5),
        minutes_of(9),
    )
}
