//! Price table: provider and model -> price, the user's own lists first.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::csv::{self, PriceLine, Problems};
use super::rates::{ModelPrice, TierRates};

/// The provider of prices that hold for any.
const ANY: &str = "*";
/// The longest name of a model that is looked up, in bytes.
const MAX_NAME: usize = 256;

/// One list of prices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct PriceList {
    /// By provider and model.
    models: BTreeMap<String, Arc<ModelPrice>>,
    /// By provider and what the model's name begins with.
    prefixes: BTreeMap<String, Arc<ModelPrice>>,
}

/// Lists of prices, of which the first that knows a model counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriceTable {
    lists: Vec<PriceList>,
}

impl PriceTable {
    /// The list prices that come with the plugins.
    #[must_use]
    pub fn shipped() -> Self {
        Self::read(include_str!("../prices.csv")).unwrap_or_default()
    }

    /// Reads a list of prices.
    ///
    /// # Errors
    /// What is wrong, each with its line.
    pub fn read(text: &str) -> Result<Self, Vec<String>> {
        let mut problems = Problems::default();
        let lines = csv::read(text, &mut problems);
        let list = PriceList::new(&lines, &mut problems);
        problems.finish(Self { lists: vec![list] })
    }

    /// The same with the prices of `own` before them: a model that is there has no other prices.
    #[must_use]
    pub fn with_own(self, own: Self) -> Self {
        Self { lists: own.lists.into_iter().chain(self.lists).collect() }
    }

    /// The price of the first of these models that a list knows. A list knows a name that it has, or that
    /// without the date at its end, or what it begins with by a rule that ends with `*`.
    #[must_use]
    pub fn find(&self, provider: &str, models: &[&str]) -> Option<&Arc<ModelPrice>> {
        let models: Vec<String> = models.iter().filter_map(|model| name_of(model)).collect();
        let provider = provider.to_ascii_lowercase();
        let providers = [provider.as_str(), ANY];
        self.lists.iter().find_map(|list| {
            models
                .iter()
                .find_map(|model| providers.iter().find_map(|provider| list.find(provider, model)))
        })
    }

    /// The number of models and rules.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lists.iter().map(|list| list.models.len().saturating_add(list.prefixes.len())).sum()
    }
}

impl PriceList {
    fn new(lines: &[PriceLine<'_>], problems: &mut Problems) -> Self {
        let mut models: BTreeMap<String, ModelPrice> = BTreeMap::new();
        for line in lines {
            for provider in line.providers.split_whitespace() {
                for model in line.models.split_whitespace() {
                    let price = models.entry(key(provider, model)).or_default();
                    let is_same = |other: &&TierRates| {
                        other.above == line.above && other.tier.eq_ignore_ascii_case(line.tier)
                    };
                    if let Some(other) = price.rates.iter().find(is_same) {
                        let problem = format!(
                            "{provider} {model}: this price is there already, in line {}",
                            other.line
                        );
                        problems.add(line.line, &problem);
                        continue;
                    }
                    price.rates.push(TierRates {
                        tier: line.tier.to_owned(),
                        above: line.above,
                        rates: line.rates,
                        line: line.line,
                    });
                }
            }
        }
        let mut list = Self::default();
        for (key, price) in models {
            match key.strip_suffix('*') {
                Some(prefix) => list.prefixes.insert(prefix.to_owned(), Arc::new(price)),
                None => list.models.insert(key, Arc::new(price)),
            };
        }
        list
    }

    fn find(&self, provider: &str, model: &str) -> Option<&Arc<ModelPrice>> {
        let exact = self.models.get(&key(provider, model));
        let undated =
            || without_date(model).and_then(|model| self.models.get(&key(provider, model)));
        exact.or_else(undated).or_else(|| self.longest_prefix(&key(provider, model)))
    }

    fn longest_prefix(&self, key: &str) -> Option<&Arc<ModelPrice>> {
        if self.prefixes.is_empty() {
            return None;
        }
        let lengths = (1..=key.len()).rev();
        lengths.filter_map(|length| key.get(..length)).find_map(|start| self.prefixes.get(start))
    }
}

fn key(provider: &str, model: &str) -> String {
    format!("{provider} {model}").to_ascii_lowercase()
}

/// A model's name, without the path that Google's interfaces put before it; `None` for what is none.
fn name_of(model: &str) -> Option<String> {
    let name = model.rsplit_once("models/").map_or(model, |(_, name)| name).trim();
    let is_name = !name.is_empty() && name.len() <= MAX_NAME;
    is_name.then(|| name.to_ascii_lowercase())
}

/// A model's name without the date of its snapshot: `-2024-08-06`, `-20240806`, `@20240806`.
fn without_date(name: &str) -> Option<&str> {
    [("-", "dddd-dd-dd"), ("-", "dddddddd"), ("@", "dddddddd")].into_iter().find_map(
        |(before, form)| {
            let (rest, date) = name.split_at_checked(name.len().checked_sub(form.len())?)?;
            let is_date = date.bytes().zip(form.bytes()).all(|(byte, form)| match form {
                b'd' => byte.is_ascii_digit(),
                _ => byte == form,
            });
            rest.strip_suffix(before).filter(|rest| is_date && !rest.is_empty())
        },
    )
}

#[cfg(test)]
mod tests;
