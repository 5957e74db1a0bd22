//! The hand-over from the runtime's threads to the host's thread.
//!
//! A request waits here until the host has its data in storage; only then its sender is answered.
//! A batch whose sender has gone is skipped, so that a sender that ran out of patience and sends
//! again is not stored twice.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use super::budget::Held;
use super::meters::Meters;
use super::refusal::Refusal;
use super::tenancy::Route;
use crate::model::Signal;
use crate::plugin::{Sink, Waker};

/// How many bytes are appended in one go, before the host's thread gets to do something else.
const SLICE_BYTES: usize = 8 * 1024 * 1024;

/// The data of one request, ready to be appended.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) signal: Signal,
    /// What the host counts: log records without group markers.
    pub(super) records: usize,
    /// Spans, data points or log records.
    pub(super) items: usize,
    pub(super) events: Vec<u8>,
    /// The tag, or the parts with their tags.
    pub(super) route: Route,
    pub(super) held: Held,
    pub(super) answer: oneshot::Sender<Result<(), Refusal>>,
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
    waiting: VecDeque<Batch>,
    /// A wake is on its way, so that no other is needed.
    woken: bool,
}

/// The queue between the runtime's threads and the host's.
#[derive(Debug)]
pub(super) struct Handoff {
    state: Mutex<State>,
    waker: Waker,
}

impl Handoff {
    pub(super) fn new(waker: Waker) -> Self {
        let state = State { mode: Mode::Open, waiting: VecDeque::new(), woken: false };
        Self { state: Mutex::new(state), waker }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request would be refused right away.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        refused_by(self.state().mode).map_or(Ok(()), Err)
    }

    /// Queues a batch and wakes the host. A batch that is not taken comes back with the reason.
    pub(super) fn push(&self, batch: Batch) -> Result<(), (Batch, Refusal)> {
        let mut state = self.state();
        if let Some(refusal) = refused_by(state.mode) {
            drop(state);
            return Err((batch, refusal));
        }
        state.waiting.push_back(batch);
        let wake = !std::mem::replace(&mut state.woken, true);
        drop(state);
        if wake {
            self.waker.wake();
        }
        Ok(())
    }

    /// Appends what waits, up to one slice; asks for another wake if something is left. Call it on
    /// the host's thread.
    pub(super) fn append(&self, sink: &mut dyn Sink, meters: &Meters) {
        self.append_up_to(SLICE_BYTES, sink, meters);
    }

    /// Appends everything that waits, and takes nothing in from now on.
    pub(super) fn close(&self, sink: &mut dyn Sink, meters: &Meters) {
        self.state().mode = Mode::Closed;
        self.append_up_to(usize::MAX, sink, meters);
    }

    /// Takes nothing in until [`Handoff::resume`]; what waits is given back to its senders.
    pub(super) fn pause(&self, meters: &Meters) {
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
    pub(super) fn abandon(&self, meters: &Meters) {
        self.state().mode = Mode::Closed;
        self.refuse_all(&Refusal::ShuttingDown, meters);
    }

    fn append_up_to(&self, slice: usize, sink: &mut dyn Sink, meters: &Meters) {
        self.state().woken = false;
        let mut appended = 0_usize;
        while appended < slice {
            // The lock is not held while the host appends: the host may pause us from within.
            let Some(batch) = self.state().waiting.pop_front() else { return };
            appended = appended.saturating_add(batch.events.len());
            if !append_one(batch, sink, meters) {
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

    fn refuse_all(&self, refusal: &Refusal, meters: &Meters) {
        let waiting = std::mem::take(&mut self.state().waiting);
        for batch in waiting {
            refuse(batch, refusal.clone(), meters);
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
fn append_one(batch: Batch, sink: &mut dyn Sink, meters: &Meters) -> bool {
    if batch.answer.is_closed() {
        meters.of(batch.signal).refused(Refusal::ClientGone.reason(), batch.items);
        return true;
    }
    let appended = batch
        .route
        .append(batch.records, &batch.events, |tag, records, part| sink.append(tag, records, part));
    if appended.is_err() {
        refuse(batch, Refusal::Paused, meters);
        return false;
    }
    meters.of(batch.signal).accepted.add_items(batch.items);
    let Batch { events, held, answer, .. } = batch;
    drop(events);
    drop(held);
    // A sender that left in this very moment is not told; it cannot be known to it either way.
    drop(answer.send(Ok(())));
    true
}

fn refuse(batch: Batch, refusal: Refusal, meters: &Meters) {
    meters.of(batch.signal).refused(refusal.reason(), batch.items);
    let Batch { events, held, answer, .. } = batch;
    drop(events);
    drop(held);
    drop(answer.send(Err(refusal)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Refused;
    use crate::receive::budget::Budget;
    use crate::stats::{Counter, Counters};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Lengths(Vec<usize>);

    impl Sink for Lengths {
        fn append(&mut self, _: &[u8], _: usize, events: &[u8]) -> Result<(), Refused> {
            self.0.push(events.len());
            Ok(())
        }

        fn flush_now(&mut self) {}
    }

    type Answers = Vec<oneshot::Receiver<Result<(), Refusal>>>;

    fn filled(lengths: &[usize]) -> (Handoff, Answers, Arc<AtomicUsize>) {
        let wakes = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&wakes);
        let handoff = Handoff::new(Waker::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        }));
        let budget = Budget::new(usize::MAX, Counter::default());
        let mut answers = Vec::new();
        for length in lengths {
            let (answer, answered) = oneshot::channel();
            answers.push(answered);
            let (events, held) = (vec![0; *length], budget.share());
            let (signal, route) = (Signal::Logs, Route::default());
            let batch = Batch { signal, records: 1, items: 1, events, route, held, answer };
            assert!(handoff.push(batch).is_ok());
        }
        (handoff, answers, wakes)
    }

    #[test]
    fn the_host_is_not_held_longer_than_a_slice() {
        let five = 5 << 20;
        let (handoff, mut answers, wakes) = filled(&[five; 5]);
        let meters = Meters::new(&Counters::default());
        let mut sink = Lengths::default();
        assert_eq!(wakes.load(Ordering::Relaxed), 1);
        for (appended, woken) in [(2, 2), (4, 3), (5, 3), (5, 3)] {
            handoff.append(&mut sink, &meters);
            assert_eq!(sink.0.len(), appended);
            assert_eq!(wakes.load(Ordering::Relaxed), woken);
        }
        assert!(answers.iter_mut().all(|answer| answer.try_recv() == Ok(Ok(()))));
    }

    #[test]
    fn closing_appends_everything_and_lasts() {
        let (handoff, _answers, _wakes) = filled(&[5 << 20; 5]);
        let meters = Meters::new(&Counters::default());
        let mut sink = Lengths::default();
        handoff.close(&mut sink, &meters);
        assert_eq!(sink.0.len(), 5);
        handoff.pause(&meters);
        handoff.resume();
        assert_eq!(handoff.check(), Err(Refusal::ShuttingDown));
    }

    #[test]
    fn what_is_abandoned_is_told() {
        let (handoff, mut answers, _wakes) = filled(&[1, 2]);
        handoff.abandon(&Meters::new(&Counters::default()));
        for answer in &mut answers {
            assert_eq!(answer.try_recv(), Ok(Err(Refusal::ShuttingDown)));
        }
    }
}
