//! Shared state: what a receiver's listeners and connections have in common.

use std::sync::Arc;

use tokio::sync::watch;

use super::connections::OpenConnections;
use super::limits::ClientLimits;
use super::service::Service;
use crate::runtime::Tasks;

/// What every connection gets.
#[derive(Clone)]
pub(super) struct ReceiverState {
    pub(super) service: Arc<Service>,
    pub(super) limits: Arc<ClientLimits>,
    pub(super) connections: Arc<OpenConnections>,
    pub(super) tasks: Tasks,
    pub(super) stop: watch::Receiver<bool>,
}
