//! Target: one scrape, from the request to events.

use std::sync::Arc;
use std::time::Duration;

use super::counters::{NOT_METRICS, SAMPLES_REASON, TRUNCATED, TargetCounters};
use super::settings::TargetSettings;
use super::waiting::ScrapedEvents;
use crate::clock;
use crate::codec::prometheus::{
    LastPage, Page, PageError, PageSummary, StartTimes, page_to_otlp, unread_to_otlp,
};
use crate::codec::records::metrics_to_records;
use crate::export::{ClientProblem, PageClient, PageFailure, ReceivedPage};
use crate::model::Emission;
use crate::runtime::heavy;
use crate::stats::{Counters, Log, LogText};

/// OpenMetrics first, which tells creation times and exemplars; names in UTF-8 as they are.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
    application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
    text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

/// Media types of pages that are for people or programs, and of no metrics.
const OTHER_TYPES: [&str; 3] = ["text/html", "application/json", "application/vnd.google.protobuf"];

/// A running target.
#[derive(Debug)]
pub(super) struct Target {
    settings: TargetSettings,
    client: PageClient,
    starts: StartTimes,
    last: LastPage,
    counters: TargetCounters,
    /// Why the last page was not read.
    failing: Option<&'static str>,
    /// Whether it was said that pages have wrong lines.
    has_told: bool,
    log: Arc<Log>,
}

/// Why nothing of a page is taken: the reason in counters, and words.
type Failure = (&'static str, String);

impl Target {
    pub(super) fn new(
        settings: &TargetSettings,
        counters: &Counters,
        log: &Arc<Log>,
    ) -> Result<Self, ClientProblem> {
        let endpoint = &settings.endpoint;
        Ok(Self {
            client: PageClient::new(endpoint, ACCEPT, settings.max_page_size, log)?,
            starts: StartTimes::default(),
            last: LastPage::default(),
            counters: TargetCounters::new(counters, &endpoint.name),
            failing: None,
            has_told: false,
            log: Arc::clone(log),
            settings: settings.clone(),
        })
    }

    pub(super) const fn interval(&self) -> Duration {
        self.settings.interval
    }

    /// Says that records of the last page were replaced.
    pub(super) fn replaced(&self, records: usize) {
        self.counters.records.add_items(records);
    }

    /// Asks for the page once. Something comes of it in any case: at least that the target is not there.
    pub(super) async fn scrape(&mut self, place: usize) -> ScrapedEvents {
        self.counters.scrapes.add(1);
        let (unix_nanos, start) = (clock::unix_nanos(), clock::now());
        let received = self.client.get().await;
        let seconds = clock::now().since(start).as_secs_f64();
        // Pages become a tenth or so by compression.
        let bytes = received
            .as_ref()
            .map_or(0, |page| page.body.len().saturating_mul(if page.is_gzip { 10 } else { 1 }));
        let mut request = Vec::new();
        let mut emission = Emission {
            tag: self.settings.tag.clone().into_bytes(),
            records: 0,
            events: Vec::new(),
        };
        heavy(bytes, || {
            match self.read(received, (unix_nanos, seconds), &mut request) {
                Ok(summary) => self.succeed(summary),
                Err((reason, problem)) => {
                    self.fail(reason, &problem);
                    unread_to_otlp(&self.settings.resource, unix_nanos, seconds, &mut request);
                }
            }
            if self.settings.marks_stale {
                self.mark_stale(&mut request, unix_nanos);
            }
            // What we wrote ourselves is valid.
            if let Ok(done) = metrics_to_records(&request, &mut emission.events, unix_nanos) {
                emission.records = done.records;
            }
        });
        ScrapedEvents { emission, form: self.settings.form, place }
    }

    /// Asks for the page once, and says how many samples it has or why it is not read.
    pub(super) async fn try_out(&mut self) -> Result<usize, String> {
        let (unix_nanos, received) = (clock::unix_nanos(), self.client.get().await);
        let read = heavy(0, || self.read(received, (unix_nanos, 0.0), &mut Vec::new()));
        let told = |(reason, problem)| format!("({reason}): {problem}");
        read.map(|summary| summary.samples).map_err(told)
    }

    pub(super) fn name(&self) -> &str {
        &self.settings.endpoint.name
    }

    /// Where the page is, without what may be a secret.
    pub(super) fn shown_url(&self) -> String {
        shown(&self.settings.endpoint.url)
    }

    fn read(
        &mut self,
        received: Result<ReceivedPage, PageFailure>,
        (unix_nanos, seconds): (u64, f64),
        request: &mut Vec<u8>,
    ) -> Result<PageSummary, Failure> {
        let failed = |failure: PageFailure| (failure.reason.name(), failure.message);
        let mut page = received.map_err(failed)?;
        let media_type = std::mem::take(&mut page.media_type);
        if OTHER_TYPES.iter().any(|other| media_type.starts_with(other)) {
            return Err((NOT_METRICS, format!("the page has the type '{media_type}'")));
        }
        let body = page.plain(self.settings.max_page_size).map_err(failed)?;
        let text = String::from_utf8_lossy(&body);
        let page = Page {
            text: &text,
            is_open_metrics: media_type.starts_with("application/openmetrics-text"),
            unix_nanos,
            seconds,
            max_samples: self.settings.max_samples,
        };
        page_to_otlp(&page, &self.settings.resource, &mut self.starts, request).map_err(|error| {
            let reason = match error {
                PageError::TooManySamples(_) => SAMPLES_REASON,
                PageError::NotMetrics(..) => NOT_METRICS,
                PageError::Truncated => TRUNCATED,
            };
            (reason, error.to_string())
        })
    }

    /// Adds points without value for what the page before had and this one has not.
    fn mark_stale(&mut self, request: &mut Vec<u8>, unix_nanos: u64) {
        let mut stale = Vec::new();
        // What we wrote ourselves is valid.
        if let Ok(points) = self.last.replace(request, unix_nanos, &mut stale) {
            self.counters.stale.add_items(points);
            request.extend_from_slice(&stale);
        }
    }

    fn succeed(&mut self, summary: PageSummary) {
        self.counters.up.set(1);
        self.counters.samples.add_items(summary.samples);
        self.counters.lines.add_items(summary.malformed);
        self.counters.points.add_items(summary.unsupported);
        let name = &self.settings.endpoint.name;
        if self.failing.take().is_some() {
            self.log.info(format!("scrape '{name}': the page is read again"));
        }
        if let Some((line, problem)) = summary.first_malformed.filter(|_| !self.has_told) {
            self.has_told = true;
            let own = format!(
                "scrape '{name}': {} lines of the page are not valid and are left out; line {line}: ",
                summary.malformed
            );
            self.log.warn(LogText::quoting(own, problem.to_string()));
        }
    }

    /// Counts a failure, and says it unless the last one was of the same kind.
    fn fail(&mut self, reason: &'static str, problem: &str) {
        self.counters.up.set(0);
        self.counters.failed(reason);
        if self.failing.replace(reason) != Some(reason) {
            let TargetSettings { endpoint, .. } = &self.settings;
            let (name, url) = (&endpoint.name, shown(&endpoint.url));
            let own = format!("scrape '{name}' ({url}) failed ({reason}): ");
            self.log.warn(LogText::quoting(own, problem));
        }
    }
}

/// A URL without what may be a secret.
fn shown(url: &http::Uri) -> String {
    let host = url.authority().map_or("", |authority| authority.as_str());
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{}://{host}{}", url.scheme_str().unwrap_or("http"), url.path())
}
