//! Coroutines, flushes and the scheduler.

use crate::engine::flush;
use crate::event_loop;
use crate::memory::Addr;
use crate::report;
use crate::thread_state;
use crate::timers;

#[unsafe(no_mangle)]
extern "C" fn flb_coro_get() -> Addr {
    thread_state::coro()
}

#[unsafe(no_mangle)]
extern "C" fn flb_coro_set(coro: Addr) {
    thread_state::set_coro(coro);
}

#[unsafe(no_mangle)]
extern "C" fn flb_output_thread_instance_get() -> Addr {
    thread_state::worker()
}

#[unsafe(no_mangle)]
extern "C" fn flb_output_flush_prepare_destroy(flush: Addr) {
    flush::prepare_end(flush);
}

/// Chunks of events belong to their tasks; only processors of outputs make others, and this host
/// has none.
#[unsafe(no_mangle)]
extern "C" fn flb_event_chunk_destroy(_chunk: Addr) {
    report::problem("a chunk was destroyed that belongs to its task");
}

/// Nothing is traced here, and plugins are to call this only for traced chunks.
#[unsafe(no_mangle)]
extern "C" fn flb_chunk_trace_output(_trace: Addr, _output: Addr, _outcome: i32) -> i32 {
    report::problem("a chunk was traced that has no trace");
    -1
}

/// The scheduler of this thread: any address does, because plugins only hand it back.
#[unsafe(no_mangle)]
extern "C" fn flb_sched_ctx_get() -> Addr {
    thread_state::config()
}

#[unsafe(no_mangle)]
extern "C" fn flb_sched_timer_cb_create(
    _scheduler: Addr,
    kind: i32,
    millis: i32,
    callback: Addr,
    data: Addr,
    out: Addr,
) -> i32 {
    timers::create(kind, millis, callback, data, out)
}

#[unsafe(no_mangle)]
extern "C" fn flb_sched_timer_cb_destroy(timer: Addr) -> i32 {
    timers::destroy(timer)
}

#[unsafe(no_mangle)]
extern "C" fn flb_sched_timer_cb_disable(timer: Addr) -> i32 {
    timers::disable(timer)
}

#[unsafe(no_mangle)]
extern "C" fn flb_sched_timer_invalidate(timer: Addr) {
    timers::destroy(timer);
}

/// Writes to a pipe of the host, as plugins may do instead of calling `write`.
#[unsafe(no_mangle)]
extern "C" fn flb_pipe_w(descriptor: i32, bytes: Addr, length: usize) -> isize {
    if length != size_of::<u64>() {
        return -1;
    }
    event_loop::write_word(descriptor, bytes.read());
    8
}

kept! {
    [flb_coro_get, flb_output_thread_instance_get, flb_sched_ctx_get]: extern "C" fn() -> Addr;
    [
        flb_coro_set,
        flb_output_flush_prepare_destroy,
        flb_event_chunk_destroy,
        flb_sched_timer_invalidate,
    ]: extern "C" fn(Addr);
    [flb_sched_timer_cb_create]: extern "C" fn(Addr, i32, i32, Addr, Addr, Addr) -> i32;
    [flb_sched_timer_cb_destroy, flb_sched_timer_cb_disable]: extern "C" fn(Addr) -> i32;
    [flb_chunk_trace_output]: extern "C" fn(Addr, Addr, i32) -> i32;
    [flb_pipe_w]: extern "C" fn(i32, Addr, usize) -> isize;
}
