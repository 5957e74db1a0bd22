//! Native Fluent Bit plugins that make AI/ML telemetry first class.
//!
//! One shared object holds them all: the inputs `ai_otlp` and `ai_emitter`, the filters
//! `ai_context`, `ai_metrics` and `ai_sampling`, and the output `multi_otlp`. ARCHITECTURE.md
//! shows how the modules below fit together and which may use which.

// Pure: no unsafe, no I/O, no clock, no thread. What knows telemetry is the crate of src/telemetry.rs.
pub use fluent_bit_ai_telemetry::{
    aggregation, clock, codec, condition, correlation, digest, findings, genai, metric_points,
    model, pricing, resource, routing, sampling,
};
pub mod cipher_suites;
pub mod private_key;

// Seams: the vocabulary that the pure half and the host half share.
pub mod config;
pub mod hub;
pub mod plugin;
pub mod stats;
pub mod sync;

// Effects: sockets, tasks, queues.
pub mod export;
pub mod files;
pub mod receive;
pub mod runtime;
pub mod scrape;
pub mod status;
pub mod trust;

// Everything that knows C.
pub mod host;

// Wiring: one file per plugin.
pub mod plugins;
