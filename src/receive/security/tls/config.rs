//! TLS configuration: settings and files -> what rustls wants.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::cipher_suites;
use crate::files;
use crate::private_key::{self, PrivateKeyError};
use crate::receive::security::secret::Secret;
use crate::receive::security::settings::ServerTlsSettings;
use crate::trust::PinnedClients;

/// Reads the files and makes a configuration.
///
/// # Errors
/// Every problem, each one line.
pub(super) fn read(settings: &ServerTlsSettings) -> Result<Arc<ServerConfig>, Vec<String>> {
    let mut problems = Vec::new();
    let mut note =
        |option: &str, message: String| problems.push(format!("option '{option}': {message}"));
    let provider = cipher_suites::provider(&settings.ciphers)
        .map_err(|message| note("tls.ciphers", message))
        .ok();
    let chain =
        certificates(&settings.crt_file).map_err(|message| note("tls.crt_file", message)).ok();
    let password = settings.key_passwd.as_ref().map(Secret::reveal);
    let key =
        key(&settings.key_file, password).map_err(|message| note("tls.key_file", message)).ok();
    let clients = match (&settings.ca_file, &provider) {
        (Some(path), Some(provider)) => verifier(path, settings.require_client, provider)
            .map_err(|message| note("tls.ca_file", message))
            .ok(),
        _ => None,
    };
    let (Some(provider), Some(chain), Some(key), true) =
        (provider, chain, key, problems.is_empty())
    else {
        return Err(problems);
    };
    build(settings, provider, clients, (chain, key)).map_err(|problem| vec![problem])
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn build(
    settings: &ServerTlsSettings,
    provider: Arc<CryptoProvider>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    (chain, key): Identity,
) -> Result<Arc<ServerConfig>, String> {
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&cipher_suites::versions(settings.versions))
        .map_err(|error| format!("options 'tls.ciphers' and 'tls.min_version': {error}"))?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        let (crt, key) = (settings.crt_file.display(), settings.key_file.display());
        format!("option 'tls.crt_file': '{crt}' with the key '{key}': {error}")
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.alpn_protocols.retain(|protocol| settings.http2 || protocol != b"h2");
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = files::read_credentials(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|error| format!("'{}' is not PEM: {error}", path.display()))?;
    if chain.is_empty() {
        return Err(format!("'{}' holds no certificate in PEM", path.display()));
    }
    Ok(chain)
}

fn key(path: &Path, password: Option<&str>) -> Result<PrivateKeyDer<'static>, String> {
    let pem = files::read_credentials(path)?;
    private_key::read(&pem, password).map_err(|error| match error {
        PrivateKeyError::Encrypted => {
            format!("'{}' {error}; give it by 'tls.key_passwd'", path.display())
        }
        _ => format!("'{}' {error}", path.display()),
    })
}

/// Checks clients' certificates against those of a file, which may be authorities' or their own.
fn verifier(
    path: &Path,
    required: bool,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    let given = certificates(path)?;
    for certificate in &given {
        roots.add(certificate.clone()).map_err(|error| format!("'{}': {error}", path.display()))?;
    }
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = if required { builder } else { builder.allow_unauthenticated() };
    let usual = builder.build().map_err(|error| format!("'{}': {error}", path.display()))?;
    Ok(Arc::new(PinnedClients::new(given, usual)))
}
