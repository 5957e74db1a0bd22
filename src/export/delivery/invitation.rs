//! Probe selection: which held chunk finds out whether an endpoint is back.

use std::time::Duration;

use crate::clock::Tick;
use crate::sync::Mutex;

/// The invitations of a destination that is not known to be there.
#[derive(Debug, Default)]
pub(in crate::export) struct Invitations(Mutex<Tick>);

impl Invitations {
    /// The least time between two: the request that the first one makes is on its way then.
    const SPACING: Duration = Duration::from_millis(250);

    /// Whether one may be given now, which it is then.
    pub(in crate::export) fn take(&self, now: Tick) -> bool {
        let mut next = self.0.lock();
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
