//! Registry of engine runs: which of our instances belong to one run of the host's engine, and the
//! hub that they share.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use super::host_struct::HostPointer;
use crate::clock;
use crate::hub::Hub;
use crate::sync::Mutex;

#[derive(Debug)]
struct Run {
    config: HostPointer,
    hub: Arc<Hub>,
    instances: usize,
}

static RUNS: Mutex<Vec<Run>> = Mutex::new(Vec::new());

/// Inputs that refused to start on a thread of their own.
pub(super) static THREADED: RefusedInput = RefusedInput(Mutex::new(None));

/// An input that did not start, and the run that it belongs to.
///
/// Before 4.0 the host goes on when the start of a threaded input fails. What starts after the
/// inputs, our filters and outputs, ends the start then.
#[derive(Debug)]
pub(super) struct RefusedInput(Mutex<Option<(HostPointer, String)>>);

impl RefusedInput {
    /// Remembers an input.
    pub(super) fn remember(&self, config: HostPointer, input: &str) {
        let refused = Some((config, input.to_owned()));
        *self.0.lock() = refused;
    }

    /// The input that refused to start in this run; told once. What another run left is forgotten,
    /// because its place in memory may be used again.
    pub(super) fn before(&self, config: HostPointer) -> Option<String> {
        let refused = self.0.lock().take();
        refused.filter(|(run, _)| *run == config).map(|(_, input)| input)
    }
}

/// Membership in a run. When the last one goes, the run's hub goes.
#[derive(Debug)]
pub(super) struct Membership {
    config: HostPointer,
    hub: Arc<Hub>,
    is_first: bool,
}

impl Membership {
    /// Joins the run that the host's `config` stands for.
    pub(super) fn join(config: HostPointer) -> Self {
        let mut runs = RUNS.lock();
        if let Some(run) = runs.iter_mut().find(|run| run.config == config) {
            run.instances = run.instances.saturating_add(1);
            return Self { config, hub: Arc::clone(&run.hub), is_first: false };
        }
        let hub = Arc::new(Hub::new(random()));
        runs.push(Run { config, hub: Arc::clone(&hub), instances: 1 });
        Self { config, hub, is_first: true }
    }

    /// Whether this instance was the first of its run.
    pub(super) const fn is_first(&self) -> bool {
        self.is_first
    }

    /// What the run's instances share.
    pub(super) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut runs = RUNS.lock();
        let mut is_last = false;
        if let Some(run) = runs.iter_mut().find(|run| run.config == self.config) {
            run.instances = run.instances.saturating_sub(1);
            is_last = run.instances == 0;
        }
        runs.retain(|run| run.instances > 0);
        drop(runs);
        if is_last {
            self.hub.close();
        }
    }
}

/// 53 random bits, so that the number stays what it is where all numbers are doubles, as in Lua
/// filters and in JSON.
fn random() -> u64 {
    // The standard library keys its hashers from the system's random source.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(clock::unix_nanos());
    hasher.write_u32(std::process::id());
    hasher.finish() >> 11
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
        assert!(first.is_first() && other.is_first() && !second.is_first());
        let run = first.hub().run();
        drop(first);
        assert_eq!(Membership::join(config(16)).hub().run(), run);
        drop(second);
        assert_ne!(Membership::join(config(16)).hub().run(), run);
    }

    /// A source that knows the hub, as filters do.
    struct Source(#[expect(dead_code, reason = "it is there to be held")] Arc<Hub>);

    impl crate::hub::StatusSource for Source {
        fn rows(
            &self,
            _: clock::Tick,
            _: u64,
        ) -> Vec<(crate::hub::StatusSection, serde_json::Value)> {
            Vec::new()
        }
    }

    #[test]
    fn a_hub_goes_with_its_run_although_its_sources_know_it() {
        let member = Membership::join(config(112));
        let hub = Arc::clone(member.hub());
        hub.add_status_source("test.0", Arc::new(Source(Arc::clone(&hub))));
        let weak = Arc::downgrade(&hub);
        drop(hub);
        assert!(weak.upgrade().is_some());
        drop(member);
        assert!(weak.upgrade().is_none());
    }

    #[test]
    fn what_one_instance_sees_of_the_engine_holds_for_its_run() {
        let (input, filter) = (Membership::join(config(80)), Membership::join(config(80)));
        let other = Membership::join(config(96));
        assert!(!input.hub().engine_runs());
        filter.hub().note_engine();
        assert!(input.hub().engine_runs() && !other.hub().engine_runs());
        drop((input, filter));
        assert!(!Membership::join(config(80)).hub().engine_runs());
    }

    #[test]
    fn runs_fit_a_double() {
        let numbers: Vec<u64> = (0..64).map(|_| random()).collect();
        assert!(numbers.iter().all(|run| *run < 1 << f64::MANTISSA_DIGITS), "{numbers:?}");
        assert!(numbers.iter().any(|run| *run > 1 << 48), "{numbers:?}");
    }

    #[test]
    fn a_refused_input_ends_the_start_of_its_own_run_once() {
        let refused = RefusedInput(Mutex::new(None));
        refused.remember(config(48), "ai_otlp.0");
        assert_eq!(refused.before(config(48)).as_deref(), Some("ai_otlp.0"));
        assert_eq!(refused.before(config(48)), None);
        refused.remember(config(48), "ai_otlp.0");
        assert_eq!(refused.before(config(64)), None);
        assert_eq!(refused.before(config(48)), None);
    }
}
