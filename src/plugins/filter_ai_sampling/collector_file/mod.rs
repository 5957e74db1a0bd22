//! A Collector's configuration as it stands: the block of its processor `tail_sampling`.

use std::time::Duration;

use serde_json::{Map, Value};

use super::policies_file::{self, Layout};
use super::policy_list::PolicyList;
use crate::config::{Node, Notes};

/// The name of the processor, which a slash and a name of its own may follow.
const PROCESSOR: &str = "tail_sampling";
/// The section of a Collector's configuration in which the block is.
const PROCESSORS: &str = "processors";
/// The keys that a file may have because it is a Collector's. The other sections mean nothing here.
pub(super) const SECTIONS: [&str; 7] =
    [PROCESSOR, PROCESSORS, "receivers", "exporters", "connectors", "extensions", "service"];

/// Every key of the block.
const KEYS: [&str; 13] = [
    "policies",
    "decision_wait",
    "decision_wait_after_root_received",
    "num_traces",
    "decision_cache",
    "expected_new_traces_per_sec",
    "num_shards",
    "sampling_strategy",
    "sample_on_first_match",
    "drop_pending_traces_on_shutdown",
    "block_on_overflow",
    "maximum_trace_size_bytes",
    "tail_storage",
];

/// What the block says beside its policies.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    /// Whether there is one.
    pub(super) is_there: bool,
    pub(super) decision_wait: Option<Duration>,
    pub(super) after_root: Option<Duration>,
    pub(super) max_traces: Option<usize>,
    pub(super) kept_cache: Option<usize>,
    pub(super) dropped_cache: Option<usize>,
}

/// Reads the block of a file, if it has one, and adds its policies to the list.
pub(super) fn read(root: Node<'_>, list: &mut PolicyList) -> (Block, Vec<Notes>) {
    let mut notes = Notes::default();
    let Some((at, map)) = find(root, &mut notes) else { return (Block::default(), vec![notes]) };
    let node = Node { map, at: &at };
    let block = settings(node, &mut notes);
    let policies = policies_file::read(node, Layout::Collector, list);
    (block, vec![notes, policies])
}

/// The block and its location.
fn find<'v>(root: Node<'v>, notes: &mut Notes) -> Option<(String, &'v Map<String, Value>)> {
    let mut blocks: Vec<(String, &Value)> = Vec::new();
    blocks.extend(root.map.get(PROCESSOR).map(|block| (PROCESSOR.to_owned(), block)));
    if let Some(Value::Object(processors)) = root.map.get(PROCESSORS) {
        let named = processors.iter().filter(|(name, _)| {
            name.strip_prefix(PROCESSOR)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        blocks.extend(named.map(|(name, block)| (format!("{PROCESSORS}.{name}"), block)));
    }
    match blocks.as_slice() {
        [] => {
            for section in SECTIONS.into_iter().filter(|section| root.map.contains_key(*section)) {
                notes.problem(format!("{section}: the file has no processor {PROCESSOR}"));
            }
            None
        }
        [(at, Value::Object(map))] => Some((at.clone(), map)),
        [(at, _)] => {
            notes.problem(format!("{at}: it is not a map of settings"));
            None
        }
        [_, more @ ..] => {
            for (at, _) in more {
                notes.problem(format!("{at}: the file has another {PROCESSOR}; allowed: one"));
            }
            None
        }
    }
}

fn settings(node: Node<'_>, notes: &mut Notes) -> Block {
    notes.known(node, &KEYS);
    for (key, allowed) in [
        ("sample_on_first_match", "a drop policy always wins"),
        ("drop_pending_traces_on_shutdown", "what waits is decided at the stop"),
        ("block_on_overflow", "the oldest traces are decided early"),
        ("maximum_trace_size_bytes", "'max_buffer_size' bounds all traces together"),
        ("tail_storage", "traces wait in memory"),
    ] {
        let means_nothing = |value: &Value| {
            matches!(value, Value::Null | Value::Bool(false)) || value.as_u64() == Some(0)
        };
        if node.map.get(key).is_some_and(|value| !means_nothing(value)) {
            notes.refuse(node, key, &format!("it is not supported: {allowed}"));
        }
    }
    if node.map.get("sampling_strategy").is_some_and(|value| value != "trace-complete") {
        notes.refuse(node, "sampling_strategy", "allowed: trace-complete");
    }
    let caches = caches(node, notes);
    let after_root = duration(node, "decision_wait_after_root_received", notes);
    Block {
        is_there: true,
        decision_wait: duration(node, "decision_wait", notes),
        after_root: after_root.filter(|wait| !wait.is_zero()),
        max_traces: count(node, "num_traces", notes).filter(|most| *most > 0),
        kept_cache: caches.0,
        dropped_cache: caches.1,
    }
}

fn caches(node: Node<'_>, notes: &mut Notes) -> (Option<usize>, Option<usize>) {
    let map = match node.map.get("decision_cache") {
        None => return (None, None),
        Some(Value::Object(map)) => map,
        Some(_) => {
            notes.refuse(node, "decision_cache", "allowed: a map of settings");
            return (None, None);
        }
    };
    let at = format!("{}.decision_cache", node.at);
    let node = Node { map, at: &at };
    let (kept, dropped) = ("sampled_cache_size", "non_sampled_cache_size");
    notes.known(node, &[kept, dropped]);
    (count(node, kept, notes), count(node, dropped, notes))
}

/// A whole number, which may have underscores.
fn count(node: Node<'_>, key: &str, notes: &mut Notes) -> Option<usize> {
    let value = node.map.get(key)?;
    let text = value.as_str().map(|text| text.replace('_', ""));
    let number = text.map_or_else(|| value.as_u64(), |text| text.parse().ok());
    let number = number.and_then(|number| usize::try_from(number).ok());
    if number.is_none_or(|number| number > 10_000_000) {
        notes.refuse(node, key, "allowed: a number up to 10000000");
    }
    number
}

/// A duration as Go writes them.
fn duration(node: Node<'_>, key: &str, notes: &mut Notes) -> Option<Duration> {
    let value = node.map.get(key)?;
    let duration = value.as_str().and_then(go_duration);
    if duration.is_none() && value.as_u64() != Some(0) {
        notes.refuse(node, key, "allowed: a duration such as 500ms, 10s, 1m30s");
    }
    duration
}

/// Numbers with units, such as `1m30s`.
fn go_duration(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (Duration::ZERO, text.trim());
    if rest == "0" {
        return Some(total);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(digits)?;
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit_end)?;
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let number: f64 = number.parse().ok()?;
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = after;
    }
    (!text.trim().is_empty()).then_some(total)
}

#[cfg(test)]
mod tests;
