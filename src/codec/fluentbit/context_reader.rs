//! Chunk reader: frames the contexts of a chunk, so that one that cannot be read costs itself alone.

use super::fields;
use super::tally::{ReadPosition, ReadProblem, ReadTally};
use crate::codec::msgpack::Reader;

/// A chunk of traces or metrics as an OTLP request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NativeRequest {
    /// An encoded `ExportTraceServiceRequest` or `ExportMetricsServiceRequest`. Empty if there is
    /// no item.
    pub request: Vec<u8>,
    /// The spans or data points in it.
    pub items: usize,
    /// The contexts that were read.
    pub contexts: usize,
    /// What could not be read: contexts, or within a context envelopes, metrics, spans, points,
    /// events, links, exemplars, attributes and labels.
    pub skipped: usize,
    /// Why and where the first one of them could not be read.
    pub reason: Option<String>,
}

/// Reads one context, which may be anything that is msgpack.
pub(super) type ReadContext =
    fn(&mut Vec<u8>, &[u8], ReadPosition, &mut ReadTally) -> Result<(), ReadProblem>;

/// Reads a chunk, a stream of contexts, into one request.
pub(super) fn read_chunk(chunk: &[u8], read: ReadContext) -> NativeRequest {
    let mut reader = Reader::new(chunk);
    let mut tally = ReadTally::default();
    let mut request = Vec::with_capacity(chunk.len());
    for number in 0.. {
        if reader.is_empty() {
            break;
        }
        let position = ReadPosition::context(number);
        let Ok(raw) = reader.skip() else {
            tally.skip(
                position,
                ReadProblem::new("", "is cut off or is not msgpack; what follows is lost"),
            );
            break;
        };
        if !fields::is_map(raw) {
            tally.skip(position, ReadProblem::new("", "is not a map"));
            continue;
        }
        match read(&mut request, raw, position, &mut tally) {
            Ok(()) => tally.contexts = tally.contexts.saturating_add(1),
            Err(bad) => tally.skip(position, bad),
        }
    }
    let ReadTally { items, contexts, skipped, reason } = tally;
    NativeRequest { request, items, contexts, skipped, reason }
}
