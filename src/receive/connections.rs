//! Connection limiter: the connections that are open, and which of them ends when there are too
//! many.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::limits::ClientLimits;
use crate::clock::{self, Tick};
use crate::stats::{Counter, CounterFamily, Counters};
use crate::sync::{Mutex, MutexGuard};

const OPEN: CounterFamily = CounterFamily::gauge("connections", "Open connections.", &[]);
const ACCEPTED: CounterFamily = CounterFamily::counter(
    "accepted_connections_total",
    "Connections that were accepted, whatever became of them.",
    &[],
);
const CLOSED: CounterFamily = CounterFamily::counter(
    "closed_connections_total",
    "Connections that the receiver refused or closed, not their clients.",
    &["reason"],
);

/// How long the bodies of a connection's requests may arrive until its slot may be given to
/// another.
const READING: Duration = Duration::from_secs(5);
/// How long to look away when nothing limits a connection's time.
const SELDOM: Duration = Duration::from_secs(3600);

/// Why the receiver closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseReason {
    /// There are too many and all have requests.
    MaxConnections,
    /// There are too many and this one has had no request for longest.
    Evicted,
    /// The first request's headers did not come.
    HeaderTimeout,
    /// There was no request for too long.
    IdleTimeout,
    /// There was no sign of life.
    KeepaliveTimeout,
    /// It is old enough to be made anew.
    MaxAge,
}

impl CloseReason {
    const ALL: [(Self, &'static str); 6] = [
        (Self::MaxConnections, "max_connections"),
        (Self::Evicted, "evicted"),
        (Self::HeaderTimeout, "header_timeout"),
        (Self::IdleTimeout, "idle_timeout"),
        (Self::KeepaliveTimeout, "keepalive_timeout"),
        (Self::MaxAge, "max_age"),
    ];
}

/// All connections of a receiver.
#[derive(Debug)]
pub(super) struct OpenConnections {
    open: Mutex<Open>,
    limit: usize,
    gauge: Counter,
    accepted: Counter,
    closed: Vec<(CloseReason, Counter)>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    connections: BTreeMap<u64, Arc<Activity>>,
}

/// The slot of one connection; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    connections: Arc<OpenConnections>,
    pub(super) id: u64,
    pub(super) activity: Arc<Activity>,
}

impl OpenConnections {
    pub(super) fn new(limits: &ClientLimits, counters: &Counters) -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::default(),
            limit: limits.max_connections.unwrap_or(usize::MAX),
            gauge: counters.counter(OPEN, &[]),
            accepted: counters.counter(ACCEPTED, &[]),
            closed: CloseReason::ALL
                .iter()
                .map(|(reason, name)| (*reason, counters.counter(CLOSED, &[name])))
                .collect(),
        })
    }

    /// A slot for a new connection, if need be that of the one that has been idle for longest.
    pub(super) fn admit(self: &Arc<Self>) -> Option<ConnectionSlot> {
        self.accepted.add(1);
        let mut open = self.open();
        if open.connections.len() >= self.limit && !self.evict_from(&mut open) {
            drop(open);
            self.count(CloseReason::MaxConnections);
            return None;
        }
        let id = open.next;
        open.next = open.next.wrapping_add(1);
        let activity = Activity::new();
        open.connections.insert(id, Arc::clone(&activity));
        self.show(&open);
        Some(ConnectionSlot { connections: Arc::clone(self), id, activity })
    }

    /// Ends the connection that has been idle for longest. Returns whether there was one.
    pub(super) fn evict(&self) -> bool {
        self.evict_from(&mut self.open())
    }

    /// Counts a connection that the receiver closes.
    pub(super) fn count(&self, why: CloseReason) {
        if let Some((_, counter)) = self.closed.iter().find(|(reason, _)| *reason == why) {
            counter.add(1);
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock()
    }

    fn show(&self, open: &Open) {
        self.gauge.set(u64::try_from(open.connections.len()).unwrap_or(u64::MAX));
    }

    /// Connections that never had a request go first: a flood does not drive out those that work.
    /// Those whose requests do not come to an end go last.
    fn evict_from(&self, open: &mut Open) -> bool {
        let now = clock::now();
        let ranked =
            open.connections.iter().filter_map(|(id, activity)| Some((activity.rank(now)?, *id)));
        let Some((_, id)) = ranked.min() else { return false };
        let Some(victim) = open.connections.remove(&id) else { return false };
        victim.evicted.notify_one();
        self.show(open);
        self.count(CloseReason::Evicted);
        true
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        open.connections.remove(&self.id);
        self.connections.show(&open);
    }
}

/// When a connection was last used.
#[derive(Debug)]
pub(super) struct Activity {
    requests: AtomicUsize,
    served: AtomicBool,
    last: AtomicU64,
    /// How many of the requests still arrive, and since when the newest of them does.
    reading: AtomicUsize,
    reading_since: AtomicU64,
    evicted: Notify,
}

tokio::task_local! {
    /// The connection of the request that this task answers.
    static CONNECTION: Arc<Activity>;
}

/// One request whose body arrives.
pub(super) struct BodyInProgress(Arc<Activity>);

/// Says that the body of this task's request is being read, until the guard is dropped.
pub(super) fn reading() -> Option<BodyInProgress> {
    CONNECTION.try_with(Activity::begin_reading).ok()
}

/// One request under way.
pub(super) struct RequestInProgress(Arc<Activity>);

impl Activity {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            requests: AtomicUsize::new(0),
            served: AtomicBool::new(false),
            last: AtomicU64::new(clock::now().0),
            reading: AtomicUsize::new(0),
            reading_since: AtomicU64::new(0),
            evicted: Notify::new(),
        })
    }

    /// Counts a request as under way until what it gives is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> RequestInProgress {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.served.store(true, Ordering::Relaxed);
        RequestInProgress(Arc::clone(self))
    }

    fn begin_reading(self: &Arc<Self>) -> BodyInProgress {
        self.reading_since.store(clock::now().0, Ordering::Relaxed);
        self.reading.fetch_add(1, Ordering::Relaxed);
        BodyInProgress(Arc::clone(self))
    }

    /// Whether nothing would be lost but requests that have been arriving for long.
    pub(super) fn is_expendable(&self, now: Tick) -> bool {
        let since = Tick(self.reading_since.load(Ordering::Relaxed));
        let requests = self.requests.load(Ordering::Relaxed);
        requests == 0
            || (self.reading.load(Ordering::Relaxed) >= requests && now.since(since) >= READING)
    }

    /// Whether a request is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    /// Comes when another connection takes the place of this one.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// The lowest goes first, if it may go at all.
    fn rank(&self, now: Tick) -> Option<(bool, bool, u64)> {
        let served = self.served.load(Ordering::Relaxed);
        let rank = (self.is_busy(), served, self.last.load(Ordering::Relaxed));
        self.is_expendable(now).then_some(rank)
    }

    /// How much longer the connection may stay without a request, and what it is to be closed for.
    pub(super) fn patience(&self, limits: &ClientLimits, now: Tick) -> (Duration, CloseReason) {
        let (limit, reason) = if self.served.load(Ordering::Relaxed) {
            (limits.idle_timeout.unwrap_or(SELDOM), CloseReason::IdleTimeout)
        } else {
            (limits.header_timeout, CloseReason::HeaderTimeout)
        };
        if self.is_busy() || (reason == CloseReason::IdleTimeout && limits.idle_timeout.is_none()) {
            return (limit, reason);
        }
        (limit.saturating_sub(now.since(Tick(self.last.load(Ordering::Relaxed)))), reason)
    }
}

impl RequestInProgress {
    /// Answers the request, so that the connection knows when its body is being read.
    pub(super) fn scope<F: Future>(&self, answer: F) -> impl Future<Output = F::Output> + use<F> {
        CONNECTION.scope(Arc::clone(&self.0), answer)
    }
}

impl Drop for RequestInProgress {
    fn drop(&mut self) {
        self.0.last.store(clock::now().0, Ordering::Relaxed);
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for BodyInProgress {
    fn drop(&mut self) {
        self.0.reading.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(max_connections: usize) -> (Arc<OpenConnections>, Arc<Counters>) {
        let counters = Arc::new(Counters::default());
        let limits =
            ClientLimits { max_connections: Some(max_connections), ..ClientLimits::default() };
        (OpenConnections::new(&limits, &counters), counters)
    }

    fn values(counters: &Counters) -> Vec<u64> {
        counters.readings().iter().map(|reading| reading.counter.value()).collect()
    }

    #[tokio::test]
    async fn the_idlest_makes_room_and_the_unserved_before_it() {
        let (connections, counters) = of(3);
        let served = connections.admit().unwrap();
        drop(served.activity.begin());
        let first = connections.admit().unwrap();
        let _second = connections.admit().unwrap();
        let _third = connections.admit().unwrap();
        first.activity.evicted().await;
        assert_eq!(values(&counters), [3, 4, 0, 1, 0, 0, 0, 0]);
        drop(first);
        assert_eq!(values(&counters)[0], 3);
        let (fourth, fifth) = (connections.admit().unwrap(), connections.admit().unwrap());
        let busy: Vec<RequestInProgress> =
            [&served, &fourth, &fifth].map(|slot| slot.activity.begin()).into();
        assert!(connections.admit().is_none());
        assert!(!connections.evict());
        drop(busy);
        assert!(connections.evict());
        assert_eq!(values(&counters), [2, 7, 1, 4, 0, 0, 0, 0]);
    }

    #[tokio::test]
    async fn requests_that_do_not_come_to_an_end_go_last() {
        let (connections, _) = of(2);
        let slow = connections.admit().unwrap();
        let busy = slow.activity.begin();
        assert!(reading().is_none());
        let guard = busy.scope(async { reading() }).await.unwrap();
        let since = Tick(slow.activity.reading_since.load(Ordering::Relaxed));
        let (early, late) = (since.after(READING / 2), since.after(READING));
        assert_eq!((slow.activity.rank(early), slow.activity.is_expendable(late)), (None, true));
        let idle = connections.admit().unwrap();
        drop(idle.activity.begin());
        assert!(idle.activity.rank(late) < slow.activity.rank(late));
        // A request beside it that is complete holds the connection.
        let second = slow.activity.begin();
        assert!(!slow.activity.is_expendable(late));
        drop(second);
        drop(guard);
        assert!(!slow.activity.is_expendable(late));
        drop(busy);
        assert!(slow.activity.is_expendable(early));
    }

    #[test]
    fn patience_runs_out_only_without_requests() {
        let limits = ClientLimits::default();
        let activity = Activity::new();
        let start = Tick(activity.last.load(Ordering::Relaxed));
        let patience = |at: Tick| activity.patience(&limits, at);
        let (left, reason) = patience(start.after(Duration::from_secs(10)));
        assert_eq!((left.as_secs(), reason), (20, CloseReason::HeaderTimeout));
        assert!(patience(start.after(limits.header_timeout)).0.is_zero());
        let idle = limits.idle_timeout.unwrap();
        let busy = activity.begin();
        assert_eq!(patience(start.after(idle * 2)), (idle, CloseReason::IdleTimeout));
        drop(busy);
        let last = Tick(activity.last.load(Ordering::Relaxed));
        assert_eq!(patience(last).0, idle);
        assert!(patience(last.after(idle)).0.is_zero());
        let patient = ClientLimits { idle_timeout: None, ..limits.clone() };
        assert!(!activity.patience(&patient, last.after(SELDOM * 9)).0.is_zero());
    }
}
