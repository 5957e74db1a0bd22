//! What others know of traces, such as `ai_metrics` of the calls in one, and what they are told.

use std::fmt;
use std::sync::Arc;

use crate::model::TraceId;

/// Says whether something holds for a trace.
type Ask = Arc<dyn Fn(TraceId) -> bool + Send + Sync>;

/// What others know of traces, and who is told of those that are kept.
#[derive(Clone)]
pub struct FoundIn {
    findings: Ask,
    exemplars: Ask,
    kept: Option<Arc<dyn Fn(TraceId) + Send + Sync>>,
}

impl FoundIn {
    /// Asks this function whether something was found in a trace, when it is decided and a policy wants to know.
    #[must_use]
    pub fn new(findings: impl Fn(TraceId) -> bool + Send + Sync + 'static) -> Self {
        Self { findings: Arc::new(findings), exemplars: Arc::new(|_| false), kept: None }
    }

    /// The same, and this one whether an exemplar names it.
    #[must_use]
    pub fn with_exemplars(
        self,
        exemplars: impl Fn(TraceId) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { exemplars: Arc::new(exemplars), ..self }
    }

    /// The same, and tells this one of each trace that is kept.
    #[must_use]
    pub fn with_kept(self, kept: impl Fn(TraceId) + Send + Sync + 'static) -> Self {
        Self { kept: Some(Arc::new(kept)), ..self }
    }

    pub(super) fn ask(&self, trace: TraceId) -> bool {
        (self.findings)(trace)
    }

    pub(super) fn is_exemplar(&self, trace: TraceId) -> bool {
        (self.exemplars)(trace)
    }

    pub(super) fn tell_kept(&self, trace: TraceId) {
        if let Some(kept) = &self.kept {
            kept(trace);
        }
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
