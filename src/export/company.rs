//! Small requests of several chunks that go together, because the endpoint is busy.
//!
//! Every chunk of the host makes requests of its own. While an endpoint has a free slot they go as
//! they are: nothing waits for company. Where all slots are taken, what waits is joined, signal by
//! signal, and goes as one request with the next free slot. So an endpoint that answers slowly gets
//! the many small chunks of many tags in few requests instead of one after the other.
//!
//! The bytes of requests one after the other are the request with the items of all of them: a
//! message's repeated fields may be given in several runs (Protocol Buffers, "Encoding", section
//! "Last One Wins").

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::endpoint::{Endpoint, Sent, Verdict};
use super::meters::Loss;
use super::part::Part;
use crate::model::Signal;
use crate::routing::FailureReason;

/// Larger requests, in uncompressed bytes, go alone: they are worth a round trip of their own.
const SMALL: usize = 256 * 1024;
/// Bytes that are joined at most, uncompressed.
const MOST: usize = 1024 * 1024;

/// The place of derived metrics among those that wait, which has the index of no signal that is
/// joined.
const DERIVED: usize = 3;

/// Sends a request, together with others where it would have to wait.
pub(super) async fn send(endpoint: &Endpoint, part: &Arc<Part>) -> Sent {
    // Which items a partial success left out shows only where all of a request's are.
    let alone = part.size() > SMALL || part.signal == Signal::Profiles || endpoint.keeps_letters();
    if alone || endpoint.free_slots() > 0 {
        return endpoint.send(part, None).await;
    }
    let bytes = endpoint.allowed().min(endpoint.max_request_size).min(MOST);
    let limit = Limit { bytes, items: endpoint.max_request_items };
    let (role, told) = endpoint.company.wait(part, limit);
    if let Role::Lead(lead) = role {
        send_together(endpoint, lead).await;
    }
    told.await.unwrap_or(Sent::Later)
}

/// Sends what has come together until there is a slot, and tells everyone.
async fn send_together(endpoint: &Endpoint, lead: Lead) {
    let pass = endpoint.admit().await;
    let members = lead.set_off();
    if pass.is_none() {
        return endpoint.meters.deferred.add_items(members.len());
    }
    let Some(whole) = join(&members) else { return };
    let verdict = endpoint.exchange(&whole, None).await;
    drop(pass);
    let is_refused = match &verdict {
        Verdict::Refused(loss, _) => *loss == Loss::Failed(FailureReason::Refused),
        Verdict::Sent(sent) => {
            matches!(sent, Sent::TooLarge(_) | Sent::Unclear(_) | Sent::Apart(_))
        }
    };
    if members.len() > 1 {
        endpoint.meters.joined.add_items(members.len());
        if is_refused {
            // Whose fault it was shows when each is sent by itself.
            return send_apart(endpoint, members).await;
        }
    }
    let sent = endpoint.conclude(&whole, verdict).await;
    for member in members {
        member.tell(sent.clone());
    }
}

async fn send_apart(endpoint: &Endpoint, members: Vec<Member>) {
    let sends = members.into_iter().map(|member| async {
        let sent = endpoint.send(&member.part, None).await;
        member.tell(sent);
    });
    join_all(sends).await;
}

/// A request that waits, and who is to be told what came of it.
struct Member {
    part: Arc<Part>,
    tell: oneshot::Sender<Sent>,
}

impl Member {
    fn tell(self, sent: Sent) {
        // Nobody waits any more if its task was ended.
        drop(self.tell.send(sent));
    }
}

/// Requests that will go together; `None` once they are on their way.
type Joined = Arc<Mutex<Option<Vec<Member>>>>;

/// How large a joined request may be.
#[derive(Clone, Copy)]
struct Limit {
    bytes: usize,
    items: usize,
}

/// What waits at one endpoint.
#[derive(Default)]
pub(super) struct Company {
    /// By signal, those that can still be joined, and in the last place derived metrics. Profiles,
    /// whose requests each have a dictionary, never are, and have no place here.
    open: Mutex<[Option<Joined>; 4]>,
}

/// What a request becomes that waits.
enum Role {
    /// It sends all that come until there is a slot.
    Lead(Lead),
    /// Another one sends it.
    Follow,
}

/// The right and the duty to send what has come together. Where it goes unused, because its task
/// is ended, those who wait learn that nothing was sent.
struct Lead(Joined);

impl Lead {
    /// All that have come, with the leader's own first; whoever comes later waits for the next.
    fn set_off(self) -> Vec<Member> {
        lock(&self.0).take().unwrap_or_default()
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        drop(lock(&self.0).take());
    }
}

impl Company {
    /// Lets a request wait together with others, within a limit in all. The receiver gets what came
    /// of it; it gets nothing if nothing was sent.
    fn wait(&self, part: &Arc<Part>, limit: Limit) -> (Role, oneshot::Receiver<Sent>) {
        let (tell, told) = oneshot::channel();
        let mut member = Some(Member { part: Arc::clone(part), tell });
        let mut open = lock(&self.open);
        let place = if part.is_derived { DERIVED } else { part.signal.index() };
        let slot = open.get_mut(place);
        if let Some(joined) = slot.as_ref().and_then(|slot| slot.as_ref())
            && let Some(others) = lock(joined).as_mut()
            && has_room(others, part, limit)
        {
            others.extend(member.take());
        }
        let Some(member) = member else { return (Role::Follow, told) };
        let joined = Arc::new(Mutex::new(Some(vec![member])));
        if let Some(slot) = slot {
            *slot = Some(Arc::clone(&joined));
        }
        (Role::Lead(Lead(joined)), told)
    }
}

/// One request with the items of all.
fn join(members: &[Member]) -> Option<Arc<Part>> {
    let (first, others) = members.split_first()?;
    if others.is_empty() {
        return Some(Arc::clone(&first.part));
    }
    let parts = members.iter().map(|member| &member.part);
    let mut body = Vec::with_capacity(parts.clone().map(|part| part.size()).sum());
    parts.clone().for_each(|part| body.extend_from_slice(part.bytes()));
    let items = parts.map(|part| part.items).sum();
    let part = Part::new(first.part.signal, items, body).derived(first.part.is_derived);
    Some(Arc::new(part))
}

fn has_room(others: &[Member], part: &Part, limit: Limit) -> bool {
    let bytes: usize = others.iter().map(|other| other.part.size()).sum();
    let items: usize = others.iter().map(|other| other.part.items).sum();
    bytes.saturating_add(part.size()) <= limit.bytes
        && items.saturating_add(part.items) <= limit.items
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Limit = Limit { bytes: 100, items: 100 };

    fn part(signal: Signal, body: &[u8]) -> Arc<Part> {
        Arc::new(Part::new(signal, 1, body.to_vec()))
    }

    fn lead(role: Role) -> Lead {
        match role {
            Role::Lead(lead) => lead,
            Role::Follow => panic!("somebody else leads"),
        }
    }

    #[test]
    fn those_of_one_signal_go_together_up_to_the_limit() {
        let company = Company::default();
        let limit = Limit { bytes: 7, items: 10 };
        let (first, _first) = company.wait(&part(Signal::Logs, b"one"), limit);
        let (other, _other) = company.wait(&part(Signal::Traces, b"two"), limit);
        let (second, _second) = company.wait(&part(Signal::Logs, b"thre"), limit);
        let (third, _third) = company.wait(&part(Signal::Logs, b"four"), limit);
        assert!(matches!(second, Role::Follow));
        let joined = join(&lead(first).set_off()).unwrap();
        assert_eq!((joined.bytes(), joined.items), (&b"onethre"[..], 2));
        assert_eq!(lead(other).set_off().len(), 1);
        assert_eq!(lead(third).set_off().len(), 1);
    }

    #[test]
    fn they_are_no_more_items_than_a_request_may_have() {
        let company = Company::default();
        let limit = Limit { bytes: 100, items: 2 };
        let (first, _first) = company.wait(&part(Signal::Logs, b"one"), limit);
        let (second, _second) = company.wait(&part(Signal::Logs, b"two"), limit);
        let (third, _third) = company.wait(&part(Signal::Logs, b"three"), limit);
        assert!(matches!(second, Role::Follow));
        assert_eq!((lead(first).set_off().len(), lead(third).set_off().len()), (2, 1));
    }

    #[test]
    fn what_is_derived_is_not_joined_with_what_is_not() {
        let company = Company::default();
        let derived =
            |body: &[u8]| Arc::new(Part::new(Signal::Metrics, 1, body.to_vec()).derived(true));
        let (first, _first) = company.wait(&part(Signal::Metrics, b"one"), WIDE);
        let (second, _second) = company.wait(&derived(b"two"), WIDE);
        let (third, _third) = company.wait(&derived(b"three"), WIDE);
        assert!(matches!(third, Role::Follow));
        assert_eq!(lead(first).set_off().len(), 1);
        let joined = join(&lead(second).set_off()).unwrap();
        assert_eq!((joined.bytes(), joined.is_derived), (&b"twothree"[..], true));
    }

    #[test]
    fn who_comes_after_they_set_off_leads_anew() {
        let company = Company::default();
        let (first, _first) = company.wait(&part(Signal::Logs, b"one"), WIDE);
        assert_eq!(lead(first).set_off().len(), 1);
        let (second, _second) = company.wait(&part(Signal::Logs, b"two"), WIDE);
        assert_eq!(lead(second).set_off().len(), 1);
    }

    #[test]
    fn a_leader_that_is_ended_leaves_nobody_waiting() {
        let company = Company::default();
        let (first, _first) = company.wait(&part(Signal::Logs, b"one"), WIDE);
        let (_second, mut told) = company.wait(&part(Signal::Logs, b"two"), WIDE);
        drop(first);
        assert_eq!(told.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
