//! Result of writing contexts: what became of a request.

use super::loss::FormatLosses;
use crate::codec::records::Transcoded;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WrittenRequest {
    /// What was written and what was rejected. Contexts are its records.
    pub transcoded: Transcoded,
    /// What the items that were written have lost.
    pub losses: FormatLosses,
}
