//! Options as data: what the host checks and shows, and how a plugin reads the values.

/// The type of an option, as the host's help names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionKind {
    /// Text.
    Str,
    /// A family of options that share the start of their name, for example `endpoint.`.
    Prefix,
    /// A whole number.
    Int,
    /// `on` or `off`.
    Bool,
    /// A number.
    Double,
    /// Bytes, with the suffixes `k`, `m` and `g`.
    Size,
    /// A duration, with the suffixes `s`, `m`, `h` and `d`; seconds without one.
    Time,
    /// Words separated by commas.
    CommaList,
}

/// One option of a plugin.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    /// The name in `snake_case`.
    pub name: &'static str,
    /// The type that the host's help shows.
    pub kind: OptionKind,
    /// The value when the option is not given.
    pub default: Option<&'static str>,
    /// Whether the option may be given several times.
    pub repeats: bool,
    /// One line of help.
    pub help: &'static str,
}

impl OptionSpec {
    /// An option that may be given once.
    #[must_use]
    pub const fn new(
        name: &'static str,
        kind: OptionKind,
        default: Option<&'static str>,
        help: &'static str,
    ) -> Self {
        Self { name, kind, default, repeats: false, help }
    }

    /// The same option, allowed several times.
    #[must_use]
    pub const fn repeated(mut self) -> Self {
        self.repeats = true;
        self
    }
}

/// The values given to one instance. Names are matched without regard to case, as the host does.
pub trait Options {
    /// Every option given, in order, as (name in lower case, value).
    fn given(&self) -> &[(String, String)];

    /// What the host itself keeps for itself and answers on request: `listen`, `host`, `port`,
    /// `tag`, `workers`.
    fn host_value(&self, name: &str) -> Option<String>;

    /// The last value given for an option.
    fn get(&self, name: &str) -> Option<&str> {
        self.given().iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values given for an option.
    fn all(&self, name: &str) -> Vec<&str> {
        self.given()
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }
}

/// Options as a test gives them.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Given(Vec<(String, String)>);

#[cfg(test)]
impl Given {
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Self(pairs.iter().map(owned).collect())
    }
}

#[cfg(test)]
impl Options for Given {
    fn given(&self) -> &[(String, String)] {
        &self.0
    }

    fn host_value(&self, _name: &str) -> Option<String> {
        None
    }
}
