//! What both transports do with a request: admit, decompress, transcode, hand over, wait, answer.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::oneshot;

use super::budget::{Budget, Held};
use super::format::Format;
use super::handoff::{Batch, Handoff};
use super::meters::Meters;
use super::refusal::Refusal;
use super::reply::Reply;
use super::transcode::Transcoder;
use super::{body, grpc, http as otlp_http, wire};
use crate::codec::records::Transcoded;
use crate::model::Signal;
use crate::runtime::heavy;
use crate::stats::{Level, Log};

/// How much larger gzip data is taken to be when it is decompressed, to tell heavy work.
const USUAL_COMPRESSION: usize = 8;

/// A request's message as it came.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) bytes: Bytes,
    pub(super) gzip: bool,
    pub(super) format: Format,
}

/// The state that all connections of a receiver share.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) handoff: Handoff,
    pub(super) budget: Arc<Budget>,
    pub(super) meters: Meters,
    pub(super) log: Arc<Log>,
    pub(super) max_request_size: usize,
    pub(super) transcoder: Transcoder,
}

impl Service {
    /// Answers a request of either protocol.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Reply> {
        if grpc::is_grpc(request.headers()) {
            grpc::answer(self, request).await
        } else {
            otlp_http::answer(self, request).await
        }
    }

    /// Whether there is any use in reading a request.
    pub(super) fn admit(&self) -> Result<(), Refusal> {
        self.handoff.check()?;
        if self.budget.is_full() { Err(Refusal::QueueFull) } else { Ok(()) }
    }

    /// Counts a refusal, and shows the sender's mistakes in the log.
    pub(super) fn note(&self, refusal: &Refusal) {
        self.meters.refused_request(refusal.reason());
        if refusal.is_mistake() {
            self.log.often(Level::Warn, refusal.reason(), || {
                format!("refused a request: {}", refusal.message())
            });
        }
    }

    /// Brings a request into the host's storage. The encoded answer comes when it is there.
    pub(super) async fn store(
        &self,
        signal: Signal,
        payload: Payload,
        mut held: Held,
    ) -> Result<Vec<u8>, Refusal> {
        let format = payload.format;
        let (transcoded, events) = self.digest(signal, payload, &mut held)?;
        let Transcoded { records, items, rejected, reason, .. } = transcoded;
        let meters = self.meters.of(signal);
        meters.received.add_items(items.saturating_add(rejected));
        if rejected > 0 {
            meters.rejected.add_items(rejected);
            self.log.often(Level::Warn, "rejected", || {
                let reason = reason.as_deref().unwrap_or("not valid");
                format!("rejected {rejected} items of {}: {reason}", signal.name())
            });
        }
        if !events.is_empty() {
            let (answer, answered) = oneshot::channel();
            let batch = Batch { signal, records, items, events, held, answer };
            if let Err((batch, refusal)) = self.handoff.push(batch) {
                meters.refused(refusal.reason(), batch.items);
                return Err(refusal);
            }
            answered.await.unwrap_or(Err(Refusal::ShuttingDown))?;
        }
        Ok(wire::success(signal, format, rejected, reason.as_deref()))
    }

    /// Decompresses and transcodes; afterwards `held` is what the events take.
    fn digest(
        &self,
        signal: Signal,
        payload: Payload,
        held: &mut Held,
    ) -> Result<(Transcoded, Vec<u8>), Refusal> {
        let Payload { bytes, gzip, format } = payload;
        let weight = bytes.len().saturating_mul(if gzip { USUAL_COMPRESSION } else { 1 });
        let weight = format.weight(weight);
        heavy(weight, || {
            let request = if gzip {
                Bytes::from(body::gunzip(&bytes, self.max_request_size, held)?)
            } else {
                bytes
            };
            let (request, converted) =
                format.protobuf(signal, request, self.max_request_size, held)?;
            let (mut transcoded, events) = self.transcoder.run(signal, &request, held)?;
            transcoded.rejected = transcoded.rejected.saturating_add(converted.rejected);
            transcoded.reason = converted.reason.or(transcoded.reason);
            Ok((transcoded, events))
        })
    }
}
