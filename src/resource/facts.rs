//! Facts: the texts that detectors read.

use std::collections::BTreeMap;

/// Where a fact comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactSource {
    /// The content of a file. A part of the path that is `*` stands for every entry of that folder.
    File(String),
    /// Where a symbolic link leads.
    Link(String),
}

/// Variables of the environment, and contents of files under the paths by which they were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// The environment.
    pub variables: BTreeMap<String, String>,
    /// Contents of files, and targets of links.
    pub files: BTreeMap<String, String>,
}

impl Facts {
    /// A variable without blanks around it, unless it is empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The first of some variables that is there.
    #[must_use]
    pub fn first_variable(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.variable(name))
    }

    /// The content of a file without blanks around it, unless it is empty. Contents of `/sys` and
    /// `/proc` may end with a NUL.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&str> {
        let content = self.files.get(path)?;
        Some(content.trim_matches(|c: char| c == '\0' || c.is_whitespace()))
            .filter(|content| !content.is_empty())
    }

    /// The first of some files that is there.
    #[must_use]
    pub fn first_file(&self, paths: &[&str]) -> Option<&str> {
        paths.iter().find_map(|path| self.file(path))
    }

    /// The files below a folder, in order.
    pub fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let files = self.files.iter();
        files.filter_map(move |(path, text)| Some((path.strip_prefix(folder)?, text.as_str())))
    }
}
