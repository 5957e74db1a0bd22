//! Composition root: one file or folder per plugin, options in, parts wired together, nothing else.

mod derived;
pub mod filter_ai_context;
pub mod filter_ai_metrics;
pub mod filter_ai_sampling;
pub mod in_ai_emitter;
pub mod in_ai_otlp;
#[cfg(test)]
mod order_tests;
pub mod out_multi_otlp;
mod status_page;
#[cfg(test)]
mod testing;
