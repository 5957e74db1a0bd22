//! Decisions of delivery, without doing any: what an answer means, when an endpoint is tried
//! again, and which endpoint has which part of a chunk already.

mod answer;
mod breaker;
mod ledger;
mod limit;
mod pace;
mod ring;
mod units;

pub use answer::{
    Answer, FailureReason, grpc_answer, http_answer, is_misdirected, retry_after, retry_info,
};
pub use breaker::{Breaker, BreakerPolicy, Permit};
pub use ledger::{ChunkId, Known, Ledger, PartId, Progress};
pub use limit::{SizeLimit, TooMuch, stated_limit, too_much};
pub use pace::Pace;
pub use ring::Ring;
pub use units::Units;
