//! Native Fluent Bit plugins that make AI/ML telemetry first class.
//!
//! One shared object holds them all: the inputs `ai_otlp` and `ai_emitter`, the filters
//! `ai_context`, `ai_metrics` and `ai_sampling`, and the output `multi_otlp`. ARCHITECTURE.md
//! shows how the modules below fit together and which may use which.

// Pure: no unsafe, no I/O, no clock, no thread.
pub mod aggregation;
pub mod cipher_suites;
pub mod codec;
pub mod condition;
pub mod correlation;
pub mod digest;
pub mod findings;
pub mod genai;
pub mod model;
pub mod pricing;
pub mod private_key;
pub mod resource;
pub mod routing;
pub mod sampling;

// Seams: the vocabulary that the pure half and the host half share.
pub mod clock;
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
pub mod trust;

// Everything that knows C.
pub mod host;

// Wiring: one file per plugin.
pub mod plugins;
