//! Format adapter: derived metrics in the host's own form.
//!
//! They are held as records until the host takes them, so that they are made native where they are
//! appended: what the host refuses then goes back as it came.

use crate::codec::fluentbit::write::{
    ReaderCapabilities, metrics_to_cmetrics, metrics_to_prometheus,
};
use crate::codec::records::{RequestBuilder, push_records};
use crate::model::{Emission, Signal};
use crate::plugin::{NativeKind, NotAppended, Sink};

/// Appends an emission of metrics as `CMetrics`, and says how many points the form has no place for.
///
/// # Errors
/// Why the host did not take them.
pub(in crate::plugins) fn append(
    emission: &Emission,
    forms: ReaderCapabilities,
    sink: &mut dyn Sink,
) -> Result<usize, NotAppended> {
    let mut contexts = Vec::new();
    let written =
        metrics_to_cmetrics(&request(emission)?, &mut contexts, forms).map_err(|_| FOREIGN)?;
    sink.append_native(&emission.tag, NativeKind::Metrics, &contexts)?;
    Ok(written.transcoded.rejected)
}

/// Appends an emission of metrics as one context of `CMetrics` for the host's Prometheus outputs, and says how
/// many points Prometheus has no place for.
///
/// # Errors
/// Why the host did not take them.
pub(in crate::plugins) fn append_for_prometheus(
    emission: &Emission,
    forms: ReaderCapabilities,
    sink: &mut dyn Sink,
) -> Result<usize, NotAppended> {
    let mut context = Vec::new();
    let written =
        metrics_to_prometheus(&request(emission)?, &mut context, forms).map_err(|_| FOREIGN)?;
    if context.is_empty() {
        return Err(FOREIGN);
    }
    sink.append_native(&emission.tag, NativeKind::Metrics, &context)?;
    Ok(written.transcoded.rejected)
}

const FOREIGN: NotAppended = NotAppended::Unsupported("they are not metrics of ours");

fn request(emission: &Emission) -> Result<Vec<u8>, NotAppended> {
    let mut builder = RequestBuilder::new(Signal::Metrics);
    push_records(&mut builder, &emission.events).map_err(|_| FOREIGN)?;
    Ok(builder.finish())
}
