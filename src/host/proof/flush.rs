//! The proof of a flush, before the host is told what came of it.
//!
//! A coroutine, a task, a route and a chunk all point to what the host passed to `cb_flush`, or to
//! each other. The lock of a task is empty memory while it is not held, and the trace of a chunk is
//! nothing while it is off, so that nothing can prove where they are: beyond the table they are not
//! used.

use super::super::abi::row::HostAbi;
use super::super::abi::structs::Coro;
use super::memory::{ProcessMemory, holds_word, int_in, word_in};
use super::report::ProofReport;
use super::{descriptors, packed};

/// `FLB_EVENT_TYPE_LOGS`.
const LOGS: i32 = 0;
/// The highest number of a type of events, and some to come.
const LAST_TYPE: i32 = 15;
/// The bits of an event's type that say what it is.
const TYPE_BITS: i32 = i32::MAX;
/// `FLB_TASK_ROUTE_ACTIVE`.
const ACTIVE: i32 = 1;
/// A structure that points to its owners does so within this.
const NEAR: usize = 256;
/// More tasks, and more routes of one, than there can be.
const MAX_TASKS: usize = 16_384;
/// Tasks of releases that have them in the configuration itself.
const INLINE_TASKS: usize = 2048;
/// A chunk is not longer than this.
const MAX_LENGTH: usize = 1 << 28;
/// Where allocators put what is longer than eight bytes.
const ALIGNMENT: usize = 16;
const WORD: usize = size_of::<usize>();

/// What the host passed to `cb_flush`, and what else is known of this call, as addresses.
#[derive(Debug)]
pub(in crate::host) struct Flushing<'a> {
    pub(in crate::host) memory: &'a ProcessMemory,
    pub(in crate::host) abi: &'a HostAbi,
    pub(in crate::host) chunk: usize,
    pub(in crate::host) flush: usize,
    pub(in crate::host) input: usize,
    pub(in crate::host) config: usize,
    /// The instance as it was started.
    pub(in crate::host) output: usize,
    /// What the host calls the coroutine that runs.
    pub(in crate::host) active: usize,
    /// The worker that this thread is, or zero.
    pub(in crate::host) worker: usize,
}

impl Flushing<'_> {
    /// Compares what the row says with the flush.
    pub(in crate::host) fn prove(&self) -> ProofReport {
        let mut report = ProofReport::default();
        let row = &self.abi.flush;
        let flush = self.memory.window(self.flush, row.size);
        let at = |offset| word_in(&flush, offset).unwrap_or(0);
        report.note("o_ins of a flush", at(row.o_ins) == self.output);
        report.note("config of a flush", at(row.config) == self.config);
        report.note("coro of a flush", self.is_coroutine(at(row.coro)));
        let task = at(row.task);
        let end = self.abi.task.i_ins.saturating_add(WORD);
        let content = self.memory.window(task, end);
        self.task(task, &content, &mut report);
        let own = word_in(&content, self.abi.task.event_chunk).unwrap_or(0);
        let processed = at(row.processed_event_chunk);
        let passed = if processed == 0 { own } else { processed };
        report.note("processed_event_chunk", passed == self.chunk && self.chunk != 0);
        report.note("event_chunk", self.is_chunk(self.chunk));
        report.note("event_chunk of a task", own == self.chunk || self.is_chunk(own));
        if self.worker != 0 {
            report.note("ch_thread_events", self.is_worker());
        }
        report
    }

    /// A coroutine of a flush points back to it, and says that it is the one that runs.
    fn is_coroutine(&self, coro: usize) -> bool {
        let layouts = [self.abi.coro.without_valgrind(), self.abi.coro];
        layouts.iter().any(|layout: &Coro| {
            let content = self.memory.window(coro, layout.size);
            let at = |offset| word_in(&content, offset).unwrap_or(0);
            let caller = at(layout.caller);
            at(layout.data) == self.flush
                && at(layout.callee) == self.active
                && caller != self.active
                && self.memory.word(caller).is_some()
        })
    }

    fn task(&self, task: usize, content: &[u8], report: &mut ProofReport) {
        let row = &self.abi.task;
        let at = |offset| word_in(content, offset).unwrap_or(0);
        report.note("i_ins of a task", at(row.i_ins) == self.input && self.input != 0);
        let ic = self.memory.window(at(row.ic), NEAR);
        report.note("ic of a task", holds_word(&ic, task) && holds_word(&ic, self.input));
        let id = int_in(content, row.id).and_then(|id| usize::try_from(id).ok());
        report.note("id of a task", id.is_some_and(|id| self.is_number_of(task, id)));
        let route = self.route(task, at(row.event_chunk));
        report.note("routes of a task", route.is_some());
        // What looks like a route in two places is left alone: the host has set its numbers already,
        // and what it then takes for under way only stays when storage is full.
        let before = route.and_then(|route| self.memory.int(route.checked_sub(ALIGNMENT)?));
        if before == Some(ACTIVE) {
            report.spare("route");
        }
    }

    /// Whether the engine's map of tasks has this one under that number.
    fn is_number_of(&self, task: usize, id: usize) -> bool {
        let config = self.memory.window(self.config, self.abi.config.size);
        let words = config.chunks_exact(WORD).filter_map(|word| word_in(word, 0));
        let Some(ahead) = id.checked_mul(WORD).filter(|_| id < MAX_TASKS) else { return false };
        let is_there = |(index, word): (usize, usize)| {
            if word == task {
                // The map itself, of which this is the entry.
                let start = index.checked_mul(WORD).and_then(|at| at.checked_sub(ahead));
                return start.is_some_and(|start| self.is_map(&config, start));
            }
            word > MAX_TASKS && self.memory.word(word.saturating_add(ahead)) == Some(task)
        };
        words.enumerate().any(is_there)
    }

    /// Whether the map of tasks that starts there has each under its number.
    fn is_map(&self, config: &[u8], start: usize) -> bool {
        (0..INLINE_TASKS).all(|number| {
            let at = number.checked_mul(WORD).and_then(|ahead| start.checked_add(ahead));
            let entry = at.and_then(|at| word_in(config, at));
            let id = |task: usize| self.memory.int(task.checked_add(self.abi.task.id)?);
            let says = |task| id(task).and_then(|id| usize::try_from(id).ok()) == Some(number);
            entry.is_some_and(|task| task == 0 || says(task))
        })
    }

    /// Where the one route to this output starts, which is under way, in a list that closes. Its
    /// numbers are those of the chunk, or nothing yet.
    fn route(&self, task: usize, chunk: usize) -> Option<usize> {
        let event = &self.abi.event_chunk;
        let number = |offset| chunk.checked_add(offset).and_then(|at| self.memory.word(at));
        let records = number(event.total_events).and_then(|records| i32::try_from(records).ok());
        let handled = (records.unwrap_or(0), number(event.length).unwrap_or(0));
        let (row, list) = (&self.abi.route, &self.abi.list);
        let head = task.checked_add(self.abi.task.routes)?;
        let next = |node: usize| self.memory.word(node.checked_add(list.next)?);
        let previous = |node: usize| self.memory.word(node.checked_add(list.prev)?);
        let (mut node, mut found) = (head, None);
        for _ in 0..MAX_TASKS {
            let after = next(node).filter(|after| previous(*after) == Some(node))?;
            if after == head {
                return found;
            }
            let start = after.checked_sub(row.head)?;
            let content = self.memory.window(start, row.size);
            if word_in(&content, row.out) == Some(self.output) {
                let counts = [0, handled.0].map(Some);
                let sizes = [0, handled.1].map(Some);
                let counted = row.records.is_none_or(|at| counts.contains(&int_in(&content, at)))
                    && row.bytes.is_none_or(|at| sizes.contains(&word_in(&content, at)));
                let is_active = int_in(&content, row.status) == Some(ACTIVE);
                let is_aligned = start.checked_rem(ALIGNMENT) == Some(0);
                if !is_active || !counted || !is_aligned || found.is_some() {
                    return None;
                }
                found = Some(start);
            }
            node = after;
        }
        None
    }

    /// Whether this is a chunk: a type, a tag that says how long it is, and objects to the last byte.
    fn is_chunk(&self, chunk: usize) -> bool {
        let row = &self.abi.event_chunk;
        let content = self.memory.window(chunk, row.size);
        let at = |offset| word_in(&content, offset).unwrap_or(0);
        let Some(kind) = int_in(&content, row.kind).map(|kind| kind & TYPE_BITS) else {
            return false;
        };
        let tag = at(row.tag);
        // The host's texts have their length in front of them.
        let length = tag.checked_sub(16).and_then(|header| self.memory.word(header));
        let tags = self.memory.text(tag).is_some_and(|tag| Some(tag.len()) == length);
        let length = at(row.length);
        if !(0..=LAST_TYPE).contains(&kind) || !tags || !(1..MAX_LENGTH).contains(&length) {
            return false;
        }
        let objects =
            self.memory.bytes(at(row.data), length).and_then(|data| packed::objects_in(&data));
        // Releases from 5.0.0 on do not count marks of groups among the events.
        let counts = objects.is_some_and(|objects| (1..=objects).contains(&at(row.total_events)));
        objects.is_some() && (counts || kind != LOGS)
    }

    /// Whether this is where a worker has its pipes: that of its own loop behind that of the engine,
    /// which its event waits for.
    fn is_worker(&self) -> bool {
        let row = &self.abi.out_thread;
        let content = self.memory.window(self.worker, row.size);
        let pair = 2_usize.saturating_mul(size_of::<i32>());
        let before = row.ch_thread_events.checked_sub(pair);
        let waits = before.and_then(|before| int_in(&content, before)) == int_in(&content, 0);
        let ends = descriptors::ends(&content, row.ch_thread_events);
        waits
            && ends.is_some_and(descriptors::are_a_pipe)
            && holds_word(&content, self.output)
            && holds_word(&content, self.config)
    }
}
