//! Option specification: options as data, which the host checks and shows, and from which a plugin
//! reads its values.

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
    /// Texts separated by commas.
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
    /// Whether its value is a secret, which no message shows.
    pub is_secret: bool,
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
        Self { name, kind, default, repeats: false, is_secret: false, help }
    }

    /// The same option, allowed several times.
    #[must_use]
    pub const fn repeated(mut self) -> Self {
        self.repeats = true;
        self
    }

    /// The same option, of whose value nothing is ever shown.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.is_secret = true;
        self
    }

    /// The same option under another name that it has.
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }
}

/// One table of several; `N` is how many options they have together.
#[must_use]
pub const fn joined<const N: usize>(mut tables: &[&[OptionSpec]]) -> [OptionSpec; N] {
    let mut all = [OptionSpec::new("", OptionKind::Str, None, ""); N];
    let mut free: &mut [OptionSpec] = &mut all;
    while let [table, more @ ..] = tables {
        let mut table: &[OptionSpec] = table;
        while let [option, rest @ ..] = table {
            free = put(free, *option);
            table = rest;
        }
        tables = more;
    }
    all
}

/// Puts an option into the first free entry of a table, and says which are free then.
#[must_use]
pub const fn put(free: &mut [OptionSpec], option: OptionSpec) -> &mut [OptionSpec] {
    match free {
        [slot, left @ ..] => {
            *slot = option;
            left
        }
        [] => &mut [],
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

/// Options that are kept, so that they can be read again.
#[derive(Debug, Clone, Default)]
pub struct GivenOptions(Vec<(String, String)>);

impl GivenOptions {
    /// What was given, without what the host keeps for itself.
    #[must_use]
    pub fn kept(options: &dyn Options) -> Self {
        Self(options.given().to_vec())
    }

    /// Pairs of an option's name and its value, in the order in which they were given.
    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Self(pairs.iter().map(owned).collect())
    }
}

impl Options for GivenOptions {
    fn given(&self) -> &[(String, String)] {
        &self.0
    }

    fn host_value(&self, _name: &str) -> Option<String> {
        None
    }
}
