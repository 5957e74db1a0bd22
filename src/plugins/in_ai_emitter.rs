//! The input `ai_emitter`: where derived telemetry enters a pipeline that has no `ai_otlp`.

use std::time::Duration;

use super::derived::emitter::{self, Emitter};
use super::derived::max_memory::{self, ChunkLimit};
use crate::config::{Parser, options};
use crate::plugin::{Environment, Input, OpenError, Options, Pause, Sink, Spec, Waker};

options! {
    /// What is configured.
    struct Given in OPTIONS {
        limit: Option<usize> = max_memory::limit,
            Size "max_memory" = "67108864",
            "How much may wait in memory for the outputs, in the host's chunks, before derived telemetry \
             waits in the filters that made it; 0 is no limit. Not in force beside 'mem_buf_limit' or a \
             'storage.type' other than memory, by which the host bounds it.";
    }
}

/// The plugin.
#[derive(Debug)]
pub struct AiEmitter {
    emitter: Emitter,
    memory: ChunkLimit,
    /// It was not looked yet whether the limit that was given holds.
    check_memory: bool,
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
        let mut parser = Parser::new(options);
        let given = Given::read(&mut parser)?;
        let given = parser.finish(given)?;
        let memory = ChunkLimit::new(given.limit, &environment.counters, &environment.log);
        let check_memory = options.get(max_memory::NAME).is_some();
        Ok(Self { emitter: Emitter::new(&environment, waker), memory, check_memory })
    }

    fn on_wake(&mut self, sink: &mut dyn Sink) {
        if self.emitter.is_behind() {
            let room = self.memory.room(sink);
            self.emitter.tick(sink, room);
        }
    }

    fn on_tick(&mut self, sink: &mut dyn Sink) {
        if std::mem::take(&mut self.check_memory) {
            self.memory.warn_if_bounded(sink);
        }
        let room = self.memory.room(sink);
        self.emitter.tick(sink, room);
    }

    fn on_pause(&mut self, why: Pause, sink: &mut dyn Sink) {
        self.emitter.pause(why, sink);
    }

    fn on_resume(&mut self) {
        self.emitter.resume();
    }
}

crate::export_input!("in_ai_emitter", AiEmitter);
