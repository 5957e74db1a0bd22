//! The input `ai_emitter`: where derived telemetry enters a pipeline that has no `ai_otlp`, and pages of metrics
//! that are scraped.

mod check;
mod scrape;

use std::time::Duration;

use super::derived::emitter::{self, Emitter};
use super::derived::max_memory::{self, ChunkLimit};
use super::out_multi_otlp::family;
use super::out_multi_otlp::given::OptionsByName;
use super::status_page::{self, RunningPage};
use crate::config::{Parser, options};
use crate::plugin::{
    Environment, Input, OpenError, OptionSpec, Options, Pause, Sink, Spec, Waker, joined,
};
use crate::receive::PageAddress;
use crate::scrape::{ScrapeSettings, Scraper};

pub use self::check::EmitterCheck;

options! {
    /// What is configured.
    struct Given in OWN {
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

const OPTIONS: &[OptionSpec] =
    &joined::<{ OWN.len() + status_page::OPTIONS.len() }>(&[OWN, status_page::OPTIONS]);

/// What an instance is started with.
struct Settings {
    limit: Option<usize>,
    scrape: ScrapeSettings,
    page: Option<PageAddress>,
}

/// The plugin.
#[derive(Debug)]
pub struct AiEmitter {
    status: Option<RunningPage>,
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
        let settings = settings(options, &environment)?;
        let status = RunningPage::open(settings.page.as_ref(), &environment)?;
        let mut input = Self::start(options, &environment, settings.limit, waker.clone());
        input.status = status;
        if !settings.scrape.targets.is_empty() {
            let Environment { counters, log, .. } = &environment;
            input.scraper = Some(Scraper::open(&settings.scrape, &waker, counters, log)?);
        }
        Ok(input)
    }

    fn on_wake(&mut self, sink: &mut dyn Sink) {
        self.append_scraped(sink);
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
        self.append_scraped(sink);
        let room = self.memory.room(sink);
        self.emitter.tick(sink, room);
    }

    fn on_pause(&mut self, why: Pause, sink: &mut dyn Sink) {
        if let Some(status) = &self.status {
            status.pause(why);
        }
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
        if let Some(status) = &self.status {
            status.resume();
        }
        self.emitter.resume();
    }
}

fn settings(options: &dyn Options, environment: &Environment) -> Result<Settings, OpenError> {
    let mut parser = Parser::new(options);
    let given = Given::read(&mut parser)?;
    let scrape = scrape::settings(&mut parser, &given.scrape, environment.native_chunks);
    let page = status_page::read(&mut parser)?;
    parser.finish(Settings { limit: given.limit, scrape, page })
}

impl AiEmitter {
    fn start(
        options: &dyn Options,
        environment: &Environment,
        limit: Option<usize>,
        waker: Waker,
    ) -> Self {
        Self {
            status: None,
            emitter: Emitter::new(environment, waker),
            scraper: None,
            memory: ChunkLimit::new(limit, &environment.counters, &environment.log),
            check_memory: options.get(max_memory::NAME).is_some(),
        }
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
