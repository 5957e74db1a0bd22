//! Partial progress: where the events of one request go, to one tag, or to several one after the
//! other.
//!
//! The host takes each append on its own. A pause between two of them, because the first filled the
//! buffers, is passed over: see [`Sink::rest_follows`](crate::plugin::Sink::rest_follows). What is
//! left is a host that cannot store the second, because its disk is full. The sender is asked to
//! send again then. So that the part that is stored does not come twice, the request is remembered
//! by its content after decompression, and an equal one goes on where the first try stopped.

use std::collections::VecDeque;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::tags::Tag;
use crate::sync::Mutex;

/// How many requests that are stored in part are remembered. The oldest are forgotten first.
const REMEMBERED: usize = 1024;

/// Where the events of one request go.
#[derive(Debug)]
pub(in crate::receive) enum TagRoute {
    /// All of them under one tag.
    Whole(Tag),
    /// Parts of them under tags of their own.
    Split(Box<SplitEvents>),
}

/// The events of one request in parts.
#[derive(Debug)]
pub(in crate::receive) struct SplitEvents {
    pub(super) parts: Vec<TagPart>,
    pub(super) digest: u128,
    pub(super) begun: Arc<PartlyStored>,
}

/// The part of the events that goes under one tag.
#[derive(Debug)]
pub(super) struct TagPart {
    pub(super) tag: Tag,
    /// What the host counts.
    pub(super) records: usize,
    /// Where the part ends in the events of the request; it begins where the one before ends.
    pub(super) end: usize,
}

impl Default for TagRoute {
    fn default() -> Self {
        Self::Whole(Tag::default())
    }
}

impl TagRoute {
    /// Calls `append` with tag, records and events of each part that is not in storage yet, and
    /// whether parts of the request are in storage, until it fails.
    ///
    /// # Errors
    /// What `append` says. If parts were appended before, the next request with equal content goes
    /// on after them.
    pub(in crate::receive) fn append<E>(
        &self,
        records: usize,
        events: &[u8],
        mut append: impl FnMut(&[u8], usize, &[u8], bool) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Whole(tag) => append(tag.bytes(), records, events, false),
            Self::Split(split) => split.append(events, append),
        }
    }
}

impl SplitEvents {
    fn append<E>(
        &self,
        events: &[u8],
        mut append: impl FnMut(&[u8], usize, &[u8], bool) -> Result<(), E>,
    ) -> Result<(), E> {
        let stored = self.begun.take(self.digest);
        let mut start = 0;
        for (index, part) in self.parts.iter().enumerate() {
            let slice = events.get(start..part.end).unwrap_or_default();
            start = part.end;
            if index < stored || slice.is_empty() {
                continue;
            }
            if let Err(refused) = append(part.tag.bytes(), part.records, slice, index > 0) {
                if index > 0 {
                    self.begun.remember(self.digest, index);
                }
                return Err(refused);
            }
        }
        Ok(())
    }
}

/// The requests of which the host has a part and not yet the rest.
#[derive(Debug)]
pub(super) struct PartlyStored {
    /// Content and number of parts, the oldest first.
    requests: Mutex<VecDeque<(u128, usize)>>,
    /// Keeps the digests from being foreseen.
    seed: u64,
    stopped: crate::stats::Counter,
}

impl PartlyStored {
    /// `stopped` counts requests that stopped midway; `seed` should be hard to guess.
    pub(super) const fn new(seed: u64, stopped: crate::stats::Counter) -> Self {
        Self { requests: Mutex::new(VecDeque::new()), seed, stopped }
    }

    /// The identity of a request: its content and how it is split.
    pub(super) fn digest<'a>(&self, request: &[u8], tags: impl Iterator<Item = &'a Tag>) -> u128 {
        let mut hasher = Xxh3::with_seed(self.seed);
        hasher.update(request);
        for tag in tags {
            hasher.update(&[0]);
            hasher.update(tag.bytes());
        }
        hasher.digest128()
    }

    fn take(&self, digest: u128) -> usize {
        let mut requests = self.requests.lock();
        let at = requests.iter().position(|(known, _)| *known == digest);
        at.and_then(|at| requests.remove(at)).map_or(0, |(_, stored)| stored)
    }

    fn remember(&self, digest: u128, stored: usize) {
        self.stopped.add(1);
        let mut requests = self.requests.lock();
        if requests.len() >= REMEMBERED {
            requests.pop_front();
        }
        requests.push_back((digest, stored));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::AppendRefused;
    use crate::stats::Counter;

    fn tag(text: &str) -> Tag {
        Tag::new(text)
    }

    fn split(begun: &Arc<PartlyStored>, request: &[u8]) -> TagRoute {
        let parts: Vec<TagPart> = [("a", 1, 2), ("b", 2, 5), ("c", 1, 6)]
            .into_iter()
            .map(|(name, records, end)| TagPart { tag: tag(name), records, end })
            .collect();
        let digest = begun.digest(request, parts.iter().map(|part| &part.tag));
        TagRoute::Split(Box::new(SplitEvents { parts, digest, begun: Arc::clone(begun) }))
    }

    type Taken = Vec<(Vec<u8>, usize, Vec<u8>)>;

    /// What the host takes before it refuses.
    fn append(route: &TagRoute, room: usize) -> (Taken, bool) {
        let mut taken = Vec::new();
        let done = route.append(4, b"aabbbc", |tag, records, events, rest| {
            assert_eq!(rest, tag == b"b" || tag == b"c");
            if taken.len() == room {
                return Err(AppendRefused);
            }
            taken.push((tag.to_vec(), records, events.to_vec()));
            Ok(())
        });
        (taken, done.is_ok())
    }

    #[test]
    fn a_whole_request_is_one_append() {
        let (taken, done) = append(&TagRoute::default(), 9);
        assert_eq!((taken, done), (vec![(vec![], 4, b"aabbbc".to_vec())], true));
    }

    #[test]
    fn an_equal_request_goes_on_where_the_first_try_stopped() {
        let stopped = Counter::default();
        let begun = Arc::new(PartlyStored::new(7, stopped.clone()));
        let a = (b"a".to_vec(), 1, b"aa".to_vec());
        let b = (b"b".to_vec(), 2, b"bbb".to_vec());
        let c = (b"c".to_vec(), 1, b"c".to_vec());
        assert_eq!(append(&split(&begun, b"one"), 1), (vec![a.clone()], false));
        // Refused at once: what is stored is still remembered.
        assert_eq!(append(&split(&begun, b"one"), 0), (vec![], false));
        // Another request has nothing to do with it.
        assert_eq!(
            append(&split(&begun, b"two"), 9),
            (vec![a.clone(), b.clone(), c.clone()], true)
        );
        assert_eq!(append(&split(&begun, b"one"), 1), (vec![b.clone()], false));
        assert_eq!(append(&split(&begun, b"one"), 9), (vec![c.clone()], true));
        // Stored whole, it is forgotten.
        assert_eq!(append(&split(&begun, b"one"), 9), (vec![a, b, c], true));
        assert_eq!(stopped.value(), 3);
        // Refused before anything was stored, there is nothing to remember.
        assert_eq!(append(&split(&begun, b"six"), 0), (vec![], false));
        assert!(begun.requests.lock().is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let begun = Arc::new(PartlyStored::new(7, Counter::default()));
        for number in 0..REMEMBERED as u128 + 10 {
            begun.remember(number, 1);
        }
        assert_eq!(begun.take(9), 0);
        assert_eq!(begun.take(10), 1);
        assert_eq!(begun.requests.lock().len(), REMEMBERED - 1);
    }
}
