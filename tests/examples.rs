//! The programs of `examples/`: each runs as its first lines say.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]
#![expect(clippy::disallowed_methods, reason = "a receiver has a thread")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;

/// The examples, and all that a test here runs.
const TESTED: [&str; 1] = ["send_span"];

/// The program of an example. `cargo test` builds examples too, unless it is told which tests to build.
fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let program = own.ancestors().nth(2).unwrap().join("examples").join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(format!("{name}.rs"));
    let written = |path: &Path| path.metadata().and_then(|data| data.modified());
    let is_new = written(&program).is_ok_and(|built| built >= written(&source).unwrap());
    assert!(is_new, "{} is missing or old: cargo build --examples", program.display());
    program
}

/// Takes one HTTP/1.1 request, accepts it, and says its path and body.
fn accept_one(listener: &TcpListener) -> (String, Vec<u8>) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut lines = (&mut reader).lines().map(|line| line.unwrap());
    let first = lines.next().unwrap();
    let length = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
        })
        .last()
        .expect("a request with a length");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let answer =
        "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
    stream.write_all(answer.as_bytes()).unwrap();
    (first.split(' ').nth(1).unwrap().to_owned(), body)
}

/// Guarantees: no example is without a test.
#[test]
fn every_example_is_tested() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let stem = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    let found: BTreeSet<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| stem(entry.unwrap().path())).collect();
    assert_eq!(found, TESTED.map(str::to_owned).into());
}

/// Scenario: the example, with the address of a receiver. Guarantees: one span of a model call arrives
/// there, and the program ends well.
#[test]
fn send_span_sends_a_span() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let receiver = thread::spawn(move || accept_one(&listener));
    let output = Command::new(program("send_span")).arg(url).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // It ends well only after an answer, so that the receiver is done.
    let (path, body) = receiver.join().unwrap();
    assert_eq!(path, "/v1/traces");
    let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    let spans: Vec<_> = request
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans)
        .flat_map(|scope| &scope.spans)
        .collect();
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["chat gpt-5"]);
    let model = spans.iter().flat_map(|span| &span.attributes);
    let model = model.filter(|attribute| attribute.key == "gen_ai.request.model");
    let values: Vec<_> = model.filter_map(|attribute| attribute.value.clone()?.value).collect();
    assert_eq!(values, [Value::StringValue("gpt-5".to_owned())]);
}

/// Scenario: nobody listens. Guarantees: the program fails, and does not end as if the span had arrived.
#[test]
fn send_span_fails_where_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let output = Command::new(program("send_span")).arg(url).output().unwrap();
    assert!(!output.status.success());
    assert!(!output.stderr.is_empty());
}
