//! A configuration that is shipped inside something else: checked, made fit for a host here, and started.

use std::path::Path;
use std::time::Duration;

use fluent_bit_ai::host::abi::rows::ROWS;
use fluent_bit_ai_cli::check::check;
use fluent_bit_ai_cli::finding::Finding;
use testkit::hosts::{Host, RunningHost, free_port};

/// The newest and the oldest real host, if there are any, and the bundled one's newest row.
pub fn hosts() -> Vec<Host> {
    let mut hosts = testkit::support::real_hosts();
    if hosts.len() > 2 {
        hosts.drain(1..hosts.len() - 1);
    }
    hosts.push(testkit::support::bundled("5.1.0"));
    hosts
}

/// A YAML configuration with the values of its variables.
#[derive(Clone)]
pub struct Configuration {
    /// Where it is from.
    pub what: String,
    pub text: String,
}

impl Configuration {
    pub fn new(what: &str, text: &str, variables: &[(String, String)]) -> Self {
        let mut text = text.to_owned();
        for (name, value) in variables {
            text = text.replace(&format!("${{{name}}}"), value);
        }
        Self { what: what.to_owned(), text }
    }

    /// Replaces what is there.
    #[must_use]
    pub fn with(mut self, from: &str, to: &str) -> Self {
        assert!(self.text.contains(from), "{} has no {from}", self.what);
        self.text = self.text.replace(from, to);
        self
    }

    /// What `fluent-bit-ai check` finds: errors and warnings.
    pub fn findings(&self, plugins: &Path) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fluent-bit.yaml");
        std::fs::write(&path, &self.text).unwrap();
        let found = check(&path, &[plugins.join("plugins.conf")], ROWS.last().unwrap().last);
        assert!(found.instances > 0, "{} has no instance of ours", self.what);
        found.findings.iter().map(Finding::to_string).collect()
    }

    /// The same with places of this machine: the plugins, free ports; and its port for OTLP over HTTP.
    #[must_use]
    pub fn here(mut self, plugins: &Path) -> (Self, u16) {
        let line = self.text.lines().find(|line| line.contains("plugins_file: ")).unwrap();
        let ours = format!("  plugins_file: {}/plugins.conf", plugins.display());
        self.text = self.text.replace(line, &ours);
        for port in ["grpc_port", "http_port"] {
            let lines: Vec<&str> = self.text.lines().filter(|line| !line.contains(port)).collect();
            // That of the host's own server stays out, as does the default of ours.
            self.text = lines.join("\n") + "\n";
        }
        let (http, grpc, own) = (free_port(), free_port(), free_port());
        let ports = format!("- name: ai_otlp\n      http_port: {http}\n      grpc_port: {grpc}\n");
        assert_eq!(self.text.matches("- name: ai_otlp").count(), 1, "{}", self.what);
        let at = self.text.find("- name: ai_otlp").unwrap();
        let end = at + self.text[at..].find('\n').unwrap() + 1;
        self.text.replace_range(at..end, &ports);
        self.text = self.text.replacen("service:\n", &format!("service:\n  http_port: {own}\n"), 1);
        (self, http)
    }

    pub fn start(&self, host: &Host, port: u16, environment: &[(&str, String)]) -> RunningHost {
        RunningHost::start_with(host, &self.text, port, environment)
    }
}

/// Stops a host, which has to end well and to have said nothing wrong of us; its log.
pub fn stop(running: RunningHost, what: &str) -> String {
    std::thread::sleep(Duration::from_millis(300));
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{what}: {log}");
    let is_ours = |line: &str| ["ai_", "multi_otlp", "[config]"].iter().any(|it| line.contains(it));
    let is_wrong = |line: &str| line.contains("[error]") && is_ours(line);
    assert!(!log.lines().any(is_wrong), "{what}: {log}");
    log
}
