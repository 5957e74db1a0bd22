//! Who sent a request.

use std::fmt;
use std::sync::Arc;

/// Who sent a request, as far as its credentials say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::receive) struct Caller {
    /// The tenant that the credentials belong to. Without one, the credentials belong to everybody
    /// or none were asked for.
    pub(in crate::receive) tenant: Option<Arc<str>>,
}

/// What log lines append to name the sender: nothing, or ` of tenant 'x'`.
impl fmt::Display for Caller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tenant {
            Some(tenant) => write!(formatter, " of tenant '{tenant}'"),
            None => Ok(()),
        }
    }
}
