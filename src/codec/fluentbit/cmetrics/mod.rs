//! Reader of `CMetrics` contexts: the metrics that Fluent Bit's own inputs, filters and processors
//! write.
//!
//! There are five generations of the layout, all of which say `"ver": 2`:
//!
//! | Fluent Bit | what it added |
//! |---|---|
//! | 3.0.0 | counters, gauges, histograms, summaries, untyped metrics |
//! | 5.0.0 | exponential histograms, `start_ts`, integer values, `external.otlp` |
//! | 5.0.1 | the unit |
//! | 5.0.5 | labels that are nil, for "this point does not have the label" |
//! | 5.1.0 | `aggregation_type` of histograms |
//!
//! They are told apart by their keys alone. What the format does not have cannot come back: all
//! counters are monotonic sums, because `is_monotonic` is not in it, and all attributes of data
//! points are text.

mod context_header;
mod external;
mod metric;
mod metric_writer;
mod point;

use self::context_header::ContextHeader;
use self::external::{ExternalMap, MetricScope};
use self::metric::CmetricsMetric;
use super::context_reader::{NativeRequest, read_chunk};
use super::fields;
use super::tally::{AtField, ReadPosition, ReadProblem, ReadTally};
use crate::codec::msgpack::MapView;
use crate::codec::wire;

/// Reads a chunk of `CMetrics` contexts into one `ExportMetricsServiceRequest`.
///
/// - A metric without any point is left out.
/// - The temporality of a counter or histogram that does not say it is cumulative, as everything
///   that Fluent Bit measures or scrapes itself is; but one that came in by OTLP and says
///   "unspecified" stays so.
/// - An untyped metric is a gauge.
/// - Histograms that Fluent Bit measures or scrapes itself have cumulative bucket counts, as in
///   Prometheus; they are recognised by that and become counts per bucket. Those that came in by
///   OTLP are left as they are.
/// - The description `"-"`, which the OTLP input writes for an empty one, is empty again.
///
/// What cannot be read is skipped as narrowly as possible and counted.
#[must_use]
pub fn cmetrics_to_otlp(chunk: &[u8]) -> NativeRequest {
    read_chunk(chunk, context)
}

fn context(
    out: &mut Vec<u8>,
    raw: &[u8],
    position: ReadPosition,
    tally: &mut ReadTally,
) -> Result<(), ReadProblem> {
    let map = MapView::new(raw);
    let metrics = map.get(b"metrics").ok_or(ReadProblem::new("metrics", "is missing"))?;
    let meta = MapView::new(map.get(b"meta").unwrap_or_default());
    let part = |key: &[u8]| meta.get(key).unwrap_or_default();
    let external = ExternalMap::read(part(b"external"), position, tally);
    let shared = ContextHeader::new(meta, external, position, tally);
    let mut placed = Vec::new();
    for (index, raw) in fields::list(metrics).at("metrics")?.enumerate() {
        let position = position.with("metrics", index);
        match CmetricsMetric::read(raw, &shared, position, tally) {
            Ok(metric) => placed.push((metric.scope, metric, position)),
            Err(bad) => tally.skip(position, bad),
        }
    }
    placed.sort_by_key(|(scope, ..)| *scope);
    let mut placed = placed.as_slice();
    for resource in &shared.external.resources {
        let (length, points) = (out.len(), tally.items);
        wire::message(out, 1, |out| {
            external::resource(out, resource, position, tally);
            for scope in &resource.scopes {
                let count = placed.iter().take_while(|(at, ..)| *at == scope.number).count();
                let (here, later) = placed.split_at_checked(count).unwrap_or_default();
                placed = later;
                scope_metrics(out, scope, here, &shared, (position, tally));
            }
        });
        if tally.items == points {
            out.truncate(length);
        }
    }
    Ok(())
}

fn scope_metrics(
    out: &mut Vec<u8>,
    scope: &MetricScope<'_>,
    metrics: &[(usize, CmetricsMetric<'_>, ReadPosition)],
    shared: &ContextHeader<'_>,
    (position, tally): (ReadPosition, &mut ReadTally),
) {
    let (length, points) = (out.len(), tally.items);
    wire::message(out, 2, |out| {
        external::scope(out, scope, position, tally);
        for (_, metric, position) in metrics {
            metric_writer::write(out, metric, shared, *position, tally);
        }
    });
    if tally.items == points {
        out.truncate(length);
    }
}
