//! Policies as they are collected from options and files.

use super::extension_policies::ExtensionPolicies;
use super::fleet;
use crate::codec::records::ContentHint;
use crate::config::Notes;
use crate::sampling::adaptive::AdaptiveConfig;
use crate::sampling::policy::{
    Limit, NoveltyConfig, Policies, Policy, PolicyAction, PolicyRule, SpanTest, SpanTests,
};

/// The problem of too many tests of single spans.
pub(super) const TOO_MANY_TESTS: &str =
    "the policies have more than 64 tests of statuses and attributes; allowed: up to 64";

/// Policies as they are collected from options and files.
#[derive(Debug, Default)]
pub(super) struct PolicyList {
    policies: Vec<Policy>,
    tests: SpanTests,
    limits: Vec<Limit>,
    adaptive: Vec<AdaptiveConfig>,
    content: Vec<(usize, ContentHint)>,
    novelty: Vec<NoveltyConfig>,
    /// Where goals of a fleet stand that need its size.
    fleet_goals: Vec<String>,
    fleet_size: u32,
    /// What has rules of which the first that matches decides, and how many there are of them.
    in_order: Option<(&'static str, usize)>,
    /// What stands for policies of a Collector's extensions.
    pub(super) extensions: ExtensionPolicies,
}

impl PolicyList {
    /// A test of single spans, by its index; `None` when there are too many tests.
    pub(super) fn test(&mut self, test: SpanTest) -> Option<usize> {
        self.tests.add(test)
    }

    /// A rule that asks for a span that passes the test; `None` when there are too many tests.
    pub(super) fn span_test(&mut self, test: SpanTest) -> Option<PolicyRule> {
        self.test(test).map(PolicyRule::SpanTest)
    }

    /// A limit, by its index.
    pub(super) fn limit(&mut self, limit: Limit) -> usize {
        self.limits.push(limit);
        self.limits.len().saturating_sub(1)
    }

    /// An adaptive sampler, by its index.
    pub(super) fn adaptive(&mut self, config: AdaptiveConfig) -> usize {
        self.adaptive.push(config);
        self.adaptive.len().saturating_sub(1)
    }

    /// What keeps what is new, by its index.
    pub(super) fn novelty(&mut self, config: NoveltyConfig) -> usize {
        self.novelty.push(config);
        self.novelty.len().saturating_sub(1)
    }

    /// Says that the value there asks for a goal of a fleet.
    pub(super) fn needs_fleet_size(&mut self, at: String) {
        self.fleet_goals.push(at);
    }

    /// Takes the size of the fleet, if an option says it, and notes what needs it if none does.
    pub(super) fn in_fleet(&mut self, size: Option<u32>) -> Notes {
        let mut notes = Notes::default();
        self.fleet_size = size.unwrap_or(1);
        let goals = self.fleet_goals.iter().filter(|_| size.is_none());
        goals.for_each(|at| notes.problem(format!("{at}: {}", fleet::NEEDS)));
        notes
    }

    /// Says that the first of the policies up to here that matches decides, because `section` has it so.
    pub(super) const fn decides_in_order(&mut self, section: &'static str) {
        self.in_order = Some((section, self.policies.len()));
    }

    /// The section whose rules decide in order, where there are policies beside them.
    pub(super) fn beside_rules(&self) -> Option<&'static str> {
        let (section, rules) = self.in_order?;
        (rules != self.policies.len()).then_some(section)
    }

    /// Adds a policy that keeps traces.
    pub(super) fn keep(&mut self, name: &str, rule: PolicyRule) {
        self.push(name, rule, PolicyAction::Keep);
    }

    /// Adds a policy; a name that is there already gets a number.
    pub(super) fn push(&mut self, name: &str, rule: PolicyRule, action: PolicyAction) {
        let is_free = |name: &str| !self.has(name);
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let name = std::iter::once(name.to_owned()).chain(numbered).find(|name| is_free(name));
        self.policies.push(Policy { name: name.unwrap_or_default(), rule, action });
    }

    /// Says what becomes of the content of what the policy keeps that was added last.
    pub(super) fn hint(&mut self, content: ContentHint) {
        self.content.push((self.policies.len().saturating_sub(1), content));
    }

    /// Whether there is a policy of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.policies.iter().any(|policy| policy.name == name)
    }

    /// Whether there is no policy at all.
    pub(super) const fn has_none(&self) -> bool {
        self.policies.is_empty()
    }

    /// Whether no policy keeps anything.
    pub(super) fn is_empty(&self) -> bool {
        self.policies.iter().all(|policy| policy.action == PolicyAction::Drop)
    }

    /// The limits.
    #[cfg(test)]
    pub(super) fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// The policies.
    pub(super) fn finish(self) -> Policies {
        let mut policies = Policies::new(self.policies, self.tests, self.limits)
            .with_adaptive(self.adaptive)
            .with_content(self.content)
            .with_novelty(self.novelty)
            .in_order(self.in_order.is_some());
        policies.set_fleet_size(self.fleet_size);
        policies
    }
}
