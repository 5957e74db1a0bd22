//! Key set client: fetches key sets from a server.

use std::path::Path;
use std::time::Duration;

use http::header::ACCEPT;
use reqwest::{Client, ClientBuilder};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::Mutex;

use super::keys::KeySet;
use crate::clock::{self, Tick};
use crate::files;
use crate::trust::ClientTrust;

/// How long a fetch may take.
const LIMIT: Duration = Duration::from_secs(5);
/// How long to wait after any fetch before the next one.
const PAUSE: Duration = Duration::from_secs(10);
/// A larger answer is no key set.
const MAX_BYTES: usize = 1024 * 1024;
/// The name that we go by.
const USER_AGENT: &str = concat!("fluent-bit-ai/", env!("CARGO_PKG_VERSION"));

/// A server that has a key set.
#[derive(Debug)]
pub(super) struct KeyServer {
    client: Client,
    url: String,
    refresh: Duration,
    /// Held during a fetch, so that there is one at a time.
    last: Mutex<Last>,
}

/// The last fetch.
#[derive(Debug, Default)]
struct Last {
    at: Option<Tick>,
    failed: bool,
}

impl KeyServer {
    /// A client for the server.
    ///
    /// # Errors
    /// One line that names the option.
    pub(super) fn new(
        url: &str,
        ca_file: Option<&Path>,
        refresh: Duration,
    ) -> Result<Self, String> {
        // Another user of the library may have been first; it is the same provider.
        let _already = rustls::crypto::ring::default_provider().install_default();
        let roots = ca_file.map(roots).transpose();
        let roots = roots.map_err(|message| format!("option 'jwt_jwks_ca_file': {message}"))?;
        let secure = roots.is_some() || url.starts_with("https:");
        let client = if secure {
            let given = roots.unwrap_or_default();
            let trust = ClientTrust { given: &given, verify: true, identity: None };
            trust
                .config(&[b"h2", b"http/1.1"])
                .map_err(|error| causes(&error))
                .and_then(|config| made(builder().tls_backend_preconfigured(config)))
        } else {
            // Without TLS no certificates are needed, and a machine may have none.
            made(builder().tls_certs_only([]))
        };
        let client = client.map_err(|message| {
            format!("option 'jwt_jwks_url': no client can be made: {message}")
        })?;
        Ok(Self { client, url: url.to_owned(), refresh, last: Mutex::default() })
    }

    /// Fetches the set if it is time to; nothing if it is not.
    pub(super) async fn refresh(&self) -> Option<Result<KeySet, String>> {
        let mut last = self.last.lock().await;
        let wait = if last.failed { PAUSE.min(self.refresh) } else { self.refresh };
        if last.at.is_some_and(|at| clock::now().since(at) < wait) {
            return None;
        }
        Some(self.fetch(&mut last).await)
    }

    /// Fetches the set for a token with a key that is not known, unless another request did just
    /// now: `is_new` says so. Strangers can make up key ids, so this is done seldom.
    pub(super) async fn look_again(
        &self,
        is_new: impl Fn() -> bool,
    ) -> Option<Result<KeySet, String>> {
        let mut last = self.last.lock().await;
        if is_new() || last.at.is_some_and(|at| clock::now().since(at) < PAUSE) {
            return None;
        }
        Some(self.fetch(&mut last).await)
    }

    async fn fetch(&self, last: &mut Last) -> Result<KeySet, String> {
        // Should the caller leave within the fetch, it counts as a failed one.
        *last = Last { at: Some(clock::now()), failed: true };
        let set = KeySet::parse(&self.get().await?)?;
        last.failed = false;
        Ok(set)
    }

    async fn get(&self) -> Result<Vec<u8>, String> {
        let request = self.client.get(&self.url).header(ACCEPT, "application/json");
        let mut response = request.send().await.map_err(message_of)?;
        let status = response.status();
        if !status.is_success() {
            return Err(format!("answered {status}"));
        }
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(message_of)? {
            if body.len().saturating_add(part.len()) > MAX_BYTES {
                return Err("answered more than 1 MiB".to_owned());
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }
}

fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(LIMIT)
        .timeout(LIMIT)
}

fn made(builder: ClientBuilder) -> Result<Client, String> {
    builder.build().map_err(|error| causes(&error))
}

fn roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = files::read_credentials(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    found
        .ok()
        .filter(|roots| !roots.is_empty())
        .ok_or_else(|| format!("'{}' holds no certificate in PEM", path.display()))
}

/// What happened, without the URL, which may hold a password.
fn message_of(error: reqwest::Error) -> String {
    format!("cannot be fetched: {}", causes(&error.without_url()))
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
