//! Zero-copy view: an encoded request as its smallest units, so that it can be cut anywhere.
//!
//! A unit is a span, a log record or a data point. All three signals nest alike: resources in field
//! 1 of the request, scopes in field 2 of those, items in field 2 of those, each level with heads
//! (the resource, the scope, schema URLs, what later versions add) that every piece repeats. Pure:
//! bytes in, bytes out.

mod attributes;
mod cut_texts;
mod fields;
mod kind;
mod point;
mod shrink;

pub(in crate::export) use attributes::{attribute, pair_of, text_of};
pub(in crate::export) use cut_texts::ShrunkItem;
pub(in crate::export) use kind::{MetricTemporality, PointKind};
pub(in crate::export) use shrink::shrink;

use crate::codec::otlp::METRIC_DATA;
use crate::codec::wire::{self, NestedMessage, WireError};
use crate::model::Signal;
use fields::each;

/// What a level repeats around its parts: its fields but the parts.
#[derive(Debug, Default)]
struct Head<'a> {
    raw: Vec<&'a [u8]>,
    /// Field 1: the resource or scope itself.
    message: &'a [u8],
}

#[derive(Debug)]
struct Metric<'a> {
    /// Its fields but the data.
    head: Vec<&'a [u8]>,
    /// The number of the data's field, which says the kind; 0 if there is none.
    kind: u32,
    /// The data's fields but the points.
    rest: Vec<&'a [u8]>,
}

#[derive(Debug)]
struct Unit<'a> {
    scope: usize,
    /// The metric of a data point.
    metric: usize,
    item: &'a [u8],
}

/// A request as units, borrowed from its bytes.
#[derive(Debug)]
pub(in crate::export) struct RequestItems<'a> {
    pub(in crate::export) signal: Signal,
    resources: Vec<Head<'a>>,
    scopes: Vec<(usize, Head<'a>)>,
    metrics: Vec<Metric<'a>>,
    units: Vec<Unit<'a>>,
    /// Of profiles, what all of them share: the dictionary.
    shared: Vec<&'a [u8]>,
}

impl<'a> Head<'a> {
    /// Reads a level: its head, and its parts in field 2.
    fn read(message: &'a [u8]) -> Result<(Self, Vec<&'a [u8]>), WireError> {
        let (mut head, mut parts) = (Self::default(), Vec::new());
        each(message, |number, content, raw| {
            match (number, content) {
                (2, Some(part)) => parts.push(part),
                _ => head.raw.push(raw),
            }
            if let (1, Some(message)) = (number, content) {
                head.message = message;
            }
            Ok(())
        })?;
        Ok((head, parts))
    }

    fn size(&self) -> usize {
        self.raw.iter().map(|raw| raw.len()).sum::<usize>().saturating_add(12)
    }
}

impl<'a> Metric<'a> {
    fn read(message: &'a [u8]) -> Result<(Self, Vec<&'a [u8]>), WireError> {
        let mut metric = Self { head: Vec::new(), kind: 0, rest: Vec::new() };
        let mut points = Vec::new();
        each(message, |number, content, raw| {
            let Some(data) = content.filter(|_| METRIC_DATA.contains(&number)) else {
                metric.head.push(raw);
                return Ok(());
            };
            metric.kind = number;
            each(data, |number, content, raw| {
                match (number, content) {
                    (1, Some(point)) => points.push(point),
                    _ => metric.rest.push(raw),
                }
                Ok(())
            })
        })?;
        Ok((metric, points))
    }
}

impl<'a> RequestItems<'a> {
    /// Reads a request.
    pub(in crate::export) fn read(signal: Signal, request: &'a [u8]) -> Result<Self, WireError> {
        let mut batch = Self {
            signal,
            resources: Vec::new(),
            scopes: Vec::new(),
            metrics: Vec::new(),
            units: Vec::new(),
            shared: Vec::new(),
        };
        each(request, |number, content, raw| match (number, content) {
            (1, Some(resource)) => batch.add_resource(resource),
            _ => {
                if signal == Signal::Profiles {
                    batch.shared.push(raw);
                }
                Ok(())
            }
        })?;
        Ok(batch)
    }

    fn add_resource(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        let (head, scopes) = Head::read(message)?;
        self.resources.push(head);
        for scope in scopes {
            let (head, items) = Head::read(scope)?;
            self.scopes.push((self.resources.len().saturating_sub(1), head));
            for item in items {
                self.add_item(item)?;
            }
        }
        Ok(())
    }

    fn add_item(&mut self, item: &'a [u8]) -> Result<(), WireError> {
        let scope = self.scopes.len().saturating_sub(1);
        if self.signal != Signal::Metrics {
            self.units.push(Unit { scope, metric: 0, item });
            return Ok(());
        }
        let (metric, points) = Metric::read(item)?;
        self.metrics.push(metric);
        let metric = self.metrics.len().saturating_sub(1);
        self.units.extend(points.into_iter().map(|item| Unit { scope, metric, item }));
        Ok(())
    }

    /// The number of units.
    pub(in crate::export) fn len(&self) -> usize {
        self.units.len()
    }

    /// The bytes of a unit.
    pub(in crate::export) fn item(&self, unit: usize) -> &'a [u8] {
        self.units.get(unit).map_or(&[], |unit| unit.item)
    }

    /// The content of a field of a unit.
    pub(in crate::export) fn field(&self, unit: usize, wanted: u32) -> Option<&'a [u8]> {
        let mut found = None;
        let walked = each(self.item(unit), |number, content, _| {
            if number == wanted {
                found = content;
            }
            Ok(())
        });
        walked.ok().and(found)
    }

    /// The bytes of the resource that a unit belongs to.
    pub(in crate::export) fn resource(&self, unit: usize) -> &'a [u8] {
        let scope = self.units.get(unit).and_then(|unit| self.scopes.get(unit.scope));
        scope.and_then(|(at, _)| self.resources.get(*at)).map_or(&[], |head| head.message)
    }

    /// The bytes of the scope that a unit belongs to.
    pub(in crate::export) fn scope(&self, unit: usize) -> &'a [u8] {
        let scope = self.units.get(unit).and_then(|unit| self.scopes.get(unit.scope));
        scope.map_or(&[], |(_, head)| head.message)
    }

    /// The field of the data of a data point's metric, which says the kind; 0 for other items.
    pub(in crate::export) fn kind(&self, unit: usize) -> u32 {
        let metric = self.units.get(unit).and_then(|unit| self.metrics.get(unit.metric));
        metric.map_or(0, |metric| metric.kind)
    }

    /// The number of the field that holds a unit's attributes.
    pub(in crate::export) fn attributes_field(&self, unit: usize) -> u32 {
        attributes_field(self.signal, self.kind(unit))
    }

    /// A request of these units, which are in rising order; `replaced` stands for each of them if
    /// given.
    pub(in crate::export) fn build(
        &self,
        units: &[usize],
        replaced: Option<&ShrunkItem>,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size(units));
        let chosen: Vec<&Unit<'a>> = units.iter().filter_map(|at| self.units.get(*at)).collect();
        let resource_of = |unit: &Unit<'_>| self.scopes.get(unit.scope).map(|(at, _)| *at);
        for of_resource in chosen.chunk_by(|a, b| resource_of(a) == resource_of(b)) {
            let index = of_resource.first().and_then(|unit| resource_of(unit));
            let Some(head) = index.and_then(|at| self.resources.get(at)) else { continue };
            let resource = NestedMessage::open(&mut out, 1, self.size(units));
            head.raw.iter().for_each(|raw| out.extend_from_slice(raw));
            for of_scope in of_resource.chunk_by(|a, b| a.scope == b.scope) {
                let index = of_scope.first().and_then(|unit| self.scopes.get(unit.scope));
                let Some((_, head)) = index else { continue };
                let scope = NestedMessage::open(&mut out, 2, 200);
                head.raw.iter().for_each(|raw| out.extend_from_slice(raw));
                self.write_items(&mut out, of_scope, replaced);
                scope.close(&mut out);
            }
            resource.close(&mut out);
        }
        self.shared.iter().for_each(|raw| out.extend_from_slice(raw));
        out
    }

    fn write_items(&self, out: &mut Vec<u8>, units: &[&Unit<'a>], replaced: Option<&ShrunkItem>) {
        let bytes = |unit: &Unit<'a>| replaced.map_or(unit.item, |shrunk| &shrunk.item);
        if self.signal != Signal::Metrics {
            units.iter().for_each(|unit| wire::bytes(out, 2, bytes(unit)));
            return;
        }
        for of_metric in units.chunk_by(|a, b| a.metric == b.metric) {
            let index = of_metric.first().and_then(|unit| self.metrics.get(unit.metric));
            let Some(metric) = index else { continue };
            let nested = NestedMessage::open(out, 2, 200);
            metric.head.iter().for_each(|raw| out.extend_from_slice(raw));
            let data = NestedMessage::open(out, metric.kind, 200);
            of_metric.iter().for_each(|unit| wire::bytes(out, 1, bytes(unit)));
            metric.rest.iter().for_each(|raw| out.extend_from_slice(raw));
            data.close(out);
            out.extend_from_slice(replaced.map_or(&[], |shrunk| &shrunk.metadata));
            nested.close(out);
        }
    }

    /// About how many bytes a request of these units has.
    fn size(&self, units: &[usize]) -> usize {
        self.growth(units).map(|(_, size)| size).sum()
    }

    /// Each unit with what it adds to a request that holds those before it.
    fn growth(&self, units: &[usize]) -> impl Iterator<Item = (usize, usize)> {
        let mut last = None;
        units.iter().filter_map(move |at| {
            let unit = self.units.get(*at)?;
            let size = if last == Some(unit.scope) { 0 } else { self.head_size(unit.scope) };
            last = Some(unit.scope);
            Some((*at, size.saturating_add(unit.item.len()).saturating_add(6)))
        })
    }

    fn head_size(&self, scope: usize) -> usize {
        let Some((resource, head)) = self.scopes.get(scope) else { return 0 };
        let resource = self.resources.get(*resource).map_or(0, Head::size);
        resource.saturating_add(head.size())
    }

    /// Cuts units into runs of `most` units at most that make requests of about `limit` bytes at
    /// most, each of at least one unit.
    pub(in crate::export) fn cut(
        &self,
        units: &[usize],
        limit: usize,
        max_items: usize,
    ) -> Vec<Vec<usize>> {
        let mut pieces: Vec<Vec<usize>> = Vec::new();
        let mut size = 0_usize;
        for (unit, more) in self.growth(units) {
            size = size.saturating_add(more);
            match pieces.last_mut() {
                Some(piece) if size <= limit && piece.len() < max_items => piece.push(unit),
                _ => {
                    pieces.push(vec![unit]);
                    let head = self.units.get(unit).map_or(0, |unit| self.head_size(unit.scope));
                    size = head.saturating_add(more);
                }
            }
        }
        pieces
    }
}

/// The field of the attributes of a span, a log record, or a data point of a metric whose data is
/// in field `kind`.
pub(in crate::export) const fn attributes_field(signal: Signal, kind: u32) -> u32 {
    match (signal, kind) {
        (Signal::Traces, _) | (Signal::Metrics, 9) => 9,
        (Signal::Logs, _) => 6,
        (Signal::Metrics, 10) => 1,
        (Signal::Metrics | Signal::Profiles, _) => 7,
    }
}

#[cfg(test)]
mod tests;
