//! Result of transcoding: what became of a request.

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transcoded {
    /// The log events appended, group markers included.
    pub events: usize,
    /// The log events appended that are no markers.
    pub records: usize,
    /// The spans, data points or log records in them.
    pub items: usize,
    /// The spans, data points or log records that are not valid and were left out.
    pub rejected: usize,
    /// The first reason for that, with the path of the item.
    pub reason: Option<String>,
    /// How many ids of resources and scopes were used up, counted from
    /// [`LogOptions::first_group`](super::LogOptions::first_group).
    pub groups: u32,
    /// The bytes of unknown fields of the request itself that were not kept, because they are more
    /// than every record can hold.
    pub lost_fields: usize,
}
