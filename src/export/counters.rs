//! Counters of an exporter; every label value is there from the start.

use std::time::Duration;

use crate::condition::NoAnswer;
use crate::model::{Signal, listed_enum};
use crate::routing::RequestFailureReason;
use crate::stats::{Counter, CounterFamily, Counters};

const RECEIVED: CounterFamily = CounterFamily::counter(
    "exporter_received_items_total",
    "Spans, data points and log records that came to the exporter.",
    &["signal"],
);
const SKIPPED: CounterFamily = CounterFamily::counter(
    "exporter_skipped_items_total",
    "Records or contexts that no endpoint can get, by reason.",
    &["reason"],
);
const RETRIED: CounterFamily = CounterFamily::counter(
    "retried_chunks_total",
    "Chunks that the host was asked to bring again.",
    &[],
);
const FORGOTTEN: CounterFamily = CounterFamily::counter(
    "forgotten_chunks_total",
    "Chunks whose progress was forgotten because too many were waiting; a retry sends all of it.",
    &[],
);
const SENT: CounterFamily = CounterFamily::counter(
    "sent_items_total",
    "Spans, data points and log records that an endpoint accepted.",
    &["endpoint", "signal"],
);
const FAILED: CounterFamily = CounterFamily::counter(
    "failed_requests_total",
    "Requests that an endpoint did not accept, by reason.",
    &["endpoint", "reason"],
);
const DROPPED: CounterFamily = CounterFamily::counter(
    "dropped_items_total",
    "Items that an endpoint refused for good, did not take for too long, or gets in another form, by reason.",
    &["endpoint", "reason"],
);
const FILTERED: CounterFamily = CounterFamily::counter(
    "filtered_items_total",
    "Items that were not for an endpoint, by its signals, where or sampling_percentage.",
    &["endpoint"],
);
const UNDECIDED: CounterFamily = CounterFamily::counter(
    "undecided_items_total",
    "Items for which an endpoint's where had no answer.",
    &["endpoint", "reason"],
);
const CONTENT: CounterFamily = CounterFamily::counter(
    "content_removed_items_total",
    "Items from which content was removed for an endpoint.",
    &["endpoint"],
);
const UNLISTED: CounterFamily = CounterFamily::counter(
    "unknown_content_names_total",
    "Names of texts above 1 KiB that no list of content names has, where content is not kept.",
    &["endpoint"],
);
const DEDUPLICATED: CounterFamily = CounterFamily::counter(
    "deduplicated_values_total",
    "Values of content that an endpoint accepted as addresses, because it has them.",
    &["endpoint"],
);
const DEDUPLICATED_BYTES: CounterFamily = CounterFamily::counter(
    "deduplicated_bytes_total",
    "Bytes, before compression, that accepted requests were smaller for content that an endpoint has.",
    &["endpoint"],
);
const PARTIAL: CounterFamily = CounterFamily::counter(
    "partial_successes_total",
    "Requests that an endpoint accepted in part or with a warning.",
    &["endpoint"],
);
const REFUSED: CounterFamily = CounterFamily::counter(
    "refused_requests_total",
    "Requests whose items an endpoint refused for good, or did not take for too long.",
    &["endpoint"],
);
const DEAD_LETTERS: CounterFamily = CounterFamily::counter(
    "dead_letter_items_total",
    "Items that an endpoint refused for good and that went to its dead letters.",
    &["endpoint"],
);
const SPLIT: CounterFamily = CounterFamily::counter(
    "split_requests_total",
    "Requests that were cut because they were larger than an endpoint takes.",
    &["endpoint"],
);
const JOINED: CounterFamily = CounterFamily::counter(
    "joined_requests_total",
    "Small requests that were sent as one with others, because the endpoint was busy.",
    &["endpoint"],
);
const SHRUNK: CounterFamily = CounterFamily::counter(
    "shrunk_items_total",
    "Items whose longest texts were cut because the item alone was larger than an endpoint takes.",
    &["endpoint"],
);
const FAST: CounterFamily = CounterFamily::counter(
    "deferred_requests_total",
    "Requests that were not made because the endpoint is down or busy.",
    &["endpoint"],
);
const REPEATED: CounterFamily = CounterFamily::counter(
    "repeated_requests_total",
    "Requests that were made again in place after they had failed.",
    &["endpoint"],
);
const HELD_CHUNKS: CounterFamily = CounterFamily::gauge(
    "held_chunks",
    "Chunks that are held in flight because an endpoint is away.",
    &[],
);
const HELD_BYTES: CounterFamily =
    CounterFamily::gauge("held_bytes", "Bytes of the chunks that are held in flight.", &[]);
const LOST_FIELDS: CounterFamily = CounterFamily::counter(
    "lost_fields_total",
    "Fields that this version does not know and cannot write as JSON, in accepted requests.",
    &["endpoint"],
);
const UP: CounterFamily = CounterFamily::gauge(
    "endpoint_up",
    "1 while an endpoint is tried, 0 while it is left alone.",
    &["endpoint"],
);
const LATENCY_SUM: CounterFamily = CounterFamily::counter(
    "export_latency_ms_sum",
    "Milliseconds that answered requests took, all together.",
    &["endpoint"],
);
const LATENCY_COUNT: CounterFamily =
    CounterFamily::counter("export_latency_ms_count", "Answered requests.", &["endpoint"]);

listed_enum! {
    /// Why no endpoint can get something.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(in crate::export) enum SkipReason {
        /// The bytes of the chunk are not what they should be.
        Undecodable,
        /// A record that has no place in OTLP.
        Unencodable,
        /// A kind of chunk that this exporter does not know.
        Unsupported,
    }
}

impl SkipReason {
    pub(in crate::export) const fn name(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::Unencodable => "unencodable",
            Self::Unsupported => "unsupported",
        }
    }
}

/// Why an endpoint's items are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::export) enum LossReason {
    /// A partial success left them out.
    Rejected,
    /// The request was refused for good.
    Failed(RequestFailureReason),
    /// It was not accepted for too long.
    Expired,
    /// What a point adds to those before it is not known, so that it has no place in delta temporality.
    FirstPoint,
    /// Points of one series came in another order than that of their times.
    LatePoint,
    /// What came of a point in another temporality is not known any more.
    ForgottenPoint,
    /// It differs from others in nothing but values beyond the limit, and is part of one of them now.
    MergedPoint,
}

/// The counters of the whole exporter.
#[derive(Debug)]
pub(in crate::export) struct ExportCounters {
    received: [Counter; 4],
    skipped: [Counter; 3],
    pub(in crate::export) retried: Counter,
    pub(in crate::export) forgotten: Counter,
    pub(in crate::export) held_chunks: Counter,
    pub(in crate::export) held_bytes: Counter,
}

/// The counters of one endpoint.
#[derive(Debug)]
pub(in crate::export) struct EndpointCounters {
    sent: [Counter; 4],
    failed: [Counter; RequestFailureReason::ALL.len()],
    dropped: [Counter; DROP_REASONS.len()],
    pub(in crate::export) filtered: Counter,
    undecided: [Counter; NoAnswer::ALL.len()],
    pub(in crate::export) content_removed: Counter,
    pub(in crate::export) unlisted_names: Counter,
    pub(in crate::export) deduplicated_values: Counter,
    pub(in crate::export) deduplicated_bytes: Counter,
    pub(in crate::export) deferred: Counter,
    pub(in crate::export) lost_fields: Counter,
    pub(in crate::export) up: Counter,
    pub(in crate::export) split: Counter,
    pub(in crate::export) joined: Counter,
    pub(in crate::export) repeated: Counter,
    pub(in crate::export) shrunk: Counter,
    pub(in crate::export) dead_letters: Counter,
    refused: Counter,
    partial: Counter,
    latency_sum: Counter,
    latency_count: Counter,
}

/// The reasons of [`DROPPED`].
const DROP_REASONS: [LossReason; 12] = [
    LossReason::Rejected,
    LossReason::Failed(RequestFailureReason::Refused),
    LossReason::Failed(RequestFailureReason::TooLarge),
    LossReason::Failed(RequestFailureReason::Exhausted),
    LossReason::Failed(RequestFailureReason::BadAnswer),
    LossReason::Failed(RequestFailureReason::NotOtlp),
    LossReason::Failed(RequestFailureReason::Misdirected),
    LossReason::Expired,
    LossReason::FirstPoint,
    LossReason::LatePoint,
    LossReason::ForgottenPoint,
    LossReason::MergedPoint,
];

impl LossReason {
    pub(in crate::export) const fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Failed(reason) => reason.name(),
            Self::Expired => "max_elapsed_time",
            Self::FirstPoint => "temporality_first",
            Self::LatePoint => "temporality_late",
            Self::ForgottenPoint => "temporality_forgotten",
            Self::MergedPoint => "attributes_merged",
        }
    }
}

fn total(counters: &[Counter]) -> u64 {
    counters.iter().map(Counter::value).fold(0, u64::saturating_add)
}

fn add<T: PartialEq>(counters: &[Counter], keys: &[T], key: &T, count: usize) -> u64 {
    let found = keys.iter().zip(counters).find(|(known, _)| *known == key);
    found.map_or(0, |(_, counter)| {
        counter.add_items(count);
        counter.value()
    })
}

impl ExportCounters {
    pub(in crate::export) fn new(counters: &Counters) -> Self {
        Self {
            received: Signal::WITH_PROFILES
                .map(|signal| counters.counter(RECEIVED, &[signal.name()])),
            skipped: SkipReason::ALL.map(|reason| counters.counter(SKIPPED, &[reason.name()])),
            retried: counters.counter(RETRIED, &[]),
            forgotten: counters.counter(FORGOTTEN, &[]),
            held_chunks: counters.counter(HELD_CHUNKS, &[]),
            held_bytes: counters.counter(HELD_BYTES, &[]),
        }
    }

    /// Items that came.
    pub(in crate::export) fn received_of_all(&self) -> u64 {
        total(&self.received)
    }

    /// Counts the items of a chunk that the exporter sees for the first time.
    pub(in crate::export) fn received(&self, signal: Signal, items: usize) {
        add(&self.received, &Signal::WITH_PROFILES, &signal, items);
    }

    /// Counts items that no endpoint gets.
    pub(in crate::export) fn skipped(&self, reason: SkipReason, items: usize) {
        add(&self.skipped, &SkipReason::ALL, &reason, items);
    }
}

impl EndpointCounters {
    pub(in crate::export) fn new(counters: &Counters, endpoint: &str) -> Self {
        let one = |family| counters.counter(family, &[endpoint]);
        let up = one(UP);
        up.set(1);
        Self {
            sent: Signal::WITH_PROFILES
                .map(|signal| counters.counter(SENT, &[endpoint, signal.name()])),
            failed: RequestFailureReason::ALL
                .map(|reason| counters.counter(FAILED, &[endpoint, reason.name()])),
            dropped: DROP_REASONS
                .map(|reason| counters.counter(DROPPED, &[endpoint, reason.name()])),
            filtered: one(FILTERED),
            undecided: NoAnswer::ALL
                .map(|reason| counters.counter(UNDECIDED, &[endpoint, reason.name()])),
            content_removed: one(CONTENT),
            unlisted_names: one(UNLISTED),
            deduplicated_values: one(DEDUPLICATED),
            deduplicated_bytes: one(DEDUPLICATED_BYTES),
            deferred: one(FAST),
            lost_fields: one(LOST_FIELDS),
            up,
            partial: one(PARTIAL),
            split: one(SPLIT),
            joined: one(JOINED),
            repeated: one(REPEATED),
            shrunk: one(SHRUNK),
            refused: one(REFUSED),
            dead_letters: one(DEAD_LETTERS),
            latency_sum: one(LATENCY_SUM),
            latency_count: one(LATENCY_COUNT),
        }
    }

    /// Items of a signal that the endpoint accepted.
    pub(in crate::export) fn sent_of(&self, signal: Signal) -> u64 {
        self.sent.get(signal.index()).map_or(0, Counter::value)
    }

    /// Items that the endpoint will never have.
    pub(in crate::export) fn dropped_of_all(&self) -> u64 {
        total(&self.dropped)
    }

    /// Items of which it is known what became of them.
    pub(in crate::export) fn settled(&self) -> u64 {
        let gone = [&self.dead_letters, &self.filtered].map(Counter::value);
        let all = total(&self.sent).saturating_add(total(&self.dropped));
        gone.into_iter().fold(all, u64::saturating_add)
    }

    /// What an answered request took on average.
    pub(in crate::export) fn mean_latency(&self) -> Option<Duration> {
        let mean = self.latency_sum.value().checked_div(self.latency_count.value())?;
        Some(Duration::from_millis(mean))
    }

    /// Counts items that the endpoint accepted.
    pub(in crate::export) fn sent(&self, signal: Signal, items: usize) {
        add(&self.sent, &Signal::WITH_PROFILES, &signal, items);
    }

    /// Counts items for which there was no answer, by reason in the order of [`NoAnswer::ALL`].
    pub(in crate::export) fn undecided(&self, items: &[usize; NoAnswer::ALL.len()]) {
        self.undecided.iter().zip(items).for_each(|(counter, items)| counter.add_items(*items));
    }

    /// Counts a failed request and returns how many of this kind there were.
    pub(in crate::export) fn failed(&self, reason: RequestFailureReason) -> u64 {
        add(&self.failed, &RequestFailureReason::ALL, &reason, 1)
    }

    /// Counts a request that was refused for good and returns how many there were.
    pub(in crate::export) fn refused(&self) -> u64 {
        self.refused.add(1);
        self.refused.value()
    }

    /// Counts a partial success and returns how many there were.
    pub(in crate::export) fn partial(&self) -> u64 {
        self.partial.add(1);
        self.partial.value()
    }

    /// Counts items that the endpoint will never have.
    pub(in crate::export) fn dropped(&self, reason: LossReason, items: usize) {
        add(&self.dropped, &DROP_REASONS, &reason, items);
    }

    /// Counts an answer by the time from the request to it.
    pub(in crate::export) fn answered(&self, took: Duration) {
        self.latency_sum.add(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        self.latency_count.add(1);
    }
}
