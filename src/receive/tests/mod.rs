//! The receiver against real clients, with a host that is a thread.

mod flow;
mod grpc;
pub(crate) mod host;
mod http;
pub(crate) mod post;
pub(crate) mod samples;
