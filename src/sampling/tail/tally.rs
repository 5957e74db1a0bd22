//! What a tail sampler counts.

use super::unanswered::Unanswered;
use crate::sampling::policy::TraceSize;

/// What has happened so far, in spans unless it says otherwise:
/// `received = kept + dropped + untraced + dry_run + held`.
///
/// What is by policy is in the order of the sampler's names of policies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TailTally {
    /// Spans that came.
    pub received: u64,
    /// Kept spans by policy.
    pub kept: Vec<u64>,
    /// Dropped spans: by no policy, then by policy.
    pub dropped: Vec<u64>,
    /// Spans without a usable trace id, which are let through.
    pub untraced: u64,
    /// Spans let through with what would have happened to them.
    pub dry_run: u64,
    /// What of these would have been kept, by policy.
    pub predicted_kept: Vec<Volume>,
    /// What of these would have been dropped: by no policy, then by policy.
    pub predicted_dropped: Vec<Volume>,
    /// Spans that wait for a decision.
    pub held: u64,
    /// Traces decided early because nothing could change the outcome.
    pub early_certain: u64,
    /// Traces decided early because the buffer was full.
    pub early_full: u64,
    /// Traces decided early because the host stops.
    pub early_shutdown: u64,
    /// Traces decided early because they were as large as a trace may be.
    pub early_trace_limit: u64,
    /// Traces released before their learned wait was over, because policies kept them for certain.
    pub early_provisional: u64,
    /// Traces that waited longer than the decision wait, because their likes went on for longer.
    pub prolonged: u64,
    /// Traces that began while the buffer was full, and that chance kept at once.
    pub shed_kept: u64,
    /// Traces that began while the buffer was full, and that chance dropped at once.
    pub shed_dropped: u64,
    /// Traces that changed policies decided alike, would have kept, and would have dropped instead.
    pub compared: [u64; 3],
    /// Spans of traces whose session decided about chance.
    pub of_sessions: u64,
    /// Spans of traces of a session that had randomness or a threshold before, so that it did not decide.
    pub against_sessions: u64,
    /// Spans that came after their trace was kept.
    pub late_kept: u64,
    /// Spans that came after their trace was dropped.
    pub late_dropped: u64,
    /// What became of traces for which a policy's expression had no answer, by policy.
    pub unanswered: Vec<Unanswered>,
    /// Traces for whose key adaptive samplers of policies before the last change had no room, by policy.
    pub(in crate::sampling) beyond_before: Vec<u64>,
}

/// How much there was of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Volume {
    /// Spans.
    pub spans: u64,
    /// Bytes of the encoded spans, without resource and scope.
    pub bytes: u64,
}

/// Why a trace is decided before its time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Early {
    Certain,
    Full,
    Shutdown,
    TraceLimit,
    Provisional,
}

impl TailTally {
    /// Makes room for so many policies.
    pub(super) fn grow(&mut self, policies: usize) {
        self.kept.resize(policies, 0);
        self.dropped.resize(policies + 1, 0);
        self.predicted_kept.resize(policies, Volume::default());
        self.predicted_dropped.resize(policies + 1, Volume::default());
        self.unanswered.resize(policies, Unanswered::default());
        self.beyond_before.resize(policies, 0);
    }

    pub(super) fn count_early(&mut self, reason: Early) {
        let count = match reason {
            Early::Certain => &mut self.early_certain,
            Early::Full => &mut self.early_full,
            Early::Shutdown => &mut self.early_shutdown,
            Early::TraceLimit => &mut self.early_trace_limit,
            Early::Provisional => &mut self.early_provisional,
        };
        *count += 1;
    }

    /// Counts spans that a policy kept.
    pub(super) fn count_kept(&mut self, policy: usize, size: TraceSize, dry_run: bool) {
        if dry_run {
            self.dry_run += size.spans;
            add_volume(&mut self.predicted_kept, policy, size);
        } else {
            add(&mut self.kept, policy, size.spans);
        }
    }

    /// Counts spans that a policy dropped, or all of them by keeping none.
    pub(super) fn count_dropped(&mut self, policy: Option<usize>, size: TraceSize, dry_run: bool) {
        let index = policy.map_or(0, |policy| policy + 1);
        if dry_run {
            self.dry_run += size.spans;
            add_volume(&mut self.predicted_dropped, index, size);
        } else {
            add(&mut self.dropped, index, size.spans);
        }
    }
}

fn add(counts: &mut [u64], index: usize, spans: u64) {
    if let Some(count) = counts.get_mut(index) {
        *count += spans;
    }
}

fn add_volume(volumes: &mut [Volume], index: usize, size: TraceSize) {
    if let Some(volume) = volumes.get_mut(index) {
        volume.spans += size.spans;
        volume.bytes += size.bytes;
    }
}
