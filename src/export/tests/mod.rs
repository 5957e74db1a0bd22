//! Scripted server: an exporter against receivers whose answers a test writes.

mod again;
mod answers;
mod aws;
mod carried;
mod coalesced;
mod connections;
mod content;
pub(super) mod data;
mod dead_letters;
mod deduplicated;
mod delivery;
mod elapsed;
mod groups;
mod hanging;
mod headers;
mod held;
mod items;
mod json;
mod kinds;
mod ordinary;
mod profiles;
mod proxy;
mod receiver;
mod redirects;
mod renewed;
mod selection;
mod settings;
mod size;
mod state;
mod stock;
mod temporality;
mod tokens;
mod transport;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{EndpointSettings, ExportSettings, Exporter, GroupSettings, Protocol};
use crate::codec::fluentbit::LogAccessors;
use crate::hub::Hub;
use crate::plugin::{Completion, CompletionWaiter, Delivery, Environment, EventType, Fate};
use crate::stats::{Counters, Log};
use receiver::Receiver;

/// An exporter with its environment.
struct Bench {
    exporter: Exporter,
    environment: Environment,
}

fn environment() -> Environment {
    Environment {
        instance: "multi_otlp.0".to_owned(),
        hub: Arc::new(Hub::new(1)),
        position: 1,
        host_release: "5.1.0".to_owned(),
        log_groups: true,
        native_chunks: true,
        counters: Arc::new(Counters::default()),
        log: Arc::new(Log::default()),
    }
}

fn settings(endpoints: Vec<EndpointSettings>, groups: Vec<GroupSettings>) -> ExportSettings {
    ExportSettings {
        endpoints,
        groups,
        max_in_flight: 4,
        retry_in_place_size: 1_000_000,
        logs: LogAccessors::default(),
    }
}

/// An endpoint for which nothing is retried in place, so that a test sees what each attempt does.
fn endpoint(name: &str, receiver: &Receiver) -> EndpointSettings {
    at(name, receiver.url())
}

fn at(name: &str, url: http::Uri) -> EndpointSettings {
    let defaults = EndpointSettings::new(name, url);
    let timeout = test_timeout::at_most(defaults.timeout);
    EndpointSettings { retry_in_place: Duration::ZERO, timeout, ..defaults }
}

fn grpc(name: &str, receiver: &Receiver) -> EndpointSettings {
    EndpointSettings { protocol: Protocol::Grpc, ..endpoint(name, receiver) }
}

#[expect(clippy::disallowed_methods, reason = "tests measure how long something took")]
fn now() -> Instant {
    Instant::now()
}

impl Bench {
    fn new(endpoints: Vec<EndpointSettings>) -> Self {
        Self::with_groups(endpoints, Vec::new())
    }

    fn with_groups(endpoints: Vec<EndpointSettings>, groups: Vec<GroupSettings>) -> Self {
        Self::with_lookup(endpoints, groups, super::delivery::group::system_lookup())
    }

    fn with_lookup(
        endpoints: Vec<EndpointSettings>,
        groups: Vec<GroupSettings>,
        lookup: super::delivery::group::NameLookup,
    ) -> Self {
        let environment = environment();
        let settings = settings(endpoints, groups);
        let exporter = Exporter::start_with(&settings, &environment, lookup).unwrap();
        Self { exporter, environment }
    }

    /// One endpoint, and where ordinary logs have what OTLP has fields for.
    fn with_accessors(endpoint: EndpointSettings, logs: LogAccessors) -> Self {
        let environment = environment();
        let endpoints = vec![endpoint];
        let settings = ExportSettings { logs, ..settings(endpoints, Vec::new()) };
        let exporter = Exporter::start(&settings, &environment).unwrap();
        Self { exporter, environment }
    }

    fn deliver(&self, task: u64, chunk: &[u8]) -> Fate {
        self.deliver_as(EventType::Logs, task, chunk)
    }

    /// Hands a chunk over as a worker of the host does, or for odd tasks as its engine does.
    fn submit(&self, event_type: EventType, task: u64, chunk: &[u8]) -> CompletionWaiter {
        self.submit_as(event_type, task, chunk, false)
    }

    /// The same for a chunk that may be held.
    fn submit_to_hold(&self, task: u64, chunk: &[u8]) -> CompletionWaiter {
        self.submit_as(EventType::Logs, task, chunk, true)
    }

    fn submit_as(
        &self,
        event_type: EventType,
        task: u64,
        chunk: &[u8],
        may_be_held: bool,
    ) -> CompletionWaiter {
        let (completion, waiter) = Completion::pair();
        let on_worker = task.is_multiple_of(2);
        let delivery =
            Delivery { event_type, tag: b"app", bytes: chunk, on_worker, task, may_be_held };
        self.exporter.submit(delivery, completion);
        waiter
    }

    fn deliver_as(&self, event_type: EventType, task: u64, chunk: &[u8]) -> Fate {
        self.submit(event_type, task, chunk)
            .wait(test_timeout::at_most(Duration::from_secs(20)))
            .unwrap()
    }

    /// The value of a counter; 0 if there is none of these labels.
    fn count(&self, name: &str, labels: &[&str]) -> u64 {
        let readings = self.environment.counters.readings();
        let matching = readings.iter().filter(|reading| {
            reading.family.name == name
                && labels.iter().all(|label| reading.labels.iter().any(|known| known == label))
        });
        matching.map(|reading| reading.counter.value()).sum()
    }

    fn log(&self) -> String {
        let lines = self.environment.log.take();
        lines.into_iter().map(|line| line.text).collect::<Vec<_>>().join("\n")
    }
}
