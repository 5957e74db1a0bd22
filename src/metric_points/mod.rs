//! Data points of metrics in encoded requests: their temporality, and how many values their attributes may have.

pub mod attribute_limit;
mod exponential;
mod histogram;
mod metric;
mod number;
mod point;
pub mod temporality;
mod totals;
