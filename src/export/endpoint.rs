//! Endpoint: admission (slot, breaker, detection of hangs), one request, and the verdict on it.
//!
//! What is done about a verdict, and in which requests a chunk is sent, is decided above, in
//! [`crate::export::delivery`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::clock::{self, Tick};
use crate::export::counters::{EndpointCounters, LossReason};
use crate::export::deduplication::Deduplicator;
use crate::export::request::EncodedRequest;
use crate::export::request::metric_kinds;
use crate::export::settings::EndpointSettings;
use crate::export::transport::client::Client;
use crate::export::transport::credentials::EndpointCredentials;
use crate::export::transport::reply::{EndpointReply, failed};
use crate::export::transport::tls::ClientProblem;
use crate::model::Signal;
use crate::routing::{
    Breaker, BreakerPolicy, EndpointAnswer, HangDetector, Permit, RequestFailureReason, SizeLimit,
    stated_limit,
};
use crate::stats::{Counters, Log, LogText};
use crate::sync::{Mutex, MutexGuard};

/// A running endpoint.
pub(in crate::export) struct Endpoint {
    name: String,
    /// What a hash ring knows it by.
    ring_key: String,
    signals: Vec<Signal>,
    client: Client,
    timeout: Duration,
    breaker: Mutex<Breaker>,
    hang: Mutex<HangDetector>,
    /// Whether an endpoint that hangs is detected before its timeout, because others wait for it.
    detects_hang: bool,
    slots: Semaphore,
    max_in_flight: usize,
    limit: Mutex<SizeLimit>,
    credentials: Option<EndpointCredentials>,
    deduplicator: Option<Deduplicator>,
    /// Whether requests of which all items are rejected are wanted as dead letters.
    keeps_rejected: bool,
    pub(in crate::export) meters: EndpointCounters,
    log: Arc<Log>,
    jitter_seed: AtomicU64,
}

/// What came of sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::export) enum SendOutcome {
    /// Accepted, or given up for good.
    Done,
    /// It may be accepted later.
    Later,
    /// A smaller one may be accepted. Holds the endpoint's message.
    TooLarge(String),
    /// It will not be accepted later, and it is not known whether a smaller one would be. Holds the
    /// endpoint's message.
    Unclear(String),
    /// It was refused for what it holds, which is metrics of several kinds: those of one kind may
    /// be accepted. Holds the endpoint's message.
    Apart(String),
}

/// What an answer means for the request.
pub(in crate::export) enum AttemptVerdict {
    Sent(SendOutcome),
    /// It will never be accepted, with this message.
    Refused(LossReason, String),
}

/// The permission to make a request. When it goes without an outcome, because the task is ended,
/// another request may be the probe.
pub(in crate::export) struct SlotPermit<'a> {
    endpoint: &'a Endpoint,
    _slot: SemaphorePermit<'a>,
}

impl Drop for SlotPermit<'_> {
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
        endpoint.hang().begin(clock::now());
        Self { endpoint, took: None }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.endpoint.hang().end(clock::now(), self.took);
    }
}

impl Endpoint {
    pub(in crate::export) fn new(
        settings: &EndpointSettings,
        max_in_flight: usize,
        counters: &Counters,
        log: &Arc<Log>,
    ) -> Result<Self, ClientProblem> {
        let max_in_flight = max_in_flight.clamp(1, Semaphore::MAX_PERMITS);
        Ok(Self {
            name: settings.name.clone(),
            ring_key: match settings.address {
                Some(address) => address.to_string(),
                None => settings.url.to_string(),
            },
            signals: settings.signals.clone(),
            client: Client::new(settings, log)?,
            timeout: settings.timeout,
            breaker: Mutex::new(Breaker::new(BreakerPolicy::default())),
            hang: Mutex::default(),
            detects_hang: false,
            slots: Semaphore::new(max_in_flight),
            max_in_flight,
            limit: Mutex::new(SizeLimit::default()),
            credentials: EndpointCredentials::new(settings, log)?,
            deduplicator: settings.deduplication.as_ref().map(Deduplicator::new),
            keeps_rejected: settings.dead_letter.is_some(),
            meters: EndpointCounters::new(counters, &settings.name),
            log: Arc::clone(log),
            jitter_seed: AtomicU64::new(0),
        })
    }

    /// Has a hang detected before the timeout, because others wait for it.
    pub(in crate::export) const fn detect_hang(&mut self) {
        self.detects_hang = true;
    }

    /// How long to wait before asking whether it hangs.
    pub(in crate::export) fn patience(&self) -> Duration {
        if self.detects_hang { self.hang().patience() } else { self.timeout }
    }

    /// Whether nothing was answered for longer than usual, although something is to be.
    pub(in crate::export) fn hangs(&self) -> bool {
        self.detects_hang && self.hang().hangs(clock::now())
    }

    /// When it answered last.
    pub(in crate::export) fn answered(&self) -> Tick {
        self.hang().answered()
    }

    /// Where requests of a signal go, without what may be a secret.
    pub(in crate::export) fn shown_url(&self, signal: Signal) -> &str {
        self.client.shown(signal)
    }

    /// Whether requests are sent without asking first whether it is there.
    pub(in crate::export) fn is_known_up(&self) -> bool {
        self.breaker().is_closed()
    }

    pub(in crate::export) fn name(&self) -> &str {
        &self.name
    }

    /// What stands for it on the hash ring of its group.
    pub(in crate::export) fn ring_key(&self) -> &str {
        &self.ring_key
    }

    /// Whether it is configured to get this signal.
    pub(in crate::export) fn wants(&self, signal: Signal) -> bool {
        self.signals.contains(&signal)
    }

    /// Asks an endpoint that was away whether it is back, with a request that holds nothing.
    pub(in crate::export) async fn probe(&self, signal: Signal) {
        let Some(_pass) = self.admit().await else { return };
        let (reply, _) = self.attempt(&EncodedRequest::new(signal, 0, Vec::new()), None).await;
        match reply.answer {
            EndpointAnswer::Accepted | EndpointAnswer::Refused(_) | EndpointAnswer::Unclear => {
                self.back()
            }
            EndpointAnswer::Retry { reason, after } => {
                self.meters.failed(reason);
                self.gone(reason, after);
            }
        }
    }

    /// Makes one request that holds nothing, whatever is known of the endpoint: why it was not accepted,
    /// in the words of the log.
    pub(in crate::export) async fn try_out(&self, signal: Signal) -> Result<(), String> {
        let (reply, _) = self.attempts(&EncodedRequest::new(signal, 0, Vec::new()), None).await;
        let reason = match reply.answer {
            EndpointAnswer::Accepted => return Ok(()),
            EndpointAnswer::Retry { reason, .. } | EndpointAnswer::Refused(reason) => reason,
            EndpointAnswer::Unclear => RequestFailureReason::Exhausted,
        };
        Err(format!("({}): {}", reason.name(), reply.message))
    }

    /// Whether requests are sent without a probe.
    pub(in crate::export) fn is_up(&self) -> bool {
        self.breaker().is_closed() && !self.refuses()
    }

    /// Whether a request would not be sent now.
    pub(in crate::export) fn refuses(&self) -> bool {
        self.breaker().refuses(clock::now()) || self.hangs()
    }

    /// For how long it has been away; zero while it is there.
    pub(in crate::export) fn away(&self, now: Tick) -> Duration {
        self.breaker().away(now)
    }

    /// How long it is until a request may be made, if all goes well.
    pub(in crate::export) fn wait(&self, now: Tick) -> Duration {
        self.breaker().wait(now)
    }

    /// Requests that could be sent at once.
    pub(in crate::export) fn free_slots(&self) -> usize {
        self.slots.available_permits()
    }

    /// Requests that are under way.
    pub(in crate::export) fn busy_slots(&self) -> usize {
        self.max_in_flight.saturating_sub(self.free_slots())
    }

    /// Makes a request, and judges the answer.
    pub(in crate::export) async fn exchange(
        &self,
        part: &EncodedRequest,
        headers: Option<&HeaderMap>,
    ) -> AttemptVerdict {
        let (reply, sent) = self.attempts(part, headers).await;
        self.settle(sent.as_ref().unwrap_or(part), reply)
    }

    /// Makes a request, again where the connection or the token had aged. Says what came of it, and what
    /// was sent where that is not the request as it is.
    async fn attempts(
        &self,
        part: &EncodedRequest,
        headers: Option<&HeaderMap>,
    ) -> (EndpointReply, Option<EncodedRequest>) {
        let generation = self.credentials.as_ref().map_or(0, EndpointCredentials::generation);
        let (mut reply, mut sent) = self.attempt(part, headers).await;
        if reply.stale_connection {
            self.meters.failed(RequestFailureReason::Transport);
            (reply, sent) = self.attempt(part, headers).await;
        }
        if reply.unauthorized
            && let Some(credentials) = &self.credentials
            && credentials.renew(generation).await
        {
            (reply, sent) = self.attempt(part, headers).await;
        }
        (reply, sent)
    }

    /// How large a request may be.
    pub(in crate::export) fn allowed(&self) -> usize {
        self.limit().allowed(clock::now())
    }

    /// Makes a request, once.
    async fn attempt(
        &self,
        part: &EncodedRequest,
        headers: Option<&HeaderMap>,
    ) -> (EndpointReply, Option<EncodedRequest>) {
        // A service of tokens may hang as well.
        let mut waiting = Waiting::begin(self);
        let mut changing = HeaderMap::new();
        let mut headers = headers;
        if let Some(credentials) = &self.credentials {
            changing = headers.cloned().unwrap_or_default();
            if let Err(message) = credentials.apply(&mut changing).await {
                let reason = RequestFailureReason::Credentials;
                return (failed(EndpointAnswer::Retry { reason, after: None }, message), None);
            }
        }
        if !changing.is_empty() {
            headers = Some(&changing);
        }
        let signer = self.credentials.as_ref().and_then(EndpointCredentials::signer);
        let deduplicated =
            self.deduplicator.as_ref().and_then(|contents| contents.apply(part, headers));
        let sent = deduplicated.as_ref().map_or(part, |deduplicated| &deduplicated.request);
        let start = clock::now();
        let reply = self.client.send(sent, headers, signer).await;
        let took = clock::now().since(start);
        if !matches!(reply.answer, EndpointAnswer::Retry { .. }) {
            waiting.took = Some(took);
        }
        if reply.answer == EndpointAnswer::Accepted {
            self.meters.answered(took);
            if let (Some(contents), Some(sent)) = (&self.deduplicator, &deduplicated) {
                contents.acknowledge(sent, reply.rejected, &self.meters);
            }
        }
        (reply, deduplicated.map(|deduplicated| deduplicated.request))
    }

    /// Waits for a free slot, but never for an endpoint that is down.
    pub(in crate::export) async fn admit(&self) -> Option<SlotPermit<'_>> {
        let slot = self.slot().await?;
        match self.breaker().permit(clock::now()) {
            Permit::Go | Permit::Probe => Some(SlotPermit { endpoint: self, _slot: slot }),
            Permit::Wait(_) => None,
        }
    }

    async fn slot(&self) -> Option<SemaphorePermit<'_>> {
        let start = clock::now();
        // One that waits keeps its ring_key in the queue.
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

    fn settle(&self, part: &EncodedRequest, reply: EndpointReply) -> AttemptVerdict {
        match reply.answer {
            EndpointAnswer::Accepted => {
                self.back();
                self.limit().accept(part.size());
                // Which items were rejected is known only if all of them were.
                let all = u64::try_from(part.items).is_ok_and(|items| items == reply.rejected);
                if all && part.items > 0 && self.keeps_rejected {
                    self.meters.partial();
                    let text = format!("all items were rejected: {}", reply.message);
                    return AttemptVerdict::Refused(LossReason::Rejected, text);
                }
                let rejected = usize::try_from(reply.rejected).unwrap_or(usize::MAX);
                let rejected = rejected.min(part.items);
                self.meters.sent(part.signal, part.items.saturating_sub(rejected));
                self.meters.dropped(LossReason::Rejected, rejected);
                self.meters.lost_fields.add_items(self.client.lost_fields(part));
                self.report_partial(part, rejected, &reply.message);
                AttemptVerdict::Sent(SendOutcome::Done)
            }
            EndpointAnswer::Refused(RequestFailureReason::TooLarge) => {
                self.back();
                self.meters.failed(RequestFailureReason::TooLarge);
                self.limit().refuse(part.size(), stated_limit(&reply.message), clock::now());
                AttemptVerdict::Sent(SendOutcome::TooLarge(reply.message))
            }
            EndpointAnswer::Unclear => {
                self.back();
                self.meters.failed(RequestFailureReason::Exhausted);
                AttemptVerdict::Sent(SendOutcome::Unclear(reply.message))
            }
            EndpointAnswer::Refused(reason) => {
                self.back();
                self.meters.failed(reason);
                if part.signal != Signal::Metrics || !reply.of_content {
                    return AttemptVerdict::Refused(LossReason::Failed(reason), reply.message);
                }
                let kinds = metric_kinds::of(part);
                if kinds.len() > 1 {
                    return AttemptVerdict::Sent(SendOutcome::Apart(reply.message));
                }
                let advice = metric_kinds::advice(kinds.first().copied(), part.is_derived);
                let text = format!("{}{advice}", reply.message);
                AttemptVerdict::Refused(LossReason::Failed(reason), text)
            }
            EndpointAnswer::Retry { reason, after } => {
                if is_worth_logging(self.meters.failed(reason)) {
                    let (name, why) = (&self.name, reason.name());
                    let (url, text) = (self.client.shown(part.signal), &reply.message);
                    let own = format!(
                        "a request to endpoint '{name}' ({url}) failed ({why}) and will be \
                         retried: "
                    );
                    self.log.warn(LogText::quoting(own, text));
                }
                self.gone(reason, after);
                AttemptVerdict::Sent(SendOutcome::Later)
            }
        }
    }

    fn report_partial(&self, part: &EncodedRequest, rejected: usize, message: &str) {
        if rejected == 0 && message.is_empty() {
            return;
        }
        if is_worth_logging(self.meters.partial()) {
            let (name, items, signal) = (&self.name, part.items, part.signal.name());
            let own =
                format!("endpoint '{name}' rejected {rejected} of {items} items of {signal}: ");
            self.log.warn(LogText::quoting(own, message));
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

    fn gone(&self, reason: RequestFailureReason, after: Option<Duration>) {
        let now = clock::now();
        let (was_closed, is_closed) = {
            let mut breaker = self.breaker();
            let was_closed = breaker.is_closed();
            match reason {
                RequestFailureReason::Timeout => breaker.hang(now, self.jitter(now)),
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
    pub(in crate::export) fn jitter(&self, now: Tick) -> f64 {
        let roll = self.jitter_seed.fetch_add(1, Ordering::Relaxed);
        let seed = clock::unix_nanos() ^ now.0.rotate_left(32) ^ roll;
        let [.., a, b, c, d] = xxhash_rust::xxh3::xxh3_64(&seed.to_le_bytes()).to_le_bytes();
        f64::from(u32::from_le_bytes([a, b, c, d])) / f64::from(u32::MAX)
    }

    /// What was learned of the request size that it takes.
    pub(in crate::export) fn limit(&self) -> MutexGuard<'_, SizeLimit> {
        self.limit.lock()
    }

    fn hang(&self) -> MutexGuard<'_, HangDetector> {
        self.hang.lock()
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock()
    }
}

/// What happens often is logged the first time and then seldom.
pub(in crate::export) const fn is_worth_logging(count: u64) -> bool {
    count.is_power_of_two()
}
