//! Option parser: options -> typed, range-checked values.
//!
//! [`Parser`] reads the options of one instance and collects every problem, so that a user sees
//! all mistakes at once: option, value given, values allowed.

mod configuration;
mod declare;
mod file;
pub mod read;
mod values;

pub use configuration::{ConfigurationFormat, configuration_file, format_of};
pub(crate) use declare::options;
pub use file::{CONFIG_FILE, FileOptions, Node, Notes};
pub use values::{parse_bool, parse_duration, parse_list, parse_size};

use std::collections::BTreeMap;

use crate::plugin::{OpenError, OptionSpec, Options};

/// Reads typed options and collects problems.
pub struct Parser<'a> {
    options: &'a dyn Options,
    file: Option<&'a FileOptions<'a>>,
    problems: Vec<String>,
}

impl<'a> Parser<'a> {
    /// A parser over the options of one instance.
    #[must_use]
    pub fn new(options: &'a dyn Options) -> Self {
        Self { options, file: None, problems: Vec::new() }
    }

    /// A parser over the options of one instance and of its `config_file`, with the mistakes found
    /// in the file so far.
    #[must_use]
    pub fn over(options: &'a FileOptions<'a>) -> Self {
        Self { options, file: Some(options), problems: options.problems().to_vec() }
    }

    /// Notes the mistakes found in a section of the `config_file`.
    pub fn file_problems(&mut self, notes: Notes) {
        let file = self.file;
        let located = |problem: String| match file {
            Some(file) => file.located(&problem),
            None => problem,
        };
        self.problems.extend(notes.finish().into_iter().map(located));
    }

    /// A parser over the same options whose problems are not reported: what it reads was read
    /// before.
    #[must_use]
    pub fn silent(&self) -> Self {
        Self { options: self.options, file: None, problems: Vec::new() }
    }

    /// Notes a problem: `option`, the value given, and what is allowed.
    pub fn refuse(&mut self, option: &str, value: &str, allowed: &str) {
        let location = self.location_of(option);
        self.problems
            .push(format!("{location}option '{option}': '{value}' is not allowed; {allowed}"));
    }

    /// What to write before a mistake in the value of an option: the file that it comes from, if any.
    fn location_of(&self, option: &str) -> String {
        let file = self.file.filter(|file| file.is_from_file(option));
        file.map(FileOptions::location).unwrap_or_default()
    }

    /// Reads a declared option with `parse`: the value given, or the default. A value that is wrong is
    /// noted, and the default taken. `None` without either.
    pub fn value<T>(
        &mut self,
        option: &OptionSpec,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let default = || parse(option.default?);
        let Some(given) = self.text(option.name) else { return default() };
        if let Some(value) = parse(given.trim()) {
            return Some(value);
        }
        if option.is_secret {
            let location = self.location_of(option.name);
            self.problem(format!(
                "{location}option '{}': its value is not allowed; {allowed}",
                option.name
            ));
        } else {
            self.refuse(option.name, given, allowed);
        }
        default()
    }

    /// The error of a declaration whose default cannot be read, beside what was wrong before.
    pub fn without_default(&mut self, option: &OptionSpec) -> OpenError {
        self.problem(format!("option '{}' has a default that cannot be read", option.name));
        OpenError(std::mem::take(&mut self.problems))
    }

    /// Notes a problem with a message of its own.
    pub fn problem(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
    }

    /// The text of an option.
    #[must_use]
    pub fn text(&self, option: &str) -> Option<&'a str> {
        let options = self.options;
        options.get(option)
    }

    /// Every option given, in order, as (name in lower case, value).
    #[must_use]
    pub fn given(&self) -> &'a [(String, String)] {
        let options = self.options;
        options.given()
    }

    /// All texts of an option that may be repeated.
    #[must_use]
    pub fn texts(&self, option: &str) -> Vec<&'a str> {
        let options = self.options;
        options.all(option)
    }

    /// The names of given options that start with `prefix`, each once.
    #[must_use]
    pub fn starting_with(&self, prefix: &str) -> Vec<String> {
        let given = self.options.given().iter().map(|(name, _)| name);
        let mut names: Vec<String> =
            given.filter(|name| name.starts_with(prefix)).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// A value that the host keeps for itself (`listen`, `tag`, ...).
    #[must_use]
    pub fn host_value(&self, name: &str) -> Option<String> {
        self.options.host_value(name)
    }

    /// A family `PREFIX.NAME.KEY` as NAME -> [(KEY, value)], names in lower case.
    #[must_use]
    pub fn family(&self, prefix: &str) -> BTreeMap<String, Vec<(String, String)>> {
        let mut family: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for (key, value) in self.options.given() {
            let Some(rest) = key.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.'))
            else {
                continue;
            };
            let (name, key) = rest.split_once('.').unwrap_or((rest, ""));
            family.entry(name.to_owned()).or_default().push((key.to_owned(), value.clone()));
        }
        family
    }

    /// `value` if nothing was wrong.
    ///
    /// # Errors
    /// Every problem noted.
    pub fn finish<T>(self, value: T) -> Result<T, OpenError> {
        if self.problems.is_empty() { Ok(value) } else { Err(OpenError(self.problems)) }
    }
}
