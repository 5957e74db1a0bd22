//! Trial of endpoints and of targets to scrape: each target is asked for its page, and each endpoint gets an export that holds nothing, by the exporter's own connections, with
//! its own credentials.

use fluent_bit_ai::export::EndpointTrial;
use fluent_bit_ai::scrape::TargetTrial;

use crate::check::{Checked, CheckedOutput, CheckedScraper};
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
    /// Pages that were read.
    pub read: Vec<String>,
    /// What was not.
    pub findings: Vec<Finding>,
    /// How many of these are of pages.
    pub unread: usize,
}

/// Tries every endpoint of the outputs and every target of the inputs, at most as long as their timeouts.
#[must_use]
pub fn try_out(checked: &mut Checked) -> Trials {
    let mut trials = Trials::default();
    for CheckedScraper { prefix, section, targets } in &mut checked.scrapers {
        match targets.try_out() {
            Ok(tried) => tried.iter().for_each(|trial| trials.add_page(prefix, section, trial)),
            Err(error) => trials.no_threads(prefix, section, &error),
        }
    }
    for CheckedOutput { prefix, section, output } in &checked.outputs {
        match output.try_out() {
            Ok(tried) => tried.iter().for_each(|trial| trials.add(prefix, section, trial)),
            Err(error) => trials.no_threads(prefix, section, &error),
        }
    }
    trials
}

impl Trials {
    fn no_threads(&mut self, prefix: &str, section: &Section, error: &std::io::Error) {
        let text = format!("{prefix} no threads can be started: {error}");
        self.findings.push(Finding::error(&section.place, text));
    }

    fn add_page(&mut self, prefix: &str, section: &Section, trial: &TargetTrial) {
        let TargetTrial { target, url, took, outcome } = trial;
        let what = format!("{prefix} scrape '{target}' ({url})");
        match outcome {
            Ok(samples) => {
                self.read.push(format!("{what}: {samples} samples in {} ms", took.as_millis()));
            }
            Err(problem) => {
                let property = section.last(&format!("scrape.{target}.url"));
                let place = property.map_or(&section.place, |property| &property.place);
                self.findings.push(Finding::error(place, format!("{what}: {problem}")));
                self.unread = self.unread.saturating_add(1);
            }
        }
    }

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
