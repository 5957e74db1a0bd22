//! Thread-local state: what the running thread is, the engine's, a worker's, or another one.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::event_loop::EventLoop;
use crate::memory::Addr;
use crate::report;

thread_local! {
    static EVENTS: RefCell<Option<Rc<EventLoop>>> = const { RefCell::new(None) };
    static CONFIG: Cell<Addr> = const { Cell::new(Addr::NULL) };
    static WORKER: Cell<Addr> = const { Cell::new(Addr::NULL) };
    static CORO: Cell<Addr> = const { Cell::new(Addr::NULL) };
}

/// Makes this thread the engine's.
pub(crate) fn become_engine(events: &Rc<EventLoop>, config: Addr) {
    EVENTS.set(Some(Rc::clone(events)));
    CONFIG.set(config);
}

/// Makes this thread a worker's.
pub(crate) fn become_worker(events: &Rc<EventLoop>, config: Addr, instance: Addr) {
    EVENTS.set(Some(Rc::clone(events)));
    CONFIG.set(config);
    WORKER.set(instance);
}

/// Makes this thread belong to no engine.
pub(crate) fn leave() {
    drop(EVENTS.take());
    CONFIG.set(Addr::NULL);
    WORKER.set(Addr::NULL);
    CORO.set(Addr::NULL);
}

/// The loop of this thread, if it has one.
pub(crate) fn events(function: &str) -> Option<Rc<EventLoop>> {
    let events = EVENTS.with_borrow(Clone::clone);
    if events.is_none() {
        report::problem(&format!("{function} was called on a thread that the host did not make"));
    }
    events
}

/// Where the configuration of this thread's run lies.
pub(crate) fn config() -> Addr {
    CONFIG.get()
}

/// The instance of this worker's thread; null on the engine's.
pub(crate) fn worker() -> Addr {
    WORKER.get()
}

/// The coroutine that was resumed last; the host never resets it.
pub(crate) fn coro() -> Addr {
    CORO.get()
}

/// Says which coroutine is resumed.
pub(crate) fn set_coro(coro: Addr) {
    CORO.set(coro);
}
