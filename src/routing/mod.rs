//! Decisions of delivery, without doing any: what an answer means, when an endpoint is tried
//! again, and which endpoint has which part of a chunk, or which content, already.

mod answer;
mod breaker;
mod content_memory;
mod hang;
mod hash_ring;
mod item_set;
mod ledger;
mod size_limit;

pub use answer::{
    EndpointAnswer, RequestFailureReason, grpc_answer, http_answer, is_misdirected, retry_after,
    retry_info,
};
pub use breaker::{Breaker, BreakerPolicy, Permit};
pub use content_memory::{ContentKey, ContentMemory};
pub use hang::HangDetector;
pub use hash_ring::HashRing;
pub use item_set::ItemSet;
pub use ledger::{ChunkId, KnownChunk, Ledger, PartId, Progress};
pub use size_limit::{SizeLimit, TooMuch, stated_limit, too_much};
