//! Adaptive size limit: how large a request an endpoint takes, learned from its answers.

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

    /// What was refused was not refused for its size: nothing is known of a limit.
    pub fn forget(&mut self) {
        *self = Self::default();
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

/// The limit that an endpoint names in its message, as gRPC libraries do: the smaller one of the
/// numbers after `larger than max` or `limit is`.
#[must_use]
pub fn stated_limit(message: &str) -> Option<usize> {
    let message = message.to_ascii_lowercase();
    let start = ["larger than max", "limit is", "limit of", "larger than the limit"]
        .iter()
        .filter_map(|clue| message.find(clue))
        .min()?;
    let rest = message.get(start..)?;
    let numbers = rest.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
    numbers.filter(|number| *number > 0).min()
}

/// What an endpoint says that there is too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooMuch {
    /// Bytes in one message: a smaller one is accepted.
    Size,
    /// Messages, bytes or traces in a time or at a time: a smaller message changes nothing.
    Rate,
    /// They do not say.
    Unsaid,
}

/// Limits of a trace, which do not look at a message.
const TRACES: [&str; 3] = ["trace too large", "size of trace", "live traces"];
/// As gRPC libraries and proxies speak of messages, and back ends of batches.
const SIZE: [&str; 9] = [
    "larger than max",
    "larger than the limit",
    "too large",
    "message length",
    "message size",
    "request size",
    "batch size",
    "exceeds maximum size",
    "exceeds the maximum configured message",
];
const RATE: [&str; 9] = [
    "rate limit",
    "ratelimit",
    "ingestion rate",
    "request rate",
    "per second",
    "quota",
    "throttl",
    "too many requests",
    "concurren",
];

/// What an endpoint says that there is too much of. gRPC libraries answer a message that is too
/// large with `RESOURCE_EXHAUSTED` or `OUT_OF_RANGE`, which stand for other things as well.
#[must_use]
pub fn too_much(message: &str) -> TooMuch {
    let message = message.to_ascii_lowercase().replace(['_', '-'], " ");
    let any = |clues: &[&str]| clues.iter().any(|clue| message.contains(clue));
    if any(&TRACES) {
        TooMuch::Rate
    } else if any(&SIZE) {
        TooMuch::Size
    } else if any(&RATE) {
        TooMuch::Rate
    } else if any(&["exceeds the limit"]) {
        TooMuch::Size
    } else {
        TooMuch::Unsaid
    }
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
        for (message, stated) in [
            ("grpc: received message larger than max (5242881 vs. 4194304)", Some(4_194_304)),
            (
                "Error, decoded message length too large: found 9 bytes, the limit is: 4 bytes",
                Some(4),
            ),
            ("Request body too large", None),
        ] {
            assert_eq!(too_much(message), TooMuch::Size, "{message}");
            assert_eq!(stated_limit(message), stated, "{message}");
        }
    }

    #[test]
    fn rates_and_sizes_are_distinguished() {
        for message in [
            "gRPC message exceeds maximum size 4194304: 5242881",
            "Received message exceeds the maximum configured message size.",
            "Payload Too Large",
            "body of 9 bytes exceeds the limit",
            "RATE_LIMITED: batch size (9 bytes) exceeds ingestion limit (local: 4 bytes/s)",
        ] {
            assert_eq!(too_much(message), TooMuch::Size, "{message}");
        }
        for message in [
            "RATE_LIMITED: ingestion rate limit (local: 15 bytes, global: 0 bytes) exceeded while \
             adding 137994 bytes for user x",
            "ingestion rate limit (25000 spans) exceeded while adding 295 spans",
            "local_rate_limited",
            "Quota exceeded for quota metric 'Write requests'",
            "the request rate exceeds the limit",
            "Too Many Requests",
            "LIVE_TRACES_EXCEEDED: max live traces exceeded for tenant x",
            "TRACE_TOO_LARGE: max size of trace (5000) exceeded while adding 200 bytes",
        ] {
            assert_eq!(too_much(message), TooMuch::Rate, "{message}");
        }
        for message in ["", "no room", "out of range: timestamp", "too much pending data"] {
            assert_eq!(too_much(message), TooMuch::Unsaid, "{message}");
        }
    }

    #[test]
    fn what_was_not_for_size_is_forgotten() {
        let mut limit = SizeLimit::default();
        limit.refuse(5_000, None, Tick(0));
        limit.forget();
        assert_eq!(limit.allowed(Tick(0)), usize::MAX);
    }
}
