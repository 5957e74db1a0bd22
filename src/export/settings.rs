//! Typed settings of an exporter.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Uri};

use crate::cipher_suites::VERSIONS;
use crate::codec::fluentbit::LogAccessors;
use crate::condition::Condition;
use crate::export::selection::attributes::{AttributeKey, AttributeRules};
use crate::genai::BackendDialect;
use crate::metric_points::temporality::Temporality;
use crate::model::Signal;
use crate::sampling::Threshold;

/// Settings of one instance.
#[derive(Debug, Clone)]
pub struct ExportSettings {
    /// The endpoints, in the order in which the user named them.
    pub(crate) endpoints: Vec<EndpointSettings>,
    /// The groups, in the order in which the user named them.
    pub(crate) groups: Vec<GroupSettings>,
    /// Requests in flight to each endpoint at most.
    pub(crate) max_in_flight: usize,
    /// Bytes of the chunks that are held in flight at most while an endpoint is away.
    pub(crate) retry_in_place_size: usize,
    /// Where ordinary logs have what OTLP has fields for.
    pub(crate) logs: LogAccessors,
}

/// How a group uses its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupMode {
    /// The first member that is there gets everything.
    Failover,
    /// The members take turns, request by request.
    RoundRobin,
    /// The member with the fewest requests in flight gets the next one.
    LeastBusy,
    /// All items of a trace go to one member, by consistent hashing of the trace id.
    TraceId,
}

/// Settings of one group that is more than a list of endpoints.
#[derive(Debug, Clone)]
pub struct GroupSettings {
    /// Its name in options, counters and log lines.
    pub(crate) name: String,
    /// How it uses its members.
    pub(crate) mode: GroupMode,
    /// Its members, in order of preference.
    pub(crate) members: MemberSource,
}

/// Where the members of a group come from.
#[derive(Debug, Clone)]
pub enum MemberSource {
    /// A list, of which there is at least one.
    Listed(Vec<EndpointSettings>),
    /// Every address of the host in this endpoint's URL, looked up again after `interval`.
    Resolved {
        /// What the members have in common.
        endpoint: Box<EndpointSettings>,
        /// The time between look-ups.
        interval: Duration,
    },
}

impl GroupSettings {
    /// What every member gets: settings of view are the same for all of them.
    #[must_use]
    pub fn common(&self) -> Option<&EndpointSettings> {
        match &self.members {
            MemberSource::Listed(members) => members.first(),
            MemberSource::Resolved { endpoint, .. } => Some(endpoint),
        }
    }
}

/// The transports of OTLP; the names are those of `OTEL_EXPORTER_OTLP_PROTOCOL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `http/protobuf`
    HttpProtobuf,
    /// `http/json`
    HttpJson,
    /// `grpc`
    Grpc,
}

/// Which version of HTTP an endpoint without gRPC is spoken to with; the names are those of Fluent
/// Bit's own output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http2 {
    /// With TLS what the endpoint chooses (RFC 7301), without TLS HTTP/1.1.
    Auto,
    /// HTTP/1.1.
    Off,
    /// With TLS what the endpoint chooses, without TLS HTTP/2 with prior knowledge (RFC 9113,
    /// section 3.3).
    On,
    /// HTTP/2 only.
    Force,
}

/// The kind of addresses that are tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressFamily {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// How connections are made and kept, by the names of Fluent Bit's `net.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetSettings {
    /// How long connecting may take; as long as a request unless given.
    pub(crate) connect_timeout: Option<Duration>,
    /// Whether connections are used again.
    pub(crate) keepalive: bool,
    /// How long an idle connection is kept.
    pub(crate) keepalive_idle_timeout: Duration,
    /// Whether TCP asks silent peers whether they are there.
    pub(crate) tcp_keepalive: bool,
    /// After this time of silence it asks.
    pub(crate) tcp_keepalive_time: Duration,
    /// After this time it asks again.
    pub(crate) tcp_keepalive_interval: Duration,
    /// So many unanswered questions end a connection.
    pub(crate) tcp_keepalive_probes: u32,
    /// The address of this machine that connections are made from.
    pub(crate) source_address: Option<IpAddr>,
    /// The kind of addresses that are tried first, where a name has both; as the name service
    /// orders them unless given.
    pub(crate) prefer: Option<AddressFamily>,
}

impl Default for NetSettings {
    fn default() -> Self {
        Self {
            connect_timeout: None,
            keepalive: true,
            keepalive_idle_timeout: Duration::from_secs(90),
            tcp_keepalive: true,
            tcp_keepalive_time: Duration::from_secs(15),
            tcp_keepalive_interval: Duration::from_secs(15),
            tcp_keepalive_probes: 3,
            source_address: None,
            prefer: None,
        }
    }
}

/// How request bodies are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, at its fastest level.
    Gzip,
    /// zstd, at its fastest usual level.
    Zstd,
}

/// What happens to prompts, completions, tool arguments and tool results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentHandling {
    /// They are sent.
    Keep,
    /// They are removed, and the item says what was.
    Drop,
    /// Those longer than this many bytes are cut, and the item says which.
    Truncate(usize),
    /// They are sent with some items and removed from all others.
    Only(KeepContentWhen),
}

/// Why content is sent where not all of it is. One reason is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct KeepContentWhen {
    /// A span's status is an error, or a log has the severity of one.
    pub(crate) errors: bool,
    /// Something was found in the item: [`crate::genai::FINDINGS`] is not empty.
    pub(crate) findings: bool,
    /// The item's trace is above this threshold of consistent probability sampling. What belongs
    /// to no trace is judged by a hash of itself.
    pub(crate) sample: Option<Threshold>,
    /// A policy of sampling said of the item's trace that content is to be kept. If it said that content is to be
    /// dropped, no other reason holds.
    pub(crate) hinted: bool,
}

/// Which content is sent once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeduplicationSettings {
    /// The attributes of spans and log records whose values are.
    pub(crate) names: Vec<AttributeKey>,
    /// How far apart in time an item may be from the one that holds its content.
    pub(crate) window: Duration,
    /// Smaller values, in bytes, are sent as they are.
    pub(crate) min_size: usize,
}

/// What happens to an item for which `where` has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// It is not sent to this endpoint.
    Drop,
    /// It is sent.
    Keep,
}

/// What happens to a request where the answer shows that the address is wrong: 404 and its likes, a
/// redirect that is not followed, a web page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnMisdirected {
    /// It is refused for good, as the OTLP specification says of 404.
    Drop,
    /// It stays with the host, for as long as the host retries.
    Retry,
}

/// Settings of one endpoint.
#[derive(Clone)]
pub struct EndpointSettings {
    /// Its name in options, counters and log lines.
    pub(crate) name: String,
    /// Where it is. For HTTP a path `/` stands for the default path of each signal.
    pub(crate) url: Uri,
    /// The whole path of a signal's requests over HTTP, where it is not made from the URL.
    pub(crate) paths: Vec<(Signal, PathAndQuery)>,
    /// The same over gRPC, where it is not the method's own.
    pub(crate) grpc_paths: Vec<(Signal, PathAndQuery)>,
    /// The address to use instead of looking the URL's host up.
    pub(crate) address: Option<SocketAddr>,
    /// The transport.
    pub(crate) protocol: Protocol,
    /// Which version of HTTP; without meaning for gRPC.
    pub(crate) http2: Http2,
    /// How connections are made and kept.
    pub(crate) net: NetSettings,
    /// Headers of every request; they may hold secrets.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// Headers from the items.
    pub(crate) header_from: Vec<HeaderFrom>,
    /// Headers that change.
    pub(crate) credentials: CredentialSettings,
    /// Where refused items go.
    pub(crate) dead_letter: Option<DeadLetterTarget>,
    /// The HTTP proxy to go through; may hold a password.
    pub(crate) proxy: Option<String>,
    /// Whether `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` of the environment say which
    /// proxy to go through.
    pub(crate) proxy_from_environment: bool,
    /// Compression of request bodies.
    pub(crate) compression: Compression,
    /// The limit for one request, from its start to the end of the answer.
    pub(crate) timeout: Duration,
    /// How long it is tried to deliver a chunk before what is missing of it is given up; `None` is
    /// for ever.
    pub(crate) max_elapsed_time: Option<Duration>,
    /// How long a chunk may be held in flight, and failed requests made again, before the chunk goes
    /// back to the host; zero is not at all.
    pub(crate) retry_in_place: Duration,
    /// How long connections are used; without end unless given.
    pub(crate) max_connection_age: Option<Duration>,
    /// What an answer of a wrong address means.
    pub(crate) on_misdirected: OnMisdirected,
    /// The signals that it gets.
    pub(crate) signals: Vec<Signal>,
    /// The items that it gets.
    pub(crate) condition: Option<Arc<Condition>>,
    /// What a failing condition means.
    pub(crate) on_error: OnError,
    /// Whether it gets content.
    pub(crate) content: ContentHandling,
    /// Where content is not kept: the bytes up to which it gets text under names that no list of
    /// content has; without limit unless given.
    pub(crate) content_unlisted: Option<usize>,
    /// The dialect that its spans are in; as they are unless given.
    pub(crate) dialect: Option<BackendDialect>,
    /// Whether it gets the metrics of model servers under the names of the conventions.
    pub(crate) maps_server_metrics: bool,
    /// The temporality that its metrics have; as they are unless given.
    pub(crate) temporality: Option<TemporalitySettings>,
    /// How many values an attribute of a metric may have; any number unless given.
    pub(crate) max_attribute_values: Option<usize>,
    /// What it gets instead of the attributes as they are.
    pub(crate) attributes: Option<Arc<AttributeRules>>,
    /// Content that it gets once and then by its address.
    pub(crate) deduplication: Option<DeduplicationSettings>,
    /// The part of the traces that it gets, from 0 to 100; chosen by trace id.
    pub(crate) sampling_percentage: Option<f64>,
    /// TLS.
    pub(crate) tls: ClientTlsSettings,
    /// Uncompressed bytes of a request at most, unless a single item is larger.
    pub(crate) max_request_size: usize,
    /// Spans, data points and log records of a request at most.
    pub(crate) max_request_items: usize,
}

/// Which temporality an endpoint gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TemporalitySettings {
    pub(crate) target: Temporality,
    /// Bytes that what is known of series may take.
    pub(crate) state_size: usize,
}

/// Where the value of a header comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderSource {
    /// An attribute of the resource.
    Resource(String),
    /// An attribute of the scope.
    Scope(String),
    /// An attribute of the span, log record or data point.
    Item(String),
}

/// A header whose value comes from the items, so that those of one value travel together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderFrom {
    /// The header.
    pub(crate) name: HeaderName,
    /// Where its value comes from; an item that has none is sent without the header, or with the
    /// endpoint's own.
    pub(crate) source: HeaderSource,
}

/// Headers that change: what they are made of. Holds secrets.
#[derive(Clone, Default)]
pub struct CredentialSettings {
    /// A file of headers that is read again when it changes.
    pub(crate) headers_file: Option<PathBuf>,
    /// A file with a bearer token that is read again when it changes.
    pub(crate) bearer_token_file: Option<PathBuf>,
    /// A token service.
    pub(crate) oauth2: Option<OAuth2Settings>,
    /// AWS Signature Version 4.
    pub(crate) aws: Option<AwsSettings>,
}

/// How requests to AWS are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsSettings {
    /// The service's name in signatures, such as `logs` or `xray`.
    pub(crate) service: String,
    /// The region that the service is in, such as `eu-central-1`.
    pub(crate) region: String,
    /// The profile in AWS's files; `AWS_PROFILE` or `default` unless given.
    pub(crate) profile: Option<String>,
    /// The file of keys; `AWS_SHARED_CREDENTIALS_FILE` or `~/.aws/credentials` unless given.
    pub(crate) credentials_file: Option<PathBuf>,
    /// A role to be assumed.
    pub(crate) role_arn: Option<String>,
    /// What the role's owner asks for beside that.
    pub(crate) external_id: Option<String>,
    /// Where STS is, if not where AWS has it for the region.
    pub(crate) sts_endpoint: Option<Uri>,
}

/// The client credentials grant of OAuth 2.0 (RFC 6749, section 4.4). Holds a secret.
#[derive(Clone, Default)]
pub struct OAuth2Settings {
    /// The token endpoint.
    pub(crate) token_url: Uri,
    /// Who we are.
    pub(crate) client_id: String,
    /// The proof, unless that is an assertion.
    pub(crate) client_secret: String,
    /// How the proof is given.
    pub(crate) authentication: ClientAuthentication,
    /// What the token is to be good for.
    pub(crate) scopes: Vec<String>,
    /// Whom the token is for, where the service asks for that.
    pub(crate) audience: Option<String>,
    /// What the token is to be used at (RFC 8707), where the service asks for that.
    pub(crate) resource: Option<String>,
    /// The name that we go by at the service; our own unless given.
    pub(crate) user_agent: Option<HeaderValue>,
    /// The limit for one request; the endpoint's unless given.
    pub(crate) timeout: Option<Duration>,
    /// The limit for connecting; the endpoint's unless given.
    pub(crate) connect_timeout: Option<Duration>,
    /// How long before its end a token is renewed; after four fifths of its life unless given.
    pub(crate) refresh_skew: Option<Duration>,
}

/// How a client proves who it is; the names are those of Fluent Bit's own output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ClientAuthentication {
    /// Id and secret in the header `authorization` (RFC 6749, section 2.3.1).
    #[default]
    Basic,
    /// Id and secret in the body (the same section).
    Post,
    /// A signed assertion in the body (RFC 7523, section 2.2).
    PrivateKeyJwt(AssertionSettings),
}

/// What a client assertion is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssertionSettings {
    /// The private key, in PEM: RSA, or P-256 or P-384 in PKCS#8.
    pub(crate) key_file: PathBuf,
    /// Its certificate, in PEM or DER, whose thumbprint names the key.
    pub(crate) certificate_file: Option<PathBuf>,
    /// Whom it is for; the token endpoint unless given.
    pub(crate) audience: Option<String>,
    /// The header of the thumbprint: `kid`, `x5t`, `x5t#S256` or another.
    pub(crate) header: String,
    /// How long it is valid.
    pub(crate) lifetime: Duration,
}

/// Where items go that an endpoint refuses for good.
#[derive(Debug, Clone)]
pub enum DeadLetterTarget {
    /// To another endpoint.
    Endpoint(Box<EndpointSettings>),
    /// To a file of JSON lines of at most this many bytes.
    File(PathBuf, u64),
}

/// TLS settings of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTlsSettings {
    /// Certificates, in PEM, trusted beside the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// A folder of such files, as OpenSSL has them; what holds no certificate is passed over.
    pub(crate) ca_path: Option<PathBuf>,
    /// Our certificate chain, in PEM.
    pub(crate) crt_file: Option<PathBuf>,
    /// The key of our certificate, in PEM.
    pub(crate) key_file: Option<PathBuf>,
    /// The password of the key, if it is encrypted.
    pub(crate) key_passwd: Option<Password>,
    /// The name in the endpoint's certificate, where it is not the URL's host. It is also sent as
    /// the server name and the host.
    pub(crate) server_name: Option<String>,
    /// Whether the endpoint's certificate is checked.
    pub(crate) verify: bool,
    /// The oldest and newest version, as numbers of [`crate::cipher_suites::parse_version`].
    pub(crate) versions: (u8, u8),
    /// The names of the cipher suites; none for all.
    pub(crate) ciphers: Vec<String>,
}

impl Default for ClientTlsSettings {
    fn default() -> Self {
        Self {
            ca_file: None,
            ca_path: None,
            crt_file: None,
            key_file: None,
            key_passwd: None,
            server_name: None,
            verify: true,
            versions: VERSIONS,
            ciphers: Vec::new(),
        }
    }
}

/// A password, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl std::fmt::Debug for Password {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("...")
    }
}

impl EndpointSettings {
    /// An endpoint with the defaults: `http/protobuf`, no compression, 10 seconds, all signals.
    #[must_use]
    pub fn new(name: &str, url: Uri) -> Self {
        Self {
            name: name.to_owned(),
            url,
            paths: Vec::new(),
            grpc_paths: Vec::new(),
            address: None,
            protocol: Protocol::HttpProtobuf,
            http2: Http2::Auto,
            net: NetSettings::default(),
            headers: Vec::new(),
            header_from: Vec::new(),
            credentials: CredentialSettings::default(),
            dead_letter: None,
            proxy: None,
            proxy_from_environment: false,
            compression: Compression::None,
            timeout: Duration::from_secs(10),
            max_elapsed_time: None,
            retry_in_place: Duration::from_secs(30),
            max_connection_age: None,
            on_misdirected: OnMisdirected::Drop,
            signals: Signal::WITH_PROFILES.to_vec(),
            condition: None,
            on_error: OnError::Drop,
            content: ContentHandling::Keep,
            content_unlisted: None,
            dialect: None,
            maps_server_metrics: false,
            temporality: None,
            max_attribute_values: None,
            attributes: None,
            deduplication: None,
            sampling_percentage: None,
            tls: ClientTlsSettings::default(),
            max_request_size: 4_000_000,
            max_request_items: usize::MAX,
        }
    }

    /// The URL for a signal: the configured path, or the default one where there is none. Over
    /// gRPC the path is always the method's.
    ///
    /// # Errors
    /// The parts do not make a URL.
    pub fn url_for(&self, signal: Signal) -> Result<Uri, http::Error> {
        let own = match self.protocol {
            Protocol::Grpc => &self.grpc_paths,
            Protocol::HttpProtobuf | Protocol::HttpJson => &self.paths,
        };
        let own = own.iter().find(|(known, _)| *known == signal).map(|(_, path)| path.to_string());
        let path = own.unwrap_or_else(|| self.usual_path(signal));
        let scheme = self.url.scheme_str().unwrap_or("http");
        let authority = match (&self.tls.server_name, self.url.port_u16()) {
            (Some(name), Some(port)) => format!("{name}:{port}"),
            (Some(name), None) => name.clone(),
            (None, _) => self.url.authority().map(ToString::to_string).unwrap_or_default(),
        };
        Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build()
    }

    fn usual_path(&self, signal: Signal) -> String {
        match (self.protocol, self.url.path_and_query()) {
            (Protocol::Grpc, _) => signal.grpc_path().to_owned(),
            (Protocol::HttpProtobuf | Protocol::HttpJson, Some(given))
                if given.path().len() > 1 =>
            {
                signal_path(given.path(), signal, given.query())
            }
            (Protocol::HttpProtobuf | Protocol::HttpJson, given) => {
                with_query(signal.http_path().to_owned(), given.and_then(|given| given.query()))
            }
        }
    }

    /// Whether items are looked at one by one before they are sent.
    #[must_use]
    pub const fn is_selective(&self) -> bool {
        self.condition.is_some()
            || !matches!(self.content, ContentHandling::Keep)
            || self.dialect.is_some()
            || self.sampling_percentage.is_some()
    }
}

/// A given path that ends like a signal's own is used as it is for that signal and adapted for the
/// others (`/custom/v1/traces` gives `/custom/v1/logs`); any other path is a base that the signal's
/// path is appended to, as with `OTEL_EXPORTER_OTLP_ENDPOINT`.
fn signal_path(path: &str, signal: Signal, query: Option<&str>) -> String {
    let trimmed = path.trim_end_matches('/');
    let base = Signal::WITH_PROFILES
        .iter()
        .find_map(|known| trimmed.strip_suffix(known.http_path()))
        .unwrap_or(trimmed);
    with_query(format!("{base}{}", signal.http_path()), query)
}

fn with_query(path: String, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    }
}

/// Header values stay out of logs: they may be secrets.
impl std::fmt::Debug for EndpointSettings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("EndpointSettings")
            .field("name", &self.name)
            .field("url", &self.url)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}
