//! The block of the Collector's processor `adaptive_tail_sampling`.

use std::time::Duration;

use serde_json::Value;

use super::block::{Block, caches, count, duration, go_duration};
use crate::condition::Condition;
use crate::config::{Node, Notes};
use crate::plugins::filter_ai_sampling::adaptive_settings::COLLECTORS;
use crate::plugins::filter_ai_sampling::ottl;
use crate::plugins::filter_ai_sampling::policy_list::PolicyList;
use crate::sampling::Threshold;
use crate::sampling::adaptive::{AdaptiveConfig, AmountUnit};
use crate::sampling::policy::PolicyRule;

/// Every key of the block.
pub(super) const KEYS: [&str; 9] = [
    "trace_timeout",
    "decision_delay",
    "num_traces",
    "span_limit",
    "root_span_condition",
    "decision_cache",
    "eviction",
    "record_fingerprint",
    "rules",
];

/// `span_limit` where it is not given.
const SPAN_LIMIT: usize = 10_000;
/// What instances share the goal by.
const SHARED: &str = "shared_counters";
/// Samplers with their keys.
pub(super) const SAMPLERS: [(&str, &[&str]); 4] = [
    ("always_sample", &["type"]),
    ("probabilistic", &["type", "sampling_percentage"]),
    (
        "adaptive_percentage",
        &[
            "type",
            "algorithm",
            "goal_percentage",
            "fingerprint_attributes",
            "max_keys",
            "adjustment_interval",
            "weight",
        ],
    ),
    (
        "adaptive_throughput",
        &[
            "type",
            "algorithm",
            "goal_throughput",
            "fingerprint_attributes",
            "max_keys",
            "adjustment_interval",
            "weight",
            "update_frequency",
            "lookback_frequency",
            SHARED,
        ],
    ),
];

/// Reads the settings and the rules of the block.
pub(super) fn read(node: Node<'_>, list: &mut PolicyList, notes: &mut Notes) -> Block {
    notes.known(node, &KEYS);
    unsupported(node, notes);
    for (index, value) in notes.list(node, "rules").iter().enumerate() {
        let at = format!("{}.rules[{index}]", node.at);
        match value {
            Value::Object(map) => rule(Node { map, at: &at }, list, notes),
            _ => notes.problem(format!("{at} must be a map with 'name' and 'sampler'")),
        }
    }
    if list.has_none() {
        notes.refuse(node, "rules", "allowed: a list of at least one rule");
    }
    list.decides_in_order("adaptive_tail_sampling");
    let caches = caches(node, notes);
    let mut wait =
        |key, default| duration(node, key, notes).unwrap_or_else(|| Duration::from_secs(default));
    let (timeout, delay) = (wait("trace_timeout", 30), wait("decision_delay", 2));
    for key in ["trace_timeout", "decision_delay"] {
        let is_zero = node.map.get(key).is_some_and(|value| match value.as_str() {
            Some(text) => go_duration(text) == Some(Duration::ZERO),
            None => value.as_u64() == Some(0),
        });
        if is_zero {
            notes.refuse(node, key, "allowed: a duration over 0");
        }
    }
    Block {
        is_there: true,
        // The delay follows the timeout as it follows the root.
        decision_wait: Some(timeout.saturating_add(delay)),
        after_root: Some(delay),
        max_traces: count(node, "num_traces", notes).filter(|most| *most > 0),
        max_trace_spans: Some(count(node, "span_limit", notes).unwrap_or(SPAN_LIMIT)),
        shards: None,
        kept_cache: caches.0,
        dropped_cache: caches.1,
    }
}

fn unsupported(node: Node<'_>, notes: &mut Notes) {
    let eviction = node.map.get("eviction").map(|eviction| eviction.get("policy"));
    if eviction.is_some_and(|policy| policy.is_some_and(|policy| policy != "evaluate")) {
        notes.refuse(
            node,
            "eviction",
            "allowed: policy: evaluate; the rules decide the oldest early",
        );
    }
    let fingerprint = node.map.get("record_fingerprint");
    if fingerprint.is_some_and(|record| record != "none") {
        notes.refuse(node, "record_fingerprint", "allowed: none");
    }
    let root = node.map.get("root_span_condition").map(Value::as_str);
    if root
        .is_some_and(|root| !root.is_some_and(|text| ["", "IsRootSpan()"].contains(&text.trim())))
    {
        let allowed = "allowed: IsRootSpan(); the root is the span without a parent";
        notes.refuse(node, "root_span_condition", allowed);
    }
}

fn rule(node: Node<'_>, list: &mut PolicyList, notes: &mut Notes) {
    notes.known(node, &["name", "match", "conditions", "sampler"]);
    let name = notes.text(node, "name").unwrap_or_default();
    if name.is_empty() || name.starts_with('_') || list.has(&name) {
        notes.refuse(node, "name", "allowed: a name that no other rule has, without '_' before it");
    }
    let condition = condition(node, notes);
    let Some(rule) = sampler(node, list, notes) else { return };
    let rule = match condition {
        None => rule,
        Some(condition) => PolicyRule::All(vec![PolicyRule::Cel(Box::new(condition)), rule]),
    };
    list.keep(&name, rule);
}

/// What the spans of a trace have to meet, if anything.
fn condition(node: Node<'_>, notes: &mut Notes) -> Option<Condition> {
    let same_span = match node.map.get("match").map(Value::as_str) {
        None | Some(Some("any_span")) => false,
        Some(Some("same_span")) => true,
        Some(_) => {
            notes.refuse(node, "match", "allowed: any_span, same_span");
            false
        }
    };
    let mut all = Vec::new();
    for (index, value) in notes.list(node, "conditions").iter().enumerate() {
        match ottl::to_cel(value.as_str().unwrap_or_default(), ottl::Context::Span) {
            Ok(text) => all.push(text),
            Err(problem) => notes.problem(format!("{}.conditions[{index}]: {problem}", node.at)),
        }
    }
    if all.is_empty() {
        if node.map.contains_key("match") {
            notes.refuse(node, "match", "it needs 'conditions'");
        }
        return None;
    }
    let exists = |condition: &str| format!("spans.exists(s, {condition})");
    let text = if same_span {
        exists(&all.join(" && "))
    } else {
        all.iter().map(|condition| exists(condition)).collect::<Vec<_>>().join(" && ")
    };
    match Condition::compile(&text) {
        Ok(condition) => Some(condition),
        Err(error) => {
            notes.problem(format!("{}.conditions: {error}", node.at));
            None
        }
    }
}

fn sampler(node: Node<'_>, list: &mut PolicyList, notes: &mut Notes) -> Option<PolicyRule> {
    let Some(Value::Object(map)) = node.map.get("sampler") else {
        notes.refuse(node, "sampler", "allowed: a map with 'type'");
        return None;
    };
    let at = format!("{}.sampler", node.at);
    let node = Node { map, at: &at };
    let kind = notes.text(node, "type")?;
    let Some((_, keys)) = SAMPLERS.iter().find(|(name, _)| *name == kind) else {
        let names = SAMPLERS.map(|(name, _)| name).join(", ");
        notes.refuse(node, "type", &format!("allowed: {names}"));
        return None;
    };
    notes.known(node, keys);
    // What the instances share is the goal; counters that an extension keeps are not needed for it.
    let of_fleet = map.contains_key(SHARED);
    if of_fleet {
        list.needs_fleet_size(format!("{}.{SHARED}", node.at));
    }
    let config = match kind.as_str() {
        "always_sample" => return Some(PolicyRule::Always),
        "probabilistic" => {
            let percentage =
                notes.number(node, "sampling_percentage", (f64::MIN_POSITIVE, 100.0))?;
            return Some(PolicyRule::Probability(Threshold::from_percentage(percentage)));
        }
        "adaptive_percentage" => {
            if map.get("algorithm").is_some_and(|algorithm| algorithm != "ema") {
                notes.refuse(node, "algorithm", "allowed: ema");
            }
            COLLECTORS.percentage(node, notes)
        }
        _ => COLLECTORS.throughput(node, ("goal_throughput", AmountUnit::Spans), notes),
    };
    Some(PolicyRule::Adaptive(list.adaptive(AdaptiveConfig { of_fleet, ..config? })))
}
