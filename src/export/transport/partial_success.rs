//! Partial success: what a successful answer says of items that were not accepted.

/// What a successful answer says of items that were not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::export) struct PartialSuccess {
    pub(in crate::export) rejected: u64,
    pub(in crate::export) message: String,
}
