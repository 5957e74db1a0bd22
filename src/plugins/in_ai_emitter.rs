//! The input `ai_emitter`: where derived telemetry enters a pipeline that has no `ai_otlp`.

use std::time::Duration;

use super::derived::emitter::{self, Emitter};
use super::derived::max_memory::{self, ChunkLimit};
use super::status_page::{self, RunningPage};
use crate::config::{Parser, options};
use crate::plugin::{
    Environment, Input, OpenError, OptionSpec, Options, Pause, Sink, Spec, Waker, joined,
};
use crate::receive::{ListenAddresses, PageAddress};

options! {
    /// What is configured.
    struct Given in OWN {
        limit: Option<usize> = max_memory::limit,
            Size "max_memory" = "67108864",
            "How much may wait in memory for the outputs, in the host's chunks, before derived telemetry \
             waits in the filters that made it; 0 is no limit. Not in force beside 'mem_buf_limit' or a \
             'storage.type' other than memory, by which the host bounds it.";
    }
}

const OPTIONS: &[OptionSpec] =
    &joined::<{ OWN.len() + status_page::OPTIONS.len() }>(&[OWN, status_page::OPTIONS]);

/// The plugin.
#[derive(Debug)]
pub struct AiEmitter {
    status: Option<RunningPage>,
    emitter: Emitter,
    memory: ChunkLimit,
    /// It was not looked yet whether the limit that was given holds.
    check_memory: bool,
}

fn settings(options: &dyn Options) -> Result<(Given, Option<PageAddress>), OpenError> {
    let mut parser = Parser::new(options);
    let given = Given::read(&mut parser)?;
    let status = status_page::read(&mut parser)?;
    parser.finish((given, status))
}

impl AiEmitter {
    fn start(
        options: &dyn Options,
        environment: &Environment,
        limit: Option<usize>,
        (status, waker): (Option<RunningPage>, Waker),
    ) -> Self {
        let memory = ChunkLimit::new(limit, &environment.counters, &environment.log);
        let check_memory = options.get(max_memory::NAME).is_some();
        Self { emitter: Emitter::new(environment, waker), status, memory, check_memory }
    }

    /// Opens an instance as the start does, while nothing listens. `taken` are the addresses of the inputs
    /// before it.
    ///
    /// # Errors
    /// What the start would refuse.
    pub fn check(
        options: &dyn Options,
        environment: &Environment,
        taken: &mut ListenAddresses,
    ) -> Result<Self, OpenError> {
        let (given, status) = settings(options)?;
        status_page::check(status.as_ref(), taken)?;
        Ok(Self::start(options, environment, given.limit, (None, Waker::new(|| {}))))
    }
}

impl Input for AiEmitter {
    const SPEC: Spec = Spec {
        name: "ai_emitter",
        about: "Where derived metrics and released traces enter the pipeline without ai_otlp",
        options: OPTIONS,
    };

    const TICK: Duration = emitter::TICK;

    fn open(
        options: &dyn Options,
        environment: Environment,
        waker: Waker,
    ) -> Result<Self, OpenError> {
        let (given, status) = settings(options)?;
        let status = RunningPage::open(status.as_ref(), &environment)?;
        Ok(Self::start(options, &environment, given.limit, (status, waker)))
    }

    fn on_wake(&mut self, sink: &mut dyn Sink) {
        if self.emitter.is_behind() {
            let room = self.memory.room(sink);
            self.emitter.tick(sink, room);
        }
    }

    fn on_tick(&mut self, sink: &mut dyn Sink) {
        if let Some(status) = &self.status {
            status.tick();
        }
        if std::mem::take(&mut self.check_memory) {
            self.memory.warn_if_bounded(sink);
        }
        let room = self.memory.room(sink);
        self.emitter.tick(sink, room);
    }

    fn on_pause(&mut self, why: Pause, sink: &mut dyn Sink) {
        if let Some(status) = &self.status {
            status.pause(why);
        }
        self.emitter.pause(why, sink);
    }

    fn on_resume(&mut self) {
        if let Some(status) = &self.status {
            status.resume();
        }
        self.emitter.resume();
    }
}

crate::export_input!("in_ai_emitter", AiEmitter);
