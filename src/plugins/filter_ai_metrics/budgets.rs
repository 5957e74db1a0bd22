//! The budgets that `ai_metrics` watches: the option `budgets`.

use std::iter::Peekable;
use std::str::SplitAsciiWhitespace;
use std::time::Duration;

use super::prices::CostBasis;
use crate::config::Parser;
use crate::config::read::{self, Read};
use crate::findings::{BudgetConfig, BudgetUnit, CheckMode};
use crate::plugin::OptionSpec;

/// Budgets at most, and attributes and thresholds of one.
const MAX_BUDGETS: usize = 32;
const MAX_PARTS: usize = 8;
const HOUR: u64 = 3600;
const PERIODS: [(&str, u64); 4] =
    [("hour", HOUR), ("day", 24 * HOUR), ("week", 7 * 24 * HOUR), ("30d", 30 * 24 * HOUR)];
/// Which parts of a budget are told of where it does not say.
const THRESHOLDS: [f64; 2] = [0.8, 1.0];
/// Attributes that are of one call, or content.
const NO_KEYS: [&str; 4] = [
    "gen_ai.response.id",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
];
const ALLOWED: &str = "allowed: up to 32 budgets 'NAME [ATTRIBUTE=VALUE or ATTRIBUTE=* ...] AMOUNT USD|tokens|calls per \
                       hour|day|week|30d [at PERCENT% ...]', separated by commas";

/// Budgets, separated by commas.
pub(super) fn budgets(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Vec<BudgetConfig>> {
    let given = read::list(parser, option)?;
    let mut budgets = Vec::new();
    for text in &given {
        match budget(text) {
            Ok(budget) => budgets.push(budget),
            Err((what, part)) => {
                parser.refuse(option.name, text, &format!("{what} '{part}' is none; {ALLOWED}"));
            }
        }
    }
    if budgets.len() > MAX_BUDGETS {
        let count = budgets.len().to_string();
        parser.refuse(option.name, &count, ALLOWED);
    }
    Some(budgets)
}

type Words<'t> = Peekable<SplitAsciiWhitespace<'t>>;

fn next<'t>(words: &mut Words<'t>) -> &'t str {
    words.next().unwrap_or_default()
}

/// A budget, or which part of it is wrong.
fn budget(text: &str) -> Result<BudgetConfig, (&'static str, &str)> {
    let mut words = text.split_ascii_whitespace().peekable();
    let name = words.next().filter(|name| !name.contains('=')).ok_or(("the name", text))?;
    let mut of: Vec<(Box<str>, Option<Box<str>>)> = Vec::new();
    while let Some((key, value)) = words.peek().and_then(|word| word.split_once('=')) {
        let is_known = of.iter().any(|(known, _)| **known == *key);
        let is_key = !key.is_empty() && !NO_KEYS.contains(&key) && !is_known;
        if !is_key || value.is_empty() || of.len() >= MAX_PARTS {
            return Err(("the attribute", words.next().unwrap_or_default()));
        }
        of.push((key.into(), (value != "*").then(|| value.into())));
        words.next();
    }
    let word = next(&mut words);
    let amount = word.parse().ok().filter(|amount: &f64| amount.is_finite() && *amount > 0.0);
    let amount = amount.ok_or(("the amount", word))?;
    let word = next(&mut words);
    let unit = BudgetUnit::ALL.into_iter().find(|unit| unit.name().eq_ignore_ascii_case(word));
    let unit = unit.ok_or(("the unit", word))?;
    let per = next(&mut words);
    let word = if per == "per" { next(&mut words) } else { per };
    let period = PERIODS.iter().find(|(name, _)| per == "per" && *name == word);
    let (_, seconds) = period.ok_or(("the period", word))?;
    let mut thresholds = Vec::new();
    if let Some(at) = words.next() {
        let percents = (at == "at").then_some(words).ok_or(("what follows the period", at))?;
        for word in percents {
            let percent = word.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
            let percent = percent.filter(|percent| (1.0..=1000.0).contains(percent));
            thresholds.push(percent.ok_or(("the threshold", word))? / 100.0);
        }
        if thresholds.is_empty() || thresholds.len() > MAX_PARTS {
            return Err(("the threshold", "at"));
        }
        thresholds.sort_unstable_by(f64::total_cmp);
    } else {
        thresholds.extend(THRESHOLDS);
    }
    let period = Duration::from_secs(*seconds);
    Ok(BudgetConfig { name: name.into(), of, unit, amount, period, thresholds })
}

/// Refuses to watch nothing, and money where no cost is known.
pub(super) fn check_budgets(
    parser: &mut Parser<'_>,
    mode: CheckMode,
    budgets: &[BudgetConfig],
    cost: CostBasis,
) {
    if mode == CheckMode::Off {
        return;
    }
    // Those that are wrong were told of.
    if parser.text("budgets").is_none_or(|given| given.trim().is_empty()) {
        parser.refuse("find_budgets", "on", "allowed: with budgets in 'budgets' only");
    }
    let in_usd = budgets.iter().find(|budget| budget.unit == BudgetUnit::Usd);
    if let Some(budget) = in_usd.filter(|_| cost == CostBasis::Off) {
        let allowed = format!("budget '{}' is in USD; allowed: list, own, reported", budget.name);
        parser.refuse("cost", "off", &allowed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_read_word_by_word() {
        let users = budget("users user.id=* 20 USD per day at 100% 50%").unwrap();
        assert_eq!(
            users,
            BudgetConfig {
                name: "users".into(),
                of: vec![("user.id".into(), None)],
                unit: BudgetUnit::Usd,
                amount: 20.0,
                period: Duration::from_secs(86_400),
                thresholds: vec![0.5, 1.0],
            }
        );
        let acme = budget(" acme tenant.id=acme  team=* 2e6 tokens per 30d").unwrap();
        assert_eq!(acme.of, [("tenant.id".into(), Some("acme".into())), ("team".into(), None)]);
        assert_eq!((acme.amount, acme.unit), (2e6, BudgetUnit::Tokens));
        assert_eq!(acme.thresholds, [0.8, 1.0]);
        let all = budget("all 0.5 calls per hour").unwrap();
        assert_eq!((all.of.len(), all.period.as_secs()), (0, 3600));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, what, part) in [
            ("user.id=* 20 USD per day", "the name", "user.id=* 20 USD per day"),
            ("users user.id= 20 USD per day", "the attribute", "user.id="),
            ("users =a 20 USD per day", "the attribute", "=a"),
            ("users a=1 a=2 20 USD per day", "the attribute", "a=2"),
            ("users gen_ai.response.id=* 2 calls per day", "the attribute", "gen_ai.response.id=*"),
            ("users user.id 20 USD per day", "the amount", "user.id"),
            ("users", "the amount", ""),
            ("users -20 USD per day", "the amount", "-20"),
            ("users 0 USD per day", "the amount", "0"),
            ("users inf USD per day", "the amount", "inf"),
            ("users 20 EUR per day", "the unit", "EUR"),
            ("users 20 USD", "the period", ""),
            ("users 20 USD day", "the period", "day"),
            ("users 20 USD per month", "the period", "month"),
            ("users 20 USD per day 80%", "what follows the period", "80%"),
            ("users 20 USD per day at", "the threshold", "at"),
            ("users 20 USD per day at 80", "the threshold", "80"),
            ("users 20 USD per day at 0.8%", "the threshold", "0.8%"),
        ] {
            assert_eq!(budget(text), Err((what, part)), "{text}");
        }
    }
}
