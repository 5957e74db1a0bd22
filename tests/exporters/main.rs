//! Real exporters of Python and JavaScript as clients, on a real Fluent Bit and on the bundled host.
//!
//! `make exporters` installs them and runs this with their folder in `EXPORTERS`. Without that
//! folder there is nothing to run, and the tests say so in one line.
#![expect(clippy::disallowed_methods, reason = "tests have clocks and tasks")]
#![expect(unreachable_pub, clippy::let_underscore_must_use, let_underscore_drop, reason = "tests")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test, as tests themselves do"
)]
#![expect(clippy::print_stdout, reason = "tests tell what they measured")]

use testkit::{client, hosts, shapes, sink, support};

mod arrived;
mod emit;
mod exactly_once;
mod pressure;
