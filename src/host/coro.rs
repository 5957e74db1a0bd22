//! Coroutine hand-off: the plain-old-frame end of a flush.
//!
//! A flush runs on a coroutine. It ends by telling the engine the outcome through a pipe and then
//! leaving the coroutine for good: the frames on its stack are abandoned, not unwound. So nothing
//! here may own anything; every value is a number or a pointer.
//!
//! The steps are those of `flb_output_return` (`include/fluent-bit/flb_output.h`), which is inline
//! and therefore not among the host's symbols.

use std::ffi::{c_int, c_void};

use xxhash_rust::xxh3::Xxh3;

use super::abi::row::{HostAbi, Release};
use super::abi::structs::Coro;
use super::detect::RunningHost;
use super::host_struct::HostStruct;
use super::lend;
use super::symbols::OutputFunctions;
use crate::plugin::Fate;

/// `FLB_ENGINE_TASK`, in the upper half of what the engine reads from its pipe.
const ENGINE_TASK: u64 = 2;
/// `FLB_TASK_ROUTE_INACTIVE`.
const ROUTE_INACTIVE: c_int = 0;
/// `FLB_EVENT_TYPE_LOGS`.
const LOGS: c_int = 0;
/// More outputs than any configuration has.
const MAX_ROUTES: usize = 10_000;

/// The host's number for a fate (`FLB_OK`, `FLB_RETRY`, `FLB_ERROR`).
const fn number(fate: Fate) -> u32 {
    match fate {
        Fate::Done => 1,
        Fate::Retry => 2,
        Fate::Failed => 0,
    }
}

/// One flush as the host sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flush {
    host: &'static RunningHost,
    functions: &'static OutputFunctions,
    flush: HostStruct,
    task: HostStruct,
    output: HostStruct,
    task_chunk: HostStruct,
    processed: HostStruct,
}

impl Flush {
    /// Looks at the flush that the host started.
    ///
    /// # Safety
    /// `flush` is the second argument of `cb_flush`, in its coroutine, in a host that is laid out
    /// as `host` says.
    pub(super) unsafe fn new(
        host: &'static RunningHost,
        functions: &'static OutputFunctions,
        flush: *mut c_void,
    ) -> Self {
        let abi = &host.abi;
        // SAFETY: the caller vouches for the flush.
        let flush = unsafe { HostStruct::new(flush, abi.flush.size) };
        // SAFETY: a flush points to its task, which outlives it.
        let task = unsafe { flush.follow(abi.flush.task, abi.task.size) };
        // SAFETY: a flush points to its output, which outlives it.
        let output = unsafe { flush.follow(abi.flush.o_ins, abi.output.size) };
        // SAFETY: a task points to its chunk, which outlives the flush.
        let task_chunk = unsafe { task.follow(abi.task.event_chunk, abi.event_chunk.size) };
        // SAFETY: a flush owns its processed chunk, or has none.
        let processed =
            unsafe { flush.follow(abi.flush.processed_event_chunk, abi.event_chunk.size) };
        Self { host, functions, flush, task, output, task_chunk, processed }
    }

    /// A number that is the same for each flush of a chunk, and another one for every other chunk of
    /// this process: the host uses the memory of a task again for the next, but gives each chunk of an
    /// input a name of its own.
    pub(super) fn identity(&self) -> u64 {
        let abi = &self.host.abi;
        let chunk = self.task.get::<*mut c_void>(abi.task.ic);
        let input = self.task.get::<*mut c_void>(abi.task.i_ins);
        let mut hash = Xxh3::new();
        hash.update(&input.addr().to_ne_bytes());
        if chunk.is_null() {
            hash.update(&self.task.pointer().addr().to_ne_bytes());
            return hash.digest();
        }
        // SAFETY: a task keeps its chunk, and the function only reads it.
        let name = unsafe { (self.functions.flb_input_chunk_get_name)(chunk) };
        // SAFETY: the name is a string of the chunk, which stays until the task ends.
        hash.update(unsafe { lend::c_bytes(name.cast()) });
        hash.digest()
    }

    /// Whether the output's processors have made `chunk` of that of the task.
    pub(super) fn is_processed(&self, chunk: *mut c_void) -> bool {
        self.task_chunk.pointer() != chunk
    }

    /// The coroutine that the flush runs on.
    pub(super) fn coroutine(&self) -> Coroutine {
        let coro = self.flush.get::<*mut c_void>(self.host.abi.flush.coro);
        // SAFETY: the flush points to its coroutine.
        let layout = unsafe { layout(&self.host.abi, coro, self.flush.pointer()) };
        // SAFETY: as above, and the layout was just found out.
        let view = unsafe { HostStruct::new(coro, layout.size) };
        Coroutine { functions: self.functions, view, layout }
    }

    /// Whether the flush runs on a worker thread of the output.
    pub(super) fn on_worker(&self) -> bool {
        !self.worker().is_null()
    }

    fn worker(&self) -> *mut c_void {
        // SAFETY: the function only reads a thread-local variable.
        unsafe { (self.functions.flb_output_thread_instance_get)() }
    }

    /// Tells the engine what became of the chunk and leaves the coroutine; the caller's frame is
    /// abandoned.
    ///
    /// # Safety
    /// Runs on the coroutine, as the last thing, while no frame on its stack owns anything.
    pub(super) unsafe fn finish(self, fate: Fate) {
        let coroutine = self.coroutine();
        // SAFETY: this is the flush's end.
        unsafe { self.update_route() };
        // SAFETY: as above.
        unsafe { self.trace(fate) };
        // SAFETY: as above.
        unsafe { self.drop_processed() };
        self.notify(fate);
        // SAFETY: the flush is over; the host frees it once the coroutine was left.
        unsafe { (self.functions.flb_output_flush_prepare_destroy)(self.flush.pointer()) };
        // SAFETY: the caller vouches that nothing on this stack is owned.
        unsafe { coroutine.leave() };
    }

    /// Notes on the task's route how much was handled, and that the route is done.
    unsafe fn update_route(&self) {
        if !self.host.writes_routes() {
            return;
        }
        let abi = &self.host.abi;
        let (records, bytes) = self.handled();
        let lock: *mut libc::pthread_mutex_t = self.task.field(abi.task.lock).cast();
        let is_locked = self.host.is_of_table();
        if is_locked {
            // SAFETY: the mutex is inside the task; the host's own threads lock it the same way.
            unsafe { libc::pthread_mutex_lock(lock) };
        }
        let head = self.task.field(abi.task.routes);
        // SAFETY: the head is inside the task.
        let mut node = unsafe { HostStruct::new(head, abi.list.size) };
        for _ in 0..MAX_ROUTES {
            let next = node.get::<*mut c_void>(abi.list.next);
            if next.is_null() || next == head {
                break;
            }
            let entry = next.cast::<u8>().wrapping_sub(abi.route.head).cast();
            // SAFETY: every node but the head is inside a route.
            let route = unsafe { HostStruct::new(entry, abi.route.size) };
            if route.get::<*mut c_void>(abi.route.out) == self.output.pointer() {
                if let (Some(records_at), Some(bytes_at)) = (abi.route.records, abi.route.bytes) {
                    route.set::<c_int>(records_at, records);
                    route.set::<usize>(bytes_at, bytes);
                }
                route.set::<c_int>(abi.route.status, ROUTE_INACTIVE);
                break;
            }
            // SAFETY: the node is part of the list.
            node = unsafe { HostStruct::new(next, abi.list.size) };
        }
        if is_locked {
            // SAFETY: locked above by this thread.
            unsafe { libc::pthread_mutex_unlock(lock) };
        }
    }

    /// How many records and bytes the host is to count for this output.
    fn handled(&self) -> (c_int, usize) {
        let row = &self.host.abi.event_chunk;
        let counted =
            if self.processed.pointer().is_null() { self.task_chunk } else { self.processed };
        // From 5.0.0 on only logs are counted after the output's processors.
        let by_task =
            self.host.abi.first >= Release::new(5, 0, 0) && counted.get::<c_int>(row.kind) != LOGS;
        let of = if by_task { self.task_chunk } else { counted };
        let records = c_int::try_from(of.get::<usize>(row.total_events)).unwrap_or(c_int::MAX);
        (records, counted.get::<usize>(row.length))
    }

    unsafe fn trace(&self, fate: Fate) {
        if !self.host.is_of_table() {
            return;
        }
        let (Some(offset), Some(functions)) =
            (self.host.abi.event_chunk.trace, self.host.symbols.trace)
        else {
            return;
        };
        let trace = self.task_chunk.get::<*mut c_void>(offset);
        if trace.is_null() {
            return;
        }
        let fate = c_int::try_from(number(fate)).unwrap_or(0);
        // SAFETY: the trace belongs to the chunk, and the output is the flush's.
        unsafe { (functions.flb_chunk_trace_output)(trace, self.output.pointer(), fate) };
    }

    /// Frees what the output's processors made of the chunk, as the host's macro does.
    unsafe fn drop_processed(&self) {
        if self.processed.pointer().is_null() {
            return;
        }
        let row = &self.host.abi.event_chunk;
        let data = self.processed.get::<*mut c_void>(row.data);
        if data != self.task_chunk.get::<*mut c_void>(row.data) {
            // SAFETY: the processed data is the flush's own, from the host's allocator.
            unsafe { lend::free(data) };
        }
        // SAFETY: the processed chunk is the flush's own.
        unsafe { (self.functions.flb_event_chunk_destroy)(self.processed.pointer()) };
        self.flush
            .set::<*mut c_void>(self.host.abi.flush.processed_event_chunk, std::ptr::null_mut());
    }

    /// Writes the outcome into the pipe that the engine, or the worker's loop, reads.
    fn notify(&self, fate: Fate) {
        let abi = &self.host.abi;
        let task = u32::try_from(self.task.get::<c_int>(abi.task.id)).unwrap_or(0);
        let output = u32::try_from(self.output.get::<c_int>(abi.output.id)).unwrap_or(0);
        let key = (number(fate) << 28) | (task << 14) | output;
        let value = (ENGINE_TASK << 32) | u64::from(key);
        // SAFETY: the value outlives the call; the pipe is the host's own.
        unsafe { libc::write(self.pipe(), (&raw const value).cast(), size_of::<u64>()) };
    }

    /// The end for writing of the pipe into which a flush of this thread tells its outcome.
    pub(super) fn pipe(&self) -> c_int {
        let abi = &self.host.abi;
        let write_end = size_of::<c_int>();
        let worker = self.worker();
        if worker.is_null() {
            return self.output.get::<c_int>(abi.output.ch_events.saturating_add(write_end));
        }
        // SAFETY: the host says that this thread is a worker, and describes it there.
        let worker = unsafe { HostStruct::new(worker, abi.out_thread.size) };
        worker.get::<c_int>(abi.out_thread.ch_thread_events.saturating_add(write_end))
    }
}

/// Finds out whether the host's coroutines carry an identifier of Valgrind, which depends on the
/// machine that built the host: a coroutine of a flush points back to the flush.
unsafe fn layout(abi: &HostAbi, coro: *mut c_void, flush: *mut c_void) -> Coro {
    let short = abi.coro.without_valgrind();
    // SAFETY: a coroutine is at least as long as the shorter layout says.
    let view = unsafe { HostStruct::new(coro, short.size) };
    if view.get::<*mut c_void>(short.data) == flush { short } else { abi.coro }
}

/// A coroutine of the host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coroutine {
    functions: &'static OutputFunctions,
    view: HostStruct,
    layout: Coro,
}

impl Coroutine {
    /// Goes back to the caller that resumed the coroutine; comes back when it is resumed again, if
    /// ever.
    ///
    /// # Safety
    /// Runs on the coroutine, while no frame on its stack owns anything that must be given back.
    pub(super) unsafe fn leave(self) {
        let caller = self.view.get::<*mut c_void>(self.layout.caller);
        // SAFETY: the caller was noted when the coroutine was resumed.
        unsafe { (self.functions.co_switch)(caller) };
    }

    /// Continues the coroutine; comes back when it leaves.
    ///
    /// # Safety
    /// Runs on the thread of the coroutine, outside it, and the coroutine still exists.
    pub(super) unsafe fn resume(self) {
        // SAFETY: the coroutine exists.
        unsafe { (self.functions.flb_coro_set)(self.view.pointer()) };
        // SAFETY: the function only says where we are.
        let here = unsafe { (self.functions.co_active)() };
        self.view.set::<*mut c_void>(self.layout.caller, here);
        let callee = self.view.get::<*mut c_void>(self.layout.callee);
        // SAFETY: the coroutine exists and waits in `leave`.
        unsafe { (self.functions.co_switch)(callee) };
    }
}
