//! Watch registry: what a status page shows of a run, which instances and sources of rows bring in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::clock::Tick;
use crate::model::LastMetrics;
use crate::stats::{Counters, Log};
use crate::sync::Mutex;

/// An instance of ours: what it counts and what it logs.
#[derive(Debug, Clone)]
pub struct WatchedInstance {
    /// `input`, `filter` or `output`.
    pub kind: &'static str,
    /// The plugin's name.
    pub plugin: &'static str,
    /// The instance's own name, or its alias.
    pub name: String,
    /// Its counters.
    pub counters: Arc<Counters>,
    /// Its log.
    pub log: Arc<Log>,
}

/// A part of the status that rows tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusSection {
    /// Endpoints and groups of an output.
    Endpoints,
    /// Models, and how they were used.
    Models,
    /// What was found in calls.
    Findings,
}

impl StatusSection {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Endpoints, Self::Models, Self::Findings];

    /// Its name in the status document.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Endpoints => "endpoints",
            Self::Models => "models",
            Self::Findings => "findings",
        }
    }
}

/// Something that has rows for the status; it is asked on a thread of the runtime.
pub trait StatusSource: Send + Sync {
    /// The rows of now, which are objects. `unix_nanos` is the wall-clock time. A row holds no content of
    /// messages.
    fn rows(&self, now: Tick, unix_nanos: u64) -> Vec<(StatusSection, Value)>;

    /// The metrics that it emitted last, if it makes any.
    fn metrics(&self) -> Option<LastMetrics> {
        None
    }

    /// What it says of a conversation, or of a trace by its id in hexadecimal digits, if it watches these.
    fn verdict(&self, _id: &str) -> Option<ConversationVerdict> {
        None
    }
}

/// What is known of a conversation: nothing, or an object with its evidence, which holds no content of messages.
#[derive(Debug, Clone, PartialEq)]
pub enum ConversationVerdict {
    /// Nothing is known of it.
    Unknown,
    /// Nothing is wrong with it.
    Ok(Value),
    /// It has run away.
    Runaway(Value),
}

impl ConversationVerdict {
    /// Its name, and how bad it is.
    #[must_use]
    pub const fn name(&self) -> (&'static str, u8) {
        match self {
            Self::Unknown => ("unknown", 0),
            Self::Ok(_) => ("ok", 1),
            Self::Runaway(_) => ("runaway", 2),
        }
    }
}

/// What status pages of a run show.
#[derive(Default)]
pub(super) struct WatchRegistry {
    is_on: AtomicBool,
    instances: Mutex<Vec<WatchedInstance>>,
    sources: Mutex<Vec<(String, Arc<dyn StatusSource>)>>,
}

impl WatchRegistry {
    pub(super) fn add_instance(&self, instance: WatchedInstance) {
        let mut instances = self.instances.lock();
        if self.is_on() {
            instance.log.keep();
        }
        instances.push(instance);
    }

    pub(super) fn add_source(&self, instance: &str, source: Arc<dyn StatusSource>) {
        self.sources.lock().push((instance.to_owned(), source));
    }

    pub(super) fn start(&self) {
        let instances = self.instances.lock();
        self.is_on.store(true, Ordering::Release);
        instances.iter().for_each(|instance| instance.log.keep());
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    pub(super) fn instances(&self) -> Vec<WatchedInstance> {
        self.instances.lock().clone()
    }

    pub(super) fn sources(&self) -> Vec<(String, Arc<dyn StatusSource>)> {
        self.sources.lock().clone()
    }

    pub(super) fn clear(&self) {
        self.instances.lock().clear();
        self.sources.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_kept_from_the_first_page_on_whoever_starts_first() {
        let registry = WatchRegistry::default();
        let instance = |name: &str| WatchedInstance {
            kind: "filter",
            plugin: "ai_metrics",
            name: name.to_owned(),
            counters: Arc::default(),
            log: Arc::default(),
        };
        let (before, after) = (instance("a"), instance("b"));
        registry.add_instance(before.clone());
        before.log.warn("not kept");
        registry.start();
        registry.add_instance(after.clone());
        for instance in [&before, &after] {
            instance.log.warn("kept");
        }
        let kept = |instance: &WatchedInstance| instance.log.kept().len();
        assert_eq!((kept(&before), kept(&after), registry.instances().len()), (1, 1, 2));
    }
}
