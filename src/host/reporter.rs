//! Reporter: takes the log lines and counters of an instance to the host after each callback.

use std::sync::Arc;

use super::barrier::Panicked;
use super::counters::Mirror;
use super::host_struct::HostStruct;
use super::kind::PluginKind;
use super::log;
use crate::stats::{Counter, CounterFamily, Counters, Log, LogLevel, LogText};

/// Panics of ours that the barrier stopped.
const PANICS: CounterFamily = CounterFamily::counter(
    "panics_total",
    "Panics that were stopped before they reached the host; the instance is out of service.",
    &[],
);

/// What runs where.
const BUILD_INFO: CounterFamily = CounterFamily::gauge(
    "build_info",
    "1: fluent-bit-ai's version, the host's release, the layout that is used, and why: `table`, `patch`, `newest`, `symbols`.",
    &["version", "host_release", "layout", "known_by"],
);

/// The log and the counters of one instance.
#[derive(Debug)]
pub(super) struct Reporter {
    prefix: String,
    instance: HostStruct,
    log_level: usize,
    log: Arc<Log>,
    counters: Arc<Counters>,
    panics: Counter,
    mirror: Option<Mirror>,
}

impl Reporter {
    /// The reporter of the instance called `name` of the plugin called `plugin`. The instance must
    /// stay alive as long as the reporter.
    pub(super) fn new(
        kind: PluginKind,
        plugin: &str,
        name: &str,
        instance: HostStruct,
        log_level: usize,
    ) -> Self {
        let counters = Arc::new(Counters::default());
        let panics = counters.counter(PANICS, &[]);
        Self {
            prefix: format!("[{}:{plugin}:{name}]", kind.name()),
            instance,
            log_level,
            log: Arc::default(),
            counters,
            panics,
            mirror: None,
        }
    }

    pub(super) fn log(&self) -> &Arc<Log> {
        &self.log
    }

    pub(super) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Publishes what runs where, by the values of the labels.
    pub(super) fn publish_build(&self, labels: &[&str; 4]) {
        self.counters.counter(BUILD_INFO, labels).set(1);
    }

    /// From now on the counters are published.
    pub(super) fn publish_through(&mut self, mirror: Option<Mirror>) {
        self.mirror = mirror;
    }

    /// Counts and logs a panic. An instance panics once, because it is not called again.
    pub(super) fn panicked(&self, panicked: &Panicked, consequence: &str) {
        self.panics.add(1);
        let callback = panicked.callback.name();
        let own = format!("a panic was stopped in {callback}; {consequence}: ");
        self.log.error(LogText::quoting(own, &*panicked.message));
    }

    /// Prints the waiting lines that the instance's level lets through.
    pub(super) fn print_lines(&self) {
        let wanted = self.instance.get::<std::ffi::c_int>(self.log_level);
        for line in self.log.take() {
            if log::number(line.level) <= wanted {
                log::print(line.level, &format!("{} {}", self.prefix, line.text));
            }
        }
    }

    /// Says why the instance does not start.
    pub(super) fn refuse(&self, problem: &str) {
        log::print(LogLevel::Error, &format!("{} {problem}", self.prefix));
    }

    /// What follows each callback.
    pub(super) fn settle(&self) {
        self.print_lines();
        if let Some(mirror) = &self.mirror {
            mirror.publish_if_due();
        }
    }

    /// What follows the last callback, or the last for now.
    pub(super) fn finish(&self) {
        self.print_lines();
        if let Some(mirror) = &self.mirror {
            mirror.publish();
        }
    }
}
