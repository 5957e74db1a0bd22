//! What was released, in batches by tag, until it is emitted.

use std::collections::VecDeque;

use super::interner::Interner;
use super::trace::Trace;
use crate::codec::records::edit::{Pairs, event_start, insert_otlp, write_position};
use crate::codec::records::layout::keys;
use crate::codec::records::{ChunkRewriter, Patch};
use crate::model::{Emission, Position};
use crate::sampling::rewrite::{Mark, marked_body};

/// How large a released batch grows before the next one is begun.
const BATCH: usize = 1 << 20;

/// Where spans of one tag go on that are released while a chunk of this tag is taken in.
pub(super) type Here<'h, 'a> = (&'h mut ChunkRewriter<'a>, u32);

/// A metadata map with what a mark says of the content, and with the position of who emits the record, if it is
/// emitted.
fn hinted(metadata: &[u8], mark: Mark<'_>, position: Option<Position>) -> Vec<u8> {
    let mut pairs = Pairs::new();
    position.into_iter().for_each(|position| write_position(position, &mut pairs));
    if let Some(content) = mark.content {
        pairs.text(keys::CONTENT, content.name());
    }
    let mut out = Vec::new();
    insert_otlp(metadata, &pairs, &mut out);
    out
}

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
                let given = metadata.get(entry.metadata);
                match mark.content {
                    None => event_start(out, entry.time, given),
                    Some(_) => event_start(out, entry.time, &hinted(given, mark, None)),
                }
                marked_body(&self.body, mark, &mut self.patch, out);
                continue;
            }
            let with_position = match positioned.take() {
                Some((id, metadata)) if id == entry.metadata => metadata,
                _ => hinted(metadata.get(entry.metadata), mark, Some(self.position)),
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
