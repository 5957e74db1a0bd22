//! What may be wrong with a trace, and why it may not be said.

use crate::model::listed_enum;

listed_enum! {
    /// What is wrong with a span's place in its trace.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum BrokenKind {
        /// Its parent did not come, and it is not said to be in another process.
        Orphan,
        /// Its parent, which is in another process, did not come.
        RemoteParent,
        /// It is a root, and its trace has an earlier one.
        SeveralRoots,
        /// It begins before its parent, or ends after a call that took longer.
        ClockSkew,
    }
}

impl BrokenKind {
    /// The word for it in counters and attributes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Orphan => "orphan",
            Self::RemoteParent => "remote_parent",
            Self::SeveralRoots => "several_roots",
            Self::ClockSkew => "clock_skew",
        }
    }
}

listed_enum! {
    /// Why it was not said of a trace whether it is broken.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Unexamined {
        /// It was forgotten for want of memory.
        Memory,
        /// It has too many spans.
        Spans,
        /// It began before the filter did, so that some of it may have passed.
        Start,
        /// The pipeline ended before nothing more came.
        Shutdown,
    }
}

impl Unexamined {
    /// The word for it in counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Spans => "spans",
            Self::Start => "start",
            Self::Shutdown => "shutdown",
        }
    }
}
