//! Delivery: what is done so that each endpoint gets its part of a chunk, above the single attempt.
//!
//! The way of a chunk: [`exporter`] has it encoded and asks [`claim`] what is under way already;
//! each destination makes an [`attempt`] by its [`strategy`]: whole, coalesced with others, split
//! by size, or given up as dead letters. What failed is tried again in place ([`retry`]), held
//! until the endpoint is back ([`hold`]), or goes back to the host.

mod attempt;
mod builder;
mod claim;
mod coalesce;
mod dead_letter;
mod destination;
pub(super) mod exporter;
pub(super) mod group;
mod hold;
mod invitation;
mod metric_form;
mod retry;
mod sender;
mod split;
pub(super) mod state;
mod strategy;
pub(super) mod trial;
