//! The checks of the rules, by what they are about.

pub mod answers;
pub mod grpc;
pub mod http;
pub mod json;
pub mod pressure;
