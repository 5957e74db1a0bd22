//! Prices of model calls: the tokens of a call -> what it cost.
//!
//! Amounts are whole picodollars, 10^-12 US dollars: a price in US dollars per million tokens that has at
//! most six digits behind the point is a whole number of picodollars per token, so sums are exact.
//!
//! [`PriceTable::shipped`] has the list prices that come with the plugins, `prices.csv` beside this file;
//! [`PriceTable::with_own`] puts a user's own before them.

mod amount;
mod csv;
mod rates;
mod table;

pub use self::amount::{from_usd, to_usd};
pub use self::rates::{ModelPrice, Rates, UsedTokens};
pub use self::table::PriceTable;
