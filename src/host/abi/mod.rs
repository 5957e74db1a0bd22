//! Which host this is and where it keeps things.
//!
//! Everything about layouts is data: [`rows::ROWS`] says where each release keeps its fields, and
//! [`detect`] says which row is running. README.md in this folder says how to add a row.

mod bindings;
pub(super) mod detect;
mod fields;
#[cfg(test)]
mod fixtures;
mod hosts_file;
mod layouts;
mod markers;
pub mod moves;
pub(super) mod policy;
pub(super) mod program;
pub mod row;
pub mod rows;
pub mod structs;
