//! Shared state: what a receiver's listeners and connections have in common.

use std::sync::Arc;

use tokio::sync::watch;

use super::connections::OpenConnections;
use super::limits::ClientLimits;
use super::page::ServedPage;
use super::security::ServerTls;
use super::service::Service;
use crate::runtime::Tasks;
use crate::stats::Log;

/// What answers requests.
#[derive(Clone)]
pub(super) enum Answering {
    /// A receiver of OTLP.
    Otlp(Arc<Service>),
    /// A page.
    Page(ServedPage),
}

impl Answering {
    /// The log of who answers.
    pub(super) fn log(&self) -> &Log {
        match self {
            Self::Otlp(service) => &service.log,
            Self::Page(page) => &page.log,
        }
    }

    /// What is asked of connections to ports, if anything is.
    pub(super) fn tls(&self) -> Option<&ServerTls> {
        match self {
            Self::Otlp(service) => service.security.tls.as_ref(),
            Self::Page(_) => None,
        }
    }
}

/// What every connection gets.
#[derive(Clone)]
pub(super) struct ReceiverState {
    pub(super) answering: Answering,
    pub(super) limits: Arc<ClientLimits>,
    pub(super) connections: Arc<OpenConnections>,
    pub(super) tasks: Tasks,
    pub(super) stop: watch::Receiver<bool>,
}
