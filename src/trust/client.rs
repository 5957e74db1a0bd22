//! Client TLS: how our clients do TLS.

use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, SupportedProtocolVersion};
use rustls_platform_verifier::Verifier;

use super::pinned::PinnedServers;
use super::unchecked::Unchecked;

/// A chain of certificates and the key of the first.
#[derive(Debug)]
pub struct ClientIdentity {
    /// The certificates, our own first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of our own.
    pub key: PrivateKeyDer<'static>,
}

/// Whom a client trusts, and who it is.
#[derive(Debug)]
pub struct ClientTrust<'a> {
    /// Certificates that are trusted beside the system's, as authorities and as pinned ones.
    pub given: &'a [CertificateDer<'static>],
    /// Whether the server's certificate is checked at all.
    pub verify: bool,
    /// What the client shows a server that asks.
    pub identity: Option<&'a ClientIdentity>,
}

impl ClientTrust<'_> {
    /// A configuration that offers `protocols` by ALPN. Reads the system's certificates anew.
    ///
    /// # Errors
    /// There is no certificate to trust, a given one is none, or the key is not the certificate's.
    pub fn config(&self, protocols: &[&[u8]]) -> Result<ClientConfig, rustls::Error> {
        self.config_with(Arc::new(ring::default_provider()), rustls::DEFAULT_VERSIONS, protocols)
    }

    /// The same with the cipher suites of `provider` and these versions only.
    ///
    /// # Errors
    /// As [`Self::config`], or no suite is of any of the versions.
    pub fn config_with(
        &self,
        provider: Arc<CryptoProvider>,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&[u8]],
    ) -> Result<ClientConfig, rustls::Error> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(provider)?);
        let mut config = match self.identity {
            Some(ClientIdentity { chain, key }) => {
                builder.with_client_auth_cert(chain.clone(), key.clone_key())?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(config)
    }

    fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
        if !self.verify {
            return Ok(Arc::new(Unchecked::new(&provider)));
        }
        if self.given.is_empty() {
            return Ok(Arc::new(Verifier::new(provider)?));
        }
        // A machine without certificates of its own can still use the given ones.
        let usual = Verifier::new_with_extra_roots(self.given.iter().cloned(), provider)?;
        Ok(Arc::new(PinnedServers::new(self.given.to_vec(), Arc::new(usual))))
    }
}
