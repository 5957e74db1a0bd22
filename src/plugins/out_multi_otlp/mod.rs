//! `multi_otlp`: OTLP to several endpoints.

mod attribute_rules;
mod aws;
pub(in crate::plugins) mod connection;
mod content;
mod dead_letter;
mod deduplication;
mod draft;
mod endpoint;
pub(in crate::plugins) mod given;
mod group;
mod headers;
mod keys;
mod logs;
mod oauth2;
mod single;
mod status;
mod stock;
mod temporality;
mod values;

use std::sync::Arc;
use std::time::Duration;

use self::given::{NamedOptions, OptionsByName};
use self::status::EndpointsStatus;
use crate::config::read::{self, Read};
use crate::config::{FileOptions, Parser, options};
use crate::export::{EndpointSettings, EndpointTrial, ExportSettings, Exporter, GroupSettings};
use crate::genai::BackendDialect;
use crate::plugin::{
    Completion, Delivery, Environment, OpenError, OptionSpec, Options, Output, Spec, joined,
};

/// Endpoints at most; each has connections, counters and a share of every chunk's memory.
const MAX_ENDPOINTS: usize = 64;

options! {
    /// What is configured of the instance itself.
    struct Given in OWN {
        endpoints: Vec<String> = names,
            CommaList "endpoints" [repeated],
            "Names of the endpoints that get everything that is for them; by default all that have an \
             endpoint.NAME.url and are in no group.";
        groups: Vec<String> = names,
            CommaList "groups" [repeated],
            "Names of the groups to use; by default all that are given.";
        group: OptionsByName = family,
            Prefix "group." [repeated],
            group::HELP;
        endpoint: OptionsByName = family,
            Prefix "endpoint." [repeated],
            keys::HELP;
        max_in_flight: usize = read::count(1..=1000),
            Int "max_in_flight" = "16",
            "Requests in flight to each endpoint at most.";
        retry_in_place_size: usize = read::size,
            Size "retry_in_place_size" = "128m",
            "Bytes of the chunks that are held in flight at most while an endpoint is away, before they \
             go back to the host; see endpoint.NAME.retry_in_place.";
        + FileOptions::option(
            "YAML file with any of these options; endpoint and group are maps by name.",
        );
    }
}

/// All options: of the instance, and the keys of an endpoint for an instance that has only one.
const OPTIONS: [OptionSpec;
    OWN.len() + logs::OPTIONS.len() + keys::ALONE.len() + stock::SPECS.len()] =
    joined(&[OWN, logs::OPTIONS, keys::ALONE, &stock::SPECS]);

/// The output.
#[derive(Debug)]
pub struct MultiOtlp {
    exporter: Exporter,
}

impl Output for MultiOtlp {
    const SPEC: Spec = Spec {
        name: "multi_otlp",
        about: "OTLP to several endpoints, each with its own protocol, conditions and retries",
        options: &OPTIONS,
    };

    const TLS: bool = true;

    fn open(options: &dyn Options, environment: Environment) -> Result<Self, OpenError> {
        let options = FileOptions::read(options, Self::SPEC.options, &[]);
        let mut parser = Parser::over(&options);
        let settings = settings(&mut parser)?;
        let tags = parser.host_value("match");
        check_originals(&mut parser, &settings, environment.hub.drops_originals(tags.as_deref()));
        let settings = parser.finish(settings)?;
        let exporter = Exporter::start(&settings, &environment)?;
        let status = Arc::new(EndpointsStatus(exporter.watch()));
        environment.hub.add_status_source(&environment.instance, status);
        Ok(Self { exporter })
    }

    fn on_flush(&self, delivery: Delivery<'_>, completion: Completion) {
        self.exporter.submit(delivery, completion);
    }

    fn close(self, budget: Duration) {
        self.exporter.close(budget);
    }
}

impl MultiOtlp {
    /// Sends each endpoint a request that holds nothing, and waits for the answers.
    ///
    /// # Errors
    /// No threads can be started.
    pub fn try_out(&self) -> std::io::Result<Vec<EndpointTrial>> {
        self.exporter.try_out()
    }
}

/// `context` is a filter that takes away what a backend with its own dialect wants.
fn check_originals(parser: &mut Parser<'_>, settings: &ExportSettings, context: Option<String>) {
    let Some(context) = context else { return };
    let wants = |endpoint: &&EndpointSettings| endpoint.dialect == Some(BackendDialect::Original);
    let of_groups = settings.groups.iter().filter_map(GroupSettings::common);
    for endpoint in settings.endpoints.iter().chain(of_groups).filter(wants) {
        parser.problem(format!(
            "option 'endpoint.{}.dialect': 'original' needs the attributes that senders wrote, which \
             '{context}' takes away; give it 'keep_originals: on'",
            endpoint.name
        ));
    }
}

fn settings(parser: &mut Parser<'_>) -> Result<ExportSettings, OpenError> {
    let given = Given::read(parser)?;
    stock::check_of_all(parser);
    let mut sources =
        NamedOptions { endpoints: with_lists(given.endpoint), groups: with_lists(given.group) };
    single::read(parser, &mut sources);
    sources.endpoints = with_lists(sources.endpoints);
    let mut names = given.endpoints;
    let group_names = match given.groups {
        names if names.is_empty() => sources.groups.keys().cloned().collect(),
        names => names,
    };
    let mut groups = group::parse(parser, &sources, &group_names);
    let letters = dead_letter::names(&sources);
    if names.is_empty() {
        let own = sources.endpoints.keys().cloned();
        let own = own.filter(|name| !groups.has(name) && !letters.contains(name));
        names = own.collect();
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
        // Mistakes are reported also for endpoints that are not in use.
        let endpoint = endpoint::parse(parser, name, given, &[]);
        endpoints.extend(endpoint);
    }
    for name in &names {
        match sources.endpoints.get(name) {
            // It was read with its group, which may say more of it, and counts for itself too.
            Some(given) if groups.has(name) && !groups.expanded.contains(name) => {
                endpoints.extend(endpoint::parse(parser, name, given, &[]));
            }
            Some(_) => {}
            None => parser.problem(format!(
                "option 'endpoints': '{name}' has no 'endpoint.{name}.url'; given are: {}",
                sources.endpoints.keys().cloned().collect::<Vec<_>>().join(", ")
            )),
        }
    }
    endpoints.append(&mut groups.alone);
    let index = |endpoint: &EndpointSettings| {
        names.iter().chain(&groups.expanded).position(|name| *name == endpoint.name)
    };
    endpoints.retain(|endpoint| index(endpoint).is_some());
    endpoints.sort_by_key(index);
    endpoints.dedup_by(|a, b| a.name == b.name);
    dead_letter::resolve(parser, &sources, &mut endpoints, &mut groups.groups);
    Ok(ExportSettings {
        endpoints,
        groups: groups.groups,
        max_in_flight: given.max_in_flight,
        retry_in_place_size: given.retry_in_place_size,
        logs: logs::parse(parser)?,
    })
}

/// A list in a file stands for a list of texts where a key takes that.
fn with_lists(mut family: OptionsByName) -> OptionsByName {
    for given in family.values_mut() {
        for key in keys::KEYS.iter().filter(|key| key.is_list).map(|key| key.name) {
            let values = given.iter().filter(|(known, _)| stock::ours(known) == key);
            let values: Vec<String> = values.map(|(_, value)| value.clone()).collect();
            if values.len() > 1 {
                given.retain(|(known, _)| stock::ours(known) != key);
                given.push((key.to_owned(), values.join(",")));
            }
        }
    }
    family
}

/// The options that start with the same name.
pub(in crate::plugins) fn family(
    parser: &mut Parser<'_>,
    option: &OptionSpec,
) -> Read<OptionsByName> {
    Some(parser.family(option.name.trim_end_matches('.')))
}

/// Names, each once, in lower case as the host gives the names of options.
fn names(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for name in read::list(parser, option)? {
        let name = name.to_lowercase();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Some(names)
}

crate::export_output!("out_multi_otlp", MultiOtlp);

#[cfg(test)]
mod stock_tests;
#[cfg(test)]
mod tests;
