//! Request pipeline: what both transports do with a request: admit, decompress, transcode, hand
//! over, wait, answer.

use std::sync::Arc;

use bytes::Bytes;

use super::backpressure::Backpressure;
use super::counters::ReceiveCounters;
use super::decompress::decompress;
use super::encoding::Encoding;
use super::handoff::{EventBatch, Handoff};
use super::limits::ClientLimits;
use super::media_type::PayloadFormat;
use super::memory::WaitingMemory;
use super::memory_budget::{HeldMemory, MemoryBudget};
use super::refusal::Refusal;
use super::security::Security;
use super::tenancy::{RequestOrigin, RoutedRequest, Tenancy};
use super::transcode::Transcoder;
use super::{body, responses};
use crate::clock;
use crate::codec::records::Transcoded;
use crate::model::Signal;
use crate::runtime::heavy;
use crate::stats::{Log, LogLevel, LogText};

/// How much larger compressed data is taken to be when it is decompressed, to recognise heavy work.
const USUAL_COMPRESSION: usize = 8;

/// A request's message as it came.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) bytes: Bytes,
    pub(super) encoding: Encoding,
    pub(super) format: PayloadFormat,
}

/// The state that all connections of a receiver share.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) handoff: Handoff,
    pub(super) pressure: Backpressure,
    pub(super) budget: Arc<MemoryBudget>,
    pub(super) memory: Arc<WaitingMemory>,
    pub(super) meters: ReceiveCounters,
    pub(super) log: Arc<Log>,
    pub(super) max_request_size: usize,
    pub(super) limits: Arc<ClientLimits>,
    pub(super) transcoder: Transcoder,
    pub(super) tenancy: Tenancy,
    pub(super) profiles: bool,
    pub(super) security: Security,
}

impl Service {
    /// Whether a signal is taken in at all.
    pub(super) fn accepts(&self, signal: Signal) -> Result<(), Refusal> {
        if signal == Signal::Profiles && !self.profiles { Err(Refusal::Profiles) } else { Ok(()) }
    }

    /// Whether there is any use in reading a request.
    pub(super) fn admit(&self) -> Result<(), Refusal> {
        self.handoff.check()?;
        self.budget.check()
    }

    /// How many seconds the sender of a refused request is to wait before it sends it again.
    pub(super) fn wait(&self, refusal: &Refusal) -> Option<u32> {
        if refusal.is_pressure() {
            return Some(self.pressure.wait(clock::now()));
        }
        refusal.retry_after()
    }

    /// Counts a refusal, and shows the sender's mistakes in the log.
    pub(super) fn note(&self, refusal: &Refusal) {
        self.meters.refused_request(refusal.reason());
        if refusal.is_mistake() {
            self.log.often(LogLevel::Warn, refusal.reason(), || {
                let own = format!("refused a request ({}): ", refusal.reason());
                LogText::quoting(own, refusal.message())
            });
        }
    }

    /// Brings a request into the host's storage. The encoded answer comes when it is there.
    pub(super) async fn store(
        &self,
        signal: Signal,
        payload: Payload,
        origin: RequestOrigin,
        mut held: HeldMemory,
    ) -> Result<Vec<u8>, Refusal> {
        let format = payload.format;
        let (digested, misnamed) = self.digest(signal, payload, &origin, &mut held)?;
        let RoutedRequest { transcoded, events, route, charge } = digested;
        let Transcoded { records, items, rejected, reason, lost_fields, .. } = transcoded;
        let meters = self.meters.of(signal);
        meters.received.add_items(items.saturating_add(rejected));
        if rejected > 0 {
            meters.rejected.add_items(rejected);
            self.log.often(LogLevel::Warn, "rejected", || {
                let reason = reason.as_deref().unwrap_or("not valid");
                let own = format!("rejected {rejected} items of {}{origin}: ", signal.name());
                LogText::quoting(own, reason)
            });
        }
        if !events.is_empty() {
            let native = self.transcoder.kind(signal);
            let batch = EventBatch { signal, records, items, events, native, route, held };
            self.handoff.submit(batch, self.limits.queue_timeout, &self.meters).await?;
            self.pressure.end();
        }
        charge.spend();
        if lost_fields > 0 {
            meters.lost_fields.add(1);
        }
        let reason = reason.or_else(|| self.report_misnamed(signal, &origin, misnamed));
        Ok(responses::success(signal, format, rejected, reason.as_deref()))
    }

    /// Counts and reports that fields were ignored for their names; the message for the sender, who
    /// would believe else that they were stored.
    fn report_misnamed(
        &self,
        signal: Signal,
        origin: &RequestOrigin,
        found: Misnamed,
    ) -> Option<String> {
        let message = found.first?;
        self.meters.of(signal).misnamed_fields.add_items(found.fields);
        self.log.often(LogLevel::Warn, "misnamed", || {
            let own = format!("ignored {} fields of {}{origin}: ", found.fields, signal.name());
            LogText::quoting(own, &*message)
        });
        Some(message)
    }

    /// Decompresses and transcodes; afterwards `held` is what the events take.
    fn digest(
        &self,
        signal: Signal,
        payload: Payload,
        origin: &RequestOrigin,
        held: &mut HeldMemory,
    ) -> Result<(RoutedRequest, Misnamed), Refusal> {
        let Payload { bytes, encoding, format } = payload;
        let growth = if encoding.is_compressed() { USUAL_COMPRESSION } else { 1 };
        heavy(format.weight(bytes.len().saturating_mul(growth)), || {
            let request = decompress(encoding, bytes, self.max_request_size, held)?;
            let (request, converted) =
                format.protobuf(signal, request, self.max_request_size, held)?;
            let mut digested =
                self.tenancy.run(&self.transcoder, signal, &request, origin, held)?;
            body::reclaim(request);
            let transcoded = &mut digested.transcoded;
            transcoded.rejected = transcoded.rejected.saturating_add(converted.rejected);
            transcoded.reason = converted.reason.or(transcoded.reason.take());
            let misnamed = Misnamed { fields: converted.misnamed, first: converted.misnamed_first };
            Ok((digested, misnamed))
        })
    }
}

/// Fields of OTLP/JSON that were ignored because their names are in snake_case.
struct Misnamed {
    fields: usize,
    /// A message about the first.
    first: Option<String>,
}
