//! Samplers of a rules file: their settings and defaults.

use std::time::Duration;

use serde_json::Value;

use crate::config::{Node, Notes};
use crate::plugins::filter_ai_sampling::adaptive_settings::{self, Settings};
use crate::plugins::filter_ai_sampling::policy_list::PolicyList;
use crate::sampling::Threshold;
use crate::sampling::adaptive::{AdaptiveConfig, AmountUnit, Goal, History, Shares};
use crate::sampling::policy::PolicyRule;

/// Reads rules, and collects mistakes.
pub(super) struct RulesReader<'l> {
    /// The mistakes.
    pub(super) notes: Notes,
    /// What the rules are added to.
    pub(super) list: &'l mut PolicyList,
}

/// A rule that keeps one trace in so many.
pub(super) fn one_in(rate: f64) -> PolicyRule {
    PolicyRule::Probability(Threshold::from_probability(1.0 / rate.max(1.0)))
}

/// What reads the settings of a sampler.
type ReadSampler = fn(&mut RulesReader<'_>, Node<'_>) -> Option<PolicyRule>;

/// Samplers with their keys.
pub(super) const SAMPLERS: [(&str, &[&str], ReadSampler); 6] = [
    ("DeterministicSampler", &["SampleRate"], |reader, node| {
        reader.notes.number(node, "SampleRate", (f64::MIN, f64::MAX)).map(one_in)
    }),
    (
        "DynamicSampler",
        &["SampleRate", "ClearFrequency", "FieldList", "MaxKeys", "UseTraceLength"],
        |reader, node| {
            let rate = reader.notes.number(node, "SampleRate", ONE_OR_MORE);
            let interval = duration(node, "ClearFrequency", 30, &mut reader.notes);
            let history = History::Last(interval?);
            reader.adaptive(node, Goal::OneIn(rate?), history, Shares::Logarithmic, rate?)
        },
    ),
    (
        "EMADynamicSampler",
        &[
            "GoalSampleRate",
            "AdjustmentInterval",
            "Weight",
            "AgeOutValue",
            "BurstMultiple",
            "BurstDetectionDelay",
            "FieldList",
            "MaxKeys",
            "UseTraceLength",
        ],
        |reader, node| {
            let rate = reader.notes.number(node, "GoalSampleRate", ONE_OR_MORE);
            let history = average(node, &mut reader.notes);
            reader.adaptive(node, Goal::OneIn(rate?), history?, Shares::Logarithmic, rate?)
        },
    ),
    (
        "EMAThroughputSampler",
        &[
            "GoalThroughputPerSec",
            CLUSTER_SIZE,
            "InitialSampleRate",
            "AdjustmentInterval",
            "Weight",
            "AgeOutValue",
            "BurstMultiple",
            "BurstDetectionDelay",
            "FieldList",
            "MaxKeys",
            "UseTraceLength",
        ],
        |reader, node| {
            let goal = reader.throughput(node);
            let initial = number(node, "InitialSampleRate", 10.0, &mut reader.notes);
            let history = average(node, &mut reader.notes);
            reader.adaptive(node, goal?, history?, Shares::Logarithmic, initial?)
        },
    ),
    (
        "WindowedThroughputSampler",
        &[
            "GoalThroughputPerSec",
            CLUSTER_SIZE,
            "UpdateFrequency",
            "LookbackFrequency",
            "FieldList",
            "MaxKeys",
            "UseTraceLength",
        ],
        |reader, node| {
            let goal = reader.throughput(node);
            let update = duration(node, "UpdateFrequency", 1, &mut reader.notes)?;
            let lookback = adaptive_settings::go_duration_or(
                node,
                "LookbackFrequency",
                update.saturating_mul(30),
                &mut reader.notes,
            )?;
            let keys = ("UpdateFrequency", "LookbackFrequency");
            let history =
                adaptive_settings::sliding(node, keys, (update, lookback), &mut reader.notes);
            reader.adaptive(node, goal?, history?, Shares::Equal, 1.0)
        },
    ),
    (
        "TotalThroughputSampler",
        &[
            "GoalThroughputPerSec",
            CLUSTER_SIZE,
            "ClearFrequency",
            "FieldList",
            "MaxKeys",
            "UseTraceLength",
        ],
        |reader, node| {
            let goal = reader.throughput(node);
            let interval = duration(node, "ClearFrequency", 30, &mut reader.notes);
            reader.adaptive(node, goal?, History::Last(interval?), Shares::Equal, 1.0)
        },
    ),
];

/// Whether the goal is one of all instances.
const CLUSTER_SIZE: &str = "UseClusterSize";
const ONE_OR_MORE: (f64, f64) = (1.0, f64::MAX);

fn duration(node: Node<'_>, key: &str, default: u64, notes: &mut Notes) -> Option<Duration> {
    adaptive_settings::go_duration_or(node, key, Duration::from_secs(default), notes)
}

/// A number; 0 is the default, as in Refinery.
fn number(node: Node<'_>, key: &str, default: f64, notes: &mut Notes) -> Option<f64> {
    if !node.map.contains_key(key) {
        return Some(default);
    }
    let number = notes.number(node, key, (0.0, f64::MAX))?;
    Some(if number > 0.0 { number } else { default })
}

/// The moving average, with its bursts.
fn average(node: Node<'_>, notes: &mut Notes) -> Option<History> {
    let weight = number(node, "Weight", 0.5, notes)?;
    if weight >= 1.0 {
        notes.refuse(node, "Weight", "allowed: over 0 and below 1");
    }
    let multiple = match node.map.get("BurstMultiple") {
        None => 2.0,
        Some(_) => notes.number(node, "BurstMultiple", (f64::MIN, f64::MAX))?,
    };
    let multiple = if multiple == 0.0 { 2.0 } else { multiple };
    let delay = match node.map.get("BurstDetectionDelay").map(Value::as_u64) {
        None | Some(Some(0)) => 3,
        Some(Some(delay)) => delay,
        Some(None) => {
            notes.refuse(node, "BurstDetectionDelay", "allowed: a whole number");
            return None;
        }
    };
    Some(History::Average {
        interval: duration(node, "AdjustmentInterval", 15, notes)?,
        weight,
        age_out: number(node, "AgeOutValue", weight, notes)?,
        burst: (multiple > 0.0).then_some((multiple, delay)),
    })
}

impl RulesReader<'_> {
    fn throughput(&mut self, node: Node<'_>) -> Option<Goal> {
        if self.notes.flag(node, CLUSTER_SIZE, false) == Some(true) {
            self.list.needs_fleet_size(format!("{}.{CLUSTER_SIZE}", node.at));
        }
        self.notes.number(node, "GoalThroughputPerSec", ONE_OR_MORE).map(Goal::PerSecond)
    }

    fn adaptive(
        &mut self,
        node: Node<'_>,
        goal: Goal,
        history: History,
        shares: Shares,
        initial: f64,
    ) -> Option<PolicyRule> {
        let with_count = self.notes.flag(node, "UseTraceLength", false);
        let settings = Settings { fields: "FieldList", max_keys: "MaxKeys" };
        let keys = settings.keys(node, with_count?, &mut self.notes);
        let max_keys = settings.max_keys(node, &mut self.notes);
        Some(PolicyRule::Adaptive(self.list.adaptive(AdaptiveConfig {
            keys: keys?,
            goal,
            unit: AmountUnit::Spans,
            history,
            shares,
            whole: true,
            initial,
            max_keys: max_keys?,
            of_fleet: node.map.get(CLUSTER_SIZE).and_then(Value::as_bool) == Some(true),
            shards: 1,
            tenants: None,
        })))
    }
}
