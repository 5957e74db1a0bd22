//! Format adapter: derived metrics in the host's own form.
//!
//! They are held as records until the host takes them, so that they are made native where they are
//! appended: what the host refuses then goes back as it came.

use crate::codec::fluentbit::write::{ReaderCapabilities, metrics_to_cmetrics};
use crate::codec::records::{EventKind, Events, RequestBuilder};
use crate::model::{Emission, Signal};
use crate::plugin::{NativeKind, NotAppended, Sink};

/// Appends an emission of metrics as `CMetrics`.
///
/// # Errors
/// Why the host did not take them.
pub(in crate::plugins) fn append(
    emission: &Emission,
    forms: ReaderCapabilities,
    sink: &mut dyn Sink,
) -> Result<(), NotAppended> {
    let mut builder = RequestBuilder::new(Signal::Metrics);
    for event in Events::new(&emission.events).flatten() {
        if event.kind == EventKind::Record
            && let Some(telemetry) = event.telemetry()
        {
            builder
                .push(&event, &telemetry)
                .map_err(|_| NotAppended::Unsupported("they are not metrics of ours"))?;
        }
    }
    let mut contexts = Vec::new();
    metrics_to_cmetrics(&builder.finish(), &mut contexts, forms)
        .map_err(|_| NotAppended::Unsupported("they are not metrics of ours"))?;
    sink.append_native(&emission.tag, NativeKind::Metrics, &contexts)
}
