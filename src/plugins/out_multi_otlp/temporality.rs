//! Options `endpoint.NAME.temporality*`.

use super::given::WrongOption;
use super::values::{WrongValue, choice};
use crate::config::parse_size;
use crate::export::TemporalitySettings;
use crate::metric_points::temporality::Temporality;
use crate::model::Signal;

/// About 100 000 sums, or 20 000 histograms of a dozen buckets.
const STATE_SIZE: usize = 32_000_000;
const LEAST_STATE_SIZE: u64 = 100_000;

/// What is read of these options so far.
#[derive(Debug, Default)]
pub(super) struct TemporalityDraft {
    /// `None` where metrics go as they are.
    pub(super) target: Option<Temporality>,
    pub(super) state_size: Option<usize>,
}

impl TemporalityDraft {
    /// The settings, once all options are read; `None` where metrics go as they are.
    ///
    /// # Errors
    /// An option that has no effect.
    pub(super) fn finish(
        self,
        signals: &[Signal],
    ) -> Result<Option<TemporalitySettings>, WrongOption> {
        let Some(target) = self.target else {
            return match self.state_size {
                Some(_) => {
                    let problem = "it needs 'temporality: cumulative' or 'temporality: delta'";
                    Err(("temporality_state_size", problem.to_owned()))
                }
                None => Ok(None),
            };
        };
        if !signals.contains(&Signal::Metrics) {
            let problem = "it is for metrics, and 'signals' has no metrics";
            return Err(("temporality", problem.to_owned()));
        }
        let state_size = self.state_size.unwrap_or(STATE_SIZE);
        Ok(Some(TemporalitySettings { target, state_size }))
    }
}

pub(super) fn target(value: &str) -> Result<Option<Temporality>, WrongValue> {
    let names = [
        ("original", None),
        ("cumulative", Some(Temporality::Cumulative)),
        ("delta", Some(Temporality::Delta)),
    ];
    choice(value, &names)
}

pub(super) fn state_size(value: &str) -> Result<usize, WrongValue> {
    parse_size(value)
        .filter(|size| *size >= LEAST_STATE_SIZE)
        .and_then(|size| usize::try_from(size).ok())
        .ok_or_else(|| "allowed: a size from 100k".to_owned())
}
