//! What adaptive samplers of a tail sampler have seen.

use std::sync::Arc;

use super::TailSampler;
use crate::sampling::adaptive::TenantCount;
use crate::sampling::policy::Policies;

/// What is told of the adaptive sampler of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdaptiveKeys {
    /// How many keys it tells apart now.
    pub known: usize,
    /// For how many traces a sampler of a policy of this name had no room, over all configurations.
    pub beyond: u64,
}

impl TailSampler {
    /// What the adaptive sampler of a policy that decides has seen; `None` if it has none.
    #[must_use]
    pub fn adaptive(&self, policy: usize) -> Option<AdaptiveKeys> {
        let index = self.rules.policies.list().get(policy)?.rule.adaptive_sampler()?;
        let sampler = self.budgets.adaptive(index)?;
        let before = self.tally.beyond_before.get(self.slot(policy)).copied().unwrap_or_default();
        Some(AdaptiveKeys { known: sampler.keys(), beyond: before + sampler.beyond() })
    }

    /// Shows what policies decided by tenant since this was asked last, with the policy's name.
    pub fn take_tenants(&mut self, show: &mut dyn FnMut(&str, &str, TenantCount)) {
        for policy in self.rules.policies.list() {
            if let Some(index) = policy.rule.adaptive_sampler() {
                let show = &mut |tenant: &str, count| show(&policy.name, tenant, count);
                self.budgets.take_tenants(index, show);
            }
        }
    }

    /// How many instances share the goals of a fleet.
    #[must_use]
    pub const fn fleet_size(&self) -> u32 {
        self.budgets.fleet_size()
    }

    /// Says how many instances share the goals of a fleet from now on.
    pub fn set_fleet_size(&mut self, size: u32) {
        self.budgets.set_fleet_size(size);
        if let Some(comparison) = &mut self.comparison {
            comparison.set_fleet_size(size);
        }
    }

    /// Makes what is left for the policies that decide into what other policies begin with.
    pub(super) fn take_budgets_over(&mut self, policies: &Policies) {
        let rules = Arc::clone(&self.rules);
        for (policy, of) in rules.policies.list().iter().enumerate() {
            let index = of.rule.adaptive_sampler();
            let beyond = index.map_or(0, |index| self.budgets.take_beyond(index));
            if let Some(before) = self.tally.beyond_before.get_mut(rules.slot(policy)) {
                *before += beyond;
            }
        }
        policies.take_over(&rules.policies, &mut self.budgets);
    }
}
