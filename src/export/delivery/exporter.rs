//! Fan-out: takes chunks, spreads them over the endpoints, and reports what became of them.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use once_cell::sync::OnceCell;
use tokio::sync::oneshot;

use crate::clock::{self, Tick};
use crate::codec::fluentbit::LogAccessors;
use crate::export::counters::{ExportCounters, LossReason, SkipReason};
use crate::export::delivery::attempt::{Attempt, AttemptResult, record, result_of};
use crate::export::delivery::builder::ExporterBuilder;
use crate::export::delivery::claim::{Claim, InFlight, PROBE_GRACE};
use crate::export::delivery::destination::Destination;
use crate::export::delivery::group::{NameLookup, system_lookup};
use crate::export::delivery::hold::{Holds, Missing};
use crate::export::delivery::metric_form::MetricForm;
use crate::export::delivery::state::{self, EndpointState};
use crate::export::delivery::strategy::PendingRequest;
use crate::export::delivery::trial::{self, EndpointTrial};
use crate::export::selection::Selection;
use crate::export::selection::content::UnlistedReport;
use crate::export::selection::encode::{EncodedChunk, Lane, encode};
use crate::export::settings::ExportSettings;
use crate::model::Signal;
use crate::plugin::{Completion, Delivery, Environment, Fate, Gate, OpenError};
use crate::routing::{ChunkId, KnownChunk, Ledger, PartId, Progress};
use crate::runtime::{Runtime, Tasks, heavy};
use crate::stats::{Log, LogLevel, LogText};
use crate::sync::Mutex;

/// Chunks that wait for the host's retry and are remembered at most.
const REMEMBERED_CHUNKS: usize = 8192;
/// How long ended tasks may take to notice.
const CANCEL_LIMIT: Duration = Duration::from_millis(500);

/// Delivers chunks to all endpoints of one instance.
pub struct Exporter {
    shared: Arc<Shared>,
    /// Made with the first chunk, in the process that delivers; tried again with the next one where the
    /// system refused threads.
    running: OnceCell<Running>,
}

/// Looks at an exporter without keeping it.
pub struct ExporterWatch(Weak<Shared>);

impl ExporterWatch {
    /// The states of all endpoints; none once the exporter is gone.
    #[must_use]
    pub fn endpoints(&self, now: Tick) -> Vec<EndpointState> {
        let Some(shared) = self.0.upgrade() else { return Vec::new() };
        let received = shared.meters.received_of_all();
        let each = shared.destinations.iter();
        each.flat_map(|destination| state::of_destination(destination, received, now)).collect()
    }
}

struct Running {
    tasks: Tasks,
    _runtime: Runtime,
}

struct Shared {
    destinations: Vec<Destination>,
    /// How long each is tried.
    limits: Vec<Option<Duration>>,
    /// What is encoded: one selection for all destinations that share it.
    selections: Vec<Selection>,
    /// The selection of each destination.
    selection_of: Vec<usize>,
    /// What each selection does to metrics.
    metric_forms: Vec<MetricForm>,
    /// Where ordinary logs have what OTLP has fields for.
    accessors: LogAccessors,
    ledger: Mutex<Ledger>,
    late: Arc<InFlight>,
    holds: Holds,
    /// The same as in `Running`, for what goes on behind a chunk's back.
    tasks: Arc<OnceLock<Tasks>>,
    meters: ExportCounters,
    unlisted: UnlistedReport,
    log: Arc<Log>,
}

/// Distinguishes chunks of the same task and length by samples of their content: ids and times of
/// telemetry differ everywhere, and hashing all of a chunk would cost a look at each of its bytes.
fn fingerprint(chunk: &[u8]) -> u64 {
    const SAMPLE: usize = 512;
    const EVERY: usize = 16 * 1024;
    let mut hash = xxhash_rust::xxh3::Xxh3Default::new();
    hash.update(&chunk.len().to_le_bytes());
    for block in chunk.chunks(EVERY) {
        hash.update(block.get(..SAMPLE).unwrap_or(block));
    }
    hash.update(chunk.last_chunk::<SAMPLE>().map_or(&[][..], |end| end));
    hash.digest()
}

impl Exporter {
    /// Prepares all endpoints. Nothing connects, and no thread starts, before the first chunk.
    ///
    /// # Errors
    /// What is wrong with files or URLs, for all endpoints at once.
    pub fn start(settings: &ExportSettings, environment: &Environment) -> Result<Self, OpenError> {
        Self::start_with(settings, environment, system_lookup())
    }

    /// The same with a name service of one's own.
    pub(in crate::export) fn start_with(
        settings: &ExportSettings,
        environment: &Environment,
        lookup: NameLookup,
    ) -> Result<Self, OpenError> {
        let mut builder = ExporterBuilder::new(settings, environment, lookup);
        for endpoint in &settings.endpoints {
            builder.endpoint(endpoint);
        }
        for group in &settings.groups {
            builder.group(group);
        }
        if !builder.problems.is_empty() {
            return Err(OpenError(builder.problems));
        }
        let meters = ExportCounters::new(&environment.counters);
        let (chunks, bytes) = (meters.held_chunks.clone(), meters.held_bytes.clone());
        let since = environment.hub.begun_unix_nanos();
        let form = |selection: &Selection| MetricForm::of(selection, since);
        let shared = Shared {
            metric_forms: builder.selections.iter().map(form).collect(),
            holds: Holds::new(settings.retry_in_place_size, chunks, bytes),
            destinations: builder.destinations,
            limits: builder.limits,
            selections: builder.selections,
            selection_of: builder.selection_of,
            accessors: settings.logs.clone(),
            ledger: Mutex::new(Ledger::new(REMEMBERED_CHUNKS)),
            late: Arc::default(),
            tasks: builder.tasks,
            meters,
            unlisted: UnlistedReport::default(),
            log: Arc::clone(&environment.log),
        };
        Ok(Self { shared: Arc::new(shared), running: OnceCell::new() })
    }

    /// Delivers a chunk and reports the outcome through `completion`, without blocking. On a worker
    /// the requests are encoded here, from the host's own bytes; the engine's thread is not kept
    /// that long, so there it costs a copy. After [`Exporter::close`] the outcome is
    /// [`Fate::Retry`].
    pub fn submit(&self, delivery: Delivery<'_>, completion: Completion) {
        let Some(tasks) = self.tasks() else { return completion.complete(Fate::Retry) };
        let shared = Arc::clone(&self.shared);
        if delivery.on_worker {
            let prepared = shared.prepare(delivery);
            tasks.spawn(async move { shared.send(prepared).await.complete(completion) });
            return;
        }
        let (tag, bytes) = (delivery.tag.to_vec(), delivery.bytes.to_vec());
        let Delivery { event_type, on_worker, task, may_be_held, .. } = delivery;
        tasks.spawn(async move {
            let (tag, content) = (&tag, &bytes);
            let delivery =
                Delivery { event_type, tag, bytes: content, on_worker, task, may_be_held };
            let prepared = heavy(bytes.len(), || shared.prepare(delivery));
            drop(bytes);
            shared.send(prepared).await.complete(completion);
        });
    }

    /// Something that tells the states of the endpoints.
    #[must_use]
    pub fn watch(&self) -> ExporterWatch {
        ExporterWatch(Arc::downgrade(&self.shared))
    }

    /// Sends each endpoint one request that holds nothing for each of its signals, and waits for the
    /// answers. Not for threads of the host.
    ///
    /// # Errors
    /// No threads can be started.
    pub fn try_out(&self) -> std::io::Result<Vec<EndpointTrial>> {
        let runtime = Runtime::acquire()?;
        let trials = self.shared.destinations.iter().map(trial::of_destination);
        Ok(runtime.handle().block_on(join_all(trials)).into_iter().flatten().collect())
    }

    fn tasks(&self) -> Option<&Tasks> {
        let started = self.running.get_or_try_init(|| {
            let runtime = Runtime::acquire()?;
            let tasks = runtime.tasks();
            self.shared.tasks.get_or_init(|| tasks.clone());
            Ok::<_, std::io::Error>(Running { tasks, _runtime: runtime })
        });
        match started {
            Ok(running) => Some(&running.tasks),
            Err(error) => {
                self.shared.log.often(LogLevel::Error, "runtime", || {
                    format!("no threads can be started, so nothing is delivered: {error}")
                });
                None
            }
        }
    }

    /// Finishes what is in flight within `budget` and ends the rest, which the host keeps.
    pub fn close(self, budget: Duration) {
        let Some(running) = self.running.into_inner() else { return };
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
        let names: Vec<&str> = self.shared.destinations.iter().map(Destination::name).collect();
        formatter.debug_struct("Exporter").field("endpoints", &names).finish_non_exhaustive()
    }
}

/// A chunk that is ready to be sent.
struct Prepared {
    chunk: ChunkId,
    /// What destinations have of it already.
    done: Progress,
    attempts: Vec<Attempt>,
    /// Whether nothing else is missing.
    complete: bool,
    /// There is nothing in it that could ever be sent.
    hopeless: bool,
    /// When its first attempt had ended, if it comes again.
    since: Option<Tick>,
    /// Its length, if it may be held.
    to_hold: Option<usize>,
}

/// What is reported of a chunk to the host.
enum Conclusion {
    Fate(Fate),
    Held(Gate),
}

impl Conclusion {
    fn complete(self, completion: Completion) {
        match self {
            Self::Fate(fate) => completion.complete(fate),
            Self::Held(gate) => completion.hold(gate),
        }
    }
}

impl Shared {
    /// Encodes what is still needed of a chunk. Takes long for a large one, and does not block.
    fn prepare(&self, delivery: Delivery<'_>) -> Prepared {
        let content = fingerprint(delivery.bytes);
        let chunk = ChunkId { task: delivery.task, content };
        let mut claims = self.late.claim(chunk, self.destinations.len());
        let now = clock::now();
        let (known, is_finished) = {
            let mut ledger = self.ledger();
            (ledger.begin(chunk), ledger.is_finished(chunk))
        };
        let is_new = known.is_none();
        let first = known.as_ref().map(|known| known.since);
        let to_hold = delivery.may_be_held.then_some(delivery.bytes.len());
        let KnownChunk { done, since } =
            known.unwrap_or(KnownChunk { done: Progress::default(), since: now });
        let overdue = self.overdue(now.since(since));
        if is_finished || (!is_new && self.is_in_vain(&claims, &done, &overdue)) {
            let (attempts, complete) = (Vec::new(), is_finished);
            let (hopeless, since) = (false, first);
            return Prepared { chunk, done, attempts, complete, hopeless, since, to_hold };
        }
        let encoded = self.encode(&delivery, chunk, &done);
        if is_new {
            self.count(&encoded);
        }
        let hopeless = encoded.skipped.iter().any(|(skip, ..)| *skip == SkipReason::Unsupported);
        let (attempts, complete) = if hopeless {
            (Vec::new(), true)
        } else {
            self.attempts(&mut claims, &encoded, &done, &overdue)
        };
        Prepared { chunk, done, attempts, complete, hopeless, since: first, to_hold }
    }

    /// How long each destination is tried, where a chunk is older than that.
    fn overdue(&self, age: Duration) -> Vec<Option<Duration>> {
        self.limits.iter().map(|limit| limit.filter(|limit| age >= *limit)).collect()
    }

    /// Whether everyone who misses something of a chunk would refuse it now. While an endpoint is
    /// away the host brings its chunks again and again; to encode them each time would take the
    /// processor from the other endpoints.
    fn is_in_vain(
        &self,
        claims: &[Option<Claim>],
        done: &Progress,
        overdue: &[Option<Duration>],
    ) -> bool {
        let all = (0_u32..).zip(&self.destinations).zip(claims.iter().zip(overdue));
        let mut missing = all.filter(|((number, _), _)| !done.is_complete(*number)).peekable();
        let is_busy = |(claim, overdue): (&Option<Claim>, &Option<_>),
                       destination: &Destination| {
            claim.is_none() || (overdue.is_none() && destination.refuses())
        };
        if missing.peek().is_none()
            || !missing.clone().all(|((_, destination), state)| is_busy(state, destination))
        {
            return false;
        }
        missing.for_each(|((_, destination), _)| destination.meters().deferred.add(1));
        true
    }

    async fn send(self: Arc<Self>, prepared: Prepared) -> Conclusion {
        let Prepared { chunk, mut done, attempts, mut complete, hopeless, since, to_hold } =
            prepared;
        if hopeless {
            return Conclusion::Fate(Fate::Failed);
        }
        let (known, unknown): (Vec<Attempt>, Vec<Attempt>) =
            attempts.into_iter().partition(|attempt| attempt.destination.is_up());
        let late: Vec<_> =
            unknown.into_iter().map(|attempt| self.start_late(chunk, attempt)).collect();
        let mut claims = Vec::new();
        if self.destinations.len() == 1 {
            for (result, claim) in join_all(known.into_iter().map(Attempt::run)).await {
                complete &= record(&mut done, result);
                claims.push(claim);
            }
        } else {
            let known = known.into_iter().map(|attempt| {
                let destination = attempt.destination.clone();
                result_of(destination, self.start_late(chunk, attempt))
            });
            for result in join_all(known).await {
                complete &= result.is_some_and(|result| record(&mut done, result));
            }
        }
        if !late.is_empty() {
            let late = late.into_iter().map(|late| tokio::time::timeout(PROBE_GRACE, late));
            for result in join_all(late).await {
                complete &= match result {
                    Ok(Ok(result)) => record(&mut done, result),
                    _ => false,
                };
            }
        }
        let conclusion = self.conclude(chunk, complete, done, since, to_hold);
        drop(claims);
        conclusion
    }

    /// Starts a delivery that the chunk need not wait for.
    fn start_late(
        self: &Arc<Self>,
        chunk: ChunkId,
        attempt: Attempt,
    ) -> oneshot::Receiver<AttemptResult> {
        let (sender, receiver) = oneshot::channel();
        let Some(tasks) = self.tasks.get() else { return receiver };
        let this = Arc::clone(self);
        tasks.spawn(async move {
            let (result, claim) = attempt.run().await;
            let mut progress = Progress::default();
            record(&mut progress, result.clone());
            let forgotten = this.ledger().keep(chunk, progress, clock::now());
            this.meters.forgotten.add_items(forgotten);
            drop(claim);
            let _nobody_waits = sender.send(result);
        });
        receiver
    }

    fn conclude(
        &self,
        chunk: ChunkId,
        complete: bool,
        done: Progress,
        since: Option<Tick>,
        to_hold: Option<usize>,
    ) -> Conclusion {
        let now = clock::now();
        let mut ledger = self.ledger();
        // Another flush of it may have ended meanwhile.
        if complete || ledger.is_finished(chunk) {
            if complete {
                ledger.finish(chunk, now);
            }
            drop(ledger);
            for form in &self.metric_forms {
                form.forget(chunk);
            }
            self.holds.release(chunk);
            return Conclusion::Fate(Fate::Done);
        }
        let missing = self.missing(&done, now.since(since.unwrap_or(now)));
        let forgotten = ledger.keep(chunk, done, now);
        drop(ledger);
        self.meters.forgotten.add_items(forgotten);
        let held = to_hold.and_then(|bytes| self.holds.hold(chunk, bytes, missing, &self.late));
        if let Some(gate) = held {
            return Conclusion::Held(gate);
        }
        self.holds.release(chunk);
        self.meters.retried.add(1);
        Conclusion::Fate(Fate::Retry)
    }

    /// The destinations that miss something of a chunk of this age.
    fn missing(&self, done: &Progress, age: Duration) -> Vec<Missing> {
        let all = (0_u32..).zip(self.destinations.iter().zip(&self.limits));
        let missing = all.filter(|(number, _)| !done.is_complete(*number));
        let missing = missing.map(|(number, (destination, limit))| Missing {
            number,
            destination: destination.clone(),
            left: limit.map(|limit| limit.saturating_sub(age)),
        });
        missing.collect()
    }

    /// Encodes what is still needed by someone.
    fn encode(&self, delivery: &Delivery<'_>, chunk: ChunkId, done: &Progress) -> EncodedChunk {
        let mut wanted: Vec<Option<&Selection>> = vec![None; self.selections.len()];
        for (number, selection) in (0_u32..).zip(&self.selection_of) {
            if let (false, Some(slot)) = (done.is_complete(number), wanted.get_mut(*selection)) {
                *slot = self.selections.get(*selection);
            }
        }
        let mut encoded = encode(&wanted, delivery, clock::unix_nanos(), &self.accessors);
        let lanes = encoded.lanes.iter_mut().zip(&self.selections).zip(&self.metric_forms);
        for (index, ((lane, selection), form)) in lanes.enumerate() {
            if selection.maps_server_metrics {
                lane.map_server_metrics();
            }
            form.apply(chunk, lane, || self.destinations_of(index), &self.log);
            if let Some(rules) = &selection.attributes {
                for part in &mut lane.parts {
                    *part = Arc::new(part.with(|signal, body| rules.apply(signal, body)));
                }
            }
        }
        encoded
    }

    fn destinations_of(&self, selection: usize) -> impl Iterator<Item = &Destination> {
        let all = self.destinations.iter().zip(&self.selection_of);
        all.filter(move |(_, of)| **of == selection).map(|(destination, _)| destination)
    }

    fn lane_of<'e>(&self, encoded: &'e EncodedChunk, endpoint: usize) -> Option<&'e Lane> {
        encoded.lanes.get(*self.selection_of.get(endpoint)?)
    }

    /// What is missing, and whether all of that can be sent now: what a late delivery is still
    /// busy with is left to it.
    fn attempts(
        &self,
        claims: &mut [Option<Claim>],
        encoded: &EncodedChunk,
        done: &Progress,
        overdue: &[Option<Duration>],
    ) -> (Vec<Attempt>, bool) {
        let (mut attempts, mut all) = (Vec::new(), true);
        for (index, (number, destination)) in (0_u32..).zip(&self.destinations).enumerate() {
            if done.is_complete(number) {
                continue;
            }
            let Some(claim) = claims.get_mut(index).and_then(Option::take) else {
                all = false;
                continue;
            };
            let Some(lane) = self.lane_of(encoded, index) else { continue };
            let work = (0_u32..)
                .zip(&lane.parts)
                .filter(|(_, request)| destination.wants(request.signal))
                .map(|(part, request)| PendingRequest {
                    number: part,
                    part: Arc::clone(request),
                    done: done.of(PartId { endpoint: number, part }),
                })
                .filter(|work| !work.done.is_all())
                .collect();
            let overdue = overdue.get(index).copied().flatten();
            attempts.push(Attempt {
                destination: destination.clone(),
                number,
                work,
                claim,
                overdue,
            });
        }
        (attempts, all)
    }

    /// Counts a chunk when it comes for the first time.
    fn count(&self, encoded: &EncodedChunk) {
        for (signal, items) in Signal::WITH_PROFILES.into_iter().zip(encoded.received) {
            self.meters.received(signal, items);
        }
        for (skip, items, message) in &encoded.skipped {
            self.meters.skipped(*skip, *items);
            let items = *items;
            self.log.often(LogLevel::Error, skip.name(), || {
                let own = format!("{items} records cannot be exported ({}): ", skip.name());
                LogText::quoting(own, message.to_string())
            });
        }
        for (index, endpoint) in self.destinations.iter().enumerate() {
            let Some(lane) = self.lane_of(encoded, index) else { continue };
            let unwanted = lane.parts.iter().filter(|part| !endpoint.wants(part.signal));
            endpoint.meters().filtered.add_items(unwanted.map(|part| part.items).sum());
            endpoint.meters().filtered.add_items(lane.filtered);
            endpoint.meters().undecided(&lane.undecided);
            endpoint.meters().content_removed.add_items(lane.cleaned);
            endpoint.meters().dropped(LossReason::MergedPoint, lane.merged);
            if let Some(selection) =
                self.selection_of.get(index).and_then(|selection| self.selections.get(*selection))
            {
                let (names, counter) = (lane.unlisted.names(), &endpoint.meters().unlisted_names);
                let removed = selection.content.removes_long_texts();
                self.unlisted.report(endpoint.name(), names, removed, counter, &self.log);
            }
            if let Some((reason, kept)) = &lane.undecided_reason {
                self.log.often(LogLevel::Warn, "where", || {
                    let (name, items) = (endpoint.name(), lane.undecided.iter().sum::<usize>());
                    let fate =
                        if *kept { "sent (on_error: keep)" } else { "dropped (on_error: drop)" };
                    let own = format!(
                        "'where' of endpoint '{name}' has no answer for {items} items of a chunk, \
                         which are {fate}: "
                    );
                    LogText::quoting(own, reason)
                });
            }
        }
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock()
    }
}
