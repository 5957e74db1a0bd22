//! Writer of metrics for the host's Prometheus outputs: `ExportMetricsServiceRequest` to one `CMetrics`
//! context.
//!
//! The host's `prometheus_exporter` and `prometheus_remote_write` write names and counts as they are in a
//! context, and the exporter shows what one chunk has. So all series of a request go into one context, in
//! the form that Prometheus takes: names and labels by the rules of OpenTelemetry, one metric for each name,
//! buckets that count what is below them as well, and the service in `job`, `instance` and `target_info`.

mod exemplar;
mod family;
mod labels;
mod names;
mod page;
mod page_memory;

use std::collections::HashMap;

use foldhash::fast::RandomState;

use self::family::{FamilyPoint, MetricFamily, SeriesValue};
use self::labels::Target;
use self::names::NamedAs;
use self::page::PageWriter;
pub use self::page::{PageFormat, TooLarge};
pub use self::page_memory::PageMemory;
use super::capabilities::{MAX_LIST, ReaderCapabilities};
use super::cmetrics::data;
use super::point::CmetricsPointKind;
use super::scan::{FieldScan, WriteProblem, WriteResult, count, each, known};
use super::value::{OutputBuffer, utf8};
use super::walk::{self, ContextEnvelope, ItemSink};
use crate::codec::msgpack;
use crate::codec::records::{DecodeError, DecodeKind, Transcoded, bucket_problem};

const METRIC: u32 = known(&[1, 2, 3, 5, 7, 9, 10, 11, 12]);
const CONTENT: u32 = known(&[1, 2, 3]);
const POINT: u32 = known(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
const DELTA: u64 = 1;
/// How long a label may be, in bytes: what Mimir takes by default.
const LONGEST_LABEL: usize = 2048;

/// Appends the metrics of an `ExportMetricsServiceRequest` to `out` as one context for Prometheus.
///
/// Sums and histograms are cumulative, and histograms have explicit buckets; what is not, or is not valid, is
/// left out and counted. Points whose labels are the same in Prometheus are added up.
///
/// # Errors
/// The request itself, a `ResourceMetrics` or a `ScopeMetrics` is not valid; nothing is appended.
pub fn metrics_to_prometheus(
    request: &[u8],
    out: &mut Vec<u8>,
    capabilities: ReaderCapabilities,
) -> Result<super::written::WrittenRequest, DecodeError> {
    let longest = capabilities.metric_text().min(LONGEST_LABEL);
    walk::write(request, out, |out| {
        PrometheusContext::new(out, WrittenForm::Native(capabilities), longest)
    })
}

/// The metrics of an `ExportMetricsServiceRequest` as a page of at most `largest` bytes, or of none where the request,
/// a `ResourceMetrics` or a `ScopeMetrics` is not valid.
///
/// Names, labels and values are those of [`metrics_to_prometheus`], and so is what is left out.
///
/// # Errors
/// The page would be too large.
pub fn metrics_to_page(
    request: &[u8],
    format: PageFormat,
    memory: &mut PageMemory,
    largest: usize,
) -> Result<Vec<u8>, TooLarge> {
    let (mut out, mut fits) = (Vec::new(), true);
    let page = PageWriter { format, memory, largest, fits: &mut fits };
    let written = walk::write(request, &mut out, |out| {
        PrometheusContext::new(out, WrittenForm::Page(page), LONGEST_LABEL)
    });
    match (written, fits) {
        (_, false) => Err(TooLarge(largest)),
        (Ok(_), true) => Ok(out),
        (Err(_), true) => Ok(Vec::new()),
    }
}

/// What the families are written as.
enum WrittenForm<'p> {
    /// A context of the host's, for what its readers take.
    Native(ReaderCapabilities),
    /// A page.
    Page(PageWriter<'p>),
}

/// The context that is being collected.
struct PrometheusContext<'p> {
    out: OutputBuffer,
    form: WrittenForm<'p>,
    /// How long a name, a label or a description may be, in bytes.
    longest: usize,
    target: Target,
    families: Vec<MetricFamily>,
    index: HashMap<String, usize, RandomState>,
}

impl<'p> PrometheusContext<'p> {
    fn new(out: OutputBuffer, form: WrittenForm<'p>, longest: usize) -> Self {
        let (families, index) = (Vec::new(), HashMap::default());
        Self { out, form, longest, target: Target::default(), families, index }
    }

    /// The family of this name, which may hold other things already.
    fn family(
        &mut self,
        name: String,
        description: &str,
        kind: CmetricsPointKind,
    ) -> WriteResult<&mut MetricFamily> {
        let index = match self.index.get(&name) {
            Some(index) => *index,
            None => {
                self.index.insert(name.clone(), self.families.len());
                self.families.push(MetricFamily::new(name, description.to_owned(), kind));
                self.families.len().saturating_sub(1)
            }
        };
        let family = self.families.get_mut(index);
        family
            .filter(|family| family.kind == kind)
            .ok_or(WriteProblem::Form("two metrics of different types have one name in Prometheus"))
    }

    fn add_target_info(&mut self, unix_nanos: u64) -> WriteResult {
        let Some(labels) = self.target.info.take() else { return Ok(()) };
        let family =
            self.family("target_info".to_owned(), "Target metadata", CmetricsPointKind::Gauge)?;
        family.set(labels, unix_nanos);
        Ok(())
    }

    fn point(
        &mut self,
        bytes: &[u8],
        (name, description, kind): (&str, &str, CmetricsPointKind),
    ) -> WriteResult<u64> {
        let scan = FieldScan::new(bytes, POINT)?;
        let labels = labels::of_point(
            bytes,
            kind.attributes(),
            &self.target.service,
            self.longest,
            &mut self.out.losses,
        )?;
        let unix_nanos = scan.fixed64(3)?.unwrap_or(0);
        let start = scan.fixed64(2)?.unwrap_or(0);
        let (value, bounds) = match kind {
            CmetricsPointKind::Histogram => histogram(bytes, &scan)?,
            _ => (number(&scan)?, Vec::new()),
        };
        let exemplars = match &self.form {
            WrittenForm::Page(_) => exemplar::of_point(bytes, kind)?,
            WrittenForm::Native(_) => Vec::new(),
        };
        let is_native = matches!(self.form, WrittenForm::Native(_));
        let family = self.family(name.to_owned(), description, kind)?;
        let shape = family.shape(bounds);
        if shape > 0 && is_native {
            return Err(WriteProblem::Form("the histograms of one name have different bounds"));
        }
        if family.len() >= MAX_LIST as usize {
            return Err(WriteProblem::Form("a metric has more than 65535 series"));
        }
        if !family.add(FamilyPoint { labels, start, unix_nanos, value, exemplars, shape }) {
            return Err(WriteProblem::Form("the histograms of one series have different bounds"));
        }
        Ok(unix_nanos)
    }
}

impl ItemSink for PrometheusContext<'_> {
    const NAMES: [&'static str; 3] = ["resource_metrics", "scope_metrics", "metrics"];

    fn resource(&mut self, resource: &ContextEnvelope<'_>) -> WriteResult {
        self.target = Target::default();
        if let Some(header) = &resource.header {
            self.target = labels::target(header, 1, self.longest, &mut self.out.losses)?;
        }
        Ok(())
    }

    fn scope(&mut self, _: &ContextEnvelope<'_>) -> WriteResult {
        Ok(())
    }

    fn item(&mut self, item: &[u8], done: &mut Transcoded) -> WriteResult<usize> {
        let metric = FieldScan::new(item, METRIC)?;
        let Some(number) = data(item)? else { return Ok(0) };
        let content = metric.sub(number as usize)?.unwrap_or_default();
        let scan = FieldScan::new(&content, CONTENT)?;
        let is_monotonic = number == 7 && scan.varint(3)? != 0;
        if matches!(number, 7 | 9 | 10) && scan.varint32(2)? == DELTA {
            return Err(WriteProblem::Form("Prometheus has no delta temporality"));
        }
        let (kind, named_as) = match number {
            7 if is_monotonic => (CmetricsPointKind::Counter, NamedAs::Counter),
            5 | 7 => (CmetricsPointKind::Gauge, NamedAs::Gauge),
            9 => (CmetricsPointKind::Histogram, NamedAs::Histogram),
            _ => {
                return Err(WriteProblem::Form("only numbers and explicit histograms are written"));
            }
        };
        let unit = utf8(metric.bytes(3)?)?;
        let name = names::metric_name(utf8(metric.bytes(1)?)?, unit, named_as);
        let longest = self.longest;
        if name.is_empty() || name.len() > longest {
            return Err(WriteProblem::Form("a metric has no name, or one that is too long"));
        }
        let description = utf8(metric.bytes(2)?)?;
        let description = description.get(..description.floor_char_boundary(longest));
        let description = description.unwrap_or_default().replace('\0', " ");
        let (mut items, mut latest) = (0_usize, 0);
        each(&content, 1, |point| {
            match self.point(point, (&name, &description, kind)) {
                Ok(unix_nanos) => {
                    items = items.saturating_add(1);
                    latest = unix_nanos.max(latest);
                }
                Err(problem) => {
                    done.rejected = done.rejected.saturating_add(1);
                    done.reason.get_or_insert_with(|| format!("metric {name:?}: {problem}"));
                }
            }
            Ok(())
        })?;
        if items > 0 {
            self.add_target_info(latest)?;
        }
        Ok(items)
    }

    fn count_invalid(&self, item: &[u8]) -> usize {
        let points = data(item).ok().flatten().and_then(|number| {
            let content = FieldScan::new(item, METRIC).ok()?.sub(number as usize).ok()??;
            usize::try_from(count(&content, 1).ok()?).ok()
        });
        points.unwrap_or(1)
    }

    fn scope_end(&mut self) {}

    fn resource_end(&mut self) {}

    fn end(mut self) -> (OutputBuffer, usize) {
        let capabilities = match self.form {
            WrittenForm::Native(capabilities) => capabilities,
            WrittenForm::Page(page) => {
                page.write(&self.families, &mut self.out.bytes);
                return (self.out, 0);
            }
        };
        if self.families.is_empty() {
            return (self.out, 0);
        }
        let out = &mut self.out.bytes;
        msgpack::map_header(out, 2);
        msgpack::str(out, "meta");
        msgpack::map_header(out, 3);
        for key in ["cmetrics", "external"] {
            msgpack::str(out, key);
            msgpack::map_header(out, 0);
        }
        msgpack::str(out, "processing");
        msgpack::map_header(out, 1);
        msgpack::str(out, "static_labels");
        msgpack::array_header(out, 0);
        msgpack::str(out, "metrics");
        msgpack::array_header(out, u32::try_from(self.families.len()).unwrap_or(u32::MAX));
        self.families.iter().for_each(|family| family.write(out, capabilities));
        (self.out, 1)
    }
}

fn number(scan: &FieldScan<'_>) -> WriteResult<SeriesValue> {
    let value = match (scan.fixed64(6)?, scan.double(4)?) {
        (Some(bits), _) => bits.cast_signed() as f64,
        (None, Some(value)) => value,
        (None, None) => return Err(WriteProblem::Form("a data point has no value")),
    };
    Ok(SeriesValue::Number(value))
}

/// A histogram's value and its bounds.
fn histogram(point: &[u8], scan: &FieldScan<'_>) -> WriteResult<(SeriesValue, Vec<u64>)> {
    if let Some(problem) = bucket_problem(point) {
        return Err(problem.into());
    }
    let (counts, bounds) = (scan.fixed64s(6)?, scan.fixed64s(7)?);
    if counts.is_empty() || bounds.is_empty() {
        return Err(WriteProblem::Form("a histogram has no buckets"));
    }
    if counts.len() > MAX_LIST as usize {
        return Err(WriteProblem::Form("a histogram has more than 65535 buckets"));
    }
    let mut up_to = Vec::with_capacity(counts.len());
    let mut below = 0_u64;
    for count in counts {
        below = below.checked_add(count).ok_or(WriteProblem::Otlp(DecodeKind::Growth))?;
        up_to.push(below);
    }
    Ok((SeriesValue::Histogram { up_to, sum: scan.double(5)?.unwrap_or(0.0) }, bounds))
}

#[cfg(test)]
mod page_tests;
#[cfg(test)]
mod tests;
