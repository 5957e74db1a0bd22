//! Which shard has a trace, and chunks divided by that.

use xxhash_rust::xxh3::xxh3_64;

use crate::codec::records::edit::{group_end, group_start};
use crate::codec::records::{
    ChunkRewriter, Event, EventKind, Events, Group, Item, ItemReader, ItemStep, LogView,
};
use crate::model::{Position, Signal, TraceId};

/// How chunks are divided among shards.
#[derive(Debug, Clone, Copy)]
pub struct Partition {
    shards: usize,
    follows_logs: bool,
    position: Option<Position>,
}

/// What one shard gets of a chunk.
struct Part<'p, 'a> {
    bytes: &'p mut Vec<u8>,
    /// The group whose start was written last, and not its end.
    open: Option<Group<'a>>,
}

impl Partition {
    /// Divides among so many shards: spans, and with `follows_logs` logs. What was released at `position` or behind
    /// it is left alone.
    #[must_use]
    pub const fn new(shards: usize, follows_logs: bool, position: Position) -> Self {
        Self { shards, follows_logs, position: Some(position) }
    }

    /// The same for spans and logs of earlier runs, which were released at no position of this one.
    #[must_use]
    pub const fn of_earlier_runs(self) -> Self {
        Self { follows_logs: true, position: None, ..self }
    }

    /// The shard of a trace. It does not depend on what samplers take as the trace's randomness, so that every
    /// shard has as many of those that chance keeps.
    #[must_use]
    pub fn shard_of(&self, id: TraceId) -> usize {
        let shards = self.shards as u128;
        usize::try_from((u128::from(xxh3_64(&id.0)) * shards) >> 64).unwrap_or(0)
    }

    /// The shard of the first span or log; the first one if there is none with a trace id.
    #[must_use]
    pub fn shard_of_first(&self, events: &[u8]) -> usize {
        let (mut items, every) = (ItemReader::new(events), self.of_earlier_runs());
        let mut steps = std::iter::from_fn(|| items.step(&mut ()));
        steps.find_map(|step| every.shard(&step)).unwrap_or(0)
    }

    /// Appends what of a chunk is each shard's to its part, and gives what is none's; `None` if that is the whole
    /// chunk. What has no trace id is the first shard's, which counts it.
    pub fn divide(&self, chunk: &[u8], parts: &mut [Vec<u8>]) -> Option<Vec<u8>> {
        let mut rest = ChunkRewriter::new(chunk);
        let mut parts: Vec<Part<'_, '_>> =
            parts.iter_mut().map(|bytes| Part { bytes, open: None }).collect();
        let mut items = ItemReader::new(chunk);
        while let Some(step) = items.step(&mut ()) {
            let shard = self.shard(&step).and_then(|shard| parts.get_mut(shard));
            let (Some(part), ItemStep::Item(item)) = (shard, &step) else {
                rest.keep(step.raw());
                continue;
            };
            part.add(&item.event);
            rest.replace(item.event.raw);
        }
        parts.iter_mut().for_each(Part::close);
        rest.finish()
    }

    /// The shard that has a part of a chunk; `None` for what goes on as it is.
    #[inline]
    fn shard(&self, step: &ItemStep<'_>) -> Option<usize> {
        let ItemStep::Item(item) = step else { return None };
        let telemetry = item.telemetry.as_ref();
        let id = match (telemetry.and_then(|it| it.signal), self.follows_logs) {
            (Some(Signal::Traces), _) => item.span.trace_id(),
            (None | Some(Signal::Logs), true) => trace_of_log(item),
            _ => return None,
        };
        let is_past = |position| telemetry.is_some_and(|it| it.is_past(position));
        if self.position.is_some_and(is_past) {
            return None;
        }
        Some(id.map_or(0, |id| self.shard_of(id)))
    }
}

fn trace_of_log(item: &Item<'_>) -> Option<TraceId> {
    item.event.otlp().and_then(|otlp| LogView::new(otlp).trace_id())
}

impl<'a> Part<'_, 'a> {
    /// Adds an event, within the marks of its group.
    fn add(&mut self, event: &Event<'a>) {
        if event.group != self.open {
            self.close();
            self.open = event.group;
            event.group.into_iter().for_each(|group| group_start(group, self.bytes));
        }
        self.bytes.extend_from_slice(event.raw);
    }

    fn close(&mut self) {
        if self.open.take().is_some() {
            group_end(self.bytes);
        }
    }
}

/// The events without the marks of groups in which there is nothing any more.
#[must_use]
pub fn without_empty_groups(events: Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut start: Option<Event<'_>> = None;
    for event in Events::new(&events) {
        // What is no event has an end that only the reader knows.
        let Ok(event) = event else { return events };
        match (event.kind, start.take()) {
            (EventKind::GroupEnd, Some(_)) => continue,
            (EventKind::GroupStart, _) => {
                start = Some(event);
                continue;
            }
            (_, Some(start)) => out.extend_from_slice(start.raw),
            _ => {}
        }
        out.extend_from_slice(event.raw);
    }
    out
}
