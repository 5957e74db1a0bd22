//! The way from an input into the host's pipeline.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use super::abi::detect::Host;
use super::abi::row::Release;
use super::raw::{HostPointer, View};
use super::symbols::{Append, Decode, InputFunctions, ProcessorFunctions};
use crate::plugin::{NativeKind, NotAppended, Refused, Sink};

/// The host's number for chunks of metrics.
const METRICS: c_int = 1;
/// The host's number for chunks of traces.
const TRACES: c_int = 2;
/// From this release on the host destroys a context of traces that it took.
const TRACES_ARE_TAKEN_OVER: Release = Release::new(4, 0, 0);

/// Appends to one input instance. Made for the length of a callback on the engine's thread.
#[derive(Debug, Clone)]
pub(super) struct HostSink {
    host: &'static Host,
    functions: InputFunctions,
    instance: HostPointer,
    config: HostPointer,
    appended: bool,
}

impl HostSink {
    /// A sink into `instance`, which must stay alive as long as the sink.
    pub(super) const fn new(
        host: &'static Host,
        functions: InputFunctions,
        instance: HostPointer,
        config: HostPointer,
    ) -> Self {
        Self { host, functions, instance, config, appended: false }
    }

    /// The instance that is appended to.
    pub(super) const fn instance(&self) -> HostPointer {
        self.instance
    }

    /// Sends what was appended through this sink on its way, if anything was.
    pub(super) fn flush_appended(&mut self) {
        if self.appended {
            self.flush_now();
        }
    }

    /// Whether the host's configuration gives the instance processors.
    fn has_processors(&self, functions: &ProcessorFunctions) -> bool {
        let row = &self.host.abi.input;
        // SAFETY: the instance lives as long as the sink, and is laid out as the row says.
        let instance = unsafe { View::new(self.instance.0, row.size) };
        let processor: *mut c_void = instance.get(row.processor);
        // SAFETY: the processor is the host's own, and this is the engine's thread.
        !processor.is_null() && unsafe { (functions.flb_processor_is_active)(processor) } != 0
    }

    /// Appends contexts as the host's own structures, which its processors see.
    fn append_decoded(
        &self,
        functions: &ProcessorFunctions,
        tag: &Tag,
        kind: NativeKind,
        contexts: &[u8],
    ) -> Result<(), NotAppended> {
        let (decode, append, destroy, taken_over) = match kind {
            NativeKind::Metrics => (
                functions.cmt_decode_msgpack_create,
                functions.flb_input_metrics_append,
                functions.cmt_destroy,
                false,
            ),
            NativeKind::Traces => (
                functions.ctr_decode_msgpack_create,
                functions.flb_input_trace_append,
                functions.ctr_destroy,
                self.host.abi.first >= TRACES_ARE_TAKEN_OVER,
            ),
        };
        // Everything is decoded before anything is appended, so that what the host cannot read
        // leaves nothing behind.
        for mut context in Contexts::decode(contexts, decode, destroy)?.0.drain(..) {
            let appended = append_one(append, self.instance, tag, &context);
            if appended && taken_over {
                context.at = ptr::null_mut();
            }
            if !appended {
                return Err(NotAppended::Refused);
            }
        }
        Ok(())
    }
}

fn append_one(append: Append, instance: HostPointer, tag: &Tag, context: &Context) -> bool {
    // SAFETY: the tag and the context outlive the call, and this is the engine's thread.
    unsafe { append(instance.0, tag.pointer(), tag.length(), context.at) == 0 }
}

/// Parts of the host read a tag up to a zero, whatever its length says.
struct Tag(Vec<u8>);

impl Tag {
    fn new(tag: &[u8]) -> Self {
        Self(tag.iter().copied().chain(std::iter::once(0)).collect())
    }

    fn length(&self) -> usize {
        self.0.len().saturating_sub(1)
    }

    /// Null stands for the input's own tag.
    fn pointer(&self) -> *const c_char {
        if self.length() == 0 { ptr::null() } else { self.0.as_ptr().cast() }
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
            // SAFETY: the context is what the host's decoder made, and nothing else has it.
            unsafe { (self.destroy)(self.at) };
        }
    }
}

struct Contexts(Vec<Context>);

impl Contexts {
    fn decode(
        bytes: &[u8],
        decode: Decode,
        destroy: unsafe extern "C" fn(*mut c_void),
    ) -> Result<Self, NotAppended> {
        let mut contexts = Vec::new();
        let mut offset = 0_usize;
        while offset < bytes.len() {
            let (before, mut at) = (offset, ptr::null_mut());
            // SAFETY: the bytes outlive the call, and both places are our own.
            let failed =
                unsafe { decode(&raw mut at, bytes.as_ptr().cast(), bytes.len(), &raw mut offset) };
            if failed != 0 || at.is_null() || offset <= before {
                return Err(NotAppended::Unsupported("it cannot read them"));
            }
            contexts.push(Context { at, destroy });
        }
        Ok(Self(contexts))
    }
}

impl Sink for HostSink {
    fn append(&mut self, tag: &[u8], records: usize, events: &[u8]) -> Result<(), Refused> {
        if events.is_empty() {
            return Ok(());
        }
        let tag = Tag::new(tag);
        let events_at = events.as_ptr().cast();
        let appended = match self.host.symbols.append {
            // SAFETY: the tag and the events outlive the call, which copies them; this is the
            // engine's thread.
            Some(append) => unsafe {
                (append.flb_input_log_append_records)(
                    self.instance.0,
                    records,
                    tag.pointer(),
                    tag.length(),
                    events_at,
                    events.len(),
                )
            },
            // SAFETY: as above.
            None => unsafe {
                (self.functions.flb_input_log_append)(
                    self.instance.0,
                    tag.pointer(),
                    tag.length(),
                    events_at,
                    events.len(),
                )
            },
        };
        self.appended = true;
        if appended == 0 { Ok(()) } else { Err(Refused) }
    }

    fn append_native(
        &mut self,
        tag: &[u8],
        kind: NativeKind,
        contexts: &[u8],
    ) -> Result<(), NotAppended> {
        if contexts.is_empty() {
            return Ok(());
        }
        let tag = Tag::new(tag);
        self.appended = true;
        if let Some(functions) = &self.host.symbols.processors
            && self.has_processors(functions)
        {
            return self.append_decoded(functions, &tag, kind, contexts);
        }
        let native = self.host.symbols.native.as_ref();
        let native = native.ok_or(NotAppended::Unsupported("it has no function for them"))?;
        let number = match kind {
            NativeKind::Metrics => METRICS,
            NativeKind::Traces => TRACES,
        };
        // The host does not count what is in contexts; none at all would look like an empty chunk.
        let records = 1;
        // SAFETY: the tag and the contexts outlive the call, which copies them; this is the
        // engine's thread.
        let appended = unsafe {
            (native.flb_input_chunk_append_raw)(
                self.instance.0,
                number,
                records,
                tag.pointer(),
                tag.length(),
                contexts.as_ptr().cast(),
                contexts.len(),
            )
        };
        if appended == 0 { Ok(()) } else { Err(NotAppended::Refused) }
    }

    fn flush_now(&mut self) {
        self.appended = false;
        // SAFETY: this is the engine's thread, and the configuration is the running one.
        unsafe { (self.functions.flb_engine_flush)(self.config.0, ptr::null_mut()) };
    }
}
