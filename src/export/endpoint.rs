//! One endpoint: its client, its breaker, its bound on requests in flight.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use http::HeaderMap;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::client::{Client, Reply, failed};
use super::company::{self, Company};
use super::credentials::Credentials;
use super::destination::Invitations;
use super::kinds;
use super::letters::Letters;
use super::meters::{EndpointMeters, Loss};
use super::part::Part;
use super::pieces;
use super::settings::{EndpointSettings, HeaderFrom};
use super::tls::ClientProblem;
use crate::clock::{self, Tick};
use crate::model::Signal;
use crate::routing::{
    Answer, Breaker, BreakerPolicy, FailureReason, Pace, Permit, SizeLimit, Units, stated_limit,
};
use crate::stats::{Counters, Level, Log};

/// A running endpoint.
pub(super) struct Endpoint {
    name: String,
    /// What a hash ring knows it by.
    place: String,
    signals: Vec<Signal>,
    client: Client,
    timeout: Duration,
    breaker: Mutex<Breaker>,
    pace: Mutex<Pace>,
    /// Whether an endpoint that hangs is told before its timeout, because others wait for it.
    hurried: bool,
    slots: Semaphore,
    pub(super) company: Company,
    limit: Mutex<SizeLimit>,
    pub(super) max_request_size: usize,
    pub(super) max_request_items: usize,
    credentials: Option<Credentials>,
    pub(super) header_from: Vec<HeaderFrom>,
    letters: Option<Letters>,
    pub(super) meters: EndpointMeters,
    log: Arc<Log>,
    /// How long a chunk may wait in place for it.
    pub(super) retry_in_place: Duration,
    pub(super) invitations: Invitations,
    rolls: AtomicU64,
    /// Whether it was told that derived telemetry is refused.
    told_derived: AtomicBool,
}

/// A request that an endpoint is to get, with what it has of it already.
#[derive(Clone)]
pub(super) struct Work {
    /// Its number among those of the chunk.
    pub(super) number: u32,
    pub(super) part: Arc<Part>,
    pub(super) done: Units,
}

/// What came of sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sent {
    /// Accepted, or given up for good.
    Done,
    /// It may be accepted later.
    Later,
    /// A smaller one may be accepted. Holds the endpoint's words.
    TooLarge(String),
    /// It will not be accepted later, and it is not known whether a smaller one would be. Holds the
    /// endpoint's words.
    Unclear(String),
    /// It was refused for what it holds, which is metrics of several kinds: those of one kind may
    /// be accepted. Holds the endpoint's words.
    Apart(String),
}

/// What an answer means for the request.
pub(super) enum Verdict {
    Sent(Sent),
    /// It will never be accepted, in these words.
    Refused(Loss, String),
}

/// The permission to make a request. When it goes without an outcome, because the task is ended,
/// another request may be the probe.
pub(super) struct Pass<'a> {
    endpoint: &'a Endpoint,
    _slot: SemaphorePermit<'a>,
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.endpoint.breaker().abandon(clock::now());
    }
}

/// A request that waits for its token or its answer, also when its task is ended.
struct Waiting<'a> {
    endpoint: &'a Endpoint,
    took: Option<Duration>,
}

impl<'a> Waiting<'a> {
    fn begin(endpoint: &'a Endpoint) -> Self {
        endpoint.pace().begin(clock::now());
        Self { endpoint, took: None }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.endpoint.pace().end(clock::now(), self.took);
    }
}

impl Endpoint {
    pub(super) fn new(
        settings: &EndpointSettings,
        max_in_flight: usize,
        counters: &Counters,
        log: &Arc<Log>,
    ) -> Result<Self, ClientProblem> {
        Ok(Self {
            name: settings.name.clone(),
            place: match settings.address {
                Some(address) => address.to_string(),
                None => settings.url.to_string(),
            },
            signals: settings.signals.clone(),
            client: Client::new(settings, log)?,
            timeout: settings.timeout,
            breaker: Mutex::new(Breaker::new(BreakerPolicy::default())),
            pace: Mutex::default(),
            hurried: false,
            slots: Semaphore::new(max_in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            company: Company::default(),
            limit: Mutex::new(SizeLimit::default()),
            max_request_size: settings.max_request_size,
            max_request_items: settings.max_request_items,
            credentials: Credentials::new(settings, log)?,
            header_from: settings.header_from.clone(),
            letters: Letters::new(settings, max_in_flight, counters, log)?,
            meters: EndpointMeters::new(counters, &settings.name),
            log: Arc::clone(log),
            retry_in_place: settings.retry_in_place,
            invitations: Invitations::default(),
            rolls: AtomicU64::new(0),
            told_derived: AtomicBool::new(false),
        })
    }

    /// The same among others, which it must not hold up.
    pub(super) const fn hurried(mut self) -> Self {
        self.hurried = true;
        self
    }

    /// How long to wait before asking whether it hangs.
    pub(super) fn patience(&self) -> Duration {
        if self.hurried { self.pace().patience() } else { self.timeout }
    }

    /// Whether nothing was answered for longer than usual, although something is to be.
    pub(super) fn hangs(&self) -> bool {
        self.hurried && self.pace().hangs(clock::now())
    }

    /// When it answered last.
    pub(super) fn answered(&self) -> Tick {
        self.pace().answered()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn wants(&self, signal: Signal) -> bool {
        self.signals.contains(&signal)
    }

    /// Sends requests and says what of each is done now: accepted, or refused for good.
    pub(super) async fn deliver(&self, work: Vec<Work>) -> Vec<(u32, Units)> {
        let mut work = work.into_iter();
        let mut done = Vec::new();
        // An endpoint that is not known to be there gets one request; the others follow when that
        // one has come through.
        if !self.breaker().is_closed() {
            let Some(first) = work.next() else { return done };
            let (number, units) = self.deliver_one(first).await;
            let through = units.is_all();
            done.push((number, units));
            if !through {
                self.meters.deferred.add_items(work.len());
                return done;
            }
        }
        done.extend(join_all(work.map(|work| self.deliver_one(work))).await);
        done
    }

    /// Asks an endpoint that was away whether it is back, with a request that holds nothing.
    pub(super) async fn probe(&self, signal: Signal) {
        let Some(_pass) = self.admit().await else { return };
        let reply = self.attempt(&Part::new(signal, 0, Vec::new()), None).await;
        match reply.answer {
            Answer::Accepted | Answer::Refused(_) | Answer::Unclear => self.back(),
            Answer::Retry { reason, after } => {
                self.meters.failed(reason);
                self.gone(reason, after);
            }
        }
    }

    /// Whether requests are sent without a probe.
    pub(super) fn is_up(&self) -> bool {
        self.breaker().is_closed() && !self.refuses()
    }

    /// Whether a request would not be sent now.
    pub(super) fn refuses(&self) -> bool {
        self.breaker().refuses(clock::now()) || self.hangs()
    }

    /// For how long it has been away; zero while it is there.
    pub(super) fn away(&self, now: Tick) -> Duration {
        self.breaker().away(now)
    }

    /// How long it is until a request may be made, if all goes well.
    pub(super) fn wait(&self, now: Tick) -> Duration {
        self.breaker().wait(now)
    }

    /// Whether what it refuses goes somewhere.
    pub(super) const fn keeps_letters(&self) -> bool {
        self.letters.is_some()
    }

    /// Requests that could be sent at once.
    pub(super) fn free_slots(&self) -> usize {
        self.slots.available_permits()
    }

    async fn deliver_one(&self, work: Work) -> (u32, Units) {
        // Profiles share one dictionary in each request, so that they are not cut by size.
        let whole = work.part.signal == Signal::Profiles;
        let fits =
            || work.part.size() <= self.allowed() && work.part.items <= self.max_request_items;
        let small = || work.done.is_none() && fits();
        let mut known = None;
        if self.header_from.is_empty() && (whole || small()) {
            match company::send(self, &work.part).await {
                Sent::Done => return (work.number, Units::All),
                Sent::Later => return (work.number, Units::None),
                Sent::TooLarge(_) => {}
                sent @ (Sent::Unclear(_) | Sent::Apart(_)) => known = Some(sent),
            }
        }
        (work.number, Box::pin(pieces::deliver(self, &work.part, work.done, known)).await)
    }

    /// Sends one request with these headers beside the endpoint's own.
    pub(super) async fn send(&self, part: &Part, headers: Option<&HeaderMap>) -> Sent {
        let Some(pass) = self.admit().await else {
            self.meters.deferred.add(1);
            return Sent::Later;
        };
        let verdict = self.exchange(part, headers).await;
        // What is kept as a dead letter takes no slot from others.
        drop(pass);
        self.conclude(part, verdict).await
    }

    /// Makes a request, again where the connection or the token had aged, and judges the answer.
    pub(super) async fn exchange(&self, part: &Part, headers: Option<&HeaderMap>) -> Verdict {
        let generation = self.credentials.as_ref().map_or(0, Credentials::generation);
        let mut reply = self.attempt(part, headers).await;
        if reply.stale_connection {
            self.meters.failed(FailureReason::Transport);
            reply = self.attempt(part, headers).await;
        }
        if reply.unauthorized
            && let Some(credentials) = &self.credentials
            && credentials.renew(generation).await
        {
            reply = self.attempt(part, headers).await;
        }
        self.settle(part, reply)
    }

    pub(super) async fn conclude(&self, part: &Part, verdict: Verdict) -> Sent {
        match verdict {
            Verdict::Sent(sent) => sent,
            Verdict::Refused(loss, words) => {
                if self.lose(part, loss, &words).await {
                    Sent::Done
                } else {
                    Sent::Later
                }
            }
        }
    }

    /// How large a request may be.
    pub(super) fn allowed(&self) -> usize {
        self.limit().allowed(clock::now())
    }

    /// Gives items up for good: to where dead letters go, if there is such a place. Whether they
    /// are gone; otherwise it is to be tried again.
    pub(super) async fn give_up(&self, part: &Part, reason: FailureReason, words: &str) -> bool {
        self.lose(part, Loss::Failed(reason), words).await
    }

    /// Gives up what was not delivered for so long. Whether it is gone.
    pub(super) async fn expire(&self, part: &Part, limit: Duration) -> bool {
        let words = format!("it could not be delivered within 'max_elapsed_time', {limit:?}");
        self.lose(part, Loss::Expired, &words).await
    }

    async fn lose(&self, part: &Part, loss: Loss, words: &str) -> bool {
        // What to do about what we made ourselves is another thing, so that it is told once anyway.
        let is_new = part.is_derived && !self.told_derived.swap(true, Ordering::Relaxed);
        let telling = is_telling(self.meters.refused()) || is_new;
        let did = if loss == Loss::Expired { "did not take" } else { "refused" };
        let (name, items, signal) = (&self.name, part.items, part.signal.name());
        let url = self.client.shown(part.signal);
        if let Some(letters) = &self.letters {
            match letters.take(name, part, loss.name(), words).await {
                Ok(true) => {
                    self.meters.dead_letters.add_items(items);
                    if telling {
                        self.log.error(format!(
                            "endpoint '{name}' {did} a request to {url}, {items} items of {signal} \
                             are dead letters: {words}"
                        ));
                    }
                    return true;
                }
                Ok(false) => return false,
                Err(problem) => self.log.often(Level::Error, "dead_letter", || {
                    format!("endpoint '{name}': a dead letter cannot be kept: {problem}")
                }),
            }
        }
        self.meters.dropped(loss, items);
        if telling {
            self.log.error(format!(
                "endpoint '{name}' {did} a request to {url}, {items} items of {signal} are dropped: \
                 {words}"
            ));
        }
        true
    }

    async fn attempt(&self, part: &Part, headers: Option<&HeaderMap>) -> Reply {
        // A service of tokens may hang as well.
        let mut waiting = Waiting::begin(self);
        let mut changing = HeaderMap::new();
        let mut headers = headers;
        if let Some(credentials) = &self.credentials {
            changing = headers.cloned().unwrap_or_default();
            if let Err(words) = credentials.apply(&mut changing).await {
                let reason = FailureReason::Credentials;
                return failed(Answer::Retry { reason, after: None }, words);
            }
        }
        if !changing.is_empty() {
            headers = Some(&changing);
        }
        let signer = self.credentials.as_ref().and_then(Credentials::signer);
        let start = clock::now();
        let reply = self.client.send(part, headers, signer).await;
        let took = clock::now().since(start);
        if !matches!(reply.answer, Answer::Retry { .. }) {
            waiting.took = Some(took);
        }
        if reply.answer == Answer::Accepted {
            self.meters.answered(took);
        }
        reply
    }

    /// Waits for a free slot, but never for an endpoint that is down.
    pub(super) async fn admit(&self) -> Option<Pass<'_>> {
        let slot = self.slot().await?;
        match self.breaker().permit(clock::now()) {
            Permit::Go | Permit::Probe => Some(Pass { endpoint: self, _slot: slot }),
            Permit::Wait(_) => None,
        }
    }

    async fn slot(&self) -> Option<SemaphorePermit<'_>> {
        let start = clock::now();
        // One that waits keeps its place in the queue.
        let mut slot = std::pin::pin!(self.slots.acquire());
        loop {
            if self.refuses() {
                return None;
            }
            let left = self.timeout.checked_sub(clock::now().since(start))?;
            match tokio::time::timeout(self.patience().min(left), &mut slot).await {
                Ok(slot) => return slot.ok(),
                Err(_elapsed) => {}
            }
        }
    }

    fn settle(&self, part: &Part, reply: Reply) -> Verdict {
        match reply.answer {
            Answer::Accepted => {
                self.back();
                self.limit().accept(part.size());
                // Which items were rejected is known only if all of them were.
                let all = u64::try_from(part.items).is_ok_and(|items| items == reply.rejected);
                if all && part.items > 0 && self.letters.is_some() {
                    self.meters.partial();
                    let words = format!("all items were rejected: {}", reply.words);
                    return Verdict::Refused(Loss::Rejected, words);
                }
                let rejected = usize::try_from(reply.rejected).unwrap_or(usize::MAX);
                let rejected = rejected.min(part.items);
                self.meters.sent(part.signal, part.items.saturating_sub(rejected));
                self.meters.dropped(Loss::Rejected, rejected);
                self.meters.lost_fields.add_items(self.client.lost_fields(part));
                self.tell_partial(part, rejected, &reply.words);
                Verdict::Sent(Sent::Done)
            }
            Answer::Refused(FailureReason::TooLarge) => {
                self.back();
                self.meters.failed(FailureReason::TooLarge);
                self.limit().refuse(part.size(), stated_limit(&reply.words), clock::now());
                Verdict::Sent(Sent::TooLarge(reply.words))
            }
            Answer::Unclear => {
                self.back();
                self.meters.failed(FailureReason::Exhausted);
                Verdict::Sent(Sent::Unclear(reply.words))
            }
            Answer::Refused(reason) => {
                self.back();
                self.meters.failed(reason);
                if part.signal != Signal::Metrics || !reply.of_content {
                    return Verdict::Refused(Loss::Failed(reason), reply.words);
                }
                let kinds = kinds::of(part);
                if kinds.len() > 1 {
                    return Verdict::Sent(Sent::Apart(reply.words));
                }
                let advice = kinds::advice(kinds.first().copied(), part.is_derived);
                let words = format!("{}{advice}", reply.words);
                Verdict::Refused(Loss::Failed(reason), words)
            }
            Answer::Retry { reason, after } => {
                if is_telling(self.meters.failed(reason)) {
                    let (name, why) = (&self.name, reason.name());
                    let (url, words) = (self.client.shown(part.signal), &reply.words);
                    self.log.warn(format!(
                        "a request to endpoint '{name}' ({url}) failed ({why}) and will be \
                         retried: {words}"
                    ));
                }
                self.gone(reason, after);
                Verdict::Sent(Sent::Later)
            }
        }
    }

    fn tell_partial(&self, part: &Part, rejected: usize, words: &str) {
        if rejected == 0 && words.is_empty() {
            return;
        }
        if is_telling(self.meters.partial()) {
            let (name, items, signal) = (&self.name, part.items, part.signal.name());
            self.log.warn(format!(
                "endpoint '{name}' rejected {rejected} of {items} items of {signal}: {words}"
            ));
        }
    }

    fn back(&self) {
        let was_closed = {
            let mut breaker = self.breaker();
            let was_closed = breaker.is_closed();
            breaker.success();
            was_closed
        };
        self.meters.up.set(1);
        if !was_closed {
            self.log.info(format!("endpoint '{}' is back", self.name));
        }
    }

    fn gone(&self, reason: FailureReason, after: Option<Duration>) {
        let now = clock::now();
        let (was_closed, is_closed) = {
            let mut breaker = self.breaker();
            let was_closed = breaker.is_closed();
            match reason {
                FailureReason::Timeout => breaker.hang(now, self.jitter(now)),
                _ => breaker.failure(now, after, self.jitter(now)),
            }
            (was_closed, breaker.is_closed())
        };
        self.meters.up.set(u64::from(is_closed));
        if was_closed && !is_closed {
            self.log.warn(format!(
                "endpoint '{}' is left alone for a while; its chunks stay with the host",
                self.name
            ));
        }
    }

    /// A number from 0 to 1 that spreads the retries of many processes.
    pub(super) fn jitter(&self, now: Tick) -> f64 {
        let roll = self.rolls.fetch_add(1, Ordering::Relaxed);
        let seed = clock::unix_nanos() ^ now.0.rotate_left(32) ^ roll;
        let [.., a, b, c, d] = xxhash_rust::xxh3::xxh3_64(&seed.to_le_bytes()).to_le_bytes();
        f64::from(u32::from_le_bytes([a, b, c, d])) / f64::from(u32::MAX)
    }

    pub(super) fn limit(&self) -> MutexGuard<'_, SizeLimit> {
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What happens often is told the first time and then seldom.
const fn is_telling(count: u64) -> bool {
    count.is_power_of_two()
}
