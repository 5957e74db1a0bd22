//! Typed reader of YAML maps, with every mistake and where it is.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::config::parse_duration;

/// How much of a wrong value is shown, in characters.
const SHOWN: usize = 100;

/// One map of a file, and where it stands: empty for the root, else for example `policies[2]`.
#[derive(Debug, Clone, Copy)]
pub struct Node<'v> {
    /// The map.
    pub map: &'v Map<String, Value>,
    /// Its location.
    pub at: &'v str,
}

/// Collects the mistakes of a file while its values are read.
#[derive(Debug, Default)]
pub struct Notes {
    problems: Vec<String>,
}

impl Notes {
    /// Notes a mistake with a message of its own.
    pub fn problem(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
    }

    /// Notes a mistake in the value under a key: its location, the value, and what is allowed.
    pub fn refuse(&mut self, node: Node<'_>, key: &str, allowed: &str) {
        let dot = if node.at.is_empty() { "" } else { "." };
        let given = node.map.get(key).map_or_else(|| "nothing".to_owned(), Value::to_string);
        let cut = given.char_indices().nth(SHOWN).map_or(given.len(), |(index, _)| index);
        let shown = given.get(..cut).unwrap_or_default();
        let more = if cut < given.len() { "..." } else { "" };
        self.problem(format!("{}{dot}{key}: {shown}{more} is not allowed; {allowed}", node.at));
    }

    /// Every mistake noted.
    #[must_use]
    pub fn finish(self) -> Vec<String> {
        self.problems
    }

    /// Refuses the keys that are not among `keys`.
    pub fn known(&mut self, node: Node<'_>, keys: &[&str]) {
        for key in node.map.keys().filter(|key| !keys.contains(&key.as_str())) {
            self.unknown(node, key, keys);
        }
    }

    /// Notes a key that is not known. Its value is not shown: it may be a secret.
    pub fn unknown(&mut self, node: Node<'_>, key: &str, keys: &[&str]) {
        let dot = if node.at.is_empty() { "" } else { "." };
        let keys = keys.join(", ");
        self.problem(format!("{}{dot}{key}: this key is not known; allowed keys: {keys}", node.at));
    }

    /// The text under a key, which must be there.
    pub fn text(&mut self, node: Node<'_>, key: &str) -> Option<String> {
        let text = node.map.get(key).and_then(Value::as_str).map(str::to_owned);
        if text.is_none() {
            self.refuse(node, key, "allowed: a text");
        }
        text
    }

    /// The texts under a key, of which there must be one at least.
    pub fn texts(&mut self, node: Node<'_>, key: &str) -> Vec<String> {
        let values = self.list(node, key);
        let texts: Vec<String> =
            values.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect();
        if texts.is_empty() || texts.len() != values.len() {
            self.refuse(node, key, "allowed: a list of texts");
        }
        texts
    }

    /// The list under a key; empty where there is none.
    pub fn list<'v>(&mut self, node: Node<'v>, key: &str) -> &'v [Value] {
        match node.map.get(key) {
            Some(Value::Array(values)) => values,
            Some(_) => {
                self.refuse(node, key, "allowed: a list");
                &[]
            }
            None => &[],
        }
    }

    /// The switch under a key; `default` where there is none.
    pub fn flag(&mut self, node: Node<'_>, key: &str, default: bool) -> Option<bool> {
        match node.map.get(key) {
            None => Some(default),
            Some(Value::Bool(flag)) => Some(*flag),
            Some(_) => {
                self.refuse(node, key, "allowed: true, false");
                None
            }
        }
    }

    /// The number under a key, from `low` to `high`, which must be there.
    pub fn number(&mut self, node: Node<'_>, key: &str, (low, high): (f64, f64)) -> Option<f64> {
        let number = node.map.get(key).and_then(Value::as_f64);
        let number = number.filter(|number| (low..=high).contains(number));
        if number.is_none() {
            let is_positive = low > 0.0 && low <= f64::MIN_POSITIVE;
            let range = match (is_positive, high < f64::MAX) {
                (true, true) => format!(" above 0, up to {high}"),
                (true, false) => " above 0".to_owned(),
                (false, true) => format!(" from {low} to {high}"),
                (false, false) => String::new(),
            };
            self.refuse(node, key, &format!("allowed: a number{range}"));
        }
        number
    }

    /// The duration under a key, which must be there; a bare number is seconds.
    pub fn duration(&mut self, node: Node<'_>, key: &str) -> Option<Duration> {
        let duration = match node.map.get(key) {
            Some(Value::String(text)) => parse_duration(text.trim()),
            Some(value) => {
                value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            }
            None => None,
        };
        if duration.is_none() {
            self.refuse(node, key, "allowed: a duration such as 500ms, 10s, 5m");
        }
        duration
    }
}
