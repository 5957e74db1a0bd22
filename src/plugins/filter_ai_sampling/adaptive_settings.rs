//! Settings of adaptive samplers: what ours, the Collector's and Refinery's have alike, and our own.

use std::time::Duration;

use serde_json::Value;

use super::collector_file::go_duration;
use super::policy_settings::Settings as PolicySettings;
use crate::config::{Node, Notes, parse_duration};
use crate::sampling::adaptive::{
    AdaptiveConfig, AmountUnit, Goal, History, KeyFields, MAX_BLOCKS, MAX_KEYS, Shares,
};
use crate::sampling::policy::{Field, PolicyRule};

/// How many keys are told apart where nothing else is said.
const DEFAULT_KEYS: usize = 500;
/// The rate while there is no history, where nothing else is said.
pub(super) const INITIAL_RATE: f64 = 10.0;

/// The keys of settings that all adaptive samplers have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// The fields that make the key of a trace.
    pub(super) fields: &'static str,
    /// How many keys are told apart.
    pub(super) max_keys: &'static str,
}

impl Settings {
    /// The fields that make the key of a trace.
    pub(super) fn keys(
        self,
        node: Node<'_>,
        with_count: bool,
        notes: &mut Notes,
    ) -> Option<KeyFields> {
        let names = notes.texts(node, self.fields);
        let mut fields = Vec::new();
        for name in &names {
            match Field::parse(name) {
                Ok(field) => fields.push(field),
                Err(allowed) => notes.refuse(node, self.fields, &format!("'{name}': {allowed}")),
            }
        }
        (!names.is_empty()).then(|| KeyFields::new(fields, with_count))
    }

    /// How many keys are told apart.
    pub(super) fn max_keys(self, node: Node<'_>, notes: &mut Notes) -> Option<usize> {
        max_keys(node, self.max_keys, DEFAULT_KEYS, notes)
    }
}

/// How many keys are told apart; as many as there may be for 0, which is no limit elsewhere.
pub(super) fn max_keys(
    node: Node<'_>,
    key: &str,
    default: usize,
    notes: &mut Notes,
) -> Option<usize> {
    let Some(value) = node.map.get(key) else { return Some(default) };
    let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
    match number.filter(|number| *number <= MAX_KEYS) {
        Some(0) => Some(MAX_KEYS),
        Some(number) => Some(number),
        None => {
            notes.refuse(node, key, &format!("allowed: 0 to {MAX_KEYS}"));
            None
        }
    }
}

/// A duration as Go writes them, or another one where there is none or 0.
pub(super) fn go_duration_or(
    node: Node<'_>,
    key: &str,
    default: Duration,
    notes: &mut Notes,
) -> Option<Duration> {
    duration_or(node, key, default, go_duration, notes)
}

fn duration_or(
    node: Node<'_>,
    key: &str,
    default: Duration,
    parse: fn(&str) -> Option<Duration>,
    notes: &mut Notes,
) -> Option<Duration> {
    let duration = match node.map.get(key) {
        None => return Some(default),
        Some(Value::String(text)) => parse(text.trim()),
        Some(value) => (value.as_u64() == Some(0)).then_some(Duration::ZERO),
    };
    match duration {
        Some(Duration::ZERO) => Some(default),
        Some(duration) if duration >= Duration::from_millis(1) => Some(duration),
        _ => {
            notes.refuse(
                node,
                key,
                "allowed: a duration of at least 1ms such as 500ms, 10s, 1m30s",
            );
            None
        }
    }
}

/// A window of whole intervals.
pub(super) fn sliding(
    node: Node<'_>,
    (update_key, lookback_key): (&str, &str),
    (update, lookback): (Duration, Duration),
    notes: &mut Notes,
) -> Option<History> {
    let blocks = lookback.as_nanos() / update.as_nanos().max(1);
    match usize::try_from(blocks) {
        Ok(blocks) if (1..=MAX_BLOCKS).contains(&blocks) => Some(History::Sliding(update, blocks)),
        _ => {
            let allowed = format!("allowed: 1 to {MAX_BLOCKS} times '{update_key}'");
            notes.refuse(node, lookback_key, &allowed);
            None
        }
    }
}

/// The keys of [`percentage`].
pub(super) const PERCENTAGE_KEYS: [&str; 5] =
    ["goal_percentage", "keys", "max_keys", "adjustment_interval", "weight"];
/// The keys of [`throughput`].
pub(super) const THROUGHPUT_KEYS: [&str; 10] = [
    "traces_per_second",
    "spans_per_second",
    "bytes_per_second",
    "keys",
    "max_keys",
    "algorithm",
    "adjustment_interval",
    "weight",
    "update_frequency",
    "lookback_frequency",
];
/// What the goal of [`throughput`] may count.
pub(super) const GOALS: [(&str, AmountUnit); 3] = [
    ("traces_per_second", AmountUnit::Traces),
    ("spans_per_second", AmountUnit::Spans),
    ("bytes_per_second", AmountUnit::Bytes),
];

/// Which settings a file has: ours or the Collector's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialect {
    settings: Settings,
    parse: fn(&str) -> Option<Duration>,
    /// Whether goals per second are those of a fleet.
    of_fleet: bool,
}

/// Ours.
pub(super) const OURS: Dialect = Dialect {
    settings: Settings { fields: "keys", max_keys: "max_keys" },
    parse: parse_duration,
    of_fleet: true,
};
/// The Collector's.
pub(super) const COLLECTORS: Dialect = Dialect {
    settings: Settings { fields: "fingerprint_attributes", max_keys: "max_keys" },
    parse: go_duration,
    of_fleet: false,
};

impl Dialect {
    /// A percentage on the average of all keys.
    pub(super) fn percentage(self, node: Node<'_>, notes: &mut Notes) -> Option<AdaptiveConfig> {
        let percentage = notes.number(node, "goal_percentage", (f64::MIN_POSITIVE, 100.0));
        let history = self.average(node, notes);
        let rate = 100.0 / percentage?;
        self.config(node, (Goal::OneIn(rate), AmountUnit::Spans, history?), rate, notes)
    }

    /// So much per second of all keys together.
    pub(super) fn throughput(
        self,
        node: Node<'_>,
        goal: (&str, AmountUnit),
        notes: &mut Notes,
    ) -> Option<AdaptiveConfig> {
        let goal = self.goal(node, goal, "ema", notes)?;
        self.config(node, goal, INITIAL_RATE, notes)
    }

    /// So much per second, and the history by which it is kept: `algorithm` where nothing else is said.
    pub(super) fn goal(
        self,
        node: Node<'_>,
        (key, unit): (&str, AmountUnit),
        algorithm: &str,
        notes: &mut Notes,
    ) -> Option<(Goal, AmountUnit, History)> {
        let goal = notes.number(node, key, (f64::MIN_POSITIVE, f64::MAX));
        let is_windowed = match node.map.get("algorithm").map_or(Some(algorithm), Value::as_str) {
            Some("ema") => false,
            Some("windowed") => true,
            _ => {
                notes.refuse(node, "algorithm", "allowed: ema, windowed");
                return None;
            }
        };
        let others: [&str; 2] = if is_windowed {
            ["adjustment_interval", "weight"]
        } else {
            ["update_frequency", "lookback_frequency"]
        };
        for key in others.into_iter().filter(|key| node.map.contains_key(*key)) {
            notes.refuse(node, key, "it is of another algorithm");
        }
        let history =
            if is_windowed { self.window(node, notes) } else { self.average(node, notes) };
        Some((Goal::PerSecond(goal?), unit, history?))
    }

    fn window(self, node: Node<'_>, notes: &mut Notes) -> Option<History> {
        let keys = ("update_frequency", "lookback_frequency");
        let second = Duration::from_secs(1);
        let update = duration_or(node, keys.0, second, self.parse, notes)?;
        let default = update.saturating_mul(30);
        let lookback = duration_or(node, keys.1, default, self.parse, notes)?;
        sliding(node, keys, (update, lookback), notes)
    }

    fn average(self, node: Node<'_>, notes: &mut Notes) -> Option<History> {
        let default = Duration::from_secs(15);
        let interval = duration_or(node, "adjustment_interval", default, self.parse, notes)?;
        let weight = match node.map.get("weight") {
            None => 0.5,
            Some(_) => notes.number(node, "weight", (0.0, 1.0 - f64::EPSILON))?,
        };
        let weight = if weight > 0.0 { weight } else { 0.5 };
        let burst = Some((2.0, 3));
        Some(History::Average { interval, weight, age_out: weight, burst })
    }

    fn config(
        self,
        node: Node<'_>,
        (goal, unit, history): (Goal, AmountUnit, History),
        initial: f64,
        notes: &mut Notes,
    ) -> Option<AdaptiveConfig> {
        let keys = self.settings.keys(node, false, notes);
        let max_keys = self.settings.max_keys(node, notes)?;
        let shares = match history {
            History::Sliding(..) => Shares::Equal,
            History::Last(_) | History::Average { .. } => Shares::Logarithmic,
        };
        Some(AdaptiveConfig {
            keys: keys?,
            goal,
            unit,
            history,
            shares,
            whole: false,
            initial,
            max_keys,
            of_fleet: self.of_fleet,
            shards: 1,
            tenants: None,
        })
    }
}

/// Our policy `adaptive_percentage`.
pub(super) fn percentage(settings: &mut PolicySettings<'_>, node: Node<'_>) -> Option<PolicyRule> {
    let config = OURS.percentage(node, &mut settings.notes)?;
    Some(PolicyRule::Adaptive(settings.list.adaptive(config)))
}

/// Our policy `adaptive_throughput`, with one of three goals.
pub(super) fn throughput(settings: &mut PolicySettings<'_>, node: Node<'_>) -> Option<PolicyRule> {
    let config = own_throughput(node, &mut settings.notes)?;
    Some(PolicyRule::Adaptive(settings.list.adaptive(config)))
}

/// The same as the settings of a sampler.
fn own_throughput(node: Node<'_>, notes: &mut Notes) -> Option<AdaptiveConfig> {
    let goal = own_goal(node, notes);
    OURS.throughput(node, goal, notes)
}

/// The one of our goals per second that is given.
pub(super) fn own_goal(node: Node<'_>, notes: &mut Notes) -> (&'static str, AmountUnit) {
    let mut goals = GOALS.into_iter().filter(|(key, _)| node.map.contains_key(*key));
    let goal = goals.next().unwrap_or(GOALS[1]);
    if let Some((key, _)) = goals.next() {
        notes.refuse(node, key, &format!("allowed: one goal; '{}' is one already", goal.0));
    }
    goal
}
