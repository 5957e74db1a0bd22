//! Which host this is and where it keeps things.
//!
//! Everything about layouts is data: [`rows::ROWS`] says where each release keeps its fields, and
//! [`detect`] says which row is running. README.md in this folder says how to add a row.

pub(super) mod detect;
mod layouts;
mod markers;
mod program;
pub mod row;
pub mod rows;
pub mod structs;
