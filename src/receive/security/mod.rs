//! Access control: who may send, by credentials, tenants, TLS, and pages of other origins.
//!
//! What is not configured costs nothing per request. Secrets are compared as digests in
//! constant time, and appear in no log line, answer or debug text.

mod caller;
mod cors;
mod credentials;
mod denial;
mod guard;
mod jwt;
mod secret;
mod settings;
mod tenants;
mod tls;

#[cfg(test)]
mod tests;

pub(super) use credentials::Peer;
pub(super) use denial::Denial;
pub use secret::Secret;
pub use settings::{JwtSettings, KeySource, SecuritySettings, ServerTlsSettings};

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::plugin::OpenError;
use crate::runtime::heavy;
use crate::stats::{Counters, Log};
use cors::Cors;
use guard::Guard;
pub(super) use tls::ServerTls;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(3);

/// Everything that stands between a client and the receiver.
#[derive(Debug)]
pub(super) struct Security {
    pub(super) guard: Guard,
    pub(super) tls: Option<ServerTls>,
    pub(super) cors: Option<Cors>,
    log: Arc<Log>,
}

impl Security {
    /// Reads credentials and certificates.
    ///
    /// # Errors
    /// Every problem, each one line without a secret in it.
    pub(super) fn open(
        settings: &SecuritySettings,
        counters: &Counters,
        log: Arc<Log>,
    ) -> Result<Self, OpenError> {
        let mut problems = Vec::new();
        let guard = Guard::new(settings, counters, &log).map_err(|more| problems.extend(more)).ok();
        let cors = Cors::new(settings).map_err(|more| problems.extend(more)).ok();
        let tls = settings.tls.as_ref().map(|tls| ServerTls::new(tls, counters, Arc::clone(&log)));
        let tls = tls.transpose().map_err(|more| problems.extend(more)).ok();
        match (guard, cors, tls) {
            (Some(guard), Some(cors), Some(tls)) => Ok(Self { guard, tls, cors, log }),
            _ => Err(OpenError(problems)),
        }
    }

    /// Looks at the files now and then until it is stopped.
    pub(super) async fn watch(&self, mut stop: watch::Receiver<bool>) {
        if !self.guard.watches() && self.tls.is_none() {
            return;
        }
        loop {
            let next = async {
                self.guard.refresh().await;
                tokio::time::sleep(LOOK).await;
            };
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = next => {}
            }
            // The files are small, but their disk may be slow.
            heavy(usize::MAX, || self.look());
        }
    }

    fn look(&self) {
        for problem in self.guard.reload(&self.log).err().into_iter().flatten() {
            self.log.warn(format!("{problem}; the former credentials stay in use"));
        }
        let tls = self.tls.as_ref().and_then(|tls| tls.reload().err());
        for problem in tls.into_iter().flatten() {
            self.log.warn(format!("{problem}; the former certificates stay in use"));
        }
    }
}
