//! OTLP requests as Fluent Bit's own contexts: `CTraces` and `CMetrics`.
//!
//! The other half, from contexts to OTLP, is in the modules beside this one. A chunk is a
//! concatenation of contexts, so a request becomes some bytes that are appended as they are. Every
//! release's readers reject what they do not know, whole contexts at a time: [`ReaderCapabilities`] says what
//! the readers of one release take, and what they do not take is left out here, counted, or its
//! item is rejected in words.

mod capabilities;
mod cmetrics;
mod ctraces;
mod external;
mod group;
mod label;
mod loss;
mod point;
mod prometheus;
mod scan;
mod value;
mod walk;
mod written;

pub use capabilities::ReaderCapabilities;
pub use cmetrics::metrics_to_cmetrics;
pub use ctraces::traces_to_ctraces;
pub use loss::{FormatLoss, FormatLosses};
pub use prometheus::{PageFormat, PageMemory, TooLarge, metrics_to_page, metrics_to_prometheus};
pub use written::WrittenRequest;
