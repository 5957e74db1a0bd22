//! TLS termination, with certificates that may change.

use crate::sync::{Mutex, RwLock};
mod config;
#[cfg(test)]
pub(super) mod tests;

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::credentials::Peer;
use super::secret::SecretDigest;
use super::settings::ServerTlsSettings;
use crate::files::FileContents;
use crate::stats::{Counter, CounterFamily, Counters, Log, LogLevel};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Names of one certificate that are looked at.
const MAX_NAMES: usize = 64;

const FAILURES: CounterFamily = CounterFamily::counter(
    "tls_failures_total",
    "Connections that ended in the TLS handshake.",
    &["reason"],
);
const RELOADS: CounterFamily = CounterFamily::counter(
    "tls_reloads_total",
    "Changed certificate files that were taken or found wrong.",
    &["result"],
);

/// The server's side of TLS.
#[derive(Debug)]
pub(in crate::receive) struct ServerTls {
    settings: ServerTlsSettings,
    config: RwLock<Arc<ServerConfig>>,
    files: Mutex<FileContents>,
    failures: Vec<(&'static str, Counter)>,
    taken: Counter,
    wrong: Counter,
    log: Arc<Log>,
}

impl ServerTls {
    /// Reads the certificates.
    ///
    /// # Errors
    /// Every problem, each one line.
    pub(super) fn new(
        settings: &ServerTlsSettings,
        counters: &Counters,
        log: Arc<Log>,
    ) -> Result<Self, Vec<String>> {
        let paths = [Some(&settings.crt_file), Some(&settings.key_file), settings.ca_file.as_ref()];
        let files = FileContents::new(paths.into_iter().flatten().cloned());
        let reasons = ["timeout", "client_certificate", "refused", "protocol", "closed"];
        Ok(Self {
            config: RwLock::new(config::read(settings)?),
            settings: settings.clone(),
            files: Mutex::new(files),
            failures: reasons
                .map(|reason| (reason, counters.counter(FAILURES, &[reason])))
                .to_vec(),
            taken: counters.counter(RELOADS, &["taken"]),
            wrong: counters.counter(RELOADS, &["wrong"]),
            log,
        })
    }

    /// Does the handshake; nothing if it failed, which is counted. The client is told who it is
    /// by its certificate, if it showed one.
    pub(in crate::receive) async fn accept<S>(
        &self,
        stream: S,
    ) -> Option<(TlsStream<S>, Option<Arc<Peer>>)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = Arc::clone(&self.config.read());
        let handshake = TlsAcceptor::from(config).accept(stream);
        match tokio::time::timeout(HANDSHAKE, handshake).await {
            Ok(Ok(stream)) => {
                let peer = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                let peer = peer.map(|certificate| Arc::new(peer_of(certificate)));
                Some((stream, peer))
            }
            Ok(Err(error)) => {
                self.failed(reason_of(&error), &error.to_string());
                None
            }
            Err(_elapsed) => {
                self.failed("timeout", "it took too long");
                None
            }
        }
    }

    fn failed(&self, reason: &'static str, message: &str) {
        if let Some((_, counter)) = self.failures.iter().find(|(known, _)| *known == reason) {
            counter.add(1);
        }
        self.log.often(LogLevel::Warn, "tls", || format!("a TLS handshake failed: {message}"));
    }

    /// Reads the files again if they have changed; what is wrong with them. Then the former
    /// certificates stay.
    pub(super) fn reload(&self) -> Result<(), Vec<String>> {
        if !self.files.lock().changed() {
            return Ok(());
        }
        let fresh = config::read(&self.settings).inspect_err(|_| self.wrong.add(1))?;
        *self.config.write() = fresh;
        self.taken.add(1);
        self.log.info("the TLS certificates were read again");
        Ok(())
    }
}

/// Who a certificate is for. It was verified in the handshake.
fn peer_of(certificate: &CertificateDer<'_>) -> Peer {
    let names = webpki::EndEntityCert::try_from(certificate).map_or_else(
        |_| Vec::new(),
        |parsed| parsed.valid_dns_names().take(MAX_NAMES).map(str::to_ascii_lowercase).collect(),
    );
    Peer { names, fingerprint: SecretDigest::of(certificate) }
}

/// The name of a failed handshake in counters.
fn reason_of(error: &std::io::Error) -> &'static str {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            "client_certificate"
        }
        Some(rustls::Error::AlertReceived(_)) => "refused",
        Some(_) => "protocol",
        None => "closed",
    }
}
