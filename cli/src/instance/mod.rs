//! Instances: a section as the plugin gets it from the host, and what the host refuses of it before.

mod core_keys;

use std::fmt;

use fluent_bit_ai::model::Release;
use fluent_bit_ai::plugin::{OptionKind, OptionSpec, Options};

use self::core_keys::Kept;
use crate::configuration::{Property, Section, Variables};
use crate::finding::Finding;
use crate::own::{OwnPlugin, PluginKind};

/// Properties that the host accepts for every plugin and does not ask the plugin about.
const OF_PROCESSORS: [&str; 2] = ["active", "condition"];

/// The options of an instance, as the host has them for the plugin.
#[derive(Default)]
pub(crate) struct InstanceOptions {
    given: Vec<(String, String)>,
    kept: Vec<(&'static str, String)>,
    /// Whether the user has the host bound what it holds in memory.
    pub(crate) is_bounded: bool,
}

/// Names only: values may be secrets.
impl fmt::Debug for InstanceOptions {
    fn fmt(&self, form: &mut fmt::Formatter<'_>) -> fmt::Result {
        form.debug_list().entries(self.given.iter().map(|(name, _)| name)).finish()
    }
}

impl Options for InstanceOptions {
    fn given(&self) -> &[(String, String)] {
        &self.given
    }

    fn host_value(&self, name: &str) -> Option<String> {
        self.kept.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone())
    }
}

/// An instance that is to start.
pub(crate) struct Instance<'a> {
    pub(crate) plugin: &'a OwnPlugin,
    pub(crate) section: &'a Section,
    /// Its own name, for example `ai_otlp.0`.
    pub(crate) name: String,
    /// The release of the host.
    pub(crate) release: Release,
}

impl Instance<'_> {
    /// What the plugin gets, and what the host would refuse.
    pub(crate) fn options(&self, variables: &Variables) -> (InstanceOptions, Vec<Finding>) {
        let mut findings = Vec::new();
        let mut options = InstanceOptions::default();
        let own = core_keys::defaults(self.plugin.kind).iter();
        options.kept = own.map(|(name, value)| (*name, (*value).to_owned())).collect();
        let mut given: Vec<(&Property, String)> = Vec::new();
        for property in &self.section.properties {
            let name = property.key.to_ascii_lowercase();
            if name == "name" {
                continue;
            }
            let value = variables.expand(&property.value);
            for variable in variables.take_missing() {
                let text = format!("variable ${{{variable}}} is used but not set");
                findings.push(Finding::warning(&property.place, text));
            }
            let known = core_keys::find(self.plugin.kind, &name, self.release);
            match known.filter(|known| known.may_be_empty || !value.is_empty()) {
                Some(known) => {
                    if !self.keep(&mut options, known, &value) {
                        findings.push(self.not_configured(property, &name));
                    }
                }
                None => given.push((property, value)),
            }
        }
        if self.plugin.kind != PluginKind::Filter
            && !self.plugin.takes_tls
            && options.host_value("tls").as_deref() == Some("on")
            && let Some(property) = self.section.last("tls")
        {
            let text = format!("{} does not support TLS", self.name);
            findings.push(Finding::error(&property.place, text));
        }
        findings.extend(self.check(&given));
        options.given = given
            .into_iter()
            .map(|(property, value)| (property.key.to_ascii_lowercase(), value))
            .collect();
        (options, findings)
    }

    /// Keeps what is the host's; whether it takes the value.
    fn keep(&self, options: &mut InstanceOptions, known: core_keys::CoreKey, value: &str) -> bool {
        let kept = match known.kept {
            Kept::Text => value.to_owned(),
            Kept::Switch => core_keys::switch(value).to_owned(),
            Kept::Number => core_keys::number(value).to_string(),
            Kept::Unseen(allowed) => {
                options.is_bounded |= match known.name {
                    "mem_buf_limit" => core_keys::number(value) != 0,
                    "storage.type" => !value.eq_ignore_ascii_case("memory"),
                    _ => false,
                };
                return allowed.takes(value);
            }
        };
        options.kept.retain(|(name, _)| *name != known.name);
        // What plugins are told of an input and of an output differs.
        let is_input = self.plugin.kind == PluginKind::Input;
        let is_nothing = match known.name {
            "port" => kept == "0",
            "tls.debug" => is_input && core_keys::number(&kept) <= 0,
            "tls.verify_hostname" => is_input && kept == "off",
            _ => known.may_be_empty && value.is_empty(),
        };
        if !is_nothing {
            options.kept.push((known.name, kept));
        }
        true
    }

    fn not_configured(&self, property: &Property, name: &str) -> Finding {
        let (kind, plugin) = (self.plugin.kind.name(), self.plugin.spec.name);
        Finding::error(
            &property.place,
            format!(
                "could not configure property '{name}' on {kind} plugin with section name '{plugin}'"
            ),
        )
    }

    /// What the host finds in names and numbers of what the plugin gets.
    fn check(&self, given: &[(&Property, String)]) -> Vec<Finding> {
        let (plugin, options) = (self.plugin.spec.name, self.plugin.spec.options);
        let mut findings = Vec::new();
        for (index, (property, _)) in given.iter().enumerate() {
            let key = property.key.as_str();
            if OF_PROCESSORS.iter().any(|own| own.eq_ignore_ascii_case(key))
                || is_hosts_list(self.plugin.kind, key)
            {
                continue;
            }
            let Some(option) = options.iter().find(|option| takes(option, key)) else {
                let text = format!(
                    "{plugin}: unknown configuration property '{key}'. The following properties are \
                     allowed: {}",
                    allowed(options)
                );
                findings.push(Finding::error(&property.place, text + &nearest(key, options)));
                continue;
            };
            let same = |(other, _): &&(&Property, String)| other.key.eq_ignore_ascii_case(key);
            let count = given.iter().filter(same).count();
            let is_last = given.iter().rposition(|(other, _)| other.key.eq_ignore_ascii_case(key));
            if count > 1 && !option.repeats && is_last == Some(index) {
                let text = format!("{plugin}: configuration property '{key}' is set {count} times");
                findings.push(Finding::error(&property.place, text));
            }
        }
        findings
    }
}

/// Whether the host has a list of its own for a property, which it does not look up in the plugin's.
fn is_hosts_list(kind: PluginKind, key: &str) -> bool {
    let starts_with =
        |start: &str| key.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
    kind != PluginKind::Filter && (starts_with("net.") || starts_with("oauth2"))
}

fn takes(option: &OptionSpec, key: &str) -> bool {
    let name = option.name;
    if option.kind != OptionKind::Prefix {
        return key.eq_ignore_ascii_case(name);
    }
    let start = key.get(..name.len());
    key.len() > name.len() && start.is_some_and(|start| start.eq_ignore_ascii_case(name))
}

/// The names as the host lists them.
fn allowed(options: &[OptionSpec]) -> String {
    let names: Vec<&str> = options.iter().map(|option| option.name).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!("{one}."),
        [all @ .., last] => format!("{}, and {last}.", all.join(", ")),
    }
}

/// What was probably meant, after all that is allowed.
fn nearest(key: &str, options: &[OptionSpec]) -> String {
    let key = key.to_ascii_lowercase();
    let ranked = options.iter().map(|option| (distance(&key, option.name), option.name));
    match ranked.min().filter(|(distance, name)| *distance <= name.len().div_ceil(3)) {
        Some((_, name)) => format!(" Perhaps '{name}' is meant."),
        None => String::new(),
    }
}

/// How many letters are to be changed, added or taken away.
pub(crate) fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (done, letter) in from.chars().enumerate() {
        let mut diagonal = done;
        let mut left = done.saturating_add(1);
        let mut next = vec![left];
        for (other, above) in to.iter().zip(row.iter().skip(1)) {
            let changed = diagonal.saturating_add(usize::from(*other != letter));
            diagonal = *above;
            left = changed.min(above.saturating_add(1)).min(left.saturating_add(1));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Place, Severity};
    use crate::own;
    use std::path::Path;

    fn options(plugin: &str, pairs: &[(&str, &str)]) -> (InstanceOptions, Vec<String>) {
        let place = Place::file(Path::new("x.conf"));
        let property = |(key, value): &(&str, &str)| Property {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
            place: place.clone(),
        };
        let properties = pairs.iter().map(property).collect();
        let section = Section { properties, processors: Vec::new(), place: place.clone() };
        let plugin = own::PLUGINS.iter().find(|own| own.spec.name == plugin).unwrap();
        let release = Release::new(5, 1, 1);
        let instance = Instance { plugin, section: &section, name: "x.0".to_owned(), release };
        let (options, findings) = instance.options(&Variables::new(&[]));
        assert!(findings.iter().all(|finding| finding.severity == Severity::Error));
        (options, findings.into_iter().map(|finding| finding.text).collect())
    }

    #[test]
    fn the_host_keeps_what_is_its_own() {
        let (options, findings) = options(
            "multi_otlp",
            &[
                ("Match", "a*"),
                ("TLS", "yes"),
                ("port", "4318"),
                ("URL", "http://x"),
                ("net.keepalive", "off"),
            ],
        );
        assert_eq!(findings, [""; 0]);
        assert_eq!(options.host_value("match").as_deref(), Some("a*"));
        assert_eq!(options.host_value("tls").as_deref(), Some("on"));
        assert_eq!(options.host_value("port").as_deref(), Some("4318"));
        assert_eq!(
            (options.get("url"), options.get("net.keepalive")),
            (Some("http://x"), Some("off"))
        );
    }

    #[test]
    fn the_host_refuses_names_and_repetitions() {
        let (_, findings) = options(
            "ai_sampling",
            &[("mode", "head"), ("MODE", "tail"), ("decision_weight", "3s"), ("log_level", "loud")],
        );
        assert_eq!(findings.len(), 3, "{findings:?}");
        assert!(findings[0].contains("could not configure property 'log_level' on filter plugin"));
        assert_eq!(findings[1], "ai_sampling: configuration property 'MODE' is set 2 times");
        assert!(
            findings[2]
                .starts_with("ai_sampling: unknown configuration property 'decision_weight'. The")
        );
        assert!(findings[2].ends_with("Perhaps 'decision_wait' is meant."), "{}", findings[2]);
        let (_, findings) = options("ai_emitter", &[("tls", "on")]);
        assert_eq!(findings, ["x.0 does not support TLS"]);
    }

    #[test]
    fn distances_count_letters() {
        for (from, to, expected) in
            [("", "ab", 2), ("wait", "weight", 3), ("ai_otpl", "ai_otlp", 2), ("x", "x", 0)]
        {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }
}
