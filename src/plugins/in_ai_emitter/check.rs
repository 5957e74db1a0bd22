//! Check of an input `ai_emitter`, without a host.

use super::{AiEmitter, settings, status_page};
use crate::plugin::{Environment, Input as _, OpenError, Options, Sink, Waker};
use crate::receive::ListenAddresses;
use crate::scrape::{ScrapeTrial, Scraper};

/// An input that would start. It scrapes nothing and has no page.
#[derive(Debug)]
pub struct EmitterCheck {
    input: AiEmitter,
    targets: ScrapeTrial,
}

impl EmitterCheck {
    /// Finds all that a start would refuse. `taken` are the addresses of the inputs before it.
    ///
    /// # Errors
    /// What the start would refuse.
    pub fn of(
        options: &dyn Options,
        environment: &Environment,
        taken: &mut ListenAddresses,
    ) -> Result<Self, OpenError> {
        let settings = settings(options, environment)?;
        let targets = Scraper::check(&settings.scrape, &environment.counters, &environment.log)?;
        status_page::check(settings.page.as_ref(), taken)?;
        let input = AiEmitter::start(options, environment, settings.limit, Waker::new(|| {}));
        Ok(Self { input, targets })
    }

    /// Has it say what it says at its first tick, and gives the targets, which can be tried.
    #[must_use]
    pub fn finish(mut self, sink: &mut dyn Sink) -> ScrapeTrial {
        self.input.on_tick(sink);
        self.targets
    }
}
