//! Trial of endpoints: each gets an export that holds nothing, by the exporter's own connections, with
//! its own credentials.

use fluent_bit_ai::export::EndpointTrial;

use crate::check::CheckedOutput;
use crate::configuration::Section;
use crate::finding::{Finding, Place};

/// How a problem begins where an endpoint has read the export, and refuses it because it holds nothing: some backends do. Credentials
/// and paths that are wrong get other answers.
const HOLDS_NOTHING: &str = "(refused): HTTP status 400";

/// What came of the trials: lines about what was accepted, and findings about the rest.
#[derive(Debug, Default)]
pub struct Trials {
    /// What was accepted.
    pub accepted: Vec<String>,
    /// What was not.
    pub findings: Vec<Finding>,
}

/// Tries every endpoint of the outputs, at most as long as their timeouts.
#[must_use]
pub fn try_out(outputs: &[CheckedOutput]) -> Trials {
    let mut trials = Trials::default();
    for CheckedOutput { prefix, section, output } in outputs {
        match output.try_out() {
            Ok(tried) => tried.iter().for_each(|trial| trials.add(prefix, section, trial)),
            Err(error) => {
                let text = format!("{prefix} no threads can be started: {error}");
                trials.findings.push(Finding::error(&section.place, text));
            }
        }
    }
    trials
}

impl Trials {
    fn add(&mut self, prefix: &str, section: &Section, trial: &EndpointTrial) {
        let EndpointTrial { endpoint, url, signal, took, outcome } = trial;
        let signal = signal.map_or_else(String::new, |signal| format!(", {}", signal.name()));
        let what = format!("{prefix} endpoint '{endpoint}' ({url}{signal})");
        match outcome {
            Ok(()) => {
                self.accepted.push(format!("{what}: accepted in {} ms", took.as_millis()));
            }
            Err(problem) if problem.starts_with(HOLDS_NOTHING) => {
                let text = format!(
                    "{what}: it answers, and takes no export that holds nothing: {problem}"
                );
                self.findings.push(Finding::warning(&place_of(endpoint, section), text));
            }
            Err(problem) => {
                let text = format!("{what}: {problem}");
                self.findings.push(Finding::error(&place_of(endpoint, section), text));
            }
        }
    }
}

/// Where the URL of an endpoint is, or of the group that it is a member of.
fn place_of(endpoint: &str, section: &Section) -> Place {
    let names =
        [format!("endpoint.{endpoint}.url"), format!("group.{endpoint}.url"), "url".to_owned()];
    let property = names.iter().find_map(|name| section.last(name));
    property
        .or_else(|| section.last("host"))
        .map_or(&section.place, |property| &property.place)
        .clone()
}
