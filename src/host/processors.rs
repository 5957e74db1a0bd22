//! Processor runner: the processors of an input, run on what `format: native` brings in.
//!
//! The host's functions that append a context run the processors and store the result in one call,
//! and one answer stands for both. A processor that fails on some data does so each time, and its
//! sender would send again for ever, as if the pipeline were paused. So the processors run here,
//! before anything is appended: what they fail on is refused for good, and what they made of a
//! request is stored in one append, all of it or nothing.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use super::abi::row::Release;
use super::lend;
use super::symbols::{Decode, EmptyFunctions, Encode, ProcessorFunctions, RunProcessors};
use crate::plugin::{NativeKind, NotAppended};

/// The host's number for processors of metrics.
const METRICS: c_int = 2;
/// The host's number for processors of traces.
const TRACES: c_int = 4;
/// From this release on processors of traces give back another context, or none if they keep it.
const TRACES_ARE_GIVEN_BACK: Release = Release::new(4, 0, 0);

/// The processors of one input, for the length of a callback on the engine's thread.
pub(super) struct Processors {
    pub(super) functions: &'static ProcessorFunctions,
    pub(super) is_empty: Option<&'static EmptyFunctions>,
    pub(super) release: Release,
    pub(super) processor: *mut c_void,
    /// The input's own tag, text that ends with a zero, or null.
    pub(super) own_tag: *mut c_void,
}

impl Processors {
    /// Contexts as the processors made them of `contexts`, encoded. Nothing if they took everything
    /// out. An empty `tag` stands for the input's own.
    pub(super) fn run(
        &self,
        tag: &CStr,
        kind: NativeKind,
        contexts: &[u8],
    ) -> Result<Vec<u8>, NotAppended> {
        let form = Form::of(kind, self.functions);
        // Everything is decoded before a processor sees anything: they may keep state.
        let decoded = Context::decode_all(contexts, &form)?;
        let tag = self.tag(tag);
        let mut processed = Vec::with_capacity(contexts.len());
        for context in decoded {
            let Some(changed) = self.change(tag, kind, context, form.destroy)? else { continue };
            if !self.is_empty(kind, &changed) {
                changed.encode(&form, &mut processed)?;
            }
        }
        Ok(processed)
    }

    /// Where the tag is, which ends with a zero, and its length.
    fn tag(&self, tag: &CStr) -> (*const c_char, usize) {
        if !tag.is_empty() || self.own_tag.is_null() {
            return (tag.as_ptr(), tag.count_bytes());
        }
        // SAFETY: the instance's tag is text of the host's that stays as long as the instance.
        let own = unsafe { lend::c_bytes(self.own_tag) };
        (self.own_tag.cast_const().cast(), own.len())
    }

    /// What the processors made of a context; `None` if they keep it for themselves.
    fn change(
        &self,
        (tag, length): (*const c_char, usize),
        kind: NativeKind,
        mut context: Context,
        destroy: unsafe extern "C" fn(*mut c_void),
    ) -> Result<Option<Context>, NotAppended> {
        let number = match kind {
            NativeKind::Metrics => METRICS,
            NativeKind::Traces => TRACES,
        };
        let in_place = kind == NativeKind::Traces && self.release < TRACES_ARE_GIVEN_BACK;
        let run: RunProcessors = self.functions.flb_processor_run;
        let mut changed: *mut c_void = ptr::null_mut();
        let out: *mut *mut c_void = if in_place { ptr::null_mut() } else { &raw mut changed };
        // SAFETY: the tag, the context and the place outlive the call, this is the engine's thread,
        // and the host itself passes null where it wants no length.
        let failed = unsafe {
            run(self.processor, 0, number, tag, length, context.at, 0, out, ptr::null_mut())
        };
        if failed != 0 {
            return Err(NotAppended::Processors("a processor of the input failed on the request"));
        }
        if in_place || changed == context.at {
            return Ok(Some(context));
        }
        if !changed.is_null() {
            return Ok(Some(Context { at: changed, destroy }));
        }
        match kind {
            NativeKind::Metrics => Ok(Some(context)),
            NativeKind::Traces => {
                context.at = ptr::null_mut();
                Ok(None)
            }
        }
    }

    fn is_empty(&self, kind: NativeKind, context: &Context) -> bool {
        let Some(functions) = self.is_empty.filter(|_| kind == NativeKind::Metrics) else {
            return false;
        };
        // SAFETY: the context is one of metrics, and alive.
        unsafe { (functions.flb_metrics_is_empty)(context.at) != 0 }
    }
}

/// The host's functions for one kind of contexts.
struct Form {
    decode: Decode,
    encode: Encode,
    free: unsafe extern "C" fn(*mut c_char),
    destroy: unsafe extern "C" fn(*mut c_void),
}

impl Form {
    fn of(kind: NativeKind, functions: &ProcessorFunctions) -> Self {
        match kind {
            NativeKind::Metrics => Self {
                decode: functions.cmt_decode_msgpack_create,
                encode: functions.cmt_encode_msgpack_create,
                free: functions.cmt_encode_msgpack_destroy,
                destroy: functions.cmt_destroy,
            },
            NativeKind::Traces => Self {
                decode: functions.ctr_decode_msgpack_create,
                encode: functions.ctr_encode_msgpack_create,
                free: functions.ctr_encode_msgpack_destroy,
                destroy: functions.ctr_destroy,
            },
        }
    }
}

/// A context as the host's own structure, destroyed by the host's own function.
struct Context {
    at: *mut c_void,
    destroy: unsafe extern "C" fn(*mut c_void),
}

impl Drop for Context {
    fn drop(&mut self) {
        if !self.at.is_null() {
            // SAFETY: the context is what the host made, and nothing else has it.
            unsafe { (self.destroy)(self.at) };
        }
    }
}

impl Context {
    fn decode_all(bytes: &[u8], form: &Form) -> Result<Vec<Self>, NotAppended> {
        let mut contexts = Vec::new();
        let mut offset = 0_usize;
        while offset < bytes.len() {
            let (before, mut at) = (offset, ptr::null_mut());
            let (start, length) = (bytes.as_ptr().cast(), bytes.len());
            // SAFETY: the bytes outlive the call, and both places are our own.
            let failed = unsafe { (form.decode)(&raw mut at, start, length, &raw mut offset) };
            if failed != 0 || at.is_null() || offset <= before {
                return Err(NotAppended::Unsupported("it cannot read them"));
            }
            contexts.push(Self { at, destroy: form.destroy });
        }
        Ok(contexts)
    }

    fn encode(&self, form: &Form, out: &mut Vec<u8>) -> Result<(), NotAppended> {
        let (mut bytes, mut length): (*mut c_char, usize) = (ptr::null_mut(), 0);
        // SAFETY: the context is alive, and both places are our own.
        let failed = unsafe { (form.encode)(self.at, &raw mut bytes, &raw mut length) };
        if failed != 0 || bytes.is_null() {
            return Err(NotAppended::Processors(
                "what a processor of the input made of the request cannot be stored",
            ));
        }
        // SAFETY: the host made this many bytes, and they stay until they are freed below.
        out.extend_from_slice(unsafe { lend::bytes(bytes.cast(), length) });
        // SAFETY: the bytes are the host's, and nothing else has them.
        unsafe { (form.free)(bytes) };
        Ok(())
    }
}
