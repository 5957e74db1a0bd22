//! What was decided about traces, as far as it is remembered, and what their spans say of it.

use super::rules::{MAX_NAMES, Names};
use crate::codec::records::ContentHint;
use crate::model::TraceId;
use crate::sampling::policy::KeepProbability;
use crate::sampling::rewrite::{Mark, Probability};
use crate::sampling::threshold::{Randomness, Threshold};
use crate::sampling::trace_cache::TraceCache;

/// How a trace was kept, and what its spans say of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeptAs {
    /// Where its policy is counted.
    pub(super) policy: usize,
    pub(super) probability: KeepProbability,
    /// That of its session.
    pub(super) randomness: Option<Randomness>,
    /// What its policy says of its content.
    pub(super) content: Option<ContentHint>,
}

/// What was decided about a trace.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    Kept(KeptAs),
    /// By the policy that is counted at this place, or because none kept it.
    Dropped(Option<usize>),
}

/// The decisions that are remembered for late spans.
#[derive(Debug)]
pub(super) struct Decided {
    kept: TraceCache<Packed>,
    /// By which policy.
    dropped: TraceCache<Option<u16>>,
}

/// [`KeptAs`] in 16 bytes: 56 bits of the threshold, 56 of the randomness, 12 of the policy, and 4 that say what is
/// there. What is kept for certain is not told from what a limit kept: their spans say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packed([u8; 16]);

const _: () = assert!(MAX_NAMES <= 1 << 12);

impl Packed {
    const AT: u128 = 1 << 124;
    const RANDOMNESS: u128 = 1 << 125;
    const CONTENT_KEEP: u128 = 1 << 126;
    const CONTENT_DROP: u128 = 1 << 127;

    fn of(kept: KeptAs) -> Self {
        let mut bits = (kept.policy as u128 & 0xfff) << 112;
        if let KeepProbability::At(threshold) = kept.probability {
            bits |= Self::AT | u128::from(threshold.bits());
        }
        if let Some(randomness) = kept.randomness {
            bits |= Self::RANDOMNESS | u128::from(randomness.bits()) << 56;
        }
        bits |= match kept.content {
            None => 0,
            Some(ContentHint::Keep) => Self::CONTENT_KEEP,
            Some(ContentHint::Drop) => Self::CONTENT_DROP,
        };
        Self(bits.to_le_bytes())
    }

    fn kept(self) -> KeptAs {
        let bits = u128::from_le_bytes(self.0);
        let has = |flag| bits & flag != 0;
        let low = |bits: u128| u64::try_from(bits & ((1 << 56) - 1)).unwrap_or_default();
        KeptAs {
            policy: usize::try_from(bits >> 112 & 0xfff).unwrap_or_default(),
            probability: match has(Self::AT) {
                true => KeepProbability::At(Threshold::from_bits(low(bits))),
                false => KeepProbability::Unknown,
            },
            randomness: has(Self::RANDOMNESS).then(|| Randomness::from_bits(low(bits >> 56))),
            content: match (has(Self::CONTENT_KEEP), has(Self::CONTENT_DROP)) {
                (true, _) => Some(ContentHint::Keep),
                (_, true) => Some(ContentHint::Drop),
                _ => None,
            },
        }
    }
}

impl Decided {
    /// Room for so many of each kind.
    pub(super) fn new(kept: usize, dropped: usize) -> Self {
        Self { kept: TraceCache::new(kept), dropped: TraceCache::new(dropped) }
    }

    /// Has room for so many of each kind from now on.
    pub(super) fn resize(&mut self, kept: usize, dropped: usize) {
        self.kept.resize(kept);
        self.dropped.resize(dropped);
    }

    pub(super) fn insert(&mut self, id: TraceId, fate: Fate) {
        match fate {
            Fate::Kept(kept) => self.kept.insert(id, Packed::of(kept)),
            Fate::Dropped(policy) => {
                self.dropped.insert(id, policy.and_then(|policy| u16::try_from(policy).ok()));
            }
        }
    }

    pub(super) fn get(&mut self, id: TraceId) -> Option<Fate> {
        if let Some(kept) = self.kept.get(id) {
            return Some(Fate::Kept(kept.kept()));
        }
        self.dropped.get(id).map(|policy| Fate::Dropped(policy.map(usize::from)))
    }

    /// The memory that they take now, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.kept.bytes() + self.dropped.bytes()
    }
}

impl Fate {
    /// What spans that go on say: a threshold only if chance kept them, and in a dry run what would have
    /// happened, without a word on probability, as all of them go on. `None` for what goes.
    pub(super) fn mark(self, names: &Names, dry_run: bool) -> Option<Mark<'_>> {
        let (policy, would) = match self {
            Self::Kept(kept) => (Some(kept.policy), "keep"),
            Self::Dropped(policy) => (policy, "drop"),
        };
        let policy = policy.map(|policy| names.get(policy));
        if dry_run {
            let probability = Probability::Unchanged;
            return Some(Mark { probability, policy, dry_run: Some(would), ..Mark::NONE });
        }
        let Self::Kept(kept) = self else { return None };
        let probability = match kept.probability {
            KeepProbability::Certain | KeepProbability::Unknown => Probability::Unknown,
            KeepProbability::At(threshold) => Probability::AtLeast(threshold),
        };
        let (randomness, content) = (kept.randomness, kept.content);
        Some(Mark { probability, randomness, policy, content, ..Mark::NONE })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: what spans of a kept trace say is remembered whole in 16 bytes, and full caches of the default size
    /// take 5 MB.
    #[test]
    fn decisions_come_back() {
        let threshold = Threshold::from_percentage(12.345).unwrap();
        let randomness = Randomness::from_bits((1 << 56) - 1);
        for (policy, probability) in
            [(0, KeepProbability::At(threshold)), (MAX_NAMES - 1, KeepProbability::Unknown)]
        {
            for randomness in [None, Some(randomness), Some(Randomness::from_bits(0))] {
                for content in [None, Some(ContentHint::Keep), Some(ContentHint::Drop)] {
                    let kept = KeptAs { policy, probability, randomness, content };
                    let back = Packed::of(kept).kept();
                    assert_eq!((back.policy, back.randomness), (policy, randomness));
                    assert_eq!((back.probability, back.content), (probability, content));
                }
            }
        }
        let mut decided = Decided::new(65_536, 65_536);
        let kept = KeptAs {
            policy: 7,
            probability: KeepProbability::Certain,
            randomness: None,
            content: None,
        };
        for number in 1..200_000_u128 {
            let id = TraceId(number.to_be_bytes());
            decided.insert(id, Fate::Kept(kept));
            decided.insert(TraceId((number << 64).to_be_bytes()), Fate::Dropped(Some(9)));
            assert!(matches!(decided.get(id), Some(Fate::Kept(KeptAs { policy: 7, .. }))));
        }
        let dropped = TraceId((199_999_u128 << 64).to_be_bytes());
        assert!(matches!(decided.get(dropped), Some(Fate::Dropped(Some(9)))));
        assert!(decided.bytes() < 5_000_000, "{}", decided.bytes());
    }
}
