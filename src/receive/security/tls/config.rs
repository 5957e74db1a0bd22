//! TLS settings and files -> what rustls wants.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{
    RootCertStore, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion, version,
};

use crate::private_key::{self, PrivateKeyError};
use crate::receive::security::files;
use crate::receive::security::secret::Secret;
use crate::receive::security::settings::TlsSettings;
use crate::trust::PinnedClients;

/// The names of the cipher suites of TLS 1.2 in OpenSSL; those of TLS 1.3 are IANA's.
const OPENSSL: [(&str, &str); 6] = [
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
];

/// Reads the files and makes a configuration.
///
/// # Errors
/// Every problem, each one line.
pub(super) fn read(settings: &TlsSettings) -> Result<Arc<ServerConfig>, Vec<String>> {
    let mut problems = Vec::new();
    let mut note =
        |option: &str, words: String| problems.push(format!("option '{option}': {words}"));
    let provider = provider(settings).map_err(|words| note("tls.ciphers", words)).ok();
    let chain = certificates(&settings.crt_file).map_err(|words| note("tls.crt_file", words)).ok();
    let password = settings.key_passwd.as_ref().map(Secret::reveal);
    let key = key(&settings.key_file, password).map_err(|words| note("tls.key_file", words)).ok();
    let clients = match (&settings.ca_file, &provider) {
        (Some(path), Some(provider)) => verifier(path, settings.require_client, provider)
            .map_err(|words| note("tls.ca_file", words))
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
    settings: &TlsSettings,
    provider: Arc<CryptoProvider>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    (chain, key): Identity,
) -> Result<Arc<ServerConfig>, String> {
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(settings))
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

fn versions(settings: &TlsSettings) -> Vec<&'static SupportedProtocolVersion> {
    let (oldest, newest) = settings.versions;
    let known = [(12, &version::TLS12), (13, &version::TLS13)];
    let wanted = known.into_iter().filter(|(number, _)| (oldest..=newest).contains(number));
    wanted.map(|(_, version)| version).collect()
}

/// The cryptography with the wanted cipher suites only. As in OpenSSL, a list without any suite of
/// TLS 1.3 leaves TLS 1.3 as it is.
fn provider(settings: &TlsSettings) -> Result<Arc<CryptoProvider>, String> {
    let mut provider = ring::default_provider();
    if settings.ciphers.is_empty() {
        return Ok(Arc::new(provider));
    }
    let all = provider.cipher_suites.clone();
    let mut wanted: Vec<SupportedCipherSuite> = Vec::new();
    for name in &settings.ciphers {
        let found = all.iter().find(|suite| {
            let (iana, openssl) = names(suite);
            iana.eq_ignore_ascii_case(name) || openssl.eq_ignore_ascii_case(name)
        });
        match found {
            Some(suite) => wanted.push(*suite),
            None => {
                let allowed: Vec<String> = all.iter().map(|suite| names(suite).1).collect();
                return Err(format!("'{name}' is not allowed; allowed: {}", allowed.join(", ")));
            }
        }
    }
    let is_13 = |suite: &&SupportedCipherSuite| suite.tls13().is_some();
    if !wanted.iter().any(|suite| is_13(&suite)) {
        wanted.extend(all.iter().filter(is_13));
    }
    provider.cipher_suites = wanted;
    Ok(Arc::new(provider))
}

/// The names of a cipher suite by IANA and in OpenSSL.
fn names(suite: &SupportedCipherSuite) -> (String, String) {
    let iana = format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
    let openssl = OPENSSL.iter().find(|(known, _)| *known == iana);
    let openssl = openssl.map_or_else(|| iana.clone(), |(_, name)| (*name).to_owned());
    (iana, openssl)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = files::read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|error| format!("'{}' is not PEM: {error}", path.display()))?;
    if chain.is_empty() {
        return Err(format!("'{}' holds no certificate in PEM", path.display()));
    }
    Ok(chain)
}

fn key(path: &Path, password: Option<&str>) -> Result<PrivateKeyDer<'static>, String> {
    let pem = files::read(path)?;
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
