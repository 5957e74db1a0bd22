//! Capability set: what the readers of one release of Fluent Bit take.

use crate::model::Release;

/// What one release's readers of chunks take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderCapabilities {
    /// Spans have the keys `dropped_events_count`, `dropped_links_count` and `schema_url` (3.2.7).
    pub(super) long_spans: bool,
    /// A list of spans need not have a scope: readers before do not survive one without (3.1.9).
    pub(super) unset_scope: bool,
    /// The scope of metrics may have attributes. Where it may not, the host's encoder of OTLP frees
    /// them in a way that ends the process (3.1.10, and 4.0.1 to 5.0.9).
    pub(super) scope_attributes: bool,
    /// Numbers have a type, points a start, and there are exponential histograms (5.0.0).
    pub(super) typed_points: bool,
    /// Metrics have a unit (5.0.1).
    pub(super) units: bool,
    /// A point need not have all labels of its metric (5.0.5).
    pub(super) absent_labels: bool,
    /// Histograms have a temporality, and text may be longer than [`SHORT_TEXT`] (5.1.0).
    pub(super) histogram_temporality: bool,
}

/// The longest text that readers of metrics take before 5.1.0.
pub(super) const SHORT_TEXT: usize = 1024;
/// The longest text that readers take in the fields of spans.
pub(super) const SPAN_TEXT: usize = 1_024_000;
/// The longest key of an attribute that readers take.
pub(super) const MAX_KEY: usize = 255;
/// The longest list that readers take, apart from attributes.
pub(super) const MAX_LIST: u32 = 65_535;
/// A list that is the value of an attribute is shorter than this.
pub(super) const MAX_VALUES: u32 = 100_000;
/// How deep lists and maps nest in each other at most; ours read no more.
pub(super) const MAX_DEPTH: u32 = 30;

impl ReaderCapabilities {
    /// The forms of a release that names itself so, for example `4.2.8`. A release that does not
    /// say numbers gets the oldest capabilities, which every later one reads.
    #[must_use]
    pub fn of_release(release: &str) -> Self {
        let release = Release::parse_lossy(release);
        Self {
            long_spans: release >= Release::new(3, 2, 7),
            unset_scope: release >= Release::new(3, 1, 9),
            scope_attributes: !((Release::new(3, 1, 10)..Release::new(3, 2, 0)).contains(&release)
                || (Release::new(4, 0, 1)..Release::new(5, 1, 0)).contains(&release)),
            typed_points: release >= Release::new(5, 0, 0),
            units: release >= Release::new(5, 0, 1),
            absent_labels: release >= Release::new(5, 0, 5),
            histogram_temporality: release >= Release::new(5, 1, 0),
        }
    }

    /// Whether the release reads exponential histograms.
    #[must_use]
    pub const fn has_exponential_histograms(self) -> bool {
        self.typed_points
    }

    /// The longest text in metrics.
    pub(super) const fn metric_text(self) -> usize {
        if self.histogram_temporality { usize::MAX } else { SHORT_TEXT }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_release_has_what_its_readers_take() {
        let oldest = ReaderCapabilities::of_release("3.0.0");
        assert_eq!(oldest, ReaderCapabilities::of_release("unknown"));
        assert!(!oldest.long_spans && oldest.metric_text() == 1024);
        assert!(
            !ReaderCapabilities::of_release("3.2.6").long_spans
                && ReaderCapabilities::of_release("3.2.10").long_spans
        );
        assert!(
            ReaderCapabilities::of_release("4.2.8").long_spans
                && !ReaderCapabilities::of_release("4.2.8").typed_points
        );
        assert!(
            !ReaderCapabilities::of_release("3.1.8").unset_scope
                && ReaderCapabilities::of_release("3.1.9").unset_scope
        );
        let scopes = ["3.0.7", "3.1.9", "3.2.10", "4.0.0", "5.1.0"];
        assert!(
            scopes.iter().all(|release| ReaderCapabilities::of_release(release).scope_attributes)
        );
        let bare = ["3.1.10", "4.0.1", "4.2.8", "5.0.9"];
        assert!(
            !bare.iter().any(|release| ReaderCapabilities::of_release(release).scope_attributes)
        );
        assert!(
            !ReaderCapabilities::of_release("5.0.0").units
                && ReaderCapabilities::of_release("5.0.1").units
        );
        assert!(!ReaderCapabilities::of_release("5.0.4").absent_labels);
        assert!(!ReaderCapabilities::of_release("5.0.9").histogram_temporality);
        assert!(ReaderCapabilities::of_release("5.1.1").histogram_temporality);
        assert_eq!(ReaderCapabilities::of_release("5.1.1").metric_text(), usize::MAX);
    }
}
