//! Trial: each target's page is asked for once, to find out whether it would be read.

use std::time::Duration;

use super::target::Target;
use crate::clock;
use crate::runtime::Runtime;

/// Targets that would be scraped.
#[derive(Debug, Default)]
pub struct ScrapeTrial {
    pub(super) targets: Vec<Target>,
}

/// What came of asking for a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetTrial {
    /// The target.
    pub target: String,
    /// Where its page is, without what may be a secret.
    pub url: String,
    /// How long it took.
    pub took: Duration,
    /// How many samples the page has, or why it was not read.
    pub outcome: Result<usize, String>,
}

impl ScrapeTrial {
    /// Asks for each page, one after the other, at most as long as its timeout.
    ///
    /// # Errors
    /// No threads can be started.
    pub fn try_out(&mut self) -> std::io::Result<Vec<TargetTrial>> {
        if self.targets.is_empty() {
            return Ok(Vec::new());
        }
        let runtime = Runtime::acquire()?;
        let mut trials = Vec::new();
        for target in &mut self.targets {
            let start = clock::now();
            let outcome = runtime.handle().block_on(target.try_out());
            let took = clock::now().since(start);
            let (name, url) = (target.name().to_owned(), target.shown_url());
            trials.push(TargetTrial { target: name, url, took, outcome });
        }
        Ok(trials)
    }
}
