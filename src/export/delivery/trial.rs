//! Trial: each endpoint gets a request that holds nothing, to find out whether it would take one.

use std::time::Duration;

use crate::clock;
use crate::export::delivery::destination::Destination;
use crate::export::endpoint::Endpoint;
use crate::model::Signal;

/// What came of a request that held nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointTrial {
    /// The endpoint, or the group whose addresses were looked up.
    pub endpoint: String,
    /// Where it went, without what may be a secret.
    pub url: String,
    /// Whose request it was; `None` where there was none to make.
    pub signal: Option<Signal>,
    /// How long it took.
    pub took: Duration,
    /// Why it was not accepted.
    pub outcome: Result<(), String>,
}

/// The trials of a destination, one after the other, so that they share its connection.
pub(super) async fn of_destination(destination: &Destination) -> Vec<EndpointTrial> {
    match destination {
        Destination::Endpoint(endpoint) => of_endpoint(endpoint.endpoint()).await,
        Destination::Group(group) => {
            let members = group.members().await;
            let mut trials = Vec::new();
            for member in &members {
                trials.extend(of_endpoint(member.endpoint()).await);
            }
            if members.is_empty() {
                trials.push(EndpointTrial {
                    endpoint: group.name.clone(),
                    url: String::new(),
                    signal: None,
                    took: Duration::ZERO,
                    outcome: Err("(discovery): no address was found for the group".to_owned()),
                });
            }
            trials
        }
    }
}

async fn of_endpoint(endpoint: &Endpoint) -> Vec<EndpointTrial> {
    let mut trials = Vec::new();
    for signal in Signal::WITH_PROFILES.into_iter().filter(|signal| endpoint.wants(*signal)) {
        let start = clock::now();
        let outcome = endpoint.try_out(signal).await;
        trials.push(EndpointTrial {
            endpoint: endpoint.name().to_owned(),
            url: endpoint.shown_url(signal).to_owned(),
            signal: Some(signal),
            took: clock::now().since(start),
            outcome,
        });
    }
    trials
}
