//! Backends that others wrote as destinations of `multi_otlp`, behind a real Fluent Bit (else the
//! bundled host).
//!
//! `make backends` installs them and runs this with their folder in `BACKENDS`. Without that folder
//! there is nothing to run, and the tests say so in one line.
#![expect(clippy::disallowed_methods, reason = "tests have clocks and tasks")]
#![allow(clippy::allow_attributes_without_reason, clippy::allow_attributes)]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
#![allow(dead_code, unreachable_pub, clippy::let_underscore_must_use, let_underscore_drop)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout, clippy::string_slice, clippy::too_many_lines)]
// One host test at a time, whatever it awaits: that is what the lock is for.
#![allow(clippy::await_holding_lock)]

#[path = "../../examples/otlp-tool/client.rs"]
mod client;
#[path = "../../examples/otlp-tool/hosts.rs"]
mod hosts;
#[path = "../../examples/otlp-tool/replay.rs"]
mod replay;
#[path = "../../examples/otlp-tool/shapes.rs"]
mod shapes;
#[path = "../../examples/otlp-tool/sink.rs"]
mod sink;
#[path = "../hosts/support.rs"]
mod support;
#[path = "../../examples/otlp-tool/wire.rs"]
mod wire;

mod captures;
mod mlflow;
mod phoenix;
mod rotel;
mod server;
