//! Append adapter: the way from an input into the host's pipeline.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use super::abi::detect::RunningHost;
use super::abi::structs::InputInstance;
use super::host_struct::{HostPointer, HostStruct};
use super::processors::Processors;
use super::symbols::{InputFunctions, ProcessorFunctions};
use crate::plugin::{AppendRefused, Chunks, NativeKind, NotAppended, Sink};

/// The host's number for chunks of metrics.
const METRICS: c_int = 1;
/// The host's number for chunks of traces.
const TRACES: c_int = 2;
/// What the host notes of an input that may append, and of one that may not.
const RUNNING: c_int = 1;
/// The host's number for `storage.type memory`.
const IN_MEMORY: c_int = 1;
const PAUSED: c_int = 0;

/// Appends to one input instance. Made for the length of a callback on the engine's thread.
#[derive(Debug, Clone)]
pub(super) struct HostSink {
    host: &'static RunningHost,
    functions: InputFunctions,
    instance: HostPointer,
    config: HostPointer,
    appended: bool,
    /// What is appended is the rest of something.
    rest: bool,
    /// Everything behind the input has started.
    open: bool,
}

impl HostSink {
    /// A sink into `instance`, which must stay alive as long as the sink.
    pub(super) const fn new(
        host: &'static RunningHost,
        functions: InputFunctions,
        instance: HostPointer,
        config: HostPointer,
    ) -> Self {
        Self { host, functions, instance, config, appended: false, rest: false, open: false }
    }

    /// A sink for one callback. As long as the engine does not run it takes nothing: a start that
    /// fails pauses the inputs while some filters have no state yet, and an append would run
    /// through them.
    pub(super) fn for_callback(&self, engine_runs: bool) -> Self {
        Self { open: engine_runs, ..self.clone() }
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

    pub(super) fn view(&self) -> HostStruct {
        // SAFETY: the instance lives as long as the sink, and is laid out as the row says.
        unsafe { HostStruct::new(self.instance.0, self.host.abi.input.size) }
    }

    /// Keeps the host from refusing the rest of something for a pause that the part brought about.
    fn open_for_rest(&self) -> Option<Opened> {
        self.rest.then(|| Opened::open(self.view(), &self.host.abi.input))
    }

    /// Whether the host's configuration gives the instance processors.
    fn has_processors(&self, functions: &ProcessorFunctions) -> bool {
        let processor: *mut c_void = self.view().get(self.host.abi.input.processor);
        // SAFETY: the processor is the host's own, and this is the engine's thread.
        !processor.is_null() && unsafe { (functions.flb_processor_is_active)(processor) } != 0
    }

    fn processors(&self, functions: &'static ProcessorFunctions) -> Processors {
        let (row, instance) = (&self.host.abi.input, self.view());
        Processors {
            functions,
            is_empty: self.host.symbols.empty.as_ref(),
            release: self.host.abi.first,
            processor: instance.get(row.processor),
            own_tag: instance.get(row.tag),
        }
    }
}

/// An input that counts as running for as long as this lives. The host only looks at what it noted,
/// and notes it anew after each append and whenever it has sent something.
struct Opened {
    instance: HostStruct,
    /// The offsets of what said that it is paused.
    paused: [Option<usize>; 2],
}

impl Opened {
    fn open(instance: HostStruct, row: &InputInstance) -> Self {
        let paused = [row.mem_buf_status, row.storage_buf_status]
            .map(|status| (instance.get::<c_int>(status) == PAUSED).then_some(status));
        for status in paused.into_iter().flatten() {
            instance.set(status, RUNNING);
        }
        Self { instance, paused }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        for status in self.paused.into_iter().flatten() {
            self.instance.set(status, PAUSED);
        }
    }
}

/// Parts of the host read a tag up to a zero, whatever its length says.
struct Tag(Vec<u8>);

impl Tag {
    fn new(tag: &[u8]) -> Self {
        Self(tag.iter().copied().chain(std::iter::once(0)).collect())
    }

    fn text(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }

    fn length(&self) -> usize {
        self.0.len().saturating_sub(1)
    }

    /// Null stands for the input's own tag.
    fn pointer(&self) -> *const c_char {
        if self.length() == 0 { ptr::null() } else { self.0.as_ptr().cast() }
    }
}

impl Sink for HostSink {
    fn append(&mut self, tag: &[u8], records: usize, events: &[u8]) -> Result<(), AppendRefused> {
        if events.is_empty() {
            return Ok(());
        }
        if !self.open {
            return Err(AppendRefused);
        }
        let tag = Tag::new(tag);
        let _opened = self.open_for_rest();
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
        if appended == 0 { Ok(()) } else { Err(AppendRefused) }
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
        if !self.open {
            return Err(NotAppended::Refused);
        }
        let tag = Tag::new(tag);
        self.appended = true;
        let processed;
        let contexts = match &self.host.symbols.processors {
            Some(functions) if self.has_processors(functions) => {
                processed = self.processors(functions).run(tag.text(), kind, contexts)?;
                // Everything was taken out, or kept for later, by a processor.
                if processed.is_empty() {
                    return Ok(());
                }
                &processed
            }
            _ => contexts,
        };
        let native = self.host.symbols.native.as_ref();
        let native = native.ok_or(NotAppended::Unsupported("it has no function for them"))?;
        let number = match kind {
            NativeKind::Metrics => METRICS,
            NativeKind::Traces => TRACES,
        };
        let _opened = self.open_for_rest();
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

    fn rest_follows(&mut self, rest: bool) {
        self.rest = rest;
    }

    fn chunks(&self) -> Chunks {
        let (offsets, instance) = (self.host.abi.input_memory(), self.view());
        Chunks {
            bytes: instance.get(offsets.chunks),
            bounded: instance.get::<usize>(offsets.limit) > 0
                || instance.get::<c_int>(offsets.storage_type) != IN_MEMORY,
        }
    }

    fn flush_now(&mut self) {
        self.appended = false;
        if !self.open {
            return;
        }
        // SAFETY: this is the engine's thread, and the configuration is the running one.
        unsafe { (self.functions.flb_engine_flush)(self.config.0, ptr::null_mut()) };
    }
}
