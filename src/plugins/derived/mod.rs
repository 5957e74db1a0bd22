//! Derived telemetry on its way into the pipeline: what the inputs that emit it share with each other and
//! with the filters that make it.

pub(in crate::plugins) mod emitter;
pub(in crate::plugins) mod max_memory;
pub(in crate::plugins) mod missing_emitter;
mod native_metrics;
