//! A queue in segments: it grows without being copied, and what is not needed any more is taken out of its middle a
//! part at a time.

use std::collections::VecDeque;

/// Elements of a segment.
const SEGMENT: usize = 1024;
/// One of so many calls to sweep looks at a segment, which makes 4 elements a call.
const CALLS: usize = 256;

/// A queue.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// None of them is empty.
    segments: VecDeque<VecDeque<T>>,
    len: usize,
    /// How often it was to be swept.
    calls: usize,
    /// The segment that is swept next.
    next: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { segments: VecDeque::new(), len: 0, calls: 0, next: 0 }
    }
}

impl<T> Queue<T> {
    /// How many elements there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Appends an element.
    pub(super) fn push_back(&mut self, element: T) {
        self.len += 1;
        if let Some(last) = self.segments.back_mut().filter(|last| last.len() < SEGMENT) {
            return last.push_back(element);
        }
        let mut segment = VecDeque::with_capacity(SEGMENT);
        segment.push_back(element);
        self.segments.push_back(segment);
    }

    /// Takes the first element.
    pub(super) fn pop_front(&mut self) -> Option<T> {
        self.pop_front_if(|_| true)
    }

    /// Takes the first element if it is such a one.
    pub(super) fn pop_front_if(&mut self, is_wanted: impl FnOnce(&mut T) -> bool) -> Option<T> {
        let first = self.segments.front_mut()?;
        let element = first.pop_front_if(is_wanted)?;
        self.len = self.len.saturating_sub(1);
        if first.is_empty() {
            self.segments.pop_front();
            self.next = self.next.saturating_sub(1);
        }
        Some(element)
    }

    /// Takes out what is not wanted, over as many calls as it takes.
    pub(super) fn sweep(&mut self, is_wanted: impl Fn(&T) -> bool) {
        self.calls += 1;
        if !self.calls.is_multiple_of(CALLS) {
            return;
        }
        if self.next >= self.segments.len() {
            self.next = 0;
        }
        let Some(segment) = self.segments.get_mut(self.next) else { return };
        let before = segment.len();
        segment.retain(is_wanted);
        self.len = self.len.saturating_sub(before - segment.len());
        if segment.is_empty() {
            self.segments.remove(self.next);
        } else {
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: elements come, every other one is not wanted any more, and go. Guarantees: what is wanted comes out
    /// in order and once, and the queue stays near what is wanted of it.
    #[test]
    fn what_is_wanted_comes_out_in_order() {
        let mut queue = Queue::default();
        for number in 0..100_000_usize {
            queue.push_back(number);
            assert_eq!(queue.len(), queue.segments.iter().map(VecDeque::len).sum::<usize>());
            if queue.len() > 20_000 {
                queue.sweep(|number| number % 16 == 0);
            }
        }
        assert!(queue.len() < 22_000, "{}", queue.len());
        assert_eq!(queue.pop_front_if(|number| *number > 0), None);
        let out: Vec<usize> = std::iter::from_fn(|| queue.pop_front()).collect();
        assert!(out.is_sorted() && out.iter().filter(|number| *number % 16 == 0).count() == 6250);
        assert_eq!((queue.len(), queue.segments.len()), (0, 0));
        queue.sweep(|_| true);
    }
}
