//! Bounded queue: the hand-over from the runtime's threads to the host's thread.
//!
//! A request waits here until the host has its data in storage; only then its sender is answered. A
//! batch whose sender has gone is taken out, so that a sender that ran out of patience and sends
//! again is not stored twice. The same happens when the host does not come for too long: the sender
//! is asked to send again while it still listens. The thread that takes a batch out of the queue,
//! under its lock, decides what becomes of it; so nothing that was refused can be stored.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::counters::ReceiveCounters;
use super::memory::WaitingMemory;
use super::memory_budget::HeldMemory;
use super::refusal::Refusal;
use super::tenancy::TagRoute;
use crate::model::Signal;
use crate::plugin::{NativeKind, NotAppended, Sink, Waker};
use crate::runtime::buffer_pool;
use crate::sync::Mutex;

/// How many bytes are appended in one go, before the host's thread gets to do something else.
const SLICE_BYTES: usize = 8 * 1024 * 1024;

/// The data of one request, ready to be appended.
#[derive(Debug)]
pub(super) struct EventBatch {
    pub(super) signal: Signal,
    /// What the host counts: log records without group markers.
    pub(super) records: usize,
    /// Spans, data points or log records.
    pub(super) items: usize,
    pub(super) events: Vec<u8>,
    /// What `events` are if they are no log events: contexts of the host's own.
    pub(super) native: Option<NativeKind>,
    /// The tag, or the parts with their tags.
    pub(super) route: TagRoute,
    pub(super) held: HeldMemory,
}

/// A batch and who waits for it.
#[derive(Debug)]
struct Waiting {
    /// Grows from the front of the queue to its end.
    number: u64,
    batch: EventBatch,
    answer: oneshot::Sender<Result<(), Refusal>>,
}

/// A sender's position in the queue. When it is dropped before the answer, the sender has gone, and
/// its batch leaves the queue.
struct QueuedSender<'a> {
    handoff: &'a Handoff,
    meters: &'a ReceiveCounters,
    number: u64,
    answered: oneshot::Receiver<Result<(), Refusal>>,
    over: bool,
}

/// Whether data is taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Open,
    Paused,
    /// For good.
    Closed,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    waiting: VecDeque<Waiting>,
    /// The number of the next batch.
    next: u64,
    /// A wake is on its way, so that no other is needed.
    woken: bool,
}

/// The queue between the runtime's threads and the host's.
#[derive(Debug)]
pub(super) struct Handoff {
    state: Mutex<State>,
    waker: Waker,
    memory: Arc<WaitingMemory>,
}

impl Handoff {
    pub(super) fn new(waker: Waker, memory: Arc<WaitingMemory>) -> Self {
        let state = State { mode: Mode::Open, waiting: VecDeque::new(), next: 0, woken: false };
        Self { state: Mutex::new(state), waker, memory }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Whether a request would be refused right away.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        refused_by(self.state().mode).map_or(Ok(()), Err)
    }

    /// Queues a batch and waits until the host has it, at most for `limit`. The batch is counted,
    /// whatever becomes of it, also when the sender leaves, that is when this is dropped.
    ///
    /// # Errors
    /// Why the host does not have it; then it never will.
    pub(super) async fn submit(
        &self,
        batch: EventBatch,
        limit: Duration,
        meters: &ReceiveCounters,
    ) -> Result<(), Refusal> {
        let mut sender = self.push(batch, meters)?;
        let answer = match tokio::time::timeout(limit, &mut sender.answered).await {
            Ok(answer) => answer,
            Err(_elapsed) => {
                if let Some(waiting) = self.take_out(sender.number) {
                    sender.over = true;
                    let refusal = self.timed_out();
                    refuse(waiting, refusal.clone(), meters);
                    return Err(refusal);
                }
                // The host is at it in this moment.
                (&mut sender.answered).await
            }
        };
        sender.over = true;
        answer.unwrap_or(Err(Refusal::ShuttingDown))
    }

    /// What keeps the host from coming for a batch.
    fn timed_out(&self) -> Refusal {
        if self.memory.is_full() { Refusal::MemoryFull } else { Refusal::QueueTimeout }
    }

    fn push<'a>(
        &'a self,
        batch: EventBatch,
        meters: &'a ReceiveCounters,
    ) -> Result<QueuedSender<'a>, Refusal> {
        let mut state = self.state();
        if let Some(refusal) = refused_by(state.mode) {
            drop(state);
            meters.of(batch.signal).refused(refusal.reason(), batch.items);
            return Err(refusal);
        }
        let (answer, answered) = oneshot::channel();
        let number = state.next;
        state.next = number.wrapping_add(1);
        state.waiting.push_back(Waiting { number, batch, answer });
        let wake = !std::mem::replace(&mut state.woken, true);
        drop(state);
        if wake {
            self.waker.wake();
        }
        Ok(QueuedSender { handoff: self, meters, number, answered, over: false })
    }

    /// Takes a batch out of the queue, if it is still there.
    fn take_out(&self, number: u64) -> Option<Waiting> {
        let mut state = self.state();
        let index = state.waiting.binary_search_by_key(&number, |waiting| waiting.number).ok()?;
        state.waiting.remove(index)
    }

    /// Appends what waits, up to one slice and while there is memory for it; asks for another wake
    /// if something is left. Call it on the host's thread.
    pub(super) fn append(&self, sink: &mut dyn Sink, meters: &ReceiveCounters) {
        self.append_up_to(SLICE_BYTES, sink, meters, |sink| self.memory.has_room(sink));
        self.memory.hurry(sink);
    }

    /// Appends everything that waits, and takes nothing in from now on.
    pub(super) fn close(&self, sink: &mut dyn Sink, meters: &ReceiveCounters) {
        self.state().mode = Mode::Closed;
        self.append_up_to(usize::MAX, sink, meters, |_| true);
    }

    /// Takes nothing in until [`Handoff::resume`]; what waits is given back to its senders.
    pub(super) fn pause(&self, meters: &ReceiveCounters) {
        {
            let mut state = self.state();
            if state.mode == Mode::Open {
                state.mode = Mode::Paused;
            }
        }
        self.refuse_all(&Refusal::Paused, meters);
    }

    /// Takes data in again, unless closed.
    pub(super) fn resume(&self) {
        let mut state = self.state();
        if state.mode == Mode::Paused {
            state.mode = Mode::Open;
        }
    }

    /// Takes nothing in any more, and gives what waits back to its senders.
    pub(super) fn abandon(&self, meters: &ReceiveCounters) {
        self.state().mode = Mode::Closed;
        self.refuse_all(&Refusal::ShuttingDown, meters);
    }

    fn append_up_to(
        &self,
        slice: usize,
        sink: &mut dyn Sink,
        meters: &ReceiveCounters,
        has_room: impl Fn(&dyn Sink) -> bool,
    ) {
        self.state().woken = false;
        let mut appended = 0_usize;
        while appended < slice {
            if !has_room(sink) {
                if !self.state().waiting.is_empty() {
                    self.memory.look_again();
                }
                return;
            }
            // The lock is not held while the host appends: the host may pause us from within.
            let Some(next) = self.state().waiting.pop_front() else { return };
            let bytes = next.batch.events.len();
            appended = appended.saturating_add(bytes);
            self.memory.appended(bytes);
            if !append_one(next, sink, meters) {
                self.refuse_all(&Refusal::Paused, meters);
                return;
            }
        }
        let more = {
            let mut state = self.state();
            let more = !state.waiting.is_empty() && !state.woken;
            state.woken |= more;
            more
        };
        if more {
            self.waker.wake();
        }
    }

    fn refuse_all(&self, refusal: &Refusal, meters: &ReceiveCounters) {
        let waiting = std::mem::take(&mut self.state().waiting);
        for one in waiting {
            refuse(one, refusal.clone(), meters);
        }
    }
}

impl Drop for QueuedSender<'_> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        if let Some(waiting) = self.handoff.take_out(self.number) {
            refuse(waiting, Refusal::ClientGone, self.meters);
        }
    }
}

fn refused_by(mode: Mode) -> Option<Refusal> {
    match mode {
        Mode::Open => None,
        Mode::Paused => Some(Refusal::Paused),
        Mode::Closed => Some(Refusal::ShuttingDown),
    }
}

/// Appends a batch whose sender still waits, and answers. Returns whether the host takes data.
fn append_one(waiting: Waiting, sink: &mut dyn Sink, meters: &ReceiveCounters) -> bool {
    if waiting.answer.is_closed() {
        refuse(waiting, Refusal::ClientGone, meters);
        return true;
    }
    let EventBatch { signal, records, items, events, native, route, .. } = &waiting.batch;
    let appended = route.append(*records, events, |tag, records, part, rest| {
        sink.rest_follows(rest);
        match *native {
            None => sink.append(tag, records, part).map_err(|_| NotAppended::Refused),
            Some(kind) => sink.append_native(tag, kind, part),
        }
    });
    sink.rest_follows(false);
    match appended {
        Ok(()) => {}
        Err(NotAppended::Refused) => {
            refuse(waiting, Refusal::Paused, meters);
            return false;
        }
        Err(error @ NotAppended::Unsupported(_)) => {
            refuse(waiting, Refusal::Malformed(error.to_string()), meters);
            return true;
        }
        Err(NotAppended::Processors(why)) => {
            refuse(waiting, Refusal::Processors(why), meters);
            return true;
        }
    }
    meters.of(*signal).accepted.add_items(*items);
    let Waiting { batch: EventBatch { events, held, .. }, answer, .. } = waiting;
    buffer_pool::reclaim(events);
    drop(held);
    // A sender that left in this very moment gets no answer; it cannot know either way.
    drop(answer.send(Ok(())));
    true
}

fn refuse(waiting: Waiting, refusal: Refusal, meters: &ReceiveCounters) {
    let Waiting { batch, answer, .. } = waiting;
    meters.of(batch.signal).refused(refusal.reason(), batch.items);
    let EventBatch { events, held, .. } = batch;
    buffer_pool::reclaim(events);
    drop(held);
    drop(answer.send(Err(refusal)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::AppendRefused;
    use crate::receive::memory_budget::MemoryBudget;
    use crate::stats::{Counter, Counters};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Lengths(Vec<usize>);

    impl Sink for Lengths {
        fn append(&mut self, _: &[u8], _: usize, events: &[u8]) -> Result<(), AppendRefused> {
            self.0.push(events.len());
            Ok(())
        }

        fn flush_now(&mut self) {}
    }

    struct Filled {
        handoff: Handoff,
        meters: ReceiveCounters,
        counters: Counters,
        wakes: Arc<AtomicUsize>,
    }

    fn empty() -> Filled {
        let wakes = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&wakes);
        let counters = Counters::default();
        let meters = ReceiveCounters::new(&counters);
        let waker = Waker::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let handoff = Handoff::new(waker, WaitingMemory::unlimited());
        Filled { handoff, meters, counters, wakes }
    }

    fn batch(bytes: usize) -> EventBatch {
        let held =
            MemoryBudget::new(usize::MAX, Counter::default(), WaitingMemory::unlimited()).share();
        let (signal, events, native) = (Signal::Logs, vec![0; bytes], None);
        let route = TagRoute::default();
        EventBatch { signal, records: 1, items: 1, events, native, route, held }
    }

    fn answers<'a>(filled: &'a Filled, lengths: &[usize]) -> Vec<QueuedSender<'a>> {
        let push = |length: &usize| filled.handoff.push(batch(*length), &filled.meters).unwrap();
        lengths.iter().map(push).collect()
    }

    fn refused(filled: &Filled, reason: &str) -> u64 {
        let readings = filled.counters.readings();
        let of = readings.iter().filter(|reading| {
            reading.family.name == "refused_items_total" && reading.labels == ["logs", reason]
        });
        of.map(|reading| reading.counter.value()).sum()
    }

    #[test]
    fn the_host_is_not_held_longer_than_a_slice() {
        let filled = empty();
        let mut answers = answers(&filled, &[5 << 20; 5]);
        let mut sink = Lengths::default();
        assert_eq!(filled.wakes.load(Ordering::Relaxed), 1);
        for (appended, woken) in [(2, 2), (4, 3), (5, 3), (5, 3)] {
            filled.handoff.append(&mut sink, &filled.meters);
            assert_eq!(sink.0.len(), appended);
            assert_eq!(filled.wakes.load(Ordering::Relaxed), woken);
        }
        assert!(answers.iter_mut().all(|sender| sender.answered.try_recv() == Ok(Ok(()))));
    }

    #[test]
    fn closing_appends_everything_and_lasts() {
        let filled = empty();
        let _answers = answers(&filled, &[5 << 20; 5]);
        let mut sink = Lengths::default();
        filled.handoff.close(&mut sink, &filled.meters);
        assert_eq!(sink.0.len(), 5);
        filled.handoff.pause(&filled.meters);
        filled.handoff.resume();
        assert_eq!(filled.handoff.check(), Err(Refusal::ShuttingDown));
        let refusal = filled.handoff.push(batch(1), &filled.meters).err();
        assert_eq!(refusal, Some(Refusal::ShuttingDown));
        assert_eq!(refused(&filled, "shutting_down"), 1);
    }

    #[test]
    fn what_is_abandoned_is_reported() {
        let filled = empty();
        let mut answers = answers(&filled, &[1, 2]);
        filled.handoff.abandon(&filled.meters);
        for sender in &mut answers {
            assert_eq!(sender.answered.try_recv(), Ok(Err(Refusal::ShuttingDown)));
        }
    }

    #[test]
    fn who_leaves_takes_the_batch_along() {
        let filled = empty();
        let mut answers = answers(&filled, &[1, 2, 3]);
        drop(answers.remove(1));
        assert_eq!(refused(&filled, "client_gone"), 1);
        let mut sink = Lengths::default();
        filled.handoff.append(&mut sink, &filled.meters);
        assert_eq!(sink.0, [1, 3]);
        drop(answers);
        assert_eq!(refused(&filled, "client_gone"), 1);
    }

    #[tokio::test]
    async fn who_waits_too_long_gets_an_answer_and_is_not_stored() {
        let filled = empty();
        let limit = Duration::from_millis(20);
        let refusal = filled.handoff.submit(batch(1), limit, &filled.meters).await;
        assert_eq!(refusal, Err(Refusal::QueueTimeout));
        assert_eq!(refused(&filled, "queue_timeout"), 1);
        let mut sink = Lengths::default();
        filled.handoff.append(&mut sink, &filled.meters);
        assert!(sink.0.is_empty());
    }

    /// A host that is at a batch while its sender's time runs out.
    struct Slow<'a>(&'a Filled, Vec<usize>);

    impl Sink for Slow<'_> {
        fn append(&mut self, _: &[u8], _: usize, events: &[u8]) -> Result<(), AppendRefused> {
            assert!(self.0.handoff.take_out(0).is_none());
            self.1.push(events.len());
            Ok(())
        }

        fn flush_now(&mut self) {}
    }

    #[test]
    fn what_the_host_is_at_cannot_be_taken_back() {
        let filled = empty();
        let mut answers = answers(&filled, &[7]);
        let mut sink = Slow(&filled, Vec::new());
        filled.handoff.append(&mut sink, &filled.meters);
        assert_eq!(sink.1, [7]);
        assert_eq!(answers[0].answered.try_recv(), Ok(Ok(())));
    }
}
