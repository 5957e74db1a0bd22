//! Memory limiter: one limit on what waits in memory on its way to the outputs, the host's chunks
//! and the requests on their way to them.
//!
//! Outputs that are slower than senders leave the difference in memory. At the limit, requests stay
//! in the hand-over until outputs have sent something; a sender that waits too long there, or comes
//! when there is no room at all, is asked to send again. Of the limit, an eighth is for the
//! requests, so that there is always something to append when the host has room.
//!
//! The host brings chunks to the outputs once in its flush interval, a second by default, and would
//! so send no more than the limit in that time. So it is asked to do it whenever a quarter of the
//! limit was appended, or there is no room: what comes slower keeps the interval.
//!
//! It does not hold where the user has the host bound its chunks, by `mem_buf_limit` or by another
//! `storage.type` than memory: then the host pauses the input, or writes to disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::chunks::warn_if_bounded;
use super::counters::ReceiveCounters;
use crate::plugin::{Chunks, Sink, Waker};
use crate::stats::{Counter, Log};

/// How often it is looked whether there is room again. The host does not say so by itself, and what
/// waits meanwhile is much more than outputs send in this time.
const LOOK: Duration = Duration::from_millis(10);

/// What waits in memory, and how much may.
#[derive(Debug)]
pub(super) struct WaitingMemory {
    limit: Option<usize>,
    /// Bytes of the host's chunks when the host's thread looked last.
    chunks: AtomicUsize,
    /// The host bounds them.
    bounded: AtomicBool,
    /// Nothing is appended at the moment.
    full: AtomicBool,
    reported: AtomicBool,
    /// Bytes that were appended since the host was asked to bring chunks to the outputs.
    fresh: AtomicUsize,
    look: Notify,
    gauge: Counter,
    times_full: Counter,
    log: Arc<Log>,
}

impl WaitingMemory {
    /// With at most `limit` bytes, if there is a limit.
    pub(super) fn new(limit: Option<usize>, meters: &ReceiveCounters, log: Arc<Log>) -> Self {
        Self {
            limit,
            chunks: AtomicUsize::new(0),
            bounded: AtomicBool::new(false),
            full: AtomicBool::new(false),
            reported: AtomicBool::new(false),
            fresh: AtomicUsize::new(0),
            look: Notify::new(),
            gauge: meters.chunk_bytes.clone(),
            times_full: meters.memory_full.clone(),
            log,
        }
    }

    /// Without a limit.
    #[cfg(test)]
    pub(super) fn unlimited() -> Arc<Self> {
        let meters = ReceiveCounters::new(&crate::stats::Counters::default());
        Arc::new(Self::new(None, &meters, Arc::default()))
    }

    /// The limit, where it holds.
    fn limit(&self) -> Option<usize> {
        self.limit.filter(|_| !self.bounded.load(Ordering::Relaxed))
    }

    /// How many bytes requests may hold beside the chunks.
    pub(super) fn left(&self) -> usize {
        let left = |limit: usize| limit.saturating_sub(self.chunks.load(Ordering::Relaxed));
        self.limit().map_or(usize::MAX, left)
    }

    /// Whether what waits is not appended at the moment.
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Looks at the host's chunks; returns whether there is room for more. Call it on the host's
    /// thread.
    pub(super) fn has_room(&self, sink: &dyn Sink) -> bool {
        let Chunks { bytes, bounded } = sink.chunks();
        self.chunks.store(bytes, Ordering::Relaxed);
        self.bounded.store(bounded, Ordering::Relaxed);
        self.gauge.set(u64::try_from(bytes).unwrap_or(u64::MAX));
        let full = self.limit().is_some_and(|limit| bytes >= limit.saturating_sub(limit / 8));
        if full && !self.full.swap(true, Ordering::Relaxed) {
            self.times_full.add(1);
            self.report();
        } else if !full {
            self.full.store(false, Ordering::Relaxed);
        }
        !full
    }

    /// Notes that the host took `bytes`.
    pub(super) fn appended(&self, bytes: usize) {
        self.fresh.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Has the host bring its chunks to the outputs if it is time. Call it on the host's thread.
    pub(super) fn hurry(&self, sink: &mut dyn Sink) {
        let Some(limit) = self.limit() else { return };
        let fresh = self.fresh.load(Ordering::Relaxed);
        if fresh >= limit / 4 || (fresh > 0 && self.is_full()) {
            self.fresh.store(0, Ordering::Relaxed);
            sink.flush_now();
        }
    }

    /// Whether not even what our own filters made may be appended. It has a quarter beyond the limit
    /// to itself, so that requests cannot keep it out for ever.
    pub(super) fn is_overfull(&self) -> bool {
        let chunks = self.chunks.load(Ordering::Relaxed);
        self.limit().is_some_and(|limit| chunks >= limit.saturating_add(limit / 4))
    }

    /// Has the host's thread look again soon.
    pub(super) fn look_again(&self) {
        self.look.notify_one();
    }

    /// Wakes the host's thread whenever it is to look again, until `stopped` says so.
    pub(super) async fn watch(&self, waker: Waker, mut stopped: watch::Receiver<bool>) {
        let looks = async {
            loop {
                self.look.notified().await;
                tokio::time::sleep(LOOK).await;
                waker.wake();
            }
        };
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => {}
            () = looks => {}
        }
    }

    fn report(&self) {
        let Some(limit) = self.limit.filter(|_| !self.reported.swap(true, Ordering::Relaxed))
        else {
            return;
        };
        self.log.warn(format!(
            "the outputs are slower than the senders: {limit} bytes wait in memory, which is \
             'max_memory', and senders are asked to come again until some of it was sent; with \
             'storage.type filesystem' it waits on disk"
        ));
    }

    /// Says that the limit does not hold, if the host bounds its chunks.
    pub(super) fn warn_if_bounded(&self, sink: &dyn Sink) {
        warn_if_bounded(self.limit, sink, &self.log);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::AppendRefused;
    use crate::stats::Counters;

    /// What it holds, and how often it was flushed.
    struct Holds(Chunks, usize);

    impl Sink for Holds {
        fn append(&mut self, _: &[u8], _: usize, _: &[u8]) -> Result<(), AppendRefused> {
            Ok(())
        }

        fn chunks(&self) -> Chunks {
            self.0
        }

        fn flush_now(&mut self) {
            self.1 += 1;
        }
    }

    fn holds(bytes: usize, bounded: bool) -> Holds {
        Holds(Chunks { bytes, bounded }, 0)
    }

    fn memory(limit: Option<usize>) -> (WaitingMemory, Counters, Arc<Log>) {
        let (counters, log) = (Counters::default(), Arc::new(Log::default()));
        (
            WaitingMemory::new(limit, &ReceiveCounters::new(&counters), Arc::clone(&log)),
            counters,
            log,
        )
    }

    fn count(counters: &Counters, family: &str) -> u64 {
        let readings = counters.readings();
        readings.iter().find(|one| one.family.name == family).unwrap().counter.value()
    }

    #[test]
    fn chunks_leave_room_for_requests_and_derived_telemetry_has_its_own() {
        let (memory, counters, log) = memory(Some(800));
        for (bytes, room, left, overfull) in [
            (0, true, 800, false),
            (699, true, 101, false),
            (700, false, 100, false),
            (999, false, 0, false),
            (1000, false, 0, true),
            (100, true, 700, false),
            (700, false, 100, false),
        ] {
            assert_eq!(memory.has_room(&holds(bytes, false)), room, "{bytes}");
            assert_eq!((memory.is_full(), memory.left()), (!room, left), "{bytes}");
            assert_eq!(memory.is_overfull(), overfull, "{bytes}");
            assert_eq!(count(&counters, "chunk_bytes"), bytes as u64);
        }
        assert_eq!(count(&counters, "memory_full_total"), 2);
        let lines = log.take();
        assert_eq!(lines.len(), 1, "said once: {lines:?}");
        assert!(lines[0].text.contains("'max_memory'"));
    }

    #[test]
    fn where_the_host_bounds_its_chunks_there_is_no_limit() {
        let (memory, _, log) = memory(Some(800));
        assert!(memory.has_room(&holds(5000, true)));
        assert_eq!((memory.left(), memory.is_overfull()), (usize::MAX, false));
        assert!(log.take().is_empty());
        memory.warn_if_bounded(&holds(0, true));
        assert!(log.take()[0].text.contains("no effect"));
        memory.warn_if_bounded(&holds(0, false));
        assert!(log.take().is_empty());
    }

    /// Guarantees: the host is asked to send after each quarter of the limit, and as soon as there is
    /// no room; never without a limit.
    #[test]
    fn the_host_is_hurried_when_much_is_fresh() {
        let (memory, ..) = memory(Some(800));
        let mut sink = holds(0, false);
        let mut flushes = |bytes: usize, held: usize, bounded: bool| {
            sink.0 = Chunks { bytes: held, bounded };
            memory.has_room(&sink);
            memory.appended(bytes);
            memory.hurry(&mut sink);
            std::mem::take(&mut sink.1)
        };
        assert_eq!([flushes(199, 199, false), flushes(1, 200, false)], [0, 1]);
        assert_eq!([flushes(100, 300, false), flushes(0, 700, false)], [0, 1]);
        assert_eq!([flushes(0, 700, false), flushes(1, 701, false)], [0, 1]);
        assert_eq!(flushes(5000, 5000, true), 0);
        let unlimited = WaitingMemory::unlimited();
        unlimited.appended(usize::MAX);
        unlimited.hurry(&mut sink);
        assert_eq!(sink.1, 0);
    }

    #[test]
    fn without_a_limit_there_is_always_room() {
        let (memory, counters, log) = memory(None);
        assert!(memory.has_room(&holds(usize::MAX, false)));
        assert_eq!((memory.left(), memory.is_overfull()), (usize::MAX, false));
        assert_eq!(count(&counters, "memory_full_total"), 0);
        memory.warn_if_bounded(&holds(0, true));
        assert!(log.take().is_empty());
    }
}
