//! `multi_otlp`: OTLP to several endpoints.

mod aws;
mod content;
mod draft;
mod endpoint;
mod group;
mod headers;
mod keys;
mod letters;
mod logs;
mod oauth2;
mod rules;
mod single;
mod stock;
mod values;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{CONFIG_FILE, FileOptions, Parser};
use crate::export::{EndpointSettings, Exporter, Settings};
use crate::plugin::{
    Completion, Delivery, Environment, OpenError, OptionKind, OptionSpec, Options, Output, Spec,
};

/// Requests in flight to each endpoint at most, unless configured.
const MAX_IN_FLIGHT: usize = 16;
/// Bytes of the chunks that are held in flight at most, unless configured.
const RETRY_IN_PLACE_SIZE: u64 = 128_000_000;
/// Endpoints at most; each has connections, counters and a share of every chunk's memory.
const MAX_ENDPOINTS: usize = 64;

/// Options of the instance itself.
const OWN: &[OptionSpec] = &[
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
    OptionSpec::new("endpoint.", OptionKind::Prefix, None, keys::HELP).repeated(),
    OptionSpec::new(
        CONFIG_FILE,
        OptionKind::Str,
        None,
        "YAML file with any of these options; endpoint and group are maps by name.",
    ),
    OptionSpec::new(
        "max_in_flight",
        OptionKind::Int,
        Some("16"),
        "Requests in flight to each endpoint at most.",
    ),
    OptionSpec::new(
        "retry_in_place_size",
        OptionKind::Size,
        Some("128m"),
        "Bytes of the chunks that are held in flight at most while an endpoint is away, before they \
         go back to the host; see endpoint.NAME.retry_in_place.",
    ),
    logs::BODY_KEY,
    logs::BODY_KEY_ATTRIBUTES,
    logs::metadata(
        "logs_timestamp_metadata_key",
        Some("$Timestamp"),
        "Record accessor to the time in the metadata of ordinary logs, in nanoseconds.",
    ),
    logs::message("logs_timestamp_message_key"),
    logs::metadata(
        "logs_observed_timestamp_metadata_key",
        Some("$ObservedTimestamp"),
        "Record accessor to the time of observation in the metadata, in nanoseconds.",
    ),
    logs::message("logs_observed_timestamp_message_key"),
    logs::metadata(
        "logs_severity_text_metadata_key",
        None,
        "Record accessor to the severity text in the metadata, before the common keys.",
    ),
    logs::message("logs_severity_text_message_key"),
    logs::metadata(
        "logs_severity_number_metadata_key",
        None,
        "Record accessor to the severity number (1 to 24) in the metadata, before the common \
                 keys.",
    ),
    logs::message("logs_severity_number_message_key"),
    logs::metadata(
        "logs_trace_id_metadata_key",
        None,
        "Record accessor to the trace id (32 hex digits or 16 bytes) in the metadata, before \
                 the common keys.",
    ),
    logs::message("logs_trace_id_message_key"),
    logs::metadata(
        "logs_span_id_metadata_key",
        None,
        "Record accessor to the span id (16 hex digits or 8 bytes) in the metadata, before \
                 the common keys.",
    ),
    logs::message("logs_span_id_message_key"),
    logs::metadata(
        "logs_trace_flags_metadata_key",
        None,
        "Record accessor to the trace flags, an integer, in the metadata, before the common \
                 keys.",
    ),
    logs::message("logs_trace_flags_message_key"),
    logs::metadata(
        "logs_attributes_metadata_key",
        Some("$Attributes"),
        "Record accessor to a map in the metadata whose pairs become attributes.",
    ),
];

/// How many options there are.
const COUNT: usize = OWN.len() + keys::ALONE.len() + stock::SPECS.len();

/// All options: of the instance, and the keys of an endpoint for an instance that has only one.
const OPTIONS: [OptionSpec; COUNT] = {
    let mut all = [logs::BODY_KEY; COUNT];
    let mut free: &mut [OptionSpec] = &mut all;
    let mut parts: &[&[OptionSpec]] = &[OWN, keys::ALONE, &stock::SPECS];
    while let Some((part, rest)) = parts.split_first() {
        let mut part: &[OptionSpec] = part;
        while let Some((spec, more)) = part.split_first() {
            free = stock::put(free, *spec);
            part = more;
        }
        parts = rest;
    }
    all
};

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
        let settings = settings(&mut parser);
        let settings = parser.finish(settings)?;
        Ok(Self { exporter: Exporter::start(&settings, &environment)? })
    }

    fn on_flush(&self, delivery: Delivery<'_>, completion: Completion) {
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
    stock::check_of_all(parser);
    let held = parser.size("retry_in_place_size", RETRY_IN_PLACE_SIZE);
    let retry_in_place_size = usize::try_from(held).unwrap_or(usize::MAX);
    let mut sources = Sources {
        endpoints: with_lists(parser.family("endpoint")),
        groups: with_lists(parser.family("group")),
    };
    single::read(parser, &mut sources);
    sources.endpoints = with_lists(sources.endpoints);
    let mut names = names_of(parser, "endpoints");
    let group_names = match names_of(parser, "groups") {
        names if names.is_empty() => sources.groups.keys().cloned().collect(),
        names => names,
    };
    let mut groups = group::parse(parser, &sources, &group_names);
    let letters = letters::names(&sources);
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
        // Mistakes are told also for endpoints that are not in use.
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
    let place = |endpoint: &EndpointSettings| {
        names.iter().chain(&groups.expanded).position(|name| *name == endpoint.name)
    };
    endpoints.retain(|endpoint| place(endpoint).is_some());
    endpoints.sort_by_key(place);
    endpoints.dedup_by(|a, b| a.name == b.name);
    letters::resolve(parser, &sources, &mut endpoints, &mut groups.groups);
    let logs = logs::parse(parser);
    Settings { endpoints, groups: groups.groups, max_in_flight, retry_in_place_size, logs }
}

/// The options of all endpoints and groups, by name.
struct Sources {
    endpoints: Family,
    groups: Family,
}

/// Options by key, of one name after the other.
type Family = BTreeMap<String, Vec<(String, String)>>;

/// A list in a file stands for a list of words where a key takes that.
fn with_lists(mut family: Family) -> Family {
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
mod stock_tests;
#[cfg(test)]
mod tests;
