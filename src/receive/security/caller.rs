//! Principal: who sent a request.

use std::sync::Arc;

/// Who sent a request, as far as its credentials say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::receive) struct Caller {
    /// The tenant that the credentials belong to. Without one, the credentials belong to everybody
    /// or none were asked for.
    pub(in crate::receive) tenant: Option<Arc<str>>,
}
