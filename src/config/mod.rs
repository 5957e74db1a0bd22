//! Options -> typed, range-checked values.
//!
//! [`Parser`] reads the options of one instance and collects every problem, so that a user sees
//! all mistakes at once: option, value given, values allowed.

mod configuration;
mod file;
mod values;

pub use configuration::{ConfigurationFormat, configuration_file, format_of};
pub use file::{CONFIG_FILE, FileOptions, Node, Notes};
pub use values::{parse_bool, parse_duration, parse_list, parse_size};

use std::collections::BTreeMap;
use std::time::Duration;

use crate::plugin::{OpenError, Options};

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
        let place = self.file.map(FileOptions::place).unwrap_or_default();
        self.problems.extend(notes.finish().into_iter().map(|problem| place.clone() + &problem));
    }

    /// A parser over the same options whose problems are nobody's business: what it reads was read
    /// before.
    #[must_use]
    pub fn silent(&self) -> Self {
        Self { options: self.options, file: None, problems: Vec::new() }
    }

    /// Notes a problem: `option`, the value given, and what is allowed.
    pub fn refuse(&mut self, option: &str, value: &str, allowed: &str) {
        let file = self.file.filter(|file| file.is_from_file(option));
        let place = file.map(FileOptions::place).unwrap_or_default();
        self.problems
            .push(format!("{place}option '{option}': '{value}' is not allowed; {allowed}"));
    }

    /// Notes a problem in free words.
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
        names.sort();
        names.dedup();
        names
    }

    /// A value that the host keeps for itself (`listen`, `tag`, ...).
    #[must_use]
    pub fn host_value(&self, name: &str) -> Option<String> {
        self.options.host_value(name)
    }

    /// Reads an option with `parse`; `default` when it is not given or wrong.
    pub fn parsed<T>(
        &mut self,
        option: &str,
        default: T,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        let Some(value) = self.text(option) else { return default };
        if let Some(parsed) = parse(value.trim()) {
            return parsed;
        }
        self.refuse(option, value, allowed);
        default
    }

    /// A switch: `on`, `off`, `true`, `false`, `yes`, `no`.
    pub fn bool(&mut self, option: &str, default: bool) -> bool {
        self.parsed(option, default, "allowed: on, off", parse_bool)
    }

    /// A duration such as `500ms`, `10s`, `5m`; a bare number is seconds.
    pub fn duration(&mut self, option: &str, default: Duration) -> Duration {
        self.parsed(option, default, "allowed: a duration such as 500ms, 10s, 5m", parse_duration)
    }

    /// A size in bytes such as `512k`, `4m`, `1g`.
    pub fn size(&mut self, option: &str, default: u64) -> u64 {
        self.parsed(option, default, "allowed: a size such as 512k, 4m, 1g", parse_size)
    }

    /// A port from 0 to 65535.
    pub fn port(&mut self, option: &str, default: u16) -> u16 {
        self.parsed(option, default, "allowed: a port from 0 to 65535", |text| text.parse().ok())
    }

    /// A number from 0 to 100.
    pub fn percentage(&mut self, option: &str) -> Option<f64> {
        self.parsed(option, None, "allowed: a number from 0 to 100", |text| {
            text.trim_end_matches('%')
                .parse()
                .ok()
                .filter(|value| (0.0..=100.0).contains(value))
                .map(Some)
        })
    }

    /// One of a set of words.
    pub fn choice<T: Copy>(&mut self, option: &str, default: T, choices: &[(&str, T)]) -> T {
        let allowed = choices.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        self.parsed(option, default, &format!("allowed: {allowed}"), |text| {
            choices
                .iter()
                .find(|(word, _)| word.eq_ignore_ascii_case(text))
                .map(|(_, value)| *value)
        })
    }

    /// Words separated by commas.
    #[must_use]
    pub fn list(&self, option: &str) -> Vec<String> {
        self.texts(option).into_iter().flat_map(parse_list).collect()
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
