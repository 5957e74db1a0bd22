//! Prometheus pages -> OTLP: the text format 0.0.4, with the quoted names of Prometheus 3, and OpenMetrics 1.0.
//!
//! A page becomes one `ExportMetricsServiceRequest` by OpenTelemetry's "Prometheus and OpenMetrics
//! Compatibility". What a line says that is wrong is left out and counted, all else is kept: names as they are,
//! with their colons and `_total`, every value as a double. Work and memory are linear in the page.

mod family;
pub mod fuzz_logic;
mod label_key;
mod line;
mod page;
mod points;
mod scopes;
mod staleness;
mod start_times;
mod target;
mod units;

#[cfg(test)]
mod tests;

pub use page::{Page, PageError, PageSummary, page_to_otlp, unread_to_otlp};
pub use staleness::LastPage;
pub use start_times::StartTimes;
pub use target::PageTarget;
