//! `check --connect` against stand-ins of endpoints.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

/// Answers requests until it is gone: those with the right token are accepted, at one path.
fn endpoint() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(&stream));
        }
    });
    port
}

fn serve(stream: &TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut lines: Vec<String> = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line.trim_end().is_empty() {
                break;
            }
            lines.push(line.trim_end().to_ascii_lowercase());
        }
        let length =
            lines.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        let is_allowed = lines.iter().any(|line| line == "authorization: bearer right");
        let is_there = lines.first().is_some_and(|line| line.starts_with("post /v1/"));
        let wants_spans = lines.iter().any(|line| line == "x-wants: spans");
        let status = match (is_there, is_allowed, wants_spans) {
            (false, ..) => "404 Not Found",
            (true, false, _) => "401 Unauthorized",
            (true, true, false) => "200 OK",
            (true, true, true) => "400 Bad Request",
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
        );
        (&*stream).write_all(answer.as_bytes()).ok()?;
    }
}

/// How `check --connect` ends with a configuration, which is written to the path, and what it says.
fn connected(path: &Path, text: &str) -> (Option<i32>, String) {
    std::fs::write(path, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fluent-bit-ai"));
    let output = command.args(["check", "--connect", "-c"]).arg(path).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Scenario: a backend that knows the credentials and refuses what has no spans, as MLflow does. Guarantees: that is a
/// warning, and does not change the exit status.
#[test]
fn an_endpoint_that_takes_nothing_empty_is_there() {
    let port = endpoint();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    let text = format!(
        "pipeline:\n  outputs:\n    - name: multi_otlp\n      match: '*'\n      endpoint.a.url: http://127.0.0.1:{port}\n      \
         endpoint.a.bearer_token: right\n      endpoint.a.headers: x-wants=spans\n      endpoint.a.signals: traces\n"
    );
    std::fs::write(&path, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fluent-bit-ai"));
    let output = command.args(["check", "--connect", "-c"]).arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let told = said.lines().find(|line| line.contains("a.yaml:5: warning: ")).unwrap_or("");
    assert!(
        told.contains(
            "it answers, and takes no export that holds nothing: (refused): HTTP status 400"
        ),
        "{said}"
    );
}

/// Scenario: endpoints that take exports, want other credentials, are elsewhere, speak no TLS, do not listen
/// and have no address. Guarantees: each is tried for each of its signals, what is wrong is said with its
/// line and reason, no token is shown, and the exit status says whether all accepted.
#[test]
fn each_endpoint_is_tried() {
    let port = endpoint();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    let url = format!("http://127.0.0.1:{port}");
    let right = format!(
        "pipeline:\n  outputs:\n    - name: multi_otlp\n      match: '*'\n      endpoint.good.url: {url}\n      \
         endpoint.good.bearer_token: right\n      endpoint.good.signals: traces, logs\n"
    );
    let wrong = format!(
        "      endpoint.token.url: {url}\n      endpoint.token.bearer_token: hush\n      endpoint.token.signals: traces\n      \
         endpoint.path.url: {url}/elsewhere\n      endpoint.path.signals: traces\n      endpoint.tls.url: \
         https://127.0.0.1:{port}\n      endpoint.tls.signals: traces\n      endpoint.closed.url: http://127.0.0.1:{closed}\n      \
         endpoint.closed.signals: traces\n      endpoint.dns.url: http://no-such-host.invalid\n      endpoint.dns.signals: traces\n"
    );
    let run = |text: &str| connected(&path, text);
    let (code, said) = run(&right);
    assert_eq!(code, Some(0), "{said}");
    let accepted = format!(
        "[output:multi_otlp:multi_otlp.0] endpoint 'good' ({url}/v1/traces, traces): accepted in "
    );
    assert!(
        said.contains(&accepted) && said.contains("exports accepted: 2, not accepted: 0"),
        "{said}"
    );
    let (code, said) = run(&(right + &wrong));
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("exports accepted: 2, not accepted: 5") && !said.contains("hush"),
        "{said}"
    );
    for (line, endpoint, reason) in [
        (8, "token", "(refused): "),
        (11, "path", "(misdirected): "),
        (13, "tls", "(connect): "),
        (15, "closed", "(connect): "),
        (17, "dns", "(connect): "),
    ] {
        let start = format!(
            "a.yaml:{line}: error: [output:multi_otlp:multi_otlp.0] endpoint '{endpoint}' ("
        );
        let told = said.lines().find(|told| told.contains(&start)).unwrap_or("");
        assert!(told.contains(reason), "{start} {reason}\n{said}");
    }
}

/// Scenario: targets to scrape that show a page, none, and are not there. Guarantees: each is asked once, with what the page has or
/// why it is not read at the line of its URL, and the exit status says whether all were read.
#[test]
fn each_target_of_a_scrape_is_tried() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            let body = "# TYPE a gauge\na 1\na{b=\"c\"} 2\n";
            let status = if line.starts_with("GET /metrics ") { "200 OK" } else { "404 X" };
            let head = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all((head + body).as_bytes()).unwrap();
        }
    });
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    let right = format!(
        "pipeline:\n  inputs:\n    - name: ai_emitter\n      tag: m\n      scrape.vllm.url: http://127.0.0.1:{port}/metrics\n"
    );
    let wrong = format!(
        "      scrape.other.url: http://127.0.0.1:{port}/other\n      scrape.gone.url: http://127.0.0.1:{closed}/metrics\n"
    );
    let run = |text: &str| connected(&path, text);
    let (code, said) = run(&right);
    assert_eq!(code, Some(0), "{said}");
    let read = format!("scrape 'vllm' (http://127.0.0.1:{port}/metrics): 2 samples in ");
    assert!(said.contains(&read) && said.contains("pages read: 1, not read: 0"), "{said}");
    let (code, said) = run(&(right + &wrong));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("pages read: 1, not read: 2"), "{said}");
    for (line, target, reason) in [(6, "other", "(status): status 404"), (7, "gone", "(connect): ")]
    {
        let start =
            format!("a.yaml:{line}: error: [input:ai_emitter:ai_emitter.0] scrape '{target}' (");
        let told = said.lines().find(|told| told.contains(&start)).unwrap_or("");
        assert!(told.contains(reason), "{start} {reason}\n{said}");
    }
}
