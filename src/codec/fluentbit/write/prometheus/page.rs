//! Page writer: the families of a request as text, in the format of Prometheus 0.0.4 or in OpenMetrics 1.0.

use std::fmt::Write as _;

use super::super::point::CmetricsPointKind;
use super::exemplar::SeriesExemplar;
use super::family::{FamilyPoint, MetricFamily, SeriesValue};
use super::names::unit_of;
use super::page_memory::PageMemory;

/// The family of what resources say.
const TARGET_INFO: &str = "target_info";

/// The format of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageFormat {
    /// The text format of Prometheus, version 0.0.4, which has no exemplars.
    Prometheus,
    /// `OpenMetrics` 1.0.
    OpenMetrics,
}

/// A page would be larger than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the page would be larger than {0} bytes")]
pub struct TooLarge(pub usize);

/// Writes a page.
pub(super) struct PageWriter<'p> {
    pub(super) format: PageFormat,
    pub(super) memory: &'p mut PageMemory,
    /// How many bytes the page may have.
    pub(super) largest: usize,
    /// Becomes whether it has no more.
    pub(super) fits: &'p mut bool,
}

impl PageWriter<'_> {
    /// Appends the families.
    pub(super) fn write(self, families: &[MetricFamily], out: &mut Vec<u8>) {
        let mut text = String::new();
        for family in families {
            head(&mut text, family, self.format);
            for series in &family.series {
                let is_sum = family.kind != CmetricsPointKind::Gauge;
                let settled = if is_sum { self.memory.settle(&family.name, series) } else { None };
                let told = match &settled {
                    Some((start, value)) => (*start, value),
                    None => (series.point.start, &series.point.value),
                };
                write_series(&mut text, family, &series.point, told, self.format);
                if text.len() > self.largest {
                    *self.fits = false;
                    return;
                }
            }
        }
        self.memory.end_page();
        if self.format == PageFormat::OpenMetrics {
            text.push_str("# EOF\n");
        }
        out.extend_from_slice(text.as_bytes());
    }
}

/// What stands before the samples of a family.
fn head(text: &mut String, family: &MetricFamily, format: PageFormat) {
    let is_open_metrics = format == PageFormat::OpenMetrics;
    let (name, kind) = match (family.kind, is_open_metrics) {
        (CmetricsPointKind::Counter, true) => {
            (family.name.strip_suffix("_total").unwrap_or(&family.name), "counter")
        }
        (CmetricsPointKind::Counter, false) => (&*family.name, "counter"),
        (CmetricsPointKind::Gauge, true) if family.name == TARGET_INFO => ("target", "info"),
        (CmetricsPointKind::Gauge, _) => (&*family.name, "gauge"),
        _ => (&*family.name, "histogram"),
    };
    let _written = writeln!(text, "# TYPE {name} {kind}");
    if let Some(unit) = unit_of(name).filter(|_| is_open_metrics) {
        let _written = writeln!(text, "# UNIT {name} {unit}");
    }
    if !family.description.is_empty() {
        let _written = write!(text, "# HELP {name} ");
        escape(text, &family.description, is_open_metrics);
        text.push('\n');
    }
}

/// Writes the samples of a series with this start and value.
fn write_series(
    text: &mut String,
    family: &MetricFamily,
    point: &FamilyPoint,
    (start, value): (u64, &SeriesValue),
    format: PageFormat,
) {
    let mut labels = String::new();
    for (name, value) in &point.labels {
        let _written = write!(labels, "{}{name}=\"", if labels.is_empty() { "" } else { "," });
        escape(&mut labels, value, true);
        labels.push('"');
    }
    let exemplar = |low: f64, high: f64| {
        let of_bucket = point.exemplars.iter().filter(|it| it.value > low && it.value <= high);
        of_bucket.max_by_key(|it| it.unix_nanos).filter(|_| format == PageFormat::OpenMetrics)
    };
    let mut sample = |suffix: &str, bound: Option<f64>, value: f64, exemplar| {
        text.push_str(&family.name);
        text.push_str(suffix);
        if bound.is_some() || !labels.is_empty() {
            let _written = write!(text, "{{{labels}");
            if let Some(bound) = bound {
                text.push_str(if labels.is_empty() { "le=\"" } else { ",le=\"" });
                number(text, bound);
                text.push('"');
            }
            text.push('}');
        }
        text.push(' ');
        number(text, value);
        write_exemplar(text, exemplar);
        text.push('\n');
    };
    let all = (f64::NEG_INFINITY, f64::INFINITY);
    match value {
        SeriesValue::Number(value) => sample("", None, *value, exemplar(all.0, all.1)),
        SeriesValue::Histogram { up_to, sum } => {
            let bounds = family.bounds(point.shape).iter().map(|bits| f64::from_bits(*bits));
            let mut below = all.0;
            for (count, bound) in up_to.iter().zip(bounds.chain([all.1])) {
                sample("_bucket", Some(bound), *count as f64, exemplar(below, bound));
                below = bound;
            }
            sample("_count", None, up_to.last().copied().unwrap_or(0) as f64, None);
            sample("_sum", None, *sum, None);
        }
    }
    let has_start = format == PageFormat::OpenMetrics && family.kind != CmetricsPointKind::Gauge;
    if has_start && start > 0 {
        text.push_str(family.name.strip_suffix("_total").unwrap_or(&family.name));
        text.push_str("_created");
        if !labels.is_empty() {
            let _written = write!(text, "{{{labels}}}");
        }
        text.push(' ');
        write_time(text, start);
        text.push('\n');
    }
}

fn write_exemplar(text: &mut String, exemplar: Option<&SeriesExemplar>) {
    let Some(SeriesExemplar { value, unix_nanos, trace, span }) = exemplar else { return };
    let _written = write!(text, " # {{trace_id=\"{trace:?}\",span_id=\"{span:?}\"}} ");
    number(text, *value);
    if *unix_nanos > 0 {
        text.push(' ');
        write_time(text, *unix_nanos);
    }
}

/// Writes a time as seconds since the Unix epoch, to the millisecond.
fn write_time(text: &mut String, unix_nanos: u64) {
    let (seconds, rest) = (unix_nanos / 1_000_000_000, unix_nanos % 1_000_000_000);
    let _written = write!(text, "{seconds}.{:03}", rest / 1_000_000);
}

/// A number as both formats have it; whole ones with a point, as bounds of buckets are written in `OpenMetrics`.
fn number(text: &mut String, number: f64) {
    match number {
        f64::INFINITY => text.push_str("+Inf"),
        f64::NEG_INFINITY => text.push_str("-Inf"),
        number => {
            let _written = write!(text, "{number:?}");
        }
    }
}

/// Text with escapes; quotes have one in labels, and in the help of `OpenMetrics`.
fn escape(out: &mut String, text: &str, quotes: bool) {
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            letter => out.push(letter),
        }
    }
}
