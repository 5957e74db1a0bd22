//! Result of a content policy for one item.

/// What an item looks like without content.
#[derive(Debug, Default)]
pub(in crate::export) struct Cleaned {
    /// The new metadata map, if it changed.
    pub(in crate::export) metadata: Option<Vec<u8>>,
    /// The new body, if it changed.
    pub(in crate::export) body: Option<Vec<u8>>,
    /// The new body of the group that the item stands in, if it changed.
    pub(in crate::export) group: Option<Vec<u8>>,
}
