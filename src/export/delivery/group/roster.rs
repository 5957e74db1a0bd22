//! Copy-on-write roster: the members of a group at one moment.

use std::sync::Arc;

use crate::clock::Tick;
use crate::export::delivery::strategy::EndpointDelivery;
use crate::routing::HashRing;

/// The members of a moment.
pub(super) struct Roster {
    pub(super) members: Vec<Arc<EndpointDelivery>>,
    pub(super) ring: HashRing,
}

impl Roster {
    pub(super) fn new(members: Vec<Arc<EndpointDelivery>>) -> Self {
        let ring = HashRing::new(members.iter().map(|member| member.endpoint().ring_key()));
        Self { members, ring }
    }

    /// Whether a member is known to be there.
    pub(super) fn any_up(&self) -> bool {
        self.members.iter().any(|member| member.endpoint().is_up())
    }

    /// When a member answered last.
    pub(super) fn answered(&self) -> Tick {
        self.members.iter().map(|member| member.endpoint().answered()).max().unwrap_or_default()
    }
}
