//! Takes chunks, spreads them over the endpoints, and tells what became of them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;

use super::encode::{Encoded, Lane, encode};
use super::endpoint::{Endpoint, Work};
use super::meters::{Meters, Skip};
use super::settings::Settings;
use super::view::View;
use crate::clock;
use crate::model::Signal;
use crate::plugin::{Completion, Delivery, Environment, Fate, OpenError};
use crate::routing::{ChunkId, Ledger, PartId, Progress};
use crate::runtime::{Runtime, Tasks, heavy};
use crate::stats::{Level, Log};

/// Chunks that wait for the host's retry and are remembered at most.
const REMEMBERED_CHUNKS: usize = 8192;
/// How long ended tasks may take to notice.
const CANCEL_LIMIT: Duration = Duration::from_millis(500);

/// Delivers chunks to all endpoints of one instance.
pub struct Exporter {
    shared: Arc<Shared>,
    /// Made with the first chunk, in the process that delivers.
    running: Mutex<Option<Running>>,
}

struct Running {
    tasks: Tasks,
    _runtime: Runtime,
}

struct Shared {
    endpoints: Vec<Endpoint>,
    /// What is encoded: one view for all endpoints that share it.
    views: Vec<View>,
    /// The view of each endpoint.
    view_of: Vec<usize>,
    ledger: Mutex<Ledger>,
    meters: Meters,
    log: Arc<Log>,
}

impl Exporter {
    /// Prepares all endpoints. Nothing connects, and no thread starts, before the first chunk.
    ///
    /// # Errors
    /// What is wrong with files or URLs, for all endpoints at once.
    pub fn start(settings: &Settings, environment: &Environment) -> Result<Self, OpenError> {
        let mut endpoints = Vec::new();
        let mut problems = Vec::new();
        let mut views: Vec<View> = Vec::new();
        let mut view_of = Vec::new();
        for endpoint in &settings.endpoints {
            let (counters, log) = (&environment.counters, &environment.log);
            match Endpoint::new(endpoint, settings.max_in_flight, counters, log) {
                Ok(endpoint) => endpoints.push(endpoint),
                Err(problem) => problems.push(problem.to_string()),
            }
            if !endpoint.tls.verify {
                log.warn(format!(
                    "endpoint '{}': certificates are not checked ('tls.verify' is off)",
                    endpoint.name
                ));
            }
            let view = View::of(endpoint);
            let same = views.iter().position(|known| known.shares_with(&view));
            view_of.push(same.unwrap_or(views.len()));
            if same.is_none() {
                views.push(view);
            }
        }
        if !problems.is_empty() {
            return Err(OpenError(problems));
        }
        let shared = Shared {
            endpoints,
            views,
            view_of,
            ledger: Mutex::new(Ledger::new(REMEMBERED_CHUNKS)),
            meters: Meters::new(&environment.counters),
            log: Arc::clone(&environment.log),
        };
        Ok(Self { shared: Arc::new(shared), running: Mutex::new(None) })
    }

    /// Delivers a chunk and tells the outcome through `completion`. Returns at once. After
    /// [`Exporter::close`] the outcome is [`Fate::Retry`].
    pub fn submit(&self, delivery: Delivery, completion: Completion) {
        let Some(tasks) = self.tasks() else { return completion.tell(Fate::Retry) };
        let shared = Arc::clone(&self.shared);
        tasks.spawn(async move {
            let fate = shared.process(delivery).await;
            completion.tell(fate);
        });
    }

    fn tasks(&self) -> Option<Tasks> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_none() {
            match Runtime::acquire() {
                Ok(runtime) => {
                    *running = Some(Running { tasks: runtime.tasks(), _runtime: runtime });
                }
                Err(error) => self.shared.log.often(Level::Error, "runtime", || {
                    format!("no threads can be started, so nothing is delivered: {error}")
                }),
            }
        }
        running.as_ref().map(|running| running.tasks.clone())
    }

    /// Finishes what is in flight within `budget` and ends the rest, which the host keeps.
    pub fn close(self, budget: Duration) {
        let running = self.running.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = running else { return };
        if running.tasks.wait(budget) {
            return;
        }
        let left = running.tasks.live();
        running.tasks.cancel();
        let _ended = running.tasks.wait(CANCEL_LIMIT);
        self.shared
            .log
            .warn(format!("{left} chunks were not delivered in time; the host has them"));
    }
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.shared.endpoints.iter().map(Endpoint::name).collect();
        formatter.debug_struct("Exporter").field("endpoints", &names).finish_non_exhaustive()
    }
}

/// What one endpoint is to get in one attempt.
struct Todo<'a> {
    endpoint: &'a Endpoint,
    number: u32,
    work: Vec<Work>,
}

impl Shared {
    async fn process(&self, delivery: Delivery) -> Fate {
        let content = xxhash_rust::xxh3::xxh3_64(&delivery.bytes);
        let chunk = ChunkId { task: delivery.task, content };
        let known = self.ledger().begin(chunk);
        let is_new = known.is_none();
        let mut done = known.unwrap_or_default();
        let encoded = self.encode(&delivery, &done);
        drop(delivery);
        if is_new {
            self.count(&encoded);
        }
        if encoded.skipped.iter().any(|(skip, ..)| *skip == Skip::Unsupported) {
            return Fate::Failed;
        }
        let todo = self.todo(&encoded, &done);
        drop(encoded);
        let attempts = todo.into_iter().map(|todo| async move {
            let wanted = todo.work.len();
            let delivered = todo.endpoint.deliver(todo.work).await;
            (todo.number, wanted, delivered)
        });
        let mut complete = true;
        for (endpoint, wanted, delivered) in join_all(attempts).await {
            let all = delivered.len() == wanted && delivered.iter().all(|(_, u)| u.is_all());
            if all {
                done.complete(endpoint);
                continue;
            }
            complete = false;
            for (part, units) in delivered {
                done.add(PartId { endpoint, part }, units);
            }
        }
        self.conclude(chunk, complete, done)
    }

    fn conclude(&self, chunk: ChunkId, complete: bool, done: Progress) -> Fate {
        if complete {
            self.ledger().finish(chunk);
            return Fate::Done;
        }
        let forgotten = self.ledger().keep(chunk, done);
        self.meters.forgotten.add_items(forgotten);
        self.meters.retried.add(1);
        Fate::Retry
    }

    /// Encodes what is still needed by someone.
    fn encode(&self, delivery: &Delivery, done: &Progress) -> Encoded {
        let mut wanted: Vec<Option<&View>> = vec![None; self.views.len()];
        for (number, view) in (0_u32..).zip(&self.view_of) {
            if let (false, Some(slot)) = (done.is_complete(number), wanted.get_mut(*view)) {
                *slot = self.views.get(*view);
            }
        }
        let now = clock::unix_nanos();
        heavy(delivery.bytes.len(), || encode(&wanted, delivery, now))
    }

    fn lane_of<'e>(&self, encoded: &'e Encoded, endpoint: usize) -> Option<&'e Lane> {
        encoded.lanes.get(*self.view_of.get(endpoint)?)
    }

    fn todo(&self, encoded: &Encoded, done: &Progress) -> Vec<Todo<'_>> {
        let mut todo = Vec::new();
        for (index, (number, endpoint)) in (0_u32..).zip(&self.endpoints).enumerate() {
            if done.is_complete(number) {
                continue;
            }
            let Some(lane) = self.lane_of(encoded, index) else { continue };
            let work = (0_u32..)
                .zip(&lane.parts)
                .filter(|(_, request)| endpoint.wants(request.signal))
                .map(|(part, request)| Work {
                    number: part,
                    part: Arc::clone(request),
                    done: done.of(PartId { endpoint: number, part }),
                })
                .filter(|work| !work.done.is_all())
                .collect();
            todo.push(Todo { endpoint, number, work });
        }
        todo
    }

    /// Counts a chunk when it comes for the first time.
    fn count(&self, encoded: &Encoded) {
        for (signal, items) in Signal::ALL.into_iter().zip(encoded.received) {
            self.meters.received(signal, items);
        }
        for (skip, items, words) in &encoded.skipped {
            self.meters.skipped(*skip, *items);
            let items = *items;
            self.log.often(Level::Error, skip.name(), || {
                format!("{items} records cannot be exported ({}): {words}", skip.name())
            });
        }
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            let Some(lane) = self.lane_of(encoded, index) else { continue };
            let unwanted = lane.parts.iter().filter(|part| !endpoint.wants(part.signal));
            endpoint.meters.filtered.add_items(unwanted.map(|part| part.items).sum());
            endpoint.meters.filtered.add_items(lane.filtered);
            endpoint.meters.undecided.add_items(lane.undecided);
            endpoint.meters.content_removed.add_items(lane.cleaned);
            if let Some(reason) = &lane.undecided_reason {
                self.log.often(Level::Warn, "where", || {
                    let name = endpoint.name();
                    format!("'where' of endpoint '{name}' has no answer for an item: {reason}")
                });
            }
        }
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
