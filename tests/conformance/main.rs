//! Every rule that the OpenTelemetry Protocol Specification has for a receiver, over OTLP/gRPC,
//! OTLP/HTTP with protobuf and OTLP/HTTP with JSON, on real Fluent Bits and on the bundled host.
//!
//! `table.rs` has one row a rule. The clients are bare ones of hyper and the generated ones of
//! tonic, so that nothing of ours is on both ends.
#![expect(clippy::disallowed_methods, reason = "tests have clocks and tasks")]
#![allow(clippy::allow_attributes_without_reason, clippy::allow_attributes)]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]
#![allow(dead_code, unreachable_pub, clippy::let_underscore_must_use, let_underscore_drop)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout, clippy::string_slice, clippy::too_many_lines)]

#[path = "../../examples/otlp-tool/hosts.rs"]
mod hosts;
#[path = "../../examples/otlp-tool/shapes.rs"]
mod shapes;
#[path = "../../examples/otlp-tool/sink.rs"]
mod sink;
#[path = "../hosts/support.rs"]
mod support;
#[path = "../../examples/otlp-tool/wire.rs"]
mod wire;

mod answer;
mod call;
mod ground;
mod requests;
mod rules;
mod stored;
mod table;
