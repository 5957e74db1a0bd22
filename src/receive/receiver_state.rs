//! What a receiver's listeners and connections share.

use std::sync::Arc;

use tokio::sync::watch;

use super::connections::Connections;
use super::limits::Limits;
use super::service::Service;
use crate::runtime::Tasks;

/// What every connection gets.
#[derive(Clone)]
pub(super) struct ReceiverState {
    pub(super) service: Arc<Service>,
    pub(super) limits: Arc<Limits>,
    pub(super) connections: Arc<Connections>,
    pub(super) tasks: Tasks,
    pub(super) stop: watch::Receiver<bool>,
}
