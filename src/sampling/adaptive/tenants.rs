//! How tenants share a goal: minimums first, then by priority and weight.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use xxhash_rust::xxh3::xxh3_64;

use super::shares::{KeyAmount, fill, rate_of};
use crate::sampling::policy::{Field, SpanParts};

/// The most bytes of a tenant's name that count.
const MAX_NAME: usize = 256;
/// The name of a tenant that no span of a trace names.
pub const NO_TENANT: &str = "none";
/// The name under which tenants are counted for which there is no room.
pub const OTHER_TENANTS: &str = "other";

/// What a tenant may have of a goal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TenantShare {
    /// Of what is left above the minimums, in proportion to those of others with the same priority.
    pub weight: f64,
    /// What it has first, per second in the unit of the goal.
    pub minimum: f64,
    /// Tenants with a higher one get what they need above the minimums before others get any of it.
    pub priority: u32,
}

impl Default for TenantShare {
    fn default() -> Self {
        Self { weight: 1.0, minimum: 0.0, priority: 0 }
    }
}

/// Who the tenants are, and what they may have.
#[derive(Debug, Clone, PartialEq)]
pub struct Tenants {
    field: Field,
    others: TenantShare,
    /// By the hash of the name, in order.
    named: Vec<(u64, TenantShare)>,
}

impl Tenants {
    /// Tenants that a field names, those of `named` with shares of their own.
    #[must_use]
    pub fn new(field: Field, others: TenantShare, named: &[(String, TenantShare)]) -> Self {
        let hashed = named.iter().map(|(name, share)| (hash_of(name.as_bytes()), *share));
        let mut named: Vec<(u64, TenantShare)> = hashed.collect();
        named.sort_unstable_by_key(|(hash, _)| *hash);
        Self { field, others, named }
    }

    /// The tenant of a trace: the least of the names that its spans say, so that their order does not
    /// matter.
    #[must_use]
    pub fn name_of(&self, spans: &[SpanParts<'_>]) -> Vec<u8> {
        let mut least: Option<Vec<u8>> = None;
        let of_root = self.field.is_of_root();
        for span in spans.iter().filter(|span| span.is_root() || !of_root) {
            let mut text = Vec::new();
            self.field.value(span).into_iter().for_each(|value| value.write(&mut text));
            if !text.is_empty() && least.as_ref().is_none_or(|least| text < *least) {
                least = Some(text);
            }
        }
        let mut name = least.unwrap_or_else(|| NO_TENANT.as_bytes().to_vec());
        name.truncate(MAX_NAME);
        name
    }

    fn share(&self, key: u64) -> TenantShare {
        let at = self.named.binary_search_by_key(&key, |(hash, _)| *hash);
        let share = at.ok().and_then(|at| self.named.get(at));
        share.map_or(self.others, |(_, share)| *share)
    }

    /// Rates as exact as numbers are, of tenants with their amounts in so many seconds.
    pub(super) fn rates(&self, amounts: &[(u64, KeyAmount)], goal: f64, seconds: f64) -> Vec<f64> {
        let shares: Vec<TenantShare> = amounts.iter().map(|(key, _)| self.share(*key)).collect();
        let left: Vec<f64> = amounts.iter().map(|(_, amount)| amount.left).collect();
        let granted = grants(&left, &shares, goal, seconds);
        let rate = |((_, amount), granted): (&(u64, KeyAmount), f64)| {
            if amount.left > granted { rate_of(amount.all, granted) } else { 1.0 }
        };
        amounts.iter().zip(granted).map(rate).collect()
    }
}

/// The key of a tenant in an adaptive sampler.
pub(super) fn hash_of(name: &[u8]) -> u64 {
    xxh3_64(name.get(..MAX_NAME).unwrap_or(name))
}

/// What each of those that need so much gets of a goal for so many seconds.
pub(super) fn grants(needs: &[f64], shares: &[TenantShare], goal: f64, seconds: f64) -> Vec<f64> {
    let mut priorities: Vec<u32> = shares.iter().map(|share| share.priority).collect();
    priorities.sort_unstable_by(|a, b| b.cmp(a));
    priorities.dedup();
    let mut granted = vec![0.0; needs.len()];
    let mut goal = goal;
    // Guaranteed minimums of the higher priorities come before those of the lower ones.
    for guaranteed in [true, false] {
        for priority in &priorities {
            let of = |((need, share), has): ((&f64, &TenantShare), &f64)| match guaranteed {
                _ if share.priority != *priority => (0.0, 0.0),
                true => {
                    let least = need.min(share.minimum * seconds);
                    (least, least)
                }
                false => ((need - has).max(0.0), share.weight),
            };
            let wanted: Vec<(f64, f64)> = needs.iter().zip(shares).zip(&granted).map(of).collect();
            for (has, more) in granted.iter_mut().zip(fill(&wanted, goal)) {
                *has += more;
                goal = (goal - more).max(0.0);
            }
        }
    }
    granted
}

/// What was decided about the traces of a tenant since it was asked last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TenantCount {
    /// Spans of traces that stay at the tenant's rate.
    pub kept: u64,
    /// Spans of traces that do not.
    pub dropped: u64,
}

/// Counts by tenant: the first so many tenants, and one for all others.
#[derive(Debug, Default)]
pub(in crate::sampling) struct TenantCounts {
    places: HashMap<u64, usize, RandomState>,
    counts: Vec<(String, TenantCount)>,
}

impl TenantCounts {
    /// Counts spans of a trace.
    pub(in crate::sampling) fn add(&mut self, name: &[u8], most: usize, spans: u64, stays: bool) {
        let key = hash_of(name);
        let place = self.places.get(&key).copied().unwrap_or_else(|| {
            let has_room = self.counts.len() < most;
            let next = self.counts.len().min(most);
            if self.counts.len() <= next {
                let name = if has_room { name } else { OTHER_TENANTS.as_bytes() };
                let name = String::from_utf8_lossy(name).into_owned();
                self.counts.push((name, TenantCount::default()));
            }
            if has_room {
                self.places.insert(key, next);
            }
            next
        });
        if let Some((_, count)) = self.counts.get_mut(place) {
            let count = if stays { &mut count.kept } else { &mut count.dropped };
            *count += spans;
        }
    }

    /// Shows the counts of tenants that had any, which begin at 0 again.
    pub(in crate::sampling) fn take(&mut self, show: &mut dyn FnMut(&str, TenantCount)) {
        for (name, count) in &mut self.counts {
            let count = std::mem::take(count);
            if count != TenantCount::default() {
                show(name, count);
            }
        }
    }
}
