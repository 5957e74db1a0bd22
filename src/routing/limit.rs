//! How large a request an endpoint takes, learned from its answers.

use std::time::Duration;

use crate::clock::Tick;

/// After this long without a refusal a limit is forgotten: it may have been raised.
const REMEMBERED: Duration = Duration::from_secs(600);

/// What an endpoint's answers say of its limit, in bytes of an uncompressed request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SizeLimit {
    /// The largest request that came through since the limit is known.
    accepted: usize,
    /// The smallest that was too large, and when that was last said.
    refused: Option<(usize, Tick)>,
}

impl SizeLimit {
    /// How large a request may be now. Between what came through and what did not the middle is
    /// tried, until they are close.
    #[must_use]
    pub fn allowed(&self, now: Tick) -> usize {
        let Some((refused, _)) = self.refused.filter(|(_, at)| now.since(*at) < REMEMBERED) else {
            return usize::MAX;
        };
        let gap = refused.saturating_sub(self.accepted);
        if gap <= refused / 8 {
            self.accepted.max(1)
        } else {
            self.accepted.saturating_add(gap / 2)
        }
    }

    /// A request of `size` bytes came through.
    pub fn accept(&mut self, size: usize) {
        if let Some((refused, at)) = self.refused {
            self.accepted = self.accepted.max(size);
            self.refused = Some((refused.max(size.saturating_add(1)), at));
        }
    }

    /// A request of `size` bytes was too large; `stated` is the limit if the endpoint named it.
    pub fn refuse(&mut self, size: usize, stated: Option<usize>, now: Tick) {
        let known = self.refused.filter(|(_, at)| now.since(*at) < REMEMBERED);
        let smallest = known.map_or(size, |(known, _)| known.min(size));
        if known.is_none() || self.accepted >= size {
            self.accepted = 0;
        }
        if let Some(stated) = stated.filter(|stated| (1..size).contains(stated)) {
            self.accepted = stated;
            self.refused = Some((stated.saturating_add(1), now));
        } else {
            self.refused = Some((smallest.max(1), now));
        }
    }
}

/// The limit that an endpoint names in its words, as gRPC libraries do: the smaller one of the
/// numbers after `larger than max` or `limit is`.
#[must_use]
pub fn stated_limit(words: &str) -> Option<usize> {
    let words = words.to_ascii_lowercase();
    let start = ["larger than max", "limit is", "limit of", "larger than the limit"]
        .iter()
        .filter_map(|clue| words.find(clue))
        .min()?;
    let rest = words.get(start..)?;
    let numbers = rest.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
    numbers.filter(|number| *number > 0).min()
}

/// Whether an endpoint's words say that a message is too large. gRPC libraries answer that with
/// `RESOURCE_EXHAUSTED` or `OUT_OF_RANGE`, which stand for other things as well.
#[must_use]
pub fn says_too_large(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ["larger than max", "too large", "message length", "exceeds the limit", "larger than the limit"]
        .iter()
        .any(|clue| words.contains(clue))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_found_in_a_few_steps() {
        for real in [1_000_usize, 65_536, 1 << 20, 3_999_999] {
            let mut limit = SizeLimit::default();
            let mut refusals = 0;
            for _ in 0..40 {
                let size = limit.allowed(Tick(0)).min(4_000_000);
                if size > real {
                    refusals += 1;
                    limit.refuse(size, None, Tick(0));
                } else {
                    limit.accept(size);
                }
            }
            let found = limit.allowed(Tick(0));
            assert!(found <= real && found >= real / 4 * 3, "{real}: {found}");
            assert!(refusals <= 16, "{real}: {refusals}");
        }
    }

    #[test]
    fn a_stated_limit_is_believed_and_forgotten_in_time() {
        let mut limit = SizeLimit::default();
        limit.refuse(5_000, Some(4_096), Tick(0));
        assert_eq!(limit.allowed(Tick(1)), 4_096);
        // It was not true.
        limit.refuse(4_000, None, Tick(1));
        assert!(limit.allowed(Tick(2)) < 4_000);
        assert_eq!(limit.allowed(Tick(0).after(Duration::from_secs(700))), usize::MAX);
    }

    #[test]
    fn words_of_libraries_are_understood() {
        for (words, stated) in [
            ("grpc: received message larger than max (5242881 vs. 4194304)", Some(4_194_304)),
            (
                "Error, decoded message length too large: found 9 bytes, the limit is: 4 bytes",
                Some(4),
            ),
            ("Request body too large", None),
        ] {
            assert!(says_too_large(words), "{words}");
            assert_eq!(stated_limit(words), stated, "{words}");
        }
        assert!(!says_too_large("out of range: timestamp"));
    }
}
