//! The classic form: sections in brackets, below them indented lines of a name and a value.

use std::path::{Path, PathBuf};

use super::files::{self, Files};
use super::{Configuration, Property, Section};
use crate::finding::{Finding, Place};

/// Where the lines go that follow a heading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    Service,
    Plugins,
    Input,
    Filter,
    Output,
    /// A section that is none of ours to read: parsers and the like.
    Other,
}

impl Open {
    fn of(heading: &str) -> Self {
        match heading.to_ascii_lowercase().as_str() {
            "service" => Self::Service,
            "plugins" => Self::Plugins,
            "input" => Self::Input,
            "filter" => Self::Filter,
            "output" => Self::Output,
            _ => Self::Other,
        }
    }
}

/// Reads a file and those that it includes.
pub(super) fn read(files: &mut Files, path: &Path, into: &mut Configuration) {
    let place = Place::file(path);
    match files.text(path) {
        Ok(text) => Reader { files, into, place, open: Open::Nothing, indent: None }.lines(&text),
        Err(problem) => {
            into.findings.push(Finding::error(&place, format!("the file {problem}")));
        }
    }
}

struct Reader<'a> {
    files: &'a mut Files,
    into: &'a mut Configuration,
    place: Place,
    open: Open,
    /// What the first property of the file begins with, and so all of them.
    indent: Option<String>,
}

impl Reader<'_> {
    fn lines(&mut self, text: &str) {
        for (number, line) in (1..).zip(text.lines()) {
            let place = self.place.at(number);
            if let Err(problem) = self.line(line.trim_end_matches('\r'), &place) {
                self.into.findings.push(Finding::error(&place, problem));
            }
        }
    }

    fn line(&mut self, line: &str, place: &Place) -> Result<(), String> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some(command) = line.strip_prefix('@') {
            return self.command(command);
        }
        if let Some(heading) = line.strip_prefix('[') {
            let (heading, _) = heading.split_once(']').ok_or("bad header definition")?;
            self.begin(heading, place);
            return Ok(());
        }
        let blanks = line.len().saturating_sub(line.trim_start_matches([' ', '\t']).len());
        let (indent, entry) = line.split_at_checked(blanks).unwrap_or(("", line));
        if entry.is_empty() || entry.starts_with('#') {
            return Ok(());
        }
        self.check_indent(indent)?;
        // A group within a section; nothing of ours has any.
        if entry.starts_with('[') {
            self.open = Open::Other;
            return Ok(());
        }
        let (key, value) = entry
            .split_once(' ')
            .ok_or("undefined value - check config is in valid classic format")?;
        let value = value.trim().to_owned();
        if value.is_empty() {
            return Err("key has an empty value".to_owned());
        }
        self.property(Property { key: key.to_owned(), value, place: place.clone() })
    }

    /// Every property is indented as the first one of its file is.
    fn check_indent(&mut self, indent: &str) -> Result<(), String> {
        if indent.is_empty() {
            return Err(
                "invalid indentation level: a property is indented below its section".to_owned()
            );
        }
        let expected = self.indent.get_or_insert_with(|| indent.to_owned());
        if indent == expected || self.open == Open::Other {
            return Ok(());
        }
        Err("invalid indentation level: all properties of a file are indented alike".to_owned())
    }

    fn begin(&mut self, heading: &str, place: &Place) {
        self.open = Open::of(heading);
        let section = Section::new(place.clone());
        match self.open {
            Open::Input => self.into.inputs.push(section),
            Open::Filter => self.into.filters.push(section),
            Open::Output => self.into.outputs.push(section),
            Open::Nothing | Open::Service | Open::Plugins | Open::Other => {}
        }
    }

    fn property(&mut self, property: Property) -> Result<(), String> {
        let section = match self.open {
            Open::Input => self.into.inputs.last_mut(),
            Open::Filter => self.into.filters.last_mut(),
            Open::Output => self.into.outputs.last_mut(),
            Open::Service => {
                return {
                    self.into.service.push(property);
                    Ok(())
                };
            }
            Open::Plugins if property.key.eq_ignore_ascii_case("path") => {
                self.into.plugins.push(property);
                return Ok(());
            }
            Open::Plugins | Open::Other => return Ok(()),
            Open::Nothing => return Err("a property before the first section".to_owned()),
        };
        if let Some(section) = section {
            section.properties.push(property);
        }
        Ok(())
    }

    /// `@INCLUDE` and `@SET`.
    fn command(&mut self, command: &str) -> Result<(), String> {
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        match name.to_ascii_lowercase().as_str() {
            "include" => self.include(rest),
            "set" => {
                let (name, value) = rest
                    .split_once('=')
                    .ok_or_else(|| format!("[meta SET] invalid parameter '{rest}'"))?;
                self.into.variables.push((name.to_owned(), value.to_owned()));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn include(&mut self, name: &str) -> Result<(), String> {
        let wrong = |problem: String| format!("including file '{name}': it {problem}");
        let root = self.files.root().to_owned();
        // As the host looks for it: where it runs, and then beside the first file.
        let here = PathBuf::from(name);
        let paths = if !name.contains('*') && here.exists() {
            vec![here]
        } else {
            files::named(name, &root).map_err(wrong)?
        };
        for path in paths {
            let text = self.files.text(&path).map_err(wrong)?;
            let place = Place::file(&path);
            let (files, into) = (&mut *self.files, &mut *self.into);
            Reader { files, into, place, open: Open::Nothing, indent: None }.lines(&text);
        }
        // What follows the include belongs to the section before it.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Severity;

    fn configuration(files: &[(&str, &str)]) -> Configuration {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Configuration::read(&folder.path().join(files[0].0))
    }

    #[test]
    fn sections_variables_and_includes_are_read_in_order() {
        let read = configuration(&[
            (
                "a.conf",
                "@SET P=1\n[SERVICE]\n    Flush 1\n@INCLUDE more/../b*.conf\n\n# c\n[Filter]\n    Name x\n    \
                 Rule a  b \n    [GROUP]\n        deep 1\n",
            ),
            ("b1.conf", "[INPUT]\n\tName one\n\tTag t\n[PARSER]\n\tx y\n"),
            ("b2.conf", "[INPUT]\n  Name two\n[PLUGINS]\n  Path /x.so\n"),
        ]);
        // The folder `more` is not there.
        assert!(
            read.findings[0].text.contains("including file 'more/../b*.conf': it matches no file")
        );
        let read = configuration(&[
            (
                "a.conf",
                "@SET P=1\n[SERVICE]\n    Flush 1\n@INCLUDE b*.conf\n[Filter]\n    Name x\n    Rule a  b \n",
            ),
            ("b1.conf", "[INPUT]\n\tName one\n\tTag t\n[PARSER]\n\tx y\n"),
            ("b2.conf", "[INPUT]\n  Name two\n[PLUGINS]\n  Path /x.so\n"),
        ]);
        assert_eq!(read.findings, []);
        assert_eq!(read.variables, [("P".to_owned(), "1".to_owned())]);
        let names: Vec<&str> =
            read.inputs.iter().map(|input| input.last("NAME").unwrap().value.as_str()).collect();
        assert_eq!(names, ["one", "two"]);
        assert_eq!(read.plugins[0].value, "/x.so");
        let rule = read.filters[0].last("rule").unwrap();
        assert_eq!((rule.value.as_str(), rule.place.line), ("a  b", 7));
    }

    #[test]
    fn mistakes_say_where() {
        for (text, line, expected) in [
            ("[SERVICE\n", 1, "bad header definition"),
            ("\n    Flush 1\n", 2, "before the first section"),
            ("[SERVICE]\n    Flush\n", 2, "undefined value"),
            ("[SERVICE]\nFlush 1\n", 2, "is indented below"),
            ("[SERVICE]\n    Flush 1\n  Grace 1\n", 3, "indented alike"),
            ("[SERVICE]\n    Flush  \n", 2, "empty value"),
            ("@SET x\n", 1, "[meta SET] invalid parameter 'x'"),
            ("@INCLUDE none.conf\n", 1, "including file 'none.conf': it cannot be read"),
            ("@INCLUDE a.conf\n", 1, "is included already"),
        ] {
            let read = configuration(&[("a.conf", text)]);
            assert_eq!(read.findings.len(), 1, "{text}: {:?}", read.findings);
            let finding = &read.findings[0];
            assert_eq!((finding.place.line, finding.severity), (line, Severity::Error), "{text}");
            assert!(finding.text.contains(expected), "{text}: {}", finding.text);
        }
    }
}
