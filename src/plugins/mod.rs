//! Composition root: one file per plugin, options in, parts wired together, nothing else.

#[cfg(test)]
mod context_tests;
mod emitter;
pub mod filter_ai_context;
pub mod filter_ai_metrics;
pub mod filter_ai_sampling;
mod identity;
mod identity_options;
pub mod in_ai_emitter;
pub mod in_ai_otlp;
mod max_memory;
mod missing_emitter;
mod native_metrics;
pub mod out_multi_otlp;
mod patterns_file;
mod policies_file;
mod quarantine;
mod sampling_counters;
#[cfg(test)]
mod sampling_tests;
mod tail_sampling;
