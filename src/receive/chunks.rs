//! Storage gauges: what every input with a limit on memory shows and says of the host's chunks.

use crate::plugin::Sink;
use crate::stats::{CounterFamily, Log};

/// The chunks of an input, in bytes.
pub const CHUNK_BYTES: CounterFamily = CounterFamily::gauge(
    "chunk_bytes",
    "Bytes of chunks that the host holds in memory for this input.",
    &[],
);

/// Says that `max_memory` does not hold, if it is given and the host bounds the chunks of `sink`.
pub fn warn_if_bounded(max_memory: Option<usize>, sink: &dyn Sink, log: &Log) {
    if sink.chunks().bounded && max_memory.is_some() {
        log.warn(
            "option 'max_memory': has no effect here, because 'mem_buf_limit' or 'storage.type' bounds \
             what the host holds in memory",
        );
    }
}
