//! The receiver against real clients, with a host that is a thread.

mod flow;
mod grpc;
mod host;
mod http;
pub(crate) mod packed;
mod post;
pub(crate) mod samples;
