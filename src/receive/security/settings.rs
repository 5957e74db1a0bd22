//! Typed settings of security.

use std::path::PathBuf;
use std::time::Duration;

use super::secret::Secret;

/// Who may send, and how. The default lets everybody send in plain text.
#[derive(Debug, Clone, Default)]
pub struct SecuritySettings {
    /// TLS on all listeners.
    pub(crate) tls: Option<ServerTlsSettings>,
    /// Tokens that are accepted as `authorization: Bearer`.
    pub(crate) bearer_tokens: Vec<Secret>,
    /// A file with such tokens, one a line.
    pub(crate) bearer_token_file: Option<PathBuf>,
    /// A user and a password that are accepted as `authorization: Basic`.
    pub(crate) basic: Option<(String, Secret)>,
    /// A YAML file with credentials by tenant.
    pub(crate) tenants_file: Option<PathBuf>,
    /// Validation of JSON Web Tokens.
    pub(crate) jwt: Option<JwtSettings>,
    /// Browsers' pages that may send: origins with at most one `*` each.
    pub(crate) cors_allowed_origins: Vec<String>,
    /// Request headers that such pages may set beside those that exporters need.
    pub(crate) cors_allowed_headers: Vec<String>,
}

/// TLS of a server.
#[derive(Debug, Clone)]
pub struct ServerTlsSettings {
    /// The certificate chain in PEM.
    pub(crate) crt_file: PathBuf,
    /// Its key in PEM.
    pub(crate) key_file: PathBuf,
    /// The key's password, if it is encrypted.
    pub(crate) key_passwd: Option<Secret>,
    /// The certificates in PEM that clients' certificates are checked against.
    pub(crate) ca_file: Option<PathBuf>,
    /// Whether clients need a certificate.
    pub(crate) require_client: bool,
    /// Allowed versions, oldest and newest: 12 is TLS 1.2, 13 is TLS 1.3.
    pub(crate) versions: (u8, u8),
    /// Whether HTTP/2 is offered beside HTTP/1.1.
    pub(crate) http2: bool,
    /// Allowed cipher suites by their names in OpenSSL or by IANA; empty allows all.
    pub(crate) ciphers: Vec<String>,
}

/// Validation of JSON Web Tokens (RFC 7519) by a key set (RFC 7517).
#[derive(Debug, Clone)]
pub struct JwtSettings {
    /// Where the key set is.
    pub(crate) keys: KeySource,
    /// The only accepted issuer.
    pub(crate) issuer: String,
    /// Accepted audiences; empty accepts any.
    pub(crate) audiences: Vec<String>,
    /// Accepted values of the claim `azp` or `client_id`; empty accepts any.
    pub(crate) clients: Vec<String>,
    /// Accepted algorithms by their names in RFC 7518 and RFC 8037.
    pub(crate) algorithms: Vec<String>,
    /// By how much the senders' clocks may be wrong.
    pub(crate) leeway: Duration,
    /// The claim that names the tenant.
    pub(crate) tenant_claim: Option<String>,
}

/// Where a key set is.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A file, read again when it changes.
    File(PathBuf),
    /// A server.
    Url {
        /// `http` or `https`.
        url: String,
        /// Certificates in PEM to trust beside the machine's.
        ca_file: Option<PathBuf>,
        /// How often to fetch it.
        refresh: Duration,
    },
}
