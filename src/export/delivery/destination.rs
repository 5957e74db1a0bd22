//! Polymorphic destination: an endpoint, or a group of them.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{self, Tick};
use crate::export::counters::EndpointCounters;
use crate::export::delivery::group::EndpointGroup;
use crate::export::delivery::split;
use crate::export::delivery::strategy::{EndpointDelivery, PendingRequest};
use crate::model::Signal;
use crate::routing::ItemSet;

/// What a chunk is delivered to: it is done when every destination has all that it wants.
#[derive(Clone)]
pub(in crate::export) enum Destination {
    Endpoint(Arc<EndpointDelivery>),
    Group(Arc<EndpointGroup>),
}

impl Destination {
    pub(in crate::export) fn name(&self) -> &str {
        match self {
            Self::Endpoint(endpoint) => endpoint.endpoint().name(),
            Self::Group(group) => &group.name,
        }
    }

    /// Whether it is configured to get this signal.
    pub(in crate::export) fn wants(&self, signal: Signal) -> bool {
        match self {
            Self::Endpoint(endpoint) => endpoint.endpoint().wants(signal),
            Self::Group(group) => group.wants(signal),
        }
    }

    /// The counters of the endpoint, or those that a group has as one.
    pub(in crate::export) fn meters(&self) -> &EndpointCounters {
        match self {
            Self::Endpoint(endpoint) => &endpoint.endpoint().meters,
            Self::Group(group) => &group.meters,
        }
    }

    /// Whether it is known to be there, so that a chunk may wait for its answer.
    pub(in crate::export) fn is_up(&self) -> bool {
        match self {
            Self::Endpoint(endpoint) => endpoint.endpoint().is_up(),
            Self::Group(group) => group.is_up(),
        }
    }

    /// How long a chunk waits before it asks whether it is to wait on.
    pub(in crate::export) fn patience(&self) -> Duration {
        match self {
            Self::Endpoint(endpoint) => endpoint.endpoint().patience(),
            Self::Group(group) => group.patience(),
        }
    }

    /// Whether a chunk that has waited so long goes on without it: an endpoint has answered nothing
    /// for longer than usual, and a group, which goes through its members one after the other, has
    /// had the time of one.
    pub(in crate::export) fn is_late(&self) -> bool {
        match self {
            Self::Endpoint(endpoint) => endpoint.endpoint().hangs(),
            Self::Group(_) => true,
        }
    }

    /// Whether nothing would be sent to it now.
    pub(in crate::export) fn refuses(&self) -> bool {
        match self {
            Self::Endpoint(endpoint) => endpoint.endpoint().refuses(),
            Self::Group(group) => group.refuses(),
        }
    }

    /// How long a chunk may wait in place for it; zero is not at all.
    pub(in crate::export) fn retry_in_place(&self) -> Duration {
        match self {
            Self::Endpoint(endpoint) => endpoint.retry_in_place,
            Self::Group(group) => group.retry_in_place,
        }
    }

    /// For how long it has been away; zero while it is there.
    pub(in crate::export) fn away(&self, now: Tick) -> Duration {
        match self {
            Self::Endpoint(endpoint) => endpoint.endpoint().away(now),
            Self::Group(group) => group.away(now),
        }
    }

    /// How long it is until a request may be made, if all goes well.
    pub(in crate::export) fn wait(&self, now: Tick) -> Duration {
        match self {
            Self::Endpoint(endpoint) => endpoint.endpoint().wait(now),
            Self::Group(group) => group.wait(now),
        }
    }

    /// Whether a chunk that is held is to be tried now. One that is not known to be there invites
    /// one chunk at a time, which finds out.
    pub(in crate::export) fn invites(&self, now: Tick) -> bool {
        let invitations = match self {
            Self::Endpoint(endpoint) => &endpoint.invitations,
            Self::Group(group) => &group.invitations,
        };
        self.is_up() || (!self.refuses() && invitations.take(now))
    }

    /// A number from 0 to 1 that spreads the retries of many.
    pub(in crate::export) fn jitter(&self) -> f64 {
        match self {
            Self::Endpoint(endpoint) => endpoint.endpoint().jitter(clock::now()),
            Self::Group(group) => group.jitter(),
        }
    }

    /// Gives up what is not done of requests after so long. Says what of each is done then.
    pub(in crate::export) async fn expire(
        &self,
        work: Vec<PendingRequest>,
        limit: Duration,
    ) -> Vec<(u32, ItemSet)> {
        let mut done = Vec::new();
        for PendingRequest { number, part, done: units } in work {
            let rest = split::rest(&part, &units);
            let gone = units.is_all()
                || match self {
                    Self::Endpoint(endpoint) => endpoint.expire(&rest, limit).await,
                    Self::Group(group) => group.expire(&rest, limit).await,
                };
            done.push((number, if gone { ItemSet::All } else { units }));
        }
        done
    }

    /// Sends requests once and says what of each is done now.
    pub(in crate::export) async fn deliver_once(
        &self,
        work: Vec<PendingRequest>,
    ) -> Vec<(u32, ItemSet)> {
        match self {
            Self::Endpoint(endpoint) => endpoint.deliver(work).await,
            Self::Group(group) => Box::pin(group.deliver(work)).await,
        }
    }
}
