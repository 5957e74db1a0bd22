//! Item shrinking: one item that is too large for an endpoint gets smaller by its texts, and a
//! data point by its exemplars before.

use super::cut_texts::{MessageKind, ShrunkItem, cut_texts};
use super::point::shrink_point;
use crate::model::Signal;

/// The item in at most `target` bytes; `None` if it cannot be made that small. `kind` is the field
/// of the data of a data point's metric.
pub(in crate::export) fn shrink(
    signal: Signal,
    kind: u32,
    item: &[u8],
    target: usize,
) -> Option<ShrunkItem> {
    let (message, field) = match signal {
        Signal::Traces => (MessageKind::Span, 9),
        Signal::Logs => (MessageKind::Log, 6),
        Signal::Metrics => return shrink_point(kind, item, target),
        Signal::Profiles => return None,
    };
    let item = cut_texts(message, field, item, target)?;
    Some(ShrunkItem { item, metadata: Vec::new() })
}
