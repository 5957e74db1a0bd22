//! The input `ai_emitter`: where derived telemetry enters a pipeline that has no `ai_otlp`, and pages of metrics
//! that are scraped.

mod scrape;

use std::time::Duration;

use super::derived::emitter::{self, Emitter};
use super::derived::max_memory::{self, ChunkLimit};
use super::out_multi_otlp::family;
use super::out_multi_otlp::given::OptionsByName;
use crate::config::{Parser, options};
use crate::plugin::{Environment, Input, OpenError, Options, Pause, Sink, Spec, Waker};
use crate::scrape::{ScrapeSettings, Scraper};

options! {
    /// What is configured.
    struct Given in OPTIONS {
        limit: Option<usize> = max_memory::limit,
            Size "max_memory" = "67108864",
            "How much may wait in memory for the outputs, in the host's chunks, before derived telemetry \
             waits in the filters that made it; 0 is no limit. Not in force beside 'mem_buf_limit' or a \
             'storage.type' other than memory, by which the host bounds it.";
        scrape: OptionsByName = family,
            Prefix "scrape." [repeated],
            scrape::HELP;
    }
}

/// The plugin.
#[derive(Debug)]
pub struct AiEmitter {
    emitter: Emitter,
    scraper: Option<Scraper>,
    memory: ChunkLimit,
    /// It was not looked yet whether the limit that was given holds.
    check_memory: bool,
}

impl Input for AiEmitter {
    const SPEC: Spec = Spec {
        name: "ai_emitter",
        about: "Scrapes Prometheus and OpenMetrics pages; where derived metrics and released traces enter the \
                pipeline without ai_otlp",
        options: OPTIONS,
    };

    const TICK: Duration = emitter::TICK;

    fn open(
        options: &dyn Options,
        environment: Environment,
        waker: Waker,
    ) -> Result<Self, OpenError> {
        let (mut input, settings) = Self::prepare(options, &environment)?;
        if !settings.targets.is_empty() {
            let Environment { counters, log, .. } = &environment;
            input.scraper = Some(Scraper::open(&settings, &waker, counters, log)?);
        }
        Ok(input)
    }

    fn on_wake(&mut self, sink: &mut dyn Sink) {
        self.append_scraped(sink);
    }

    fn on_tick(&mut self, sink: &mut dyn Sink) {
        if std::mem::take(&mut self.check_memory) {
            self.memory.warn_if_bounded(sink);
        }
        self.append_scraped(sink);
        let room = self.memory.room(sink);
        self.emitter.tick(sink, room);
    }

    fn on_pause(&mut self, why: Pause, sink: &mut dyn Sink) {
        if why == Pause::Shutdown
            && let Some(scraper) = &self.scraper
        {
            scraper.stop();
            self.append_scraped(sink);
            sink.flush_now();
        }
        // Last, because what was just appended may have made the filters derive more.
        self.emitter.pause(why, sink);
    }

    fn on_resume(&mut self) {
        self.emitter.resume();
    }
}

impl AiEmitter {
    /// An input that scrapes nothing, and finds all that a start would refuse.
    ///
    /// # Errors
    /// What the start would refuse.
    pub fn check(options: &dyn Options, environment: &Environment) -> Result<Self, OpenError> {
        let (input, settings) = Self::prepare(options, environment)?;
        Scraper::check(&settings, &environment.counters, &environment.log)?;
        Ok(input)
    }

    fn prepare(
        options: &dyn Options,
        environment: &Environment,
    ) -> Result<(Self, ScrapeSettings), OpenError> {
        let mut parser = Parser::new(options);
        let given = Given::read(&mut parser)?;
        let settings = scrape::settings(&mut parser, &given.scrape, environment.native_chunks);
        let (limit, settings) = parser.finish((given.limit, settings))?;
        let memory = ChunkLimit::new(limit, &environment.counters, &environment.log);
        let check_memory = options.get(max_memory::NAME).is_some();
        let emitter = Emitter::new(environment);
        Ok((Self { emitter, scraper: None, memory, check_memory }, settings))
    }

    /// Appends the pages that wait, while there is room for them.
    fn append_scraped(&mut self, sink: &mut dyn Sink) {
        let Some(scraper) = &self.scraper else { return };
        while self.memory.room(sink) > 0
            && let Some(scraped) = scraper.take()
        {
            if !self.emitter.emit_now(&scraped.emission, scraped.form, sink) {
                scraper.put_back(scraped);
                break;
            }
        }
    }
}

crate::export_input!("in_ai_emitter", AiEmitter);

#[cfg(test)]
mod tests;
