//! Instance handle: what the host holds for us, one box per instance, and a slot that a panic
//! empties for good.

use std::ffi::c_void;
use std::sync::Arc;

use super::barrier::{self, Callback, Panicked};
use crate::sync::Mutex;

/// Hands a box to the host as the context of an instance. OWNERSHIP: the host gives it back in
/// `cb_exit`, where [`take`] ends it.
#[expect(clippy::disallowed_methods, reason = "the one home of Box::into_raw")]
pub(super) fn lease<T>(instance: Box<T>) -> *mut c_void {
    Box::into_raw(instance).cast()
}

/// The instance behind a context.
///
/// # Safety
/// `context` is null or came from [`lease`] of the same type and was not taken back, and stays so
/// for `'cb`.
pub(super) unsafe fn borrow<'cb, T>(context: *mut c_void) -> Option<&'cb T> {
    // SAFETY: the caller vouches for the pointer; all access is shared.
    unsafe { context.cast::<T>().cast_const().as_ref() }
}

/// Takes an instance back from the host.
///
/// # Safety
/// `context` is null or came from [`lease`] of the same type, and it is not used again.
#[expect(clippy::disallowed_methods, reason = "the one home of Box::from_raw")]
pub(super) unsafe fn take<T>(context: *mut c_void) -> Option<Box<T>> {
    if context.is_null() {
        return None;
    }
    // SAFETY: the pointer came from a box of this type and is given up by the caller.
    Some(unsafe { Box::from_raw(context.cast::<T>()) })
}

/// How a call into a plugin went.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Called<R> {
    /// It returned.
    Returned(R),
    /// It panicked, and is gone.
    Panicked(Panicked),
    /// It panicked earlier, or has been closed.
    Gone,
    /// It is being called already: the host calls us back while we call the host.
    Busy,
}

/// A plugin that is called by one thread at a time.
#[derive(Debug)]
pub(super) struct PluginSlot<P> {
    plugin: Mutex<Option<P>>,
}

impl<P> PluginSlot<P> {
    pub(super) fn new(plugin: P) -> Self {
        Self { plugin: Mutex::new(Some(plugin)) }
    }

    /// Calls the plugin. After a panic it is dropped and never called again.
    pub(super) fn with<R>(&self, callback: Callback, body: impl FnOnce(&mut P) -> R) -> Called<R> {
        let Some(mut slot) = self.plugin.try_lock() else { return Called::Busy };
        let Some(plugin) = slot.as_mut() else { return Called::Gone };
        match barrier::run(callback, || body(plugin)) {
            Ok(result) => Called::Returned(result),
            Err(panicked) => {
                let broken = slot.take();
                barrier::quietly(|| drop(broken));
                Called::Panicked(panicked)
            }
        }
    }

    /// Ends the plugin.
    pub(super) fn close(&self, callback: Callback) -> Option<Panicked> {
        let plugin = self.plugin.lock().take();
        barrier::run(callback, || drop(plugin)).err()
    }
}

/// A plugin that many threads call at once.
#[derive(Debug)]
pub(super) struct SharedSlot<P> {
    plugin: Mutex<Option<Arc<P>>>,
}

impl<P> SharedSlot<P> {
    pub(super) fn new(plugin: P) -> Self {
        Self { plugin: Mutex::new(Some(Arc::new(plugin))) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<P>>> {
        self.plugin.lock()
    }

    /// Calls the plugin. After a panic it is dropped, once the other threads have left it, and
    /// never called again.
    pub(super) fn with<R>(&self, callback: Callback, body: impl FnOnce(&P) -> R) -> Called<R> {
        let Some(plugin) = self.lock().clone() else { return Called::Gone };
        let result = barrier::run(callback, || body(&plugin));
        match result {
            Ok(result) => Called::Returned(result),
            Err(panicked) => {
                let broken = self.lock().take();
                barrier::quietly(|| drop(broken));
                barrier::quietly(|| drop(plugin));
                Called::Panicked(panicked)
            }
        }
    }

    /// Ends the plugin with `close`, unless it is gone.
    pub(super) fn close(&self, callback: Callback, close: impl FnOnce(P)) -> Option<Panicked> {
        let plugin = self.lock().take();
        barrier::run(callback, || {
            if let Some(plugin) = plugin.and_then(Arc::into_inner) {
                close(plugin);
            }
        })
        .err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_empties_the_slot_for_good() {
        let slot = PluginSlot::new(1);
        assert_eq!(slot.with(Callback::FilterChunk, |n| *n + 1), Called::Returned(2));
        let called: Called<()> = slot.with(Callback::FilterChunk, |_| panic!("bad"));
        assert!(matches!(called, Called::Panicked(panicked) if panicked.message == "bad"));
        assert_eq!(slot.with(Callback::FilterChunk, |n| *n), Called::Gone);
    }

    #[test]
    fn a_plugin_whose_end_panics_does_no_harm() {
        #[derive(Debug)]
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("at the end");
            }
        }
        let slot = PluginSlot::new(Bomb);
        let called: Called<()> = slot.with(Callback::FilterChunk, |_| panic!("first"));
        assert!(matches!(called, Called::Panicked(panicked) if panicked.message == "first"));
        let panicked = PluginSlot::new(Bomb).close(Callback::FilterExit).unwrap();
        assert_eq!(panicked.message, "at the end");
    }

    #[test]
    fn a_call_within_a_call_is_busy() {
        let slot = PluginSlot::new(1);
        let called = slot
            .with(Callback::InputTick, |_| slot.with(Callback::InputPause, |n| *n) == Called::Busy);
        assert_eq!(called, Called::Returned(true));
    }

    #[test]
    fn a_leased_instance_comes_back() {
        let context = lease(Box::new(7_u32));
        // SAFETY: just leased as the same type.
        assert_eq!(unsafe { borrow::<u32>(context) }, Some(&7));
        // SAFETY: leased and not used again.
        assert_eq!(unsafe { take::<u32>(context) }.as_deref(), Some(&7));
        // SAFETY: null is allowed.
        assert!(unsafe { take::<u32>(std::ptr::null_mut()) }.is_none());
    }

    #[test]
    fn a_shared_plugin_is_closed_once() {
        let slot = SharedSlot::new(5);
        assert_eq!(slot.with(Callback::OutputFlush, |n| *n), Called::Returned(5));
        let mut closed = 0;
        assert_eq!(slot.close(Callback::OutputExit, |n| closed += n), None);
        assert_eq!(slot.close(Callback::OutputExit, |n| closed += n), None);
        assert_eq!(closed, 5);
        assert_eq!(slot.with(Callback::OutputFlush, |n| *n), Called::Gone);
    }
}
