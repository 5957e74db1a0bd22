//! The engine's configuration, by the table of service options that the host itself reads.

use super::super::abi::row::HostAbi;
use super::memory::{ProcessMemory, int_in, word_in};
use super::report::ProofReport;
use super::wanted::INT;

/// Bytes of an entry of the table: a key, a type and an offset.
const ENTRY: usize = 24;
/// More entries than any release has.
const MAX_OPTIONS: usize = 200;

/// Where the host's table says that it keeps the option `key`.
fn offset_of(memory: &ProcessMemory, table: usize, key: &str) -> Option<usize> {
    (0..MAX_OPTIONS)
        .map_while(|index| {
            let at = table.checked_add(index.checked_mul(ENTRY)?)?;
            let name = memory.word(at).filter(|name| *name != 0)?;
            Some((memory.text(name)?, memory.word(at.checked_add(16)?)?))
        })
        .find_map(|(name, offset)| name.eq_ignore_ascii_case(key).then_some(offset))
}

/// Proves what is used of the configuration.
pub(super) fn prove(
    memory: &ProcessMemory,
    abi: &HostAbi,
    config: usize,
    table: Option<usize>,
    report: &mut ProofReport,
) {
    let row = &abi.config;
    let Some(table) = table else { return report.leave("grace") };
    let grace = offset_of(memory, table, "grace");
    report.note("grace", grace == Some(row.grace));
    // Three numbers of a running engine stand right before the time between flushes.
    let content = memory.window(config, row.size);
    let flush = offset_of(memory, table, "flush");
    let follow = [row.is_ingestion_active, row.is_shutting_down, row.is_running];
    let ends = follow.into_iter().rev().zip(1_usize..).all(|(offset, number)| {
        flush.and_then(|flush| flush.checked_sub(number.checked_mul(INT)?)) == Some(offset)
    });
    let numbers = follow.map(|offset| int_in(&content, offset));
    let is_time = flush.and_then(|flush| word_in(&content, flush)).is_some_and(|bits| {
        let seconds = u64::try_from(bits).map_or(0.0, f64::from_bits);
        (0.000_001..100_000_000.0).contains(&seconds)
    });
    report.note("is_running", ends && is_time && numbers == [Some(1), Some(0), Some(1)]);
}
