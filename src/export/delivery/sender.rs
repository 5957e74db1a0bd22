//! Dead-letter routing: sends requests to one endpoint, and hands what it will never take to its
//! dead letters, if it has any.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::HeaderMap;

use crate::export::counters::{EndpointCounters, LossReason};
use crate::export::delivery::dead_letter::DeadLetters;
use crate::export::endpoint::{AttemptVerdict, Endpoint, SendOutcome, is_worth_logging};
use crate::export::request::EncodedRequest;
use crate::routing::RequestFailureReason;
use crate::stats::{Log, LogLevel, LogText};

/// An endpoint with the target for its dead letters.
pub(in crate::export) struct RequestSender {
    pub(in crate::export) endpoint: Endpoint,
    dead_letters: Option<DeadLetters>,
    /// Whether a refusal of derived telemetry was reported.
    reported_derived: AtomicBool,
    log: Arc<Log>,
}

impl RequestSender {
    pub(in crate::export) const fn new(
        endpoint: Endpoint,
        dead_letters: Option<DeadLetters>,
        log: Arc<Log>,
    ) -> Self {
        Self { endpoint, dead_letters, reported_derived: AtomicBool::new(false), log }
    }

    /// The endpoint's counters.
    pub(in crate::export) const fn meters(&self) -> &EndpointCounters {
        &self.endpoint.meters
    }

    /// Whether what the endpoint refuses goes somewhere.
    pub(in crate::export) const fn keeps_dead_letters(&self) -> bool {
        self.dead_letters.is_some()
    }

    /// Sends one request with these headers beside the endpoint's own.
    pub(in crate::export) async fn send(
        &self,
        part: &EncodedRequest,
        headers: Option<&HeaderMap>,
    ) -> SendOutcome {
        let Some(permit) = self.endpoint.admit().await else {
            self.meters().deferred.add(1);
            return SendOutcome::Later;
        };
        let verdict = self.endpoint.exchange(part, headers).await;
        // What is kept as a dead letter takes no slot from others.
        drop(permit);
        self.conclude(part, verdict).await
    }

    /// What is done with a request after the verdict on it.
    pub(in crate::export) async fn conclude(
        &self,
        part: &EncodedRequest,
        verdict: AttemptVerdict,
    ) -> SendOutcome {
        match verdict {
            AttemptVerdict::Sent(sent) => sent,
            AttemptVerdict::Refused(loss, message) => {
                if self.lose(part, loss, &message).await {
                    SendOutcome::Done
                } else {
                    SendOutcome::Later
                }
            }
        }
    }

    /// Gives items up for good. Whether they are gone; otherwise it is to be tried again.
    pub(in crate::export) async fn give_up(
        &self,
        part: &EncodedRequest,
        reason: RequestFailureReason,
        message: &str,
    ) -> bool {
        self.lose(part, LossReason::Failed(reason), message).await
    }

    /// Gives up what was not delivered for so long. Whether it is gone.
    pub(in crate::export) async fn expire(&self, part: &EncodedRequest, limit: Duration) -> bool {
        let message = format!("it could not be delivered within 'max_elapsed_time', {limit:?}");
        self.lose(part, LossReason::Expired, &message).await
    }

    async fn lose(&self, part: &EncodedRequest, loss: LossReason, message: &str) -> bool {
        // What to do about what we made ourselves is another thing, so that it is logged once
        // anyway.
        let is_new = part.is_derived && !self.reported_derived.swap(true, Ordering::Relaxed);
        let is_logged = is_worth_logging(self.meters().refused()) || is_new;
        let did = if loss == LossReason::Expired { "did not take" } else { "refused" };
        let (name, items, signal) = (self.endpoint.name(), part.items, part.signal.name());
        let url = self.endpoint.shown_url(part.signal);
        if let Some(dead_letters) = &self.dead_letters {
            match dead_letters.take(name, part, loss.name(), message).await {
                Ok(true) => {
                    self.meters().dead_letters.add_items(items);
                    if is_logged {
                        let own = format!(
                            "endpoint '{name}' {did} a request to {url}, {items} items of {signal} \
                             are dead letters: "
                        );
                        self.log.error(LogText::quoting(own, message));
                    }
                    return true;
                }
                Ok(false) => return false,
                Err(problem) => self.log.often(LogLevel::Error, "dead_letter", || {
                    format!("endpoint '{name}': a dead letter cannot be kept: {problem}")
                }),
            }
        }
        self.meters().dropped(loss, items);
        if is_logged {
            let own = format!(
                "endpoint '{name}' {did} a request to {url}, {items} items of {signal} are dropped: "
            );
            self.log.error(LogText::quoting(own, message));
        }
        true
    }
}
