//! Server state: how busy the model server and its GPUs were, on the spans of the requests that it served.
//!
//! Of the metrics that pass is remembered what tells the state of a pod or a node, in bounded memory; a span
//! gets what was so when it ended. Nothing waits.

mod history;
mod place;
mod quantity;

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use self::history::PlaceHistory;
use self::place::{Place, Places};
use self::quantity::{Quantity, Told, is_of_whole};
use super::attributes::write_with;
use super::latency::CallVisitor;
use super::window_map::WindowMap;
use crate::clock::Tick;
use crate::codec::msgpack::{MapView, Reader, Token, int_of, text_of};
use crate::codec::records::edit::Pairs;
use crate::codec::records::layout::keys;
use crate::codec::records::{AttributeVisitor, ChunkRewriter, Item, ItemReader, ItemStep};
use crate::codec::records::{MetricView, Patch};
use crate::model::{Position, Signal};

/// How the state of servers is put on spans.
#[derive(Debug)]
pub struct ServerStateConfig {
    /// How old a value may be.
    pub max_age: Duration,
    /// The most memory for values.
    pub max_bytes: usize,
    /// Who emits at this position or later is left alone.
    pub position: Position,
}

/// What has happened so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerStateTally {
    /// Spans of model servers that got something.
    pub told: u64,
    /// Those of whose pod and node nothing was known.
    pub untold: u64,
    /// Places that went for want of memory before their time.
    pub forgotten_places: u64,
    /// Points of which there was no place for the series.
    pub forgotten_points: u64,
}

/// Puts the state of servers on spans.
#[derive(Debug)]
pub struct ServerState {
    max_age: Duration,
    position: Position,
    places: WindowMap<Place, PlaceHistory>,
    tally: ServerStateTally,
    /// Used again for each span.
    pairs: Pairs,
    patch: Patch,
}

impl ServerState {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new(config: ServerStateConfig) -> Self {
        Self {
            max_age: config.max_age,
            position: config.position,
            // A span may come some time after its end.
            places: WindowMap::new(config.max_age.saturating_mul(2), config.max_bytes),
            tally: ServerStateTally::default(),
            pairs: Pairs::new(),
            patch: Patch::default(),
        }
    }

    /// Remembers what the metrics of a chunk tell, and gives its spans what is known; `None` if none gets
    /// anything.
    pub fn on_chunk(&mut self, chunk: &[u8], now: Tick) -> Option<Vec<u8>> {
        self.places.expire(now, |_, _| {});
        let mut visitor = StateVisitor::default();
        let mut rewriter = ChunkRewriter::new(chunk);
        let mut items = ItemReader::new(chunk);
        let mut places = None;
        while let Some(step) = items.step(&mut visitor) {
            match &step {
                ItemStep::Item(item) if !self.is_past(item) => {
                    if item.new_metadata {
                        places = None;
                    }
                    match item.signal() {
                        Signal::Traces if visitor.is_servers() => {
                            let places = *places.get_or_insert_with(|| places_of(item));
                            self.span(item, &places, &mut rewriter);
                        }
                        Signal::Metrics => {
                            self.metric(item, &mut places, now);
                            rewriter.keep(step.raw());
                        }
                        _ => rewriter.keep(step.raw()),
                    }
                }
                _ => rewriter.keep(step.raw()),
            }
            visitor = StateVisitor::default();
        }
        self.tally.forgotten_places = self.places.forgotten();
        rewriter.finish()
    }

    /// What has happened so far.
    #[must_use]
    pub const fn tally(&self) -> &ServerStateTally {
        &self.tally
    }

    /// The memory that values take, in bytes.
    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        self.places.bytes()
    }

    fn is_past(&self, item: &Item<'_>) -> bool {
        item.telemetry.is_some_and(|telemetry| telemetry.is_past(self.position))
    }

    /// Remembers what a metric tells.
    fn metric(&mut self, item: &Item<'_>, places: &mut Option<Places>, now: Tick) {
        let metric = MetricView::new(item.event.body);
        let Some(name) = text_of(metric.name) else { return };
        let Some(told) = Told::by(name) else { return };
        let resource = *places.get_or_insert_with(|| places_of(item));
        for point in metric.data_points() {
            let Some((attributes, time, value)) = number_point(point) else { continue };
            if !is_of_whole(attributes) {
                continue;
            }
            let labels = Places::of_labels(attributes);
            let of = if told.quantity.is_of_gpu() { Places::of_gpu } else { Places::of_server };
            let told_of = of(&labels, &resource);
            let id = xxh3_64(attributes);
            for place in told_of.pods().chain(told_of.nodes()) {
                let note = |history: &mut PlaceHistory| {
                    history.note(told, id, (time, value * told.factor))
                };
                if !self.places.change(place, now, note) {
                    let forgotten = &mut self.tally.forgotten_points;
                    *forgotten = forgotten.saturating_add(1);
                }
            }
        }
    }

    /// Gives a span what is known of its pod and its node.
    fn span(&mut self, item: &Item<'_>, places: &Places, rewriter: &mut ChunkRewriter<'_>) {
        self.pairs.clear();
        let time = item.span.end_unix_nanos();
        for quantity in Quantity::ALL {
            // What one server of a node says is not the state of a pod beside it.
            let nodes = places.nodes().filter(|_| quantity.is_of_gpu() || !places.has_pod());
            let value = places
                .pods()
                .chain(nodes)
                .find_map(|place| self.places.get(place)?.value(quantity, time, self.max_age));
            if let Some(value) = value {
                quantity.write(value, &mut self.pairs);
            }
        }
        if self.pairs.is_empty() {
            self.tally.untold = self.tally.untold.saturating_add(1);
            return rewriter.keep(item.event.raw);
        }
        self.tally.told = self.tally.told.saturating_add(1);
        let out = rewriter.replace(item.event.raw);
        write_with(item, &self.pairs, &mut self.patch, out);
    }
}

fn places_of(item: &Item<'_>) -> Places {
    Places::of_resource(item.telemetry.and_then(|telemetry| telemetry.resource))
}

/// The attributes, time and value of a point, if it has a number.
fn number_point(point: &[u8]) -> Option<(&[u8], u64, f64)> {
    let (mut attributes, mut time, mut value) = (&[][..], 0, None);
    for entry in MapView::new(point) {
        match entry.key {
            keys::ATTRIBUTES => attributes = entry.value,
            keys::TIME => time = u64::try_from(int_of(entry.value)?).ok()?,
            b"as_int" | b"as_double" => {
                value = match Reader::new(entry.value).token().ok()? {
                    Token::Uint(number) => Some(number as f64),
                    Token::Float(number) => Some(number),
                    _ => None,
                };
            }
            // A point without a value says so.
            keys::FLAGS if int_of(entry.value).is_some_and(|flags| flags & 1 != 0) => return None,
            _ => {}
        }
    }
    let value = value.filter(|value: &f64| value.is_finite() && *value >= 0.0)?;
    Some((attributes, time, value))
}

/// Sees whether a span is one of a model server.
#[derive(Debug, Default)]
struct StateVisitor {
    call: CallVisitor,
    has_state: bool,
}

impl StateVisitor {
    /// Whether a server says it, and not yet in which state it was.
    const fn is_servers(&self) -> bool {
        self.call.is_engine() && !self.has_state
    }
}

impl<'a> AttributeVisitor<'a> for StateVisitor {
    #[inline]
    fn attribute(&mut self, key: &'a [u8], value: &'a [u8]) {
        self.call.attribute(key, value);
        self.has_state |= key.starts_with(Quantity::PREFIX.as_bytes());
    }
}

#[cfg(test)]
mod tests;
