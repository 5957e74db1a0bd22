//! Exemplars: single measurements with the span that each is from.

use super::super::point::CmetricsPointKind;
use super::super::scan::{FieldScan, WriteResult, each, known};
use crate::model::{SpanId, TraceId};

const EXEMPLAR: u32 = known(&[2, 3, 4, 5, 6, 7]);

/// A measurement of a series and its span. What else exemplars of OTLP say has no place: names and values of
/// an exemplar's labels may take 128 characters together, of which the two ids take 63.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SeriesExemplar {
    pub(super) value: f64,
    pub(super) unix_nanos: u64,
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
}

/// The exemplars of a data point that name a span.
pub(super) fn of_point(point: &[u8], kind: CmetricsPointKind) -> WriteResult<Vec<SeriesExemplar>> {
    let number = match kind {
        CmetricsPointKind::Histogram => 8,
        // OpenMetrics has none on gauges and summaries.
        CmetricsPointKind::Counter => 5,
        _ => return Ok(Vec::new()),
    };
    let mut exemplars = Vec::new();
    each(point, number, |exemplar| {
        let scan = FieldScan::new(exemplar, EXEMPLAR)?;
        let value = match (scan.double(3)?, scan.fixed64(6)?) {
            (Some(value), _) => value,
            (None, Some(bits)) => bits.cast_signed() as f64,
            (None, None) => return Ok(()),
        };
        let ids = (scan.bytes(5)?.try_into(), scan.bytes(4)?.try_into());
        if let (Ok(trace), Ok(span)) = ids {
            let unix_nanos = scan.fixed64(2)?.unwrap_or(0);
            let (trace, span) = (TraceId(trace), SpanId(span));
            exemplars.push(SeriesExemplar { value, unix_nanos, trace, span });
        }
        Ok(())
    })?;
    Ok(exemplars)
}
