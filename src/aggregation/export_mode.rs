//! Export modes: what an export takes of what was counted.

use crate::codec::records::metric_writer::Temporality;

/// What the points of an export say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExportMode {
    /// All since their series began.
    Cumulative {
        /// Whether an export [`ExportMode::Page`] of the same moment comes next.
        page_follows: bool,
    },
    /// What came since the export before.
    Delta {
        /// Whether an export [`ExportMode::Page`] of the same moment comes next.
        page_follows: bool,
    },
    /// All that the exports so far said, with explicit buckets, for a page that is scraped. It takes nothing but the
    /// exemplars.
    Page,
}

impl ExportMode {
    /// Whether points say what came since the export before.
    pub(super) const fn is_delta(self) -> bool {
        matches!(self, Self::Delta { .. })
    }

    /// The temporality of its points.
    pub(super) const fn temporality(self) -> Temporality {
        if self.is_delta() { Temporality::Delta } else { Temporality::Cumulative }
    }

    /// Whether what a page shows beside has to stay.
    pub(super) const fn page_follows(self) -> bool {
        matches!(self, Self::Cumulative { page_follows: true } | Self::Delta { page_follows: true })
    }
}
