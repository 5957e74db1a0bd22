//! Test fixtures: hosts, plugin files and configurations for the tests.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Once;
use std::time::Duration;

use crate::at_most;
use crate::hosts::{self, Host};

pub use crate::places::{alone, together};

pub const FILES: [&str; 6] = [
    "in_ai_otlp",
    "in_ai_emitter",
    "filter_ai_context",
    "filter_ai_metrics",
    "filter_ai_sampling",
    "out_multi_otlp",
];

/// Rows of the bundled host that every test runs on; one test runs on all of them.
const SOME_ROWS: [&str; 3] = ["3.0.0", "4.0.12", "5.1.0"];

pub fn bundled(row: &str) -> Host {
    Host {
        arguments: vec!["--row".to_owned(), row.to_owned()],
        release: format!("bundled, row {row}"),
        ..hosts::bundled()
    }
}

/// The real hosts found, newest first; says once what was found.
pub fn real_hosts() -> Vec<Host> {
    static SAID: Once = Once::new();
    let found = hosts::real();
    SAID.call_once(|| {
        let releases: Vec<&str> = found.iter().map(|host| host.release.as_str()).collect();
        let line = match releases.join(", ") {
            none if none.is_empty() => {
                "real-host tests were skipped: no Fluent Bit found\n".to_owned()
            }
            releases => format!("real hosts: {releases}\n"),
        };
        // What is printed by a test that passes is not shown, and this is to be.
        let _ = std::io::stderr().write_all(line.as_bytes());
    });
    found
}

/// The real hosts, and the bundled one with its oldest, a middle and its newest row.
pub fn all_hosts() -> Vec<Host> {
    let mut all = real_hosts();
    all.extend(SOME_ROWS.map(bundled));
    all
}

/// Every row that the bundled host knows.
pub fn rows() -> Vec<String> {
    let output = Command::new(hosts::bundled().executable).arg("--list-rows").output().unwrap();
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

/// The shared object that this test run built.
pub fn shared_object() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let deps = own.parent().unwrap();
    let file = "libfluent_bit_ai.so";
    let candidates = [deps.join(file), deps.parent().unwrap().join(file)];
    let newest = candidates
        .into_iter()
        .filter(|path| path.is_file())
        .max_by_key(|path| path.metadata().and_then(|metadata| metadata.modified()).ok());
    newest.expect("the shared object is built with the tests")
}

/// A folder with the plugin files as links to one file.
pub fn linked() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in FILES {
        let link = folder.path().join(format!("flb-{file}.so"));
        std::os::unix::fs::symlink(shared_object(), link).unwrap();
    }
    write_plugins_file(folder.path());
    folder
}

/// Beside the plugin files, their list in the form that every release reads.
fn write_plugins_file(folder: &Path) {
    let mut text = "[PLUGINS]\n".to_owned();
    for file in FILES {
        let _ = writeln!(text, "    Path {}/flb-{file}.so", folder.display());
    }
    std::fs::write(folder.join("plugins.conf"), text).unwrap();
}

/// A folder with the plugin files as files of their own.
pub fn copied() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in FILES {
        std::fs::copy(shared_object(), folder.path().join(format!("flb-{file}.so"))).unwrap();
    }
    write_plugins_file(folder.path());
    folder
}

/// `timeout` for a host. In the foreground it sends no SIGCONT after its signal: Fluent Bit dumps its
/// state at that one, from within the signal handler of whichever thread got it, and hangs if that
/// thread held a lock of the C library.
pub fn timeout() -> Command {
    let mut command = Command::new("timeout");
    command.arg("--foreground");
    command
}

/// An argument of `timeout`.
pub fn seconds(limit: u64) -> String {
    at_most(Duration::from_secs(limit)).as_secs().to_string()
}

/// Runs a host to its end.
pub fn run(host: &Host, arguments: &[&str]) -> Output {
    timeout()
        .arg(seconds(20))
        .arg(&host.executable)
        .args(&host.arguments)
        .args(arguments)
        .output()
        .unwrap()
}

pub fn text(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text
}

/// A configuration in parts.
#[derive(Default, Clone)]
pub struct Pipeline {
    pub service: String,
    pub inputs: String,
    pub filters: String,
    pub outputs: String,
}

impl Pipeline {
    /// `ai_otlp` on these ports under the tag `ai`.
    pub fn otlp_in(mut self, http: u16, grpc: u16) -> Self {
        let _ = writeln!(
            self.inputs,
            "    - name: ai_otlp\n      tag: ai\n      listen: 127.0.0.1\n      http_port: {http}\n      grpc_port: {grpc}"
        );
        self
    }

    /// More options of the last input.
    pub fn input_option(mut self, option: &str) -> Self {
        let _ = writeln!(self.inputs, "      {option}");
        self
    }

    pub fn input(mut self, lines: &[&str]) -> Self {
        push(&mut self.inputs, lines);
        self
    }

    pub fn filter(mut self, lines: &[&str]) -> Self {
        push(&mut self.filters, lines);
        self
    }

    pub fn output(mut self, lines: &[&str]) -> Self {
        push(&mut self.outputs, lines);
        self
    }

    /// `multi_otlp` to these endpoints: name, port and protocol.
    pub fn otlp_out(mut self, endpoints: &[(&str, u16, &str)]) -> Self {
        let _ = writeln!(self.outputs, "    - name: multi_otlp\n      match: '*'");
        for (name, port, protocol) in endpoints {
            let _ = writeln!(
                self.outputs,
                "      endpoint.{name}.url: http://127.0.0.1:{port}\n      endpoint.{name}.protocol: {protocol}"
            );
        }
        self
    }

    /// More options of the last output.
    pub fn output_option(mut self, option: &str) -> Self {
        let _ = writeln!(self.outputs, "      {option}");
        self
    }

    pub fn service(mut self, line: &str) -> Self {
        let _ = writeln!(self.service, "  {line}");
        self
    }

    /// The YAML text. Where no interval was chosen chunks leave soon. Where no grace period was chosen it is
    /// long enough to deliver all, as the host ends when nothing is left.
    pub fn yaml(&self, plugins: &Path) -> String {
        let mut text = format!("service:\n  plugins_file: {}/plugins.conf\n", plugins.display());
        text.push_str(&self.service);
        if !self.service.lines().any(|line| line.trim_start().starts_with("flush:")) {
            text.push_str("  flush: 0.2\n");
        }
        if !self.service.lines().any(|line| line.trim_start().starts_with("grace:")) {
            let _ = writeln!(text, "  grace: {}", seconds(10));
        }
        text.push_str("pipeline:\n");
        for (section, lines) in
            [("inputs", &self.inputs), ("filters", &self.filters), ("outputs", &self.outputs)]
        {
            if !lines.is_empty() {
                let _ = write!(text, "  {section}:\n{lines}");
            }
        }
        text
    }
}

fn push(section: &mut String, lines: &[&str]) {
    for (index, line) in lines.iter().enumerate() {
        let _ = writeln!(section, "    {} {line}", if index == 0 { "-" } else { " " });
    }
}
