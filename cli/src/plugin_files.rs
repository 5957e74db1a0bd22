//! Plugin files: which of ours a configuration has the host load, and which are missing.

use std::path::{Path, PathBuf};

use fluent_bit_ai::host::LOADED_TWICE;
use fluent_bit_ai::model::Release;

use crate::configuration::{Configuration, Variables};
use crate::finding::{Finding, Place};
use crate::own::{OwnPlugin, PLUGINS};

/// The first release that does not start when the file of a plugin is missing.
const FIRST_THAT_ENDS: Release = Release::new(5, 1, 0);

/// The files that a configuration names, or those that stand in for them.
#[derive(Debug, Default)]
pub(crate) struct PluginFiles {
    paths: Vec<(PathBuf, Place)>,
}

impl PluginFiles {
    /// What `plugins_file` and the list of plugins name, or the files `instead` of them.
    pub(crate) fn of(
        configuration: &Configuration,
        path: &Path,
        variables: &Variables,
        instead: &[PathBuf],
        findings: &mut Vec<Finding>,
    ) -> Self {
        let mut files = Self::default();
        if !instead.is_empty() {
            for path in instead {
                files.add(path, &Place::file(path), findings);
            }
            return files;
        }
        let named = configuration.service.iter();
        for property in named.filter(|property| property.key.eq_ignore_ascii_case("plugins_file")) {
            let value = variables.expand(&property.value);
            let here = PathBuf::from(&value);
            let folder = std::fs::canonicalize(path).ok();
            let folder = folder.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
            let found = if here.exists() { here } else { folder.join(here) };
            if found.is_file() {
                files.add(&found, &property.place, findings);
            } else {
                let text = format!("could not open plugins configuration file '{value}'");
                findings.push(Finding::error(&property.place, text));
            }
        }
        for property in &configuration.plugins {
            files.paths.push((PathBuf::from(&property.value), property.place.clone()));
        }
        files
    }

    /// Adds a plugin, or those that a file names.
    fn add(&mut self, path: &Path, place: &Place, findings: &mut Vec<Finding>) {
        if path.extension().is_some_and(|end| end == "so") {
            self.paths.push((path.to_owned(), place.clone()));
            return;
        }
        let read = Configuration::read(path);
        findings.extend(read.findings);
        for property in read.plugins {
            self.paths.push((PathBuf::from(property.value), property.place));
        }
    }

    fn of_plugin(&self, plugin: &OwnPlugin) -> impl Iterator<Item = &(PathBuf, Place)> {
        let file = plugin.file();
        self.paths
            .iter()
            .filter(move |(path, _)| path.file_name().is_some_and(|name| name == &*file))
    }

    /// Whether the host is told to load a plugin of this file name, ours or not.
    pub(crate) fn has_file(&self, file: &str) -> bool {
        self.paths.iter().any(|(path, _)| path.file_name().is_some_and(|name| name == file))
    }

    /// The first file of a plugin.
    pub(crate) fn first(&self, plugin: &OwnPlugin) -> Option<&Path> {
        self.of_plugin(plugin).next().map(|(path, _)| path.as_path())
    }

    /// What is wrong with the files, for a host of a release.
    pub(crate) fn check(&self, release: Release) -> Vec<Finding> {
        let mut findings = self.missing_of_others(release);
        for plugin in &PLUGINS {
            for (path, place) in self.of_plugin(plugin) {
                if let Err(error) = std::fs::File::open(path) {
                    let text = format!("error loading DSO C plugin: {} ({error})", path.display());
                    findings.push(Finding::error(place, text));
                }
            }
            if let Some((_, place)) = self.of_plugin(plugin).nth(1) {
                let text = format!("{}: {LOADED_TWICE}", plugin.file());
                findings.push(Finding::warning(place, text));
            }
        }
        findings
    }

    /// Files of plugins of others that are not there: they end the start from 5.1 on, and before that only what uses them.
    fn missing_of_others(&self, release: Release) -> Vec<Finding> {
        let is_ours = |path: &Path| {
            path.file_name().is_some_and(|name| PLUGINS.iter().any(|it| name == &*it.file()))
        };
        let others = self.paths.iter().filter(|(path, _)| !is_ours(path));
        // The system's linker looks for what is no path.
        let missing = others.filter(|(path, _)| path.components().count() > 1 && !path.exists());
        let told = missing.map(|(path, place)| {
            let is_native =
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("flb-"));
            let kind = if is_native { "DSO C" } else { "proxy" };
            let text = format!("error loading {kind} plugin: {}", path.display());
            match release < FIRST_THAT_ENDS {
                true => Finding::warning(place, text),
                false => Finding::error(place, text),
            }
        });
        told.collect()
    }

    /// What is wrong with a plugin that is used: nothing loads it.
    pub(crate) fn check_used(&self, plugin: &OwnPlugin, place: &Place) -> Option<Finding> {
        let file = plugin.file();
        if self.has_file(&file) {
            return None;
        }
        let (kind, name) = (plugin.kind.name(), plugin.spec.name);
        let names_others = PLUGINS.iter().any(|other| self.has_file(&other.file()));
        if names_others {
            let text = format!(
                "section '{kind}' tried to instance a plugin name that doesn't exist: '{name}'; no plugins \
                 file names {file}"
            );
            return Some(Finding::error(place, text));
        }
        let text = format!(
            "'{name}': no plugins file names {file}, so Fluent Bit has to be started with '-e' and its path"
        );
        Some(Finding::warning(place, text))
    }
}
