//! What the blocks of both processors say alike.

use std::time::Duration;

use serde_json::Value;

use crate::config::{Node, Notes};
use crate::sampling::shards::MAX_SHARDS;

/// What the block says beside its policies.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::plugins::filter_ai_sampling) struct Block {
    /// Whether there is one.
    pub(in crate::plugins::filter_ai_sampling) is_there: bool,
    pub(in crate::plugins::filter_ai_sampling) decision_wait: Option<Duration>,
    pub(in crate::plugins::filter_ai_sampling) after_root: Option<Duration>,
    pub(in crate::plugins::filter_ai_sampling) max_traces: Option<usize>,
    /// `span_limit`: with so many spans a trace is decided at once.
    pub(in crate::plugins::filter_ai_sampling) max_trace_spans: Option<usize>,
    pub(in crate::plugins::filter_ai_sampling) shards: Option<usize>,
    pub(in crate::plugins::filter_ai_sampling) kept_cache: Option<usize>,
    pub(in crate::plugins::filter_ai_sampling) dropped_cache: Option<usize>,
}

/// The sizes of the caches of decisions: of kept traces, and of dropped ones.
pub(super) fn caches(node: Node<'_>, notes: &mut Notes) -> (Option<usize>, Option<usize>) {
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
pub(super) fn count(node: Node<'_>, key: &str, notes: &mut Notes) -> Option<usize> {
    let value = node.map.get(key)?;
    let text = value.as_str().map(|text| text.replace('_', ""));
    let number = text.map_or_else(|| value.as_u64(), |text| text.parse().ok());
    let number = number.and_then(|number| usize::try_from(number).ok());
    if number.is_none_or(|number| number > 10_000_000) {
        notes.refuse(node, key, "allowed: a number up to 10000000");
    }
    number
}

/// How many shards there are, where the block says it.
pub(super) fn shards(node: Node<'_>, notes: &mut Notes) -> Option<usize> {
    let shards = count(node, "num_shards", notes).filter(|shards| *shards > 0);
    if shards.is_some_and(|shards| shards > MAX_SHARDS) {
        notes.refuse(node, "num_shards", &format!("allowed: up to {MAX_SHARDS}"));
    }
    shards
}

/// A duration as Go writes them.
pub(super) fn duration(node: Node<'_>, key: &str, notes: &mut Notes) -> Option<Duration> {
    let value = node.map.get(key)?;
    let duration = value.as_str().and_then(go_duration);
    if duration.is_none() && value.as_u64() != Some(0) {
        notes.refuse(node, key, "allowed: a duration such as 500ms, 10s, 1m30s");
    }
    duration
}

/// Numbers with units, such as `1m30s`.
pub(in crate::plugins::filter_ai_sampling) fn go_duration(text: &str) -> Option<Duration> {
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
