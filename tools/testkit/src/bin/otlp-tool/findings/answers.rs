//! Simulation of findings about answers: drift of their distributions, and differences of two models.

use testkit::made_answers::{AnswerDrift, MadeAnswers, ModelDifference, USUAL_ANSWERS};

use super::{Args, row};

const DAY: f64 = 86_400.0;
const HEAD: &str = "found | calls until then: median | 9 of 10 | minutes: median | 9 of 10 |";

/// Kinds of traffic: what they are called, what they are, and after how many days a drift comes.
const TRAFFIC: [(&str, MadeAnswers, f64); 8] = [
    ("a call in 200 s", MadeAnswers { per_second: 0.005, ..USUAL_ANSWERS }, 10.0),
    ("a call in 50 s", MadeAnswers { per_second: 0.02, ..USUAL_ANSWERS }, 4.0),
    ("a call in 5 s", USUAL_ANSWERS, 2.5),
    ("2 calls a second", MadeAnswers { per_second: 2.0, ..USUAL_ANSWERS }, 2.5),
    ("a call in 5 s, twice the spread", MadeAnswers { spread: 1.6, ..USUAL_ANSWERS }, 2.5),
    (
        "a call in 5 s, hardly any spread, rhythm x1.5",
        MadeAnswers { spread: 0.07, rhythm: 0.42, ..USUAL_ANSWERS },
        2.5,
    ),
    (
        "a call in 5 s, long and short minutes",
        MadeAnswers { shared_spread: 0.14, ..USUAL_ANSWERS },
        2.5,
    ),
    (
        "2 calls a second, long and short minutes",
        MadeAnswers { per_second: 2.0, shared_spread: 0.14, ..USUAL_ANSWERS },
        2.5,
    ),
];
/// Those of which drifts and differences are shown.
const SHOWN: usize = 4;

/// Two calls a second for a week are as many as all others together.
fn weeks(answers: &MadeAnswers, args: &Args) -> u64 {
    if answers.per_second > 1.0 { args.weeks.div_ceil(10) } else { args.weeks }
}

fn none_of(name: &str, weeks: u64, run: impl Fn(u64) -> testkit::made_calls::Found) {
    let (mut found, mut seen) = (0, 0);
    for seed in 1..=weeks {
        let week = run(seed);
        found += week.before;
        seen += week.calls;
    }
    println!("| {name} | {weeks} | {seen} | {:.3} |", found as f64 / weeks as f64);
}

pub fn drifts(args: &Args) {
    println!("| traffic of a key | weeks | calls | false findings for each key and week |");
    println!("|---|---|---|---|");
    for (name, answers, _) in TRAFFIC {
        none_of(name, weeks(&answers, args), |seed| answers.run(seed, 7.0, None));
    }
    println!("\n| traffic of a key | drift | {HEAD}\n|---|---|---|---|---|---|---|");
    let drifts = [
        AnswerDrift::Length(1.5),
        AnswerDrift::Length(2.0),
        AnswerDrift::Spread(2.0),
        AnswerDrift::Cut(0.1),
        AnswerDrift::Cut(0.2),
        AnswerDrift::Refused(0.05),
        AnswerDrift::Refused(0.1),
        AnswerDrift::Score(0.05),
        AnswerDrift::Score(0.1),
        AnswerDrift::Score(0.2),
    ];
    for (name, answers, at) in &TRAFFIC[..SHOWN] {
        for drift in drifts {
            let count = weeks(answers, args).min(200);
            // What is found later than 5000 calls after the drift is not found in time.
            let until = at + 5000.0 / answers.per_second / DAY;
            let found = |seed| answers.run(seed + 1000, until, Some((*at, drift))).after;
            let all: Vec<(u64, f64)> =
                (1..=count).filter_map(found).filter(|(calls, _)| *calls <= 5000).collect();
            println!("| {name} | {} | {} |", told(drift), row(&all, count));
        }
    }
}

fn told(drift: AnswerDrift) -> String {
    let percent = |share: f64| share * 100.0;
    match drift {
        AnswerDrift::Length(factor) => format!("length x{factor}"),
        AnswerDrift::Spread(factor) => format!("spread of lengths x{factor}"),
        AnswerDrift::Cut(share) => format!("cut from 3 % to {:.0} %", percent(share)),
        AnswerDrift::Refused(share) => format!("refused from 1 % to {:.0} %", percent(share)),
        AnswerDrift::Score(less) => format!("score from 0.8 to {:.2}", 0.8 - less),
    }
}

pub fn differences(args: &Args) {
    println!("| traffic of a key | weeks | calls | false findings for each key and week |");
    println!("|---|---|---|---|");
    for (name, answers, _) in TRAFFIC {
        none_of(&format!("{name}, a shadow"), weeks(&answers, args), |seed| {
            answers.compare(seed, 7.0, None, None)
        });
    }
    none_of("a call in 5 s, a canary of 10 %", args.weeks, |seed| {
        USUAL_ANSWERS.compare(seed, 7.0, Some(0.1), None)
    });
    println!("\n| traffic of a key | difference | {HEAD}\n|---|---|---|---|---|---|---|");
    let differences = [
        ModelDifference::Duration(1.2),
        ModelDifference::Duration(1.5),
        ModelDifference::Duration(2.0),
        ModelDifference::Output(1.2),
        ModelDifference::Output(1.5),
        ModelDifference::Failing(0.08),
        ModelDifference::Failing(0.2),
        ModelDifference::Cut(0.1),
        ModelDifference::Cut(0.25),
    ];
    let shadows = TRAFFIC[..SHOWN].iter().map(|(name, answers, _)| (*name, answers, None));
    let canary = [("a call in 5 s, a canary of 10 %", &USUAL_ANSWERS, Some(0.1))];
    for (name, answers, canary) in shadows.chain(canary) {
        for difference in differences {
            let count = weeks(answers, args).min(200);
            // What is found later than 5000 calls of the shadow is not found in time.
            let days = 5000.0 / answers.per_second / canary.unwrap_or(1.0) / DAY;
            let found = |seed| answers.compare(seed + 1000, days, canary, Some(difference)).after;
            let all: Vec<(u64, f64)> = (1..=count).filter_map(found).collect();
            println!("| {name} | {} | {} |", told_difference(difference), row(&all, count));
        }
    }
}

fn told_difference(difference: ModelDifference) -> String {
    let percent = |share: f64| share * 100.0;
    match difference {
        ModelDifference::Duration(factor) => format!("duration x{factor}"),
        ModelDifference::Output(factor) => format!("output tokens x{factor}"),
        ModelDifference::Failing(share) => format!("errors from 2 % to {:.0} %", percent(share)),
        ModelDifference::Cut(share) => format!("cut from 3 % to {:.0} %", percent(share)),
    }
}
