//! The installed plugin files on real Fluent Bits and on the bundled host.
//!
//! Real hosts come from `FLUENT_BIT`, `PATH` and `/opt/fluent-bit*/bin`. Without one the tests run
//! on the bundled host alone and say so in one line. What the bundled host proves is our half of
//! the contract; the real ones prove the other.
#![expect(clippy::disallowed_methods, reason = "tests have clocks and tasks")]
#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small figures")]
#![expect(unreachable_pub, clippy::let_underscore_must_use, let_underscore_drop, reason = "tests")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test, as tests themselves do"
)]
#![expect(
    clippy::print_stdout,
    clippy::string_slice,
    clippy::too_many_lines,
    reason = "tests tell what they measured"
)]

use testkit::{client, due, hosts, load, replay, shapes, sink, soak, support, wire};

mod answers;
mod arrived;
mod aws;
mod bodies;
mod body_key;
mod budgets;
mod builtin_filters;
mod builtins;
mod calls;
mod check;
mod coding_agents;
mod content;
mod correlation;
mod cost;
mod crash;
mod deduplication;
mod delivery;
mod dialects;
mod drift;
mod equality;
#[path = "../native/expected.rs"]
mod expected;
mod faults;
mod findings;
#[path = "../records/generate.rs"]
mod generate;
mod hosts_file;
mod identity;
mod latency_split;
mod lifecycle;
mod memory;
mod meters;
mod mimir;
mod model_metrics;
mod native;
mod native_format;
mod own_dialects;
mod patterns;
mod pipeline;
mod processors;
mod prometheus;
mod receiver;
mod redaction;
mod redaction_at_rest;

mod releases;
mod reload;
mod reported;
mod sampling;
mod sampling_companions;
mod sampling_files;
mod sampling_fleet;
mod sampling_logs;
mod sampling_rates;
mod sampling_runtime;
mod sampling_sessions;
mod sampling_shards;
mod sampling_under_load;
mod sampling_waits;
mod sdk;
mod security;
mod server_logs;
mod server_metrics;
mod server_state;
mod status_page;
mod stock_options;
mod stock_short;
mod tags;
mod temporality;
mod times;
mod transports;
#[path = "../../cli/tests/wrong/mod.rs"]
mod wrong;
