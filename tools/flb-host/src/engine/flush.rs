//! A flush on its coroutine, on whichever thread it runs.

use std::cell::RefCell;
use std::collections::BTreeMap;

use fluent_bit_ai::host::abi::row::HostAbi;
use fluent_bit_ai::host::abi::structs::Coro;

use crate::coroutine::{self, Coroutine};
use crate::memory::{Addr, Block};
use crate::plugin_calls;
use crate::report;
use crate::thread_state;

/// Everything that a flush needs, as a thread can be given it.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) row: &'static HostAbi,
    pub(crate) coro: Coro,
    pub(crate) cb_flush: Addr,
    pub(crate) chunk: Addr,
    pub(crate) task: Addr,
    pub(crate) input: Addr,
    pub(crate) output: Addr,
    pub(crate) context: Addr,
    pub(crate) config: Addr,
    pub(crate) task_id: i32,
    pub(crate) output_id: i32,
    pub(crate) name: String,
}

struct Flush {
    job: Job,
    coro: Block,
    stack: Coroutine,
    ended: bool,
    _flush: Block,
    _call: Block,
}

thread_local! {
    static FLUSHES: RefCell<BTreeMap<Addr, Flush>> = const { RefCell::new(BTreeMap::new()) };
}

/// The size of a coroutine's stack in releases of this row.
pub(crate) fn stack_size(row: &HostAbi) -> usize {
    let first = row.first;
    if (first.major, first.minor) >= (5, 1) { 65536 } else { 24576 }
}

const CALL: usize = 7;

/// Calls the plugin. Nothing here owns anything: the plugin switches away and never comes back.
extern "C" fn enter(call: Addr) {
    let word = |index: usize| call.plus(index * size_of::<Addr>()).read::<Addr>();
    plugin_calls::flush(word(0), [word(1), word(2), word(3), word(4), word(5)]);
    returned(word(6));
}

/// A flush that returns has forgotten how flushes end; it is abandoned.
fn returned(caller: Addr) {
    report::problem("a flush returned instead of ending with FLB_OUTPUT_RETURN");
    loop {
        coroutine::switch(caller.read());
    }
}

/// Starts a flush and lets it run until it ends or waits.
pub(crate) fn start(job: Job) {
    let flush = Block::zeroed(job.row.flush.size);
    let coro = Block::zeroed(job.coro.size);
    let call = Block::zeroed(CALL * size_of::<Addr>());
    let stack = Coroutine::new(stack_size(job.row), enter, call.addr());
    let at = &job.row.flush;
    flush.put(at.id, job.task_id);
    flush.put(at.task, job.task);
    flush.put(at.config, job.config);
    flush.put(at.o_ins, job.output);
    flush.put(at.coro, coro.addr());
    coro.put(job.coro.callee, stack.handle());
    coro.put(job.coro.data, flush.addr());
    let words = [
        job.cb_flush,
        job.chunk,
        flush.addr(),
        job.input,
        job.context,
        job.config,
        coro.addr().plus(job.coro.caller),
    ];
    for (index, word) in words.into_iter().enumerate() {
        call.put(index * size_of::<Addr>(), word);
    }
    coro.put(job.coro.caller, coroutine::active());
    thread_state::set_coro(coro.addr());
    let callee = stack.handle();
    let address = flush.addr();
    let flush = Flush { job, coro, stack, ended: false, _flush: flush, _call: call };
    FLUSHES.with_borrow_mut(|flushes| flushes.insert(address, flush));
    coroutine::switch(callee);
}

/// The plugin says that a flush is over; its coroutine still runs.
pub(crate) fn prepare_end(flush: Addr) {
    let known = FLUSHES.with_borrow_mut(|flushes| {
        flushes.get_mut(&flush).map(|flush| std::mem::replace(&mut flush.ended, true))
    });
    match known {
        Some(false) => {}
        Some(true) => report::problem("a flush was ended twice"),
        None => report::problem("a flush was ended on a thread that does not run it"),
    }
}

/// Takes a flush away that has told its outcome.
pub(crate) fn end(task_id: i32, output_id: i32) {
    let flush = FLUSHES.with_borrow_mut(|flushes| {
        let address = flushes.iter().find_map(|(address, flush)| {
            let same = flush.job.task_id == task_id && flush.job.output_id == output_id;
            (same && flush.ended).then_some(*address)
        });
        address.and_then(|address| flushes.remove(&address))
    });
    let Some(flush) = flush else {
        report::problem("an outcome was told for a flush that has not ended");
        return;
    };
    flush.stack.check(&format!("the flush of {}", flush.job.name));
    if flush.coro.get::<Addr>(flush.job.coro.callee) != flush.stack.handle() {
        report::problem("a flush has overwritten its coroutine");
    }
}

/// Whether this thread has flushes that have not ended.
pub(crate) fn any() -> bool {
    FLUSHES.with_borrow(|flushes| !flushes.is_empty())
}

/// How many flushes of this thread have not ended; they are given up.
pub(crate) fn give_up() -> usize {
    let flushes = FLUSHES.take();
    flushes.len()
}

/// The outcome that a flush writes to the pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlushOutcome {
    /// 0 failed, 1 done, 2 retry.
    pub(crate) outcome: u32,
    /// The task.
    pub(crate) task_id: i32,
    /// The output.
    pub(crate) output_id: i32,
}

impl FlushOutcome {
    /// Reads the word.
    pub(crate) fn read(word: u64) -> Option<Self> {
        if word >> 32 != 2 {
            return None;
        }
        let bits = |shift: u32, mask: u64| i32::try_from(word >> shift & mask).ok();
        Some(Self {
            outcome: u32::try_from(word >> 28 & 0xf).ok()?,
            task_id: bits(14, 0x3fff)?,
            output_id: bits(0, 0x3fff)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_read_from_its_word() {
        let word = 2 << 32 | 2 << 28 | 5 << 14 | 3;
        let outcome = FlushOutcome { outcome: 2, task_id: 5, output_id: 3 };
        assert_eq!(FlushOutcome::read(word), Some(outcome));
        assert_eq!(FlushOutcome::read(1 << 32), None);
    }
}
