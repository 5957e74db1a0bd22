//! HTTP clients with the right TLS settings.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, ClientBuilder, Identity};

use super::settings::{EndpointSettings, Protocol, TlsSettings};

/// Why an endpoint's settings do not make a client.
#[derive(Debug, thiserror::Error)]
#[error("option 'endpoint.{endpoint}.{option}': {problem}")]
pub struct ClientProblem {
    endpoint: String,
    option: &'static str,
    problem: String,
}

impl ClientProblem {
    pub(super) fn new(endpoint: &str, option: &'static str, problem: String) -> Self {
        Self { endpoint: endpoint.to_owned(), option, problem }
    }
}

/// The name that we go by: `fluent-bit-ai/VERSION`.
const USER_AGENT: &str = concat!("fluent-bit-ai/", env!("CARGO_PKG_VERSION"));

/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(90);

/// TCP asks a silent peer whether it is there after this time, and as often again.
const TCP_KEEPALIVE: Duration = Duration::from_secs(15);
/// So many unanswered questions end a connection.
const TCP_KEEPALIVE_RETRIES: u32 = 3;
/// HTTP/2 asks after this time without a frame, at the earliest.
const PING: Duration = Duration::from_secs(10);
/// How long the answer to a ping may take: at least, and at most.
const PONG: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// Larger files are no certificates.
const MAX_FILE: u64 = 4 << 20;

/// What the files of one endpoint hold.
pub(super) struct Files {
    roots: Vec<Certificate>,
    identity: Option<Identity>,
}

impl Files {
    pub(super) fn read(endpoint: &EndpointSettings) -> Result<Self, ClientProblem> {
        let tls = &endpoint.tls;
        let problem = |option, words| ClientProblem::new(&endpoint.name, option, words);
        let mut roots = Vec::new();
        if let Some(path) = &tls.ca_file {
            let pem = read(path).map_err(|words| problem("tls.ca_file", words))?;
            roots = Certificate::from_pem_bundle(&pem).map_err(|error| {
                problem("tls.ca_file", format!("'{}' is not PEM: {error}", path.display()))
            })?;
            if roots.is_empty() {
                let words = format!("'{}' holds no certificate in PEM", path.display());
                return Err(problem("tls.ca_file", words));
            }
        }
        Ok(Self { roots, identity: identity(tls, &problem)? })
    }

    /// A client of the endpoint. It connects when it is first used.
    pub(super) fn client(
        &self,
        endpoint: &EndpointSettings,
    ) -> Result<reqwest::Client, ClientProblem> {
        // Another user of the same library in this object may have been first; it is the same
        // provider.
        let _already = rustls::crypto::ring::default_provider().install_default();
        let secure = uses_tls(endpoint);
        match self.build(endpoint, secure, false) {
            Ok(client) => Ok(client),
            // A machine without certificates of its own can still use the given ones.
            Err(_) if secure && !self.roots.is_empty() => self.build(endpoint, secure, true),
            Err(problem) => Err(problem),
        }
    }

    fn build(
        &self,
        endpoint: &EndpointSettings,
        secure: bool,
        only_given: bool,
    ) -> Result<reqwest::Client, ClientProblem> {
        let mut builder = base(endpoint);
        if let Some(proxy) = &endpoint.proxy {
            let proxy = reqwest::Proxy::all(proxy).map_err(|_| {
                ClientProblem::new(&endpoint.name, "proxy", "it is no proxy's URL".to_owned())
            })?;
            builder = builder.proxy(proxy);
        }
        // Without TLS no certificates are needed, and a machine may have none.
        builder = match (secure, only_given) {
            (false, _) => builder.tls_certs_only([]),
            (true, true) => builder.tls_certs_only(self.roots.iter().cloned()),
            (true, false) => builder.tls_certs_merge(self.roots.iter().cloned()),
        };
        if !endpoint.tls.verify {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        if let Some(identity) = &self.identity {
            builder = builder.identity(identity.clone());
        }
        builder.build().map_err(|error| {
            let words = format!("no client can be made: {}", super::client::causes(&error));
            ClientProblem::new(&endpoint.name, "tls.ca_file", words)
        })
    }
}

fn base(endpoint: &EndpointSettings) -> ClientBuilder {
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
        .pool_idle_timeout(IDLE)
        .tcp_keepalive(TCP_KEEPALIVE)
        .tcp_keepalive_interval(TCP_KEEPALIVE)
        .tcp_keepalive_retries(TCP_KEEPALIVE_RETRIES)
        .http2_keep_alive_interval(ping_interval(endpoint.timeout))
        .http2_keep_alive_timeout(pong_timeout(endpoint.timeout))
        .http2_keep_alive_while_idle(false)
        .connect_timeout(endpoint.timeout)
        .timeout(endpoint.timeout);
    let named = endpoint.tls.server_name.as_deref();
    builder = match (endpoint.address, named, endpoint.url.host()) {
        (Some(address), name, Some(host)) => builder.resolve(name.unwrap_or(host), address),
        // The name is what the certificate says; the connection goes to the URL's host.
        (None, Some(name), Some(host)) => {
            let instead = Instead { name: name.to_owned(), host: host.to_owned() };
            builder.dns_resolver(Arc::new(instead))
        }
        _ => builder,
    };
    match endpoint.protocol {
        Protocol::Grpc => builder.http2_prior_knowledge().http2_adaptive_window(true),
        Protocol::HttpProtobuf | Protocol::HttpJson => builder,
    }
}

/// Whether any connection is by TLS: to the endpoint, or to the proxy on the way to it.
fn uses_tls(endpoint: &EndpointSettings) -> bool {
    let proxy = endpoint.proxy.as_ref().and_then(|proxy| proxy.parse::<http::Uri>().ok());
    let urls = [Some(&endpoint.url), proxy.as_ref()];
    urls.into_iter().flatten().any(|url| url.scheme_str() == Some("https"))
}

/// The time without a frame after which HTTP/2 asks whether the other side is there, while it owes
/// an answer. gRPC servers take it ill when they are asked more than three times between two of
/// their answers, and end the connection: so a request asks at most three times.
fn ping_interval(timeout: Duration) -> Duration {
    PING.max(timeout / 3)
}

/// How long the answer to that may take. It leaves time to send the request once more.
fn pong_timeout(timeout: Duration) -> Duration {
    let (least, most) = PONG;
    (timeout / 2).clamp(least, most)
}

/// Looks up a host instead of a name. Other names, as a proxy's, are looked up as they are.
struct Instead {
    name: String,
    host: String,
}

impl Resolve for Instead {
    fn resolve(&self, name: Name) -> Resolving {
        let asked = name.as_str();
        let is_ours = asked.eq_ignore_ascii_case(&self.name);
        let host = if is_ours { self.host.trim_matches(['[', ']']) } else { asked }.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(Box::new(found.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}

fn identity(
    tls: &TlsSettings,
    problem: &dyn Fn(&'static str, String) -> ClientProblem,
) -> Result<Option<Identity>, ClientProblem> {
    let (certificates, key) = match (&tls.crt_file, &tls.key_file) {
        (None, None) => return Ok(None),
        (Some(_), None) => {
            return Err(problem("tls.key_file", "is needed beside tls.crt_file".to_owned()));
        }
        (None, Some(_)) => {
            return Err(problem("tls.crt_file", "is needed beside tls.key_file".to_owned()));
        }
        (Some(certificates), Some(key)) => (certificates, key),
    };
    let mut pem = read(key).map_err(|words| problem("tls.key_file", words))?;
    if memchr::memmem::find(&pem, b"ENCRYPTED").is_some() {
        let words = format!("'{}' is encrypted; give a key that is not", key.display());
        return Err(problem("tls.key_file", words));
    }
    pem.push(b'\n');
    pem.extend(read(certificates).map_err(|words| problem("tls.crt_file", words))?);
    Identity::from_pem(&pem).map(Some).map_err(|error| {
        let (crt, key) = (certificates.display(), key.display());
        problem("tls.crt_file", format!("'{crt}' with the key '{key}': {error}"))
    })
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let wrong = |error| format!("'{shown}' cannot be read: {error}");
    let mut content = Vec::new();
    let file = File::open(path).map_err(wrong)?;
    file.take(MAX_FILE.saturating_add(1)).read_to_end(&mut content).map_err(wrong)?;
    if u64::try_from(content.len()).is_ok_and(|length| length <= MAX_FILE) {
        Ok(content)
    } else {
        Err(format!("'{shown}' is larger than 4 MiB"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_asks_three_times_at_most_and_can_be_sent_again() {
        for seconds in [1, 10, 29, 30, 31, 60, 600] {
            let timeout = Duration::from_secs(seconds);
            assert!(ping_interval(timeout) * 4 > timeout, "{seconds}");
            assert!(seconds < 4 || pong_timeout(timeout) * 2 <= timeout, "{seconds}");
        }
        assert_eq!(ping_interval(Duration::from_secs(10)), Duration::from_secs(10));
        assert_eq!(pong_timeout(Duration::from_secs(10)), Duration::from_secs(5));
    }
}
