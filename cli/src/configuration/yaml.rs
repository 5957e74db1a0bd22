//! The YAML form: maps of the service, of the pipeline, and of what belongs to both.

use std::path::Path;

use super::files::{self, Files};
use super::{Configuration, Content, Node, Property, Section, parse};
use crate::finding::{Finding, Place};

/// Properties whose values are maps that the host reads for itself.
const HOSTS_MAPS: [&str; 2] = ["routes", "telemetry"];

/// Reads a file and those that it includes.
pub(super) fn read(files: &mut Files, path: &Path, into: &mut Configuration) {
    let place = Place::file(path);
    match files.text(path) {
        Ok(text) => document(files, &place, &text, into),
        Err(problem) => {
            into.findings.push(Finding::error(&place, format!("the file {problem}")));
        }
    }
}

fn document(files: &mut Files, place: &Place, text: &str, into: &mut Configuration) {
    let root = match parse(text) {
        Ok(Some(root)) => root,
        Ok(None) => return,
        Err((line, problem)) => {
            into.findings.push(Finding::error(&place.at(line), format!("invalid YAML: {problem}")));
            return;
        }
    };
    let Some(map) = root.map() else {
        Reader { place, into }.wrong(root.line, "a configuration is a map of sections");
        return;
    };
    for (key, line, value) in map {
        let mut reader = Reader { place, into: &mut *into };
        match key.as_str() {
            // What is included stands where it is included: the order of filters matters.
            "includes" => include(files, place, value, into),
            "env" => reader.env(value),
            "service" => {
                let mut section = Section::new(place.at(*line));
                reader.properties(value, &mut section);
                reader.into.service.extend(section.properties);
            }
            "plugins" => reader.plugins(value),
            "pipeline" => reader.pipeline(value),
            // Parsers and the like.
            _ => {}
        }
    }
}

/// Relative names are those of files beside the one that includes them.
fn include(files: &mut Files, place: &Place, value: &Node, into: &mut Configuration) {
    let folder = place.file.parent().unwrap_or(Path::new("")).to_owned();
    for node in value.list().unwrap_or(std::slice::from_ref(value)) {
        let place = place.at(node.line);
        let Some(name) = node.text() else {
            into.findings.push(Finding::error(&place, "'includes' is a list of files"));
            continue;
        };
        let wrong = |problem: String| {
            Finding::error(&place, format!("including file '{name}': it {problem}"))
        };
        match files::named(name, &folder) {
            Ok(paths) => {
                for path in paths {
                    match files.text(&path) {
                        Ok(text) => document(files, &Place::file(&path), &text, into),
                        Err(problem) => into.findings.push(wrong(problem)),
                    }
                }
            }
            Err(problem) => into.findings.push(wrong(problem)),
        }
    }
}

struct Reader<'a> {
    place: &'a Place,
    into: &'a mut Configuration,
}

impl Reader<'_> {
    fn wrong(&mut self, line: usize, text: impl Into<String>) {
        self.into.findings.push(Finding::error(&self.place.at(line), text));
    }

    /// A map of variables, or a list of maps.
    fn env(&mut self, value: &Node) {
        let maps = value.list().unwrap_or(std::slice::from_ref(value));
        for map in maps {
            let Some(entries) = map.map() else {
                self.wrong(map.line, "'env' is a map of variables");
                continue;
            };
            let text_of = |name: &str| {
                let found = entries.iter().find(|(key, _, _)| key.eq_ignore_ascii_case(name));
                found.and_then(|(_, _, value)| value.text()).map(str::to_owned)
            };
            if value.list().is_some()
                && let Some(name) = text_of("name")
            {
                self.into.variables.extend(text_of("value").map(|value| (name, value)));
                continue;
            }
            for (name, line, value) in entries {
                match value.text() {
                    Some(value) => self.into.variables.push((name.clone(), value.to_owned())),
                    None => self.wrong(*line, format!("the variable '{name}' is a text")),
                }
            }
        }
    }

    fn plugins(&mut self, value: &Node) {
        let Some(list) = value.list() else {
            self.wrong(value.line, "'plugins' is a list of files");
            return;
        };
        for node in list {
            match node.text() {
                Some(path) => self.into.plugins.push(Property {
                    key: "path".to_owned(),
                    value: path.to_owned(),
                    place: self.place.at(node.line),
                }),
                None => self.wrong(node.line, "'plugins' is a list of files"),
            }
        }
    }

    fn pipeline(&mut self, value: &Node) {
        let Some(map) = value.map() else {
            self.wrong(value.line, "'pipeline' is a map of inputs, filters and outputs");
            return;
        };
        for (key, line, value) in map {
            if !["inputs", "filters", "outputs", "customs"].contains(&key.as_str()) {
                self.wrong(
                    *line,
                    format!(
                        "the pipeline component '{key}' is not valid. Try one of these values: customs, \
                         inputs, filters or outputs."
                    ),
                );
                continue;
            }
            let sections = self.sections(value, key);
            match key.as_str() {
                "inputs" => self.into.inputs.extend(sections),
                "filters" => self.into.filters.extend(sections),
                "outputs" => self.into.outputs.extend(sections),
                _ => {}
            }
        }
    }

    fn sections(&mut self, value: &Node, what: &str) -> Vec<Section> {
        let Some(list) = value.list() else {
            // An empty one is a text.
            if value.text().is_none_or(|text| !text.is_empty()) {
                self.wrong(value.line, format!("'{what}' is a list of maps"));
            }
            return Vec::new();
        };
        let mut sections = Vec::new();
        for node in list {
            let mut section = Section::new(self.place.at(node.line));
            self.properties(node, &mut section);
            sections.push(section);
        }
        sections
    }

    fn properties(&mut self, node: &Node, section: &mut Section) {
        let Some(map) = node.map() else {
            self.wrong(node.line, "a section is a map of properties");
            return;
        };
        for (key, line, value) in map {
            let mut add = |line: usize, value: &str| {
                let place = self.place.at(line);
                let property = Property { key: key.clone(), value: value.to_owned(), place };
                section.properties.push(property);
            };
            match &value.content {
                Content::Text(text) => add(*line, text),
                Content::List(list) if list.iter().all(|one| one.text().is_some()) => {
                    list.iter().for_each(|one| add(one.line, one.text().unwrap_or_default()));
                }
                _ if HOSTS_MAPS.iter().any(|own| key.eq_ignore_ascii_case(own)) => {}
                Content::Map(kinds) if key == "processors" => {
                    for (kind, _, units) in kinds.iter() {
                        // Filters run on logs alone; others have processors of their own.
                        if kind == "logs" {
                            section.processors.extend(self.sections(units, "processors.logs"));
                        }
                    }
                }
                Content::List(_) | Content::Map(_) => self.wrong(
                    *line,
                    format!(
                        "could not configure property '{key}': allowed: a value or a list of values"
                    ),
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(files: &[(&str, &str)]) -> Configuration {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Configuration::read(&folder.path().join(files[0].0))
    }

    const WHOLE: &str = "
env:
  PORT: 4317
service:
  flush: 0.2
includes:
  - more.yaml
plugins:
  - /opt/flb-in_x.so
parsers:
  - name: json
    format: json
pipeline:
  inputs:
    - name: dummy
      tag: a.b
      processors:
        logs:
          - name: ai_context
            redact: [email, ip]
        metrics:
          - name: labels
  filters:
    - name: x
      rule:
        - one two
        - three
      routes: {logs: []}
";

    #[test]
    fn a_whole_configuration_is_read() {
        let more =
            "env:\n  - name: A\n    value: b\n  - C: d\npipeline:\n  outputs:\n    - name: y\n";
        let read = configuration(&[("a.yaml", WHOLE), ("more.yaml", more)]);
        assert_eq!(read.findings, []);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read.variables, [pair("PORT", "4317"), pair("A", "b"), pair("C", "d")]);
        assert_eq!(read.service[0].value, "0.2");
        assert_eq!(read.plugins[0].value, "/opt/flb-in_x.so");
        let processor = &read.inputs[0].processors[0];
        assert_eq!(processor.last("name").unwrap().value, "ai_context");
        assert_eq!(processor.properties.len(), 3);
        let rules: Vec<_> = read.filters[0].properties.iter().skip(1).collect();
        assert_eq!((rules[0].value.as_str(), rules[0].place.line), ("one two", 26));
        assert_eq!((rules[1].value.as_str(), rules[1].place.line), ("three", 27));
        assert_eq!(read.outputs.len(), 1);
    }

    #[test]
    fn mistakes_say_where() {
        for (text, line, expected) in [
            ("- a\n", 1, "a map of sections"),
            ("a: [\n", 1, "invalid YAML"),
            (
                "pipeline:\n  input:\n    - name: x\n",
                2,
                "the pipeline component 'input' is not valid",
            ),
            ("pipeline:\n  inputs:\n    - name: x\n      a: {b: c}\n", 4, "property 'a'"),
            ("pipeline:\n  inputs:\n    - x\n", 3, "a map of properties"),
            ("pipeline:\n  filters: x\n", 2, "a list of maps"),
            ("plugins: x\n", 1, "a list of files"),
            ("env: x\n", 1, "a map of variables"),
            ("includes:\n  - none.yaml\n", 2, "including file 'none.yaml': it cannot be read"),
            ("includes:\n  - a.yaml\n", 2, "is included already"),
        ] {
            let read = configuration(&[("a.yaml", text)]);
            assert_eq!(read.findings.len(), 1, "{text}: {:?}", read.findings);
            let finding = &read.findings[0];
            assert_eq!(finding.place.line, line, "{text}: {}", finding.text);
            assert!(finding.text.contains(expected), "{text}: {}", finding.text);
        }
    }
}
