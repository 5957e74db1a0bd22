//! Head sampling: each span at once, every span of a trace alike unless rates tell them apart.

mod decision;
mod logs;
mod rates;

pub use self::decision::HeadDecision;
use self::decision::decide_at;
pub use self::rates::{AdaptiveRate, HeadRate, RateChance, RateTally, RateTest};
use self::rates::{HeadRates, RatedSpan};
use super::adaptive::TenantCount;
use super::rewrite::{Mark, Probability};
use super::session::{SessionKeys, TraceSessions};
use super::threshold::{Randomness, Threshold};
use super::tracestate::OtState;
use crate::clock::Tick;
use crate::codec::records::{ChunkRewriter, ItemReader, ItemStep, Patch};
use crate::model::{Position, TraceId};

/// What was done, in spans: `received = kept + untraced + dropped`, with those of `rates`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeadTally {
    /// Spans that came.
    pub received: u64,
    /// Spans that the probability kept for which no rate was.
    pub kept: u64,
    /// Spans without a usable trace id, which are let through.
    pub untraced: u64,
    /// Spans that went for which no rate was.
    pub dropped: u64,
    /// What became of logs, where they follow their traces.
    pub logs: HeadLogTally,
    /// What became of the spans of each rate.
    pub rates: Vec<RateTally>,
    /// Spans whose session decided.
    pub of_sessions: u64,
    /// Spans of a session that had randomness or a threshold before, so that it did not decide.
    pub against_sessions: u64,
}

/// What became of logs: `received = kept + untraced + dropped`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeadLogTally {
    /// Logs that came.
    pub received: u64,
    /// Logs that the probability kept.
    pub kept: u64,
    /// Logs without a usable trace id, which are let through.
    pub untraced: u64,
    /// Logs that went.
    pub dropped: u64,
}

/// A consistent probability sampler that brings spans to a wanted probability, whatever samplers
/// stood before it.
#[derive(Debug)]
pub struct HeadSampler {
    threshold: Option<Threshold>,
    sessions: Option<TraceSessions>,
    rates: HeadRates,
    logs_follow: bool,
}

impl HeadSampler {
    /// A sampler with this threshold; without one it keeps nothing.
    #[must_use]
    pub const fn new(threshold: Option<Threshold>) -> Self {
        Self { threshold, sessions: None, rates: HeadRates::new(Vec::new()), logs_follow: false }
    }

    /// The same, with rates for some spans, of which the first that is for a span decides.
    #[must_use]
    pub fn with_rates(self, rates: Vec<HeadRate>) -> Self {
        Self { rates: HeadRates::new(rates), ..self }
    }

    /// The same, with traces of a session decided alike.
    #[must_use]
    pub fn with_sessions(self, keys: Option<SessionKeys>) -> Self {
        Self { sessions: keys.map(TraceSessions::new), ..self }
    }

    /// The same, with logs that go by the randomness of their trace, as its spans do.
    #[must_use]
    pub fn with_logs(self, logs_follow: bool) -> Self {
        Self { logs_follow, ..self }
    }

    /// Whether logs follow their traces.
    #[must_use]
    pub const fn logs_follow(&self) -> bool {
        self.logs_follow
    }

    /// The names of rates.
    pub fn rate_names(&self) -> impl Iterator<Item = &str> {
        self.rates.names()
    }

    /// The names of rates that share a goal among tenants.
    pub fn tenant_rates(&self) -> impl Iterator<Item = &str> {
        self.rates.with_tenants()
    }

    /// Says how many instances share the goals of a fleet from now on.
    pub fn set_fleet_size(&mut self, size: u32) {
        self.rates.set_fleet_size(size);
    }

    /// Shows what rates decided by tenant since this was asked last, with the rate's name.
    pub fn take_tenants(&mut self, show: &mut dyn FnMut(&str, &str, TenantCount)) {
        self.rates.take_tenants(show);
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
        decide_at(self.threshold, id, state)
    }

    /// Samples the spans of a chunk and says what goes on in the chunk's place; `None` if it is the
    /// chunk itself, given its tag. Spans that were emitted at `position` or later are left alone.
    #[must_use]
    pub fn on_chunk(
        &mut self,
        (tag, chunk): (&[u8], &[u8]),
        position: Position,
        now: Tick,
        tally: &mut HeadTally,
    ) -> Option<Vec<u8>> {
        if let Some(sessions) = &mut self.sessions {
            sessions.learn(chunk, position);
        }
        let mut rewriter = ChunkRewriter::new(chunk);
        let mut items = ItemReader::new(chunk);
        let mut patch = Patch::default();
        while let Some(step) = items.step(&mut ()) {
            let raw = step.raw();
            let span = step.span().filter(|(_, telemetry)| !telemetry.is_past(position));
            let Some((item, telemetry)) = span else {
                match &step {
                    ItemStep::Item(item) if self.logs_follow => {
                        self.log(&mut rewriter, item, position, tally);
                    }
                    _ => rewriter.keep(raw),
                }
                continue;
            };
            tally.received += 1;
            let Some(id) = item.span.trace_id() else {
                tally.untraced += 1;
                rewriter.keep(raw);
                continue;
            };
            let mut state = OtState::read(item.span.trace_state());
            let randomness = self.session(id, state, tally);
            state.randomness = state.randomness.or(randomness);
            let rate = if self.rates.is_empty() {
                None
            } else {
                let rated = RatedSpan { item, telemetry, tag, id, state, now };
                self.rates.of(rated, &mut tally.rates)
            };
            let wanted = rate.map_or(self.threshold, |(_, threshold)| threshold);
            let rated = rate.and_then(|(index, _)| tally.rates.get_mut(index));
            let (kept, dropped) = match rated {
                Some(rated) => (&mut rated.kept, &mut rated.dropped),
                None => (&mut tally.kept, &mut tally.dropped),
            };
            let probability = match decide_at(wanted, id, state) {
                HeadDecision::Keep => Probability::Unchanged,
                HeadDecision::KeepWith(threshold) => Probability::AtLeast(threshold),
                HeadDecision::Drop => {
                    *dropped += 1;
                    rewriter.replace(raw);
                    continue;
                }
            };
            *kept += 1;
            if probability == Probability::Unchanged && randomness.is_none() {
                rewriter.keep(raw);
                continue;
            }
            patch.begin(raw);
            let mark = Mark { probability, randomness, ..Mark::NONE };
            mark.note(item.event.body, &item.span, &mut patch);
            patch.apply(raw, rewriter.replace(raw));
        }
        rewriter.finish()
    }
}

impl HeadSampler {
    /// The randomness that a span gets of its session.
    fn session(
        &mut self,
        id: TraceId,
        state: OtState,
        tally: &mut HeadTally,
    ) -> Option<Randomness> {
        let randomness = self.sessions.as_mut()?.of(id)?;
        if state.takes_randomness() {
            tally.of_sessions += 1;
            return Some(randomness);
        }
        tally.against_sessions += 1;
        None
    }
}

#[cfg(test)]
mod rates_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::{MapView, text_of};
    use crate::codec::records::Events;
    use crate::codec::records::testing::{SpanRecord, chunk};
    use proptest::prelude::*;

    fn keys() -> Option<SessionKeys> {
        let attributes = ["gen_ai.conversation.id", "session.id"].map(str::to_owned);
        Some(SessionKeys::new(attributes.into(), Some(b"a key of 16 bytes")))
    }

    /// What goes on: (span id, trace state).
    fn sampled(sampler: &mut HeadSampler, spans: &[SpanRecord]) -> Vec<(u64, String)> {
        let chunk = chunk(spans);
        let position = Position { run: 1, after: 1 };
        let mut tally = HeadTally::default();
        let out = sampler.on_chunk((b"ai", &chunk), position, Tick(0), &mut tally).unwrap_or(chunk);
        let field = |body, key: &[u8]| {
            MapView::new(body).get(key).and_then(text_of).unwrap_or_default().to_owned()
        };
        let read = Events::new(&out).map(|event| event.unwrap().body).map(|body| {
            (
                u64::from_str_radix(&field(body, b"span_id"), 16).unwrap(),
                field(body, b"trace_state"),
            )
        });
        read.collect()
    }

    /// Scenario: 200 sessions of five traces of three spans each, whose session only one span names,
    /// by either of two attributes; two samplers that see different spans, and a stricter one of another
    /// kind behind them. Guarantees: all traces of a session stay or go as one, everywhere, and as many
    /// sessions stay as the percentage says.
    #[test]
    fn traces_of_a_session_are_decided_alike() {
        let half = || HeadSampler::from_percentage(50.0).with_sessions(keys());
        let (mut one, mut other) = (half(), half());
        let mut behind = HeadSampler::from_percentage(25.0);
        let (mut kept, mut kept_behind) = (0, 0);
        for session in 1..=200_u64 {
            let name = format!("session {session}");
            let mut seen = Vec::new();
            for trace in 0..5_u64 {
                let id = session.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(trace << 40);
                let key = if trace % 2 == 0 { "gen_ai.conversation.id" } else { "session.id" };
                let plain = |span| SpanRecord::new(id, span);
                let spans = [plain(1), plain(2).with(key, name.as_str()), plain(3)];
                let sampler = if trace < 3 { &mut one } else { &mut other };
                let mut out = sampled(sampler, &spans);
                out.extend(sampled(sampler, &[plain(4)]));
                let states: Vec<&str> = out.iter().map(|span| span.1.as_str()).collect();
                let after = states.iter().zip(1..).map(|(state, span)| plain(span).state(state));
                let after: Vec<SpanRecord> = after.collect();
                let left = if after.is_empty() { 0 } else { sampled(&mut behind, &after).len() };
                seen.push((out.len(), left, states.first().map(|state| (*state).to_owned())));
            }
            assert!(seen.iter().all(|trace| *trace == seen[0]), "{seen:?}");
            assert!(matches!(seen[0], (4, 0 | 4, Some(_)) | (0, 0, None)), "{seen:?}");
            kept += usize::from(seen[0].0 > 0);
            kept_behind += usize::from(seen[0].1 > 0);
        }
        // Five standard deviations of a binomial distribution.
        assert!((65..=135).contains(&kept), "{kept}");
        assert!((20..=80).contains(&kept_behind) && kept_behind <= kept, "{kept_behind}");
    }

    #[test]
    fn what_was_decided_before_a_session_stays_so() {
        let mut sampler = HeadSampler::from_percentage(100.0).with_sessions(keys());
        let span = |trace, state: &str| {
            SpanRecord::new(trace, trace).state(state).with("session.id", "abc")
        };
        let spans = [
            span(1, "ot=rv:6e6d1a75832a2f"),
            span(2, "ot=th:8"),
            span(3, "ot=th:0"),
            span(4, "a=b"),
            SpanRecord::new(5, 5),
        ];
        let mut tally = HeadTally::default();
        let out = sampled(&mut sampler, &spans);
        let rv = out[2].1.strip_prefix("ot=th:0;rv:").unwrap().to_owned();
        assert_eq!(rv.len(), 14);
        let states: Vec<String> = out.into_iter().map(|span| span.1).collect();
        let stamped = [format!("ot=th:0;rv:{rv}"), format!("ot=th:0;rv:{rv},a=b")];
        let [own, before] = ["ot=th:0;rv:6e6d1a75832a2f", "ot=th:8"].map(str::to_owned);
        assert_eq!(states, [own, before, stamped[0].clone(), stamped[1].clone(), "ot=th:0".into()]);
        let position = Position { run: 1, after: 1 };
        drop(sampler.on_chunk((b"ai", &chunk(&spans)), position, Tick(0), &mut tally));
        assert_eq!((tally.of_sessions, tally.against_sessions, tally.kept), (2, 2, 5));
    }

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
