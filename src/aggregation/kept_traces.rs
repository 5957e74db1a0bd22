//! Which traces are kept, as far as that is known, and which exemplars name.

use std::fmt;
use std::sync::Arc;

use crate::codec::msgpack::{MapView, elements, text_of};
use crate::codec::records::layout::keys;
use crate::codec::records::{Events, MetricView};
use crate::model::TraceId;

/// Says whether a trace is known to be kept by a sampler.
#[derive(Clone)]
pub struct KeptTraces(Arc<dyn Fn(&TraceId) -> bool + Send + Sync>);

impl KeptTraces {
    /// Asks this function for each item that is measured.
    #[must_use]
    pub fn new(is_kept: impl Fn(&TraceId) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(is_kept))
    }

    /// Whether it is.
    pub(super) fn has(&self, trace: &TraceId) -> bool {
        (self.0)(trace)
    }
}

impl fmt::Debug for KeptTraces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeptTraces")
    }
}

/// Shows the traces that the exemplars in a stream of metric records name.
pub fn exemplar_traces(events: &[u8], mut show: impl FnMut(TraceId)) {
    for event in Events::new(events).flatten() {
        for point in MetricView::new(event.body).data_points() {
            let exemplars = MapView::new(point).get(keys::EXEMPLARS).unwrap_or_default();
            let ids = elements(exemplars).filter_map(|it| MapView::new(it).get(keys::TRACE_ID));
            let hex = ids.filter_map(text_of);
            hex.filter_map(|id| TraceId::from_hex(id.as_bytes())).for_each(&mut show);
        }
    }
}
