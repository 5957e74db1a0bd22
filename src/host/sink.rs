//! The way from an input into the host's pipeline.

use std::ffi::c_char;
use std::ptr;

use super::raw::HostPointer;
use super::symbols::{AppendFunctions, InputFunctions};
use crate::plugin::{Refused, Sink};

/// Appends to one input instance. Made for the length of a callback on the engine's thread.
#[derive(Debug, Clone)]
pub(super) struct HostSink {
    functions: InputFunctions,
    append: Option<AppendFunctions>,
    instance: HostPointer,
    config: HostPointer,
    appended: bool,
}

impl HostSink {
    /// A sink into `instance`, which must stay alive as long as the sink.
    pub(super) const fn new(
        functions: InputFunctions,
        append: Option<AppendFunctions>,
        instance: HostPointer,
        config: HostPointer,
    ) -> Self {
        Self { functions, append, instance, config, appended: false }
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
}

impl Sink for HostSink {
    fn append(&mut self, tag: &[u8], records: usize, events: &[u8]) -> Result<(), Refused> {
        if events.is_empty() {
            return Ok(());
        }
        // Parts of the host read a tag up to a zero, whatever its length says.
        let terminated: Vec<u8> = tag.iter().copied().chain(std::iter::once(0)).collect();
        let tag_at: *const c_char =
            if tag.is_empty() { ptr::null() } else { terminated.as_ptr().cast() };
        let events_at = events.as_ptr().cast();
        let appended = match self.append {
            // SAFETY: the tag and the events outlive the call, which copies them; this is the
            // engine's thread.
            Some(append) => unsafe {
                (append.flb_input_log_append_records)(
                    self.instance.0,
                    records,
                    tag_at,
                    tag.len(),
                    events_at,
                    events.len(),
                )
            },
            // SAFETY: as above.
            None => unsafe {
                (self.functions.flb_input_log_append)(
                    self.instance.0,
                    tag_at,
                    tag.len(),
                    events_at,
                    events.len(),
                )
            },
        };
        self.appended = true;
        if appended == 0 { Ok(()) } else { Err(Refused) }
    }

    fn flush_now(&mut self) {
        self.appended = false;
        // SAFETY: this is the engine's thread, and the configuration is the running one.
        unsafe { (self.functions.flb_engine_flush)(self.config.0, ptr::null_mut()) };
    }
}
