//! One metric as its context describes it: its name and type, and what its points share.

use super::super::fields;
use super::super::tally::{AtField, ReadPosition, ReadProblem, ReadTally};
use super::context_header::ContextHeader;
use super::external::MetricExtra;
use crate::codec::msgpack::MapView;

/// The types, with the numbers that they have in the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MetricType {
    Counter,
    Gauge,
    Histogram,
    Summary,
    Untyped,
    ExponentialHistogram,
}

impl MetricType {
    const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Counter,
            1 => Self::Gauge,
            2 => Self::Histogram,
            3 => Self::Summary,
            4 => Self::Untyped,
            5 => Self::ExponentialHistogram,
            _ => return None,
        })
    }

    /// The key that metrics of this type have in `external.otlp.metrics`.
    const fn key(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Untyped => "untyped",
            Self::ExponentialHistogram => "exp_histogram",
        }
    }

    /// The field of `CmetricsMetric` that holds the data of this type.
    pub(super) const fn field(self, up_and_down: bool) -> u32 {
        match self {
            Self::Gauge if up_and_down => 7,
            Self::Gauge | Self::Untyped => 5,
            Self::Counter => 7,
            Self::Histogram => 9,
            Self::ExponentialHistogram => 10,
            Self::Summary => 11,
        }
    }

    /// Whether OTLP asks for a temporality.
    pub(super) const fn has_temporality(self) -> bool {
        matches!(self, Self::Counter | Self::Histogram | Self::ExponentialHistogram)
    }
}

/// A metric whose `meta` was read.
pub(super) struct CmetricsMetric<'a> {
    pub(super) kind: MetricType,
    /// The number of the scope that it belongs to.
    pub(super) scope: usize,
    pub(super) name: Vec<u8>,
    pub(super) description: &'a [u8],
    pub(super) unit: &'a [u8],
    pub(super) temporality: u64,
    /// The names of the points' labels; `None` where there is none.
    pub(super) labels: Vec<Option<&'a [u8]>>,
    /// The bounds of a histogram.
    pub(super) buckets: Vec<f64>,
    /// The quantiles of a summary.
    pub(super) quantiles: Vec<f64>,
    pub(super) extra: MetricExtra<'a>,
    pub(super) values: &'a [u8],
}

impl<'a> CmetricsMetric<'a> {
    pub(super) fn read(
        raw: &'a [u8],
        shared: &ContextHeader<'a>,
        position: ReadPosition,
        tally: &mut ReadTally,
    ) -> Result<Self, ReadProblem> {
        let map = MapView::new(raw);
        let meta = map.get(b"meta").ok_or(ReadProblem::new("meta", "is missing"))?;
        let meta = fields::map(meta).at("meta")?;
        let part = |key: &[u8]| meta.get(key).unwrap_or_default();
        let kind = meta.get(b"type").ok_or(ReadProblem::new("meta.type", "is missing"))?;
        let kind = MetricType::from_number(fields::uint(kind).at("meta.type")?)
            .ok_or(ReadProblem::new("meta.type", "is not 0 to 5"))?;
        let opts = fields::map(part(b"opts")).at("meta.opts")?;
        let opt = |key: &[u8]| fields::text(opts.get(key).unwrap_or_default());
        let name = full_name([
            opt(b"ns").at("meta.opts.ns")?,
            opt(b"ss").at("meta.opts.ss")?,
            opt(b"name").at("meta.opts.name")?,
        ])?;
        let mut description = opt(b"desc").at("meta.opts.desc")?;
        if shared.from_otlp && description == b"-" {
            description = &[];
        }
        let extra = shared.external.metric(kind.key(), &name);
        Ok(Self {
            kind,
            scope: shared.external.scope_of(&extra),
            name,
            description,
            unit: Some(opt(b"unit").at("meta.opts.unit")?)
                .filter(|unit| !unit.is_empty())
                .unwrap_or(extra.unit),
            temporality: temporality(meta, extra.temporality, shared.from_otlp)
                .at("meta.aggregation_type")?,
            labels: label_names(part(b"labels"), position, tally)?,
            buckets: doubles(part(b"buckets")).at("meta.buckets")?,
            quantiles: doubles(part(b"quantiles")).at("meta.quantiles")?,
            extra,
            values: map.get(b"values").unwrap_or_default(),
        })
    }
}

/// Namespace, subsystem and name, as Fluent Bit shows them: joined, the empty ones left out.
fn full_name(parts: [&[u8]; 3]) -> Result<Vec<u8>, ReadProblem> {
    let parts: Vec<&[u8]> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return Err(ReadProblem::new("meta.opts.name", "is missing"));
    }
    Ok(parts.join(&b"_"[..]))
}

/// OTLP's number: 0 unspecified, 1 delta, 2 cumulative, which are the format's numbers, too.
fn temporality(
    meta: MapView<'_>,
    beside: Option<u64>,
    from_otlp: bool,
) -> Result<u64, &'static str> {
    match meta.get(b"aggregation_type").map(fields::uint).transpose()?.or(beside) {
        Some(stated @ (1 | 2)) => Ok(stated),
        Some(0) if from_otlp => Ok(0),
        Some(0) | None => Ok(2),
        Some(_) => Err("is not 0 to 2"),
    }
}

fn label_names<'a>(
    list: &'a [u8],
    position: ReadPosition,
    tally: &mut ReadTally,
) -> Result<Vec<Option<&'a [u8]>>, ReadProblem> {
    let names = fields::list(list).at("meta.labels")?;
    Ok(names
        .map(|name| match fields::text(name) {
            Ok(name) => Some(name).filter(|name| !name.is_empty()),
            Err(what) => {
                tally.skip(position, ReadProblem::new("meta.labels", what));
                None
            }
        })
        .collect())
}

fn doubles(list: &[u8]) -> Result<Vec<f64>, &'static str> {
    fields::list(list)?.map(fields::double).collect()
}
