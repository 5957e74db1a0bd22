//! Delivery strategy of one endpoint: a request goes whole, coalesced with others while the
//! endpoint is busy, or split.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join_all};

use crate::export::counters::LossReason;
use crate::export::delivery::coalesce::{
    self, Coalescer, CoalescingLimit, CoalescingRole, Leader, Waiter,
};
use crate::export::delivery::dead_letter::{DeadLetterEndpoint, DeadLetters};
use crate::export::delivery::invitation::Invitations;
use crate::export::delivery::sender::RequestSender;
use crate::export::delivery::split::{self, SplitRules};
use crate::export::endpoint::{AttemptVerdict, Endpoint, SendOutcome};
use crate::export::request::EncodedRequest;
use crate::export::settings::EndpointSettings;
use crate::export::transport::tls::ClientProblem;
use crate::model::Signal;
use crate::routing::{ItemSet, RequestFailureReason};
use crate::stats::{Counters, Log};

/// Larger requests, in uncompressed bytes, are not coalesced: they are worth a round trip of their
/// own.
const MAX_COALESCED_REQUEST: usize = 256 * 1024;
/// Bytes of a coalesced request at most, uncompressed.
const MAX_COALESCED: usize = 1024 * 1024;

/// A request that an endpoint is to get, with what it has of it already.
#[derive(Clone)]
pub(in crate::export) struct PendingRequest {
    /// Its number among those of the chunk.
    pub(in crate::export) number: u32,
    pub(in crate::export) part: Arc<EncodedRequest>,
    pub(in crate::export) done: ItemSet,
}

/// Delivers requests to one endpoint.
pub(in crate::export) struct EndpointDelivery {
    sender: RequestSender,
    coalescer: Coalescer,
    rules: SplitRules,
    max_request_size: usize,
    /// How long a chunk may wait in place for the endpoint.
    pub(in crate::export) retry_in_place: Duration,
    pub(in crate::export) invitations: Invitations,
}

impl EndpointDelivery {
    pub(in crate::export) fn new(
        settings: &EndpointSettings,
        max_in_flight: usize,
        counters: &Counters,
        log: &Arc<Log>,
    ) -> Result<Self, ClientProblem> {
        let endpoint = Endpoint::new(settings, max_in_flight, counters, log)?;
        let dead_letters = DeadLetters::new(settings, |other| {
            let other = Self::new(other, max_in_flight, counters, log)?;
            Ok(Arc::new(other) as Arc<dyn DeadLetterEndpoint>)
        })?;
        Ok(Self {
            sender: RequestSender::new(endpoint, dead_letters, Arc::clone(log)),
            coalescer: Coalescer::default(),
            rules: SplitRules {
                header_from: settings.header_from.clone(),
                max_request_items: settings.max_request_items,
            },
            max_request_size: settings.max_request_size,
            retry_in_place: settings.retry_in_place,
            invitations: Invitations::default(),
        })
    }

    /// The same among others, which it must not hold up.
    pub(in crate::export) fn detects_hang(mut self) -> Self {
        self.sender.endpoint.detect_hang();
        self
    }

    /// The endpoint.
    pub(in crate::export) const fn endpoint(&self) -> &Endpoint {
        &self.sender.endpoint
    }

    /// Gives up what was not delivered for so long. Whether it is gone.
    pub(in crate::export) async fn expire(&self, part: &EncodedRequest, limit: Duration) -> bool {
        self.sender.expire(part, limit).await
    }

    /// Sends requests and says what of each is done now: accepted, or refused for good.
    pub(in crate::export) async fn deliver(
        &self,
        work: Vec<PendingRequest>,
    ) -> Vec<(u32, ItemSet)> {
        let mut work = work.into_iter();
        let mut done = Vec::new();
        // An endpoint that is not known to be there gets one request; the others follow when that
        // one has come through.
        if !self.endpoint().is_known_up() {
            let Some(first) = work.next() else { return done };
            let (number, units) = self.deliver_one(first).await;
            let is_through = units.is_all();
            done.push((number, units));
            if !is_through {
                self.sender.meters().deferred.add_items(work.len());
                return done;
            }
        }
        done.extend(join_all(work.map(|work| self.deliver_one(work))).await);
        done
    }

    async fn deliver_one(&self, work: PendingRequest) -> (u32, ItemSet) {
        // Profiles share one dictionary in each request, so that they are not cut by size.
        let is_whole = work.part.signal == Signal::Profiles;
        let fits = || {
            work.part.size() <= self.endpoint().allowed()
                && work.part.items <= self.rules.max_request_items
        };
        let is_small = || work.done.is_none() && fits();
        let mut known = None;
        if self.rules.header_from.is_empty() && (is_whole || is_small()) {
            match self.send_coalesced(&work.part).await {
                SendOutcome::Done => return (work.number, ItemSet::All),
                SendOutcome::Later => return (work.number, ItemSet::None),
                SendOutcome::TooLarge(_) => {}
                sent @ (SendOutcome::Unclear(_) | SendOutcome::Apart(_)) => known = Some(sent),
            }
        }
        let parts = (&self.sender, &self.rules);
        (work.number, Box::pin(split::deliver(parts, &work.part, work.done, known)).await)
    }

    /// Sends a request, together with others where it would have to wait.
    async fn send_coalesced(&self, part: &Arc<EncodedRequest>) -> SendOutcome {
        // Which items a partial success left out shows only where all of a request's are.
        let is_alone = part.size() > MAX_COALESCED_REQUEST
            || part.signal == Signal::Profiles
            || self.sender.keeps_dead_letters();
        if is_alone || self.endpoint().free_slots() > 0 {
            return self.sender.send(part, None).await;
        }
        let bytes = self.endpoint().allowed().min(self.max_request_size).min(MAX_COALESCED);
        let limit = CoalescingLimit { bytes, items: self.rules.max_request_items };
        let (role, outcome) = self.coalescer.wait(part, limit);
        if let CoalescingRole::Leader(leader) = role {
            self.send_together(leader).await;
        }
        outcome.await.unwrap_or(SendOutcome::Later)
    }

    /// Sends what has come together until there is a slot, and notifies every waiter.
    async fn send_together(&self, leader: Leader) {
        let permit = self.endpoint().admit().await;
        let waiters = leader.take();
        if permit.is_none() {
            return self.sender.meters().deferred.add_items(waiters.len());
        }
        let Some(whole) = coalesce::join(&waiters) else { return };
        let verdict = self.endpoint().exchange(&whole, None).await;
        drop(permit);
        let is_refused = match &verdict {
            AttemptVerdict::Refused(loss, _) => {
                *loss == LossReason::Failed(RequestFailureReason::Refused)
            }
            AttemptVerdict::Sent(sent) => {
                matches!(
                    sent,
                    SendOutcome::TooLarge(_) | SendOutcome::Unclear(_) | SendOutcome::Apart(_)
                )
            }
        };
        if waiters.len() > 1 {
            self.sender.meters().joined.add_items(waiters.len());
            if is_refused {
                // Which request was at fault shows when each is sent by itself.
                return self.send_apart(waiters).await;
            }
        }
        let sent = self.sender.conclude(&whole, verdict).await;
        for waiter in waiters {
            waiter.notify(sent.clone());
        }
    }

    async fn send_apart(&self, waiters: Vec<Waiter>) {
        let sends = waiters.into_iter().map(|waiter| async {
            let sent = self.sender.send(&waiter.part, None).await;
            waiter.notify(sent);
        });
        join_all(sends).await;
    }
}

impl DeadLetterEndpoint for EndpointDelivery {
    fn take(&self, request: EncodedRequest) -> BoxFuture<'_, bool> {
        let work = PendingRequest { number: 0, part: Arc::new(request), done: ItemSet::None };
        let delivered =
            async move { self.deliver(vec![work]).await.iter().any(|(_, units)| units.is_all()) };
        delivered.boxed()
    }
}
