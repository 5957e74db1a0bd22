//! Test kit: what tests of hosts and the project's own tools share: clients, receivers, load, real
//! telemetry, and hosts that are found and run.

#![expect(clippy::print_stdout, reason = "tools and tests tell what they found")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a tool may stop")]
#![expect(clippy::indexing_slicing, reason = "fixed layouts that this crate itself wrote")]
#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small figures")]
#![expect(clippy::disallowed_methods, reason = "a tool has clocks, threads and tasks")]
#![expect(clippy::let_underscore_must_use, let_underscore_drop, reason = "best effort")]
#![expect(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::must_use_candidate,
    reason = "its readers are this project's tests"
)]

pub mod client;
pub mod due;
pub mod hosts;
pub mod load;
pub mod made_answers;
pub mod made_calls;
pub mod made_clients;
pub mod made_prompts;
pub mod made_spans;
pub mod made_spending;
pub mod pages;
pub mod places;
pub mod ports;
pub mod replay;
pub mod shapes;
pub mod shipped;
pub mod sink;
pub mod soak;
pub mod support;
pub mod wire;

use std::path::Path;

pub use test_timeout::at_most;

/// The folder of the project.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
