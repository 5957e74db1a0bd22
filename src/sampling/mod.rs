//! Keep or drop: consistent probability sampling, tail policies, and the buffer of whole traces.
//!
//! [`HeadSampler`] decides about a span by its trace's randomness alone. [`TailSampler`] holds
//! whole traces as encoded bytes until its [`policy`] rules can decide. Both may do so at [`adaptive`]
//! rates per key.

pub mod adaptive;
mod head;
pub mod policy;
mod rewrite;
mod session;
mod tail;
mod threshold;
mod trace_cache;
mod tracestate;

pub use head::{HeadDecision, HeadRate, HeadSampler, HeadTally, RateChance, RateTally, RateTest};
pub use rewrite::{Mark, POLICY_ATTRIBUTE, Probability, marked_body};
pub use session::SessionKeys;
pub use tail::{TailConfig, TailSampler, TailTally, Unanswered};
pub use threshold::{Randomness, Threshold};
pub use tracestate::{OtState, with_ot_state};
