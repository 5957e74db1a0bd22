//! Names of the variables that an expression may use.

/// Every variable that an expression may name.
pub const VARIABLES: [&str; 19] = [
    "signal",
    "name",
    "kind",
    "status",
    "duration_ms",
    "attributes",
    "resource",
    "scope",
    "body",
    "severity",
    "tag",
    "events",
    "links",
    "trace_state",
    "flags",
    "is_root",
    "spans",
    "errors",
    "root",
];

/// The variables that only a whole trace has.
pub(super) const OF_TRACES: [&str; 3] = ["spans", "errors", "root"];
