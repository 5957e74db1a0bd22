//! Scraper: pages of metrics are asked for again and again, and become telemetry.
//!
//! Each target has a task on the runtime's threads, which asks for its page, reads it and makes events of it.
//! They wait for the host's thread, one page of a target at a time: sums are cumulative, so that a page that the
//! host did not take in time is replaced by the next one.

mod counters;
mod settings;
mod target;
mod trial;
mod waiting;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

pub use settings::{ScrapeSettings, TargetSettings};
pub use trial::{ScrapeTrial, TargetTrial};
pub use waiting::ScrapedEvents;

use crate::export::ClientProblem;
use crate::plugin::{OpenError, Waker};
use crate::runtime::{Runtime, Tasks};
use crate::stats::{Counters, Log};
use target::Target;
use waiting::WaitingPages;

/// How long the tasks may take to end.
const STOP: Duration = Duration::from_secs(1);

/// Scrapes targets. The owner calls it on the host's thread.
#[derive(Debug)]
pub struct Scraper {
    waiting: Arc<WaitingPages>,
    tasks: Tasks,
    /// Last, so that the tasks are over before the runtime may stop.
    _runtime: Runtime,
}

impl Scraper {
    /// Starts to scrape, at once and then each interval. `waker` must bring about a call of [`Scraper::take`].
    ///
    /// # Errors
    /// Settings of a target that make no client: files that cannot be read, for one.
    pub fn open(
        settings: &ScrapeSettings,
        waker: &Waker,
        counters: &Counters,
        log: &Arc<Log>,
    ) -> Result<Self, OpenError> {
        let targets = targets(settings, counters, log)?;
        let runtime = Runtime::acquire()
            .map_err(|error| OpenError::one(format!("cannot start threads: {error}")))?;
        let waiting = Arc::new(WaitingPages::new(targets.len()));
        let tasks = runtime.tasks();
        for (place, target) in targets.into_iter().enumerate() {
            tasks.spawn(scrape(target, place, Arc::clone(&waiting), waker.clone()));
        }
        Ok(Self { waiting, tasks, _runtime: runtime })
    }

    /// Finds what [`Scraper::open`] would refuse, and asks nobody yet.
    ///
    /// # Errors
    /// Every problem, as [`Scraper::open`] says it.
    pub fn check(
        settings: &ScrapeSettings,
        counters: &Counters,
        log: &Arc<Log>,
    ) -> Result<ScrapeTrial, OpenError> {
        targets(settings, counters, log).map(|targets| ScrapeTrial { targets })
    }

    /// Takes what waits of the next target that has something.
    #[must_use]
    pub fn take(&self) -> Option<ScrapedEvents> {
        self.waiting.take()
    }

    /// Puts what the host refused back, unless something newer has come.
    pub fn put_back(&self, events: ScrapedEvents) {
        self.waiting.put_back(events);
    }

    /// Ends all scrapes. What waits may still be taken.
    pub fn stop(&self) {
        self.tasks.cancel();
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        self.tasks.cancel();
        // What a task does between two points where it waits is reading one page.
        let _ended = self.tasks.wait(STOP);
    }
}

fn targets(
    settings: &ScrapeSettings,
    counters: &Counters,
    log: &Arc<Log>,
) -> Result<Vec<Target>, OpenError> {
    let mut targets = Vec::new();
    let mut problems = Vec::new();
    for target in &settings.targets {
        match Target::new(target, counters, log) {
            Ok(target) => targets.push(target),
            Err(problem) => problems.push(ClientProblem::in_family(problem, "scrape").to_string()),
        }
    }
    if problems.is_empty() { Ok(targets) } else { Err(OpenError(problems)) }
}

async fn scrape(mut target: Target, place: usize, waiting: Arc<WaitingPages>, waker: Waker) {
    let mut interval = tokio::time::interval(target.interval());
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        interval.tick().await;
        let scraped = target.scrape(place).await;
        let records = waiting.put(scraped);
        target.replaced(records);
        waker.wake();
    }
}
