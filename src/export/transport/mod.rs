//! Transport: one request to one endpoint over HTTP or gRPC, once, and what the answer means.

mod advice;
mod causes;
pub(super) mod client;
pub(super) mod connections;
pub(super) mod credentials;
mod grpc;
pub(super) mod json;
pub(super) mod page;
mod partial_success;
mod redirect;
pub(super) mod reply;
pub(super) mod tls;
