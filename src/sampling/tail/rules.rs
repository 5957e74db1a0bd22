//! Who decides, and under which names that is counted.

use super::config::TailConfig;
use crate::model::ErrorRule;
use crate::sampling::policy::Policies;
use crate::sampling::session::SessionKeys;

/// The most names that are counted apart, over all configurations of a run.
pub(super) const MAX_NAMES: usize = 4096;
/// The name of what chance decides while the buffer is full.
pub const SHEDDING: &str = "shedding";

/// Who decides.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) policies: Policies,
    pub(super) sessions: Option<SessionKeys>,
    pub(super) errors: ErrorRule,
    /// How often rules took the place of others.
    pub(super) generation: u32,
    /// Where each policy is counted.
    slots: Vec<usize>,
}

impl Rules {
    /// The rules of a configuration, whose policies are counted under their names.
    pub(super) fn new(config: TailConfig, generation: u32, names: &mut Names) -> Self {
        let TailConfig { policies, sessions, errors, .. } = config;
        let slots = policies.list().iter().map(|policy| names.slot(&policy.name)).collect();
        Self { policies, sessions, errors, generation, slots }
    }

    /// Where a policy is counted.
    pub(super) fn slot(&self, policy: usize) -> usize {
        self.slots.get(policy).copied().unwrap_or_default()
    }
}

/// The names of policies, which stay when policies go, so that counters and late spans have them.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<String>);

impl Names {
    /// The place of a name. Those for which there is no room share the last one.
    pub(super) fn slot(&mut self, name: &str) -> usize {
        let known = self.0.iter().position(|known| known == name);
        known.unwrap_or_else(|| {
            match self.0.len() {
                MAX_NAMES.. => {}
                last if last + 1 == MAX_NAMES => self.0.push("other".to_owned()),
                _ => self.0.push(name.to_owned()),
            }
            self.0.len().saturating_sub(1)
        })
    }

    /// The name at a place.
    pub(super) fn get(&self, slot: usize) -> &str {
        self.0.get(slot).map_or("", String::as_str)
    }

    /// All names.
    pub(super) fn all(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_places_and_are_bounded() {
        let mut names = Names::default();
        assert_eq!(["a", "b", "a"].map(|name| names.slot(name)), [0, 1, 0]);
        for name in 0..10_000 {
            names.slot(&name.to_string());
        }
        let last = names.slot("new");
        assert_eq!((names.all().len(), last), (MAX_NAMES, MAX_NAMES - 1));
        assert_eq!((names.get(last), names.get(1)), ("other", "b"));
    }
}
