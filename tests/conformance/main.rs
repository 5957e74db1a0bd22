//! Every rule that the OpenTelemetry Protocol Specification has for a receiver, over OTLP/gRPC,
//! OTLP/HTTP with protobuf and OTLP/HTTP with JSON, on real Fluent Bits and on the bundled host.
//!
//! `table.rs` has one row a rule. The clients are bare ones of hyper and the generated ones of
//! tonic, so that nothing of ours is on both ends.
#![expect(clippy::disallowed_methods, reason = "tests have clocks and tasks")]
#![expect(clippy::cast_possible_truncation, reason = "small figures")]
#![expect(unreachable_pub, clippy::let_underscore_must_use, let_underscore_drop, reason = "tests")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test, as tests themselves do"
)]
#![expect(clippy::string_slice, reason = "text that the test itself wrote")]

use testkit::{hosts, sink, support, wire};

mod answer;
mod call;
mod ground;
mod requests;
mod rules;
mod stored;
mod table;
