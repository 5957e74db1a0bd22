//! The configuration: the parts of Fluent Bit's YAML and of its classic form that tests need.

mod classic;
mod document;
mod environment;
mod file_form;
mod plugins_file;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::args::duration;
use crate::report;

use document::Document;
pub(crate) use document::{PropertyValue, Section};
use file_form::parse;

/// A configuration that was read and whose service section makes sense.
#[derive(Debug)]
pub(crate) struct HostSettings {
    /// How often chunks are handed to the outputs.
    pub(crate) flush: Duration,
    /// How long a stop waits for chunks on their way.
    pub(crate) grace: Duration,
    /// The level of the log, as the host numbers it.
    pub(crate) log_level: i32,
    /// The first wait before a retry; it doubles up to `retry_cap`.
    pub(crate) retry_base: Duration,
    /// The longest wait before a retry.
    pub(crate) retry_cap: Duration,
    /// Shared objects to load.
    pub(crate) plugins: Vec<PathBuf>,
    /// The inputs in order.
    pub(crate) inputs: Vec<Section>,
    /// The filters in order.
    pub(crate) filters: Vec<Section>,
    /// The outputs in order.
    pub(crate) outputs: Vec<Section>,
}

impl HostSettings {
    /// Reads a file.
    ///
    /// # Errors
    /// One line that says where and what is wrong.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let settings = parse(path, &text).and_then(|document| Self::of(document, folder));
        settings.map_err(|error| format!("{}: {error}", path.display()))
    }

    fn of(mut document: Document, folder: &Path) -> Result<Self, String> {
        document.expand(&environment::expand);
        let mut settings = Self {
            flush: Duration::from_secs(1),
            grace: Duration::from_secs(5),
            log_level: report::INFO,
            retry_base: Duration::from_millis(200),
            retry_cap: Duration::from_secs(2),
            plugins: document.plugins.into_iter().map(PathBuf::from).collect(),
            inputs: document.pipeline.inputs,
            filters: document.pipeline.filters,
            outputs: document.pipeline.outputs,
        };
        for (key, value) in document.service.options {
            settings.service(&key.to_ascii_lowercase(), &value, folder)?;
        }
        Ok(settings)
    }

    fn service(&mut self, key: &str, value: &PropertyValue, folder: &Path) -> Result<(), String> {
        let PropertyValue::One(value) = value else {
            return Err(format!("service: '{key}' is a list"));
        };
        let time = || duration(value).map_err(|error| format!("service: {key}: {error}"));
        match key {
            "flush" => self.flush = time()?.max(Duration::from_millis(1)),
            "grace" => self.grace = time()?,
            "plugins_file" => self.plugins.extend(plugins_file::read(folder, value)?),
            "scheduler.base" => self.retry_base = time()?,
            "scheduler.cap" => self.retry_cap = time()?,
            "log_level" => {
                self.log_level = report::level_of(value)
                    .ok_or_else(|| format!("service: unknown log_level '{value}'"))?;
            }
            _ => report::line(
                report::INFO,
                &format!("[flb-host] service: '{key}' is ignored by this host"),
            ),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<HostSettings, String> {
        document::parse(text).and_then(|document| HostSettings::of(document, Path::new(".")))
    }

    const WHOLE: &str = "
service:
  flush: 0.2
  log_level: debug
  storage.path: /tmp/x
plugins:
  - /opt/flb-in_x.so
pipeline:
  inputs:
    - name: dummy
      tag: a.b
      samples: 3
  filters:
    - name: x
      match: 'a.*'
      rule:
        - one two
        - three
      flag: on
  outputs:
    - name: 'null'
      match: '*'
";

    #[test]
    fn a_whole_configuration_is_read() {
        let settings = parse(WHOLE).unwrap();
        assert_eq!(settings.flush, Duration::from_millis(200));
        assert_eq!(settings.log_level, report::DEBUG);
        assert_eq!(settings.plugins, [PathBuf::from("/opt/flb-in_x.so")]);
        assert_eq!(settings.inputs[0].get("Tag").as_deref(), Some("a.b"));
        assert_eq!(settings.inputs[0].get("samples").as_deref(), Some("3"));
        let rules: Vec<_> = settings.filters[0].pairs().collect();
        assert_eq!(
            rules,
            [
                ("name", "x"),
                ("match", "a.*"),
                ("rule", "one two"),
                ("rule", "three"),
                ("flag", "on")
            ]
        );
        assert_eq!(settings.outputs[0].get("name").as_deref(), Some("null"));
    }

    #[test]
    fn mistakes_say_where() {
        let nested = "pipeline:\n  inputs:\n    - name: x\n      a: {b: c}\n";
        assert!(parse(nested).unwrap_err().contains("a map"));
        assert!(parse("service:\n  flush: often\n").unwrap_err().contains("flush"));
        assert!(parse("pipelines: {}\n").unwrap_err().contains("pipelines"));
    }

    #[test]
    fn variables_are_expanded() {
        let text = "pipeline:\n  inputs:\n    - name: x\n      home: 'a${CARGO_MANIFEST_DIR}b'\n";
        let settings = parse(text).unwrap();
        let home = settings.inputs[0].get("home").unwrap();
        assert_eq!(home, format!("a{}b", env!("CARGO_MANIFEST_DIR")));
    }
}
