//! Memory limit: the option `max_memory` of inputs, and how `ai_emitter` keeps to it.

use std::sync::Arc;

use crate::config::Parser;
use crate::config::read::{self, Read};
use crate::plugin::{Chunks, OptionSpec, Sink};
use crate::receive::{self, CHUNK_BYTES};
use crate::stats::{Counter, CounterFamily, Counters, Log};

/// The option's name.
pub(in crate::plugins) const NAME: &str = "max_memory";

/// A chunk of the host has up to two megabytes, and outputs need a few of them to be busy.
const MIN_LIMIT: usize = 8_000_000;

const MEMORY_FULL: CounterFamily = CounterFamily::counter(
    "memory_full_total",
    "How often derived telemetry began to wait in its filters because as much as 'max_memory' waited \
     for the outputs.",
    &[],
);

/// Reads the option: the limit in bytes on what waits in memory, if there is one.
pub(in crate::plugins) fn limit(
    parser: &mut Parser<'_>,
    option: &OptionSpec,
) -> Read<Option<usize>> {
    let size = read::size(parser, option)?;
    if (1..MIN_LIMIT).contains(&size) {
        parser.refuse(option.name, &size.to_string(), "allowed: 0, or at least 8m");
    }
    Some(Some(size).filter(|size| *size > 0))
}

/// What an input that only emits may have in the host's chunks. No sender waits for an answer
/// there, so that what there is no room for stays where it is held: in the filters, which are
/// bounded themselves and count what they drop.
#[derive(Debug)]
pub(in crate::plugins) struct ChunkLimit {
    limit: Option<usize>,
    full: bool,
    reported: bool,
    gauge: Counter,
    times_full: Counter,
    log: Arc<Log>,
}

impl ChunkLimit {
    /// At most `limit` bytes, if there is a limit.
    pub(in crate::plugins) fn new(
        limit: Option<usize>,
        counters: &Counters,
        log: &Arc<Log>,
    ) -> Self {
        Self {
            limit,
            full: false,
            reported: false,
            gauge: counters.counter(CHUNK_BYTES, &[]),
            times_full: counters.counter(MEMORY_FULL, &[]),
            log: Arc::clone(log),
        }
    }

    /// How many bytes the host's chunks may take beside what they have. There is no limit where the
    /// user has the host bound them.
    pub(in crate::plugins) fn room(&mut self, sink: &dyn Sink) -> usize {
        let Chunks { bytes, bounded } = sink.chunks();
        self.gauge.set(u64::try_from(bytes).unwrap_or(u64::MAX));
        let Some(limit) = self.limit.filter(|_| !bounded) else { return usize::MAX };
        let room = limit.saturating_sub(bytes);
        let was_full = std::mem::replace(&mut self.full, room == 0);
        if self.full && !was_full {
            self.times_full.add(1);
            self.report(limit);
        }
        room
    }

    fn report(&mut self, limit: usize) {
        if !std::mem::replace(&mut self.reported, true) {
            self.log.warn(format!(
                "the outputs are slower than what filters make: {limit} bytes wait in memory, which is \
                 '{NAME}', and more waits in the filters until some of it was sent; with \
                 'storage.type filesystem' it waits on disk"
            ));
        }
    }

    /// Says that the limit does not hold, if the host bounds the chunks.
    pub(in crate::plugins) fn warn_if_bounded(&self, sink: &dyn Sink) {
        receive::warn_if_bounded(self.limit, sink, &self.log);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::AppendRefused;

    struct Holds(usize, bool);

    impl Sink for Holds {
        fn append(&mut self, _: &[u8], _: usize, _: &[u8]) -> Result<(), AppendRefused> {
            Ok(())
        }

        fn chunks(&self) -> Chunks {
            Chunks { bytes: self.0, bounded: self.1 }
        }

        fn flush_now(&mut self) {}
    }

    /// Guarantees: room is what the chunks leave of the limit; that there is none is counted each
    /// time it begins and said once; where the host bounds its chunks, or 0 is given, there is no
    /// limit, and an option that was given beside that is warned of.
    #[test]
    fn chunks_leave_room_up_to_the_limit() {
        let (counters, log) = (Counters::default(), Arc::new(Log::default()));
        let mut bound = ChunkLimit::new(Some(100), &counters, &log);
        let of = |name: &str| {
            let readings = counters.readings();
            readings.iter().find(|one| one.family.name == name).unwrap().counter.value()
        };
        for (bytes, room, times) in [(0, 100, 0), (99, 1, 0), (100, 0, 1), (300, 0, 1), (5, 95, 1)]
        {
            assert_eq!(bound.room(&Holds(bytes, false)), room, "{bytes}");
            assert_eq!((of("chunk_bytes"), of("memory_full_total")), (bytes as u64, times));
        }
        assert_eq!(bound.room(&Holds(100, false)), 0);
        assert_eq!(of("memory_full_total"), 2);
        let said = log.take();
        assert!(said.len() == 1 && said[0].text.contains("'max_memory'"), "{said:?}");
        assert_eq!(bound.room(&Holds(1000, true)), usize::MAX);
        bound.warn_if_bounded(&Holds(0, false));
        assert!(log.take().is_empty());
        bound.warn_if_bounded(&Holds(0, true));
        assert!(log.take()[0].text.contains("no effect"));
        let mut unlimited = ChunkLimit::new(None, &counters, &log);
        assert_eq!(unlimited.room(&Holds(1000, false)), usize::MAX);
        unlimited.warn_if_bounded(&Holds(0, true));
        assert!(log.take().is_empty());
    }
}
