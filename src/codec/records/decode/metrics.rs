//! Metric transcoder.

use super::envelope::{ItemCount, RecordSink, ScopeStart, metadata, record, transcode};
use super::histogram::{self, HISTOGRAM, LeftOut};
use super::message::MessageScan;
use super::transcoded::Transcoded;
use crate::codec::otlp::METRIC_DATA;
use crate::codec::records::error::{DecodeError, DecodeResult};
use crate::codec::records::record::EventTime;
use crate::codec::records::schema::METRIC;
use crate::codec::wire::{WireFields, WireValue};
use crate::model::Signal;

/// Appends the metrics of an `ExportMetricsServiceRequest` to `out` as records. A record whose first
/// data point has no time gets `now_unix_nanos` as the event's time.
///
/// A metric that is not valid is left out, and its data points are counted; those beside it are
/// kept.
///
/// # Errors
/// The request itself, a `ResourceMetrics` or a `ScopeMetrics` is not valid; nothing is appended.
pub fn metrics_to_records(
    request: &[u8],
    out: &mut Vec<u8>,
    now_unix_nanos: u64,
) -> Result<Transcoded, DecodeError> {
    transcode(request, out, &mut Metrics { metadata: Vec::new(), now_unix_nanos, left_out: None })
}

struct Metrics {
    metadata: Vec<u8>,
    now_unix_nanos: u64,
    left_out: Option<LeftOut>,
}

impl RecordSink for Metrics {
    const SIGNAL: Signal = Signal::Metrics;

    fn begin(&mut self, scope: ScopeStart<'_>, _out: &mut Vec<u8>) {
        self.metadata.clear();
        metadata(Signal::Metrics, &scope, &mut self.metadata);
    }

    fn item(&mut self, item: &[u8], out: &mut Vec<u8>) -> DecodeResult<ItemCount> {
        let mut metric = MessageScan::new(&METRIC, item);
        metric.read()?;
        if let Some(data) = metric.merged(HISTOGRAM).filter(|data| !histogram::is_valid(data)) {
            let (rest, left) = histogram::without_wrong_points(item, &data)?;
            let items = self.item(&rest, out)?;
            self.left_out = Some(left);
            return Ok(items);
        }
        let data = METRIC_DATA.into_iter().find_map(|number| metric.merged(number));
        let points = data.as_deref().map(data_points).unwrap_or_default();
        let time = if points.first_time == 0 { self.now_unix_nanos } else { points.first_time };
        record(EventTime::from_unix_nanos(time), &self.metadata, &metric, out)?;
        Ok(points.count)
    }

    #[inline]
    fn left_out(&mut self) -> Option<LeftOut> {
        self.left_out.take()
    }

    fn count_invalid(&self, item: &[u8]) -> ItemCount {
        metric_points(item).max(1)
    }

    fn end(&mut self, _records: usize, _out: &mut Vec<u8>) {}
}

/// The number of data points of a `Metric`, as far as they can be read.
pub(in crate::codec::records) fn metric_points(metric: &[u8]) -> usize {
    let mut count = 0;
    let mut fields = WireFields::new(metric);
    while let Ok(Some(field)) = fields.read() {
        if let (true, WireValue::Bytes(data)) = (METRIC_DATA.contains(&field.number), field.value) {
            count += data_points(data).count;
        }
    }
    count
}

#[derive(Default)]
struct Points {
    count: usize,
    first_time: u64,
}

/// Counts the data points of a `Gauge`, `Sum` and so on, as far as they can be read.
fn data_points(data: &[u8]) -> Points {
    let mut points = Points::default();
    let mut fields = WireFields::new(data);
    while let Ok(Some(field)) = fields.read() {
        if let (1, WireValue::Bytes(point)) = (field.number, field.value) {
            if points.count == 0 {
                points.first_time = point_time(point);
            }
            points.count += 1;
        }
    }
    points
}

/// `time_unix_nano` of a data point, which is field 3 in all of them.
fn point_time(point: &[u8]) -> u64 {
    let mut time = 0;
    let mut fields = WireFields::new(point);
    while let Ok(Some(field)) = fields.read() {
        if let (3, WireValue::Fixed64(value)) = (field.number, field.value) {
            time = value;
        }
    }
    time
}
