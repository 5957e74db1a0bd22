//! Header of a context: what all of its metrics share.

use super::super::fields;
use super::super::tally::{ReadPosition, ReadProblem, ReadTally};
use super::external::ExternalMap;
use crate::codec::msgpack::{MapView, elements};

/// What all metrics of a context share.
pub(super) struct ContextHeader<'a> {
    pub(super) external: ExternalMap<'a>,
    /// Whether the metrics came in by OTLP, and not from Fluent Bit itself or from Prometheus.
    pub(super) from_otlp: bool,
    /// Label names and values that every point has.
    pub(super) static_labels: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> ContextHeader<'a> {
    /// Reads the context's `meta`, of which `external` was read already.
    pub(super) fn new(
        meta: MapView<'a>,
        external: ExternalMap<'a>,
        position: ReadPosition,
        tally: &mut ReadTally,
    ) -> Self {
        let part = |key: &[u8]| meta.get(key).unwrap_or_default();
        let producer = MapView::new(part(b"cmetrics")).get(b"producer");
        let producer = fields::text(producer.unwrap_or_default());
        Self {
            from_otlp: producer == Ok(b"opentelemetry") || external.is_otlp(),
            static_labels: static_labels(part(b"processing"), position, tally),
            external,
        }
    }
}

fn static_labels<'a>(
    processing: &'a [u8],
    position: ReadPosition,
    tally: &mut ReadTally,
) -> Vec<(&'a [u8], &'a [u8])> {
    let mut labels = Vec::new();
    let list = MapView::new(processing).get(b"static_labels").unwrap_or_default();
    for pair in elements(list) {
        let mut texts = elements(pair).map(fields::text);
        match (texts.next(), texts.next()) {
            (Some(Ok(key)), Some(Ok(value))) => labels.push((key, value)),
            _ => tally
                .skip(position, ReadProblem::new("meta.processing.static_labels", "has no pair")),
        }
    }
    labels
}
