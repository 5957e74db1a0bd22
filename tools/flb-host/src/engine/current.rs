//! Thread-local handle of the engine whose thread is running.

use std::cell::RefCell;
use std::rc::Rc;

use super::Engine;
use crate::{report, thread_state};

thread_local! {
    static ENGINE: RefCell<Option<Rc<Engine>>> = const { RefCell::new(None) };
}

/// Makes this thread the engine's.
pub(super) fn become_engine(engine: &Rc<Engine>) {
    ENGINE.set(Some(Rc::clone(engine)));
    thread_state::become_engine(&engine.events, engine.config.addr());
}

/// Makes this thread belong to no engine.
pub(super) fn leave() {
    drop(ENGINE.take());
    thread_state::leave();
}

/// The engine, if this is its thread; a call from elsewhere is a problem that names `function`.
pub(crate) fn engine(function: &str) -> Option<Rc<Engine>> {
    let engine = ENGINE.with_borrow(Clone::clone);
    if engine.is_none() {
        report::problem(&format!("{function} was called on a thread that is not the engine's"));
    }
    engine
}
