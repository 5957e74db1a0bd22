//! Buffer pool: large buffers that are used again.
//!
//! The host's allocator gives large blocks back to the system at once, and taking in every page of
//! the next one anew costs more than filling it. So the few buffers that requests of many megabytes
//! need are kept for a moment.

use std::time::Duration;

use crate::clock::{self, Tick};
use crate::sync::Mutex;

/// Smaller buffers are kept by the allocator itself.
const SMALLEST: usize = 4 << 20;
/// What may be kept: buffers, and bytes of all of them.
const MAX_BUFFERS: usize = 4;
const MAX_BYTES: usize = 64 << 20;
/// How long a buffer is kept unused.
const KEPT: Duration = Duration::from_secs(2);

static POOL: Mutex<Pool> = Mutex::new(Pool { kept: Vec::new(), watched: false });

struct Pool {
    kept: Vec<(Tick, Vec<u8>)>,
    /// Whether a task frees the buffers that are not used.
    watched: bool,
}

impl Pool {
    /// The smallest buffer that has room for `capacity`, unless it is much too large.
    fn take(&mut self, capacity: usize) -> Option<Vec<u8>> {
        let fits = |kept: usize| kept >= capacity && kept / 4 <= capacity;
        let best = self
            .kept
            .iter()
            .enumerate()
            .filter(|(_, (_, buffer))| fits(buffer.capacity()))
            .min_by_key(|(_, (_, buffer))| buffer.capacity())?
            .0;
        Some(self.kept.swap_remove(best).1)
    }

    /// Keeps a buffer, or gives back what is not kept.
    fn give(&mut self, buffer: Vec<u8>, now: Tick) -> Option<Vec<u8>> {
        let bytes: usize = self.kept.iter().map(|(_, kept)| kept.capacity()).sum();
        if self.kept.len() >= MAX_BUFFERS || bytes.saturating_add(buffer.capacity()) > MAX_BYTES {
            return Some(buffer);
        }
        self.kept.push((now, buffer));
        None
    }

    /// Takes out what was not used for long enough.
    fn old(&mut self, now: Tick) -> Vec<Vec<u8>> {
        let (old, kept) = std::mem::take(&mut self.kept)
            .into_iter()
            .partition(|(since, _)| now.since(*since) >= KEPT);
        self.kept = kept;
        let old: Vec<(Tick, Vec<u8>)> = old;
        old.into_iter().map(|(_, buffer)| buffer).collect()
    }
}

fn pool() -> std::sync::MutexGuard<'static, Pool> {
    POOL.lock()
}

/// An empty buffer with room for `capacity` bytes. Call it on the runtime's threads.
#[must_use]
pub fn buffer(capacity: usize) -> Vec<u8> {
    if capacity < SMALLEST {
        return Vec::with_capacity(capacity);
    }
    let (kept, watched) = {
        let mut pool = pool();
        (pool.take(capacity), pool.watched)
    };
    if let (false, Ok(runtime)) = (watched, tokio::runtime::Handle::try_current()) {
        pool().watched = true;
        drop(runtime.spawn(Watching.watch()));
    }
    kept.unwrap_or_else(|| Vec::with_capacity(capacity))
}

/// Takes a buffer that is no longer needed.
pub fn reclaim(mut buffer: Vec<u8>) {
    if buffer.capacity() < SMALLEST {
        return;
    }
    buffer.clear();
    let mut pool = pool();
    // Without a task that frees it, it would be kept for ever.
    let left = if pool.watched { pool.give(buffer, clock::now()) } else { Some(buffer) };
    drop(pool);
    drop(left);
}

/// The right of the task that frees unused buffers; when its runtime ends, the next user starts
/// another one.
struct Watching;

impl Watching {
    async fn watch(self) {
        let mut idle = 0;
        while idle < 2 {
            tokio::time::sleep(KEPT / 2).await;
            let (old, empty) = {
                let mut pool = pool();
                (pool.old(clock::now()), pool.kept.is_empty())
            };
            drop(old);
            idle = if empty { idle + 1 } else { 0 };
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let kept = {
            let mut pool = pool();
            pool.watched = false;
            std::mem::take(&mut pool.kept)
        };
        drop(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(seconds: u64) -> Tick {
        Tick(seconds * 1_000_000_000)
    }

    #[test]
    fn the_best_fit_is_used_again_and_the_old_go() {
        let mut pool = Pool { kept: Vec::new(), watched: true };
        for size in [8, 16, 12] {
            assert!(pool.give(Vec::with_capacity(size << 20), tick(1)).is_none());
        }
        assert_eq!(pool.take(10 << 20).unwrap().capacity(), 12 << 20);
        assert!(pool.take(17 << 20).is_none(), "none is large enough");
        assert!(pool.take(1 << 20).is_none(), "all are much too large");
        assert!(pool.give(Vec::with_capacity(41 << 20), tick(1)).is_some(), "too much");
        assert!(pool.old(tick(2)).is_empty());
        assert_eq!(pool.old(tick(3)).len(), 2);
        for _ in 0..MAX_BUFFERS {
            assert!(pool.give(Vec::with_capacity(SMALLEST), tick(3)).is_none());
        }
        assert!(pool.give(Vec::with_capacity(SMALLEST), tick(3)).is_some(), "too many");
    }

    #[tokio::test]
    async fn large_buffers_come_empty_and_large_enough() {
        for capacity in [100, SMALLEST, SMALLEST * 2] {
            let mut used = buffer(capacity);
            used.push(1);
            reclaim(used);
            let again = buffer(capacity);
            assert!(again.is_empty() && again.capacity() >= capacity);
        }
        assert!(pool().watched);
    }
}
