//! Request coalescing: small requests of several chunks go together while the endpoint is busy.
//!
//! Every chunk of the host makes requests of its own. While an endpoint has a free slot they go as
//! they are: nothing waits for company. Where all slots are taken, what waits is joined, signal by
//! signal, and goes as one request with the next free slot. So an endpoint that answers slowly gets
//! the many small chunks of many tags in few requests instead of one after the other.
//!
//! The bytes of requests one after the other are the request with the items of all of them: a
//! message's repeated fields may be given in several runs (Protocol Buffers, "Encoding", section
//! "Last One Wins").

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::export::endpoint::SendOutcome;
use crate::export::request::EncodedRequest;
use crate::sync::{Mutex, MutexGuard};

/// The index of derived metrics among those that wait, which has the index of no signal that is
/// joined.
const DERIVED: usize = 3;

/// A request that waits, and the channel for what comes of it.
pub(super) struct Waiter {
    pub(super) part: Arc<EncodedRequest>,
    sender: oneshot::Sender<SendOutcome>,
}

impl Waiter {
    /// Passes the outcome of the joined request on to the delivery that waits.
    pub(super) fn notify(self, sent: SendOutcome) {
        // The receiver is gone if its task was ended.
        drop(self.sender.send(sent));
    }
}

/// Requests that will go together; `None` once they are on their way.
type Joined = Arc<Mutex<Option<Vec<Waiter>>>>;

/// How large a joined request may be.
#[derive(Clone, Copy)]
pub(super) struct CoalescingLimit {
    pub(super) bytes: usize,
    pub(super) items: usize,
}

/// What waits at one endpoint.
#[derive(Default)]
pub(super) struct Coalescer {
    /// By signal, those that can still be joined, and at the last index derived metrics. Profiles,
    /// whose requests each have a dictionary, never are, and have no index here.
    open: Mutex<[Option<Joined>; 4]>,
}

/// What a request becomes that waits.
pub(super) enum CoalescingRole {
    /// It sends all that come until there is a slot.
    Leader(Leader),
    /// Another one sends it.
    Follow,
}

/// The right and the duty to send what has come together. Where it goes unused, because its task
/// is ended, those who wait learn that nothing was sent.
pub(super) struct Leader(Joined);

impl Leader {
    /// All that have come, with the leader's own first; a later request waits for the next.
    pub(super) fn take(self) -> Vec<Waiter> {
        lock(&self.0).take().unwrap_or_default()
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        drop(lock(&self.0).take());
    }
}

impl Coalescer {
    /// Lets a request wait together with others, within a limit in all. The receiver gets what came
    /// of it; it gets nothing if nothing was sent.
    pub(super) fn wait(
        &self,
        part: &Arc<EncodedRequest>,
        limit: CoalescingLimit,
    ) -> (CoalescingRole, oneshot::Receiver<SendOutcome>) {
        let (sender, receiver) = oneshot::channel();
        let mut waiter = Some(Waiter { part: Arc::clone(part), sender });
        let mut open = lock(&self.open);
        let kind = if part.is_derived { DERIVED } else { part.signal.index() };
        let slot = open.get_mut(kind);
        if let Some(joined) = slot.as_ref().and_then(|slot| slot.as_ref())
            && let Some(others) = lock(joined).as_mut()
            && has_room(others, part, limit)
        {
            others.extend(waiter.take());
        }
        let Some(waiter) = waiter else { return (CoalescingRole::Follow, receiver) };
        let joined = Arc::new(Mutex::new(Some(vec![waiter])));
        if let Some(slot) = slot {
            *slot = Some(Arc::clone(&joined));
        }
        (CoalescingRole::Leader(Leader(joined)), receiver)
    }
}

/// One request with the items of all.
pub(super) fn join(waiters: &[Waiter]) -> Option<Arc<EncodedRequest>> {
    let (first, others) = waiters.split_first()?;
    if others.is_empty() {
        return Some(Arc::clone(&first.part));
    }
    let parts = waiters.iter().map(|waiter| &waiter.part);
    let mut body = Vec::with_capacity(parts.clone().map(|part| part.size()).sum());
    parts.clone().for_each(|part| body.extend_from_slice(part.bytes()));
    let items = parts.map(|part| part.items).sum();
    let part = EncodedRequest::new(first.part.signal, items, body).derived(first.part.is_derived);
    Some(Arc::new(part))
}

fn has_room(others: &[Waiter], part: &EncodedRequest, limit: CoalescingLimit) -> bool {
    let bytes: usize = others.iter().map(|other| other.part.size()).sum();
    let items: usize = others.iter().map(|other| other.part.items).sum();
    bytes.saturating_add(part.size()) <= limit.bytes
        && items.saturating_add(part.items) <= limit.items
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Signal;

    const WIDE: CoalescingLimit = CoalescingLimit { bytes: 100, items: 100 };

    fn part(signal: Signal, body: &[u8]) -> Arc<EncodedRequest> {
        Arc::new(EncodedRequest::new(signal, 1, body.to_vec()))
    }

    fn leader(role: CoalescingRole) -> Leader {
        match role {
            CoalescingRole::Leader(leader) => leader,
            CoalescingRole::Follow => panic!("another request leads"),
        }
    }

    #[test]
    fn those_of_one_signal_go_together_up_to_the_limit() {
        let coalescer = Coalescer::default();
        let limit = CoalescingLimit { bytes: 7, items: 10 };
        let (first, _first) = coalescer.wait(&part(Signal::Logs, b"one"), limit);
        let (other, _other) = coalescer.wait(&part(Signal::Traces, b"two"), limit);
        let (second, _second) = coalescer.wait(&part(Signal::Logs, b"thre"), limit);
        let (third, _third) = coalescer.wait(&part(Signal::Logs, b"four"), limit);
        assert!(matches!(second, CoalescingRole::Follow));
        let joined = join(&leader(first).take()).unwrap();
        assert_eq!((joined.bytes(), joined.items), (&b"onethre"[..], 2));
        assert_eq!(leader(other).take().len(), 1);
        assert_eq!(leader(third).take().len(), 1);
    }

    #[test]
    fn they_are_no_more_items_than_a_request_may_have() {
        let coalescer = Coalescer::default();
        let limit = CoalescingLimit { bytes: 100, items: 2 };
        let (first, _first) = coalescer.wait(&part(Signal::Logs, b"one"), limit);
        let (second, _second) = coalescer.wait(&part(Signal::Logs, b"two"), limit);
        let (third, _third) = coalescer.wait(&part(Signal::Logs, b"three"), limit);
        assert!(matches!(second, CoalescingRole::Follow));
        assert_eq!((leader(first).take().len(), leader(third).take().len()), (2, 1));
    }

    #[test]
    fn what_is_derived_is_not_joined_with_what_is_not() {
        let coalescer = Coalescer::default();
        let derived = |body: &[u8]| {
            Arc::new(EncodedRequest::new(Signal::Metrics, 1, body.to_vec()).derived(true))
        };
        let (first, _first) = coalescer.wait(&part(Signal::Metrics, b"one"), WIDE);
        let (second, _second) = coalescer.wait(&derived(b"two"), WIDE);
        let (third, _third) = coalescer.wait(&derived(b"three"), WIDE);
        assert!(matches!(third, CoalescingRole::Follow));
        assert_eq!(leader(first).take().len(), 1);
        let joined = join(&leader(second).take()).unwrap();
        assert_eq!((joined.bytes(), joined.is_derived), (&b"twothree"[..], true));
    }

    #[test]
    fn who_comes_after_they_take_leads_anew() {
        let coalescer = Coalescer::default();
        let (first, _first) = coalescer.wait(&part(Signal::Logs, b"one"), WIDE);
        assert_eq!(leader(first).take().len(), 1);
        let (second, _second) = coalescer.wait(&part(Signal::Logs, b"two"), WIDE);
        assert_eq!(leader(second).take().len(), 1);
    }

    #[test]
    fn a_leader_that_is_ended_leaves_nobody_waiting() {
        let coalescer = Coalescer::default();
        let (first, _first) = coalescer.wait(&part(Signal::Logs, b"one"), WIDE);
        let (_second, mut receiver) = coalescer.wait(&part(Signal::Logs, b"two"), WIDE);
        drop(first);
        assert_eq!(receiver.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
