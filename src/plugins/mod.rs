//! One file per plugin: options in, parts wired together, nothing else.

pub mod filter_ai_metrics;
pub mod filter_ai_sampling;
mod policies_file;
#[cfg(test)]
mod sampling_tests;
