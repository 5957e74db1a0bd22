//! Start, help, refusals, reload, stop.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::hosts::{Host, RunningHost, free_port};
use crate::load;
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};
use crate::support::{
    FILES, Pipeline, all_hosts, alone, bundled, copied, linked, real_hosts, rows, run, seconds,
    text, timeout, together,
};

fn help_flag(file: &str) -> &'static str {
    match file.split('_').next() {
        Some("in") => "-i",
        Some("filter") => "-F",
        _ => "-o",
    }
}

/// Scenario: `-h` for each plugin. Guarantees: its options are shown.
#[test]
fn help_shows_the_options() {
    let _together = together();
    let plugins = linked();
    let expected = [
        ("in_ai_otlp", "grpc_port"),
        ("in_ai_emitter", "ai_emitter"),
        ("filter_ai_context", "redact"),
        ("filter_ai_metrics", "temporality"),
        ("filter_ai_sampling", "decision_wait"),
        ("out_multi_otlp", "endpoint."),
    ];
    for host in all_hosts() {
        for (file, option) in expected {
            let path = plugins.path().join(format!("flb-{file}.so"));
            let name = file.split_once('_').unwrap().1;
            let path = path.to_string_lossy().into_owned();
            let output = run(&host, &["-e", &path, help_flag(file), name, "-h"]);
            let text = text(&output);
            assert!(text.contains(option), "{} {file}: {text}", host.title());
        }
    }
}

/// Scenario: a misspelt option, a wrong value, several mistakes. Guarantees: the start stops with
/// a message that names them all.
#[test]
fn mistakes_stop_the_start_with_a_message() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let misspelt = Pipeline::default()
            .otlp_in(free_port(), free_port())
            .filter(&["name: ai_sampling", "match: '*'", "decision_weight: 3s"])
            .otlp_out(&[("one", 1, "grpc")]);
        let said = refused(&host, &misspelt, &plugins);
        assert!(said.contains("decision_weight"), "{}: {said}", host.title());

        let wrong = Pipeline::default()
            .otlp_in(free_port(), free_port())
            .filter(&[
                "name: ai_sampling",
                "match: '*'",
                "mode: sideways",
                "sampling_percentage: 120",
            ])
            .otlp_out(&[("one", 1, "grpc")]);
        let said = refused(&host, &wrong, &plugins);
        for expected in ["sideways", "head", "tail", "120"] {
            assert!(said.contains(expected), "{} does not say {expected}: {said}", host.title());
        }

        let rules = plugins.path().join("collector.yaml");
        let policy = "{name: a, type: probabilistic, probabilistic: {hash_salt: pepper}}";
        let text = format!("processors:\n  tail_sampling:\n    policies:\n      - {policy}\n");
        std::fs::write(&rules, text).unwrap();
        let rules = format!("config_file: {}", rules.display());
        let salted = Pipeline::default()
            .otlp_in(free_port(), free_port())
            .filter(&["name: ai_sampling", "match: '*'", "mode: tail", &rules])
            .otlp_out(&[("one", 1, "grpc")]);
        let said = refused(&host, &salted, &plugins);
        let line =
            "line 4: processors.tail_sampling.policies[0].probabilistic.hash_salt: \"pepper\"";
        assert!(said.contains(line), "{} does not say {line}: {said}", host.title());

        let threaded = Pipeline::default()
            .otlp_in(free_port(), free_port())
            .input_option("threaded: on")
            .otlp_out(&[("one", 1, "grpc")]);
        let said = refused(&host, &threaded, &plugins);
        assert!(said.contains("threaded"), "{}: {said}", host.title());

        let no_emitter = Pipeline::default()
            .input(&["name: dummy", "tag: x"])
            .filter(&["name: ai_metrics", "match: '*'"])
            .output(&["name: 'null'", "match: '*'"]);
        let said = refused(&host, &no_emitter, &plugins);
        assert!(said.contains("ai_emitter"), "{}: {said}", host.title());

        let bad_where = Pipeline::default()
            .otlp_in(free_port(), free_port())
            .otlp_out(&[("one", 1, "carrier pigeon")])
            .output_option("endpoint.two.where: 'signal =='");
        let said = refused(&host, &bad_where, &plugins);
        for expected in ["carrier pigeon", "endpoint.two"] {
            assert!(said.contains(expected), "{} does not say {expected}: {said}", host.title());
        }
    }
}

fn refused(host: &Host, pipeline: &Pipeline, plugins: &tempfile::TempDir) -> String {
    let file = plugins.path().join("wrong.yaml");
    std::fs::write(&file, pipeline.yaml(plugins.path())).unwrap();
    let output = run(host, &["-c", &file.to_string_lossy()]);
    let said = text(&output);
    assert_ne!(output.status.code(), Some(0), "{} started: {said}", host.title());
    assert_ne!(output.status.code(), Some(124), "{} went on: {said}", host.title());
    said
}

/// Scenario: a start that fails in its filters while a client sends already. Guarantees: the host
/// ends in words, and does not run the request through filters that have no state yet.
///
/// The first filter reads its list from a pipe, and so the start stands until the request has come.
#[test]
fn a_start_that_fails_does_not_run_what_came_already() {
    let _together = together();
    let plugins = linked();
    let list = plugins.path().join("list");
    assert!(Command::new("mkfifo").arg(&list).status().unwrap().success());
    let file_of_list = format!("file: {}", list.display());
    for host in real_hosts() {
        let port = free_port();
        let pipeline = Pipeline::default()
            .otlp_in(port, free_port())
            .filter(&["name: checklist", "match: '*'", "lookup_key: key", &file_of_list])
            .filter(&["name: ai_sampling", "match: '*'", "mode: sideways"])
            .filter(&["name: modify", "match: '*'", "add: key value"])
            .filter(&["name: grep", "match: '*'", "regex: key value"])
            .otlp_out(&[("one", 9, "http/protobuf")]);
        let file = plugins.path().join("fails.yaml");
        std::fs::write(&file, pipeline.yaml(plugins.path())).unwrap();
        // Open for both, because opening for writing alone waits for a reader.
        let pipe = File::options().read(true).write(true).open(&list).unwrap();
        let client = std::thread::spawn(move || early_request(port, pipe));
        let output = run(&host, &["-c", &file.to_string_lossy()]);
        let said = text(&output);
        let code = output.status.code();
        assert!(matches!(code, Some(1 | 255)), "{}: {code:?} {said}", host.title());
        assert!(said.contains("sideways"), "{}: {said}", host.title());
        let answer = client.join().unwrap();
        assert!(answer.starts_with("HTTP/1.1 503"), "{}: {answer:?} {said}", host.title());
    }
}

/// Sends one log record as soon as the port is open, closes the pipe when the host has had the time to
/// take it, and returns the answer.
fn early_request(port: u16, pipe: File) -> String {
    let body =
        r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}"#;
    let request = format!(
        "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let begun = Instant::now();
    while begun.elapsed() < testkit::at_most(Duration::from_secs(10)) {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            stream.write_all(request.as_bytes()).unwrap();
            std::thread::sleep(testkit::at_most(Duration::from_secs(1)));
            drop(pipe);
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            return answer;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    "the port never opened".to_owned()
}

/// What happens in the middle of the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Terminate,
    ReloadBySignal,
    ReloadByApi,
}

/// Scenario: SIGTERM while clients send as fast as they can. Guarantees: what was acknowledged
/// arrives, once.
#[tokio::test(flavor = "multi_thread")]
async fn stopping_under_load_loses_nothing() {
    let _alone = alone();
    for host in all_hosts() {
        under_load(&host, Cut::Terminate).await;
    }
}

/// Scenario: SIGHUP while clients send; the process stays. Guarantees: as above.
#[tokio::test(flavor = "multi_thread")]
async fn reloading_under_load_loses_nothing() {
    let _alone = alone();
    for host in all_hosts() {
        under_load(&host, Cut::ReloadBySignal).await;
    }
}

/// Scenario: a reload by Fluent Bit's own HTTP API while clients send. Guarantees: as above, and
/// the host counts the reload. The bundled host has no such API.
#[tokio::test(flavor = "multi_thread")]
async fn reloading_by_api_under_load_loses_nothing() {
    let _alone = alone();
    for host in real_hosts() {
        under_load(&host, Cut::ReloadByApi).await;
    }
}

/// A request to `/api/v2/reload`; the whole answer, or nothing if there is none yet.
fn reload_api(port: u16, method: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(testkit::at_most(Duration::from_secs(2)))).ok()?;
    let request = format!(
        "{method} /api/v2/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\
         Content-Type: application/json\r\nConnection: close\r\n\r\n{{}}"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    // Some releases keep the connection open; the answer is what came until then.
    let _ = stream.read_to_end(&mut answer);
    (!answer.is_empty()).then(|| String::from_utf8_lossy(&answer).into_owned())
}

/// Asks until the host has been reloaded so many times.
fn until_api_counts(host: &Host, port: u16, reloads: u32) {
    let start = Instant::now();
    loop {
        let said = reload_api(port, "GET").unwrap_or_default();
        if said.contains(&format!("\"hot_reload_count\":{reloads}}}")) {
            return;
        }
        assert!(
            start.elapsed() < testkit::at_most(Duration::from_secs(30)),
            "{}: {said}",
            host.title()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

async fn under_load(host: &Host, cut: Cut) {
    let plugins = linked();
    let sink = Sink::start(0, Keep::Numbers).await;
    let (http, grpc, api) = (free_port(), free_port(), free_port());
    let mut pipeline = Pipeline::default().service("hot_reload: on");
    if cut == Cut::ReloadByApi {
        pipeline = pipeline.service("http_server: on").service("http_listen: 127.0.0.1");
        pipeline = pipeline.service(&format!("http_port: {api}"));
    }
    let pipeline = pipeline
        .otlp_in(http, grpc)
        .filter(&["name: ai_context", "match: '*'"])
        .filter(&[
            "name: ai_sampling",
            "match: '*'",
            "mode: tail",
            "decision_wait: 30s",
            "sampling_percentage: 100",
        ])
        .otlp_out(&[("one", sink.port, "http/protobuf")]);
    let running = RunningHost::start(host, &pipeline.yaml(plugins.path()), http);
    let again = cut != Cut::Terminate;
    let items = if again { 60_000 } else { 600_000 };
    let loader = tokio::spawn(load::run(load::Args {
        port: http,
        grpc: false,
        shape: TelemetryShape::Genai,
        items,
        batch: 128,
        connections: 2,
        rate: if again { 12_000 } else { 0 },
        attempts: if again { 400 } else { 20 },
    }));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let (report, code, log) = if again {
        if cut == Cut::ReloadByApi {
            until_api_counts(host, api, 0);
            // The reload that it asks for may end the server before it has answered.
            let said = reload_api(api, "POST").unwrap_or_default();
            assert!(said.is_empty() || said.contains("\"status\":0"), "{}: {said}", host.title());
        } else {
            running.signal("HUP");
        }
        let report = loader.await.unwrap();
        if cut == Cut::ReloadByApi {
            until_api_counts(host, api, 1);
        }
        assert_eq!(report.accepted, items.div_ceil(128) * 128, "{:?}", report.first_error);
        let (code, log) = running.stop();
        (report, code, log)
    } else {
        let (code, log) = running.stop();
        (loader.await.unwrap(), code, log)
    };
    assert_eq!(code, Some(0), "{}: {log}", host.title());
    sink.settle(0, Duration::from_secs(2), Duration::from_secs(20)).await;
    let received = sink.received.lock().unwrap();
    let (distinct, doubled) = (received.distinct(), received.doubled());
    assert_eq!(doubled, 0, "{}: {doubled} doubled\n{log}", host.title());
    // What was stored when the host stopped may have had no answer yet: one batch a connection.
    let unanswered = if again { 0 } else { 2 * 128 };
    assert!(
        distinct >= report.accepted && distinct <= report.accepted + unanswered,
        "{}: {} acknowledged, {distinct} arrived\n{log}",
        host.title(),
        report.accepted
    );
    assert!(report.accepted > 1000, "{}: {:?}", host.title(), report.first_error);
}

/// Scenario: every row of the bundled host. Guarantees: the files load, a pipeline runs, spans
/// arrive, no callback uses more than 16 KiB of its stack.
#[tokio::test(flavor = "multi_thread")]
async fn every_row_runs() {
    let _together = together();
    let plugins = linked();
    let rows = rows();
    assert!(rows.len() >= 10, "{rows:?}");
    for row in rows {
        let mut host = bundled(&row);
        host.arguments.push("--check-stacks".to_owned());
        passes(&host, plugins.path()).await;
    }
}

/// Scenario: the plugin files as copies of their own. Guarantees: the suite still works as one.
#[tokio::test(flavor = "multi_thread")]
async fn copies_work_as_one() {
    let _together = together();
    let plugins = copied();
    for host in all_hosts() {
        passes(&host, plugins.path()).await;
    }
}

/// A pipeline with all plugins: everything sent is kept by the sampler and arrives.
pub async fn passes(host: &Host, plugins: &std::path::Path) {
    let sink = Sink::start(0, Keep::Numbers).await;
    let (http, grpc) = (free_port(), free_port());
    let pipeline = Pipeline::default()
        .otlp_in(http, grpc)
        .filter(&["name: ai_context", "match: '*'", "redact: email"])
        .filter(&["name: ai_metrics", "match: '*'", "interval: 1s"])
        .filter(&[
            "name: ai_sampling",
            "match: '*'",
            "mode: tail",
            "decision_wait: 1s",
            "sampling_percentage: 100",
        ])
        .otlp_out(&[("one", sink.port, "http/protobuf")]);
    let running = RunningHost::start(host, &pipeline.yaml(plugins), http);
    let report = load::run(load::Args {
        port: grpc,
        grpc: true,
        shape: TelemetryShape::Genai,
        items: 2560,
        batch: 128,
        connections: 2,
        rate: 0,
        attempts: 100,
    })
    .await;
    assert_eq!(report.accepted, 2560, "{}: {:?}", host.title(), report.first_error);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{}: {log}", host.title());
    let received = sink.received.lock().unwrap();
    assert_eq!(received.distinct(), 2560, "{}: {log}", host.title());
    assert_eq!(received.doubled(), 0, "{}: {log}", host.title());
}

/// Scenario: a panic forced in each callback. Guarantees: the host goes on and stops cleanly.
#[test]
fn a_panic_in_any_callback_is_survived() {
    let _together = together();
    let plugins = linked();
    let callbacks = [
        "input.init",
        "input.wake",
        "input.tick",
        "input.pause",
        "input.resume",
        "input.exit",
        "filter.init",
        "filter.chunk",
        "filter.exit",
        "output.init",
        "output.flush",
        "output.timer",
        "output.exit",
    ];
    assert_eq!(FILES.len(), 6);
    for host in all_hosts() {
        // Each has its own process and ports, so they can run side by side.
        std::thread::scope(|scope| {
            for callback in callbacks {
                let (host, folder) = (&host, plugins.path());
                scope.spawn(move || survives(host, folder, callback));
            }
        });
    }
}

fn survives(host: &Host, plugins: &std::path::Path, callback: &str) {
    let pipeline = Pipeline::default()
        .otlp_in(free_port(), free_port())
        .input(&["name: dummy", "tag: app", "samples: 5"])
        .filter(&["name: ai_context", "match: '*'"])
        .otlp_out(&[("one", 9, "http/protobuf")]);
    let file = plugins.join(format!("panic-{callback}.yaml"));
    std::fs::write(&file, pipeline.yaml(plugins)).unwrap();
    let output = timeout()
        .args(["--signal=TERM", &format!("--kill-after={}", seconds(25)), &seconds(3)])
        .arg(&host.executable)
        .args(&host.arguments)
        .arg("-c")
        .arg(&file)
        .env("FLUENT_BIT_AI_PANIC", callback)
        .output()
        .unwrap();
    let said = text(&output);
    let code = output.status.code();
    // 124: it ran until the signal and stopped in time. 137 would be a hang, 128 and a signal's
    // number a crash; 255 is what Fluent Bit says when it refuses to start.
    let refused = callback.ends_with(".init") && code.is_some_and(|code| code < 128 || code == 255);
    assert!(
        code == Some(124) || code == Some(0) || refused,
        "{} {callback}: {code:?}\n{said}",
        host.title()
    );
    assert!(!said.contains("SIGSEGV"), "{} {callback}: {said}", host.title());
}
