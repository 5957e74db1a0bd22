//! Keep or drop: consistent probability sampling, tail policies, and the buffer of whole traces.
//!
//! [`HeadSampler`] decides about a span by its trace's randomness alone. [`TailSampler`] holds
//! whole traces as encoded bytes until its [`policy`] rules can decide. Both may do so at [`adaptive`]
//! rates per key.

pub mod adaptive;
mod head;
mod journal;
mod log_mark;
pub mod policy;
mod rewrite;
mod session;
pub mod shards;
mod tail;
mod threshold;
mod trace_cache;
mod tracestate;

pub use head::{
    AdaptiveRate, HeadDecision, HeadLogTally, HeadRate, HeadSampler, HeadTally, RateChance,
    RateTally, RateTest,
};
pub use journal::{JournalFrames, MAGIC as JOURNAL_MAGIC, Undecided, undecided};
pub use rewrite::{DRY_RUN_ATTRIBUTE, Mark, POLICY_ATTRIBUTE, Probability, marked_body};
pub use session::SessionKeys;
pub use tail::{
    AdaptiveKeys, FoundIn, LogTally, LogsFollow, SHEDDING, TailConfig, TailSampler, TailSettings,
    TailTally, TombstoneSettings, TombstoneTally, Unanswered, UndecidedLogs, Volume,
};
pub use threshold::{Randomness, Threshold};
pub use tracestate::{OtState, adjusted_count, with_ot_state};
