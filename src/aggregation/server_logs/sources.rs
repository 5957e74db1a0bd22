//! Sources: where logs of servers come from, and what is measured of each.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::facts::ServerFacts;
use super::format::ServerLogFormat;
use super::measures::ServerMeasure;
use crate::aggregation::export_mode::ExportMode;
use crate::aggregation::instruments::{Accumulator, Instrument, InstrumentForm, PointData};
use crate::aggregation::write::{MetricEnvelope, MetricWriter, PointContext};
use crate::clock::Tick;
use crate::model::{Emission, Position};

/// How sources are measured and exported.
#[derive(Debug)]
pub(super) struct SourceSettings {
    pub(super) exponential: bool,
    pub(super) position: Position,
    /// The tag to emit under, if that is not the one of the logs.
    pub(super) tag: Option<Vec<u8>>,
    /// Whether all goes into one emission.
    pub(super) is_whole: bool,
    pub(super) max_series: usize,
    /// The most bytes of attributes and resources.
    pub(super) max_bytes: usize,
}

/// All sources.
#[derive(Debug)]
pub(super) struct Sources {
    settings: SourceSettings,
    sources: Vec<Source>,
    series: usize,
    bytes: usize,
}

/// A tag and a resource.
#[derive(Debug)]
struct Source {
    key: u64,
    tag: Vec<u8>,
    resource: Vec<u8>,
    /// Whose logs they are, as far as that was seen.
    format: Option<ServerLogFormat>,
    series: Vec<ServerSeries>,
}

#[derive(Debug)]
struct ServerSeries {
    measure: ServerMeasure,
    attributes: Vec<u8>,
    pairs: u32,
    /// When it began, in Unix nanoseconds.
    since: u64,
    used: Tick,
    value: ServerValue,
}

#[derive(Debug)]
enum ServerValue {
    Last(f64),
    Total(Accumulator),
}

/// What a source takes beside its tag and resource.
const SOURCE_BYTES: usize = size_of::<Source>();

/// What stands for a tag and a resource.
pub(super) fn source_key(tag: &[u8], resource: &[u8]) -> u64 {
    xxh3_64(&[&tag.len().to_le_bytes()[..], tag, resource].concat())
}

impl Sources {
    pub(super) const fn new(settings: SourceSettings) -> Self {
        Self { settings, sources: Vec::new(), series: 0, bytes: 0 }
    }

    /// Whose logs a source has, as far as that was seen.
    pub(super) fn format_of(&self, key: u64) -> Option<ServerLogFormat> {
        self.sources.iter().find(|source| source.key == key)?.format
    }

    /// Adds what a log says, except what `leaves_out`, and says whether there was room.
    pub(super) fn add(
        &mut self,
        (tag, resource): (&[u8], &[u8]),
        facts: &ServerFacts<'_>,
        leaves_out: impl Fn(ServerMeasure) -> bool,
        (now, unix_nanos): (Tick, u64),
    ) -> bool {
        let Some(place) = self.place(tag, resource) else { return false };
        let Some(source) = self.sources.get_mut(place) else { return false };
        let values = facts.values().filter(|(measure, _)| !leaves_out(*measure));
        if !facts.values().any(|(measure, _)| measure == ServerMeasure::Requests) {
            source.format = Some(facts.format);
        }
        let mut has_room = true;
        for (measure, value) in values {
            let pairs = facts.attributes(measure);
            let known = source
                .series
                .iter_mut()
                .find(|series| series.measure == measure && series.attributes == pairs.encoded());
            let series = match known {
                Some(series) => series,
                None => {
                    let bytes = pairs.encoded().len().saturating_add(size_of::<ServerSeries>());
                    let all = self.bytes.saturating_add(bytes);
                    if self.series >= self.settings.max_series || all > self.settings.max_bytes {
                        has_room = false;
                        continue;
                    }
                    (self.series, self.bytes) = (self.series + 1, all);
                    source.series.push_mut(ServerSeries {
                        measure,
                        attributes: pairs.encoded().to_vec(),
                        pairs: pairs.len(),
                        since: unix_nanos,
                        used: now,
                        value: ServerValue::of(measure, self.settings.exponential),
                    })
                }
            };
            series.used = now;
            series.value.add(value);
        }
        has_room
    }

    /// The place of a source, which is made if it is not there and there is room.
    fn place(&mut self, tag: &[u8], resource: &[u8]) -> Option<usize> {
        let key = source_key(tag, resource);
        if let Some(place) = self.sources.iter().position(|source| source.key == key) {
            return Some(place);
        }
        let bytes = source_bytes(tag, resource).saturating_add(self.bytes);
        if bytes > self.settings.max_bytes {
            return None;
        }
        self.bytes = bytes;
        let (tag, resource) = (tag.to_vec(), resource.to_vec());
        self.sources.push(Source { key, tag, resource, format: None, series: Vec::new() });
        self.sources.len().checked_sub(1)
    }

    /// Appends the metrics of every source: to the last emission where all goes into one. Deltas begin at `since`.
    pub(super) fn export(
        &mut self,
        batches: &mut Vec<Emission>,
        (mode, since): (ExportMode, u64),
        unix_nanos: u64,
    ) {
        let SourceSettings { position, is_whole, .. } = self.settings;
        let temporality = mode.temporality();
        for source in &mut self.sources {
            let tag = self.settings.tag.as_ref().unwrap_or(&source.tag).clone();
            let mut own = Emission { tag, records: 0, events: Vec::new() };
            let envelope = MetricEnvelope::new(&source.resource, position, temporality, unix_nanos);
            let whole = batches.last_mut().filter(|_| is_whole);
            source.export(whole.unwrap_or(&mut own), &envelope, (mode, since));
            if own.records > 0 {
                batches.push(own);
            }
        }
    }

    /// Forgets series that nothing was added to for `idle`, and sources without any.
    pub(super) fn expire(&mut self, now: Tick, idle: Duration) {
        for source in &mut self.sources {
            source.series.retain(|series| now.since(series.used) < idle);
        }
        self.sources.retain(|source| !source.series.is_empty());
        let sources = self.sources.iter();
        self.series = sources.clone().map(|source| source.series.len()).sum();
        self.bytes = sources.map(Source::bytes).sum();
    }

    /// How many series there are.
    pub(super) const fn series(&self) -> usize {
        self.series
    }
}

fn source_bytes(tag: &[u8], resource: &[u8]) -> usize {
    tag.len().saturating_add(resource.len()).saturating_add(SOURCE_BYTES)
}

impl Source {
    fn bytes(&self) -> usize {
        let series = self.series.iter();
        let series: usize =
            series.map(|it| it.attributes.len().saturating_add(size_of::<ServerSeries>())).sum();
        source_bytes(&self.tag, &self.resource).saturating_add(series)
    }

    fn export(
        &mut self,
        batch: &mut Emission,
        envelope: &MetricEnvelope,
        (mode, since): (ExportMode, u64),
    ) {
        let metrics = ServerMeasure::ALL.map(|measure| measure.metric().0);
        let mut before: Option<&Instrument> = None;
        for instrument in metrics {
            // Parts of one metric stand side by side.
            if before.is_some_and(|before| std::ptr::eq(before, instrument)) {
                continue;
            }
            before = Some(instrument);
            let mut writer = MetricWriter::new(batch, instrument, ["", instrument.name], envelope);
            let of_metric =
                |series: &&mut ServerSeries| std::ptr::eq(series.measure.metric().0, instrument);
            for series in self.series.iter_mut().filter(of_metric) {
                let (data, start) = match &mut series.value {
                    ServerValue::Last(value) => (Some(PointData::Gauge(*value)), 0),
                    ServerValue::Total(total) => {
                        let start = if mode.is_delta() { since } else { series.since };
                        (total.export(mode), start)
                    }
                };
                if let Some(data) = data {
                    let ServerSeries { attributes, pairs, .. } = series;
                    writer.add(PointContext { attributes, more: &[], pairs: *pairs, start }, data);
                }
            }
            writer.flush();
        }
    }
}

impl ServerValue {
    fn of(measure: ServerMeasure, exponential: bool) -> Self {
        let (instrument, _) = measure.metric();
        match instrument.form {
            InstrumentForm::Gauge => Self::Last(0.0),
            _ => Self::Total(instrument.accumulator(exponential)),
        }
    }

    fn add(&mut self, value: f64) {
        match self {
            Self::Last(last) => *last = value,
            Self::Total(total) => {
                total.add(value, 1.0, || None);
            }
        }
    }
}
