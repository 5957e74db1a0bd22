//! Head sampling: each span at once, every span of a trace alike.

use super::rewrite::{Mark, Probability};
use super::threshold::{Randomness, Threshold};
use super::tracestate::OtState;
use crate::codec::records::{ChunkRewriter, ItemReader, Patch};
use crate::model::{Position, TraceId};

/// What becomes of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadDecision {
    /// It goes.
    Drop,
    /// It stays as it is.
    Keep,
    /// It stays, with this threshold in its tracestate.
    KeepWith(Threshold),
}

/// What was done, in spans: `received = kept + untraced + dropped`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeadTally {
    /// Spans that came.
    pub received: u64,
    /// Spans that the probability kept.
    pub kept: u64,
    /// Spans without a usable trace id, which are let through.
    pub untraced: u64,
    /// Spans that went.
    pub dropped: u64,
}

/// A consistent probability sampler that brings spans to a wanted probability, whatever samplers
/// stood before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadSampler {
    threshold: Option<Threshold>,
}

impl HeadSampler {
    /// A sampler with this threshold; without one it keeps nothing.
    #[must_use]
    pub const fn new(threshold: Option<Threshold>) -> Self {
        Self { threshold }
    }

    /// A sampler that keeps this percentage of traces.
    #[must_use]
    pub fn from_percentage(percentage: f64) -> Self {
        Self::new(Threshold::from_percentage(percentage))
    }

    /// Decides by the randomness of the trace: a span that was sampled at our threshold or a
    /// higher one before is kept as it is, else R >= T decides.
    #[must_use]
    pub fn decide(&self, id: TraceId, state: OtState) -> HeadDecision {
        let Some(wanted) = self.threshold else { return HeadDecision::Drop };
        if state.threshold.is_some_and(|before| before >= wanted) {
            return HeadDecision::Keep;
        }
        let randomness = state.randomness.unwrap_or(Randomness::of_trace(id));
        if wanted.keeps(randomness) { HeadDecision::KeepWith(wanted) } else { HeadDecision::Drop }
    }

    /// Samples the spans of a chunk and says what goes on in the chunk's place; `None` if it is the
    /// chunk itself. Spans that were emitted at `position` or later are left alone.
    #[must_use]
    pub fn on_chunk(
        &self,
        chunk: &[u8],
        position: Position,
        tally: &mut HeadTally,
    ) -> Option<Vec<u8>> {
        let mut rewriter = ChunkRewriter::new(chunk);
        let mut items = ItemReader::new(chunk);
        let mut patch = Patch::default();
        while let Some(step) = items.step(&mut ()) {
            let raw = step.raw();
            let span = step.span().filter(|(_, telemetry)| !telemetry.is_past(position));
            let Some((item, _)) = span else {
                rewriter.keep(raw);
                continue;
            };
            tally.received += 1;
            let Some(id) = item.span.trace_id() else {
                tally.untraced += 1;
                rewriter.keep(raw);
                continue;
            };
            match self.decide(id, OtState::read(item.span.trace_state())) {
                HeadDecision::Keep => rewriter.keep(raw),
                HeadDecision::KeepWith(threshold) => {
                    let probability = Probability::AtLeast(threshold);
                    patch.begin(raw);
                    let mark = Mark { probability, policy: None };
                    mark.note(item.event.body, &item.span, &mut patch);
                    patch.apply(raw, rewriter.replace(raw));
                }
                HeadDecision::Drop => {
                    tally.dropped += 1;
                    rewriter.replace(raw);
                    continue;
                }
            }
            tally.kept += 1;
        }
        rewriter.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decide(percentage: f64, state: &str, id: &str) -> HeadDecision {
        let id = TraceId::from_hex(id.as_bytes()).unwrap();
        HeadSampler::from_percentage(percentage).decide(id, OtState::read(state.as_bytes()))
    }

    const LOW: &str = "0af7651916cd43dd8448eb211c80319c";
    const HIGH: &str = "0af7651916cd43dd84ffffffffffffff";

    #[test]
    fn the_equalizing_rule() {
        let eight = Threshold::parse(b"8").unwrap();
        assert_eq!(decide(50.0, "", LOW), HeadDecision::Drop);
        assert_eq!(decide(50.0, "", HIGH), HeadDecision::KeepWith(eight));
        assert_eq!(decide(50.0, "ot=th:c", LOW), HeadDecision::Keep);
        assert_eq!(decide(50.0, "ot=th:8", LOW), HeadDecision::Keep);
        assert_eq!(decide(50.0, "ot=th:4", HIGH), HeadDecision::KeepWith(eight));
        assert_eq!(decide(50.0, "ot=th:4", LOW), HeadDecision::Drop);
        assert_eq!(decide(50.0, "ot=rv:ffffffffffffff", LOW), HeadDecision::KeepWith(eight));
        assert_eq!(decide(50.0, "ot=rv:00000000000000", HIGH), HeadDecision::Drop);
        assert_eq!(decide(50.0, "ot=th:ZZ", HIGH), HeadDecision::KeepWith(eight));
        assert_eq!(decide(100.0, "", LOW), HeadDecision::KeepWith(Threshold::ALWAYS));
        assert_eq!(decide(0.0, "ot=th:c", HIGH), HeadDecision::Drop);
    }

    proptest! {
        #[test]
        fn what_a_lower_percentage_keeps_a_higher_one_keeps(
            id in any::<[u8; 16]>(), low in 0.0..100.0_f64, more in 0.0..100.0_f64,
        ) {
            let state = OtState::default();
            let high = (low + more).min(100.0);
            let few = HeadSampler::from_percentage(low).decide(TraceId(id), state);
            let many = HeadSampler::from_percentage(high).decide(TraceId(id), state);
            prop_assert!(few == HeadDecision::Drop || many != HeadDecision::Drop);
        }

        #[test]
        fn a_second_sampler_gives_what_the_stricter_one_alone_gives(
            id in any::<[u8; 16]>(), first in 0.1..100.0_f64, second in 0.1..100.0_f64,
        ) {
            let after = |state, percentage| {
                HeadSampler::from_percentage(percentage).decide(TraceId(id), state)
            };
            let once = after(OtState::default(), first);
            let both = match once {
                HeadDecision::KeepWith(threshold) => {
                    let state = OtState { threshold: Some(threshold), randomness: None };
                    match after(state, second) {
                        HeadDecision::Keep => once,
                        other => other,
                    }
                }
                other => other,
            };
            prop_assert_eq!(both, after(OtState::default(), first.min(second)));
        }
    }
}
