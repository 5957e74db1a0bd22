//! Grouping: options of endpoints and groups by name, as the user gave them.

use std::collections::BTreeMap;

use super::stock;

/// The name of an endpoint that has none, in counters and log lines.
pub(super) const NAME: &str = "default";

/// The key of an option and what is wrong with it.
pub(super) type WrongOption = (&'static str, String);

/// Options as (key, value).
pub(super) type GivenPairs = [(String, String)];

/// The options of all endpoints and groups, by name.
pub(super) struct NamedOptions {
    pub(super) endpoints: OptionsByName,
    pub(super) groups: OptionsByName,
}

/// Options by key, of one name after the other.
pub(in crate::plugins) type OptionsByName = BTreeMap<String, Vec<(String, String)>>;

/// The last value of a key.
pub(super) fn last<'g>(given: &'g GivenPairs, wanted: &str) -> Option<&'g str> {
    let found = given.iter().rev().find(|(key, _)| stock::ours(key) == wanted);
    found.map(|(_, value)| value.trim())
}

/// An option as the user wrote it. The keys of the endpoint without a name stand alone.
pub(super) fn option(family: &str, name: &str, key: &str) -> String {
    match (family, name) {
        ("endpoint", NAME) => key.to_owned(),
        _ => format!("{family}.{name}.{key}"),
    }
}
