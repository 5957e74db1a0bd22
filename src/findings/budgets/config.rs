//! Budgets as they are configured.

use std::time::Duration;

use crate::model::listed_enum;

listed_enum! {
    /// What a budget is in.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum BudgetUnit {
        /// What calls cost, in US dollars.
        Usd,
        /// Tokens taken in and given out.
        Tokens,
        /// Calls.
        Calls,
    }
}

impl BudgetUnit {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usd => "USD",
            Self::Tokens => "tokens",
            Self::Calls => "calls",
        }
    }
}

/// A budget, or one for each value of attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetConfig {
    /// Its name. Of several with one name the first that fits a call holds.
    pub name: Box<str>,
    /// Attributes of spans or resources, each with the value that calls need; without one each value has a budget of
    /// its own.
    pub of: Vec<(Box<str>, Option<Box<str>>)>,
    /// What it is in.
    pub unit: BudgetUnit,
    /// How much of it there is, more than 0.
    pub amount: f64,
    /// For how long: any time of this length, as it rolls on.
    pub period: Duration,
    /// Which parts of the amount are told of, ascending; up to 8.
    pub thresholds: Vec<f64>,
}

/// The attributes of budgets, each once.
pub(in crate::findings) fn attributes(budgets: &[BudgetConfig]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in budgets.iter().flat_map(|budget| &budget.of) {
        if !names.iter().any(|known| **known == **name) {
            names.push(name.to_string());
        }
    }
    names
}
