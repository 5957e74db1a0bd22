//! Symbol resolution: the host's functions, found by name. None is linked: the library is bound
//! when it is loaded, so one function that a release lacks would make the whole file unloadable.

use std::ffi::{CStr, c_char, c_int, c_long, c_void};

/// A pointer that belongs to the host.
type Pointer = *mut c_void;

/// Called by the host when a collector has something to do.
pub(super) type Collect = unsafe extern "C" fn(Pointer, Pointer, Pointer) -> c_int;
/// Called by the host when a timer is due.
pub(super) type OnTimer = unsafe extern "C" fn(Pointer, Pointer);

/// The address of a symbol that the process has loaded, unless our own test host says that the
/// release it imitates lacks it.
pub(super) fn address(name: &CStr) -> Option<Pointer> {
    let found = loaded(name)?;
    let Some(lacks) = loaded(c"fluent_bit_ai_bundled_host_lacks") else { return Some(found) };
    // SAFETY: only our own test host exports this name, with this prototype.
    let lacks = unsafe {
        std::mem::transmute::<Pointer, unsafe extern "C" fn(*const c_char) -> c_int>(lacks)
    };
    // SAFETY: the name ends with a zero.
    let lacking = unsafe { lacks(name.as_ptr()) };
    (lacking == 0).then_some(found)
}

fn loaded(name: &CStr) -> Option<Pointer> {
    // SAFETY: the name ends with a zero; RTLD_DEFAULT is always a valid handle.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

/// Declares a group of host functions that is there as a whole or not at all, with another group as a
/// part of it.
macro_rules! functions {
    ($(#[$about:meta])* $group:ident $(with $part:ident: $other:ident)? {
        $($name:ident: $kind:ty,)*
    }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $group {
            $(pub(super) $part: $other,)?
            $(pub(super) $name: $kind,)*
        }

        impl $group {
            /// The group, or the names of what the host does not have.
            pub(super) fn load() -> Result<Self, Vec<&'static str>> {
                let mut missing = Vec::new();
                $(let $part = $other::load().map_err(|names| missing.extend(names)).ok();)?
                $(
                    let name = concat!(stringify!($name), "\0");
                    let $name = CStr::from_bytes_with_nul(name.as_bytes())
                        .ok()
                        .and_then(address);
                    if $name.is_none() {
                        missing.push(stringify!($name));
                    }
                )*
                match ($($part,)? $($name,)*) {
                    ($(Some($part),)? $(Some($name),)*) => Ok(Self {
                        $($part,)?
                        $(
                            // SAFETY: the host exports a function of this name with this
                            // prototype in every supported release.
                            $name: unsafe { std::mem::transmute::<Pointer, $kind>($name) },
                        )*
                    }),
                    _ => Err(missing),
                }
            }
        }
    };
}

functions! {
    /// What every plugin needs.
    CommonFunctions {
        flb_log_print: unsafe extern "C" fn(c_int, *const c_char, c_int, *const c_char, ...),
    }
}

functions! {
    /// What calls us on a thread of the host again and again.
    TimerFunctions {
        flb_sched_ctx_get: unsafe extern "C" fn() -> Pointer,
        flb_sched_timer_cb_create:
            unsafe extern "C" fn(Pointer, c_int, c_int, OnTimer, Pointer, *mut Pointer) -> c_int,
        flb_sched_timer_invalidate: unsafe extern "C" fn(Pointer),
    }
}

functions! {
    /// What a filter needs.
    FilterFunctions with timer: TimerFunctions {
        flb_filter_set_context: unsafe extern "C" fn(Pointer, Pointer),
    }
}

functions! {
    /// What an input needs.
    InputFunctions {
        flb_input_set_context: unsafe extern "C" fn(Pointer, Pointer),
        flb_input_set_collector_event:
            unsafe extern "C" fn(Pointer, Collect, c_int, Pointer) -> c_int,
        flb_input_set_collector_time:
            unsafe extern "C" fn(Pointer, Collect, libc::time_t, c_long, Pointer) -> c_int,
        flb_input_collector_pause: unsafe extern "C" fn(c_int, Pointer) -> c_int,
        flb_input_log_append:
            unsafe extern "C" fn(Pointer, *const c_char, usize, *const c_void, usize) -> c_int,
        flb_engine_flush: unsafe extern "C" fn(Pointer, Pointer) -> c_int,
    }
}

functions! {
    /// What an input uses where the host has it: it spares the host counting the records.
    AppendFunctions {
        flb_input_log_append_records: unsafe extern "C" fn(
            Pointer, usize, *const c_char, usize, *const c_void, usize
        ) -> c_int,
    }
}

functions! {
    /// What appends contexts of the host's own.
    NativeFunctions {
        flb_input_chunk_append_raw: unsafe extern "C" fn(
            Pointer, c_int, usize, *const c_char, usize, *const c_void, usize
        ) -> c_int,
    }
}

functions! {
    /// What runs the processors of an input, which see the host's own structures.
    ProcessorFunctions {
        flb_processor_is_active: unsafe extern "C" fn(Pointer) -> c_int,
        ctr_decode_msgpack_create: Decode,
        ctr_destroy: unsafe extern "C" fn(Pointer),
        cmt_decode_msgpack_create: Decode,
        cmt_destroy: unsafe extern "C" fn(Pointer),
        flb_processor_run: RunProcessors,
        ctr_encode_msgpack_create: Encode,
        ctr_encode_msgpack_destroy: unsafe extern "C" fn(*mut c_char),
        cmt_encode_msgpack_create: Encode,
        cmt_encode_msgpack_destroy: unsafe extern "C" fn(*mut c_char),
    }
}

functions! {
    /// What says whether processors left any metrics (4.0).
    EmptyFunctions {
        flb_metrics_is_empty: unsafe extern "C" fn(Pointer) -> c_int,
    }
}

/// Decodes a context: where its address goes, the bytes, their number, where to begin and where it
/// ended.
pub(super) type Decode =
    unsafe extern "C" fn(*mut Pointer, *const c_char, usize, *mut usize) -> c_int;
/// Encodes a context: the context, where the bytes' address goes, and their number.
pub(super) type Encode = unsafe extern "C" fn(Pointer, *mut *mut c_char, *mut usize) -> c_int;
/// Runs processors: these, the first stage, the kind of data, tag and its length, the context, an
/// unused length, where the address of the changed context goes, and an unused place.
pub(super) type RunProcessors = unsafe extern "C" fn(
    Pointer,
    usize,
    c_int,
    *const c_char,
    usize,
    Pointer,
    usize,
    *mut Pointer,
    *mut usize,
) -> c_int;

functions! {
    /// What an output needs.
    OutputFunctions with timer: TimerFunctions {
        flb_output_set_context: unsafe extern "C" fn(Pointer, Pointer),
        flb_output_set_property:
            unsafe extern "C" fn(Pointer, *const c_char, *const c_char) -> c_int,
        flb_output_thread_instance_get: unsafe extern "C" fn() -> Pointer,
        flb_output_flush_prepare_destroy: unsafe extern "C" fn(Pointer),
        flb_event_chunk_destroy: unsafe extern "C" fn(Pointer),
        flb_input_chunk_get_name: unsafe extern "C" fn(Pointer) -> *const c_char,
        flb_coro_set: unsafe extern "C" fn(Pointer),
        co_active: unsafe extern "C" fn() -> Pointer,
        co_switch: unsafe extern "C" fn(Pointer),
    }
}

functions! {
    /// What an output uses where the host traces chunks.
    TraceFunctions {
        flb_chunk_trace_output: unsafe extern "C" fn(Pointer, Pointer, c_int) -> c_int,
    }
}

functions! {
    /// What publishes our counters.
    MetricFunctions {
        cmt_counter_create: Create,
        cmt_counter_set: Set,
        cmt_gauge_create: Create,
        cmt_gauge_set: Set,
    }
}

functions! {
    /// What sets options, run on memory of ours to see where they go.
    SetterFunctions {
        flb_input_set_property: SetProperty,
        flb_filter_set_property: SetProperty,
        flb_output_set_property: SetProperty,
        flb_input_name: unsafe extern "C" fn(Pointer) -> *const c_char,
        flb_filter_name: unsafe extern "C" fn(Pointer) -> *const c_char,
        flb_output_name: unsafe extern "C" fn(Pointer) -> *const c_char,
        flb_sds_destroy: unsafe extern "C" fn(Pointer),
        flb_kv_item_destroy: unsafe extern "C" fn(Pointer),
    }
}

/// Sets an option of an instance.
type SetProperty = unsafe extern "C" fn(Pointer, *const c_char, *const c_char) -> c_int;
/// Makes a metric: context, namespace, subsystem, name, help, number of labels, their names.
type Create = unsafe extern "C" fn(
    Pointer,
    *const c_char,
    *const c_char,
    *const c_char,
    *const c_char,
    c_int,
    *const *const c_char,
) -> Pointer;
/// Sets a metric: metric, nanoseconds since the Unix epoch, value, number of labels, their values.
type Set = unsafe extern "C" fn(Pointer, u64, f64, c_int, *const *const c_char) -> c_int;

/// Everything that was found.
#[derive(Debug)]
pub(super) struct Symbols {
    pub(super) common: Result<CommonFunctions, Vec<&'static str>>,
    pub(super) filter: Result<FilterFunctions, Vec<&'static str>>,
    pub(super) input: Result<InputFunctions, Vec<&'static str>>,
    pub(super) output: Result<OutputFunctions, Vec<&'static str>>,
    pub(super) append: Option<AppendFunctions>,
    pub(super) native: Option<NativeFunctions>,
    pub(super) processors: Option<ProcessorFunctions>,
    pub(super) empty: Option<EmptyFunctions>,
    pub(super) trace: Option<TraceFunctions>,
    pub(super) metrics: Option<MetricFunctions>,
    pub(super) setters: Option<SetterFunctions>,
}

impl Symbols {
    /// Looks everything up.
    pub(super) fn load() -> Self {
        Self {
            common: CommonFunctions::load(),
            filter: FilterFunctions::load(),
            input: InputFunctions::load(),
            output: OutputFunctions::load(),
            append: AppendFunctions::load().ok(),
            native: NativeFunctions::load().ok(),
            processors: ProcessorFunctions::load().ok(),
            empty: EmptyFunctions::load().ok(),
            trace: TraceFunctions::load().ok(),
            metrics: MetricFunctions::load().ok(),
            setters: SetterFunctions::load().ok(),
        }
    }
}

/// `found`, or what to tell a user whose host lacks functions.
pub(super) fn required<T>(
    found: &'static Result<T, Vec<&'static str>>,
) -> Result<&'static T, String> {
    found.as_ref().map_err(|missing| {
        format!("this host does not export what the plugin needs: {}", missing.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        // No Fluent Bit is loaded into the test.
        static FOUND: std::sync::OnceLock<Symbols> = std::sync::OnceLock::new();
        let symbols = FOUND.get_or_init(Symbols::load);
        let refusal = required(&symbols.input).unwrap_err();
        assert!(refusal.contains("flb_input_set_collector_event"), "{refusal}");
        assert!(symbols.metrics.is_none());
        assert!(address(c"malloc").is_some());
    }
}
