//! `multi_otlp`: OTLP to several endpoints.

mod endpoint;
mod headers;

use std::time::Duration;

use crate::config::{Parser, parse_list};
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
                "Names of the endpoints to use; all that have an endpoint.NAME.url by default.",
            )
            .repeated(),
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
    let family = parser.family("endpoint");
    let mut names: Vec<String> = Vec::new();
    for name in parser.texts("endpoints").into_iter().flat_map(parse_list) {
        let name = name.to_lowercase();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        names = family.keys().cloned().collect();
    }
    if names.is_empty() {
        parser.problem(
            "no endpoint is given; write for example 'endpoint.main.url: http://127.0.0.1:4318'",
        );
    }
    if names.len() > MAX_ENDPOINTS {
        parser.problem(format!("there are {} endpoints; {MAX_ENDPOINTS} are allowed", names.len()));
    }
    let mut endpoints: Vec<EndpointSettings> = Vec::new();
    for (name, given) in &family {
        // Mistakes are told also for endpoints that are not in use.
        let endpoint = endpoint::parse(parser, name, given);
        endpoints.extend(endpoint);
    }
    for name in &names {
        if !family.contains_key(name) {
            parser.problem(format!(
                "option 'endpoints': '{name}' has no 'endpoint.{name}.url'; given are: {}",
                family.keys().cloned().collect::<Vec<_>>().join(", ")
            ));
        }
    }
    let place = |endpoint: &EndpointSettings| names.iter().position(|name| *name == endpoint.name);
    endpoints.retain(|endpoint| place(endpoint).is_some());
    endpoints.sort_by_key(place);
    Settings { endpoints, max_in_flight }
}

crate::export_output!("out_multi_otlp", MultiOtlp);

#[cfg(test)]
mod tests;
