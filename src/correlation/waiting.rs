//! Logs that wait for their span, and what leaves for the pipeline.

use std::collections::VecDeque;
use std::sync::Arc;

use super::decision::{LogFacts, TraceMatch};
use super::ids::Id;
use super::index::LogNumber;
use crate::clock::Tick;
use crate::codec::msgpack;
use crate::codec::records::edit::{Pairs, event_start, insert_otlp, write_position};
use crate::codec::records::layout::{GROUP_END, GROUP_START, keys};
use crate::codec::records::{Event, EventKind, EventTime, Events, Group};
use crate::model::{Emission, Position};

/// How large a batch grows before the next one is begun.
const BATCH: usize = 1 << 20;

/// A log that waits.
#[derive(Debug)]
pub(super) struct WaitingLog {
    pub(super) tag: Arc<[u8]>,
    /// The event as it is to leave, with the marks of its group around it if it stood in one.
    pub(super) events: Box<[u8]>,
    pub(super) ids: Box<[Id]>,
    pub(super) facts: LogFacts,
    pub(super) since: Tick,
}

impl WaitingLog {
    pub(super) fn bytes(&self) -> usize {
        self.events.len()
            + self.tag.len()
            + self.ids.len() * size_of::<Id>()
            + 2 * size_of::<Option<Self>>()
    }
}

/// Logs in the order in which they came, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// The number of the first place.
    first: LogNumber,
    logs: VecDeque<Option<WaitingLog>>,
    bytes: usize,
    count: u64,
}

impl Queue {
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many wait.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The number that the next log gets.
    pub(super) fn next_number(&self) -> LogNumber {
        self.first.saturating_add(u64::try_from(self.logs.len()).unwrap_or(u64::MAX))
    }

    pub(super) fn push(&mut self, log: WaitingLog) {
        self.bytes = self.bytes.saturating_add(log.bytes());
        self.count = self.count.saturating_add(1);
        self.logs.push_back(Some(log));
    }

    pub(super) fn get(&self, number: LogNumber) -> Option<&WaitingLog> {
        self.logs.get(self.place(number)?)?.as_ref()
    }

    /// The log that has waited longest, and its number.
    pub(super) fn front(&mut self) -> Option<(LogNumber, &WaitingLog)> {
        while let Some(None) = self.logs.front() {
            self.logs.pop_front();
            self.first = self.first.saturating_add(1);
        }
        let first = self.first;
        self.logs.front().and_then(Option::as_ref).map(|log| (first, log))
    }

    pub(super) fn remove(&mut self, number: LogNumber) -> Option<WaitingLog> {
        let place = self.place(number)?;
        let log = self.logs.get_mut(place)?.take()?;
        self.bytes = self.bytes.saturating_sub(log.bytes());
        self.count = self.count.saturating_sub(1);
        Some(log)
    }

    fn place(&self, number: LogNumber) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }
}

/// Logs and spans that leave.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    batches: VecDeque<Emission>,
    bytes: usize,
}

impl Leaving {
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends what `write` writes, which says how many events that is.
    pub(super) fn append(&mut self, tag: &[u8], write: impl FnOnce(&mut Vec<u8>) -> usize) {
        let open = |batch: &Emission| batch.events.len() < BATCH && batch.tag == tag;
        let batch = match self.batches.back_mut().filter(|batch| open(batch)) {
            Some(batch) => batch,
            None => {
                let (tag, events) = (tag.to_vec(), Vec::new());
                self.batches.push_back(Emission { tag, records: 0, events });
                let Some(batch) = self.batches.back_mut() else { return };
                batch
            }
        };
        let before = batch.events.len();
        let records = write(&mut batch.events);
        batch.records = batch.records.saturating_add(records);
        self.bytes = self.bytes.saturating_add(batch.events.len().saturating_sub(before));
    }

    /// Lets a log leave, with its place if that was found.
    pub(super) fn push(&mut self, log: &WaitingLog, place: Option<TraceMatch>) {
        self.append(&log.tag, |out| {
            let mut records = 0_usize;
            for event in Events::new(&log.events).flatten() {
                records = records.saturating_add(1);
                match place.filter(|_| event.kind == EventKind::Record) {
                    Some(place) => write_placed(&event, place, out),
                    None => out.extend_from_slice(event.raw),
                }
            }
            records
        });
    }

    pub(super) fn put_back(&mut self, batch: Emission) {
        self.bytes = self.bytes.saturating_add(batch.events.len());
        self.batches.push_back(batch);
    }

    pub(super) fn take(&mut self) -> Vec<Emission> {
        self.bytes = 0;
        self.batches.drain(..).collect()
    }
}

/// Appends a log with its place in its `otlp` map. All else is as it was.
pub(super) fn write_placed(event: &Event<'_>, place: TraceMatch, out: &mut Vec<u8>) {
    let mut pairs = Pairs::new();
    msgpack::bin(pairs.key(keys::TRACE_ID), &place.trace.0);
    if let Some(span) = place.span {
        msgpack::bin(pairs.key(keys::SPAN_ID), &span.0);
    }
    write_with(event, &pairs, out);
}

/// The event as it is to leave later: with the mark that the filter at `position` emitted it, and the
/// marks of its group around it.
pub(super) fn to_hold(event: &Event<'_>, position: Position) -> Box<[u8]> {
    let mut out = Vec::with_capacity(event.raw.len().saturating_add(64));
    if let Some(Group { metadata, body }) = event.group {
        event_start(&mut out, EventTime { seconds: GROUP_START, nanos: 0 }, metadata);
        out.extend_from_slice(body);
    }
    let mut pairs = Pairs::new();
    write_position(position, &mut pairs);
    write_with(event, &pairs, &mut out);
    if event.group.is_some() {
        event_start(&mut out, EventTime { seconds: GROUP_END, nanos: 0 }, &[]);
        msgpack::map_header(&mut out, 0);
    }
    out.into_boxed_slice()
}

fn write_with(event: &Event<'_>, pairs: &Pairs, out: &mut Vec<u8>) {
    let mut metadata = Vec::with_capacity(event.metadata.len().saturating_add(64));
    insert_otlp(event.metadata, pairs, &mut metadata);
    event_start(out, event.time, &metadata);
    out.extend_from_slice(event.body);
}
