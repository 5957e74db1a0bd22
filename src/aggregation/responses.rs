//! Finds model calls that spans of several traces tell of, so that their tokens are counted once.
//!
//! Where headers are lost between a client and its gateway, each begins a trace of its own for one call. Two
//! such spans are one call if they have the same response id and the same tokens, and were under way at
//! the same time; the id alone does not say it, because some servers draw theirs from few numbers.
//! Of one call the span counts that began last, as it is the innermost. Spans come in any order, so one that
//! was counted may be taken back.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::calls::{CallChanges, SaidUsage};
use super::usage::{TokenCounts, Tokens};
use crate::clock::Tick;
use crate::model::{SpanId, TraceId};

/// The most calls remembered that have one response id and the same tokens.
const MAX_ALIKE: usize = 16;

/// A call to a model, as a span tells of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct AnsweredCall<C> {
    /// A hash of the response id and the tokens; 0 where there is no id.
    pub(super) answer: u64,
    /// The span's ids.
    pub(super) ids: (TraceId, SpanId),
    /// When it began and ended, in Unix nanoseconds.
    pub(super) from: u64,
    pub(super) to: u64,
    /// What is to be counted.
    pub(super) what: C,
}

#[derive(Debug, Clone, Copy)]
struct Known<C> {
    call: AnsweredCall<C>,
    counted: bool,
}

/// Calls that have one response id and the same tokens: nearly always one.
#[derive(Debug)]
struct Alike<C> {
    first: Known<C>,
    others: Vec<Known<C>>,
}

/// Remembers recent calls by what they were answered.
#[derive(Debug)]
pub(super) struct AnswerTracker<C> {
    window: Duration,
    max_calls: usize,
    turned: Tick,
    young: HashMap<u64, Alike<C>, RandomState>,
    /// The calls in `young`.
    young_calls: usize,
    old: HashMap<u64, Alike<C>, RandomState>,
}

impl<C: Copy> AnswerTracker<C> {
    /// A tracker that remembers a call for at least `window`, unless there are more than `max_calls`.
    pub(super) fn new(window: Duration, max_calls: usize) -> Self {
        let (young, old) = (HashMap::default(), HashMap::default());
        let max_calls = max_calls.max(2);
        Self { window, max_calls, turned: Tick(0), young, young_calls: 0, old }
    }

    /// Adds what changes of those that count, given what changed within a trace.
    pub(super) fn settle(
        &mut self,
        within: &CallChanges<AnsweredCall<C>>,
        now: Tick,
        changes: &mut CallChanges<AnsweredCall<C>>,
    ) {
        changes.duplicate |= within.duplicate;
        self.turn(now);
        for call in &within.take_back {
            self.remove(call, changes);
        }
        for call in &within.count {
            self.add(call, changes);
        }
    }

    fn turn(&mut self, now: Tick) {
        if now.since(self.turned) < self.window && self.young_calls < self.max_calls / 2 {
            return;
        }
        std::mem::swap(&mut self.young, &mut self.old);
        self.young.clear();
        self.young_calls = 0;
        if now.since(self.turned) >= self.window.saturating_mul(2) {
            self.old.clear();
        }
        self.turned = now;
    }

    /// Makes the calls of an answer young.
    #[inline]
    fn refresh(&mut self, answer: u64) {
        if self.old.is_empty() {
            return;
        }
        if let Some(alike) = self.old.remove(&answer) {
            self.young_calls = self.young_calls.saturating_add(alike.count());
            self.young.insert(answer, alike);
        }
    }

    fn add(&mut self, call: &AnsweredCall<C>, changes: &mut CallChanges<AnsweredCall<C>>) {
        if call.answer == 0 || call.from == 0 {
            changes.count.push(*call);
            return;
        }
        self.refresh(call.answer);
        let alike = match self.young.entry(call.answer) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => {
                changes.count.push(*call);
                let first = Known { call: *call, counted: true };
                free.insert(Alike { first, others: Vec::new() });
                self.young_calls = self.young_calls.saturating_add(1);
                return;
            }
        };
        if alike.count() >= MAX_ALIKE {
            changes.count.push(*call);
            return;
        }
        alike.others.push(Known { call: *call, counted: false });
        self.young_calls = self.young_calls.saturating_add(1);
        alike.settle(changes);
        changes.duplicate |= !alike.counts(call);
    }

    fn remove(&mut self, call: &AnsweredCall<C>, changes: &mut CallChanges<AnsweredCall<C>>) {
        self.refresh(call.answer);
        let known = self.young.get_mut(&call.answer);
        let Some(removed) = known.and_then(|alike| alike.remove(call)) else {
            // It was not remembered, or is the only one.
            if self.young.remove(&call.answer).is_some() {
                self.young_calls = self.young_calls.saturating_sub(1);
            }
            changes.take_back.push(*call);
            return;
        };
        self.young_calls = self.young_calls.saturating_sub(1);
        if removed.counted {
            changes.take_back.push(*call);
        }
        if let Some(alike) = self.young.get_mut(&call.answer) {
            alike.settle(changes);
        }
    }
}

impl<C: Copy> Alike<C> {
    const fn count(&self) -> usize {
        self.others.len().saturating_add(1)
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Known<C>> {
        std::iter::once(&mut self.first).chain(&mut self.others)
    }

    fn counts(&mut self, call: &AnsweredCall<C>) -> bool {
        self.all().any(|known| known.counted && known.call.ids == call.ids)
    }

    /// Takes one of several calls out.
    fn remove(&mut self, call: &AnsweredCall<C>) -> Option<Known<C>> {
        if self.first.call.ids == call.ids {
            let next = self.others.pop()?;
            return Some(std::mem::replace(&mut self.first, next));
        }
        let index = self.others.iter().position(|known| known.call.ids == call.ids)?;
        Some(self.others.swap_remove(index))
    }

    /// Counts of those that were under way at the same time the one that began last.
    fn settle(&mut self, changes: &mut CallChanges<AnsweredCall<C>>) {
        let mut calls: Vec<&mut Known<C>> = self.all().collect();
        calls.sort_unstable_by_key(|known| {
            let (trace, span) = known.call.ids;
            (known.call.from, known.call.to, trace.0, span.0)
        });
        let mut begun = calls.iter().map(|known| known.call.from).skip(1).collect::<Vec<_>>();
        begun.push(u64::MAX);
        let mut until = 0;
        for (known, next) in calls.into_iter().zip(begun) {
            until = known.call.to.max(until);
            let counts = next >= until;
            match (known.counted, counts) {
                (false, true) => changes.count.push(known.call),
                (true, false) => changes.take_back.push(known.call),
                _ => {}
            }
            known.counted = counts;
        }
    }
}

impl SaidUsage for AnsweredCall<TokenCounts> {
    fn tokens(&self) -> Tokens {
        self.what.tokens
    }
}

/// A hash of the response id and the tokens; 0 without an id.
#[inline]
pub(super) fn answer_of(response: u64, what: &TokenCounts) -> u64 {
    let parts = [response.to_le_bytes(), what.tokens.distinctive().to_le_bytes()];
    match response {
        0 => 0,
        _ => xxhash_rust::xxh3::xxh3_64(parts.as_flattened()).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn call(id: u64, answer: u64, (from, to): (u64, u64)) -> AnsweredCall<u64> {
        let ids = (TraceId(u128::from(id).to_be_bytes()), SpanId(id.to_be_bytes()));
        AnsweredCall { answer, ids, from, to, what: id }
    }

    fn counting(calls: &[AnsweredCall<u64>]) -> CallChanges<AnsweredCall<u64>> {
        CallChanges { count: calls.to_vec(), ..CallChanges::default() }
    }

    fn tracker() -> AnswerTracker<u64> {
        AnswerTracker::new(Duration::from_secs(60), 100)
    }

    fn settle(
        tracker: &mut AnswerTracker<u64>,
        within: &CallChanges<AnsweredCall<u64>>,
        now: Tick,
    ) -> CallChanges<u64> {
        let mut changes = CallChanges::default();
        tracker.settle(within, now, &mut changes);
        let what =
            |calls: Vec<AnsweredCall<u64>>| calls.into_iter().map(|call| call.what).collect();
        let (count, take_back) = (what(changes.count), what(changes.take_back));
        CallChanges { count, take_back, duplicate: changes.duplicate }
    }

    /// Applies changes, of which none may be a second time.
    fn apply(counted: &mut BTreeSet<u64>, changes: CallChanges<u64>) {
        for what in changes.take_back {
            assert!(counted.remove(&what), "only what was counted is taken back");
        }
        for what in changes.count {
            assert!(counted.insert(what), "nothing is counted twice");
        }
    }

    #[test]
    fn the_innermost_of_two_traces_counts_in_either_order() {
        let (client, gateway) = (call(1, 9, (10, 100)), call(2, 9, (20, 90)));
        for calls in [[client, gateway], [gateway, client]] {
            let mut tracker = tracker();
            let mut counted = BTreeSet::new();
            apply(&mut counted, settle(&mut tracker, &counting(&calls[..1]), Tick(1)));
            let changes = settle(&mut tracker, &counting(&calls[1..]), Tick(2));
            let told = u64::from(changes.duplicate) + changes.take_back.len() as u64;
            assert_eq!(told, 1, "one span is a duplicate, and counted as such once");
            apply(&mut counted, changes);
            assert_eq!(counted, BTreeSet::from([2]));
        }
    }

    #[test]
    fn others_with_the_same_id_all_count() {
        let later = [call(1, 9, (10, 20)), call(2, 9, (20, 30)), call(3, 9, (40, 50))];
        let without_id = [call(4, 0, (10, 20)), call(5, 0, (10, 20)), call(6, 9, (0, 50))];
        let changes = settle(&mut tracker(), &counting(&[later, without_id].concat()), Tick(1));
        assert_eq!(changes.count.len(), 6);
        assert!(changes.take_back.is_empty() && !changes.duplicate);
    }

    #[test]
    fn what_a_trace_takes_back_lets_the_other_count() {
        let (client, gateway) = (call(1, 9, (10, 100)), call(2, 9, (20, 90)));
        let mut tracker = tracker();
        settle(&mut tracker, &counting(&[client, gateway]), Tick(1));
        let taking = |call| CallChanges { take_back: vec![call], ..CallChanges::default() };
        let changes = settle(&mut tracker, &taking(gateway), Tick(2));
        assert_eq!((changes.take_back, changes.count), (vec![2], vec![1]));
        let changes = settle(&mut tracker, &taking(client), Tick(3));
        assert_eq!((changes.take_back, changes.count), (vec![1], vec![]));
        // What is forgotten was counted.
        let changes = settle(&mut tracker, &taking(client), Tick(3));
        assert_eq!(changes.take_back, [1]);
        assert_eq!((tracker.young.len(), tracker.young_calls), (0, 0));
    }

    #[test]
    fn calls_are_forgotten_in_time_and_number() {
        let mut tracker = tracker();
        for id in 1..1000 {
            settle(&mut tracker, &counting(&[call(id, id % 300 + 1, (10, 20))]), Tick(1));
            let sum = |calls: &HashMap<u64, Alike<u64>, RandomState>| {
                calls.values().map(Alike::count).sum::<usize>()
            };
            assert_eq!(sum(&tracker.young), tracker.young_calls);
            assert!(sum(&tracker.young) + sum(&tracker.old) <= 100 + MAX_ALIKE);
        }
        let mut duplicate = |id: u64, seconds: u64| {
            let now = Tick(seconds * 1_000_000_000);
            settle(&mut tracker, &counting(&[call(id, 5, (10, 1000 - id))]), now).duplicate
        };
        assert_eq!([(1, 200), (2, 259)].map(|(id, at)| duplicate(id, at)), [false, true]);
        assert!(!duplicate(3, 600));
    }

    proptest! {
        /// Scenario: calls that have ids in common, counted and taken back in any order. Guarantees: those
        /// that count in the end do not depend on the order, and are one of each heap that overlaps.
        #[test]
        fn the_order_makes_no_difference(
            times in prop::collection::vec((1_u64..3, 1_u64..60, 1_u64..12), 1..14),
            seed in any::<u64>(),
        ) {
            let calls: Vec<AnsweredCall<u64>> = (1_u64..)
                .zip(&times)
                .map(|(id, (answer, from, long))| call(id, *answer, (*from, from + long)))
                .collect();
            let mut shuffled = calls.clone();
            shuffled.sort_by_key(|call| (call.what ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mut results = Vec::new();
            for order in [&calls, &shuffled] {
                let mut tracker = tracker();
                let mut counted = BTreeSet::new();
                // One more, which is taken back in between.
                let guest = call(99, 1, (1, 60));
                for (index, call) in order.iter().enumerate() {
                    apply(&mut counted, settle(&mut tracker, &counting(&[*call]), Tick(1)));
                    if index == 0 {
                        apply(&mut counted, settle(&mut tracker, &counting(&[guest]), Tick(1)));
                    }
                }
                let taken = CallChanges { take_back: vec![guest], ..CallChanges::default() };
                apply(&mut counted, settle(&mut tracker, &taken, Tick(1)));
                results.push(counted);
            }
            prop_assert_eq!(&results[0], &results[1]);
            // Moments at which each answer's calls begin to be under way.
            let heaps = |answer: u64| (1..72).filter(|at| {
                let under_way = |at: u64| {
                    calls.iter().any(|call| call.answer == answer && call.from <= at && at < call.to)
                };
                let goes_on = calls.iter().any(|call| {
                    call.answer == answer && call.from < *at && *at < call.to
                });
                under_way(*at) && !goes_on && calls.iter().any(|call| {
                    call.answer == answer && call.from == *at
                })
            }).count();
            prop_assert_eq!(results[0].len(), heaps(1) + heaps(2));
        }
    }
}
