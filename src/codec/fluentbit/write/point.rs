//! Point reader: one data point in the host's form, its value, and what has its place in
//! `external`.

use super::capabilities::{MAX_LIST, ReaderCapabilities};
use super::loss::FormatLoss;
use super::scan::{FieldScan, WriteProblem, WriteResult, each, known};
use super::value::{MapHead, OutputBuffer};
use crate::codec::msgpack;
use crate::codec::records::bucket_problem;
use crate::model::listed_enum;

listed_enum! {
    /// The types, with the numbers that they have in the format.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum CmetricsPointKind {
        Counter = 0,
        Gauge = 1,
        Histogram = 2,
        Summary = 3,
        Exponential = 5,
    }
}

impl CmetricsPointKind {
    /// The key that metrics of this type have in `external.otlp.metrics`.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Exponential => "exp_histogram",
        }
    }

    const fn known(self) -> u32 {
        match self {
            Self::Counter | Self::Gauge => known(&[2, 3, 4, 5, 6, 7, 8]),
            Self::Histogram => known(&[2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
            Self::Summary => known(&[2, 3, 4, 5, 6, 7, 8]),
            Self::Exponential => known(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]),
        }
    }

    /// The number of the field with the attributes of a data point.
    pub(super) const fn attributes(self) -> u32 {
        match self {
            Self::Counter | Self::Gauge | Self::Summary => 7,
            Self::Histogram => 9,
            Self::Exponential => 1,
        }
    }

    const fn flags(self) -> usize {
        match self {
            Self::Counter | Self::Gauge | Self::Summary => 8,
            Self::Histogram | Self::Exponential => 10,
        }
    }

    const fn exemplars(self) -> u32 {
        match self {
            Self::Counter | Self::Gauge => 5,
            Self::Histogram => 8,
            Self::Exponential => 11,
            Self::Summary => 0,
        }
    }
}

/// OTLP's flag for a point that says that there is no value.
const NO_RECORDED_VALUE: u64 = 1;
const EXEMPLAR: u32 = known(&[2, 3, 4, 5, 6, 7]);
const BUCKETS: u32 = known(&[1, 2]);
const QUANTILE: u32 = known(&[1, 2]);
/// The largest number up to which doubles tell all whole numbers apart.
const EXACT: u64 = 1 << 53;

/// A data point that was read.
#[derive(Debug, Default)]
pub(super) struct CmetricsPoint {
    pub(super) time: u64,
    pub(super) start: u64,
    /// What the points of one metric share: the bounds of histograms, the quantiles of summaries.
    pub(super) shape: Vec<u64>,
    /// The pairs of the value, and their number.
    pub(super) value: Vec<u8>,
    pub(super) value_pairs: u32,
    /// The map of what has no place in the value.
    pub(super) extra: Vec<u8>,
    /// Whether the map says something that is not the default.
    pub(super) extra_counts: bool,
}

impl CmetricsPoint {
    /// Reads a data point; `out` is a buffer for what is written on the way.
    pub(super) fn read(
        bytes: &[u8],
        kind: CmetricsPointKind,
        capabilities: ReaderCapabilities,
        out: &mut OutputBuffer,
    ) -> WriteResult<Self> {
        let scan = FieldScan::new(bytes, kind.known())?;
        if scan.has_unknown {
            out.losses.add(FormatLoss::UnknownFields);
        }
        let mut point = Self {
            time: scan.fixed64(3)?.unwrap_or(0),
            start: scan.fixed64(2)?.unwrap_or(0),
            ..Self::default()
        };
        let flags = scan.varint32(kind.flags())?;
        let mut extra = Extra::open(out);
        extra.pair_uint(out, "start_time_unix_nano", point.start);
        extra.pair_uint(out, "flags", flags);
        point.extra_counts = flags != 0 || point.start != 0 && !capabilities.typed_points;
        match kind {
            CmetricsPointKind::Counter | CmetricsPointKind::Gauge => {
                point.number(&scan, capabilities, flags, (out, &mut extra))?
            }
            CmetricsPointKind::Histogram => {
                if let Some(problem) = bucket_problem(bytes) {
                    return Err(problem.into());
                }
                point.histogram(&scan, (out, &mut extra))?;
            }
            CmetricsPointKind::Summary => point.summary(&scan)?,
            CmetricsPointKind::Exponential => point.exponential(&scan, (out, &mut extra))?,
        }
        if kind.exemplars() != 0 && scan.has(kind.exemplars() as usize) {
            point.extra_counts = true;
            extra.exemplars(out, &scan, kind.exemplars())?;
        }
        point.extra = extra.close(out);
        Ok(point)
    }

    fn pair(&mut self, key: &str) -> &mut Vec<u8> {
        self.value_pairs = self.value_pairs.saturating_add(1);
        msgpack::str(&mut self.value, key);
        &mut self.value
    }

    fn number(
        &mut self,
        scan: &FieldScan<'_>,
        capabilities: ReaderCapabilities,
        flags: u64,
        (out, extra): (&mut OutputBuffer, &mut Extra),
    ) -> WriteResult {
        // Of the two the one that came last counts, which only their order on the wire tells.
        let integer = match (scan.has(4), scan.has(6)) {
            (true, true) => last_of(scan.message(), 4, 6)? == 6,
            (_, integer) => integer,
        };
        let value = if integer { scan.fixed64(6)? } else { scan.fixed64(4)? };
        let Some(bits) = value else {
            if flags & NO_RECORDED_VALUE == 0 {
                return Err(WriteProblem::Form("a data point has no value"));
            }
            return Ok(());
        };
        if !integer {
            msgpack::f64(self.pair("value"), f64::from_bits(bits));
            extra.pair_text(out, "number_value_case", "double");
            return Ok(());
        }
        let value = bits.cast_signed();
        extra.pair_text(out, "number_value_case", "int");
        msgpack::f64(self.pair("value"), value as f64);
        if capabilities.typed_points {
            msgpack::uint(self.pair("value_type"), 1);
            msgpack::int(self.pair("value_int64"), value);
        } else {
            self.extra_counts = true;
            if value.unsigned_abs() > EXACT {
                out.losses.add(FormatLoss::Precision);
            }
        }
        Ok(())
    }

    fn histogram(
        &mut self,
        scan: &FieldScan<'_>,
        (out, extra): (&mut OutputBuffer, &mut Extra),
    ) -> WriteResult {
        let (mut counts, mut bounds) = (scan.fixed64s(6)?, scan.fixed64s(7)?);
        let count = scan.fixed64(4)?.unwrap_or(0);
        if counts.is_empty() && bounds.is_empty() {
            extra.pair_bool(out, "has_buckets", false);
            self.extra_counts = true;
            counts.push(count);
        }
        if bounds.is_empty() {
            // Readers want a bound; behind this one nothing can be.
            bounds.push(f64::INFINITY.to_bits());
            counts.push(0);
        }
        if counts.len() > MAX_LIST as usize {
            return Err(WriteProblem::Form("a histogram has more than 65535 buckets"));
        }
        let sum = scan.double(5)?;
        extra.pair_bool(out, "has_sum", sum.is_some());
        let (min, max) = (scan.double(11)?, scan.double(12)?);
        extra.min_and_max(out, min, max);
        self.extra_counts |= sum.is_none() || min.is_some() || max.is_some();
        let value = self.pair("histogram");
        msgpack::map_header(value, 3);
        msgpack::str(value, "buckets");
        numbers(value, &counts);
        msgpack::str(value, "sum");
        msgpack::f64(value, sum.unwrap_or(0.0));
        msgpack::str(value, "count");
        msgpack::uint(value, count);
        self.shape = bounds;
        Ok(())
    }

    fn summary(&mut self, scan: &FieldScan<'_>) -> WriteResult {
        let mut values = Vec::new();
        each(scan.message(), 6, |quantile| {
            let scan = FieldScan::new(quantile, QUANTILE)?;
            self.shape.push(scan.fixed64(1)?.unwrap_or(0));
            values.push(scan.fixed64(2)?.unwrap_or(0));
            Ok(())
        })?;
        if values.len() > MAX_LIST as usize {
            return Err(WriteProblem::Form("a summary has more than 65535 quantiles"));
        }
        let (count, sum) = (scan.fixed64(4)?.unwrap_or(0), scan.fixed64(5)?.unwrap_or(0));
        let value = self.pair("summary");
        msgpack::map_header(value, 4);
        msgpack::str(value, "quantiles_set");
        msgpack::uint(value, values.len() as u64);
        msgpack::str(value, "quantiles");
        numbers(value, &values);
        msgpack::str(value, "count");
        msgpack::uint(value, count);
        msgpack::str(value, "sum");
        msgpack::uint(value, sum);
        Ok(())
    }

    fn exponential(
        &mut self,
        scan: &FieldScan<'_>,
        (out, extra): (&mut OutputBuffer, &mut Extra),
    ) -> WriteResult {
        let sum = scan.double(5)?;
        extra.pair_bool(out, "has_sum", sum.is_some());
        let (min, max) = (scan.double(12)?, scan.double(13)?);
        extra.min_and_max(out, min, max);
        self.extra_counts |= sum.is_none() || min.is_some() || max.is_some();
        let sides = [(8, "positive"), (9, "negative")].map(|(number, side)| {
            let buckets = scan.sub(number)?.unwrap_or_default();
            let scan = FieldScan::new(&buckets, BUCKETS)?;
            let counts = scan.varints(2)?;
            if counts.len() > MAX_LIST as usize {
                return Err(WriteProblem::Form("a histogram has more than 65535 buckets"));
            }
            Ok((side, scan.sint(1)?, counts))
        });
        let value = self.pair("exp_histogram");
        msgpack::map_header(value, 10);
        msgpack::str(value, "scale");
        msgpack::int(value, scan.sint(6)?);
        msgpack::str(value, "zero_count");
        msgpack::uint(value, scan.fixed64(7)?.unwrap_or(0));
        msgpack::str(value, "zero_threshold");
        msgpack::f64(value, scan.double(14)?.unwrap_or(0.0));
        for side in sides {
            let (side, offset, counts) = side?;
            msgpack::str(value, &format!("{side}_offset"));
            msgpack::int(value, offset);
            msgpack::str(value, &format!("{side}_buckets"));
            numbers(value, &counts);
        }
        msgpack::str(value, "count");
        msgpack::uint(value, scan.fixed64(4)?.unwrap_or(0));
        msgpack::str(value, "sum_set");
        msgpack::uint(value, u64::from(sum.is_some()));
        msgpack::str(value, "sum");
        msgpack::uint(value, sum.unwrap_or(0.0).to_bits());
        Ok(())
    }
}

fn numbers(out: &mut Vec<u8>, numbers: &[u64]) {
    msgpack::array_header(out, u32::try_from(numbers.len()).unwrap_or(u32::MAX));
    numbers.iter().for_each(|number| msgpack::uint(out, *number));
}

/// Which of two fields came last.
pub(super) fn last_of(message: &[u8], one: u32, other: u32) -> WriteResult<u32> {
    let mut last = one;
    let mut fields = crate::codec::wire::WireFields::new(message);
    while let Some(field) = super::scan::next(&mut fields)? {
        if field.number == one || field.number == other {
            last = field.number;
        }
    }
    Ok(last)
}

/// The map of one data point in `external`, written at the end of a buffer that something else
/// uses before it.
struct Extra {
    start: usize,
    head: MapHead,
    pairs: u32,
}

impl Extra {
    fn open(out: &mut OutputBuffer) -> Self {
        let start = out.bytes.len();
        Self { start, head: MapHead::map(&mut out.bytes, 15), pairs: 0 }
    }

    fn close(self, out: &mut OutputBuffer) -> Vec<u8> {
        self.head.close(&mut out.bytes, self.pairs);
        out.bytes.split_off(self.start)
    }

    fn key(&mut self, out: &mut OutputBuffer, key: &str) {
        self.pairs = self.pairs.saturating_add(1);
        msgpack::str(&mut out.bytes, key);
    }

    fn pair_uint(&mut self, out: &mut OutputBuffer, key: &str, value: u64) {
        self.key(out, key);
        msgpack::uint(&mut out.bytes, value);
    }

    fn pair_text(&mut self, out: &mut OutputBuffer, key: &str, value: &str) {
        self.key(out, key);
        msgpack::str(&mut out.bytes, value);
    }

    fn pair_bool(&mut self, out: &mut OutputBuffer, key: &str, value: bool) {
        self.key(out, key);
        msgpack::bool(&mut out.bytes, value);
    }

    fn min_and_max(&mut self, out: &mut OutputBuffer, min: Option<f64>, max: Option<f64>) {
        for (has, key, value) in [("has_min", "min", min), ("has_max", "max", max)] {
            if let Some(value) = value {
                self.pair_bool(out, has, true);
                self.key(out, key);
                msgpack::f64(&mut out.bytes, value);
            }
        }
    }

    fn exemplars(
        &mut self,
        out: &mut OutputBuffer,
        scan: &FieldScan<'_>,
        number: u32,
    ) -> WriteResult {
        self.key(out, "exemplars");
        let count = scan.count(number as usize);
        if count > MAX_LIST {
            return Err(WriteProblem::Form("a data point has more than 65535 exemplars"));
        }
        msgpack::array_header(&mut out.bytes, count);
        each(scan.message(), number, |exemplar| {
            out.room()?;
            write_exemplar(out, exemplar)
        })
    }
}

fn write_exemplar(out: &mut OutputBuffer, exemplar: &[u8]) -> WriteResult {
    let scan = FieldScan::new(exemplar, EXEMPLAR)?;
    if scan.has_unknown {
        out.losses.add(FormatLoss::UnknownFields);
    }
    let head = MapHead::map(&mut out.bytes, 5);
    msgpack::str(&mut out.bytes, "time_unix_nano");
    msgpack::uint(&mut out.bytes, scan.fixed64(2)?.unwrap_or(0));
    let mut pairs = 1;
    for (key, number) in [("span_id", 4), ("trace_id", 5)] {
        let id = scan.bytes(number)?;
        if !id.is_empty() {
            msgpack::str(&mut out.bytes, key);
            msgpack::bin(&mut out.bytes, id);
            pairs += 1;
        }
    }
    let integer = scan.has(6) && (!scan.has(3) || last_of(exemplar, 3, 6)? == 6);
    if integer {
        msgpack::str(&mut out.bytes, "as_int");
        msgpack::int(&mut out.bytes, scan.fixed64(6)?.unwrap_or(0).cast_signed());
        pairs += 1;
    } else if let Some(value) = scan.double(3)? {
        msgpack::str(&mut out.bytes, "as_double");
        msgpack::f64(&mut out.bytes, value);
        pairs += 1;
    }
    if scan.has(7) {
        msgpack::str(&mut out.bytes, "filtered_attributes");
        out.attributes(exemplar, 7, scan.count(7))?;
        pairs += 1;
    }
    head.close(&mut out.bytes, pairs);
    Ok(())
}
