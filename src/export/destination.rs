//! Where requests go: an endpoint, or a group of them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::endpoint::{Endpoint, Work};
use super::group::Group;
use super::meters::EndpointMeters;
use super::{pieces, retry};
use crate::clock::{self, Tick};
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

    /// How long a chunk may wait in place for it; zero is not at all.
    pub(super) fn retry_in_place(&self) -> Duration {
        match self {
            Self::Endpoint(endpoint) => endpoint.retry_in_place,
            Self::Group(group) => group.retry_in_place,
        }
    }

    /// For how long it has been away; zero while it is there.
    pub(super) fn away(&self, now: Tick) -> Duration {
        match self {
            Self::Endpoint(endpoint) => endpoint.away(now),
            Self::Group(group) => group.away(now),
        }
    }

    /// How long it is until a request may be made, if all goes well.
    pub(super) fn wait(&self, now: Tick) -> Duration {
        match self {
            Self::Endpoint(endpoint) => endpoint.wait(now),
            Self::Group(group) => group.wait(now),
        }
    }

    /// Whether a chunk that is held is to be tried now. One that is not known to be there invites
    /// one chunk at a time, which finds out.
    pub(super) fn invites(&self, now: Tick) -> bool {
        let invitations = match self {
            Self::Endpoint(endpoint) => &endpoint.invitations,
            Self::Group(group) => &group.invitations,
        };
        self.is_up() || (!self.refuses() && invitations.take(now))
    }

    /// A number from 0 to 1 that spreads the retries of many.
    pub(super) fn jitter(&self) -> f64 {
        match self {
            Self::Endpoint(endpoint) => endpoint.jitter(clock::now()),
            Self::Group(group) => group.jitter(),
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

    /// Sends requests, those that fail a few times, and says what of each is done now.
    pub(super) async fn deliver(&self, work: Vec<Work>) -> Vec<(u32, Units)> {
        retry::deliver(self, work).await
    }

    /// Sends requests once and says what of each is done now.
    pub(super) async fn deliver_once(&self, work: Vec<Work>) -> Vec<(u32, Units)> {
        match self {
            Self::Endpoint(endpoint) => endpoint.deliver(work).await,
            Self::Group(group) => Box::pin(group.deliver(work)).await,
        }
    }
}

/// The invitations of a destination that is not known to be there.
#[derive(Debug, Default)]
pub(super) struct Invitations(Mutex<Tick>);

impl Invitations {
    /// The least time between two: the request that the first one makes is on its way then.
    const SPACING: Duration = Duration::from_millis(250);

    fn take(&self, now: Tick) -> bool {
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = now >= *next;
        if is_free {
            *next = now.after(Self::SPACING);
        }
        is_free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_invitation_at_a_time() {
        let invitations = Invitations::default();
        let at = |millis: u64| Tick(millis * 1_000_000);
        assert!(invitations.take(at(1000)) && !invitations.take(at(1000)));
        assert!(!invitations.take(at(1249)) && invitations.take(at(1250)));
    }
}
