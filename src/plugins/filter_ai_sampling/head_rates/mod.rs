//! Rates of head sampling in the YAML file: which spans, and how many of them.

use serde_json::Value;

use super::adaptive_settings::{GOALS, OURS};
use super::counters::{NO_TRACE_ID, NOT_SAMPLED};
use super::tenant_settings;
use crate::condition::Condition;
use crate::config::{Node, Notes};
use crate::sampling::policy::{Field, Operand, ValueCheck};
use crate::sampling::{HeadRate, RateChance, RateTest, Threshold};

/// The section.
pub(super) const SECTION: &str = "rates";
/// Names that counters have already.
const TAKEN: [&str; 3] = [NO_TRACE_ID, NOT_SAMPLED, "sampling_percentage"];
/// The keys that say how many spans stay: one of them.
const PERCENTAGE: &str = "sampling_percentage";
const GOAL_PERCENTAGE: &str = "goal_percentage";
/// Every key of a rate.
const KEYS: [&str; 19] = [
    "name",
    "where",
    "key",
    "values",
    PERCENTAGE,
    GOAL_PERCENTAGE,
    "spans_per_second",
    "bytes_per_second",
    "keys",
    "max_keys",
    "algorithm",
    "adjustment_interval",
    "weight",
    "update_frequency",
    "lookback_frequency",
    tenant_settings::ATTRIBUTE,
    "default",
    "tenants",
    "max_tenants",
];

/// Reads the list of rates, and notes every mistake in it.
pub(super) fn read(root: Node<'_>) -> (Vec<HeadRate>, Notes) {
    let (mut notes, mut rates) = (Notes::default(), Vec::new());
    for (index, value) in notes.list(root, SECTION).iter().enumerate() {
        let at = format!("{SECTION}[{index}]");
        match value {
            Value::Object(map) => {
                let rate = rate(Node { map, at: &at }, &rates, &mut notes);
                rates.extend(rate);
            }
            _ => notes.problem(format!("{at} must be a map with 'name'")),
        }
    }
    (rates, notes)
}

fn rate(node: Node<'_>, before: &[HeadRate], notes: &mut Notes) -> Option<HeadRate> {
    notes.known(node, &KEYS);
    let name = notes.text(node, "name").unwrap_or_default();
    if name.is_empty()
        || TAKEN.contains(&name.as_str())
        || before.iter().any(|rate| rate.name == name)
    {
        let allowed = format!("allowed: a name that no other rate has; not {}", TAKEN.join(", "));
        notes.refuse(node, "name", &allowed);
    }
    let test = test(node, notes);
    let chance = chance(node, notes);
    Some(HeadRate { name, test: test?, chance: chance? })
}

/// Which spans a rate is for.
fn test(node: Node<'_>, notes: &mut Notes) -> Option<RateTest> {
    let has = |key| node.map.contains_key(key);
    if has("values") && !has("key") {
        notes.refuse(node, "values", "it needs 'key'");
    }
    match (has("where"), has("key")) {
        (true, true) => {
            notes.refuse(node, "where", "allowed: one of 'where' and 'key'");
            None
        }
        (false, false) => Some(RateTest::All),
        (true, false) => condition(node, notes),
        (false, true) => {
            let key = notes.text(node, "key")?;
            let field = match Field::parse(&key) {
                Ok(field) if !field.is_of_root() => field,
                Ok(_) => {
                    notes.refuse(node, "key", "a span is decided without its root");
                    return None;
                }
                Err(allowed) => {
                    notes.refuse(node, "key", allowed);
                    return None;
                }
            };
            let values = if has("values") { notes.texts(node, "values") } else { Vec::new() };
            let texts = values.into_iter().map(|text| Operand::Text(text.into())).collect();
            let check =
                if has("values") { ValueCheck::IsIn(texts, true) } else { ValueCheck::Exists };
            Some(RateTest::Field(field, check))
        }
    }
}

fn condition(node: Node<'_>, notes: &mut Notes) -> Option<RateTest> {
    let text = notes.text(node, "where")?;
    match Condition::compile(&text) {
        Ok(condition) if condition.needs_trace() => {
            notes.refuse(node, "where", "a span is decided without its trace");
            None
        }
        Ok(condition) => Some(RateTest::Cel(Box::new(condition))),
        Err(error) => {
            notes.refuse(node, "where", &error.to_string());
            None
        }
    }
}

/// How many of them stay.
fn chance(node: Node<'_>, notes: &mut Notes) -> Option<RateChance> {
    // A span has no trace to count.
    let of_goals = GOALS.iter().map(|(key, _)| *key).filter(|key| KEYS.contains(key));
    let kinds: Vec<&str> = [PERCENTAGE, GOAL_PERCENTAGE]
        .into_iter()
        .chain(of_goals)
        .filter(|key| node.map.contains_key(*key))
        .collect();
    let [kind] = kinds[..] else {
        let allowed = "allowed: a number, here or in one of 'goal_percentage', 'spans_per_second', \
                       'bytes_per_second'";
        notes.refuse(node, PERCENTAGE, allowed);
        return None;
    };
    let has_tenants = node.map.contains_key(tenant_settings::ATTRIBUTE);
    for key in tenant_settings::KEYS.into_iter().filter(|key| node.map.contains_key(*key)) {
        if !has_tenants {
            notes.refuse(node, key, "it needs 'tenant_attribute'");
        } else if [PERCENTAGE, GOAL_PERCENTAGE].contains(&kind) {
            notes.refuse(node, key, "it needs 'spans_per_second' or 'bytes_per_second'");
        }
    }
    if has_tenants && node.map.contains_key("keys") {
        notes.refuse(node, "keys", "tenants take the place of keys");
    }
    let config = match kind {
        PERCENTAGE => {
            if node.map.contains_key("keys") {
                notes.refuse(node, "keys", "a percentage that is given is the same for all keys");
            }
            let percentage = notes.number(node, PERCENTAGE, (0.0, 100.0))?;
            return Some(RateChance::At(Threshold::from_percentage(percentage)));
        }
        GOAL_PERCENTAGE => OURS.percentage(node, notes),
        _ => {
            let goal = *GOALS.iter().find(|(key, _)| *key == kind)?;
            if has_tenants {
                tenant_settings::read(node, goal, notes)
            } else {
                OURS.throughput(node, goal, notes)
            }
        }
    };
    config.map(RateChance::adaptive)
}

#[cfg(test)]
mod tests;
