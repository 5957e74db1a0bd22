//! Timers that plugins ask the scheduler for, on the thread that asked.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::event_loop::LoopEvent;
use crate::memory::{Addr, Block};
use crate::plugin_calls;
use crate::report;
use crate::thread_state;

const ONCE: i32 = 3;
const ALWAYS: i32 = 4;

struct Timer {
    id: u64,
    once: bool,
    callback: Addr,
    data: Addr,
    _handle: Block,
}

thread_local! {
    static TIMERS: RefCell<BTreeMap<Addr, Timer>> = const { RefCell::new(BTreeMap::new()) };
}

/// Makes a timer; -1 if the arguments are wrong.
pub(crate) fn create(kind: i32, millis: i32, callback: Addr, data: Addr, out: Addr) -> i32 {
    let Some(events) = thread_state::events("flb_sched_timer_cb_create") else { return -1 };
    let Ok(millis) = u64::try_from(millis) else { return -1 };
    if kind != ONCE && kind != ALWAYS {
        return -1;
    }
    let handle = Block::zeroed(1);
    let address = handle.addr();
    let delay = Duration::from_millis(millis.max(1));
    let id = events.after(delay, (kind == ALWAYS).then_some(delay), LoopEvent::Timer(address));
    let timer = Timer { id, once: kind == ONCE, callback, data, _handle: handle };
    TIMERS.with_borrow_mut(|timers| timers.insert(address, timer));
    out.write(address);
    0
}

/// Takes a timer away.
pub(crate) fn destroy(address: Addr) -> i32 {
    let Some(timer) = TIMERS.with_borrow_mut(|timers| timers.remove(&address)) else {
        report::problem("a timer was destroyed that is not on this thread");
        return -1;
    };
    if let Some(events) = thread_state::events("flb_sched_timer_cb_destroy") {
        events.cancel(timer.id);
    }
    0
}

/// Silences a timer that is destroyed later.
pub(crate) fn disable(address: Addr) -> i32 {
    let id = TIMERS.with_borrow(|timers| timers.get(&address).map(|timer| timer.id));
    let (Some(id), Some(events)) = (id, thread_state::events("flb_sched_timer_cb_disable")) else {
        return -1;
    };
    events.cancel(id);
    0
}

/// Calls back; a timer for once is gone afterwards.
pub(crate) fn fire(address: Addr) {
    let call = TIMERS.with_borrow(|timers| {
        timers.get(&address).map(|timer| (timer.callback, timer.data, timer.once))
    });
    let Some((callback, data, once)) = call else { return };
    plugin_calls::with_two(callback, thread_state::config(), data);
    if once {
        drop(TIMERS.with_borrow_mut(|timers| timers.remove(&address)));
    }
}

/// Forgets the timers of a thread that ends.
pub(crate) fn give_up() {
    drop(TIMERS.take());
}
