//! What `multi_otlp` brings into the status: how its endpoints are.

use serde_json::{Value, json};

use crate::clock::Tick;
use crate::export::{EndpointState, ExporterWatch};
use crate::hub::{StatusSection, StatusSource};
use crate::status::seconds;

/// The status of an instance, as long as it is there.
pub(super) struct EndpointsStatus(pub(super) ExporterWatch);

impl StatusSource for EndpointsStatus {
    fn rows(&self, now: Tick, unix_nanos: u64) -> Vec<(StatusSection, Value)> {
        let states = self.0.endpoints(now);
        states.iter().map(|state| (StatusSection::Endpoints, endpoint(state, unix_nanos))).collect()
    }
}

fn endpoint(state: &EndpointState, unix_nanos: u64) -> Value {
    let since = state.away.map(|away| {
        let away = u64::try_from(away.as_nanos()).unwrap_or(u64::MAX);
        seconds(unix_nanos.saturating_sub(away))
    });
    json!({
        "endpoint": state.name,
        "group": state.group,
        "failing_since": since,
        "sent": state.sent,
        "waiting": state.waiting,
        "in_flight": state.in_flight,
        "dropped": state.dropped,
        "latency": state.latency.map(|latency| latency.as_secs_f64()),
    })
}
