//! Rate limiting: a token bucket of bytes for each tenant.
//!
//! A bucket is one number, the time at which it will be full again (the generic cell rate
//! algorithm, ITU-T I.371, with bytes as cells). So a bucket that is full says nothing, and can be
//! forgotten without giving anything away.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;

use crate::clock::Tick;
use crate::sync::Mutex;

/// How fast a tenant may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantRate {
    /// Bytes per second, at least 1, after decompression.
    pub bytes_per_second: u64,
    /// Bytes that may come at once after a pause.
    pub burst: u64,
}

impl TenantRate {
    /// How long so many bytes take at this rate, in nanoseconds.
    fn nanos(self, bytes: u64) -> u64 {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second.max(1));
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// How long to wait before `bytes` have room in a bucket that is full at `full`. More bytes
    /// than the bucket holds have room when it is full.
    fn wait(self, full: u64, bytes: u64, now: Tick) -> u64 {
        let room = full.saturating_add(self.nanos(bytes)).saturating_sub(self.nanos(self.burst));
        room.min(full).saturating_sub(now.0)
    }
}

/// The limits of all tenants, and where they stand.
#[derive(Debug)]
pub(super) struct TenantLimits {
    default: Option<TenantRate>,
    rates: HashMap<Arc<str>, TenantRate, RandomState>,
    max_tenants: usize,
    buckets: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    /// When the bucket of a tenant is full again.
    full: HashMap<Arc<str>, u64, RandomState>,
    /// The bucket that tenants share who find no room for one of their own.
    shared: u64,
}

impl Buckets {
    /// When the tenant's bucket is full.
    fn full(&self, tenant: &str, max_tenants: usize, now: Tick) -> u64 {
        match self.full.get(tenant) {
            Some(full) => *full,
            None if self.full.len() < max_tenants || self.full.values().any(|f| *f <= now.0) => 0,
            None => self.shared,
        }
        .max(now.0)
    }

    /// The tenant's bucket. Full ones make room for it; if none is full, the shared one.
    fn bucket(&mut self, tenant: &Arc<str>, max_tenants: usize, now: Tick) -> &mut u64 {
        if !self.full.contains_key(tenant) && self.full.len() >= max_tenants {
            self.full.retain(|_, full| *full > now.0);
            if self.full.len() >= max_tenants {
                return &mut self.shared;
            }
        }
        self.full.entry(Arc::clone(tenant)).or_insert(now.0)
    }
}

impl TenantLimits {
    /// `rates` are those of tenants that have their own, `default` is that of the others.
    pub(super) fn new(
        default: Option<TenantRate>,
        rates: impl IntoIterator<Item = (String, TenantRate)>,
        max_tenants: usize,
    ) -> Self {
        let rates = rates.into_iter().map(|(name, rate)| (Arc::from(name), rate)).collect();
        Self { default, rates, max_tenants, buckets: Mutex::default() }
    }

    /// The rate of a tenant; `None` if it has no limit.
    pub(super) fn rate(&self, tenant: &str) -> Option<TenantRate> {
        self.rates.get(tenant).copied().or(self.default)
    }

    /// Whether so many bytes would have room now.
    ///
    /// # Errors
    /// How long to wait until they have.
    pub(super) fn check(&self, tenant: &str, bytes: u64, now: Tick) -> Result<(), Duration> {
        let Some(rate) = self.rate(tenant) else { return Ok(()) };
        let buckets = self.buckets.lock();
        let full = buckets.full(tenant, self.max_tenants, now);
        drop(buckets);
        match rate.wait(full, bytes, now) {
            0 => Ok(()),
            nanos => Err(Duration::from_nanos(nanos)),
        }
    }

    /// Takes the room for so many bytes.
    ///
    /// # Errors
    /// How long to wait until they have room; nothing is taken.
    pub(super) fn take(&self, tenant: &Arc<str>, bytes: u64, now: Tick) -> Result<(), Duration> {
        let Some(rate) = self.rate(tenant) else { return Ok(()) };
        let mut buckets = self.buckets.lock();
        let bucket = buckets.bucket(tenant, self.max_tenants, now);
        let full = (*bucket).max(now.0);
        match rate.wait(full, bytes, now) {
            0 => {
                *bucket = full.saturating_add(rate.nanos(bytes));
                Ok(())
            }
            nanos => Err(Duration::from_nanos(nanos)),
        }
    }

    /// Gives back what was taken for a request that was not stored.
    pub(super) fn give_back(&self, tenant: &str, bytes: u64) {
        let Some(rate) = self.rate(tenant) else { return };
        let mut buckets = self.buckets.lock();
        let Buckets { full, shared } = &mut *buckets;
        let bucket = full.get_mut(tenant).unwrap_or(shared);
        *bucket = bucket.saturating_sub(rate.nanos(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: TenantRate = TenantRate { bytes_per_second: 1000, burst: 2000 };

    fn at(millis: u64) -> Tick {
        Tick(7).after(Duration::from_millis(millis))
    }

    fn limits(max_tenants: usize) -> TenantLimits {
        TenantLimits::new(Some(RATE), [], max_tenants)
    }

    fn name(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    #[test]
    fn who_waits_as_told_is_served_and_others_never_wait() {
        let limits = limits(10);
        let (a, b) = (name("a"), name("b"));
        assert_eq!(limits.take(&a, 1500, at(0)), Ok(()));
        assert_eq!(limits.take(&a, 500, at(0)), Ok(()));
        let wait = limits.take(&a, 800, at(0)).unwrap_err();
        assert_eq!(wait, Duration::from_millis(800));
        assert_eq!(limits.check(&a, 800, at(0)), Err(wait));
        assert_eq!(limits.take(&b, 2000, at(0)), Ok(()));
        assert!(limits.take(&a, 800, at(799)).is_err());
        assert_eq!(limits.check(&a, 800, at(800)), Ok(()));
        assert_eq!(limits.take(&a, 800, at(800)), Ok(()));
        // A bucket never holds more than the burst.
        assert_eq!(limits.take(&a, 2000, at(60_000)), Ok(()));
        assert!(limits.take(&a, 1, at(60_000)).is_err());
    }

    #[test]
    fn a_request_beyond_the_burst_gets_through_when_the_bucket_is_full() {
        let limits = limits(10);
        let a = name("a");
        assert_eq!(limits.take(&a, 1000, at(0)), Ok(()));
        assert_eq!(limits.take(&a, 5000, at(0)), Err(Duration::from_secs(1)));
        assert_eq!(limits.take(&a, 5000, at(1000)), Ok(()));
        // And is paid for afterwards.
        assert_eq!(limits.take(&a, 1, at(1000)), Err(Duration::from_millis(3001)));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let limits = limits(10);
        let a = name("a");
        limits.take(&a, 2000, at(0)).unwrap();
        limits.give_back(&a, 2000);
        assert_eq!(limits.take(&a, 2000, at(0)), Ok(()));
    }

    #[test]
    fn tenants_are_bounded_and_a_flood_of_names_gains_nothing() {
        let limits = limits(2);
        for tenant in ["a", "b", "c", "d"] {
            limits.take(&name(tenant), 1000, at(0)).unwrap();
        }
        // "c" and "d" share a bucket, which is empty by now.
        assert!(limits.take(&name("e"), 1, at(0)).is_err());
        assert!(limits.check("f", 1, at(0)).is_err());
        limits.give_back("d", 500);
        assert_eq!(limits.take(&name("e"), 500, at(0)), Ok(()));
        assert_eq!(limits.take(&name("a"), 1000, at(0)), Ok(()));
        // The bucket of "b" is full after a second and makes room; that of "a" is not forgotten.
        assert_eq!(limits.check("g", 2000, at(1000)), Ok(()));
        assert_eq!(limits.take(&name("g"), 2000, at(1000)), Ok(()));
        assert!(limits.take(&name("a"), 1001, at(1000)).is_err());
        assert_eq!(limits.buckets.lock().full.len(), 2);
    }

    #[test]
    fn tenants_may_have_rates_of_their_own() {
        let own = TenantRate { bytes_per_second: 1_000_000, burst: 10_000_000 };
        let limits = TenantLimits::new(None, [("big".to_owned(), own)], 2);
        assert_eq!(limits.take(&name("big"), 10_000_000, at(0)), Ok(()));
        assert!(limits.take(&name("big"), 1_000_000, at(999)).is_err());
        assert_eq!(limits.take(&name("other"), u64::MAX, at(0)), Ok(()));
    }
}
