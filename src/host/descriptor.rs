//! Plugin descriptor: what the host copies from us when it loads a plugin.
//!
//! The host copies as many bytes as its own structure has, from the symbol that has the right name,
//! without a word about versions. So the symbol is larger than any release's structure and all
//! zero, and an ELF constructor, which runs before the host can look, fills in what the running
//! release expects.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

use super::abi::row::{HostAbi, MAX_PLUGIN_SIZE};
use super::abi::rows::ROWS;
use super::barrier;
use super::config_map;
use super::detect::host;
use super::duplicate_load::{self, Copies};
use super::host_struct::HostStruct;
use super::lend;
use super::log;
use super::{filter, input, output};
use crate::plugin::{Filter, Input, Output, Spec};
use crate::stats::LogLevel;

/// Bytes of a descriptor.
pub(super) const BYTES: usize = MAX_PLUGIN_SIZE;
/// `FLB_OUTPUT_LOGS | FLB_OUTPUT_METRICS | FLB_OUTPUT_TRACES`.
const OUTPUT_TYPES: c_int = 1 | 2 | 4;
/// `FLB_IO_OPT_TLS`: the host takes `tls`. Of inputs it has the number of `FLB_INPUT_NET` too: the host
/// takes an address.
const OPTIONAL_TLS: c_int = 4;
/// Threads of an output unless the user says otherwise: the engine never waits for a network.
const WORKERS: c_int = 2;

const _: () = {
    let mut rows = ROWS;
    while let [row, rest @ ..] = rows {
        assert!(row.input_plugin.size <= BYTES, "an input does not fit");
        assert!(row.filter_plugin.size <= BYTES, "a filter does not fit");
        assert!(row.output_plugin.size <= BYTES, "an output does not fit");
        rows = rest;
    }
};

/// The exported symbol of a plugin.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct Descriptor(UnsafeCell<[u8; BYTES]>);

// SAFETY: written only by the constructor that belongs to it, before the loader returns; read only
// by the host, afterwards.
unsafe impl Sync for Descriptor {}

impl Default for Descriptor {
    fn default() -> Self {
        Self::new()
    }
}

impl Descriptor {
    /// A descriptor that is not filled yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(UnsafeCell::new([0; BYTES]))
    }

    fn view(&'static self) -> HostStruct {
        // SAFETY: the memory is this long, lives for ever, and is only used through views.
        unsafe { HostStruct::new(self.0.get().cast(), BYTES) }
    }
}

/// An offset and what belongs there.
type Pointers<'a> = &'a [(usize, *mut c_void)];

fn set_pointers(view: HostStruct, pointers: Pointers<'_>) {
    for (offset, pointer) in pointers {
        view.set::<*mut c_void>(*offset, *pointer);
    }
}

fn init(
    callback: unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_void) -> c_int,
) -> *mut c_void {
    callback as *mut c_void
}

fn exit(callback: unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int) -> *mut c_void {
    callback as *mut c_void
}

/// Fills the descriptor of an input. Called by the constructor that [`crate::export_input!`] makes.
pub fn fill_input<P: Input>(symbol: &str, descriptor: &'static Descriptor) {
    fill(symbol, descriptor, |view, abi, refused| {
        let row = &abi.input_plugin;
        let first = if refused { refuse } else { input::cb_init::<P> };
        set_pointers(view, &[(row.cb_init, init(first))]);
        describe(view, abi, (row.name, row.description, row.config_map), &P::SPEC, refused);
        if refused {
            return;
        }
        if P::TLS {
            view.set::<c_int>(row.flags, OPTIONAL_TLS);
        }
        set_pointers(
            view,
            &[
                (row.cb_pause, input::cb_pause::<P> as *mut c_void),
                (row.cb_resume, input::cb_resume::<P> as *mut c_void),
                (row.cb_exit, exit(input::cb_exit::<P>)),
            ],
        );
    });
}

/// Fills the descriptor of a filter. Called by the constructor that [`crate::export_filter!`]
/// makes.
pub fn fill_filter<P: Filter>(symbol: &str, descriptor: &'static Descriptor) {
    fill(symbol, descriptor, |view, abi, refused| {
        let row = &abi.filter_plugin;
        let first = if refused { refuse } else { filter::cb_init::<P> };
        set_pointers(view, &[(row.cb_init, init(first))]);
        describe(view, abi, (row.name, row.description, row.config_map), &P::SPEC, refused);
        if refused {
            return;
        }
        set_pointers(
            view,
            &[
                (row.cb_filter, filter::cb_filter::<P> as *mut c_void),
                (row.cb_exit, exit(filter::cb_exit::<P>)),
            ],
        );
    });
}

/// Fills the descriptor of an output. Called by the constructor that [`crate::export_output!`]
/// makes.
pub fn fill_output<P: Output>(symbol: &str, descriptor: &'static Descriptor) {
    fill(symbol, descriptor, |view, abi, refused| {
        let row = &abi.output_plugin;
        let first = if refused { refuse } else { output::cb_init::<P> };
        set_pointers(view, &[(row.cb_init, init(first))]);
        describe(view, abi, (row.name, row.description, row.config_map), &P::SPEC, refused);
        view.set::<c_int>(row.event_type, OUTPUT_TYPES);
        if refused {
            return;
        }
        view.set::<c_int>(row.workers, WORKERS);
        if P::TLS {
            view.set::<c_int>(row.flags, OPTIONAL_TLS);
        }
        set_pointers(
            view,
            &[
                (row.cb_flush, output::cb_flush::<P> as *mut c_void),
                (row.cb_exit, exit(output::cb_exit::<P>)),
            ],
        );
    });
}

/// Name, help and options. A host that we refuse gets no options, because it would step through
/// the table with a stride that we do not know.
fn describe(
    view: HostStruct,
    abi: &HostAbi,
    (name, description, options): (usize, usize, usize),
    spec: &Spec,
    refused: bool,
) {
    view.set(name, lend::eternal(spec.name));
    view.set(description, lend::eternal(spec.about));
    if !refused {
        view.set(options, config_map::table(spec.options, &abi.config_map));
    }
}

/// Fills a descriptor for whatever host this is.
fn fill(
    symbol: &str,
    descriptor: &'static Descriptor,
    body: impl FnOnce(HostStruct, &HostAbi, bool),
) {
    barrier::quietly(|| {
        // Read once now; later the environment is no business of ours.
        let _asked = barrier::asked_for();
        let view = descriptor.view();
        match (duplicate_load::look(), host()) {
            (Copies::Same(first), _) => {
                if let Some(theirs) = first.descriptor(symbol) {
                    // SAFETY: the other copy's constructor filled it, in the same build.
                    unsafe { adopt(theirs, view) };
                }
            }
            (Copies::None, Ok(host)) => {
                host.announce_dry_run();
                body(view, &host.abi, false);
            }
            (Copies::Different(why), _) => refuse_with_reason(view, why, body),
            (Copies::None, Err(why)) => refuse_with_reason(view, why, body),
        }
    });
}

/// Copies the descriptor of another mapping of this build.
unsafe fn adopt(theirs: *mut c_void, ours: HostStruct) {
    // SAFETY: the caller vouches for a whole descriptor; the two do not overlap.
    unsafe { ptr::copy_nonoverlapping(theirs.cast::<u8>(), ours.pointer().cast::<u8>(), BYTES) };
}

static REFUSAL: OnceLock<String> = OnceLock::new();

/// Fills what every release has had in the same place, so that an unknown host gets at least as
/// far as our words.
fn refuse_with_reason(view: HostStruct, why: &str, body: impl FnOnce(HostStruct, &HostAbi, bool)) {
    let _first = REFUSAL.get_or_init(|| why.to_owned());
    if let Some(newest) = ROWS.last() {
        body(view, newest, true);
    }
}

/// The init of a plugin that does not run in this host.
unsafe extern "C" fn refuse(
    _instance: *mut c_void,
    _config: *mut c_void,
    _data: *mut c_void,
) -> c_int {
    barrier::quietly(|| {
        let why = REFUSAL.get().map_or("no reason is known", String::as_str);
        log::print(LogLevel::Error, &format!("[fluent-bit-ai] {why}"));
    });
    -1
}
