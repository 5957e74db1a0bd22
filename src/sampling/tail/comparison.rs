//! Changed policies in the dark: what they would have decided, before they decide.

use super::config::TailConfig;
use super::facts::{Bodies, Held, examine};
use super::found::FoundIn;
use super::interner::Interner;
use super::trace::Trace;
use crate::clock::Tick;
use crate::sampling::policy::{Budgets, TraceOutcome};

/// A configuration that is compared with the one that decides.
#[derive(Debug)]
pub(super) struct Comparison {
    config: TailConfig,
    budgets: Budgets,
    until: Tick,
}

impl Comparison {
    /// Compares a configuration from now on, for as long as it says.
    pub(super) fn new(config: TailConfig, now: Tick) -> Self {
        let (budgets, until) = (config.policies.budgets(), now.after(config.compare_for));
        Self { config, budgets, until }
    }

    /// Says how many instances share the goals of a fleet.
    pub(super) fn set_fleet_size(&mut self, size: u32) {
        self.config.policies.set_fleet_size(size);
        self.budgets.set_fleet_size(size);
    }

    /// Whether it has been compared for long enough.
    pub(super) fn is_over(&self, now: Tick) -> bool {
        now >= self.until
    }

    /// The configuration.
    pub(super) fn into_config(self) -> TailConfig {
        self.config
    }

    /// Whether a trace that is decided now would have been kept.
    pub(super) fn would_keep(
        &mut self,
        trace: &mut Trace,
        (metadata, tags): (&Interner, &Interner),
        found: &FoundIn,
        now: Tick,
    ) -> bool {
        self.budgets.advance(now);
        let before = (trace.facts, trace.more.take());
        let TailConfig { policies, sessions, errors, .. } = &self.config;
        examine(trace, policies, sessions.as_ref(), metadata);
        let bodies = Bodies::default();
        let facts = Held::new((trace, &bodies), (metadata, tags), *errors, found);
        let outcome = policies.decide(&facts, &mut self.budgets, &mut |_, _| {});
        (trace.facts, trace.more) = before;
        matches!(outcome, TraceOutcome::Keep { .. })
    }
}
