//! Which of our instances belong to one run of the host's engine, and the hub that they share.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use super::raw::HostPointer;
use crate::clock;
use crate::hub::Hub;

#[derive(Debug)]
struct Run {
    config: HostPointer,
    hub: Arc<Hub>,
    instances: usize,
}

static RUNS: Mutex<Vec<Run>> = Mutex::new(Vec::new());

/// Membership in a run. When the last one goes, the run's hub goes.
#[derive(Debug)]
pub(super) struct Membership {
    config: HostPointer,
    hub: Arc<Hub>,
}

impl Membership {
    /// Joins the run that the host's `config` stands for.
    pub(super) fn join(config: HostPointer) -> Self {
        let mut runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = runs.iter_mut().find(|run| run.config == config) {
            run.instances = run.instances.saturating_add(1);
            return Self { config, hub: Arc::clone(&run.hub) };
        }
        let hub = Arc::new(Hub::new(random()));
        runs.push(Run { config, hub: Arc::clone(&hub), instances: 1 });
        Self { config, hub }
    }

    /// What the run's instances share.
    pub(super) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = runs.iter_mut().find(|run| run.config == self.config) {
            run.instances = run.instances.saturating_sub(1);
        }
        runs.retain(|run| run.instances > 0);
    }
}

/// 63 random bits, so that the number fits any msgpack reader's signed integer.
fn random() -> u64 {
    // The standard library keys its hashers from the system's random source.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(clock::unix_nanos());
    hasher.write_u32(std::process::id());
    hasher.finish() >> 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(number: usize) -> HostPointer {
        HostPointer(std::ptr::without_provenance_mut(number))
    }

    #[test]
    fn a_run_has_one_hub_until_its_last_instance_goes() {
        let first = Membership::join(config(16));
        let second = Membership::join(config(16));
        let other = Membership::join(config(32));
        assert_eq!(first.hub().run(), second.hub().run());
        assert_ne!(first.hub().run(), other.hub().run());
        let run = first.hub().run();
        drop(first);
        assert_eq!(Membership::join(config(16)).hub().run(), run);
        drop(second);
        assert_ne!(Membership::join(config(16)).hub().run(), run);
    }

    #[test]
    fn runs_fit_a_signed_integer() {
        assert!((0..64).all(|_| i64::try_from(random()).is_ok()));
    }
}
