//! What adaptive samplers of a tail sampler have seen.

use super::TailSampler;
use crate::sampling::adaptive::AdaptiveSampler;

impl TailSampler {
    /// The adaptive samplers, by the index that policies name.
    #[must_use]
    pub fn adaptive(&self) -> &[AdaptiveSampler] {
        self.budgets.adaptive()
    }
}
