//! Counters of a receiver.
//!
//! `received_items_total` = `accepted_items_total` + `rejected_items_total` +
//! `refused_items_total`, as soon as no request is under way. A request that is refused before its
//! items are known counts in `refused_requests_total` alone.

use super::chunks::CHUNK_BYTES;
use super::refusal::REASONS;
use crate::model::Signal;
use crate::stats::{Counter, CounterFamily, Counters};

const RECEIVED_REQUESTS: CounterFamily = CounterFamily::counter(
    "received_requests_total",
    "Requests by signal and transport (grpc, http, http_json), whatever became of them.",
    &["signal", "transport"],
);
const RECEIVED_ITEMS: CounterFamily = CounterFamily::counter(
    "received_items_total",
    "Spans, data points, log records and profiles in requests that could be read.",
    &["signal"],
);
const ACCEPTED_ITEMS: CounterFamily = CounterFamily::counter(
    "accepted_items_total",
    "Items that are in the host's storage.",
    &["signal"],
);
const REJECTED_ITEMS: CounterFamily = CounterFamily::counter(
    "rejected_items_total",
    "Items that were not valid; their senders were told by a partial success.",
    &["signal", "reason"],
);
const LOST_FIELDS: CounterFamily = CounterFamily::counter(
    "lost_request_fields_total",
    "Accepted requests of which unknown fields beside their envelopes were not kept.",
    &["signal"],
);
const MISNAMED_FIELDS: CounterFamily = CounterFamily::counter(
    "misnamed_fields_total",
    "Fields of OTLP/JSON in snake_case, which were ignored; senders and log were told.",
    &["signal"],
);
const REFUSED_ITEMS: CounterFamily = CounterFamily::counter(
    "refused_items_total",
    "Items that were not taken; their senders were told so, and to send them again if that helps.",
    &["signal", "reason"],
);
const REFUSED_REQUESTS: CounterFamily = CounterFamily::counter(
    "refused_requests_total",
    "Requests that were answered with an error.",
    &["reason"],
);
const QUEUE_BYTES: CounterFamily = CounterFamily::gauge(
    "queue_bytes",
    "Bytes of requests that are being read or wait for the host.",
    &[],
);

const MEMORY_FULL: CounterFamily = CounterFamily::counter(
    "memory_full_total",
    "How often requests began to wait because as much as 'max_memory' waited for the outputs.",
    &[],
);

/// Reasons for which items are refused after they were read.
const ITEM_REASONS: [&str; 7] = [
    "paused",
    "queue_timeout",
    "memory_full",
    "shutting_down",
    "client_gone",
    "malformed",
    "processors_failed",
];

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with protobuf, and with what we do not take.
    Http,
    /// OTLP/HTTP with JSON.
    HttpJson,
}

/// The counters of one signal.
#[derive(Debug)]
pub(super) struct SignalCounters {
    grpc_requests: Counter,
    http_requests: Counter,
    http_json_requests: Counter,
    pub(super) received: Counter,
    pub(super) accepted: Counter,
    pub(super) rejected: Counter,
    pub(super) lost_fields: Counter,
    pub(super) misnamed_fields: Counter,
    refused: Vec<(&'static str, Counter)>,
}

/// The counters of one receiver.
#[derive(Debug)]
pub(super) struct ReceiveCounters {
    traces: SignalCounters,
    metrics: SignalCounters,
    logs: SignalCounters,
    profiles: SignalCounters,
    refused_requests: Vec<(&'static str, Counter)>,
    pub(super) queue_bytes: Counter,
    pub(super) chunk_bytes: Counter,
    pub(super) memory_full: Counter,
}

impl ReceiveCounters {
    pub(super) fn new(counters: &Counters) -> Self {
        Self {
            traces: SignalCounters::new(counters, Signal::Traces),
            metrics: SignalCounters::new(counters, Signal::Metrics),
            logs: SignalCounters::new(counters, Signal::Logs),
            profiles: SignalCounters::new(counters, Signal::Profiles),
            refused_requests: REASONS
                .iter()
                .map(|reason| (*reason, counters.counter(REFUSED_REQUESTS, &[reason])))
                .collect(),
            queue_bytes: counters.counter(QUEUE_BYTES, &[]),
            chunk_bytes: counters.counter(CHUNK_BYTES, &[]),
            memory_full: counters.counter(MEMORY_FULL, &[]),
        }
    }

    pub(super) fn of(&self, signal: Signal) -> &SignalCounters {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
            Signal::Profiles => &self.profiles,
        }
    }

    /// Counts a request that was refused before its signal was known.
    pub(super) fn refused_request(&self, reason: &str) {
        add(&self.refused_requests, reason, 1);
    }
}

impl SignalCounters {
    fn new(counters: &Counters, signal: Signal) -> Self {
        let name = signal.name();
        Self {
            grpc_requests: counters.counter(RECEIVED_REQUESTS, &[name, "grpc"]),
            http_requests: counters.counter(RECEIVED_REQUESTS, &[name, "http"]),
            http_json_requests: counters.counter(RECEIVED_REQUESTS, &[name, "http_json"]),
            received: counters.counter(RECEIVED_ITEMS, &[name]),
            accepted: counters.counter(ACCEPTED_ITEMS, &[name]),
            rejected: counters.counter(REJECTED_ITEMS, &[name, "malformed"]),
            lost_fields: counters.counter(LOST_FIELDS, &[name]),
            misnamed_fields: counters.counter(MISNAMED_FIELDS, &[name]),
            refused: ITEM_REASONS
                .iter()
                .map(|reason| (*reason, counters.counter(REFUSED_ITEMS, &[name, reason])))
                .collect(),
        }
    }

    /// Counts a request that arrived.
    pub(super) fn request(&self, transport: Transport) {
        match transport {
            Transport::Grpc => self.grpc_requests.add(1),
            Transport::Http => self.http_requests.add(1),
            Transport::HttpJson => self.http_json_requests.add(1),
        }
    }

    /// Counts a refused request and its items.
    pub(super) fn refused(&self, reason: &str, items: usize) {
        add(&self.refused, reason, items);
    }
}

fn add(counters: &[(&'static str, Counter)], reason: &str, count: usize) {
    if let Some((_, counter)) = counters.iter().find(|(known, _)| *known == reason) {
        counter.add_items(count);
    }
}
