//! Tasks: a chunk, the outputs it goes to, and how far each of them has come.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fluent_bit_ai::host::abi::row::HostAbi;
use fluent_bit_ai::sync::Mutex;

use super::Engine;
use super::flush::{self, Job};
use super::inputs::OpenChunk;
use crate::event_loop::LoopEvent;
use crate::faults;
use crate::instance::Instance;
use crate::memory::{self, Addr, Block, Sds};
use crate::report;

/// What became of a flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlushResult {
    /// The chunk is to be dropped.
    Failed,
    /// The chunk was delivered.
    Done,
    /// The chunk is to be tried again.
    Retry,
}

impl FlushResult {
    /// The host's numbers.
    pub(crate) const fn of(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Failed,
            1 => Self::Done,
            2 => Self::Retry,
            _ => return None,
        })
    }
}

/// What an output has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct OutputTotals {
    ok: usize,
    retried: usize,
    failed: usize,
    records: usize,
}

static TOTALS: Mutex<BTreeMap<String, OutputTotals>> = Mutex::new(BTreeMap::new());

fn count(output: &Instance, with: impl FnOnce(&mut OutputTotals)) {
    let mut totals = TOTALS.lock();
    with(totals.entry(output.name.clone()).or_default());
}

/// One line for each output that was ever used.
pub(crate) fn totals() -> Vec<String> {
    let totals = TOTALS.lock();
    let line = |(name, totals): (&String, &OutputTotals)| {
        let OutputTotals { ok, retried, failed, records } = totals;
        format!("output {name}: chunks ok={ok} retried={retried} failed={failed} records={records}")
    };
    totals.iter().map(line).collect()
}

struct Route {
    output: usize,
    block: Block,
    attempts: i32,
    open: bool,
    /// Flushes under way.
    flushes: u32,
}

struct Task {
    input: usize,
    block: Block,
    chunk_block: Block,
    routes: Vec<Route>,
    chunk: OpenChunk,
    _tag: Sds,
    _name: CString,
}

/// The tasks that are alive, by their number.
#[derive(Default)]
pub(crate) struct Tasks {
    alive: BTreeMap<i32, Task>,
}

const MAX_TASKS: i32 = 2048;
const ROUTE_ACTIVE: i32 = 1;

impl Tasks {
    /// How many are alive.
    pub(super) fn len(&self) -> usize {
        self.alive.len()
    }

    /// Tasks and records that are alive.
    pub(super) fn undelivered(&self) -> (usize, usize) {
        (self.alive.len(), self.alive.values().map(|task| task.chunk.records).sum())
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.alive.clear();
    }

    fn free_id(&self) -> Option<i32> {
        (0..MAX_TASKS).find(|id| !self.alive.contains_key(id))
    }
}

/// Lays a task out as plugins see it.
fn lay_out(
    row: &HostAbi,
    id: i32,
    chunk: OpenChunk,
    input: (usize, Addr),
    outputs: Vec<(usize, Addr)>,
) -> Task {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let name = format!("{}-{}.flb", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    let name = CString::new(name).unwrap_or_default();
    let tag = Sds::new(&chunk.tag);
    let at = &row.event_chunk;
    let chunk_block = Block::zeroed(at.size);
    chunk_block.put(at.kind, chunk.kind);
    chunk_block.put(at.tag, tag.addr());
    chunk_block.put(at.data, Addr::of(chunk.bytes.as_ptr()));
    chunk_block.put(at.length, Addr(chunk.bytes.len()));
    chunk_block.put(at.total_events, Addr(chunk.records));
    let at = &row.task;
    let block = Block::zeroed(at.size);
    block.put(at.id, id);
    block.put(at.event_chunk, chunk_block.addr());
    // Only this host's own function looks into it.
    block.put(at.ic, Addr::of(name.as_ptr()));
    block.put(at.i_ins, input.1);
    // SAFETY: the block has room for the host's mutex at this offset, and it is not in use yet.
    unsafe {
        libc::pthread_mutex_init(block.addr().plus(at.lock).pointer(), std::ptr::null());
    }
    let routes: Vec<Route> = outputs
        .into_iter()
        .map(|(output, address)| {
            let route = Block::zeroed(row.route.size);
            route.put(row.route.out, address);
            Route { output, block: route, attempts: 0, open: true, flushes: 0 }
        })
        .collect();
    let nodes: Vec<Addr> =
        routes.iter().map(|route| route.block.addr().plus(row.route.head)).collect();
    memory::link(block.addr().plus(at.routes), &nodes);
    Task { input: input.0, block, chunk_block, routes, chunk, _tag: tag, _name: name }
}

impl Engine {
    /// Makes a task of every chunk and sends it off.
    pub(crate) fn dispatch(&self) {
        for (index, input) in self.inputs.iter().enumerate() {
            for chunk in input.chunks.take() {
                let Some(id) = self.tasks.borrow().free_id() else {
                    input.chunks.borrow_mut().push(chunk);
                    continue;
                };
                let outputs: Vec<(usize, Addr)> = self
                    .outputs
                    .iter()
                    .enumerate()
                    .filter(|(_, output)| Self::wants(&output.instance, &chunk))
                    .map(|(output, known)| (output, known.instance.addr()))
                    .collect();
                let outputs_to_run: Vec<usize> =
                    outputs.iter().map(|(output, _)| *output).collect();
                let task = lay_out(self.row, id, chunk, (index, input.instance.addr()), outputs);
                self.tasks.borrow_mut().alive.insert(id, task);
                for output in outputs_to_run {
                    self.fly(id, output);
                }
            }
        }
    }

    /// Hands a task to an output.
    fn fly(&self, id: i32, index: usize) {
        let Some(output) = self.outputs.get(index) else { return };
        if let Some(sink) = &output.sink {
            let outcome = self
                .tasks
                .borrow()
                .alive
                .get(&id)
                .map(|task| sink.write(task.chunk.kind, &task.chunk.tag, &task.chunk.bytes));
            match outcome {
                Some(true) => self.record_outcome(id, index, FlushResult::Done),
                _ => self.record_outcome(id, index, FlushResult::Retry),
            }
            return;
        }
        let Some(job) = self.job(id, index) else { return };
        if let Some(task) = self.tasks.borrow_mut().alive.get_mut(&id)
            && let Some(route) = task.routes.iter_mut().find(|route| route.output == index)
        {
            route.flushes += 1;
        }
        if job.chunk_is_empty {
            self.record_outcome(id, index, FlushResult::Done);
            return;
        }
        let workers = output.workers.borrow();
        let turn = output.next_worker.get();
        output.next_worker.set(turn.wrapping_add(1));
        match workers.get(turn.checked_rem(workers.len()).unwrap_or(0)) {
            Some(worker) => worker.run(job.job),
            None => {
                drop(workers);
                flush::start(job.job);
            }
        }
    }

    fn job(&self, id: i32, index: usize) -> Option<Prepared> {
        let tasks = self.tasks.borrow();
        let task = tasks.alive.get(&id)?;
        let output = &self.outputs.get(index)?.instance;
        let input = &self.inputs.get(task.input)?.instance;
        let route = task.routes.iter().find(|route| route.output == index)?;
        route.block.put(self.row.route.status, ROUTE_ACTIVE);
        let coro = self.row.coro;
        let job = Job {
            row: self.row,
            coro: if self.without_valgrind { coro.without_valgrind() } else { coro },
            cb_flush: output.callback(self.row.output_plugin.cb_flush)?,
            chunk: task.chunk_block.addr(),
            task: task.block.addr(),
            input: input.addr(),
            output: output.addr(),
            context: output.context(),
            config: self.config.addr(),
            task_id: id,
            output_id: output.id,
            name: output.name.clone(),
        };
        let skips = (self.row.first.major, self.row.first.minor) >= (3, 2);
        let chunk_is_empty =
            skips && task.chunk.kind == super::append::LOGS && task.chunk.records == 0;
        Some(Prepared { job, chunk_is_empty })
    }

    /// What became of a task at an output.
    pub(super) fn record_outcome(&self, id: i32, index: usize, outcome: FlushResult) {
        let Some(output) = self.outputs.get(index) else { return };
        let outcome = self.spoiled(outcome);
        let mut tasks = self.tasks.borrow_mut();
        let Some(task) = tasks.alive.get_mut(&id) else {
            report::problem(&format!(
                "{} told of the task {id}, which is gone",
                output.instance.name
            ));
            return;
        };
        let (records, input) = (task.chunk.records, task.input);
        let is_known =
            |route: &&mut Route| route.output == index && (route.open || route.flushes > 0);
        let Some(route) = task.routes.iter_mut().find(is_known) else {
            report::problem(&format!("{} told twice of the task {id}", output.instance.name));
            return;
        };
        route.flushes = route.flushes.saturating_sub(1);
        // Of two flushes the one that ends first has decided.
        let is_second = !route.open;
        // Another flush that is under way makes the route active.
        if output.sink.is_none() && route.flushes == 0 {
            Self::check_route(self.row, task.chunk.records, &task.block, route, &output.instance);
        }
        match outcome {
            _ if is_second => {}
            FlushResult::Done => count(&output.instance, |totals| {
                totals.ok += 1;
                totals.records += records;
            }),
            FlushResult::Failed => count(&output.instance, |totals| totals.failed += 1),
            FlushResult::Retry => {
                route.attempts += 1;
                let limit = output.instance.retry_limit();
                if limit < 0 || route.attempts <= limit {
                    let delay = self.backoff(route.attempts);
                    let task = u64::try_from(id).unwrap_or(0);
                    self.events.after(delay, None, LoopEvent::Retry(task, index));
                    count(&output.instance, |totals| totals.retried += 1);
                    return;
                }
                let name = &output.instance.name;
                report::line(report::ERROR, &format!("[engine] {name}: the task {id} is given up"));
                count(&output.instance, |totals| totals.failed += 1);
            }
        }
        route.open = false;
        if task.routes.iter().any(|route| route.open || route.flushes > 0) {
            return;
        }
        let bytes = task.chunk.bytes.len();
        drop(tasks.alive.remove(&id));
        drop(tasks);
        if let Some(known) = self.inputs.get(input) {
            known.hold(known.held.get().saturating_sub(bytes));
        }
        self.relax(input);
    }

    /// The outcome after the fault that turns some successes into retries.
    fn spoiled(&self, outcome: FlushResult) -> FlushResult {
        if outcome != FlushResult::Done {
            return outcome;
        }
        let successes = self.successes.get() + 1;
        self.successes.set(successes);
        if faults::hits(successes, self.faults.retry) { FlushResult::Retry } else { outcome }
    }

    fn backoff(&self, attempts: i32) -> Duration {
        let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(16);
        self.retry_base.saturating_mul(1 << doublings).min(self.retry_cap)
    }

    /// Sends off once more what is being tried again, as the host does when a stop begins.
    pub(super) fn try_all_again(&self) {
        let again = |(id, task): (&i32, &Task)| {
            let tried = task.routes.iter().filter(|route| route.open && route.attempts > 0);
            tried.filter(|route| route.flushes > 0).map(|route| (*id, route.output)).collect()
        };
        let all: Vec<Vec<(i32, usize)>> = self.tasks.borrow().alive.iter().map(again).collect();
        all.into_iter().flatten().for_each(|(id, index)| self.fly(id, index));
    }

    /// Tries a task again.
    pub(super) fn retry(&self, task: u64, index: usize) {
        if let Ok(id) = i32::try_from(task) {
            self.fly(id, index);
        }
    }

    /// Whether a flush has left the task as the release's own functions would.
    fn check_route(row: &HostAbi, records: usize, task: &Block, route: &Route, output: &Instance) {
        let skipped = records == 0;
        if route.block.get::<i32>(row.route.status) != 0 && !skipped {
            report::problem(&format!("{} has left its route active", output.name));
        }
        if let Some(at) = row.route.records {
            let stated = usize::try_from(route.block.get::<i32>(at)).unwrap_or(usize::MAX);
            if stated != records && !skipped {
                report::problem(&format!("{} told of {stated} of {records} records", output.name));
            }
        }
        let lock = task.addr().plus(row.task.lock).pointer();
        // SAFETY: the mutex was initialised when the task was laid out.
        if unsafe { libc::pthread_mutex_trylock(lock) } == 0 {
            // SAFETY: this thread has just locked it.
            unsafe { libc::pthread_mutex_unlock(lock) };
        } else {
            report::problem(&format!("{} has left a task locked", output.name));
        }
    }
}

struct Prepared {
    job: Job,
    chunk_is_empty: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluent_bit_ai::host::abi::rows::ROWS;

    #[test]
    fn a_task_is_laid_out_as_the_row_says() {
        for row in ROWS {
            let chunk = OpenChunk { kind: 2, tag: b"t".to_vec(), bytes: vec![9; 5], records: 1 };
            let task = lay_out(row, 7, chunk, (0, Addr(11)), vec![(0, Addr(21)), (1, Addr(22))]);
            let index = task.block.addr();
            assert_eq!(index.plus(row.task.id).read::<i32>(), 7);
            let chunk: Addr = index.plus(row.task.event_chunk).read();
            let data: Addr = chunk.plus(row.event_chunk.data).read();
            assert_eq!(data.bytes(5), [9; 5]);
            let first: Addr = index.plus(row.task.routes + 8).read();
            let out: Addr = Addr(first.0 - row.route.head).plus(row.route.out).read();
            assert_eq!(out, Addr(21));
        }
    }
}
