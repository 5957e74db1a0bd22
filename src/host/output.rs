//! The host's output callbacks -> [`Output`].
//!
//! A flush lends its chunk to the plugin and leaves its coroutine until the fate is known.

use std::ffi::{c_int, c_void};
use std::time::Duration;

use super::barrier::{self, Callback};
use super::coro::Flush;
use super::detect::{RunningHost, host};
use super::engine_run::Membership;
use super::host_struct::{HostPointer, HostStruct};
use super::instance::{self, Called, SharedSlot};
use super::kind::PluginKind;
use super::lend;
use super::poller::{self, Resumption, ResumptionCell};
use super::reporter::Reporter;
use super::setup::{self, Setup, StartRefusal};
use super::stack;
use super::symbols::{OutputFunctions, required};
use crate::plugin::{Completion, CompletionWaiter, Delivery, EventType, Fate, Output};

/// How long a worker waits before it looks whether the host still runs.
const SLICE: Duration = Duration::from_millis(100);
/// The bits of an event's type that say what it is; the highest marks traced chunks.
const TYPE_BITS: c_int = c_int::MAX;
/// Bounds of the time that an instance gets to end, in seconds.
const GRACE: (c_int, c_int) = (1, 30);
/// The retry limit where none is set, in releases that do not say so.
const DEFAULT_RETRIES: c_int = 1;

/// A running output. Field order is the order of their ends.
struct Running<P> {
    slot: SharedSlot<P>,
    reporter: Reporter,
    host: &'static RunningHost,
    functions: &'static OutputFunctions,
    instance: HostPointer,
    /// The host's grace period in seconds, as configured; below zero is without end.
    grace: c_int,
    _membership: Membership,
}

pub(super) unsafe extern "C" fn cb_init<P: Output>(
    instance: *mut c_void,
    config: *mut c_void,
    _data: *mut c_void,
) -> c_int {
    // SAFETY: the arguments are the host's own, and only passed on.
    unsafe { setup::init(PluginKind::Output, &P::SPEC, (instance, config), start::<P>) }
}

/// Starts an output for the instance that `setup` has looked at.
pub(super) fn start<P: Output>(mut setup: Setup) -> Result<(), StartRefusal> {
    let instance = setup.instance.pointer();
    let functions = match required(&setup.host.symbols.output) {
        Ok(functions) => functions,
        Err(problem) => {
            setup.reporter.refuse(&problem);
            return Err(StartRefusal);
        }
    };
    let plugin = setup.open(Callback::OutputInit, P::open)?;
    // SAFETY: the instance proved to be laid out as the row says.
    unsafe { retry_without_end(setup.host, functions, setup.instance) };
    setup.reporter.settle();
    let row = &setup.host.abi.config;
    // SAFETY: an instance points to the live configuration of its engine.
    let config = unsafe { setup.instance.follow(setup.host.abi.output.config, row.size) };
    let running = Running {
        slot: SharedSlot::new(plugin),
        reporter: setup.reporter,
        host: setup.host,
        functions,
        instance: HostPointer(instance),
        grace: config.get(row.grace),
        _membership: setup.membership,
    };
    let context = instance::lease(Box::new(running));
    // SAFETY: the instance is the host's, and the context is what the other callbacks get.
    unsafe { (functions.flb_output_set_context)(instance, context) };
    Ok(())
}

/// The host drops a chunk after one retry by default. Delivery that is worth retrying is worth
/// more, so an instance without a limit of its own gets none. Releases before 5.0.3 do not tell a
/// limit of 1 from none.
unsafe fn retry_without_end(host: &RunningHost, functions: &OutputFunctions, instance: HostStruct) {
    let row = &host.abi.output;
    let is_set = match row.retry_limit_is_set {
        Some(offset) => instance.get::<c_int>(offset) != 0,
        None => instance.get::<c_int>(row.retry_limit) != DEFAULT_RETRIES,
    };
    if is_set {
        return;
    }
    // SAFETY: the instance is the host's; the host copies both strings.
    unsafe {
        (functions.flb_output_set_property)(
            instance.pointer(),
            c"retry_limit".as_ptr(),
            c"no_limits".as_ptr(),
        );
    }
}

/// How far a flush got on our side.
#[derive(Debug, Clone, Copy)]
enum Handed {
    /// Its fate is known.
    Resolved(Fate),
    /// The poller continues the coroutine when it is.
    Waiting,
}

/// Runs on a coroutine with a small stack. Nothing in this frame owns anything, because the host
/// abandons it.
pub(super) unsafe extern "C" fn cb_flush<P: Output>(
    chunk: *mut c_void,
    flush: *mut c_void,
    input: *mut c_void,
    context: *mut c_void,
    config: *mut c_void,
) {
    let Ok(host) = host() else { return };
    if host.has_unproved_flushes() {
        // SAFETY: the context is what `start` leased, and `cb_exit` comes after all flushes.
        let running = unsafe { instance::borrow::<Running<P>>(context) };
        let output = running.map_or(std::ptr::null_mut(), |running| running.instance.0);
        let passed = [chunk, flush, input, config, output];
        // SAFETY: the arguments are the host's own.
        stack::on_large_stack(|| unsafe { host.prove_flush(passed) });
    }
    // SAFETY: the arguments are the host's own, and only passed on.
    unsafe { flush_in::<P>(host, chunk, flush, context, config) };
}

/// A flush in a host that is known.
///
/// # Safety
/// As for `cb_flush`, in a host that is laid out as `host` says.
pub(super) unsafe fn flush_in<P: Output>(
    host: &'static RunningHost,
    chunk: *mut c_void,
    flush: *mut c_void,
    context: *mut c_void,
    config: *mut c_void,
) {
    let Ok(functions) = &host.symbols.output else { return };
    // SAFETY: the host calls on the flush's coroutine.
    let flush = unsafe { Flush::new(host, functions, flush) };
    let cell = ResumptionCell::new();
    let at = &raw const cell;
    let coroutine = flush.coroutine();
    let mut is_first = true;
    let fate = loop {
        let handed = stack::on_large_stack(|| {
            // SAFETY: the arguments are the host's own, and the cell lives in the coroutine's frame.
            let begin = || unsafe { begin::<P>(flush, chunk, context, config, at, is_first) };
            barrier::around(begin).flatten().unwrap_or(Handed::Resolved(Fate::Retry))
        });
        is_first = false;
        match handed {
            Handed::Resolved(fate) => break fate,
            Handed::Waiting => {}
        }
        let why = loop {
            // SAFETY: this is the coroutine, and its frames own nothing.
            unsafe { coroutine.leave() };
            if let Some(why) = cell.take() {
                break why;
            }
        };
        match why {
            Resumption::End(fate) => break fate,
            Resumption::Again => {}
        }
    };
    if fate == Fate::Retry {
        stack::on_large_stack(|| {
            // SAFETY: the arguments are the host's own, and only passed on.
            barrier::quietly(|| unsafe { end_within_grace::<P>(context, config) });
        });
    }
    // SAFETY: this is the coroutine's last act, and its frames own nothing.
    unsafe { flush.finish(fate) };
}

/// Where a reload would wait without end for what cannot be delivered now, has it end after the
/// host's own grace period, as a stop does.
///
/// `hot_reload.ensure_thread_safety`, which is on unless configured, makes the grace period of an
/// engine that is reloaded endless (`flb_reload`). An endpoint that is away would then keep the
/// inputs closed for as long as it is. A grace period that the user made endless stays so.
///
/// # Safety
/// `context` is what `start` leased, and `config` the host's live configuration.
unsafe fn end_within_grace<P: Output>(context: *mut c_void, config: *mut c_void) {
    // SAFETY: the caller vouches for the context.
    let Some(running) = (unsafe { instance::borrow::<Running<P>>(context) }) else { return };
    let row = &running.host.abi.config;
    // SAFETY: the caller vouches for the configuration.
    let config = unsafe { HostStruct::new(config, row.size) };
    let is_endless = config.get::<c_int>(row.grace) < 0;
    if running.grace < 0 || !is_endless || config.get::<c_int>(row.is_shutting_down) == 0 {
        return;
    }
    config.set(row.grace, running.grace);
    running.reporter.log().warn(format!(
        "the reload waits for chunks that cannot be delivered now; it goes on within {} s, the \
         'grace' of the service: what is stored in the file system is delivered afterwards, what is \
         in memory only is lost",
        running.grace
    ));
    running.reporter.settle();
}

/// Shows the host what came of a flush that waited; all of it after the last one.
///
/// # Safety
/// `context` is what `start` leased, and `cb_exit` comes after all flushes.
unsafe fn settle<P: Output>(context: *mut c_void, is_last: bool) {
    // SAFETY: the caller vouches for the context.
    match unsafe { instance::borrow::<Running<P>>(context) } {
        Some(running) if is_last => running.reporter.finish(),
        Some(running) => running.reporter.settle(),
        None => {}
    }
}

unsafe fn begin<P: Output>(
    flush: Flush,
    chunk: *mut c_void,
    context: *mut c_void,
    config: *mut c_void,
    cell: *const ResumptionCell,
    is_first: bool,
) -> Option<Handed> {
    // SAFETY: the context is what `start` leased, and `cb_exit` comes after all flushes.
    let running = unsafe { instance::borrow::<Running<P>>(context) }?;
    // What is begun now could not be told any more.
    // SAFETY: the host passes its live configuration.
    if unsafe { poller::has_stopped(config) } {
        return Some(Handed::Resolved(Fate::Retry));
    }
    // SAFETY: the host lends the chunk for the length of the flush.
    let mut delivery = unsafe { delivery(running.host, chunk, &flush) };
    // SAFETY: the host passes its live configuration.
    delivery.may_be_held = !unsafe { poller::is_stopping(config) };
    let bytes = delivery.bytes.len();
    let (completion, waiter) = Completion::pair();
    let called =
        running.slot.with(Callback::OutputFlush, |plugin| plugin.on_flush(delivery, completion));
    if let Called::Panicked(panicked) = &called {
        running.reporter.panicked(panicked, "the host is asked to retry its chunks from now on");
    }
    if called != Called::Returned(()) {
        running.reporter.settle();
        return Some(Handed::Resolved(Fate::Retry));
    }
    if let Some(fate) = waiter.fate() {
        if poller::is_idle() {
            running.reporter.finish()
        } else {
            running.reporter.settle()
        }
        return Some(Handed::Resolved(fate));
    }
    running.reporter.settle();
    // A large chunk that nothing waits beside needs no timer, unless it is one that continues it.
    if is_first && flush.on_worker() && bytes >= poller::LARGE && poller::is_idle() {
        // SAFETY: the host passes its live configuration.
        let fate = unsafe { block(running, &waiter, config) };
        if let Some(fate) = fate {
            return Some(Handed::Resolved(fate));
        }
    }
    let waiting = poller::WaitingFlush {
        gate: waiter.gate(),
        waiter,
        cell,
        coroutine: flush.coroutine(),
        owner: running.instance.0,
        pipe: flush.pipe(),
        on_worker: flush.on_worker(),
        bytes,
        settle: settle::<P>,
        context,
    };
    // SAFETY: this is the flush's thread; the poller forgets the owner in `cb_exit`, and a worker
    // ends after its flushes.
    Some(match unsafe { poller::wait(&running.functions.timer, waiting) } {
        Ok(()) => Handed::Waiting,
        Err(waiter) if flush.on_worker() => {
            // SAFETY: the host passes its live configuration.
            Handed::Resolved(unsafe { block(running, &waiter, config) }.unwrap_or(Fate::Retry))
        }
        Err(_) => Handed::Resolved(Fate::Retry),
    })
}

/// The chunk as the host lends it.
///
/// # Safety
/// The host keeps `chunk` unchanged for `'cb`.
unsafe fn delivery<'cb>(host: &RunningHost, chunk: *mut c_void, flush: &Flush) -> Delivery<'cb> {
    let row = &host.abi.event_chunk;
    // SAFETY: the caller vouches for the chunk.
    let chunk = unsafe { HostStruct::new(chunk, row.size) };
    // SAFETY: the tag is a string of the host.
    let tag = unsafe { lend::c_bytes(chunk.get::<*mut c_void>(row.tag)) };
    let data = chunk.get::<*mut c_void>(row.data);
    // SAFETY: the chunk says how long its data is.
    let bytes = unsafe { lend::bytes(data, chunk.get::<usize>(row.length)) };
    Delivery {
        event_type: match chunk.get::<c_int>(row.kind) & TYPE_BITS {
            0 => EventType::Logs,
            1 => EventType::Metrics,
            2 => EventType::Traces,
            other => EventType::Other(other),
        },
        tag,
        bytes,
        on_worker: flush.on_worker(),
        task: flush.identity(),
        may_be_held: false,
    }
}

/// Waits on a worker thread until the fate is known or the engine has stopped, which comes after the
/// host's own grace period. `None` if the chunk is held instead.
unsafe fn block<P>(
    running: &Running<P>,
    waiter: &CompletionWaiter,
    config: *mut c_void,
) -> Option<Fate> {
    loop {
        if let Some(fate) = waiter.wait(SLICE) {
            running.reporter.finish();
            return Some(fate);
        }
        if waiter.gate().is_some() {
            running.reporter.settle();
            return None;
        }
        // SAFETY: the caller vouches for the configuration.
        if unsafe { poller::has_stopped(config) } {
            return Some(Fate::Retry);
        }
        running.reporter.settle();
    }
}

pub(super) unsafe extern "C" fn cb_exit<P: Output>(
    context: *mut c_void,
    config: *mut c_void,
) -> c_int {
    stack::on_large_stack(|| {
        // SAFETY: the arguments are the host's own, and only passed on.
        barrier::quietly(|| unsafe { end::<P>(context, config) });
    });
    0
}

unsafe fn end<P: Output>(context: *mut c_void, config: *mut c_void) {
    // The host calls this even for an instance that never started.
    // SAFETY: the context is null or what `start` leased, and this is the host's last call.
    let Some(running) = (unsafe { instance::take::<Running<P>>(context) }) else { return };
    poller::forget(running.instance.0);
    let row = &running.host.abi.config;
    // SAFETY: the host passes its live configuration.
    let config = unsafe { HostStruct::new(config, row.size) };
    let grace = config.get::<c_int>(row.grace).clamp(GRACE.0, GRACE.1);
    let budget = Duration::from_secs(u64::try_from(grace).unwrap_or_default());
    if let Some(panicked) = running.slot.close(Callback::OutputExit, |plugin| plugin.close(budget))
    {
        running.reporter.panicked(&panicked, "the instance was stopping");
    }
    running.reporter.finish();
}
