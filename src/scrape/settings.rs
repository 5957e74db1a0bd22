//! Typed settings of a scraper.

use std::time::Duration;

use crate::codec::prometheus::PageTarget;
use crate::export::EndpointSettings;
use crate::hub::EmissionForm;

/// What is scraped.
#[derive(Debug, Clone, Default)]
pub struct ScrapeSettings {
    /// The targets, in the order of their names.
    pub(crate) targets: Vec<TargetSettings>,
}

/// One target.
#[derive(Debug, Clone)]
pub struct TargetSettings {
    /// Where its page is, and how it is got: name, URL, timeout, headers, credentials, TLS.
    pub(crate) endpoint: EndpointSettings,
    /// The time between two scrapes.
    pub(crate) interval: Duration,
    /// The most bytes of a page.
    pub(crate) max_page_size: usize,
    /// The most samples of a page.
    pub(crate) max_samples: usize,
    /// The tag of its telemetry; the input's own if it is empty.
    pub(crate) tag: String,
    /// Whether series that go are marked by points without value.
    pub(crate) marks_stale: bool,
    /// In what form its telemetry is appended.
    pub(crate) form: EmissionForm,
    /// Its resource attributes.
    pub(crate) resource: PageTarget,
}
