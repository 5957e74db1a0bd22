//! The receiver against real clients, with a host that is a thread.

mod backpressure;
mod flow;
mod grpc;
mod h2;
pub(crate) mod host;
mod http;
mod json;
mod limits;
pub(crate) mod packed;
pub(crate) mod post;
pub(crate) mod samples;
mod tenancy;
mod transports;
