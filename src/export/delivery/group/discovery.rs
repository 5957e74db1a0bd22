//! Service discovery by DNS: the members of a group are the addresses of a host, looked up again
//! and again.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::roster::Roster;
use crate::clock::{self, Tick};
use crate::export::delivery::strategy::EndpointDelivery;
use crate::export::settings::EndpointSettings;
use crate::plugin::Environment;
use crate::runtime::Tasks;
use crate::stats::{Counter, CounterFamily, Counters, Log, LogLevel};
use crate::sync::{Mutex, MutexGuard};

/// The time between look-ups while no member is known, at most.
const PAUSE: Duration = Duration::from_secs(1);
/// Members at most: more addresses than that are a mistake somewhere.
const MAX_MEMBERS: usize = 256;

const FAILURES: CounterFamily = CounterFamily::counter(
    "discovery_failures_total",
    "Look-ups of a group's members that gave no address; the known members stay.",
    &["group"],
);
const MEMBERS: CounterFamily = CounterFamily::gauge(
    "discovered_members",
    "Members of a group that the last look-up gave.",
    &["group"],
);

type Addresses = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Turns a host and a port into addresses.
pub(in crate::export) type NameLookup = Arc<dyn Fn(String, u16) -> Addresses + Send + Sync>;

/// The system's own look-up.
pub(in crate::export) fn system_lookup() -> NameLookup {
    Arc::new(|host, port| {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    })
}

struct Known {
    roster: Arc<Roster>,
    members: Vec<(SocketAddr, Arc<EndpointDelivery>)>,
    looked_up: Option<Tick>,
}

pub(super) struct Discovery {
    endpoint: EndpointSettings,
    interval: Duration,
    max_in_flight: usize,
    counters: Arc<Counters>,
    log: Arc<Log>,
    lookup: NameLookup,
    known: Mutex<Known>,
    busy: AtomicBool,
    failures: Counter,
    count: Counter,
}

impl Discovery {
    pub(super) fn new(
        endpoint: EndpointSettings,
        interval: Duration,
        max_in_flight: usize,
        environment: &Environment,
        lookup: &NameLookup,
    ) -> Self {
        let known = Known {
            roster: Arc::new(Roster::new(Vec::new())),
            members: Vec::new(),
            looked_up: None,
        };
        Self {
            interval,
            max_in_flight,
            counters: Arc::clone(&environment.counters),
            log: Arc::clone(&environment.log),
            lookup: Arc::clone(lookup),
            known: Mutex::new(known),
            busy: AtomicBool::new(false),
            failures: environment.counters.counter(FAILURES, &[&endpoint.name]),
            count: environment.counters.counter(MEMBERS, &[&endpoint.name]),
            endpoint,
        }
    }

    fn state(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }

    /// The members that are known.
    pub(super) fn known(&self) -> Arc<Roster> {
        Arc::clone(&self.state().roster)
    }

    /// The members now. The first look-up is waited for, later ones happen in the background.
    pub(super) async fn current(self: &Arc<Self>, tasks: Option<&Tasks>) -> Arc<Roster> {
        let now = clock::now();
        let (is_due, is_empty) = {
            let known = self.state();
            let is_empty = known.members.is_empty();
            // Without any member the next look-up does not wait for long.
            let wait = if is_empty { self.interval.min(PAUSE) } else { self.interval };
            (known.looked_up.is_none_or(|at| now.since(at) >= wait), is_empty)
        };
        if is_due && !self.busy.swap(true, Ordering::AcqRel) {
            match tasks.filter(|_| !is_empty) {
                None => self.look_up_alone().await,
                Some(tasks) => {
                    let this = Arc::clone(self);
                    tasks.spawn(async move { this.look_up_alone().await });
                }
            }
        }
        self.known()
    }

    async fn look_up_alone(&self) {
        self.look_up().await;
        self.busy.store(false, Ordering::Release);
    }

    async fn look_up(&self) {
        let url = &self.endpoint.url;
        let secure = url.scheme_str() == Some("https");
        let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let found = tokio::time::timeout(self.endpoint.timeout, (self.lookup)(host, port)).await;
        self.state().looked_up = Some(clock::now());
        match found {
            Ok(Ok(addresses)) if !addresses.is_empty() => self.settle(addresses),
            Ok(Ok(_)) => self.report_failure("there is no address"),
            Ok(Err(error)) => self.report_failure(&error.to_string()),
            Err(_) => self.report_failure("there was no answer in time"),
        }
    }

    fn report_failure(&self, why: &str) {
        self.failures.add(1);
        let name = &self.endpoint.name;
        self.log.often(LogLevel::Warn, "discovery", || {
            format!("the members of group '{name}' cannot be looked up: {why}")
        });
    }

    /// Members that stay keep their connections and breakers; requests to those that went end in
    /// their own time.
    fn settle(&self, mut addresses: Vec<SocketAddr>) {
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(MAX_MEMBERS);
        let mut known = self.state();
        if known.members.iter().map(|(address, _)| address).eq(&addresses) {
            return;
        }
        let mut members = Vec::new();
        for address in addresses {
            let old = known.members.iter().find(|(known, _)| *known == address);
            let member = match old {
                Some((_, member)) => Ok(Arc::clone(member)),
                None => self.member(address),
            };
            match member {
                Ok(member) => members.push((address, member)),
                Err(problem) => self.log.error(problem),
            }
        }
        let shown: Vec<String> = members.iter().map(|(address, _)| address.to_string()).collect();
        self.log.info(format!(
            "group '{}' has {} members: {}",
            self.endpoint.name,
            members.len(),
            shown.join(", ")
        ));
        self.count.set(members.len().try_into().unwrap_or(u64::MAX));
        known.roster = Arc::new(Roster::new(members.iter().map(|(_, m)| Arc::clone(m)).collect()));
        known.members = members;
    }

    fn member(&self, address: SocketAddr) -> Result<Arc<EndpointDelivery>, String> {
        let settings = EndpointSettings { address: Some(address), ..self.endpoint.clone() };
        EndpointDelivery::new(&settings, self.max_in_flight, &self.counters, &self.log)
            .map(Arc::new)
            .map_err(|problem| problem.to_string())
    }
}
