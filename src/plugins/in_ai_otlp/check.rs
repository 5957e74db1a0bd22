//! Start without a host: what a start of the input would say, while nothing listens.

use std::sync::Arc;

use super::{NativeWarning, settings};
use crate::plugin::{Environment, OpenError, Options, Sink};
use crate::plugins::derived::max_memory;
use crate::plugins::status_page;
use crate::receive::{self, ListenAddresses, Receiver};
use crate::stats::Log;

/// An input whose configuration was found right.
#[derive(Debug)]
pub struct OtlpCheck {
    warning: Option<NativeWarning>,
    max_memory: Option<usize>,
    log: Arc<Log>,
}

impl OtlpCheck {
    /// Checks a configuration as the start does. `taken` are the addresses of the inputs before it.
    ///
    /// # Errors
    /// What the start would refuse.
    pub fn of(
        options: &dyn Options,
        environment: &Environment,
        taken: &mut ListenAddresses,
    ) -> Result<Self, OpenError> {
        let (settings, status) = settings(options, environment)?;
        Receiver::check(&settings, &environment.counters, &environment.log, taken)?;
        status_page::check(status.as_ref(), taken)?;
        environment.hub.add_emitter();
        let is_given = options.get(max_memory::NAME).is_some();
        Ok(Self {
            warning: NativeWarning::of(&settings, environment),
            max_memory: settings.max_memory.filter(|_| is_given),
            log: Arc::clone(&environment.log),
        })
    }

    /// Says what the input says at its first tick, when everything has started.
    pub fn finish(self, sink: &dyn Sink) {
        if let Some(warning) = self.warning {
            warning.give();
        }
        receive::warn_if_bounded(self.max_memory, sink, &self.log);
    }
}
