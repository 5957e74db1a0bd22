//! The list of all metrics.

use super::instruments::{
    BUDGET_USED, CACHE_HIT_RATIO, COMPARED, COST, COST_CALLS, FINDINGS, FINISH_REASONS, Instrument,
    LATENCY, NESTED_USAGE, OF_CALLS, OF_OPERATIONS, TOKEN_KINDS, TOKEN_USAGE,
};
use super::named::NAMED;
use super::server_logs::OF_SERVER_LOGS;

/// All of them, in the order in which they are emitted.
pub fn instruments() -> impl Iterator<Item = &'static Instrument> {
    let of_operations = OF_OPERATIONS.iter().map(|(instrument, _)| instrument);
    let of_calls = OF_CALLS.iter().map(|(instrument, _)| instrument);
    let named = NAMED.iter().map(|named| &named.instrument);
    of_operations
        .chain([&FINISH_REASONS, &LATENCY])
        .chain(of_calls)
        .chain([&TOKEN_USAGE])
        .chain(&TOKEN_KINDS)
        .chain([&CACHE_HIT_RATIO])
        .chain([&COST, &COST_CALLS])
        .chain(named)
        .chain(&NESTED_USAGE)
        .chain(OF_SERVER_LOGS)
        .chain([&BUDGET_USED, &FINDINGS])
        .chain([&COMPARED])
}
