//! The options of `ai_context` that begin with `identify`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::identity::{IdentitySettings, LocalIdentity};
use crate::config::Parser;
use crate::config::read::{self, Read};
use crate::model::Position;
use crate::plugin::{Environment, OpenError, OptionSpec};
use crate::resource::{DetectorSettings, EditorSettings, ResourceDetector};

/// The word for the map of Fluent Bit's filter, beside the detectors' names.
const KUBERNETES_FILTER: &str = "kubernetes_filter";

/// The options that mean nothing without `identify`.
const OTHERS: [&str; 8] = [
    "identify_override",
    "identify_labels",
    "identify_annotations",
    "identify_well_known_labels",
    "identify_process",
    "identify_podinfo",
    "identify_root",
    "identify_refresh",
];

/// What `identify` names.
#[derive(Debug, Default)]
pub(super) struct Detectors {
    detectors: Vec<ResourceDetector>,
    kubernetes_filter: bool,
}

/// The values of all these options.
#[derive(Debug)]
pub(super) struct IdentityGiven {
    pub(super) detectors: Detectors,
    pub(super) overrides: bool,
    pub(super) labels: Vec<String>,
    pub(super) annotations: Vec<String>,
    pub(super) well_known_labels: bool,
    pub(super) process: Option<String>,
    pub(super) podinfo: String,
    pub(super) root: String,
    pub(super) refresh: Duration,
}

/// Reads `identify`.
pub(super) fn detectors(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Detectors> {
    let mut chosen = Detectors::default();
    for name in read::list(parser, option)? {
        match ResourceDetector::named(&name) {
            Some(detector) => chosen.detectors.push(detector),
            None if name.eq_ignore_ascii_case(KUBERNETES_FILTER) => chosen.kubernetes_filter = true,
            None => {
                let names = ResourceDetector::ALL.map(ResourceDetector::name).join(", ");
                parser.refuse(
                    option.name,
                    &name,
                    &format!("allowed: {names}, {KUBERNETES_FILTER}"),
                );
            }
        }
    }
    Some(chosen)
}

/// Reads `identify_process`.
pub(super) fn process(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Option<String>> {
    let allowed = "allowed: a number such as 1, self, or a path such as /run/engine.pid";
    read::optional(allowed, |text| {
        let is_allowed = text == "self" || text.starts_with('/') || text.parse::<u32>().is_ok();
        is_allowed.then(|| text.to_owned())
    })(parser, option)
}

/// Reads the path of a folder.
pub(super) fn path(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<String> {
    parser.value(option, "allowed: a path such as /etc/podinfo", |text| {
        text.starts_with('/').then(|| text.to_owned())
    })
}

/// Reads `identify_refresh`.
pub(super) fn refresh(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Duration> {
    parser.value(option, "allowed: a duration from 1s on, such as 30s", |text| {
        crate::config::parse_duration(text).filter(|time| *time >= Duration::from_secs(1))
    })
}

impl IdentityGiven {
    /// What the editor of resources is to do, if anything. The attributes come when they are read.
    pub(super) fn editor(&self, position: Position) -> Option<EditorSettings> {
        let Detectors { detectors, kubernetes_filter } = &self.detectors;
        (!detectors.is_empty() || *kubernetes_filter).then(|| EditorSettings {
            attributes: Arc::default(),
            overrides: self.overrides,
            kubernetes: *kubernetes_filter,
            position,
        })
    }

    /// What is to be detected, if anything; notes what does not fit together.
    pub(super) fn read(&self, parser: &mut Parser<'_>) -> Option<IdentitySettings> {
        let Detectors { detectors, kubernetes_filter } = &self.detectors;
        let wants_process = detectors.contains(&ResourceDetector::Process);
        match (&self.process, wants_process) {
            (None, true) => parser.problem(
                "option 'identify_process' is missing; 'identify: process' needs it: the number of the process \
                 that is described, self, or the path of a file with its number",
            ),
            (Some(_), false) if !detectors.is_empty() => parser.problem(
                "option 'identify_process': it is given, but needs 'identify: process'",
            ),
            _ => {}
        }
        if detectors.is_empty() {
            let allowed = |name: &&str| *kubernetes_filter && *name == "identify_override";
            for name in OTHERS.iter().filter(|name| !allowed(name)) {
                if parser.text(name).is_some() {
                    parser.problem(format!("option '{name}': it is given, but needs 'identify'"));
                }
            }
            return None;
        }
        Some(IdentitySettings {
            detect: DetectorSettings {
                detectors: detectors.clone(),
                podinfo: self.podinfo.clone(),
                labels: self.labels.clone(),
                annotations: self.annotations.clone(),
                well_known_labels: self.well_known_labels,
                process: self.process.clone().unwrap_or_default(),
            },
            root: PathBuf::from(&self.root),
            refresh: self.refresh,
        })
    }
}

/// Begins to read what is to be detected, and says what no filter can reach.
pub(super) fn start(
    settings: Option<IdentitySettings>,
    environment: &Environment,
) -> Result<Option<LocalIdentity>, OpenError> {
    let Some(settings) = settings else { return Ok(None) };
    environment.log.info(
        "identify: traces and metrics in Fluent Bit's own form (ai_otlp's 'format: native', other inputs) do not \
         pass filters, so that their resources stay as they are",
    );
    LocalIdentity::start(settings, Arc::clone(&environment.log)).map(Some)
}
