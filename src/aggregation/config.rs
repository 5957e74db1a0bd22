//! Configuration of an aggregator.

use std::sync::Arc;
use std::time::Duration;

use super::semconv::SemconvVersion;
use super::server_logs::ServerLogFormats;
use crate::codec::records::metric_writer::Temporality;
use crate::findings::FindingsConfig;
use crate::model::Position;
use crate::pricing::PriceTable;

/// The form of histograms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistogramForm {
    /// The bucket bounds that the conventions advise.
    Explicit,
    /// Base-2 exponential buckets.
    Exponential,
}

/// What becomes of metrics that services report themselves, and of ours of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportedPolicy {
    /// Theirs go on, ours are withheld.
    Prefer,
    /// Ours are emitted, theirs are taken out.
    Replace,
    /// Theirs go on, ours are emitted under another name.
    Both,
}

/// How an aggregator works.
#[derive(Debug, Clone)]
pub struct MetricsConfig {
    /// How often metrics are emitted.
    pub interval: Duration,
    /// Attributes of spans or resources that are dimensions beside those of the conventions.
    pub dimensions: Vec<String>,
    /// Whose names metrics have.
    pub semconv: SemconvVersion,
    /// What points say.
    pub temporality: Temporality,
    /// The form of histograms.
    pub histogram: HistogramForm,
    /// What becomes of metrics that services report themselves.
    pub reported: ReportedPolicy,
    /// The tag to emit under; that of the spans when it is not given.
    pub tag: Option<Vec<u8>>,
    /// Whether what is emitted at a time is one emission, for which there is one tag.
    pub is_whole: bool,
    /// The most series of all metrics and resources; overflow series may be a tenth more.
    pub max_series: usize,
    /// How long a series is remembered that nothing is added to.
    pub series_expiry: Duration,
    /// How long the spans of a trace are remembered, to find calls that two spans tell of.
    pub call_window: Duration,
    /// Of how many traces.
    pub max_traces: usize,
    /// What calls cost whose spans do not report it; `None` where no cost is asked for.
    pub prices: Option<Arc<PriceTable>>,
    /// What goes wrong with calls is looked for so; `None` where nothing is.
    pub findings: Option<FindingsConfig>,
    /// Whose logs are read.
    pub server_logs: ServerLogFormats,
    /// How many spans one with this tracestate stands for, if that is known.
    pub weight: fn(&[u8]) -> Option<f64>,
    /// Marks what is emitted, so that the filters up to here leave it alone.
    pub position: Position,
}
