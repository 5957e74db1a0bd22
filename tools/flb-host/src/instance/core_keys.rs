//! The properties that the host takes for itself and that never reach a plugin.

use std::collections::BTreeMap;

use fluent_bit_ai::host::abi::row::HostAbi;

use crate::plugin::PluginKind;
use crate::report;
use crate::settings::Section;

/// What the host keeps of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CoreKeys {
    /// The tag of an input.
    pub(crate) tag: Option<String>,
    /// The `match` of a filter or output.
    pub(crate) pattern: Option<String>,
    /// The name that the user gave.
    pub(crate) alias: Option<String>,
    /// The level of the instance's log.
    pub(crate) log_level: Option<i32>,
    /// The address to listen at.
    pub(crate) listen: Option<String>,
    /// The address to connect to.
    pub(crate) host: Option<String>,
    /// The port of either.
    pub(crate) port: i32,
    /// The most bytes that an input may hold; 0 is no limit.
    pub(crate) mem_buf_limit: usize,
    /// The worker threads of an output, when given.
    pub(crate) workers: Option<i32>,
    /// How often a chunk is tried again; -1 is without end.
    pub(crate) retry_limit: i32,
    /// Whether `retry_limit` was given.
    pub(crate) retry_limit_is_set: bool,
    /// `tls` and `tls.*`.
    pub(crate) tls: BTreeMap<String, String>,
    /// `net.*`, which the host has a list of its own for.
    pub(crate) net: Vec<(String, String)>,
}

impl Default for CoreKeys {
    fn default() -> Self {
        Self {
            tag: None,
            pattern: None,
            alias: None,
            log_level: None,
            listen: None,
            host: None,
            port: 0,
            mem_buf_limit: 0,
            workers: None,
            retry_limit: 1,
            retry_limit_is_set: false,
            tls: BTreeMap::new(),
            net: Vec::new(),
        }
    }
}

type Given = Vec<(String, String)>;

/// Parts what the host keeps from what the plugin gets.
///
/// # Errors
/// One line that names the property and what is allowed.
pub(crate) fn split(
    kind: PluginKind,
    row: &HostAbi,
    instance: &str,
    section: &Section,
) -> Result<(CoreKeys, Given), String> {
    let mut core = CoreKeys::default();
    let mut given = Vec::new();
    for (key, value) in section.pairs() {
        let lower = key.to_ascii_lowercase();
        if is_later(kind, row, &lower) {
            given.push((key.to_owned(), value.to_owned()));
            continue;
        }
        let taken = core
            .take(kind, &lower, value)
            .map_err(|problem| format!("{instance}: {key}: {problem}"))?;
        if !taken {
            given.push((key.to_owned(), value.to_owned()));
        }
    }
    if kind == PluginKind::Output && core.pattern.is_none() {
        report::line(
            report::WARN,
            &format!("[flb-host] {instance} has no 'match': it gets nothing"),
        );
    }
    Ok((core, given))
}

/// Whether a key belongs to the host only in later releases than the row's, so that the plugin
/// gets it.
fn is_later(kind: PluginKind, row: &HostAbi, key: &str) -> bool {
    const VERSIONS: [&str; 3] = ["tls.min_version", "tls.max_version", "tls.ciphers"];
    match kind {
        PluginKind::Input if key == "tls.verify_client_cert" => {
            row.input_tls_verify_client().is_none()
        }
        PluginKind::Input => VERSIONS.contains(&key) && row.input_tls_versions().is_none(),
        PluginKind::Output if VERSIONS.contains(&key) => row.output_tls().versions.is_none(),
        PluginKind::Output => key.starts_with("tls.proxy.") && row.output_tls().proxy.is_none(),
        PluginKind::Filter => false,
    }
}

impl CoreKeys {
    /// Whether the user wants TLS.
    pub(super) fn wants_tls(&self) -> bool {
        self.tls.get("tls").is_some_and(|value| is_on(value))
    }

    fn take(&mut self, kind: PluginKind, key: &str, value: &str) -> Result<bool, String> {
        let text = || Some(value.to_owned());
        match (kind, key) {
            (_, "name" | "log_suppress_interval") => {}
            (_, "alias") => self.alias = text(),
            (_, "log_level") => {
                let level = report::level_of(value);
                self.log_level = Some(level.ok_or_else(|| format!("unknown level '{value}'"))?);
            }
            (PluginKind::Input, _) => return self.take_input(key, value),
            (_, "match") => self.pattern = text(),
            (_, "match_regex") => return Err("this host knows only 'match'".to_owned()),
            (PluginKind::Filter, _) => return Ok(false),
            (PluginKind::Output, _) => return self.take_output(key, value),
        }
        Ok(true)
    }

    fn take_input(&mut self, key: &str, value: &str) -> Result<bool, String> {
        match key {
            "tag" => self.tag = Some(value.to_owned()),
            "mem_buf_limit" => self.mem_buf_limit = size(value)?,
            "threaded" => return Err("this host has no threaded inputs".to_owned()),
            "routable" => return Err("this host routes every input".to_owned()),
            "listen" => self.listen = Some(value.to_owned()),
            _ if key.starts_with("thread.") => {}
            _ => return self.take_net(key, value),
        }
        Ok(true)
    }

    fn take_output(&mut self, key: &str, value: &str) -> Result<bool, String> {
        match key {
            "workers" => self.workers = Some(number(value)?),
            "retry_limit" => {
                self.retry_limit_is_set = true;
                self.retry_limit = retry_limit(value)?;
            }
            _ => return self.take_net(key, value),
        }
        Ok(true)
    }

    fn take_net(&mut self, key: &str, value: &str) -> Result<bool, String> {
        match key {
            "host" => self.host = Some(value.to_owned()),
            "port" => self.port = number(value)?,
            "ipv6" => {}
            _ if key.starts_with("net.") => self.net.push((key.to_owned(), value.to_owned())),
            _ if key == "tls" || key.starts_with("tls.") => {
                self.tls.insert(key.to_owned(), value.to_owned());
            }
            _ if key.starts_with("storage.") => {
                let note = format!("[flb-host] '{key}' is ignored by this host");
                report::line(report::INFO, &note);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Reads a limit of retries; -1 is without end.
pub(super) fn retry_limit(value: &str) -> Result<i32, String> {
    match value.to_ascii_lowercase().as_str() {
        "no_limits" | "false" | "off" => Ok(-1),
        "no_retries" => Ok(0),
        _ => number(value),
    }
}

/// Whether a word means yes.
pub(super) fn is_on(word: &str) -> bool {
    ["on", "true", "yes", "1"].iter().any(|yes| word.eq_ignore_ascii_case(yes))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("'{text}' is no valid number"))
}

/// Reads a number of bytes with the host's suffixes.
///
/// # Errors
/// One line that says what is allowed.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let lower = text.to_ascii_lowercase();
    let plain = lower.trim_end_matches('b');
    let (digits, scale) = match plain.chars().last() {
        Some('k') => (plain.trim_end_matches('k'), 1_000),
        Some('m') => (plain.trim_end_matches('m'), 1_000_000),
        Some('g') => (plain.trim_end_matches('g'), 1_000_000_000),
        _ => (plain, 1),
    };
    let number: usize =
        digits.parse().map_err(|_| format!("'{text}' is no size, as in 512k or 10M"))?;
    Ok(number.saturating_mul(scale))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluent_bit_ai::host::abi::rows::ROWS;

    fn newest() -> &'static HostAbi {
        ROWS.last().unwrap()
    }

    #[test]
    fn the_host_keeps_what_is_its_own() {
        let given = Section::of(&[
            ("Name", "x"),
            ("Match", "a*"),
            ("workers", "2"),
            ("retry_limit", "no_limits"),
            ("host", "h"),
            ("listen", "kept by inputs only"),
            ("Net.Keepalive", "off"),
        ]);
        let (core, rest) = split(PluginKind::Output, newest(), "x.0", &given).unwrap();
        assert_eq!(core.net, [("net.keepalive".to_owned(), "off".to_owned())]);
        assert_eq!((core.workers, core.retry_limit), (Some(2), -1));
        assert_eq!(core.pattern.as_deref(), Some("a*"));
        assert_eq!(rest, [("listen".to_owned(), "kept by inputs only".to_owned())]);
    }

    #[test]
    fn mistakes_name_the_property() {
        let wrong = Section::of(&[("mem_buf_limit", "much")]);
        let error = split(PluginKind::Input, newest(), "x.0", &wrong).unwrap_err();
        assert!(error.contains("x.0: mem_buf_limit: 'much'"), "{error}");
        assert_eq!(size("1k"), Ok(1000));
        assert_eq!(size("2MB"), Ok(2_000_000));
    }

    /// Guarantees: a key of TLS goes to the host if the release has a place for it, and to the
    /// plugin otherwise.
    #[test]
    fn later_keys_reach_the_plugin() {
        let keys = [("tls", "on"), ("tls.verify_client_cert", "on"), ("tls.ciphers", "x")];
        for row in ROWS {
            let (core, rest) = split(PluginKind::Input, row, "x.0", &Section::of(&keys)).unwrap();
            assert!(core.wants_tls());
            let expected = match row.first.major {
                3 => 2,
                4 => 1,
                _ => 0,
            };
            assert_eq!(rest.len(), expected, "{}", row.since);
            let keys = [("match", "*"), ("tls.ciphers", "x"), ("tls.proxy.ca_file", "x")];
            let (_, rest) = split(PluginKind::Output, row, "x.0", &Section::of(&keys)).unwrap();
            let at = row.output_tls();
            let expected = usize::from(at.versions.is_none()) + usize::from(at.proxy.is_none());
            assert_eq!(rest.len(), expected, "{}", row.since);
        }
    }
}
