//! Numbers of a scraper.

use crate::export::PageFailureReason;
use crate::stats::{Counter, CounterFamily, Counters};

const SCRAPES: CounterFamily = CounterFamily::counter(
    "scrapes_total",
    "Pages of metrics that were asked for, by target.",
    &["target"],
);
const UP: CounterFamily = CounterFamily::gauge(
    "scrape_up",
    "Whether the last page of a target was read: 1, or 0.",
    &["target"],
);
const FAILURES: CounterFamily = CounterFamily::counter(
    "scrape_failures_total",
    "Pages of which nothing was taken, by target and reason: connect, timeout, transport, credentials (no token, \
     or status 401 or 403), status (another one than 200), too_large (max_page_size), encoding (not gzip, or damaged), samples (max_samples), \
     not_metrics, truncated (OpenMetrics without its end).",
    &["target", "reason"],
);
const SAMPLES: CounterFamily = CounterFamily::counter(
    "scraped_samples_total",
    "Samples of the pages that were read, by target.",
    &["target"],
);
const STALE: CounterFamily = CounterFamily::counter(
    "scraped_stale_points_total",
    "Points without value, of series that went or whose target is not there, by target.",
    &["target"],
);
const LEFT_OUT: CounterFamily = CounterFamily::counter(
    "scrape_left_out_total",
    "What of a page that was read was left out: line (it is not valid), point (it is not valid, or OTLP has no place \
     for it), record (the host did not take a page before the next one came).",
    &["target", "what"],
);

/// Reasons that are found when a page is read.
pub(super) const SAMPLES_REASON: &str = "samples";
pub(super) const NOT_METRICS: &str = "not_metrics";
pub(super) const TRUNCATED: &str = "truncated";

/// Of one target.
#[derive(Debug)]
pub(super) struct TargetCounters {
    pub(super) scrapes: Counter,
    pub(super) up: Counter,
    pub(super) samples: Counter,
    pub(super) stale: Counter,
    pub(super) lines: Counter,
    pub(super) points: Counter,
    pub(super) records: Counter,
    failures: Vec<(&'static str, Counter)>,
}

impl TargetCounters {
    pub(super) fn new(counters: &Counters, target: &str) -> Self {
        let of_pages = [SAMPLES_REASON, NOT_METRICS, TRUNCATED];
        let reasons = PageFailureReason::ALL.into_iter().map(PageFailureReason::name);
        let failure = |reason| (reason, counters.counter(FAILURES, &[target, reason]));
        Self {
            scrapes: counters.counter(SCRAPES, &[target]),
            up: counters.counter(UP, &[target]),
            samples: counters.counter(SAMPLES, &[target]),
            stale: counters.counter(STALE, &[target]),
            lines: counters.counter(LEFT_OUT, &[target, "line"]),
            points: counters.counter(LEFT_OUT, &[target, "point"]),
            records: counters.counter(LEFT_OUT, &[target, "record"]),
            failures: reasons.chain(of_pages).map(failure).collect(),
        }
    }

    pub(super) fn failed(&self, reason: &str) {
        if let Some((_, counter)) = self.failures.iter().find(|(known, _)| *known == reason) {
            counter.add(1);
        }
    }
}
