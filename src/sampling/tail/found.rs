//! What others find in traces, such as `ai_metrics` in the calls of one.

use std::fmt;
use std::sync::Arc;

use crate::model::TraceId;

/// Says whether something was found in a trace.
#[derive(Clone)]
pub struct FoundIn(Arc<dyn Fn(TraceId) -> bool + Send + Sync>);

impl FoundIn {
    /// Asks this function, when a trace is decided and a policy wants to know.
    #[must_use]
    pub fn new(ask: impl Fn(TraceId) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    pub(super) fn ask(&self, trace: TraceId) -> bool {
        (self.0)(trace)
    }
}

/// Nothing is found in any.
impl Default for FoundIn {
    fn default() -> Self {
        Self::new(|_| false)
    }
}

impl fmt::Debug for FoundIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FoundIn")
    }
}
