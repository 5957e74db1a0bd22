//! Writer of metrics: `ExportMetricsServiceRequest` to `CMetrics` contexts.

use std::borrow::Cow;
use std::collections::HashSet;

use super::capabilities::{MAX_KEY, MAX_LIST, ReaderCapabilities};
use super::external;
use super::group::{PointGroup, PointGroups, other_hash, series_hash};
use super::label::{self, PointLabel};
use super::loss::FormatLoss;
use super::point::{CmetricsPoint, CmetricsPointKind};
use super::scan::{FieldScan, WriteProblem, WriteResult, count, each, known, next};
use super::value::{MapHead, OutputBuffer, utf8};
use super::walk::{self, ContextEnvelope, ItemSink};
use crate::codec::msgpack;
use crate::codec::otlp::METRIC_DATA;
use crate::codec::records::{DecodeError, DecodeKind, Transcoded};
use crate::codec::wire::WireFields;

const METRIC: u32 = known(&[1, 2, 3, 5, 7, 9, 10, 11, 12]);
const CONTENT: u32 = known(&[1, 2, 3]);
/// What the host writes for a description that is empty.
const NO_DESCRIPTION: &str = "-";

type Set<T> = HashSet<T, foldhash::fast::RandomState>;

/// Appends the metrics of an `ExportMetricsServiceRequest` to `out` as `CMetrics`: a context for
/// each scope, or several where two metrics of a scope have the same name.
///
/// A data point that is not valid, or that the form has no place for, is left out and counted;
/// those beside it are kept. A metric without data points is not kept.
///
/// # Errors
/// The request itself, a `ResourceMetrics` or a `ScopeMetrics` is not valid; nothing is appended.
pub fn metrics_to_cmetrics(
    request: &[u8],
    out: &mut Vec<u8>,
    capabilities: ReaderCapabilities,
) -> Result<super::written::WrittenRequest, DecodeError> {
    walk::write(request, out, |out| Metrics {
        out,
        capabilities,
        resource: (Vec::new(), 0),
        scope: (Vec::new(), 0),
        context: Context::default(),
        contexts: 0,
    })
}

/// A context that is being collected; its parts are put together when it ends.
#[derive(Debug, Default)]
struct Context {
    metrics: Vec<u8>,
    count: u32,
    /// The metrics' maps in `external.otlp.metrics`, by type, and their numbers.
    extras: [(Vec<u8>, u32); CmetricsPointKind::ALL.len()],
    names: Set<(usize, String)>,
}

struct Metrics {
    out: OutputBuffer,
    capabilities: ReaderCapabilities,
    /// Pairs of `external`, and their number.
    resource: (Vec<u8>, u32),
    scope: (Vec<u8>, u32),
    context: Context,
    contexts: usize,
}

/// What is known of a metric before its points.
struct Outline<'a> {
    kind: CmetricsPointKind,
    name: String,
    description: Cow<'a, str>,
    unit: Cow<'a, str>,
    temporality: u64,
    /// A sum that is not monotonic, which is a gauge to the host.
    up_and_down: bool,
}

impl Metrics {
    /// Puts the context together, if there is a metric in it.
    fn end_context(&mut self) {
        let context = std::mem::take(&mut self.context);
        if context.count == 0 {
            return;
        }
        self.contexts = self.contexts.saturating_add(1);
        let out = &mut self.out.bytes;
        msgpack::map_header(out, 2);
        msgpack::str(out, "meta");
        msgpack::map_header(out, 3);
        msgpack::str(out, "cmetrics");
        msgpack::map_header(out, 1);
        msgpack::str(out, "producer");
        msgpack::str(out, "opentelemetry");
        let kinds = context.extras.iter().filter(|(_, count)| *count > 0).count();
        let kinds = u32::try_from(kinds).unwrap_or(0);
        msgpack::str(out, "external");
        let pairs = self.resource.1.saturating_add(self.scope.1);
        msgpack::map_header(out, pairs.saturating_add(u32::from(kinds > 0)));
        out.extend_from_slice(&self.scope.0);
        out.extend_from_slice(&self.resource.0);
        if kinds > 0 {
            msgpack::str(out, "otlp");
            msgpack::map_header(out, 1);
            msgpack::str(out, "metrics");
            msgpack::map_header(out, kinds);
            for (kind, (extras, count)) in CmetricsPointKind::ALL.iter().zip(&context.extras) {
                if *count > 0 {
                    msgpack::str(out, kind.key());
                    msgpack::map_header(out, *count);
                    out.extend_from_slice(extras);
                }
            }
        }
        msgpack::str(out, "processing");
        msgpack::map_header(out, 1);
        msgpack::str(out, "static_labels");
        msgpack::array_header(out, 0);
        msgpack::str(out, "metrics");
        msgpack::array_header(out, context.count);
        out.extend_from_slice(&context.metrics);
    }

    fn head<'a>(
        &mut self,
        scan: &FieldScan<'a>,
        number: u32,
        content: &FieldScan<'_>,
    ) -> WriteResult<Outline<'a>> {
        let longest = self.capabilities.metric_text();
        let losses = &mut self.out.losses;
        let name = label::clean(Cow::Borrowed(utf8(scan.bytes(1)?)?), losses).into_owned();
        if name.is_empty() {
            return Err(WriteProblem::Form("a metric has no name"));
        }
        if name.len() > longest {
            return Err(WriteProblem::Form(
                "the name is longer than the 1024 bytes that this release of Fluent Bit takes",
            ));
        }
        let mut text = |number| -> WriteResult<Cow<'a, str>> {
            let text = label::clean(Cow::Borrowed(utf8(scan.bytes(number)?)?), losses);
            if text.len() <= longest {
                return Ok(text);
            }
            losses.add(FormatLoss::TextLength);
            let kept = text.get(..text.floor_char_boundary(longest)).unwrap_or_default();
            Ok(Cow::Owned(kept.to_owned()))
        };
        let (description, unit) = (text(2)?, text(3)?);
        let up_and_down = number == 7 && content.varint(3)? == 0;
        let kind = match number {
            7 if !up_and_down => CmetricsPointKind::Counter,
            5 | 7 => CmetricsPointKind::Gauge,
            9 => CmetricsPointKind::Histogram,
            10 => CmetricsPointKind::Exponential,
            _ => CmetricsPointKind::Summary,
        };
        let temporality = match number {
            7 | 9 | 10 => content.varint32(2)?,
            _ => 0,
        };
        // Readers take no number that OTLP does not have.
        let temporality = if temporality > 2 { 0 } else { temporality };
        Ok(Outline { kind, name, description, unit, temporality, up_and_down })
    }

    /// Writes the points of a metric into groups, and their places in `external` into `extras`.
    fn points(
        &mut self,
        content: &[u8],
        head: &Outline<'_>,
        done: &mut Transcoded,
    ) -> WriteResult<(PointGroups, Vec<u8>, u32, usize)> {
        let mut groups = PointGroups::default();
        let (mut extras, mut entries, mut items) = (Vec::new(), 0_u32, 0_usize);
        let mut seen: Set<(u64, u64)> = Set::default();
        let mut index = 0_usize;
        each(content, 1, |bytes| {
            let mark = self.out.bytes.len();
            let taken = self.out.bytes.len().saturating_add(self.context.metrics.len());
            let taken = taken.saturating_add(extras.len());
            let written = self.point(bytes, head, (&mut groups, &mut extras), &mut seen, taken);
            self.out.bytes.truncate(mark);
            match written {
                Ok(detailed) => {
                    items = items.saturating_add(1);
                    entries = entries.saturating_add(u32::from(detailed));
                }
                Err(problem) => {
                    done.rejected = done.rejected.saturating_add(1);
                    let name = head.name.get(..head.name.floor_char_boundary(64)).unwrap_or("");
                    done.reason.get_or_insert_with(|| {
                        format!("metric {name:?}, data_points[{index}]: {problem}")
                    });
                }
            }
            index = index.saturating_add(1);
            Ok(())
        })?;
        Ok((groups, extras, entries, items))
    }

    /// Writes one point; says whether it has a place in `external`.
    fn point(
        &mut self,
        bytes: &[u8],
        head: &Outline<'_>,
        (groups, extras): (&mut PointGroups, &mut Vec<u8>),
        seen: &mut Set<(u64, u64)>,
        taken: usize,
    ) -> WriteResult<bool> {
        if taken > self.out.limit {
            return Err(DecodeKind::Growth.into());
        }
        if head.kind == CmetricsPointKind::Exponential && !self.capabilities.typed_points {
            return Err(WriteProblem::Form(
                "exponential histograms need Fluent Bit 5.0 or later, or `format: records`",
            ));
        }
        let longest = self.capabilities.metric_text();
        let labels = label::labels(bytes, head.kind.attributes(), longest, &mut self.out.losses)?;
        if labels.len() > MAX_LIST as usize {
            return Err(WriteProblem::Form("a data point has more than 65535 attributes"));
        }
        let point = CmetricsPoint::read(bytes, head.kind, self.capabilities, &mut self.out)?;
        let (hash, alone) = self.hash(&head.name, &labels, point.time, seen);
        groups.add(&point, &labels, hash, self.capabilities);
        let fits = alone && head.name.len() <= MAX_KEY;
        if !fits && point.extra_counts {
            self.out.losses.add(FormatLoss::PointDetails);
        }
        let detailed = fits && (point.extra_counts || self.capabilities.typed_points);
        if detailed {
            msgpack::str(extras, &format!("{hash:x}:{}", point.time));
            extras.extend_from_slice(&point.extra);
        }
        Ok(detailed)
    }

    /// The hash of a point's series, and whether no other point has it at the same time.
    fn hash(
        &self,
        name: &str,
        labels: &[PointLabel<'_>],
        time: u64,
        seen: &mut Set<(u64, u64)>,
    ) -> (u64, bool) {
        let hash = series_hash(name, labels);
        if seen.insert((hash, time)) {
            return (hash, true);
        }
        if labels.is_empty() {
            return (hash, false);
        }
        let other = other_hash(name, labels);
        (other, seen.insert((other, time)))
    }

    /// Writes a metric of the host's for each group.
    fn write(&mut self, head: &Outline<'_>, groups: PointGroups) {
        for group in groups.0 {
            if self.context.count >= MAX_LIST {
                self.end_context();
            }
            self.context.count = self.context.count.saturating_add(1);
            write_metric(&mut self.context.metrics, head, &group, self.capabilities);
        }
    }

    /// Writes what the metric itself has in `external`.
    fn write_extras(
        &mut self,
        head: &Outline<'_>,
        metric: &FieldScan<'_>,
        (points, entries): (Vec<u8>, u32),
    ) -> WriteResult {
        let capabilities = self.capabilities;
        let temporality = head.up_and_down
            || matches!(head.kind, CmetricsPointKind::Histogram | CmetricsPointKind::Exponential)
                && !capabilities.histogram_temporality;
        let unit = !head.unit.is_empty() && !capabilities.units;
        let metadata = metric.has(12);
        if entries == 0 && !temporality && !unit && !metadata {
            return Ok(());
        }
        if head.name.len() > MAX_KEY {
            self.out.losses.add(FormatLoss::PointDetails);
            return Ok(());
        }
        let (name, unit_text) = (head.name.as_str(), head.unit.as_ref());
        let (up_and_down, stated) = (head.up_and_down, head.temporality);
        let mut bytes = Vec::new();
        self.out.aside(&mut bytes, |out| {
            msgpack::str(&mut out.bytes, name);
            let map = MapHead::map(&mut out.bytes, 5);
            let mut pairs = 0;
            let mut key = |out: &mut OutputBuffer, key: &str| {
                msgpack::str(&mut out.bytes, key);
                pairs += 1;
            };
            if entries > 0 {
                key(out, "datapoints");
                msgpack::map_header(&mut out.bytes, entries);
                out.bytes.extend_from_slice(&points);
            }
            if metadata {
                key(out, "metadata");
                out.attributes(metric.message(), 12, metric.count(12))?;
            }
            if up_and_down {
                key(out, "is_monotonic");
                msgpack::bool(&mut out.bytes, false);
            }
            if temporality {
                key(out, "aggregation_temporality");
                msgpack::uint(&mut out.bytes, stated);
            }
            if unit {
                key(out, "unit");
                msgpack::str(&mut out.bytes, unit_text);
            }
            map.close(&mut out.bytes, pairs);
            Ok(())
        })?;
        let index = CmetricsPointKind::ALL.iter().position(|kind| *kind == head.kind).unwrap_or(0);
        if let Some((extras, count)) = self.context.extras.get_mut(index) {
            extras.extend_from_slice(&bytes);
            *count = count.saturating_add(1);
        }
        Ok(())
    }
}

impl ItemSink for Metrics {
    const NAMES: [&'static str; 3] = ["resource_metrics", "scope_metrics", "metrics"];

    fn resource(&mut self, resource: &ContextEnvelope<'_>) -> WriteResult {
        let (pairs, count) = &mut self.resource;
        *count = self.out.aside(pairs, |out| external::resource(out, resource))?;
        Ok(())
    }

    fn scope(&mut self, scope: &ContextEnvelope<'_>) -> WriteResult {
        let capabilities = self.capabilities;
        let (pairs, count) = &mut self.scope;
        *count = self.out.aside(pairs, |out| external::scope(out, scope, capabilities))?;
        Ok(())
    }

    fn item(&mut self, item: &[u8], done: &mut Transcoded) -> WriteResult<usize> {
        self.out.room()?;
        let metric = FieldScan::new(item, METRIC)?;
        if metric.has_unknown {
            self.out.losses.add(FormatLoss::UnknownFields);
        }
        let Some(number) = data(item)? else { return Ok(0) };
        let content = metric.sub(number as usize)?.unwrap_or_default();
        let head = self.head(&metric, number, &FieldScan::new(&content, CONTENT)?)?;
        let name = (head.kind as usize, head.name.clone());
        if self.context.names.contains(&name) {
            self.end_context();
        }
        let before = (done.rejected, done.reason.clone());
        let (groups, extras, entries, items) = self.points(&content, &head, done)?;
        if items == 0 {
            return Ok(0);
        }
        if let Err(problem) = self.write_extras(&head, &metric, (extras, entries)) {
            // All points of the metric are rejected, which counts them.
            (done.rejected, done.reason) = before;
            return Err(problem);
        }
        self.write(&head, groups);
        self.context.names.insert(name);
        Ok(items)
    }

    fn count_invalid(&self, item: &[u8]) -> usize {
        let content = data(item).ok().flatten().and_then(|number| {
            let metric = FieldScan::new(item, METRIC).ok()?;
            let content = metric.sub(number as usize).ok()??;
            usize::try_from(count(&content, 1).ok()?).ok()
        });
        content.unwrap_or(1)
    }

    fn scope_end(&mut self) {
        self.end_context();
    }

    fn resource_end(&mut self) {}

    fn end(self) -> (OutputBuffer, usize) {
        (self.out, self.contexts)
    }
}

/// The field with the data points that counts: the last one.
pub(super) fn data(metric: &[u8]) -> WriteResult<Option<u32>> {
    let mut last = None;
    let mut fields = WireFields::new(metric);
    while let Some(field) = next(&mut fields)? {
        if METRIC_DATA.contains(&field.number) {
            last = Some(field.number);
        }
    }
    Ok(last)
}

fn write_metric(
    out: &mut Vec<u8>,
    head: &Outline<'_>,
    group: &PointGroup,
    capabilities: ReaderCapabilities,
) {
    let doubles = |out: &mut Vec<u8>| {
        msgpack::array_header(out, u32::try_from(group.shape.len()).unwrap_or(u32::MAX));
        group.shape.iter().for_each(|bits| msgpack::f64(out, f64::from_bits(*bits)));
    };
    let histogram =
        matches!(head.kind, CmetricsPointKind::Histogram | CmetricsPointKind::Exponential);
    let temporality =
        head.kind == CmetricsPointKind::Counter || histogram && capabilities.histogram_temporality;
    let shaped = matches!(head.kind, CmetricsPointKind::Histogram | CmetricsPointKind::Summary);
    msgpack::map_header(out, 2);
    msgpack::str(out, "meta");
    msgpack::map_header(out, 4 + u32::from(temporality) + u32::from(shaped));
    msgpack::str(out, "ver");
    msgpack::uint(out, 2);
    msgpack::str(out, "type");
    msgpack::uint(out, head.kind as u64);
    msgpack::str(out, "opts");
    msgpack::map_header(out, 4 + u32::from(capabilities.units));
    let description =
        if head.description.is_empty() { NO_DESCRIPTION } else { head.description.as_ref() };
    let opts = [("ns", ""), ("ss", ""), ("name", &head.name), ("desc", description)];
    for (key, text) in
        opts.into_iter().chain(capabilities.units.then_some(("unit", head.unit.as_ref())))
    {
        msgpack::str(out, key);
        msgpack::str(out, text);
    }
    msgpack::str(out, "labels");
    msgpack::array_header(out, u32::try_from(group.labels.len()).unwrap_or(u32::MAX));
    group.labels.iter().for_each(|label| msgpack::str(out, label));
    match head.kind {
        CmetricsPointKind::Histogram => {
            msgpack::str(out, "buckets");
            doubles(out);
        }
        CmetricsPointKind::Summary => {
            msgpack::str(out, "quantiles");
            doubles(out);
        }
        _ => {}
    }
    if temporality {
        msgpack::str(out, "aggregation_type");
        msgpack::uint(out, head.temporality);
    }
    msgpack::str(out, "values");
    msgpack::array_header(out, group.count);
    group.write_values(out);
}
