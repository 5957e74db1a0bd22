//! Which host this is and where it keeps things.

pub mod row;
pub mod rows;
pub mod structs;
