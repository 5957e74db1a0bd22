//! Reader of `external`: what the OTLP input keeps beside the metrics themselves.

use std::collections::HashMap;

use super::super::message::{self, KeyRow, KeyType, field};
use super::super::tally::{ReadPosition, ReadProblem, ReadTally};
use super::super::{fields, values};
use crate::codec::msgpack::{MapView, elements};
use crate::codec::otlp::OtlpMessage;
use crate::codec::records::layout::keys;
use crate::codec::wire;

/// No more scopes than a list of Fluent Bit's may have.
const MAX_SCOPES: usize = 65_535;

const RESOURCE: &[KeyRow] =
    &[field(OtlpMessage::Resource, "dropped_attributes_count", KeyType::Count)];

const SCOPE: &[KeyRow] = &[
    field(OtlpMessage::InstrumentationScope, "name", KeyType::Text),
    field(OtlpMessage::InstrumentationScope, "version", KeyType::Text),
    field(OtlpMessage::InstrumentationScope, "dropped_attributes_count", KeyType::Count),
];

const ENVELOPE: &[KeyRow] = &[field(OtlpMessage::ResourceMetrics, "schema_url", KeyType::Text)];

/// Resources, scopes, and what OTLP says about metrics and points that the format cannot.
#[derive(Debug)]
pub(super) struct ExternalMap<'a> {
    pub(super) resources: Vec<MetricResource<'a>>,
    /// How many scopes there are in all resources.
    scopes: usize,
    listed: bool,
    metrics: HashMap<(&'a [u8], &'a [u8]), MetricExtra<'a>, foldhash::fast::RandomState>,
    otlp: bool,
}

/// One resource; the slices are encoded maps, empty if they are not there.
#[derive(Debug)]
pub(super) struct MetricResource<'a> {
    resource: &'a [u8],
    envelope: &'a [u8],
    pub(super) scopes: Vec<MetricScope<'a>>,
}

/// One scope.
#[derive(Debug)]
pub(super) struct MetricScope<'a> {
    /// Its number among the scopes of all resources.
    pub(super) number: usize,
    scope: &'a [u8],
    envelope: &'a [u8],
}

/// What OTLP says about one metric.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct MetricExtra<'a> {
    pub(super) datapoints: &'a [u8],
    pub(super) metadata: &'a [u8],
    /// Whether it is a sum that goes up and down, which the format can only take for a gauge. This
    /// and the next ones are what our own writer keeps.
    pub(super) up_and_down: bool,
    /// The temporality, where the format of the release has no place for it.
    pub(super) temporality: Option<u64>,
    /// The unit, where the format of the release has no place for it.
    pub(super) unit: &'a [u8],
}

impl<'a> ExternalMap<'a> {
    pub(super) fn read(external: &'a [u8], position: ReadPosition, tally: &mut ReadTally) -> Self {
        let mut read = Self {
            resources: Vec::new(),
            scopes: 0,
            listed: false,
            metrics: HashMap::default(),
            otlp: false,
        };
        let map = MapView::new(external);
        read.otlp =
            [keys::OTLP, keys::RESOURCE, keys::SCOPE].iter().any(|key| map.get(key).is_some());
        for resource in elements(map.get(b"resource_metrics_list").unwrap_or_default()) {
            read.listed = true;
            read.add_resource(resource, position, tally);
        }
        if read.resources.is_empty() {
            read.add_resource(external, position, tally);
        }
        let metrics = MapView::new(map.get(keys::OTLP).unwrap_or_default()).get(b"metrics");
        for kind in MapView::new(metrics.unwrap_or_default()) {
            for metric in MapView::new(kind.value) {
                let extra = MapView::new(metric.value);
                let part = |key: &[u8]| extra.get(key).unwrap_or_default();
                let temporality = extra.get(b"aggregation_temporality");
                let extra = MetricExtra {
                    datapoints: part(b"datapoints"),
                    metadata: part(b"metadata"),
                    up_and_down: part(b"is_monotonic") == [0xc2],
                    temporality: temporality.and_then(|value| fields::uint(value).ok()),
                    unit: fields::text(part(b"unit")).unwrap_or_default(),
                };
                read.metrics.entry((kind.key, metric.key)).or_insert(extra);
            }
        }
        read
    }

    fn add_resource(&mut self, raw: &'a [u8], position: ReadPosition, tally: &mut ReadTally) {
        let map = MapView::new(raw);
        let part = |key: &[u8]| map.get(key).unwrap_or_default();
        let list = part(b"scope_metrics_list");
        let listed = elements(list).next().is_some();
        let mut scopes = Vec::new();
        for raw in elements(list).chain((!listed).then_some(raw)) {
            if self.scopes >= MAX_SCOPES {
                tally.skip(
                    position,
                    ReadProblem::new("meta.external", "has more than 65535 scopes"),
                );
                break;
            }
            let map = MapView::new(raw);
            let part = |key: &[u8]| map.get(key).unwrap_or_default();
            scopes.push(MetricScope {
                number: self.scopes,
                scope: part(b"scope"),
                envelope: part(b"scope_metrics"),
            });
            self.scopes = self.scopes.saturating_add(1);
        }
        self.listed |= listed;
        if !scopes.is_empty() {
            let (resource, envelope) = (part(b"resource"), part(b"resource_metrics"));
            self.resources.push(MetricResource { resource, envelope, scopes });
        }
    }

    /// Whether it looks like what the OTLP input writes.
    pub(super) const fn is_otlp(&self) -> bool {
        self.otlp || self.listed
    }

    /// What OTLP says about a metric.
    pub(super) fn metric(&self, kind: &'static str, name: &[u8]) -> MetricExtra<'a> {
        self.metrics.get(&(kind.as_bytes(), name)).copied().unwrap_or_default()
    }

    /// The number of the scope that a metric belongs to; the first if it does not say.
    pub(super) fn scope_of(&self, extra: &MetricExtra<'_>) -> usize {
        if !self.listed {
            return 0;
        }
        let map = MapView::new(extra.metadata);
        let index = |key: &[u8]| {
            map.get(key).and_then(|value| usize::try_from(fields::uint(value).ok()?).ok())
        };
        let flat = index(b"scope_flat_index").filter(|flat| *flat < self.scopes);
        let nested = || {
            let resource = self.resources.get(index(b"resource_index")?)?;
            resource.scopes.get(index(b"scope_index")?).map(|scope| scope.number)
        };
        flat.or_else(nested).unwrap_or(0)
    }

    /// Whether metrics name their resource and scope by indexes.
    pub(super) const fn has_indexes(&self) -> bool {
        self.listed
    }

    /// Whether a key of a metric's metadata is such an index, and not its metadata.
    pub(super) fn is_index(key: &[u8]) -> bool {
        matches!(key, b"scope_flat_index" | b"resource_index" | b"scope_index")
    }
}

/// Writes the fields of a `ResourceMetrics` except its scopes.
pub(super) fn resource(
    out: &mut Vec<u8>,
    resource: &MetricResource<'_>,
    position: ReadPosition,
    tally: &mut ReadTally,
) {
    owner(out, resource.resource, (RESOURCE, 1), position, tally);
    schema_url(out, resource.envelope, position, tally);
}

/// Writes the fields of a `ScopeMetrics` except its metrics.
pub(super) fn scope(
    out: &mut Vec<u8>,
    scope: &MetricScope<'_>,
    position: ReadPosition,
    tally: &mut ReadTally,
) {
    owner(out, scope.scope, (SCOPE, 3), position, tally);
    schema_url(out, scope.envelope, position, tally);
}

fn owner(
    out: &mut Vec<u8>,
    raw: &[u8],
    (table, attributes): (&'static [KeyRow], u32),
    position: ReadPosition,
    tally: &mut ReadTally,
) {
    if !fields::is_map(raw) {
        return;
    }
    let result = wire::try_message(out, 1, |out| {
        let map = MapView::new(raw);
        let metadata = map.get(b"metadata").unwrap_or_default();
        message::write(out, table, metadata, position, tally)?;
        let list = map.get(b"attributes").unwrap_or_default();
        values::attributes(out, attributes, list, ("attributes", position, tally))
    });
    if let Err(bad) = result {
        tally.skip(position, bad);
    }
}

fn schema_url(out: &mut Vec<u8>, envelope: &[u8], position: ReadPosition, tally: &mut ReadTally) {
    let metadata = MapView::new(envelope).get(b"metadata").unwrap_or_default();
    if let Err(bad) = message::write(out, ENVELOPE, metadata, position, tally) {
        tally.skip(position, bad);
    }
}
