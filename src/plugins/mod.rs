//! One file per plugin: wiring between the host's contract and the pure modules.

pub mod filter_ai_context;
