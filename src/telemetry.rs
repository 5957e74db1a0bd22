//! What the plugins do with telemetry: read and write it, and decide about it.
//!
//! Pure: no unsafe code, no I/O, no clock that is read here, no thread. The crate `fluent-bit-ai` adds the
//! effects, and its modules name these as their own. They are a crate of their own, so that the compiler
//! holds what ARCHITECTURE.md says of them, and because a build for release optimises for speed what runs
//! once an item, and for size what does not.

#![forbid(unsafe_code)]

pub mod aggregation;
pub mod clock;
pub mod codec;
pub mod condition;
pub mod correlation;
pub mod digest;
pub mod findings;
pub mod genai;
pub mod metric_points;
pub mod model;
pub mod pricing;
pub mod resource;
pub mod routing;
pub mod sampling;
