//! Client factory: HTTP clients with the right TLS settings.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::ClientBuilder;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::cipher_suites;
use crate::export::settings::{
    AddressFamily, ClientTlsSettings, EndpointSettings, Http2, Protocol,
};
use crate::files;
use crate::private_key::{self, PrivateKeyError};
use crate::trust::{ClientIdentity, ClientTrust};

/// Why an endpoint's settings do not make a client.
#[derive(Debug, thiserror::Error)]
#[error("option '{family}.{endpoint}.{option}': {problem}")]
pub struct ClientProblem {
    /// The family of options that the endpoint is of.
    family: &'static str,
    endpoint: String,
    option: &'static str,
    problem: String,
}

impl ClientProblem {
    pub(in crate::export) fn new(endpoint: &str, option: &'static str, problem: String) -> Self {
        Self { family: "endpoint", endpoint: endpoint.to_owned(), option, problem }
    }

    /// The same of an endpoint whose options are of another family than `endpoint`.
    #[must_use]
    pub fn in_family(self, family: &'static str) -> Self {
        Self { family, ..self }
    }
}

/// The name that we go by: `fluent-bit-ai/VERSION`.
const USER_AGENT: &str = concat!("fluent-bit-ai/", env!("CARGO_PKG_VERSION"));

/// HTTP/2 asks after this time without a frame, at the earliest.
const PING: Duration = Duration::from_secs(10);
/// How long the answer to a ping may take: at least, and at most.
const PONG: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// More files than any folder of certificates has.
const MAX_FILES: usize = 10_000;

/// What the files of one endpoint hold.
pub(in crate::export) struct TlsFiles {
    /// Trusted as authorities, and each by itself.
    given: Vec<CertificateDer<'static>>,
    identity: Option<ClientIdentity>,
}

impl TlsFiles {
    /// Reads the certificates and the key that the settings name.
    pub(in crate::export) fn read(endpoint: &EndpointSettings) -> Result<Self, ClientProblem> {
        let tls = &endpoint.tls;
        let problem = |option, message| ClientProblem::new(&endpoint.name, option, message);
        let mut given = Vec::new();
        if let Some(path) = &tls.ca_file {
            given = certificates(path).map_err(|message| problem("tls.ca_file", message))?;
        }
        if let Some(path) = &tls.ca_path {
            given.extend(folder(path).map_err(|message| problem("tls.ca_path", message))?);
        }
        cipher_suites::provider(&tls.ciphers).map_err(|message| problem("tls.ciphers", message))?;
        Ok(Self { given, identity: identity(tls, &problem)? })
    }

    /// A client of the endpoint, with TLS if it may need that. It connects when it is first used.
    pub(in crate::export) fn client(
        &self,
        endpoint: &EndpointSettings,
        is_secure: bool,
    ) -> Result<reqwest::Client, ClientProblem> {
        // Another user of the same library in this object may have been first; it is the same
        // provider.
        let _already = rustls::crypto::ring::default_provider().install_default();
        let mut builder = base(endpoint);
        if let Some(proxy) = &endpoint.proxy {
            let proxy = reqwest::Proxy::all(proxy).map_err(|_| {
                ClientProblem::new(&endpoint.name, "proxy", "it is no proxy's URL".to_owned())
            })?;
            builder = builder.proxy(proxy);
        }
        let failed = |error: &dyn std::error::Error| {
            let message = format!(
                "no client can be made: {}",
                crate::export::transport::causes::causes(error)
            );
            ClientProblem::new(&endpoint.name, "tls.ca_file", message)
        };
        builder = if is_secure {
            builder
                .tls_backend_preconfigured(self.config(endpoint).map_err(|error| failed(&error))?)
        } else {
            // Without TLS no certificates are needed, and a machine may have none.
            builder.tls_certs_only([])
        };
        builder.build().map_err(|error| failed(&error))
    }

    fn config(&self, endpoint: &EndpointSettings) -> Result<rustls::ClientConfig, rustls::Error> {
        let tls = &endpoint.tls;
        // Names that are not known are reported before.
        let provider = cipher_suites::provider(&tls.ciphers).map_err(rustls::Error::General)?;
        let versions = cipher_suites::versions(tls.versions);
        let protocols: &[&[u8]] = match (endpoint.protocol, endpoint.http2) {
            (Protocol::Grpc, _) | (_, Http2::Force) => &[b"h2"],
            (_, Http2::Off) => &[b"http/1.1"],
            (_, Http2::Auto | Http2::On) => &[b"h2", b"http/1.1"],
        };
        let identity = self.identity.as_ref();
        let trust = ClientTrust { given: &self.given, verify: tls.verify, identity };
        trust.config_with(provider, &versions, protocols)
    }
}

fn base(endpoint: &EndpointSettings) -> ClientBuilder {
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .http2_keep_alive_interval(ping_interval(endpoint.timeout))
        .http2_keep_alive_timeout(pong_timeout(endpoint.timeout))
        .http2_keep_alive_while_idle(false)
        .timeout(endpoint.timeout);
    if !endpoint.proxy_from_environment {
        builder = builder.no_proxy();
    }
    builder = connecting(builder, endpoint);
    let secure = endpoint.url.scheme_str() == Some("https");
    match (endpoint.protocol, endpoint.http2) {
        (Protocol::Grpc, _) => builder.http2_prior_knowledge().http2_adaptive_window(true),
        (_, Http2::Force) => builder.http2_prior_knowledge(),
        (_, Http2::On) if !secure => builder.http2_prior_knowledge(),
        (_, Http2::Off) => builder.http1_only(),
        (_, Http2::Auto | Http2::On) => builder,
    }
}

/// How connections are made and kept.
fn connecting(mut builder: ClientBuilder, endpoint: &EndpointSettings) -> ClientBuilder {
    let net = &endpoint.net;
    let connect = net.connect_timeout.unwrap_or(endpoint.timeout).min(endpoint.timeout);
    builder = builder
        .connect_timeout(connect)
        .pool_idle_timeout(net.keepalive_idle_timeout)
        .local_address(net.source_address);
    if !net.keepalive {
        builder = builder.pool_max_idle_per_host(0);
    }
    builder = if net.tcp_keepalive {
        builder
            .tcp_keepalive(net.tcp_keepalive_time)
            .tcp_keepalive_interval(net.tcp_keepalive_interval)
            .tcp_keepalive_retries(net.tcp_keepalive_probes)
    } else {
        builder.tcp_keepalive(None)
    };
    let named = endpoint.tls.server_name.as_deref();
    match (endpoint.address, named, endpoint.url.host()) {
        (Some(address), name, Some(host)) => builder.resolve(name.unwrap_or(host), address),
        (None, None, _) if net.prefer.is_none() => builder,
        // The name is what the certificate says; the connection goes to the URL's host.
        (_, name, host) => {
            let instead = name.zip(host).map(|(name, host)| (name.to_owned(), host.to_owned()));
            builder.dns_resolver(Arc::new(Lookup { instead, prefer: net.prefer }))
        }
    }
}

/// Whether any connection is by TLS: to the endpoint, or to the proxy on the way to it.
pub(in crate::export) fn uses_tls(endpoint: &EndpointSettings) -> bool {
    let proxy = endpoint.proxy.as_ref().and_then(|proxy| proxy.parse::<http::Uri>().ok());
    let urls = [Some(&endpoint.url), proxy.as_ref()];
    // The environment's proxy is not known here.
    endpoint.proxy_from_environment
        || urls.into_iter().flatten().any(|url| url.scheme_str() == Some("https"))
}

/// The time without a frame after which HTTP/2 asks whether the other side is there, while it owes
/// an answer. gRPC servers take it ill when they are asked more than three times between two of
/// their answers, and end the connection: so a request asks at most three times.
fn ping_interval(timeout: Duration) -> Duration {
    PING.max(timeout / 3)
}

/// How long the answer to that may take. It leaves time to send the request once more.
fn pong_timeout(timeout: Duration) -> Duration {
    let (min, max) = PONG;
    (timeout / 2).clamp(min, max)
}

/// Looks up a host instead of a name, where that is said; other names, as a proxy's, are looked up as
/// they are. Addresses of the preferred kind come first.
struct Lookup {
    /// A name, and the host instead of it.
    instead: Option<(String, String)>,
    prefer: Option<AddressFamily>,
}

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        let asked = name.as_str();
        let instead = self.instead.as_ref().filter(|(name, _)| asked.eq_ignore_ascii_case(name));
        let host = instead.map_or(asked, |(_, host)| host.trim_matches(['[', ']'])).to_owned();
        let prefer = self.prefer;
        Box::pin(async move {
            let mut found: Vec<_> = tokio::net::lookup_host((host, 0)).await?.collect();
            // A stable order: within a kind it is the name service's.
            found.sort_by_key(|address| match prefer {
                Some(AddressFamily::V4) => !address.is_ipv4(),
                Some(AddressFamily::V6) => !address.is_ipv6(),
                None => false,
            });
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn identity(
    tls: &ClientTlsSettings,
    problem: &dyn Fn(&'static str, String) -> ClientProblem,
) -> Result<Option<ClientIdentity>, ClientProblem> {
    let (file, key) = match (&tls.crt_file, &tls.key_file) {
        (None, None) => return Ok(None),
        (Some(_), None) => {
            return Err(problem("tls.key_file", "is needed beside tls.crt_file".to_owned()));
        }
        (None, Some(_)) => {
            return Err(problem("tls.crt_file", "is needed beside tls.key_file".to_owned()));
        }
        (Some(file), Some(key)) => (file, key),
    };
    let pem = files::read_credentials(key).map_err(|message| problem("tls.key_file", message))?;
    let password = tls.key_passwd.as_ref().map(|password| password.0.as_str());
    let shown = key.display();
    let key = private_key::read(&pem, password).map_err(|error| match error {
        PrivateKeyError::Encrypted => {
            problem("tls.key_file", format!("'{shown}' {error}; give it by 'tls.key_passwd'"))
        }
        PrivateKeyError::Password => problem("tls.key_passwd", format!("'{shown}' {error}")),
        _ => problem("tls.key_file", format!("'{shown}' {error}")),
    })?;
    let chain = certificates(file).map_err(|message| problem("tls.crt_file", message))?;
    Ok(Some(ClientIdentity { chain, key }))
}

/// The certificates of all files in a folder. Other files, such as keys, may lie there too.
fn folder(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let files = files_in(path).map_err(|error| format!("'{shown}' cannot be read: {error}"))?;
    let mut found: Vec<CertificateDer<'static>> = Vec::new();
    for file in files.iter().filter(|file| file.is_file()) {
        for certificate in certificates(file).unwrap_or_default() {
            // OpenSSL's names for files of a folder are links to them.
            if !found.contains(&certificate) {
                found.push(certificate);
            }
        }
    }
    if found.is_empty() {
        return Err(format!("no file in '{shown}' holds a certificate in PEM"));
    }
    Ok(found)
}

/// What lies in a folder, in the order of names.
pub(in crate::export) fn files_in(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(path)?.take(MAX_FILES);
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.sort_unstable();
    Ok(files)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = files::read_credentials(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| format!("'{}' is not PEM: {error}", path.display()))?;
    if found.is_empty() {
        return Err(format!("'{}' holds no certificate in PEM", path.display()));
    }
    Ok(found)
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
