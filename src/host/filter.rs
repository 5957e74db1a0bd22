//! The host's filter callbacks -> [`Filter`].

use std::ffi::{c_int, c_void};
use std::sync::Arc;

use super::barrier::{self, Callback};
use super::engine_run::Membership;
use super::host_struct::HostStruct;
use super::instance::{self, Called, PluginSlot};
use super::kind::PluginKind;
use super::lend;
use super::publisher::{self, PublishedReporter};
use super::setup::{self, Setup, StartRefusal};
use super::stack;
use super::symbols::required;
use crate::plugin::{Chunk, Fallback, Filter, Verdict};

/// `FLB_FILTER_MODIFIED`.
const MODIFIED: c_int = 1;
/// `FLB_FILTER_NOTOUCH`.
const NOT_TOUCHED: c_int = 2;

/// A running filter. Field order is the order of their ends.
struct Running<P> {
    slot: PluginSlot<P>,
    fallback: Option<Box<dyn Fallback>>,
    shown: Arc<PublishedReporter>,
    membership: Membership,
}

impl<P> Running<P> {
    /// What becomes of a chunk that the plugin does not see.
    fn without_plugin(&self, chunk: Chunk<'_>) -> Verdict {
        match &self.fallback {
            Some(fallback) => {
                barrier::around(|| fallback.on_chunk(chunk)).unwrap_or(Verdict::Replace(Vec::new()))
            }
            None => Verdict::Pass,
        }
    }

    /// What becomes of chunks once the plugin is gone.
    fn consequence(&self) -> &'static str {
        let untouched = "data passes this filter untouched from now on";
        self.fallback.as_ref().map_or(untouched, |fallback| fallback.consequence())
    }
}

pub(super) unsafe extern "C" fn cb_init<P: Filter>(
    instance: *mut c_void,
    config: *mut c_void,
    _data: *mut c_void,
) -> c_int {
    // SAFETY: the arguments are the host's own, and only passed on.
    unsafe { setup::init(PluginKind::Filter, &P::SPEC, (instance, config), start::<P>) }
}

/// Starts a filter for `instance`, which `setup` has looked at.
pub(super) fn start<P: Filter>(mut setup: Setup) -> Result<(), StartRefusal> {
    let functions = match required(&setup.host.symbols.filter) {
        Ok(functions) => functions,
        Err(problem) => {
            setup.reporter.refuse(&problem);
            return Err(StartRefusal);
        }
    };
    let instance_at = setup.instance.pointer();
    let plugin = setup.open(Callback::FilterInit, P::open)?;
    setup.membership.hub().add_filter();
    setup.reporter.settle();
    // SAFETY: the host starts filters on its engine's thread.
    let shown = unsafe { publisher::enlist(&functions.timer, setup.reporter) };
    let fallback = plugin.fallback();
    let membership = setup.membership;
    let running = Running { slot: PluginSlot::new(plugin), fallback, shown, membership };
    let context = instance::lease(Box::new(running));
    // SAFETY: the instance is the host's, and the context is what `cb_filter` and `cb_exit` get.
    unsafe { (functions.flb_filter_set_context)(instance_at, context) };
    Ok(())
}

/// The host's arguments of one `cb_filter`.
#[derive(Debug, Clone, Copy)]
struct Arguments {
    data: *const c_void,
    length: usize,
    tag: *const c_void,
    tag_length: c_int,
    out_data: *mut c_void,
    out_length: *mut c_void,
    context: *mut c_void,
}

pub(super) unsafe extern "C" fn cb_filter<P: Filter>(
    data: *const c_void,
    length: usize,
    tag: *const c_void,
    tag_length: c_int,
    out_data: *mut c_void,
    out_length: *mut c_void,
    _instance: *mut c_void,
    _input: *mut c_void,
    context: *mut c_void,
    _config: *mut c_void,
) -> c_int {
    let arguments = Arguments { data, length, tag, tag_length, out_data, out_length, context };
    stack::on_large_stack(|| {
        // SAFETY: the arguments are the host's own, and only passed on.
        let run = || unsafe { filter::<P>(arguments) };
        // SAFETY: as above.
        barrier::around(run).unwrap_or_else(|| unsafe { unfinished::<P>(arguments) })
    })
}

unsafe fn filter<P: Filter>(arguments: Arguments) -> c_int {
    // SAFETY: the context is what `start` leased, and `cb_exit` comes after all other calls.
    let Some(running) = (unsafe { instance::borrow::<Running<P>>(arguments.context) }) else {
        return NOT_TOUCHED;
    };
    running.membership.hub().note_engine();
    // SAFETY: the host lends the chunk for the length of this call.
    let bytes = unsafe { lend::bytes(arguments.data, arguments.length) };
    let tag_length = usize::try_from(arguments.tag_length).unwrap_or(0);
    // SAFETY: the host lends the tag for the length of this call.
    let tag = unsafe { lend::bytes(arguments.tag, tag_length) };
    let chunk = Chunk { tag, bytes };
    let verdict = match running.slot.with(Callback::FilterChunk, |plugin| plugin.on_chunk(chunk)) {
        Called::Returned(verdict) => verdict,
        Called::Gone | Called::Busy => running.without_plugin(chunk),
        Called::Panicked(panicked) => {
            running.shown.reporter().panicked(&panicked, running.consequence());
            running.without_plugin(chunk)
        }
    };
    let answer = match verdict {
        Verdict::Pass => NOT_TOUCHED,
        // SAFETY: the host's result arguments, passed on.
        Verdict::Replace(bytes) => unsafe { replace(arguments, bytes) },
    };
    running.shown.reporter().settle();
    answer
}

/// What the host is told of a chunk where a panic came from outside the plugin: a filter with a
/// fallback lets nothing pass that it has not seen.
unsafe fn unfinished<P: Filter>(arguments: Arguments) -> c_int {
    // SAFETY: the context is what `start` leased, and `cb_exit` comes after all other calls.
    let running = unsafe { instance::borrow::<Running<P>>(arguments.context) };
    if running.is_none_or(|running| running.fallback.is_none()) {
        return NOT_TOUCHED;
    }
    // SAFETY: the host's result arguments, passed on.
    unsafe { replace(arguments, Vec::new()) }
}

/// Hands the host the bytes that take the chunk's place. OWNERSHIP: the host frees them.
unsafe fn replace(arguments: Arguments, bytes: Vec<u8>) -> c_int {
    // SAFETY: the host passes the address of a pointer for the result.
    let out_data = unsafe { HostStruct::new(arguments.out_data, size_of::<*mut c_void>()) };
    // SAFETY: the host passes the address of a size for the result.
    let out_length = unsafe { HostStruct::new(arguments.out_length, size_of::<usize>()) };
    out_length.set::<usize>(0, bytes.len());
    // None stand for null: a buffer beside a length of zero would leak in hosts that filter inside processors.
    out_data.set::<*mut c_void>(0, lend::give(bytes));
    MODIFIED
}

pub(super) unsafe extern "C" fn cb_exit<P: Filter>(
    context: *mut c_void,
    _config: *mut c_void,
) -> c_int {
    stack::on_large_stack(|| {
        barrier::quietly(|| {
            // SAFETY: the context is what `start` leased, and this is the host's last call.
            let Some(running) = (unsafe { instance::take::<Running<P>>(context) }) else { return };
            if let Some(panicked) = running.slot.close(Callback::FilterExit) {
                running.shown.reporter().panicked(&panicked, "the instance was stopping");
            }
            publisher::dismiss(&running.shown);
            running.shown.reporter().finish();
        });
    });
    0
}
