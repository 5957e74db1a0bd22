//! State of destinations, for a person who looks.

use std::time::Duration;

use crate::clock::Tick;
use crate::export::delivery::destination::Destination;
use crate::export::endpoint::Endpoint;
use crate::model::Signal;

/// How an endpoint is.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointState {
    /// Its name.
    pub name: String,
    /// The group that it is a member of.
    pub group: Option<String>,
    /// For how long its breaker has been open; `None` while it is there.
    pub away: Option<Duration>,
    /// Items that it accepted.
    pub sent: u64,
    /// Items that it will never have.
    pub dropped: u64,
    /// Items that came to the exporter and are neither accepted nor given up, nor for others. Of a group the
    /// first member has it, because any may get them.
    pub waiting: Option<u64>,
    /// Requests under way.
    pub in_flight: usize,
    /// What an accepted request took on average.
    pub latency: Option<Duration>,
}

/// The states of a destination's endpoints; `received` items came to the exporter.
pub(super) fn of_destination(
    destination: &Destination,
    received: u64,
    now: Tick,
) -> Vec<EndpointState> {
    match destination {
        Destination::Endpoint(endpoint) => {
            let meters = &endpoint.endpoint().meters;
            let mut state = of_endpoint(endpoint.endpoint(), now);
            state.waiting = Some(received.saturating_sub(meters.settled()));
            vec![state]
        }
        Destination::Group(group) => {
            let members = group.known_members();
            let settled = members.iter().map(|member| member.endpoint().meters.settled());
            let settled = settled.fold(group.meters.settled(), u64::saturating_add);
            let mut states: Vec<EndpointState> =
                members.iter().map(|member| of_endpoint(member.endpoint(), now)).collect();
            for state in &mut states {
                state.group = Some(group.name.clone());
            }
            if let Some(first) = states.first_mut() {
                first.waiting = Some(received.saturating_sub(settled));
            }
            states
        }
    }
}

fn of_endpoint(endpoint: &Endpoint, now: Tick) -> EndpointState {
    let meters = &endpoint.meters;
    let away = (!endpoint.is_known_up()).then(|| endpoint.away(now));
    EndpointState {
        name: endpoint.name().to_owned(),
        group: None,
        away,
        sent: Signal::WITH_PROFILES.iter().map(|signal| meters.sent_of(*signal)).sum(),
        dropped: meters.dropped_of_all(),
        waiting: None,
        in_flight: endpoint.busy_slots(),
        latency: meters.mean_latency(),
    }
}
