//! Metric family: the samples under one name, gathered into points.

use std::borrow::Cow;
use std::collections::HashMap;

use super::label_key;
use super::line::{Exemplar, Labels, Sample};
use super::scopes::{Scopes, is_of_scope};

/// The types of OpenMetrics; the format of Prometheus has some of them, and calls `unknown` `untyped`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum FamilyKind {
    #[default]
    Unknown,
    Counter,
    Gauge,
    Histogram,
    GaugeHistogram,
    Summary,
    Info,
    StateSet,
}

const KINDS: [(&str, FamilyKind); 7] = [
    ("counter", FamilyKind::Counter),
    ("gauge", FamilyKind::Gauge),
    ("histogram", FamilyKind::Histogram),
    ("gaugehistogram", FamilyKind::GaugeHistogram),
    ("summary", FamilyKind::Summary),
    ("info", FamilyKind::Info),
    ("stateset", FamilyKind::StateSet),
];

/// What of a point a sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Value,
    Bucket,
    Quantile,
    Sum,
    Count,
    Created,
    /// There is no place for it in OTLP.
    Unsupported,
}

impl FamilyKind {
    /// That of a name; unknown where the name is.
    pub(super) fn of(name: &str) -> Self {
        let known = KINDS.iter().find(|(known, _)| *known == name);
        known.map(|(_, kind)| *kind).unwrap_or_default()
    }

    /// What a sample is whose name is that of the family and `suffix`, if it belongs to it.
    fn part(self, suffix: &str) -> Option<Part> {
        use FamilyKind::{
            Counter, Gauge, GaugeHistogram, Histogram, Info, StateSet, Summary, Unknown,
        };
        Some(match (self, suffix) {
            (Counter, "_total" | "") | (Gauge | Unknown | StateSet, "") | (Info, "_info" | "") => {
                Part::Value
            }
            (Summary, "") => Part::Quantile,
            (Histogram, "_bucket") => Part::Bucket,
            (Histogram | Summary, "_sum") => Part::Sum,
            (Histogram | Summary, "_count") => Part::Count,
            (Histogram | Summary | Counter, "_created") => Part::Created,
            (GaugeHistogram, "_bucket" | "_gsum" | "_gcount") => Part::Unsupported,
            _ => return None,
        })
    }
}

/// A point, as far as its samples were read.
#[derive(Debug, Default)]
pub(super) struct Point<'p> {
    /// Stands for the metric and the labels.
    pub(super) key: u128,
    /// Which of the scopes it is in.
    pub(super) scope: usize,
    pub(super) attributes: Labels<'p>,
    pub(super) value: Option<f64>,
    pub(super) sum: Option<f64>,
    pub(super) count: Option<f64>,
    /// Upper bounds of buckets with the count up to them, or quantiles with their values.
    pub(super) pairs: Vec<(f64, f64)>,
    /// Seconds since the Unix epoch.
    pub(super) created: Option<f64>,
    /// In the unit of the format.
    pub(super) timestamp: Option<f64>,
    pub(super) exemplars: Vec<Exemplar<'p>>,
}

/// A metric family.
#[derive(Debug, Default)]
pub(super) struct Family<'p> {
    pub(super) name: Cow<'p, str>,
    /// What follows the name in the samples that have its values: a counter keeps its `_total`.
    pub(super) suffix: &'static str,
    pub(super) kind: FamilyKind,
    pub(super) help: Cow<'p, str>,
    pub(super) unit: &'p str,
    pub(super) points: Vec<Point<'p>>,
    /// Samples for which OTLP has no place.
    pub(super) unsupported: usize,
    index: HashMap<u128, usize>,
    seed: u128,
}

impl<'p> Family<'p> {
    pub(super) fn new(name: Cow<'p, str>) -> Self {
        Self { seed: label_key::of_text(name.as_bytes()), name, ..Self::default() }
    }

    /// Whether nothing but metadata was read.
    pub(super) fn is_empty(&self) -> bool {
        self.points.is_empty() && self.unsupported == 0
    }

    /// Takes a sample in, or gives it back if it is of another family.
    pub(super) fn take(
        &mut self,
        mut sample: Sample<'p>,
        scopes: &mut Scopes<'p>,
    ) -> Result<Result<(), &'static str>, Sample<'p>> {
        let suffix = sample.name.strip_prefix(&*self.name);
        let Some(part) = suffix.and_then(|suffix| self.kind.part(suffix)) else {
            return Err(sample);
        };
        if part == Part::Unsupported {
            self.unsupported = self.unsupported.saturating_add(1);
            return Ok(Ok(()));
        }
        if part == Part::Value {
            let known = ["_total", "_info"].into_iter().find(|known| suffix == Some(*known));
            self.suffix = known.unwrap_or_default();
        }
        let bound = match part {
            Part::Bucket => Some(bound(&mut sample.labels, "le")),
            Part::Quantile => Some(bound(&mut sample.labels, "quantile")),
            _ => None,
        };
        let bound = match bound {
            Some(None) => return Ok(Err("a bucket or quantile has no bound")),
            Some(bound) => bound,
            None => None,
        };
        // A label without a value is the same as none.
        sample.labels.retain(|(_, value)| !value.is_empty());
        if let Some(point) = self.point(&mut sample.labels, scopes) {
            point.add(part, bound.unwrap_or_default(), sample);
        }
        Ok(Ok(()))
    }

    fn point(
        &mut self,
        labels: &mut Labels<'p>,
        scopes: &mut Scopes<'p>,
    ) -> Option<&mut Point<'p>> {
        let key =
            labels.iter().fold(self.seed, |key, label| key.wrapping_add(label_key::of(label)));
        let next = self.points.len();
        let place = *self.index.entry(key).or_insert(next);
        if place == next {
            let is_scoped = labels.iter().any(|(name, _)| is_of_scope(name));
            let scope = if is_scoped { scopes.take_from(labels) } else { 0 };
            let attributes = std::mem::take(labels);
            self.points.push(Point { key, scope, attributes, ..Point::default() });
        }
        self.points.get_mut(place)
    }
}

impl<'p> Point<'p> {
    fn add(&mut self, part: Part, bound: f64, sample: Sample<'p>) {
        let value = sample.value;
        match part {
            Part::Value => self.value = Some(value),
            Part::Bucket | Part::Quantile => self.pairs.push((bound, value)),
            Part::Sum => self.sum = Some(value),
            Part::Count => self.count = Some(value),
            Part::Created => self.created = Some(value),
            Part::Unsupported => {}
        }
        self.timestamp = sample.timestamp.or(self.timestamp);
        self.exemplars.extend(sample.exemplar);
    }
}

/// Takes the label that is a bound out of the labels.
fn bound(labels: &mut Labels<'_>, name: &str) -> Option<f64> {
    let place = labels.iter().position(|(known, _)| known == name)?;
    let (_, value) = labels.remove(place);
    value.parse().ok().filter(|bound: &f64| !bound.is_nan())
}
