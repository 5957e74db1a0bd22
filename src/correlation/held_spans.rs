//! Spans that are held for a while, so that what comes after them is known when they leave.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::attributes::write_with;
use super::waiting::{Leaving, to_hold};
use crate::clock::Tick;
use crate::codec::records::edit::Pairs;
use crate::codec::records::{Item, ItemReader, ItemStep, Patch};
use crate::model::{Emission, Position};

/// A span that is held, and what is to be remembered of it.
#[derive(Debug)]
pub(super) struct HeldSpan<T> {
    tag: Arc<[u8]>,
    /// The event as it is to leave, with the marks of its group around it if it stood in one.
    events: Box<[u8]>,
    /// What is remembered.
    pub(super) note: T,
    since: Tick,
}

impl<T> HeldSpan<T> {
    fn bytes(&self) -> usize {
        self.events.len() + self.tag.len() + 2 * size_of::<Self>()
    }
}

/// Spans in the order in which they came, in bounded memory.
#[derive(Debug)]
pub(super) struct HeldSpans<T> {
    wait: Duration,
    max_bytes: usize,
    position: Position,
    waiting: VecDeque<HeldSpan<T>>,
    waiting_bytes: usize,
    leaving: Leaving,
    /// The tag of the last span that was held.
    tag: Arc<[u8]>,
    closed: bool,
}

impl<T> HeldSpans<T> {
    /// None yet; each is held for `wait`, none if that is zero. `position` marks those that were held, so
    /// that the filters up to there leave them alone.
    pub(super) fn new(wait: Duration, max_bytes: usize, position: Position) -> Self {
        Self {
            wait,
            max_bytes,
            position,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            leaving: Leaving::default(),
            tag: Arc::default(),
            closed: false,
        }
    }

    /// Whether spans are held.
    pub(super) const fn is_open(&self) -> bool {
        !self.wait.is_zero() && !self.closed
    }

    /// Holds no span from now on.
    pub(super) const fn close(&mut self) {
        self.closed = true;
    }

    /// How many are held.
    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.waiting.len()).unwrap_or(u64::MAX)
    }

    /// The memory that they take, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.waiting_bytes + self.leaving.bytes()
    }

    /// Holds a span. Returns whether there is memory for it.
    pub(super) fn hold(&mut self, tag: &[u8], item: &Item<'_>, note: T, now: Tick) -> bool {
        if *self.tag != *tag {
            self.tag = tag.into();
        }
        let events = to_hold(&item.event, self.position);
        let span = HeldSpan { tag: Arc::clone(&self.tag), events, note, since: now };
        if self.bytes().saturating_add(span.bytes()) > self.max_bytes {
            return false;
        }
        self.waiting_bytes = self.waiting_bytes.saturating_add(span.bytes());
        self.waiting.push_back(span);
        true
    }

    /// The next span that has waited long enough; any, once none is held any more.
    pub(super) fn next_due(&mut self, now: Tick) -> Option<HeldSpan<T>> {
        let first = self.waiting.front()?;
        if !self.closed && now.since(first.since) < self.wait {
            return None;
        }
        let span = self.waiting.pop_front()?;
        self.waiting_bytes = self.waiting_bytes.saturating_sub(span.bytes());
        Some(span)
    }

    /// Lets a span leave with further attributes, which it must not have.
    pub(super) fn release(&mut self, span: &HeldSpan<T>, pairs: &Pairs, patch: &mut Patch) {
        self.leaving.append(&span.tag, |out| {
            let mut records = 0_usize;
            let mut items = ItemReader::new(&span.events);
            while let Some(step) = items.step(&mut ()) {
                records = records.saturating_add(1);
                match &step {
                    ItemStep::Item(item) if !pairs.is_empty() => {
                        write_with(item, pairs, patch, out);
                    }
                    _ => out.extend_from_slice(step.raw()),
                }
            }
            records
        });
    }

    /// Those that leave.
    pub(super) fn take(&mut self) -> Vec<Emission> {
        self.leaving.take()
    }

    /// Takes back what could not be emitted; it is given again by the next [`HeldSpans::take`].
    pub(super) fn put_back(&mut self, emission: Emission) {
        self.leaving.put_back(emission);
    }
}
