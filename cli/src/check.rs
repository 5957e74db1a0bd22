//! The check: every instance of ours is started as the host would, but for what only a host has.
//!
//! The order is the host's: inputs, each with the filters that run within it as processors, then filters,
//! then outputs. Where the host would end at the first mistake, the check goes on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fluent_bit_ai::hub::Hub;
use fluent_bit_ai::model::Release;
use fluent_bit_ai::plugin::{
    AppendRefused, Chunks, Environment, NOT_THREADED, OpenError, Options, Sink,
};
use fluent_bit_ai::plugins::out_multi_otlp::MultiOtlp;
use fluent_bit_ai::receive::ListenAddresses;
use fluent_bit_ai::scrape::ScrapeTrial;
use fluent_bit_ai::stats::{Counters, Log, LogLevel};

use crate::configuration::{Configuration, Property, Section, Variables, parse, read_text};
use crate::finding::{Finding, Place};
use crate::instance::{Instance, InstanceOptions, distance};
use crate::own::{self, OwnPlugin, PLUGINS, PluginKind, Started, Tried};
use crate::plugin_files::PluginFiles;

/// The first release whose readers know log group markers.
const LOG_GROUPS: Release = Release::new(3, 2, 9);
/// How many letters may be wrong in a name that is probably one of ours.
const MISSPELT: usize = 2;

/// What was found.
#[derive(Default)]
pub struct Checked {
    /// What is wrong, in the order of the start.
    pub findings: Vec<Finding>,
    /// The outputs that would start.
    pub outputs: Vec<CheckedOutput>,
    /// The inputs that would scrape.
    pub scrapers: Vec<CheckedScraper>,
    /// How many instances of ours there are.
    pub instances: usize,
    /// How many of others, which were not looked at.
    pub others: usize,
}

/// An output that would start.
pub struct CheckedOutput {
    /// What stands before its lines in the log.
    pub prefix: String,
    /// Where it is.
    pub section: Section,
    /// The output itself.
    pub output: MultiOtlp,
}

/// An input that would scrape.
pub struct CheckedScraper {
    /// What stands before its lines in the log.
    pub prefix: String,
    /// Where it is.
    pub section: Section,
    /// Its targets.
    pub targets: ScrapeTrial,
}

/// Checks the configuration at `path` for a host of a release. `plugins` stand in for the plugin files that
/// it names, if there are any.
#[must_use]
pub fn check(path: &Path, plugins: &[PathBuf], release: Release) -> Checked {
    let configuration = Configuration::read(path);
    let variables = Variables::new(&configuration.variables);
    let mut checked = Checked { findings: configuration.findings.clone(), ..Checked::default() };
    let files = PluginFiles::of(&configuration, path, &variables, plugins, &mut checked.findings);
    checked.findings.extend(files.check(release));
    let run = Run {
        checked,
        variables,
        files,
        release,
        hub: Arc::new(Hub::new(1)),
        taken: ListenAddresses::default(),
        numbers: BTreeMap::new(),
        started: Vec::new(),
    };
    run.of(&configuration)
}

/// The file of `ai_emitter` among `plugins`, or among those that a configuration names.
#[must_use]
pub fn emitter_file(path: Option<&Path>, plugins: &[PathBuf]) -> Option<PathBuf> {
    let configuration = path.map(Configuration::read).unwrap_or_default();
    let path = path.unwrap_or(Path::new(""));
    let variables = Variables::new(&configuration.variables);
    let files = PluginFiles::of(&configuration, path, &variables, plugins, &mut Vec::new());
    files.first(own::find(PluginKind::Input, "ai_emitter")?).map(Path::to_owned)
}

/// An instance that would start.
struct Running {
    started: Started,
    prefix: String,
    section: Section,
    log: Arc<Log>,
    is_bounded: bool,
}

/// A start of all instances.
struct Run {
    checked: Checked,
    variables: Variables,
    files: PluginFiles,
    release: Release,
    hub: Arc<Hub>,
    taken: ListenAddresses,
    /// How many instances of each kind there were, those of others too: the host numbers them so.
    numbers: BTreeMap<&'static str, usize>,
    started: Vec<Running>,
}

impl Run {
    fn of(mut self, configuration: &Configuration) -> Checked {
        for section in &configuration.inputs {
            self.start(PluginKind::Input, section, false);
            self.processors(section);
        }
        for section in &configuration.filters {
            self.start(PluginKind::Filter, section, false);
        }
        for section in &configuration.outputs {
            self.start(PluginKind::Output, section, false);
            self.processors(section);
        }
        self.first_tick();
        self.checked
    }

    fn processors(&mut self, section: &Section) {
        section.processors.iter().for_each(|unit| self.start(PluginKind::Filter, unit, true));
    }

    fn start(&mut self, kind: PluginKind, section: &Section, is_processor: bool) {
        // What runs within an input or output is in no list of the host's.
        let count = self.numbers.entry(kind.name()).or_default();
        let number = *count;
        *count = count.saturating_add(usize::from(!is_processor));
        let Some(named) = section.last("name") else {
            let text = format!("section '{}' is missing the 'name' property", kind.name());
            self.checked.findings.push(Finding::error(&section.place, text));
            return;
        };
        let name = self.variables.expand(&named.value);
        let Some(plugin) = own::find(kind, &name) else {
            self.checked.others = self.checked.others.saturating_add(1);
            if !is_processor {
                let place = named.place.clone();
                self.checked
                    .findings
                    .extend(self.misspelt(kind, &name).map(|text| Finding::error(&place, text)));
            }
            return;
        };
        self.checked.instances = self.checked.instances.saturating_add(1);
        self.checked.findings.extend(self.files.check_used(plugin, &named.place));
        self.start_own(plugin, section, number);
    }

    /// What is said of a name that is nearly one of ours, or that has another kind.
    fn misspelt(&self, kind: PluginKind, name: &str) -> Option<String> {
        let lower = name.to_ascii_lowercase();
        if self.files.has_file(&format!("flb-{}_{lower}.so", kind.prefix())) {
            return None;
        }
        let near = PLUGINS.iter().find(|own| distance(&lower, own.spec.name) <= MISSPELT)?;
        let (meant, section) = (near.spec.name, near.kind.name());
        Some(format!(
            "section '{}' tried to instance a plugin name that doesn't exist: '{name}'; perhaps the {section} \
             '{meant}' is meant",
            kind.name()
        ))
    }

    fn start_own(&mut self, plugin: &'static OwnPlugin, section: &Section, number: usize) {
        let mut name = format!("{}.{number}", plugin.spec.name);
        let instance = Instance { plugin, section, name: name.clone(), release: self.release };
        let (options, findings) = instance.options(&self.variables);
        if let Some(alias) = section.last("alias") {
            name = self.variables.expand(&alias.value);
        }
        let prefix = format!("[{}:{}:{name}]", plugin.kind.name(), plugin.spec.name);
        let findings = findings.into_iter().map(|mut finding| {
            finding.text = format!("[config] {}", finding.text);
            finding
        });
        self.checked.findings.extend(findings);
        let environment = self.environment(&name);
        let log = Arc::clone(&environment.log);
        let opened = if options.host_value("threaded").as_deref() == Some("on") {
            Err(OpenError::one(NOT_THREADED))
        } else {
            (plugin.open)(&options, environment, &mut self.taken)
        };
        self.report(&prefix, section, &log);
        match opened {
            Ok(started) => {
                let InstanceOptions { is_bounded, .. } = options;
                self.hub_knows(plugin);
                let section = section.clone();
                self.started.push(Running { started, prefix, section, log, is_bounded });
            }
            Err(OpenError(problems)) => {
                // One that has other mistakes is there all the same.
                if plugin.kind == PluginKind::Input {
                    self.hub.add_emitter();
                }
                self.hub_knows(plugin);
                for problem in problems {
                    let place = place_of(&problem, section);
                    self.checked
                        .findings
                        .push(Finding::error(&place, format!("{prefix} {problem}")));
                }
            }
        }
    }

    fn hub_knows(&self, plugin: &OwnPlugin) {
        if plugin.kind == PluginKind::Filter {
            self.hub.add_filter();
        }
    }

    fn environment(&self, name: &str) -> Environment {
        Environment {
            instance: name.to_owned(),
            hub: Arc::clone(&self.hub),
            position: self.hub.next_position(),
            host_release: self.release.to_string(),
            log_groups: self.release >= LOG_GROUPS,
            native_chunks: true,
            counters: Arc::new(Counters::default()),
            log: Arc::new(Log::default()),
        }
    }

    /// What an instance warned of.
    fn report(&mut self, prefix: &str, section: &Section, log: &Log) {
        for line in log.take().into_iter().filter(|line| line.level <= LogLevel::Warn) {
            let place = place_of(&line.text, section);
            self.checked.findings.push(Finding::warning(&place, format!("{prefix} {}", line.text)));
        }
    }

    fn first_tick(&mut self) {
        for running in std::mem::take(&mut self.started) {
            let Running { started, prefix, section, log, is_bounded } = running;
            let tried = started.first_tick(&mut NoPipeline { is_bounded });
            self.report(&prefix, &section, &log);
            match tried {
                None => {}
                Some(Tried::Endpoints(output)) => {
                    let output = *output;
                    self.checked.outputs.push(CheckedOutput { prefix, section, output });
                }
                Some(Tried::Targets(targets)) => {
                    self.checked.scrapers.push(CheckedScraper { prefix, section, targets });
                }
            }
        }
    }
}

/// Takes nothing further.
struct NoPipeline {
    is_bounded: bool,
}

impl Sink for NoPipeline {
    fn append(&mut self, _: &[u8], _: usize, _: &[u8]) -> Result<(), AppendRefused> {
        Ok(())
    }

    fn chunks(&self) -> Chunks {
        Chunks { bytes: 0, bounded: self.is_bounded }
    }

    fn flush_now(&mut self) {}
}

/// Where a problem is that an instance of this section tells of: in its file of options, at the property
/// that it names first, or else at the first one of the endpoint or group that it names.
fn place_of(problem: &str, section: &Section) -> Place {
    if let Some((file, rest)) =
        problem.strip_prefix("config_file '").and_then(|rest| rest.split_once("': "))
    {
        return in_file(Path::new(file), rest);
    }
    let unquoted = problem.split_whitespace().next().into_iter();
    // Of 'tls: on' the name.
    let quoted = problem.split('\'').skip(1).step_by(2);
    let names = quoted.chain(unquoted).map(|name| name.split(": ").next().unwrap_or(name));
    let property = names.clone().find_map(|name| section.last(name)).or_else(|| {
        names.into_iter().find_map(|name| {
            let starts =
                [format!("{name}."), format!("endpoint.{name}."), format!("group.{name}.")];
            let is_of = |property: &&Property| {
                let key = property.key.to_ascii_lowercase();
                starts.iter().any(|start| key.starts_with(start))
            };
            section.properties.iter().find(is_of)
        })
    });
    property.map_or(&section.place, |property| &property.place).clone()
}

/// Where a problem is that a file of options has.
fn in_file(path: &Path, problem: &str) -> Place {
    let place = Place::file(path);
    let Ok(text) = read_text(path) else { return place };
    let root = match parse(&text) {
        Ok(Some(root)) => root,
        Ok(None) => return place,
        Err((line, _)) => return place.at(line),
    };
    let option = problem.strip_prefix("option '").and_then(|rest| rest.split('\'').next());
    let path = option.or_else(|| problem.split(": ").next()).unwrap_or_default();
    place.at(root.line_of(path).unwrap_or(0))
}
