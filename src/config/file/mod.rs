//! Config file loader: `config_file`, a YAML or TOML file that holds options, and sections that do not fit
//! flat options.
//!
//! The options of the file and those of the pipeline become one list, which is parsed once: both
//! forms fill the same typed configuration. An option that is in both places is a mistake, because
//! any rule of which one wins would surprise some users.

mod lines;
mod node;
mod toml_text;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use self::lines::Lines;
pub use node::{Node, Notes};

use super::configuration::configuration_file;
use crate::files;
use crate::plugin::{OptionKind, OptionSpec, Options};

/// The name of the option that names the file.
pub const CONFIG_FILE: &str = "config_file";
/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// How deep the maps of a family of options may be nested.
const MAX_DEPTH: usize = 8;

/// The options of one instance: those given in the pipeline, and those in its `config_file`.
///
/// In the file an option has the name that it has in the pipeline. A list stands for an option that
/// may be repeated or that takes texts separated by commas. A family such as `endpoint.` is a map
/// `endpoint`, whose maps inside may be nested; their keys are joined with dots. As in the
/// pipeline, `${NAME}` in a value is what the environment says; here it has to say something.
///
/// No mistake shows the value of an option that is misspelt or has the wrong form: it may be a
/// secret.
pub struct FileOptions<'o> {
    host: &'o dyn Options,
    given: Vec<(String, String)>,
    in_file: BTreeSet<String>,
    path: String,
    text: String,
    root: Map<String, Value>,
    problems: Vec<String>,
}

impl<'o> FileOptions<'o> {
    /// The option that names the file.
    #[must_use]
    pub const fn option(help: &'static str) -> OptionSpec {
        OptionSpec::new(CONFIG_FILE, OptionKind::Str, None, help)
    }

    /// Reads the file that the option `config_file` names, if it is given. `specs` are the options
    /// of the plugin; `sections` are the keys that the file may have beside them, which the plugin
    /// reads by [`FileOptions::section`]. Mistakes are kept for the parser.
    #[must_use]
    pub fn read(options: &'o dyn Options, specs: &[OptionSpec], sections: &[&str]) -> Self {
        Self::read_unless(options, specs, sections, |_| None)
    }

    /// The same, but for a file about which `refuse` says what it is and why it cannot be read.
    #[must_use]
    pub fn read_unless(
        options: &'o dyn Options,
        specs: &[OptionSpec],
        sections: &[&str],
        refuse: fn(&Map<String, Value>) -> Option<String>,
    ) -> Self {
        let mut read = Self {
            host: options,
            given: options.given().to_vec(),
            in_file: BTreeSet::new(),
            path: options.get(CONFIG_FILE).unwrap_or_default().to_owned(),
            text: String::new(),
            root: Map::new(),
            problems: Vec::new(),
        };
        if options.get(CONFIG_FILE).is_none() {
            return read;
        }
        let configuration = configuration_file();
        match find(Path::new(&read.path), configuration.as_deref().and_then(Path::parent)) {
            Ok((path, text)) => {
                read.path = path.display().to_string();
                read.text = text;
                read.fill(specs, sections, refuse);
            }
            Err(problem) => read.problems.push(format!("option '{CONFIG_FILE}': {problem}")),
        }
        read
    }

    /// A section of the file.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Value> {
        self.root.get(name)
    }

    /// The root of the file: a map without keys where there is no file.
    #[must_use]
    pub const fn root(&self) -> Node<'_> {
        Node { map: &self.root, at: "" }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        Path::new(&self.path)
    }

    /// What the file says; nothing where there is none.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What to write before a mistake in the file.
    #[must_use]
    pub fn location(&self) -> String {
        format!("{CONFIG_FILE} '{}': ", self.path)
    }

    /// A mistake in the file with the line of the value that it begins with, where there is one.
    #[must_use]
    pub fn located(&self, problem: &str) -> String {
        let end = problem.find([':', ' ']).unwrap_or(problem.len());
        let lines =
            if self.is_toml() { toml_text::lines(&self.text) } else { Lines::of_yaml(&self.text) };
        let line = lines.and_then(|lines| lines.line_of(problem.get(..end).unwrap_or_default()));
        let line = line.map_or_else(String::new, |line| format!("line {line}: "));
        format!("{}{line}{problem}", self.location())
    }

    /// Whether the value of an option comes from the file.
    #[must_use]
    pub fn is_from_file(&self, option: &str) -> bool {
        self.in_file.contains(option)
    }

    /// The mistakes made in naming and writing options; not those in their values.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Whether the file is in TOML, as its name says.
    fn is_toml(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|it| it.eq_ignore_ascii_case("toml"))
    }

    fn fill(
        &mut self,
        specs: &[OptionSpec],
        sections: &[&str],
        refuse: fn(&Map<String, Value>) -> Option<String>,
    ) {
        let mut notes = Notes::default();
        let read = if self.is_toml() {
            toml_text::read(&self.text)
        } else {
            serde_saphyr::from_str::<Value>(&self.text).map_err(|error| {
                // What follows the first line shows the file, which may hold secrets.
                let error = error.to_string();
                format!("it is not YAML: {}", error.lines().next().unwrap_or_default())
            })
        };
        match read {
            Ok(Value::Object(root)) => {
                if let Some(problem) = refuse(&root) {
                    self.problems.push(self.located(&problem));
                    return;
                }
                let mut flat = Flat { notes: &mut notes, options: Vec::new() };
                flat.root(&root, specs, sections);
                let options = flat.options;
                self.take(options, &mut notes);
                self.root = root;
            }
            Ok(_) => notes.problem("it must be a map of options"),
            Err(problem) => notes.problem(problem),
        }
        let location = self.location();
        self.problems.extend(notes.finish().into_iter().map(|problem| location.clone() + &problem));
    }

    fn take(&mut self, options: Vec<(String, String)>, notes: &mut Notes) {
        for (name, value) in options {
            if self.host.get(&name).is_none() {
                self.in_file.insert(name.clone());
                self.given.push((name, value));
            } else if self.in_file.insert(name.clone()) {
                notes.problem(format!(
                    "{name}: it is given in the pipeline too; allowed: in one place"
                ));
            }
        }
    }
}

impl Options for FileOptions<'_> {
    fn given(&self) -> &[(String, String)] {
        &self.given
    }

    fn host_value(&self, name: &str) -> Option<String> {
        self.host.host_value(name)
    }
}

/// Where a file is, and what it says. As the host does with its own files, a relative path is looked
/// for where the host runs, and then in `folder`, that of the host's configuration.
fn find(path: &Path, folder: Option<&Path>) -> Result<(PathBuf, String), String> {
    let beside = folder.map(|folder| folder.join(path));
    match (text_of(path), beside) {
        (Ok(text), _) => Ok((path.to_owned(), text)),
        (Err(_), Some(beside)) if path.is_relative() && !path.exists() => match text_of(&beside) {
            Ok(text) => Ok((beside, text)),
            Err(problem) => Err(format!(
                "'{}' is not where the host runs, and '{}', beside the configuration, {problem}",
                path.display(),
                beside.display()
            )),
        },
        (Err(problem), _) => Err(format!("'{}' {problem}", path.display())),
    }
}

fn text_of(path: &Path) -> Result<String, String> {
    files::read_text(path, MAX_FILE).map_err(|problem| problem.to_string())
}

/// Makes options as the host writes them out of the values in a file.
struct Flat<'n> {
    notes: &'n mut Notes,
    options: Vec<(String, String)>,
}

impl Flat<'_> {
    fn root(&mut self, root: &Map<String, Value>, specs: &[OptionSpec], sections: &[&str]) {
        let specs: Vec<&OptionSpec> =
            specs.iter().filter(|spec| spec.name != CONFIG_FILE).collect();
        let mut seen = BTreeSet::new();
        for (key, value) in root {
            if sections.contains(&key.as_str()) {
                continue;
            }
            let node = Node { map: root, at: "" };
            let name = key.to_ascii_lowercase();
            if !seen.insert(name.clone()) {
                self.notes.problem(format!("{key}: the same option is there twice"));
                continue;
            }
            let Some(spec) = specs.iter().find(|spec| is_named(spec, &name)) else {
                let names = specs.iter().map(|spec| spec.name.trim_end_matches('.'));
                let names: Vec<&str> = names.chain(sections.iter().copied()).collect();
                self.notes.unknown(node, key, &names);
                continue;
            };
            if spec.kind == OptionKind::Prefix {
                self.family(&name, value, 0);
            } else {
                self.option(node, (key, &name), spec);
            }
        }
    }

    fn option(&mut self, node: Node<'_>, (key, name): (&str, &str), spec: &OptionSpec) {
        let takes_list = spec.repeats || spec.kind == OptionKind::CommaList;
        match node.map.get(key) {
            Some(Value::Array(values)) if takes_list => {
                values.iter().for_each(|value| self.one(name, value, true));
            }
            value => self.one(name, value.unwrap_or(&Value::Null), takes_list),
        }
    }

    /// Takes a single value.
    fn one(&mut self, name: &str, value: &Value, takes_list: bool) {
        match scalar(value) {
            Some(text) => match expand(&text, |name| std::env::var(name).ok()) {
                Ok(text) => self.options.push((name.to_owned(), text)),
                Err(problem) => self.notes.problem(format!("{name}: {problem}")),
            },
            None => {
                let (what, or_list) =
                    (form(value), if takes_list { " or a list of values" } else { "" });
                self.notes
                    .problem(format!("{name}: {what} is not allowed; allowed: a value{or_list}"));
            }
        }
    }

    fn family(&mut self, name: &str, value: &Value, depth: usize) {
        match value {
            _ if depth > MAX_DEPTH => {
                self.notes.problem(format!("{name} is nested deeper than {MAX_DEPTH} levels"));
            }
            Value::Object(map) => {
                for (key, value) in map {
                    let name = format!("{name}.{}", key.to_ascii_lowercase());
                    self.family(&name, value, depth.saturating_add(1));
                }
            }
            Value::Array(values) => {
                values.iter().for_each(|value| self.one(name, value, true));
            }
            value => self.one(name, value, true),
        }
    }
}

/// Whether a key of the file is an option or one of a family of options.
fn is_named(spec: &OptionSpec, key: &str) -> bool {
    if spec.kind == OptionKind::Prefix {
        return key.starts_with(spec.name) || key == spec.name.trim_end_matches('.');
    }
    spec.name == key
}

/// A value as the host would give it.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(if *flag { "on" } else { "off" }.to_owned()),
        _ => None,
    }
}

/// What a value that is none of those is.
const fn form(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
        _ => "nothing",
    }
}

/// The text with what the environment says for each `${NAME}`.
fn expand(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else { break };
        let Some(value) = variable(name) else {
            return Err(format!("the environment has no variable '{name}'"));
        };
        out.push_str(before);
        out.push_str(&value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests;
