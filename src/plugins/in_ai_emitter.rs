//! The input `ai_emitter`: where derived telemetry enters a pipeline that has no `ai_otlp`.

use std::time::Duration;

use super::emitter::{self, Emitter};
use crate::plugin::{Environment, Input, OpenError, Options, Pause, Sink, Spec, Waker};

/// The plugin.
#[derive(Debug)]
pub struct AiEmitter {
    emitter: Emitter,
}

impl Input for AiEmitter {
    const SPEC: Spec = Spec {
        name: "ai_emitter",
        about: "Where derived metrics and released traces enter the pipeline without ai_otlp",
        options: &[],
    };

    const TICK: Duration = emitter::TICK;

    fn open(
        _options: &dyn Options,
        environment: Environment,
        _waker: Waker,
    ) -> Result<Self, OpenError> {
        Ok(Self { emitter: Emitter::new(&environment) })
    }

    fn on_wake(&mut self, _sink: &mut dyn Sink) {}

    fn on_tick(&mut self, sink: &mut dyn Sink) {
        self.emitter.tick(sink, false);
    }

    fn on_pause(&mut self, why: Pause, sink: &mut dyn Sink) {
        self.emitter.pause(why, sink);
    }

    fn on_resume(&mut self) {
        self.emitter.resume();
    }
}

crate::export_input!("in_ai_emitter", AiEmitter);
