//! Foreign calls of plugins' functions.
//!
//! Every function of a plugin is called as the type that Fluent Bit's headers give it. An [`Addr`]
//! is passed as a pointer is.

use std::ffi::c_void;

use crate::memory::Addr;

macro_rules! as_function {
    ($address:expr, $type:ty) => {{
        let pointer: *const c_void = $address.pointer();
        // SAFETY: the plugin has put a function of this type into its structure, or has handed it
        // to a function that takes one; it stays mapped while the plugin is loaded.
        unsafe { std::mem::transmute::<*const c_void, $type>(pointer) }
    }};
}

/// `cb_init(instance, config, data)`, and a collector's `cb(instance, config, context)`.
pub(crate) fn with_three(function: Addr, arguments: [Addr; 3]) -> i32 {
    let [first, second, third] = arguments;
    as_function!(function, extern "C" fn(Addr, Addr, Addr) -> i32)(first, second, third)
}

/// `cb_exit(context, config)`, `cb_pause`, `cb_resume` and the callbacks of workers.
pub(crate) fn with_two(function: Addr, first: Addr, second: Addr) -> i32 {
    as_function!(function, extern "C" fn(Addr, Addr) -> i32)(first, second)
}

/// `cb_flush(chunk, flush, input, context, config)`.
pub(crate) fn flush(function: Addr, arguments: [Addr; 5]) {
    let [chunk, flush, input, context, config] = arguments;
    as_function!(function, extern "C" fn(Addr, Addr, Addr, Addr, Addr))(
        chunk, flush, input, context, config,
    );
}

/// What a filter is called with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FilterCall {
    pub(crate) data: Addr,
    pub(crate) size: usize,
    pub(crate) tag: Addr,
    pub(crate) tag_length: i32,
    pub(crate) out: Addr,
    pub(crate) out_size: Addr,
    pub(crate) filter: Addr,
    pub(crate) input: Addr,
    pub(crate) context: Addr,
    pub(crate) config: Addr,
}

/// `cb_filter`.
pub(crate) fn filter(function: Addr, call: FilterCall) -> i32 {
    type CbFilter =
        extern "C" fn(Addr, usize, Addr, i32, Addr, Addr, Addr, Addr, Addr, Addr) -> i32;
    as_function!(function, CbFilter)(
        call.data,
        call.size,
        call.tag,
        call.tag_length,
        call.out,
        call.out_size,
        call.filter,
        call.input,
        call.context,
        call.config,
    )
}
