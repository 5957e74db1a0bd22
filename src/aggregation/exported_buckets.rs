//! Buckets of a histogram as a data point has them.

/// The buckets of an exported point.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ExportedBuckets {
    Explicit { bounds: &'static [f64], counts: Vec<u64> },
    Exponential { scale: i32, zero_count: u64, offset: i32, counts: Vec<u64> },
}
