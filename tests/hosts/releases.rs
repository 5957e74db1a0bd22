//! Which releases run, and how that is said: releases of the table, newer patches, hosts that changed
//! their structures, plugin files that are named twice.
//!
//! `FLUENT_BIT_SHIFTED` names hosts, separated by colons, whose structures have a field more than
//! their release: they must be refused, not crash.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use crate::hosts::{Host, RunningHost, free_port, http_get};
use crate::load;
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, linked, real_hosts, seconds, text, together};

/// What is said once where nothing but the proof speaks for a layout.
const WARNING: &str = "newer than fluent-bit-ai";

fn loading(port: u16) -> load::Args {
    load::Args {
        port,
        grpc: false,
        shape: TelemetryShape::Genai,
        items: 1280,
        batch: 64,
        connections: 2,
        rate: 0,
        attempts: 100,
    }
}

/// A pipeline like the README's: in, context, metrics, sampling, out.
fn pipeline(http: u16, to: u16) -> Pipeline {
    Pipeline::default()
        .otlp_in(http, free_port())
        .filter(&["name: ai_context", "match: '*'"])
        .filter(&["name: ai_sampling", "match: '*'", "mode: head", "sampling_percentage: 100"])
        .otlp_out(&[("one", to, "http/protobuf")])
}

/// Scenario: every real host that is here, of the table or a newer patch, with zero and two workers.
/// Guarantees: it says in one line which release and which layout it is and how that is known; a
/// newer patch warns once; what is sent arrives once; the metric says the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_release_says_what_it_runs_on() {
    let _together = together();
    let plugins = linked();
    for host in real_hosts() {
        for workers in [0, 2] {
            let sink = Sink::start(0, Keep::Numbers).await;
            let (http, page) = (free_port(), free_port());
            let yaml = pipeline(http, sink.port)
                .output_option(&format!("workers: {workers}"))
                .service("http_server: on")
                .service("http_listen: 127.0.0.1")
                .service(&format!("http_port: {page}"))
                .yaml(plugins.path());
            let running = RunningHost::start(&host, &yaml, http);
            let report = load::run(loading(http)).await;
            assert_eq!(report.accepted, 1280, "{}: {:?}", host.title(), report.first_error);
            tokio::time::sleep(Duration::from_millis(1500)).await;
            let info = http_get(page, "/api/v2/metrics/prometheus");
            let (code, log) = running.stop();
            let received = sink.received.lock().unwrap();
            assert_eq!(received.distinct(), 1280, "{}: {log}", host.title());
            assert_eq!((code, received.doubled()), (Some(0), 0), "{}: {log}", host.title());

            let begin = format!(
                "fluent-bit-ai {} in Fluent Bit {}: layout of ",
                env!("CARGO_PKG_VERSION"),
                host.release
            );
            assert_eq!(log.matches(&begin).count(), 1, "{}: {log}", host.title());
            assert!(log.contains("found in place"), "{}: {log}", host.title());
            let is_newer = log.contains("the newest that may fit this release");
            assert_eq!(log.matches(WARNING).count(), usize::from(is_newer), "{log}");
            assert!(!is_newer || log.contains("docs/HOSTS.md"), "{log}");
            let label = format!("host_release=\"{}\"", host.release);
            let known_by = if is_newer { "known_by=\"patch\"" } else { "known_by=\"table\"" };
            let is_said = info.lines().any(|line| {
                line.starts_with("fluentbit_ai_build_info{")
                    && [&label, known_by].iter().all(|label| line.contains(*label))
            });
            assert!(is_said, "{}: {info}", host.title());
            println!(
                "{}, {workers} workers: ran{}",
                host.title(),
                if is_newer { ", proved" } else { "" }
            );
        }
    }
}

/// What a host says with `FLUENT_BIT_AI_HOSTS` set, run to its end.
fn started_with(host: &Host, hosts: Option<&str>, plugins: &tempfile::TempDir) -> Output {
    let file = plugins.path().join("some.yaml");
    std::fs::write(&file, pipeline(free_port(), 1).yaml(plugins.path())).unwrap();
    let mut command = Command::new("timeout");
    command.arg(seconds(20)).arg(&host.executable).arg("-c").arg(&file);
    if let Some(hosts) = hosts {
        command.env("FLUENT_BIT_AI_HOSTS", hosts);
    }
    command.output().unwrap()
}

fn assert_refused(host: &Host, output: &Output, expected: &[&str]) {
    let said = text(output);
    // 124 is a host that went on, and 128 and the number of a signal one that crashed.
    let code = output.status.code();
    let ended = code.is_some_and(|code| code != 0 && !(124..=192).contains(&code));
    assert!(ended, "{} {code:?}: {said}", host.title());
    for part in expected {
        assert!(said.contains(part), "{} does not say '{part}': {said}", host.title());
    }
}

/// Scenario: the variable has a value that means nothing. Guarantees: the start stops in words.
#[test]
fn a_wrong_word_in_the_environment_stops_the_start() {
    let _together = together();
    let plugins = linked();
    for host in real_hosts() {
        let output = started_with(&host, Some("everything"), &plugins);
        assert_refused(&host, &output, &["FLUENT_BIT_AI_HOSTS: 'everything'", "known, newest"]);
    }
}

/// Scenario: a newer patch where only releases of the table are allowed. Guarantees: refused in words.
#[test]
fn a_newer_patch_is_refused_where_only_the_table_is_allowed() {
    let _together = together();
    let plugins = linked();
    for host in real_hosts() {
        let is_newer = text(&dry_run(&host, &plugins)).contains("not in the table of releases");
        if is_newer {
            let output = started_with(&host, Some("known"), &plugins);
            assert_refused(&host, &output, &[&host.release, "'known'", "docs/HOSTS.md"]);
            println!("{}: refused", host.title());
        }
    }
}

fn dry_run(host: &Host, plugins: &tempfile::TempDir) -> Output {
    let file = plugins.path().join("dry.yaml");
    std::fs::write(&file, pipeline(free_port(), 1).yaml(plugins.path())).unwrap();
    Command::new("timeout")
        .arg(seconds(20))
        .arg(&host.executable)
        .args(["--dry-run", "-c"])
        .arg(&file)
        .output()
        .unwrap()
}

/// Scenario: the host only checks its configuration. Guarantees: it is said all the same what it
/// would run on.
#[test]
fn a_dry_run_says_what_it_would_run_on() {
    let _together = together();
    let plugins = linked();
    for host in real_hosts() {
        let output = dry_run(&host, &plugins);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(0), "{}: {said}", host.title());
        let line = format!("in Fluent Bit {}: layout of ", host.release);
        assert_eq!(said.matches(&line).count(), 1, "{}: {said}", host.title());
    }
}

/// Scenario: hosts of which a structure has grown. Guarantees: words that a user can act on, and no
/// crash.
#[test]
fn hosts_with_other_structures_are_refused() {
    let _together = together();
    let plugins = linked();
    let Some(listed) = std::env::var_os("FLUENT_BIT_SHIFTED") else {
        return println!("skipped: FLUENT_BIT_SHIFTED names no hosts");
    };
    for executable in std::env::split_paths(&listed) {
        let release = format!("with other structures, {}", executable.display());
        let host = Host { executable: PathBuf::from(&executable), arguments: Vec::new(), release };
        let output = started_with(&host, None, &plugins);
        let expected = ["does not keep", "newer fluent-bit-ai", "docs/HOSTS.md"];
        assert_refused(&host, &output, &expected);
        println!("{}: refused", host.title());
    }
}

/// Scenario: the input's file is in the plugins file and named by `-e` as well. Guarantees: said in
/// words; nobody listens on the plugin's own ports; the input that was configured works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_named_twice_starts_no_second_listener() {
    let _together = together();
    let plugins = linked();
    for mut host in real_hosts() {
        let file = plugins.path().join("flb-in_ai_otlp.so");
        host.arguments = vec!["-e".to_owned(), file.to_string_lossy().into_owned()];
        let sink = Sink::start(0, Keep::Numbers).await;
        let http = free_port();
        let yaml = pipeline(http, sink.port).yaml(plugins.path());
        let running = RunningHost::start(&host, &yaml, http);
        let report = load::run(loading(http)).await;
        assert_eq!(report.accepted, 1280, "{}: {:?}", host.title(), report.first_error);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let (code, log) = running.stop();
        let received = sink.received.lock().unwrap();
        assert_eq!((received.distinct(), received.doubled()), (1280, 0), "{}: {log}", host.title());
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        assert_eq!(log.matches("loaded more than once").count(), 1, "{}: {log}", host.title());
        for listener in ["0.0.0.0:4318", "127.0.0.1:4318", "0.0.0.0:4317", "127.0.0.1:4317"] {
            assert!(!log.contains(listener), "{}: {log}", host.title());
        }
    }
}
