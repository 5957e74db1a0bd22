//! Export: Fluent Bit's chunks become OTLP requests, which go to several endpoints.
//!
//! A chunk is decoded once. Endpoints that want everything share the same encoded requests, also
//! their compressed form; an endpoint with a condition, a sampling percentage or a content policy
//! gets requests of its own. Every endpoint has its own connections, its own bound on requests in
//! flight and its own breaker, so that none delays another; small requests that wait for a busy one
//! are joined. The host's storage and retries are the durable queue: what an endpoint could not
//! take makes the host bring the chunk again, and then only that endpoint gets it, and only the
//! requests that it lacks.

mod counters;
mod deduplication;
mod delivery;
mod endpoint;
mod request;
mod selection;
mod settings;
mod transport;

pub use delivery::exporter::{Exporter, ExporterWatch};
pub use delivery::state::EndpointState;
pub use delivery::trial::EndpointTrial;
pub use selection::attributes::{AttributeKey, AttributeRules};
pub(crate) use settings::TemporalitySettings;
pub use settings::{
    AddressFamily, AssertionSettings, AwsSettings, ClientAuthentication, ClientTlsSettings,
    Compression, ContentHandling, CredentialSettings, DeadLetterTarget, DeduplicationSettings,
    EndpointSettings, ExportSettings, GroupMode, GroupSettings, HeaderFrom, HeaderSource, Http2,
    KeepContentWhen, MemberSource, NetSettings, OAuth2Settings, OnError, OnMisdirected, Password,
    Protocol,
};
pub use transport::page::{PageClient, PageFailure, PageFailureReason, ReceivedPage};
pub use transport::tls::ClientProblem;

#[cfg(test)]
mod tests;
