//! Metric points -> telemetry records (ARCHITECTURE.md, "Spans and metrics").

use super::histogram::{Exemplar, ExportedBuckets, HistogramPoint};
use crate::codec::msgpack::{array_header, bool, ext, f64, int, map_header, str, uint};
use crate::codec::records::EventTime;
use crate::model::Position;

/// The most points of one record.
const MOST_POINTS: u32 = 500;

/// A metric's name and what it says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Descriptor {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) unit: &'static str,
    /// Whether it is a counter; else it is a histogram.
    pub(super) counter: bool,
}

/// What is common to the records of one export.
#[derive(Debug, Clone, Copy)]
pub(super) struct Envelope<'e> {
    /// The encoded resource map; empty when there is none.
    pub(super) resource: &'e [u8],
    pub(super) position: Position,
    pub(super) cumulative: bool,
    pub(super) exponential: bool,
    pub(super) unix_nanos: u64,
}

/// The place in time and attributes of a point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point<'p> {
    /// Encoded pairs.
    pub(super) attributes: &'p [u8],
    /// Further encoded pairs.
    pub(super) more: &'p [u8],
    pub(super) pairs: u32,
    pub(super) start: u64,
}

/// Writes the points of one metric into as many records as they need.
pub(super) struct MetricWriter<'o, 'e> {
    out: &'o mut Vec<u8>,
    records: &'o mut usize,
    descriptor: Descriptor,
    envelope: Envelope<'e>,
    points: Vec<u8>,
    count: u32,
}

impl<'o, 'e> MetricWriter<'o, 'e> {
    pub(super) fn new(
        out: &'o mut Vec<u8>,
        records: &'o mut usize,
        descriptor: Descriptor,
        envelope: Envelope<'e>,
    ) -> Self {
        Self { out, records, descriptor, envelope, points: Vec::new(), count: 0 }
    }

    /// Adds a number.
    pub(super) fn number(&mut self, point: Point<'_>, value: u64) {
        map_header(&mut self.points, 3 + u32::from(point.pairs > 0));
        self.head(point);
        str(&mut self.points, "as_int");
        int(&mut self.points, i64::try_from(value).unwrap_or(i64::MAX));
        self.counted();
    }

    /// Adds a histogram.
    pub(super) fn histogram(&mut self, point: Point<'_>, data: &HistogramPoint) {
        let buckets = match data.buckets {
            ExportedBuckets::Explicit { .. } => 2,
            ExportedBuckets::Exponential { .. } => 3,
        };
        let range = if data.range.is_some() { 2 } else { 0 };
        let optional = u32::from(point.pairs > 0) + u32::from(!data.exemplars.is_empty());
        map_header(&mut self.points, 4 + optional + range + buckets);
        self.head(point);
        self.exemplars(&data.exemplars);
        let out = &mut self.points;
        str(out, "count");
        uint(out, data.count);
        str(out, "sum");
        f64(out, data.sum);
        if let Some((low, high)) = data.range {
            str(out, "min");
            f64(out, low);
            str(out, "max");
            f64(out, high);
        }
        write_buckets(out, &data.buckets);
        self.counted();
    }

    fn head(&mut self, point: Point<'_>) {
        let out = &mut self.points;
        if point.pairs > 0 {
            str(out, "attributes");
            map_header(out, point.pairs);
            out.extend_from_slice(point.attributes);
            out.extend_from_slice(point.more);
        }
        str(out, "start_time_unix_nano");
        uint(out, point.start);
        str(out, "time_unix_nano");
        uint(out, self.envelope.unix_nanos);
    }

    fn exemplars(&mut self, exemplars: &[Exemplar]) {
        let out = &mut self.points;
        if exemplars.is_empty() {
            return;
        }
        str(out, "exemplars");
        array_header(out, u32::try_from(exemplars.len()).unwrap_or(0));
        for exemplar in exemplars {
            map_header(out, 4);
            str(out, "time_unix_nano");
            uint(out, exemplar.time_unix_nano);
            str(out, "as_double");
            f64(out, exemplar.value);
            str(out, "span_id");
            hex(out, &exemplar.span_id);
            str(out, "trace_id");
            hex(out, &exemplar.trace_id);
        }
    }

    fn counted(&mut self) {
        self.count += 1;
        if self.count >= MOST_POINTS {
            self.flush();
        }
    }

    /// Writes the points so far as one record.
    pub(super) fn flush(&mut self) {
        if self.count == 0 {
            return;
        }
        self.event_start();
        let Descriptor { name, description, unit, counter } = self.descriptor;
        let out = &mut *self.out;
        map_header(out, 4);
        for (key, value) in [("name", name), ("description", description), ("unit", unit)] {
            str(out, key);
            str(out, value);
        }
        str(
            out,
            match (counter, self.envelope.exponential) {
                (true, _) => "sum",
                (false, true) => "exponential_histogram",
                (false, false) => "histogram",
            },
        );
        map_header(out, if counter { 3 } else { 2 });
        str(out, "data_points");
        array_header(out, self.count);
        out.append(&mut self.points);
        str(out, "aggregation_temporality");
        str(out, if self.envelope.cumulative { "cumulative" } else { "delta" });
        if counter {
            str(out, "is_monotonic");
            bool(out, true);
        }
        self.count = 0;
        *self.records += 1;
    }

    fn event_start(&mut self) {
        let out = &mut *self.out;
        array_header(out, 2);
        array_header(out, 2);
        let time = EventTime::from_unix_nanos(self.envelope.unix_nanos);
        let time = (u64::from(time.seconds) << 32) | u64::from(time.nanos);
        ext(out, 0, &time.to_be_bytes());
        map_header(out, 1);
        str(out, "otlp");
        let resource = self.envelope.resource;
        map_header(out, 4 + u32::from(!resource.is_empty()));
        str(out, "v");
        int(out, 1);
        str(out, "signal");
        str(out, "metric");
        if !resource.is_empty() {
            str(out, "resource");
            out.extend_from_slice(resource);
        }
        str(out, "scope");
        map_header(out, 2);
        str(out, "name");
        str(out, env!("CARGO_PKG_NAME"));
        str(out, "version");
        str(out, env!("CARGO_PKG_VERSION"));
        str(out, "from");
        array_header(out, 2);
        uint(out, self.envelope.position.run);
        uint(out, u64::from(self.envelope.position.after));
    }
}

fn write_buckets(out: &mut Vec<u8>, buckets: &ExportedBuckets) {
    match buckets {
        ExportedBuckets::Explicit { bounds, counts } => {
            str(out, "bucket_counts");
            uints(out, counts);
            str(out, "explicit_bounds");
            array_header(out, u32::try_from(bounds.len()).unwrap_or(0));
            bounds.iter().for_each(|bound| f64(out, *bound));
        }
        ExportedBuckets::Exponential { scale, zero_count, offset, counts } => {
            str(out, "scale");
            int(out, i64::from(*scale));
            str(out, "zero_count");
            uint(out, *zero_count);
            str(out, "positive");
            map_header(out, 2);
            str(out, "offset");
            int(out, i64::from(*offset));
            str(out, "bucket_counts");
            uints(out, counts);
        }
    }
}

fn uints(out: &mut Vec<u8>, numbers: &[u64]) {
    array_header(out, u32::try_from(numbers.len()).unwrap_or(0));
    numbers.iter().for_each(|number| uint(out, *number));
}

fn hex(out: &mut Vec<u8>, id: &[u8]) {
    let text: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    str(out, &text);
}
