//! A Collector's configuration as it stands: the block of its processor `tail_sampling` or
//! `adaptive_tail_sampling`.

mod adaptive;
mod block;

use serde_json::Value;

pub(super) use self::block::{Block, go_duration};
use self::block::{caches, count, duration, shards};
use super::policies_file::{self, Layout};
use super::policy_list::PolicyList;
use crate::config::{Node, Notes};

/// The name of the processor, which a slash and a name of its own may follow.
const PROCESSOR: &str = "tail_sampling";
/// The name of the other one.
const ADAPTIVE: &str = "adaptive_tail_sampling";
/// The section of a Collector's configuration in which the block is.
const PROCESSORS: &str = "processors";
/// The keys that a file may have because it is a Collector's. The other sections mean nothing here.
pub(super) const SECTIONS: [&str; 8] = [
    PROCESSOR,
    ADAPTIVE,
    PROCESSORS,
    "receivers",
    "exporters",
    "connectors",
    "extensions",
    "service",
];

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

/// Reads the block of a file, if it has one, and adds its policies to the list.
pub(super) fn read(root: Node<'_>, list: &mut PolicyList) -> (Block, Vec<Notes>) {
    let mut notes = Notes::default();
    let mut blocks = blocks(root, PROCESSOR);
    let tail_sampling = blocks.len();
    blocks.extend(self::blocks(root, ADAPTIVE));
    let (at, map) = match blocks.as_slice() {
        [] => {
            for section in SECTIONS.into_iter().filter(|section| root.map.contains_key(*section)) {
                let problem = format!("the file has no processor {PROCESSOR} or {ADAPTIVE}");
                notes.problem(format!("{section}: {problem}"));
            }
            return (Block::default(), vec![notes]);
        }
        [(at, Value::Object(map))] => (at, map),
        [(at, _)] => {
            notes.problem(format!("{at}: it is not a map of settings"));
            return (Block::default(), vec![notes]);
        }
        [_, more @ ..] => {
            for (at, _) in more {
                notes.problem(format!("{at}: the file has another sampler before; allowed: one"));
            }
            return (Block::default(), vec![notes]);
        }
    };
    let node = Node { map, at };
    if tail_sampling == 0 {
        let block = adaptive::read(node, list, &mut notes);
        return (block, vec![notes]);
    }
    let block = settings(node, &mut notes);
    let policies = policies_file::read(node, Layout::Collector, list);
    (block, vec![notes, policies])
}

/// The blocks of a processor and their locations.
fn blocks<'v>(root: Node<'v>, processor: &str) -> Vec<(String, &'v Value)> {
    let mut blocks: Vec<(String, &Value)> = Vec::new();
    blocks.extend(root.map.get(processor).map(|block| (processor.to_owned(), block)));
    if let Some(Value::Object(processors)) = root.map.get(PROCESSORS) {
        let named = processors.iter().filter(|(name, _)| {
            name.strip_prefix(processor)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        blocks.extend(named.map(|(name, block)| (format!("{PROCESSORS}.{name}"), block)));
    }
    blocks
}

fn settings(node: Node<'_>, notes: &mut Notes) -> Block {
    notes.known(node, &KEYS);
    for (key, allowed) in [
        ("sample_on_first_match", "a drop policy always wins"),
        ("drop_pending_traces_on_shutdown", "what waits is decided at the stop"),
        ("block_on_overflow", "the oldest traces are decided early"),
        (
            "maximum_trace_size_bytes",
            "'max_trace_size' decides such traces, and drops none for that",
        ),
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
        max_trace_spans: None,
        shards: shards(node, notes),
        kept_cache: caches.0,
        dropped_cache: caches.1,
    }
}

#[cfg(test)]
mod adaptive_tests;
#[cfg(test)]
mod extension_tests;
#[cfg(test)]
mod published_tests;
#[cfg(test)]
mod tests;
