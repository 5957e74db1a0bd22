//! What was decided about traces, as far as it is remembered, and what their spans say of it.

use super::rules::Names;
use crate::codec::records::ContentHint;
use crate::model::TraceId;
use crate::sampling::policy::KeepProbability;
use crate::sampling::rewrite::{Mark, Probability};
use crate::sampling::threshold::Randomness;
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
    kept: TraceCache<KeptAs>,
    dropped: TraceCache<Option<usize>>,
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
            Fate::Kept(kept) => self.kept.insert(id, kept),
            Fate::Dropped(policy) => self.dropped.insert(id, policy),
        }
    }

    pub(super) fn get(&mut self, id: TraceId) -> Option<Fate> {
        self.kept.get(id).map(Fate::Kept).or_else(|| self.dropped.get(id).map(Fate::Dropped))
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
