//! The receiver against real clients, with a host that is a thread.

mod flow;
mod grpc;
mod h2;
mod host;
mod http;
mod limits;
pub(crate) mod packed;
mod post;
mod pressure;
pub(crate) mod samples;
mod tenancy;
mod transports;
