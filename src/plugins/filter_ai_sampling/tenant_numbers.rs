//! What is counted by tenant: of policies and rates that share a goal among tenants.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::sampling::adaptive::{OTHER_TENANTS, TenantCount};
use crate::stats::{Counter, CounterFamily, Counters};

const TENANT_SPANS: CounterFamily = CounterFamily::counter(
    "tenant_spans_total",
    "Spans that the rate of their tenant decided about; those of tenants beyond the most have the tenant other",
    &["policy", "tenant", "decision"],
);
/// The most tenants that are counted apart in a run, over all policies and configurations.
const MAX_SERIES: usize = 10_000;

/// Counters by policy and tenant.
pub(super) struct TenantNumbers {
    counters: Arc<Counters>,
    by_tenant: BTreeMap<(String, String), [Counter; 2]>,
}

impl TenantNumbers {
    /// Counters that are 0, of policies of these names: the host takes the family at the start alone.
    pub(super) fn new<'n>(
        counters: &Arc<Counters>,
        policies: impl Iterator<Item = &'n str>,
    ) -> Self {
        let counters = Arc::clone(counters);
        let mut numbers = Self { counters, by_tenant: BTreeMap::new() };
        policies.for_each(|policy| numbers.add(policy, OTHER_TENANTS, TenantCount::default()));
        numbers
    }

    /// Adds what a policy decided about a tenant's spans.
    pub(super) fn add(&mut self, policy: &str, tenant: &str, count: TenantCount) {
        let key = (policy.to_owned(), tenant.to_owned());
        let has_room = self.by_tenant.len() < MAX_SERIES || self.by_tenant.contains_key(&key);
        let key = if has_room { key } else { (key.0, OTHER_TENANTS.to_owned()) };
        let Self { counters, by_tenant } = self;
        let [kept, dropped] = by_tenant.entry(key).or_insert_with_key(|(policy, tenant)| {
            ["keep", "drop"].map(|of| counters.counter(TENANT_SPANS, &[policy, tenant, of]))
        });
        kept.add(count.kept);
        dropped.add(count.dropped);
    }
}
