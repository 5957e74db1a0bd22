//! Builder: the destinations of an exporter, from its settings.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::export::delivery::destination::Destination;
use crate::export::delivery::group::{EndpointGroup, NameLookup};
use crate::export::delivery::strategy::EndpointDelivery;
use crate::export::selection::Selection;
use crate::export::settings::{EndpointSettings, ExportSettings, GroupSettings};
use crate::plugin::Environment;
use crate::runtime::Tasks;

/// Destinations that are being made, and what is wrong with them.
pub(in crate::export) struct ExporterBuilder<'a> {
    settings: &'a ExportSettings,
    environment: &'a Environment,
    pub(in crate::export) destinations: Vec<Destination>,
    /// How long each of them is tried.
    pub(in crate::export) limits: Vec<Option<Duration>>,
    pub(in crate::export) problems: Vec<String>,
    pub(in crate::export) selections: Vec<Selection>,
    pub(in crate::export) selection_of: Vec<usize>,
    pub(in crate::export) tasks: Arc<OnceLock<Tasks>>,
    lookup: NameLookup,
}

impl<'a> ExporterBuilder<'a> {
    pub(in crate::export) fn new(
        settings: &'a ExportSettings,
        environment: &'a Environment,
        lookup: NameLookup,
    ) -> Self {
        Self {
            settings,
            environment,
            destinations: Vec::new(),
            limits: Vec::new(),
            problems: Vec::new(),
            selections: Vec::new(),
            selection_of: Vec::new(),
            tasks: Arc::default(),
            lookup,
        }
    }

    /// Whether one destination could hold up another.
    const fn are_several(&self) -> bool {
        self.settings.endpoints.len() + self.settings.groups.len() > 1
    }

    /// Adds the destination of one endpoint, or what is wrong with its settings.
    pub(in crate::export) fn endpoint(&mut self, settings: &EndpointSettings) {
        let (counters, log) = (&self.environment.counters, &self.environment.log);
        match EndpointDelivery::new(settings, self.settings.max_in_flight, counters, log) {
            Ok(endpoint) => {
                let endpoint = if self.are_several() { endpoint.detects_hang() } else { endpoint };
                self.destinations.push(Destination::Endpoint(Arc::new(endpoint)));
            }
            Err(problem) => self.problems.push(problem.to_string()),
        }
        self.selection(settings);
    }

    /// Adds the destination of a group, with endpoints of its own, or what is wrong with its
    /// settings.
    pub(in crate::export) fn group(&mut self, settings: &GroupSettings) {
        let (max, tasks) = (self.settings.max_in_flight, &self.tasks);
        match EndpointGroup::new(settings, max, self.environment, tasks, &self.lookup) {
            Ok(group) => {
                let group = if self.are_several() { group.detects_hang() } else { group };
                self.destinations.push(Destination::Group(Arc::new(group)));
            }
            Err(problem) => self.problems.push(problem.to_string()),
        }
        if let Some(common) = settings.common() {
            self.selection(common);
        }
    }

    fn selection(&mut self, settings: &EndpointSettings) {
        if !settings.tls.verify {
            self.environment.log.warn(format!(
                "endpoint '{}': certificates are not checked ('tls.verify' is off)",
                settings.name
            ));
        }
        self.limits.push(settings.max_elapsed_time);
        let selection = Selection::of(settings);
        let same = self.selections.iter().position(|known| known.shares_with(&selection));
        self.selection_of.push(same.unwrap_or(self.selections.len()));
        if same.is_none() {
            self.selections.push(selection);
        }
    }
}
