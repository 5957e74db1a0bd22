//! `multi_otlp`: OTLP to several endpoints.

mod endpoint;
mod group;
mod headers;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::Parser;
use crate::export::{EndpointSettings, Exporter, Settings};
use crate::plugin::{
    Completion, Delivery, Environment, OpenError, OptionKind, OptionSpec, Options, Output, Spec,
};

/// Requests in flight to each endpoint at most, unless configured.
const MAX_IN_FLIGHT: usize = 16;
/// Endpoints at most; each has connections, counters and a share of every chunk's memory.
const MAX_ENDPOINTS: usize = 64;

/// The output.
#[derive(Debug)]
pub struct MultiOtlp {
    exporter: Exporter,
}

impl Output for MultiOtlp {
    const SPEC: Spec = Spec {
        name: "multi_otlp",
        about: "OTLP to several endpoints, each with its own protocol, conditions and retries",
        options: &[
            OptionSpec::new(
                "endpoints",
                OptionKind::CommaList,
                None,
                "Names of the endpoints that get everything that is for them; by default all that \
                 have an endpoint.NAME.url and are in no group.",
            )
            .repeated(),
            OptionSpec::new(
                "groups",
                OptionKind::CommaList,
                None,
                "Names of the groups to use; by default all that are given.",
            )
            .repeated(),
            OptionSpec::new("group.", OptionKind::Prefix, None, group::HELP).repeated(),
            OptionSpec::new("endpoint.", OptionKind::Prefix, None, endpoint::HELP).repeated(),
            OptionSpec::new(
                "max_in_flight",
                OptionKind::Int,
                Some("16"),
                "Requests in flight to each endpoint at most.",
            ),
        ],
    };

    fn open(options: &dyn Options, environment: Environment) -> Result<Self, OpenError> {
        let mut parser = Parser::new(options);
        let settings = settings(&mut parser);
        let settings = parser.finish(settings)?;
        Ok(Self { exporter: Exporter::start(&settings, &environment)? })
    }

    fn on_flush(&self, delivery: Delivery, completion: Completion) {
        self.exporter.submit(delivery, completion);
    }

    fn close(self, budget: Duration) {
        self.exporter.close(budget);
    }
}

fn settings(parser: &mut Parser<'_>) -> Settings {
    let max_in_flight =
        parser.parsed("max_in_flight", MAX_IN_FLIGHT, "allowed: a number from 1 to 1000", |text| {
            text.parse().ok().filter(|count| (1..=1000).contains(count))
        });
    let sources = Sources { endpoints: parser.family("endpoint"), groups: parser.family("group") };
    let mut names = names_of(parser, "endpoints");
    let group_names = match names_of(parser, "groups") {
        names if names.is_empty() => sources.groups.keys().cloned().collect(),
        names => names,
    };
    let groups = group::parse(parser, &sources, &group_names);
    if names.is_empty() {
        let own = sources.endpoints.keys().filter(|name| !groups.has(name));
        names = own.cloned().collect();
    }
    if names.is_empty() && group_names.is_empty() {
        parser.problem(
            "no endpoint is given; write for example 'endpoint.main.url: http://127.0.0.1:4318'",
        );
    }
    if names.len() > MAX_ENDPOINTS {
        parser.problem(format!("there are {} endpoints; {MAX_ENDPOINTS} are allowed", names.len()));
    }
    let mut endpoints: Vec<EndpointSettings> = Vec::new();
    for (name, given) in sources.endpoints.iter().filter(|(name, _)| !groups.has(name)) {
        // Mistakes are told also for endpoints that are not in use.
        let endpoint = endpoint::parse(parser, name, given, &[]);
        endpoints.extend(endpoint);
    }
    for name in &names {
        match sources.endpoints.get(name) {
            // It was read with its group, and counts for itself too.
            Some(given) if groups.has(name) => {
                endpoints.extend(endpoint::parse(parser, name, given, &[]));
            }
            Some(_) => {}
            None => parser.problem(format!(
                "option 'endpoints': '{name}' has no 'endpoint.{name}.url'; given are: {}",
                sources.endpoints.keys().cloned().collect::<Vec<_>>().join(", ")
            )),
        }
    }
    endpoints.extend(groups.alone);
    let place = |endpoint: &EndpointSettings| {
        names.iter().chain(&groups.expanded).position(|name| *name == endpoint.name)
    };
    endpoints.retain(|endpoint| place(endpoint).is_some());
    endpoints.sort_by_key(place);
    endpoints.dedup_by(|a, b| a.name == b.name);
    Settings { endpoints, groups: groups.groups, max_in_flight }
}

/// The options of all endpoints and groups, by name.
struct Sources {
    endpoints: BTreeMap<String, Vec<(String, String)>>,
    groups: BTreeMap<String, Vec<(String, String)>>,
}

fn names_of(parser: &Parser<'_>, option: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in parser.list(option) {
        let name = name.to_lowercase();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

crate::export_output!("out_multi_otlp", MultiOtlp);

#[cfg(test)]
mod tests;
