//! The host's input callbacks -> [`Input`].

use std::ffi::{c_int, c_long, c_void};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::abi::row::HostAbi;
use super::barrier::{self, Callback};
use super::engine_run::{Membership, THREADED};
use super::host_struct::{HostPointer, HostStruct};
use super::instance::{self, Called, PluginSlot};
use super::kind::PluginKind;
use super::release_pages;
use super::reporter::Reporter;
use super::setup::{self, Setup, StartRefusal};
use super::sink::HostSink;
use super::stack;
use super::symbols::{Collect, InputFunctions, required};
use crate::plugin::{Input, NOT_THREADED, Options, Pause, Waker};

/// Nothing was asked for while the plugin was being called.
const NOTHING: u8 = 0;
/// A pause under pressure was.
const PRESSURE: u8 = 1;
/// A pause for good was.
const SHUTDOWN: u8 = 2;
/// A resume was.
const RESUME: u8 = 3;
/// How often what was asked for during a call is looked at after it.
const AFTERTHOUGHTS: usize = 8;

/// A running input. Field order is the order of their ends.
struct Running<P> {
    slot: PluginSlot<P>,
    reporter: Reporter,
    sink: HostSink,
    abi: &'static HostAbi,
    functions: InputFunctions,
    event: Arc<File>,
    collectors: [c_int; 2],
    collecting: AtomicBool,
    asked: AtomicU8,
    membership: Membership,
}

pub(super) unsafe extern "C" fn cb_init<P: Input>(
    instance: *mut c_void,
    config: *mut c_void,
    _data: *mut c_void,
) -> c_int {
    // SAFETY: the arguments are the host's own, and only passed on.
    unsafe { setup::init(PluginKind::Input, &P::SPEC, (instance, config), start::<P>) }
}

/// Starts an input for the instance that `setup` has looked at.
pub(super) fn start<P: Input>(mut setup: Setup) -> Result<(), StartRefusal> {
    let (instance, config) = (setup.instance.pointer(), setup.config.0);
    let refused = |reporter: &Reporter, problem: &str| {
        reporter.refuse(problem);
        StartRefusal
    };
    let functions =
        *required(&setup.host.symbols.input).map_err(|p| refused(&setup.reporter, &p))?;
    if setup.options.host_value("threaded").as_deref() == Some("on") {
        THREADED.remember(setup.config, setup.name());
        return Err(refused(&setup.reporter, NOT_THREADED));
    }
    let event = event_file().map_err(|p| refused(&setup.reporter, &p))?;
    let ringing = Arc::clone(&event);
    let waker = Waker::new(move || ring(&ringing));
    let plugin = setup
        .open(Callback::InputInit, |options, environment| P::open(options, environment, waker))?;
    // SAFETY: the instance is the host's, and the collectors are stopped before it goes.
    let collectors = unsafe { collect::<P>(functions, &event, instance, config) }
        .map_err(|p| refused(&setup.reporter, &p))?;
    let sink = HostSink::new(setup.host, functions, HostPointer(instance), setup.config);
    setup.reporter.settle();
    let running = Running {
        slot: PluginSlot::new(plugin),
        reporter: setup.reporter,
        sink,
        abi: &setup.host.abi,
        functions,
        event,
        collectors,
        collecting: AtomicBool::new(true),
        asked: AtomicU8::new(NOTHING),
        membership: setup.membership,
    };
    let context = instance::lease(Box::new(running));
    // SAFETY: the instance is the host's, and the context is what the other callbacks get.
    unsafe { (functions.flb_input_set_context)(instance, context) };
    Ok(())
}

/// A counter in the kernel that wakes the host's event loop.
fn event_file() -> Result<Arc<File>, String> {
    // SAFETY: makes a new descriptor and touches nothing else.
    let descriptor = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
    if descriptor < 0 {
        let error = std::io::Error::last_os_error();
        return Err(format!("no event descriptor to wake the engine with: {error}"));
    }
    // SAFETY: the descriptor is new and owned here.
    let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
    Ok(Arc::new(File::from(owned)))
}

fn ring(event: &File) {
    // It fails only when it rings already.
    let _rung = (&*event).write(&1_u64.to_ne_bytes());
}

fn hush(event: &File) {
    let mut times = [0_u8; 8];
    // It fails only when it does not ring.
    let _hushed = (&*event).read(&mut times);
}

/// Registers the two collectors: one that is woken, and one that ticks.
unsafe fn collect<P: Input>(
    functions: InputFunctions,
    event: &File,
    instance: *mut c_void,
    config: *mut c_void,
) -> Result<[c_int; 2], String> {
    let on_wake: Collect = cb_wake::<P>;
    // SAFETY: the descriptor stays open until the instance has gone.
    let wake = unsafe {
        (functions.flb_input_set_collector_event)(instance, on_wake, event.as_raw_fd(), config)
    };
    let seconds = libc::time_t::try_from(P::TICK.as_secs()).unwrap_or(libc::time_t::MAX);
    let nanos = c_long::from(i32::try_from(P::TICK.subsec_nanos()).unwrap_or(0));
    let on_tick: Collect = cb_tick::<P>;
    // SAFETY: the host keeps the callback as long as the instance.
    let tick = unsafe {
        (functions.flb_input_set_collector_time)(instance, on_tick, seconds, nanos, config)
    };
    if wake < 0 || tick < 0 {
        return Err("the host did not register the collectors".to_owned());
    }
    Ok([wake, tick])
}

impl<P: Input> Running<P> {
    /// The way into the pipeline for one callback.
    fn sink(&self) -> HostSink {
        self.sink.for_callback(self.membership.hub().engine_runs())
    }

    /// Calls the plugin from a collector, then does what the host asked for meanwhile.
    fn call(&self, callback: Callback, body: impl FnOnce(&mut P, &mut HostSink)) {
        self.membership.hub().note_engine();
        let mut sink = self.sink();
        self.settle(callback, self.slot.with(callback, |plugin| body(plugin, &mut sink)));
        for _ in 0..AFTERTHOUGHTS {
            match self.asked.swap(NOTHING, Ordering::AcqRel) {
                PRESSURE => self.pause(Pause::Pressure),
                SHUTDOWN => self.pause(Pause::Shutdown),
                RESUME => self.resume(),
                _ => break,
            }
        }
        self.reporter.settle();
    }

    fn settle(&self, callback: Callback, called: Called<()>) {
        match called {
            Called::Panicked(panicked) => {
                self.reporter.panicked(&panicked, "the input takes nothing in any more");
                self.stop_collecting();
            }
            Called::Gone => self.stop_collecting(),
            Called::Busy => {
                self.reporter.log().often(crate::stats::LogLevel::Debug, "busy", || {
                    format!("{} came while the plugin was being called", callback.name())
                })
            }
            Called::Returned(()) => {}
        }
    }

    fn stop_collecting(&self) {
        if !self.collecting.swap(false, Ordering::AcqRel) {
            return;
        }
        for collector in self.collectors {
            // SAFETY: the collector is the instance's own, and this is the host's thread.
            unsafe {
                (self.functions.flb_input_collector_pause)(collector, self.sink.instance().0)
            };
        }
    }

    fn pause(&self, why: Pause) {
        let mut sink = self.sink();
        let called = self.slot.with(Callback::InputPause, |plugin| plugin.on_pause(why, &mut sink));
        if called == Called::Busy {
            let asked = if why == Pause::Shutdown { SHUTDOWN } else { PRESSURE };
            self.asked.store(asked, Ordering::Release);
            return;
        }
        self.settle(Callback::InputPause, called);
        if why == Pause::Shutdown {
            sink.flush_appended();
        }
    }

    fn resume(&self) {
        let called = self.slot.with(Callback::InputResume, P::on_resume);
        if called == Called::Busy {
            self.asked.store(RESUME, Ordering::Release);
            return;
        }
        self.settle(Callback::InputResume, called);
    }
}

/// Why the host pauses: it says so in its configuration before it calls.
///
/// # Safety
/// `config` is the host's live configuration.
unsafe fn why(abi: &HostAbi, config: *mut c_void) -> Pause {
    let row = &abi.config;
    // SAFETY: the caller vouches for the configuration.
    let config = unsafe { HostStruct::new(config, row.size) };
    let stopping = config.get::<c_int>(row.is_shutting_down) != 0
        || config.get::<c_int>(row.is_ingestion_active) == 0;
    if stopping { Pause::Shutdown } else { Pause::Pressure }
}

/// Enters a callback of a running input.
unsafe fn enter<P: Input>(context: *mut c_void, body: impl FnOnce(&Running<P>)) {
    stack::on_large_stack(|| {
        // A panic of the plugin itself was stopped, counted and logged further in.
        barrier::quietly(|| {
            // SAFETY: the context is what `start` leased, and `cb_exit` comes after all others.
            if let Some(running) = unsafe { instance::borrow::<Running<P>>(context) } {
                body(running);
            }
        });
    });
}

unsafe extern "C" fn cb_wake<P: Input>(
    _instance: *mut c_void,
    _config: *mut c_void,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the host passes the context of the instance.
    unsafe {
        enter::<P>(context, |running| {
            hush(&running.event);
            running.call(Callback::InputWake, |plugin, sink| plugin.on_wake(sink));
        });
    }
    0
}

unsafe extern "C" fn cb_tick<P: Input>(
    _instance: *mut c_void,
    _config: *mut c_void,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the host passes the context of the instance.
    unsafe {
        enter::<P>(context, |running| {
            running.call(Callback::InputTick, |plugin, sink| plugin.on_tick(sink));
            // The first tick comes when everything has started.
            release_pages::once();
        });
    }
    0
}

pub(super) unsafe extern "C" fn cb_pause<P: Input>(context: *mut c_void, config: *mut c_void) {
    let body = |running: &Running<P>| {
        // SAFETY: the host passes its live configuration.
        let why = unsafe { why(running.abi, config) };
        running.pause(why);
        running.reporter.settle();
    };
    // SAFETY: the host passes the context of the instance.
    unsafe { enter::<P>(context, body) };
}

pub(super) unsafe extern "C" fn cb_resume<P: Input>(context: *mut c_void, _config: *mut c_void) {
    // SAFETY: the host passes the context of the instance.
    unsafe {
        enter::<P>(context, |running| {
            running.resume();
            running.reporter.settle();
        });
    }
}

pub(super) unsafe extern "C" fn cb_exit<P: Input>(
    context: *mut c_void,
    _config: *mut c_void,
) -> c_int {
    stack::on_large_stack(|| {
        barrier::quietly(|| {
            // SAFETY: the context is what `start` leased, and this is the host's last call.
            let Some(running) = (unsafe { instance::take::<Running<P>>(context) }) else { return };
            if let Some(panicked) = running.slot.close(Callback::InputExit) {
                running.reporter.panicked(&panicked, "the instance was stopping");
            }
            running.reporter.finish();
        });
    });
    0
}
