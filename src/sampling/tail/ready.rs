//! What was released, in batches by tag, until it is emitted.

use std::collections::VecDeque;

use super::interner::Interner;
use super::trace::Trace;
use crate::codec::records::edit::{event_start, positioned_metadata};
use crate::codec::records::{ChunkRewriter, Patch};
use crate::model::{Emission, Position};
use crate::sampling::rewrite::{Mark, marked_body};

/// How large a released batch grows before the next one is begun.
const BATCH: usize = 1 << 20;

/// Where spans of one tag go on that are released while a chunk of this tag is taken in.
pub(super) type Here<'h, 'a> = (&'h mut ChunkRewriter<'a>, u32);

/// Released spans.
#[derive(Debug)]
pub(super) struct Ready {
    position: Position,
    batches: VecDeque<Emission>,
    bytes: usize,
    /// Used again for each span that is marked.
    patch: Patch,
    /// The body of a span that is released.
    body: Vec<u8>,
}

impl Ready {
    pub(super) fn new(position: Position) -> Self {
        Self {
            position,
            batches: VecDeque::new(),
            bytes: 0,
            patch: Patch::default(),
            body: Vec::new(),
        }
    }

    /// Releases the spans of a trace: on with the chunk `here` if they came under the chunk's tag, else
    /// into the batches.
    pub(super) fn release(
        &mut self,
        trace: &Trace,
        mark: Mark<'_>,
        (metadata, tags): (&Interner, &Interner),
        mut here: Option<Here<'_, '_>>,
    ) {
        let mut positioned: Option<(u32, Vec<u8>)> = None;
        for entry in trace.entries() {
            self.body.clear();
            entry.body(&mut self.body);
            if let Some((rewriter, tag)) = &mut here
                && *tag == entry.tag
            {
                let out = rewriter.insert();
                event_start(out, entry.time, metadata.get(entry.metadata));
                marked_body(&self.body, mark, &mut self.patch, out);
                continue;
            }
            let with_position = match positioned.take() {
                Some((id, metadata)) if id == entry.metadata => metadata,
                _ => {
                    let mut out = Vec::new();
                    positioned_metadata(metadata.get(entry.metadata), self.position, &mut out);
                    out
                }
            };
            let at = self.batch(tags.get(entry.tag));
            if let Some(batch) = self.batches.get_mut(at) {
                let before = batch.events.len();
                event_start(&mut batch.events, entry.time, &with_position);
                marked_body(&self.body, mark, &mut self.patch, &mut batch.events);
                batch.records += 1;
                self.bytes += batch.events.len().saturating_sub(before);
            }
            positioned = Some((entry.metadata, with_position));
        }
    }

    /// The place of the batch that takes the next released span of a tag.
    fn batch(&mut self, tag: &[u8]) -> usize {
        let open = |batch: &Emission| batch.events.len() < BATCH && batch.tag == tag;
        self.batches.iter().rposition(open).unwrap_or_else(|| {
            let tag = tag.to_vec();
            self.batches.push_back(Emission { tag, records: 0, events: Vec::new() });
            self.batches.len().saturating_sub(1)
        })
    }

    /// Takes the oldest batch of a tag.
    pub(super) fn take_of(&mut self, tag: &[u8]) -> Option<Emission> {
        let at = self.batches.iter().position(|released| released.tag == tag)?;
        let released = self.batches.remove(at)?;
        self.bytes = self.bytes.saturating_sub(released.events.len());
        Some(released)
    }

    /// Takes all batches.
    pub(super) fn take(&mut self) -> Vec<Emission> {
        self.bytes = 0;
        self.batches.drain(..).collect()
    }

    /// Takes back what could not be emitted.
    pub(super) fn put_back(&mut self, released: Emission) {
        self.bytes += released.events.len();
        self.batches.push_back(released);
    }

    /// The memory that released spans take, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}
