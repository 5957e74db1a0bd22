//! Stages that remember what passed: the state of servers, broken context, correlation by ids, inheritance, and the
//! latency split. What is not asked for is not there.

use std::sync::Arc;

use super::broken_context::BrokenContext;
use super::correlation::Correlation;
use super::inheritance::Inheritance;
use super::latency_split::LatencySplit;
use super::server_state::ServerStates;
use crate::correlation::{
    BrokenContextConfig, CorrelationConfig, InheritConfig, LatencyConfig, ServerStateConfig,
};
use crate::plugin::{Chunk, Environment};

/// What is asked for.
pub(super) struct TraceStagesConfig {
    pub(super) broken_context: Option<BrokenContextConfig>,
    pub(super) correlation: Option<CorrelationConfig>,
    pub(super) inherit: Option<InheritConfig>,
    pub(super) latency: Option<LatencyConfig>,
    pub(super) server_state: Option<ServerStateConfig>,
}

/// Those that run.
pub(super) struct TraceStages {
    pub(super) broken_context: Option<Arc<BrokenContext>>,
    pub(super) correlation: Option<Arc<Correlation>>,
    pub(super) inheritance: Option<Arc<Inheritance>>,
    pub(super) latency: Option<Arc<LatencySplit>>,
    pub(super) server_state: Option<ServerStates>,
}

impl TraceStages {
    pub(super) fn start(config: TraceStagesConfig, environment: &Environment) -> Self {
        let latency = config.latency.map(|config| LatencySplit::start(config, environment));
        let of_late_spans = latency.clone();
        let inheritance =
            config.inherit.map(|config| Inheritance::start(config, of_late_spans, environment));
        let of_late_logs = inheritance.clone();
        let correlation =
            config.correlation.map(|config| Correlation::start(config, of_late_logs, environment));
        let broken_context =
            config.broken_context.map(|config| BrokenContext::start(config, environment));
        let server_state =
            config.server_state.map(|config| ServerStates::start(config, environment));
        Self { broken_context, correlation, inheritance, latency, server_state }
    }

    /// What goes on in the place of a chunk of which `replaced` was left, if anything was changed.
    pub(super) fn on_chunk(
        &self,
        chunk: Chunk<'_>,
        mut replaced: Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        // Before any span is held.
        if let Some(server_state) = &self.server_state {
            let bytes = replaced.as_deref().unwrap_or(chunk.bytes);
            replaced = server_state.on_chunk(bytes).or(replaced);
        }
        if let Some(broken_context) = &self.broken_context {
            broken_context.on_chunk(chunk.tag, replaced.as_deref().unwrap_or(chunk.bytes));
        }
        if let Some(correlation) = &self.correlation {
            let bytes = replaced.as_deref().unwrap_or(chunk.bytes);
            replaced = correlation.on_chunk(chunk.tag, bytes).or(replaced);
        }
        // All spans are looked at, also those that wait for what they inherit.
        if let Some(latency) = &self.latency {
            latency.look(replaced.as_deref().unwrap_or(chunk.bytes));
        }
        // Logs that got their trace inherit from it.
        if let Some(inheritance) = &self.inheritance {
            let bytes = replaced.as_deref().unwrap_or(chunk.bytes);
            replaced = inheritance.on_chunk(chunk.tag, bytes).or(replaced);
        }
        if let Some(latency) = &self.latency {
            let bytes = replaced.as_deref().unwrap_or(chunk.bytes);
            replaced = latency.hold(chunk.tag, bytes).or(replaced);
        }
        replaced
    }
}
