//! Backends that others wrote as destinations of `multi_otlp`, behind a real Fluent Bit (else the
//! bundled host).
//!
//! `make backends` installs them and runs this with their folder in `BACKENDS`. Without that folder
//! there is nothing to run, and the tests say so in one line.
#![expect(clippy::disallowed_methods, reason = "tests have clocks and tasks")]
#![expect(unreachable_pub, clippy::let_underscore_must_use, let_underscore_drop, reason = "tests")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test, as tests themselves do"
)]
#![expect(clippy::print_stdout, clippy::string_slice, reason = "tests tell what they measured")]

use testkit::{client, hosts, replay, sink, support};

mod captures;
mod mlflow;
mod model_servers;
mod phoenix;
mod recipes;
mod rotel;
mod server;
