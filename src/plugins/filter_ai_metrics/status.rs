//! What `ai_metrics` brings into the status: how models are used, and the last findings.

use std::sync::Weak;

use serde_json::{Value, json};

use crate::aggregation::{Aggregator, ModelUse};
use crate::clock::Tick;
use crate::findings::{ConversationState, KeptFinding};
use crate::hub::{ConversationVerdict, StatusSection, StatusSource};
use crate::model::LastMetrics;
use crate::status::seconds;
use crate::sync::Mutex;

/// The status of an instance, as long as it is there.
pub(super) struct MetricsStatus(pub(super) Weak<Mutex<Aggregator>>);

impl StatusSource for MetricsStatus {
    fn rows(&self, now: Tick, _unix_nanos: u64) -> Vec<(StatusSection, Value)> {
        let Some(aggregator) = self.0.upgrade() else { return Vec::new() };
        let mut aggregator = aggregator.lock();
        let models = aggregator.models(now);
        let findings = aggregator.findings().map(|findings| findings.kept().to_vec());
        drop(aggregator);
        let models = models.iter().map(|row| (StatusSection::Models, model(row)));
        // The newest first.
        let findings = findings.iter().flatten().rev();
        models.chain(findings.map(|row| (StatusSection::Findings, finding(row)))).collect()
    }

    fn metrics(&self) -> Option<LastMetrics> {
        Some(self.0.upgrade()?.lock().last_metrics())
    }

    fn verdict(&self, id: &str) -> Option<ConversationVerdict> {
        let aggregator = self.0.upgrade()?;
        let mut aggregator = aggregator.lock();
        let findings = aggregator.findings().filter(|findings| findings.watches_conversations())?;
        let known = findings.conversation(id);
        drop(aggregator);
        Some(match known {
            None => ConversationVerdict::Unknown,
            Some(state) if state.told.is_empty() => ConversationVerdict::Ok(evidence(&state)),
            Some(state) => ConversationVerdict::Runaway(evidence(&state)),
        })
    }
}

/// What a verdict is from: numbers and names of findings.
fn evidence(state: &ConversationState) -> Value {
    let told = state.told.iter().map(|told| {
        json!({ "type": told.name, "since": seconds(told.unix_nanos), told.counts: told.number })
    });
    let since = state.told.iter().map(|told| told.unix_nanos).min();
    json!({
        "since": since.map(seconds),
        "findings": told.collect::<Vec<_>>(),
        "tool_calls": state.tool_calls,
        "tokens_per_minute": state.tokens_per_minute,
        "last_seen": seconds(state.last_unix_nanos),
    })
}

fn model(row: &ModelUse) -> Value {
    json!({
        "provider": row.provider,
        "model": row.model,
        "requests": row.requests,
        "errors": row.errors,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cost_usd": row.cost_usd,
        "p50": row.p50,
        "p99": row.p99,
    })
}

fn finding(row: &KeptFinding) -> Value {
    json!({
        "time": seconds(row.unix_nanos),
        "type": row.name,
        "says": row.says,
        "subject": row.subject,
    })
}
