//! Hosts, and a configuration that is shipped: checked, and stopped.

use std::path::Path;
use std::time::Duration;

use fluent_bit_ai::host::abi::rows::ROWS;
use fluent_bit_ai_cli::check::check;
use fluent_bit_ai_cli::finding::Finding;
use testkit::hosts::{Host, RunningHost};
use testkit::shipped::Configuration;

/// The newest and the oldest real host, if there are any, and the bundled one's newest row.
pub fn hosts() -> Vec<Host> {
    let mut hosts = testkit::support::real_hosts();
    if hosts.len() > 2 {
        hosts.drain(1..hosts.len() - 1);
    }
    hosts.push(testkit::support::bundled("5.1.0"));
    hosts
}

/// What `fluent-bit-ai check` finds in a YAML configuration: errors and warnings.
pub fn findings(configuration: &Configuration, plugins: &Path) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fluent-bit.yaml");
    std::fs::write(&path, &configuration.text).unwrap();
    findings_of(&path, plugins)
}

/// What it finds in a file.
pub fn findings_of(path: &Path, plugins: &Path) -> Vec<String> {
    let found = check(path, &[plugins.join("plugins.conf")], ROWS.last().unwrap().last);
    assert!(found.instances > 0, "{} has no instance of ours", path.display());
    found.findings.iter().map(Finding::to_string).collect()
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
