//! Settings of tenants that share a goal.

use serde_json::Value;

use super::adaptive_settings::{GOALS, OURS, max_keys, own_goal};
use super::policy_settings::Settings as PolicySettings;
use crate::config::{Node, Notes};
use crate::sampling::adaptive::{
    AdaptiveConfig, AmountUnit, KeyFields, Shares, TenantShare, Tenants,
};
use crate::sampling::policy::{Field, PolicyRule};

/// The field that names tenants, which makes a goal one of tenants.
pub(super) const ATTRIBUTE: &str = "tenant_attribute";
/// The settings of tenants, beside those of a goal.
pub(super) const KEYS: [&str; 4] = [ATTRIBUTE, "default", "tenants", "max_tenants"];
/// The keys of the policy.
pub(super) const POLICY_KEYS: [&str; 12] = [
    ATTRIBUTE,
    "default",
    "tenants",
    "max_tenants",
    "traces_per_second",
    "spans_per_second",
    "bytes_per_second",
    "algorithm",
    "adjustment_interval",
    "weight",
    "update_frequency",
    "lookback_frequency",
];
const SHARE_KEYS: [&str; 3] = ["weight", "minimum", "priority"];
const NAMED_KEYS: [&str; 4] = ["tenant", "weight", "minimum", "priority"];
/// How many tenants are told apart where nothing else is said.
const DEFAULT_TENANTS: usize = 100;
/// The highest priority.
const MAX_PRIORITY: u32 = 100;

/// Our policy `tenant_throughput`.
pub(super) fn policy(settings: &mut PolicySettings<'_>, node: Node<'_>) -> Option<PolicyRule> {
    let goal = own_goal(node, &mut settings.notes);
    let config = read(node, goal, &mut settings.notes)?;
    Some(PolicyRule::Adaptive(settings.list.adaptive(config)))
}

/// Tenants that share a goal.
pub(super) fn read(
    node: Node<'_>,
    goal: (&str, AmountUnit),
    notes: &mut Notes,
) -> Option<AdaptiveConfig> {
    let field = field(node, notes);
    let others = others(node, notes);
    let named = named(node, others, notes);
    let max_keys = max_keys(node, "max_tenants", DEFAULT_TENANTS, notes);
    let (goal, unit, history) = OURS.goal(node, goal, "windowed", notes)?;
    let minimums: f64 = named.iter().map(|(_, share)| share.minimum).sum();
    let total = GOALS.iter().find_map(|(key, _)| node.map.get(*key)?.as_f64());
    if total.is_some_and(|total| minimums > total) {
        notes.refuse(node, "tenants", "allowed: minimums that are not more than the goal together");
    }
    let tenants = Tenants::new(field?, others, &named);
    Some(AdaptiveConfig {
        keys: KeyFields::default(),
        goal,
        unit,
        history,
        shares: Shares::Equal,
        whole: false,
        initial: super::adaptive_settings::INITIAL_RATE,
        max_keys: max_keys?,
        of_fleet: true,
        shards: 1,
        tenants: Some(tenants),
    })
}

fn field(node: Node<'_>, notes: &mut Notes) -> Option<Field> {
    let name = notes.text(node, ATTRIBUTE)?;
    match Field::parse(&name) {
        Ok(field) => Some(field),
        Err(allowed) => {
            notes.refuse(node, ATTRIBUTE, allowed);
            None
        }
    }
}

/// What tenants have that have no share of their own.
fn others(node: Node<'_>, notes: &mut Notes) -> TenantShare {
    let at = format!("{}.default", node.at);
    match node.map.get("default") {
        None => TenantShare::default(),
        Some(Value::Object(map)) => {
            let node = Node { map, at: &at };
            notes.known(node, &SHARE_KEYS);
            share(node, TenantShare::default(), notes)
        }
        Some(_) => {
            notes.refuse(node, "default", "allowed: a map with weight, minimum, priority");
            TenantShare::default()
        }
    }
}

fn named(node: Node<'_>, others: TenantShare, notes: &mut Notes) -> Vec<(String, TenantShare)> {
    let mut named: Vec<(String, TenantShare)> = Vec::new();
    for (index, value) in notes.list(node, "tenants").iter().enumerate() {
        let at = format!("{}.tenants[{index}]", node.at);
        let Value::Object(map) = value else {
            notes.problem(format!("{at} must be a map with 'tenant'"));
            continue;
        };
        let node = Node { map, at: &at };
        notes.known(node, &NAMED_KEYS);
        let Some(name) = notes.text(node, "tenant") else { continue };
        if name.is_empty() || named.iter().any(|(known, _)| *known == name) {
            notes.refuse(node, "tenant", "allowed: a name that no other one has");
        }
        named.push((name, share(node, others, notes)));
    }
    named
}

/// What a tenant has; what is not said is as it is of others.
fn share(node: Node<'_>, others: TenantShare, notes: &mut Notes) -> TenantShare {
    let mut number = |key, range, other| match node.map.get(key) {
        None => other,
        Some(_) => notes.number(node, key, range).unwrap_or(other),
    };
    let weight = number("weight", (f64::MIN_POSITIVE, f64::MAX), others.weight);
    let minimum = number("minimum", (0.0, f64::MAX), others.minimum);
    let priority = match node.map.get("priority") {
        None => Some(others.priority),
        Some(value) => value.as_u64().and_then(|number| u32::try_from(number).ok()),
    };
    let priority = priority.filter(|priority| *priority <= MAX_PRIORITY);
    if priority.is_none() {
        let allowed = format!("allowed: a whole number from 0 to {MAX_PRIORITY}");
        notes.refuse(node, "priority", &allowed);
    }
    TenantShare { weight, minimum, priority: priority.unwrap_or_default() }
}

#[cfg(test)]
mod tests;
