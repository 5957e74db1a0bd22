//! Where requests go: an endpoint, or a group of them.

use std::sync::Arc;
use std::time::Duration;

use super::endpoint::{Endpoint, Work};
use super::group::Group;
use super::meters::EndpointMeters;
use super::pieces;
use crate::model::Signal;
use crate::routing::Units;

#[derive(Clone)]
pub(super) enum Destination {
    Endpoint(Arc<Endpoint>),
    Group(Arc<Group>),
}

impl Destination {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Endpoint(endpoint) => endpoint.name(),
            Self::Group(group) => &group.name,
        }
    }

    pub(super) fn wants(&self, signal: Signal) -> bool {
        match self {
            Self::Endpoint(endpoint) => endpoint.wants(signal),
            Self::Group(group) => group.wants(signal),
        }
    }

    pub(super) fn meters(&self) -> &EndpointMeters {
        match self {
            Self::Endpoint(endpoint) => &endpoint.meters,
            Self::Group(group) => &group.meters,
        }
    }

    /// Whether it is known to be there, so that a chunk may wait for its answer.
    pub(super) fn is_up(&self) -> bool {
        match self {
            Self::Endpoint(endpoint) => endpoint.is_up(),
            Self::Group(group) => group.is_up(),
        }
    }

    /// How long a chunk waits before it asks whether it is to wait on.
    pub(super) fn patience(&self) -> Duration {
        match self {
            Self::Endpoint(endpoint) => endpoint.patience(),
            Self::Group(group) => group.patience(),
        }
    }

    /// Whether a chunk that has waited so long goes on without it: an endpoint has answered nothing
    /// for longer than usual, and a group, which goes through its members one after the other, has
    /// had the time of one.
    pub(super) fn is_late(&self) -> bool {
        match self {
            Self::Endpoint(endpoint) => endpoint.hangs(),
            Self::Group(_) => true,
        }
    }

    /// Whether nothing would be sent to it now.
    pub(super) fn refuses(&self) -> bool {
        match self {
            Self::Endpoint(endpoint) => endpoint.refuses(),
            Self::Group(group) => group.refuses(),
        }
    }

    /// Gives up what is not done of requests after so long. Says what of each is done then.
    pub(super) async fn expire(&self, work: Vec<Work>, limit: Duration) -> Vec<(u32, Units)> {
        let mut done = Vec::new();
        for Work { number, part, done: units } in work {
            let rest = pieces::rest(&part, &units);
            let gone = units.is_all()
                || match self {
                    Self::Endpoint(endpoint) => endpoint.expire(&rest, limit).await,
                    Self::Group(group) => group.expire(&rest, limit).await,
                };
            done.push((number, if gone { Units::All } else { units }));
        }
        done
    }

    /// Sends requests and says what of each is done now.
    pub(super) async fn deliver(&self, work: Vec<Work>) -> Vec<(u32, Units)> {
        match self {
            Self::Endpoint(endpoint) => endpoint.deliver(work).await,
            Self::Group(group) => Box::pin(group.deliver(work)).await,
        }
    }
}
