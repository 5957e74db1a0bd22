//! Temporality of an endpoint: the metrics of a chunk are converted once, when it comes first, and the result is
//! remembered until the chunk is done with, so that a retry sends the same.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::export::request::EncodedRequest;
use crate::export::selection::encode::Lane;
use crate::export::settings::TemporalitySettings;
use crate::metric_points::temporality::TemporalityConverter;
use crate::model::Signal;
use crate::routing::ChunkId;
use crate::sync::Mutex;

/// Bytes of converted requests that are remembered for one endpoint.
const MAX_BYTES: usize = 16 << 20;

/// Chunks that are known to have been converted.
const MAX_CHUNKS: usize = 8192;

/// Data points of a chunk that an endpoint does not get, by why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::export) struct UnsentPoints {
    /// What they add to the points before them is not known.
    pub(in crate::export) first: usize,
    /// A later one of their series was converted already, or the same.
    pub(in crate::export) late: usize,
    /// They were converted, and the result is remembered no more.
    pub(in crate::export) forgotten: usize,
}

/// A chunk's requests with metrics in their order; `None` for those of which nothing was left.
type ConvertedParts = Vec<Option<Arc<EncodedRequest>>>;

/// What was converted, the oldest of which is forgotten first.
#[derive(Debug, Default)]
struct ConvertedChunks {
    /// `None` where only that it was converted is known.
    parts: HashMap<ChunkId, Option<ConvertedParts>>,
    /// In the order in which they came; those in front may be gone.
    remembered: VecDeque<ChunkId>,
    known: VecDeque<ChunkId>,
    bytes: usize,
}

fn size(parts: &ConvertedParts) -> usize {
    parts.iter().flatten().map(|part| part.size()).sum()
}

impl ConvertedChunks {
    fn remember(&mut self, chunk: ChunkId, parts: ConvertedParts) {
        self.bytes = self.bytes.saturating_add(size(&parts));
        self.parts.insert(chunk, Some(parts));
        self.remembered.push_back(chunk);
        self.known.push_back(chunk);
        while self.bytes > MAX_BYTES
            && let Some(oldest) = self.remembered.pop_front()
        {
            let parts = self.parts.get_mut(&oldest).and_then(Option::take);
            self.bytes = self.bytes.saturating_sub(parts.as_ref().map_or(0, size));
        }
        while self.known.len() > MAX_CHUNKS
            && let Some(oldest) = self.known.pop_front()
        {
            self.forget(oldest);
        }
    }

    fn forget(&mut self, chunk: ChunkId) {
        if let Some(Some(parts)) = self.parts.remove(&chunk) {
            self.bytes = self.bytes.saturating_sub(size(&parts));
        }
        // Mostly they end in the order in which they came.
        for order in [&mut self.remembered, &mut self.known] {
            while order.front().is_some_and(|first| !self.parts.contains_key(first)) {
                order.pop_front();
            }
        }
    }
}

/// The metrics of one endpoint in its temporality.
#[derive(Debug)]
pub(in crate::export) struct EndpointTemporality {
    state: Mutex<EndpointState>,
}

#[derive(Debug)]
struct EndpointState {
    converter: TemporalityConverter,
    chunks: ConvertedChunks,
}

impl EndpointTemporality {
    /// Nothing is known of what was counted before `since`, in Unix nanoseconds.
    pub(in crate::export) fn new(settings: TemporalitySettings, since: u64) -> Self {
        let TemporalitySettings { target, state_size } = settings;
        let converter = TemporalityConverter::new(target, since, state_size);
        let chunks = ConvertedChunks::default();
        Self { state: Mutex::new(EndpointState { converter, chunks }) }
    }

    /// Converts the metrics of a chunk, or takes what came of them before.
    pub(in crate::export) fn apply(&self, chunk: ChunkId, lane: &mut Lane) -> UnsentPoints {
        let mut unsent = UnsentPoints::default();
        let is_metrics = |part: &Arc<EncodedRequest>| part.signal == Signal::Metrics;
        if !lane.parts.iter().any(is_metrics) {
            return unsent;
        }
        let mut state = self.state.lock();
        let EndpointState { converter, chunks } = &mut *state;
        let converted = match chunks.parts.get(&chunk) {
            Some(Some(known)) => known.clone(),
            Some(None) => {
                let lost = lane.parts.iter().filter(|part| is_metrics(part));
                unsent.forgotten = lost.map(|part| part.items).sum();
                Vec::new()
            }
            None => {
                let metrics = lane.parts.iter().filter(|part| is_metrics(part));
                let converted: ConvertedParts =
                    metrics.map(|part| convert(converter, part, &mut unsent)).collect();
                chunks.remember(chunk, converted.clone());
                converted
            }
        };
        drop(state);
        let mut converted = converted.into_iter();
        let parts = std::mem::take(&mut lane.parts).into_iter();
        let replaced =
            |part| if is_metrics(&part) { converted.next().flatten() } else { Some(part) };
        lane.parts = parts.filter_map(replaced).collect();
        unsent
    }

    /// A chunk is done with.
    pub(in crate::export) fn forget(&self, chunk: ChunkId) {
        self.state.lock().chunks.forget(chunk);
    }
}

/// The request in the converter's temporality; `None` if nothing is left of it. One that cannot be read goes as
/// it is.
fn convert(
    converter: &mut TemporalityConverter,
    part: &Arc<EncodedRequest>,
    unsent: &mut UnsentPoints,
) -> Option<Arc<EncodedRequest>> {
    let Ok(Some(converted)) = converter.convert(part.bytes()) else {
        return Some(Arc::clone(part));
    };
    unsent.first = unsent.first.saturating_add(converted.first);
    unsent.late = unsent.late.saturating_add(converted.late);
    let request = EncodedRequest::new(Signal::Metrics, converted.points, converted.request);
    (converted.points > 0).then(|| Arc::new(request.derived(part.is_derived)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn chunk(task: u64) -> ChunkId {
        ChunkId { task, content: 0 }
    }

    fn parts(bytes: usize) -> ConvertedParts {
        vec![Some(Arc::new(EncodedRequest::new(Signal::Metrics, 1, vec![0; bytes]))), None]
    }

    #[test]
    fn the_oldest_are_forgotten_first_and_known_longer() {
        let mut chunks = ConvertedChunks::default();
        for task in 0..5 {
            chunks.remember(chunk(task), parts(MAX_BYTES / 4));
        }
        assert!(matches!(chunks.parts.get(&chunk(0)), Some(None)));
        assert!(matches!(chunks.parts.get(&chunk(1)), Some(Some(_))));
        for task in 0..5 {
            chunks.forget(chunk(task));
        }
        assert_eq!((chunks.bytes, chunks.parts.len()), (0, 0));
        assert!(chunks.remembered.is_empty() && chunks.known.is_empty());
        for task in 0..2 * MAX_CHUNKS {
            chunks.remember(chunk(task as u64), parts(1));
        }
        assert_eq!(chunks.parts.len(), MAX_CHUNKS);
        assert_eq!(chunks.bytes, MAX_CHUNKS);
    }
}
