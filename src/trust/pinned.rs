//! Certificate pinning: certificates that are trusted because they were given themselves.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// What a verifier does with the signature of a handshake: pins change nothing about it.
macro_rules! usual_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.usual.verify_tls12_signature(message, cert, dss)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.usual.verify_tls13_signature(message, cert, dss)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.usual.supported_verify_schemes()
        }
    };
}

/// The certificates of a file.
#[derive(Debug)]
struct Pins(Vec<CertificateDer<'static>>);

/// What the usual rules have against a pinned certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Objection {
    /// That no authority vouches for it, which does not matter.
    NoAuthority,
    /// That it is not for the server's name, and it has no names at all.
    NoNames,
    /// Something that stands.
    Valid,
}

impl Pins {
    /// Whether what the usual rules say is overruled. They look at a certificate's dates before
    /// they look for an authority that vouches for it, so that the dates are right where only that
    /// is wrong.
    fn objection(&self, certificate: &CertificateDer<'_>, error: &Error) -> Objection {
        let Error::InvalidCertificate(error) = error else { return Objection::Valid };
        if !self.0.iter().any(|pinned| pinned.as_ref() == certificate.as_ref()) {
            return Objection::Valid;
        }
        match error {
            // Who has its key is shown by another signature, that of the handshake.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                Objection::NoAuthority
            }
            CertificateError::Other(other)
                if other.0.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity) =>
            {
                Objection::NoAuthority
            }
            CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
                Objection::NoNames
            }
            _ => Objection::Valid,
        }
    }
}

/// Checks servers' certificates: by the usual rules, and against those that are pinned.
#[derive(Debug)]
pub(super) struct PinnedServers {
    pins: Pins,
    usual: Arc<dyn ServerCertVerifier>,
}

impl PinnedServers {
    pub(super) const fn new(
        pinned: Vec<CertificateDer<'static>>,
        usual: Arc<dyn ServerCertVerifier>,
    ) -> Self {
        Self { pins: Pins(pinned), usual }
    }
}

impl ServerCertVerifier for PinnedServers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let usual = self.usual.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        let Err(error) = usual else { return usual };
        match self.pins.objection(end_entity, &error) {
            Objection::Valid => return Err(error),
            Objection::NoNames => {}
            Objection::NoAuthority => {
                let named =
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name);
                if let Err(error) = named
                    && self.pins.objection(end_entity, &error) != Objection::NoNames
                {
                    return Err(error);
                }
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    usual_signatures!();
}

/// Checks clients' certificates: by the usual rules, and against those that are pinned.
#[derive(Debug)]
pub struct PinnedClients {
    pins: Pins,
    usual: Arc<dyn ClientCertVerifier>,
}

impl PinnedClients {
    /// What `usual` takes, and what is one of `pinned`.
    #[must_use]
    pub const fn new(
        pinned: Vec<CertificateDer<'static>>,
        usual: Arc<dyn ClientCertVerifier>,
    ) -> Self {
        Self { pins: Pins(pinned), usual }
    }
}

impl ClientCertVerifier for PinnedClients {
    fn offer_client_auth(&self) -> bool {
        self.usual.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.usual.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.usual.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let usual = self.usual.verify_client_cert(end_entity, intermediates, now);
        let Err(error) = usual else { return usual };
        match self.pins.objection(end_entity, &error) {
            Objection::NoAuthority => Ok(ClientCertVerified::assertion()),
            // Names of clients are not checked here.
            Objection::NoNames | Objection::Valid => Err(error),
        }
    }

    usual_signatures!();
}
