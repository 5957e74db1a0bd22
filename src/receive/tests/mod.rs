//! The receiver against real clients, with a host that is a thread.

mod flow;
mod grpc;
mod host;
mod http;
mod json;
mod post;
pub(crate) mod samples;
