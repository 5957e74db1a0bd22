//! Export: Fluent Bit's chunks become OTLP requests, which go to several endpoints.
//!
//! A chunk is decoded once. Endpoints that want everything share the same encoded requests, also
//! their compressed form; an endpoint with a condition, a sampling percentage or a content policy
//! gets requests of its own. Every endpoint has its own connections, its own bound on requests in
//! flight and its own breaker, so that none delays another; small requests that wait for a busy one
//! are joined. The host's storage and retries are the durable queue: what an endpoint could not
//! take makes the host bring the chunk again, and then only that endpoint gets it, and only the
//! requests that it lacks.

mod advice;
mod attributes;
mod client;
mod company;
mod connections;
mod content;
mod credentials;
mod destination;
mod encode;
mod endpoint;
mod exporter;
mod group;
mod grpc;
mod hold;
mod json;
mod kinds;
mod late;
mod letters;
mod making;
mod meters;
mod part;
mod pieces;
mod redirect;
mod reply;
mod retry;
mod settings;
mod stamp;
mod tls;
mod todo;
mod trace;
mod units;
mod view;

pub use attributes::{AttributeKey, AttributeRules};
pub use exporter::Exporter;
pub use settings::{
    AddressFamily, AssertionSettings, AwsSettings, ClientAuthentication, Compression, Content,
    CredentialSettings, DeadLetter, EndpointSettings, GroupSettings, HeaderFrom, Http2, KeptFor,
    Members, Mode, NetSettings, OAuth2Settings, OnError, OnMisdirected, Password, Protocol,
    Settings, Source, TlsSettings,
};
pub use tls::ClientProblem;

#[cfg(test)]
mod tests;
