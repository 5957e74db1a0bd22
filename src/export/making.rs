//! The destinations of an exporter, from its settings.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::destination::Destination;
use super::endpoint::Endpoint;
use super::group::{Group, Lookup};
use super::settings::{EndpointSettings, GroupSettings, Settings};
use super::view::View;
use crate::plugin::Environment;
use crate::runtime::Tasks;

/// Destinations that are being made, and what is wrong with them.
pub(super) struct Making<'a> {
    settings: &'a Settings,
    environment: &'a Environment,
    pub(super) destinations: Vec<Destination>,
    /// How long each of them is tried.
    pub(super) limits: Vec<Option<Duration>>,
    pub(super) problems: Vec<String>,
    pub(super) views: Vec<View>,
    pub(super) view_of: Vec<usize>,
    pub(super) tasks: Arc<OnceLock<Tasks>>,
    lookup: Lookup,
}

impl<'a> Making<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        environment: &'a Environment,
        lookup: Lookup,
    ) -> Self {
        Self {
            settings,
            environment,
            destinations: Vec::new(),
            limits: Vec::new(),
            problems: Vec::new(),
            views: Vec::new(),
            view_of: Vec::new(),
            tasks: Arc::default(),
            lookup,
        }
    }

    /// Whether one destination could hold up another.
    const fn are_several(&self) -> bool {
        self.settings.endpoints.len() + self.settings.groups.len() > 1
    }

    pub(super) fn endpoint(&mut self, settings: &EndpointSettings) {
        let (counters, log) = (&self.environment.counters, &self.environment.log);
        match Endpoint::new(settings, self.settings.max_in_flight, counters, log) {
            Ok(endpoint) => {
                let endpoint = if self.are_several() { endpoint.hurried() } else { endpoint };
                self.destinations.push(Destination::Endpoint(Arc::new(endpoint)));
            }
            Err(problem) => self.problems.push(problem.to_string()),
        }
        self.view(settings);
    }

    pub(super) fn group(&mut self, settings: &GroupSettings) {
        let (max, tasks) = (self.settings.max_in_flight, &self.tasks);
        match Group::new(settings, max, self.environment, tasks, &self.lookup) {
            Ok(group) => {
                let group = if self.are_several() { group.hurried() } else { group };
                self.destinations.push(Destination::Group(Arc::new(group)));
            }
            Err(problem) => self.problems.push(problem.to_string()),
        }
        if let Some(common) = settings.common() {
            self.view(common);
        }
    }

    fn view(&mut self, settings: &EndpointSettings) {
        if !settings.tls.verify {
            self.environment.log.warn(format!(
                "endpoint '{}': certificates are not checked ('tls.verify' is off)",
                settings.name
            ));
        }
        self.limits.push(settings.max_elapsed_time);
        let view = View::of(settings);
        let same = self.views.iter().position(|known| known.shares_with(&view));
        self.view_of.push(same.unwrap_or(self.views.len()));
        if same.is_none() {
            self.views.push(view);
        }
    }
}
