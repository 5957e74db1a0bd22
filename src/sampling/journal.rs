//! The journal of a tail sampler: spans that wait and traces that were decided, in a form that survives the process.
//!
//! A segment begins with [`MAGIC`]; frames follow: the length of the payload (32 bits, little-endian), its
//! xxh3 hash (64 bits), and the payload: one byte that says the kind, and
//!
//! | kind | then |
//! |---|---|
//! | 1, held | the length of a tag (16 bits), the tag, and the encoded events of spans and logs that wait, logs with the marks of their groups |
//! | 2, decided | trace ids of 16 bytes |
//!
//! What is not whole at the end of a segment was being written when the process ended.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use xxhash_rust::xxh3::xxh3_64;

use crate::codec::records::edit::write_whole;
use crate::codec::records::{Event, EventKind, Events, LogView, SpanView};
use crate::model::{Signal, TraceId};

/// How a segment begins: its name and the version of its form.
pub const MAGIC: &[u8; 8] = b"fbai.tj1";
/// Bytes before a payload.
const HEAD: usize = 12;
const HELD: u8 = 1;
const DECIDED: u8 = 2;

/// What is to be written next.
#[derive(Debug, Default)]
pub(super) struct JournalBatch {
    frames: Vec<u8>,
    /// Where the frame begins that takes more spans, and its tag.
    open: Option<(usize, Vec<u8>)>,
    spans: u64,
    decided: Vec<u8>,
}

/// Frames for a segment.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct JournalFrames {
    /// The encoded frames.
    pub bytes: Vec<u8>,
    /// How many spans they hold.
    pub spans: u64,
}

impl JournalBatch {
    /// A span waits.
    pub(super) fn held(&mut self, tag: &[u8], event: &[u8]) {
        if self.open.as_ref().is_none_or(|(_, open)| open != tag) {
            self.close();
            let Ok(length) = u16::try_from(tag.len()) else { return };
            self.open = Some((self.frames.len(), tag.to_vec()));
            self.frames.extend_from_slice(&[0; HEAD]);
            self.frames.push(HELD);
            self.frames.extend_from_slice(&length.to_le_bytes());
            self.frames.extend_from_slice(tag);
        }
        self.frames.extend_from_slice(event);
        self.spans += 1;
    }

    /// A trace does not wait any more.
    pub(super) fn decided(&mut self, id: TraceId) {
        self.decided.extend_from_slice(&id.0);
    }

    /// Takes the spans that wait, and with `decided` the traces that do not any more.
    pub(super) fn take(&mut self, decided: bool) -> JournalFrames {
        self.close();
        if decided && !self.decided.is_empty() {
            let start = self.frames.len();
            self.frames.extend_from_slice(&[0; HEAD]);
            self.frames.push(DECIDED);
            self.frames.append(&mut self.decided);
            finish(&mut self.frames, start);
        }
        JournalFrames {
            bytes: std::mem::take(&mut self.frames),
            spans: std::mem::take(&mut self.spans),
        }
    }

    fn close(&mut self) {
        if let Some((start, _)) = self.open.take() {
            finish(&mut self.frames, start);
        }
    }
}

/// Writes the head of the frame that begins at `start`; one too large for a length is left out.
fn finish(frames: &mut Vec<u8>, start: usize) {
    let Some((head, payload)) =
        frames.get_mut(start..).and_then(|frame| frame.split_at_mut_checked(HEAD))
    else {
        return;
    };
    let (Ok(length), hash) = (u32::try_from(payload.len()), xxh3_64(payload)) else {
        frames.truncate(start);
        return;
    };
    let (for_length, for_hash) = head.split_at_mut(4);
    for_length.copy_from_slice(&length.to_le_bytes());
    for_hash.copy_from_slice(&hash.to_le_bytes());
}

/// What is undecided in the segments that a process left behind.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Undecided {
    /// Tags, and events of spans and logs that were still waiting, in the order in which they came.
    pub chunks: Vec<(Vec<u8>, Vec<u8>)>,
    /// How many spans these are.
    pub spans: u64,
    /// Bytes that are no whole frames.
    pub torn_bytes: u64,
}

/// One frame.
enum Frame<'a> {
    Held(&'a [u8], &'a [u8]),
    Decided(&'a [u8]),
}

/// Reads segments in the order in which they were written.
#[must_use]
pub fn undecided(segments: &[Vec<u8>]) -> Undecided {
    let mut found = Undecided::default();
    let mut frames = Vec::new();
    for segment in segments {
        let mut rest = segment.strip_prefix(MAGIC).unwrap_or_default();
        let mut torn = if rest.is_empty() { segment.len().saturating_sub(MAGIC.len()) } else { 0 };
        while let Some((frame, after)) = next(rest) {
            frames.extend(frame);
            rest = after;
        }
        torn += rest.len();
        found.torn_bytes += torn as u64;
    }
    let mut decided: HashMap<[u8; 16], usize, RandomState> = HashMap::default();
    for (index, frame) in frames.iter().enumerate() {
        if let Frame::Decided(ids) = frame {
            let (ids, _) = ids.as_chunks::<16>();
            decided.extend(ids.iter().map(|id| (*id, index)));
        }
    }
    for (index, frame) in frames.iter().enumerate() {
        let Frame::Held(tag, events) = frame else { continue };
        let mut waiting = Vec::new();
        for event in Events::new(events).flatten() {
            let Some(id) = trace_of(&event) else { continue };
            if decided.get(&id.0).is_none_or(|at| *at < index) {
                write_whole(&event, &mut waiting);
                found.spans += 1;
            }
        }
        if !waiting.is_empty() {
            found.chunks.push((tag.to_vec(), waiting));
        }
    }
    found
}

/// The trace of a span or of a log.
fn trace_of(event: &Event<'_>) -> Option<TraceId> {
    if event.kind != EventKind::Record {
        return None;
    }
    let telemetry = event.telemetry()?;
    match telemetry.signal {
        Some(Signal::Traces) => SpanView::new(event.body).trace_id(),
        _ => LogView::new(telemetry.otlp).trace_id(),
    }
}

/// The next whole frame, none if its kind is of a later form, and what follows it.
fn next(bytes: &[u8]) -> Option<(Option<Frame<'_>>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (hash, rest) = rest.split_first_chunk::<8>()?;
    let (payload, after) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    if xxh3_64(payload) != u64::from_le_bytes(*hash) {
        return None;
    }
    let frame = match payload.split_first()? {
        (&HELD, held) => {
            let (length, rest) = held.split_first_chunk::<2>()?;
            let (tag, events) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
            Some(Frame::Held(tag, events))
        }
        (&DECIDED, ids) => Some(Frame::Decided(ids)),
        _ => None,
    };
    Some((frame, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::records::testing::{SpanRecord, chunk};
    use proptest::prelude::*;

    fn event(trace: u64, span: u64) -> Vec<u8> {
        chunk(&[SpanRecord::new(trace, span)])
    }

    fn id_of(trace: u64) -> TraceId {
        let event = event(trace, 1);
        let event = Events::new(&event).next().unwrap().unwrap();
        SpanView::new(event.body).trace_id().unwrap()
    }

    fn segment(frames: &[JournalFrames]) -> Vec<u8> {
        let bytes = frames.iter().flat_map(|frames| frames.bytes.clone());
        MAGIC.iter().copied().chain(bytes).collect()
    }

    /// Guarantees: what was held and not decided after that comes back, under its tag and in its order, over
    /// several segments; a trace that begins again after its decision waits again.
    #[test]
    fn what_was_not_decided_comes_back() {
        let mut batch = JournalBatch::default();
        batch.held(b"a", &event(1, 1));
        batch.held(b"a", &event(2, 2));
        batch.held(b"b", &event(1, 3));
        batch.decided(id_of(3));
        let first = batch.take(false);
        assert_eq!(first.spans, 3);
        batch.decided(id_of(2));
        let second = batch.take(true);
        assert_eq!((second.spans, batch.take(true)), (0, JournalFrames::default()));
        batch.held(b"a", &event(2, 4));
        let third = batch.take(true);
        let found = undecided(&[segment(&[first, second]), segment(&[third])]);
        let of = |tag: &[u8], event: Vec<u8>| (tag.to_vec(), event);
        let want = vec![of(b"a", event(1, 1)), of(b"b", event(1, 3)), of(b"a", event(2, 4))];
        assert_eq!(found, Undecided { chunks: want, spans: 3, torn_bytes: 0 });
        assert_eq!(undecided(&[]), Undecided::default());
    }

    /// Scenario: a segment cut at every byte, and one with any byte changed. Guarantees: the frames before
    /// come back whole, and what is torn is counted.
    #[test]
    fn a_torn_tail_is_recognised() {
        let mut batch = JournalBatch::default();
        let frames: Vec<JournalFrames> = (1..4)
            .map(|trace| {
                batch.held(b"tag", &event(trace, trace));
                batch.take(true)
            })
            .collect();
        let whole = segment(&frames);
        let ends: Vec<usize> = (0..=3)
            .map(|count| {
                segment(
                    &frames
                        .iter()
                        .take(count)
                        .map(|frames| JournalFrames { bytes: frames.bytes.clone(), spans: 0 })
                        .collect::<Vec<_>>(),
                )
                .len()
            })
            .collect();
        for cut in 0..=whole.len() {
            let found = undecided(&[whole[..cut].to_vec()]);
            let before = ends.iter().filter(|end| **end <= cut).count().saturating_sub(1);
            assert_eq!(found.spans, before as u64, "{cut}");
            let torn = cut.saturating_sub(ends[before].min(cut).max(MAGIC.len()));
            assert_eq!(found.torn_bytes, torn as u64, "{cut}");
        }
        for at in 0..whole.len() {
            let mut broken = whole.clone();
            broken[at] ^= 0x40;
            let found = undecided(&[broken]);
            assert!(found.spans < 3 && found.torn_bytes > 0, "{at}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let found = undecided(&[bytes.clone(), [&MAGIC[..], &bytes].concat()]);
            prop_assert!(found.torn_bytes <= 2 * bytes.len() as u64);
        }
    }
}
