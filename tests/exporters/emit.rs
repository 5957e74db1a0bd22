//! Process fixture: the exporters' processes.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde::Deserialize;

/// How many spans, data points and log records each exporter emits.
pub const ITEMS: u64 = 300;

/// One way in which an SDK sends.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    pub language: &'static str,
    pub protocol: &'static str,
    pub compression: &'static str,
}

impl Way {
    /// Whether the exporter sends a request again when it is told to. That of JavaScript for gRPC
    /// takes every refusal for final, as of release 0.223.
    pub fn sends_again(self) -> bool {
        (self.language, self.protocol) != ("javascript", "grpc")
    }

    /// The service name of what it sends.
    pub fn name(self) -> String {
        format!("{} {} {}", self.language, self.protocol, self.compression)
    }
}

/// What an SDK said about its exporters.
#[derive(Debug, Deserialize)]
pub struct Said {
    /// How often a request was sent again.
    pub retries: u32,
    /// Warnings and errors.
    pub complaints: Vec<String>,
}

fn folder() -> Option<PathBuf> {
    std::env::var_os("EXPORTERS").map(PathBuf::from).filter(|folder| folder.is_dir())
}

fn python(folder: &Path) -> PathBuf {
    folder.join("venv/bin/python")
}

/// Every way of the exporters that are installed; says what is not.
pub fn ways() -> Vec<Way> {
    let Some(folder) = folder() else {
        println!("exporter tests were skipped: run 'make exporters'");
        return Vec::new();
    };
    let mut protocols = Vec::new();
    if python(&folder).exists() {
        protocols.extend(["grpc", "http/protobuf"].map(|protocol| ("python", protocol)));
    } else {
        println!("skipped: the exporters of Python are not installed");
    }
    if folder.join("node_modules/@opentelemetry").exists() {
        let all = ["grpc", "http/protobuf", "http/json"];
        protocols.extend(all.map(|protocol| ("javascript", protocol)));
    } else {
        println!("skipped: the exporters of JavaScript are not installed");
    }
    let both = |(language, protocol)| {
        ["none", "gzip"].map(|compression| Way { language, protocol, compression })
    };
    protocols.into_iter().flat_map(both).collect()
}

/// A process that is ready to send.
struct Process {
    way: Way,
    child: Child,
    lines: BufReader<ChildStdout>,
}

/// All processes, ready to send.
pub struct Ready(Vec<Process>);

/// Starts a process for each way. `timeout` is what the exporters get for a request and its
/// repetitions.
pub fn launch(ways: &[Way], http: u16, grpc: u16, timeout: Duration) -> Ready {
    let started = ways.iter().map(|way| start(*way, http, grpc, timeout));
    let mut processes: Vec<Process> = started.collect();
    for process in &mut processes {
        let mut line = String::new();
        process.lines.read_line(&mut line).unwrap();
        if line != "ready\n" {
            let mut errors = String::new();
            process.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
            panic!("{} did not start: {line}{errors}", process.way.name());
        }
    }
    Ready(processes)
}

fn start(way: Way, http: u16, grpc: u16, timeout: Duration) -> Process {
    let folder = folder().unwrap();
    let scripts = testkit::root().join("tests/exporters");
    let (program, script) = match way.language {
        "python" => (python(&folder), scripts.join("emit.py")),
        _ => (PathBuf::from("node"), scripts.join("emit.mjs")),
    };
    let port = if way.protocol == "grpc" { grpc } else { http };
    let mut child = Command::new("timeout")
        .arg("120")
        .arg(program)
        .arg(script)
        .args([way.protocol, &format!("http://127.0.0.1:{port}"), way.compression, &way.name()])
        .args([ITEMS.to_string(), timeout.as_secs().to_string()])
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    Process { way, child, lines }
}

/// Lets all processes send.
pub fn begin(Ready(processes): &mut Ready) {
    for process in processes {
        process.child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    }
}

/// Waits until each process has been told to send a request again.
pub fn wait_until_refused(Ready(processes): &mut Ready) {
    for process in processes {
        let mut line = String::new();
        process.lines.read_line(&mut line).unwrap();
        assert_eq!(line, "again\n", "{} was never told to wait", process.way.name());
    }
}

/// Waits until everything is sent.
pub fn end(Ready(processes): Ready) -> Vec<(Way, Said)> {
    let said = |mut process: Process| {
        let mut last = String::new();
        process.lines.read_to_string(&mut last).unwrap();
        let output = process.child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let name = process.way.name();
        let well = output.status.success() && errors.is_empty();
        assert!(well, "{name} ended with {}: {last}{errors}", output.status);
        (process.way, serde_json::from_str(&last).unwrap())
    };
    processes.into_iter().map(said).collect()
}
