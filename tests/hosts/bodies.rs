//! Telemetry through outputs that write bodies only, as Kafka's.

use std::collections::HashSet;
use std::io::Write;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::client::Client;
use crate::equality::{arrived, captures, sent};
use crate::hosts::{RunningHost, free_port};
use crate::replay::Captured;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, linked, real_hosts, together};

const PATHS: [&str; 3] = ["/v1/traces", "/v1/metrics", "/v1/logs"];

/// Requests with fields that this version does not know, at every level. Those do not get through.
fn unknown() -> Vec<Captured> {
    let found = PATHS.iter().take(2).map(|path| {
        // Field 1000 with three bytes, after each of the messages that nest by fields 1, 2 and 2.
        let unknown = [0xc2, 0x3e, 3, 0xff, 0x80, 0];
        let message = |fields: &[(u8, Vec<u8>)]| {
            let mut out = Vec::new();
            for (number, content) in fields {
                out.push(number << 3 | 2);
                prost::encoding::encode_varint(content.len() as u64, &mut out);
                out.extend(content);
            }
            out.extend(unknown);
            out
        };
        let item = match *path {
            "/v1/traces" => {
                let id = vec![7_u8; 16];
                message(&[
                    (1, id.clone()),
                    (2, id[..8].to_vec()),
                    (11, message(&[(2, vec![b'e'])])),
                ])
            }
            _ => message(&[(1, vec![b'm']), (5, message(&[(1, message(&[]))]))]),
        };
        let scope = message(&[(1, message(&[(1, vec![b's'])])), (2, item)]);
        let body = message(&[(1, message(&[(1, message(&[])), (2, scope)]))]);
        Captured { path: (*path).to_owned(), body: body[..body.len() - unknown.len()].to_vec() }
    });
    found.collect()
}

/// Items with their numbers rounded: Fluent Bit's JSON has 16 digits of a double, which takes 17.
fn rounded(items: Vec<String>) -> Vec<String> {
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | '+' | '-');
    let word = |word: &str| match word.parse::<f64>() {
        Ok(number) if word.contains('.') => format!("{number:.13e}"),
        _ => word.to_owned(),
    };
    let one = |item: String| {
        let mut out = String::new();
        let mut rest = item.as_str();
        while !rest.is_empty() {
            let end = rest.find(|c| !is_number(c)).unwrap_or(rest.len());
            out.push_str(&word(&rest[..end]));
            let next = rest[end..].find(is_number).map_or(rest.len(), |more| end + more);
            out.push_str(&rest[end..next]);
            rest = &rest[next..];
        }
        out
    };
    let mut items: Vec<String> = items.into_iter().map(one).collect();
    items.sort();
    items
}

/// Whether no span of a request has a key twice, against OTLP's rule: of these JSON keeps one.
fn has_unique_keys(captured: &Captured) -> bool {
    let Ok(request) = ExportTraceServiceRequest::decode(captured.body.as_slice()) else {
        return true;
    };
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).all(|span| {
        let keys: HashSet<&str> = span.attributes.iter().map(|pair| pair.key.as_str()).collect();
        keys.len() == span.attributes.len()
    })
}

/// Scenario: real captures of all signals; Fluent Bit writes the records' bodies as JSON, as its
/// Kafka output does, reads the JSON again and puts each under `payload`, as its Kafka input does.
/// Guarantees: every item arrives as it was sent, but for the last digit of doubles. Needs a real host: that is whose JSON it is.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_alone_are_whole_items() {
    let _together = together();
    let plugins = linked();
    let mut captures = captures();
    captures.retain(|captured| captured.path != "/v1/traces" || has_unique_keys(captured));
    assert!(captures.len() > 60);
    captures.extend(unknown());
    for host in real_hosts() {
        let folder = tempfile::tempdir().unwrap();
        let (http, grpc) = (free_port(), free_port());
        let path = format!("path: {}", folder.path().display());
        let pipeline = Pipeline::default()
            .otlp_in(http, grpc)
            .filter(&[
                "name: ai_context",
                "match: '*'",
                "normalize: off",
                "correlate: off",
                "copy_metadata: on",
            ])
            .output(&["name: file", "match: '*'", &path, "file: messages", "format: plain"]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        let mut client = Client::connect(http, false).await.unwrap();
        for captured in &captures {
            let body = captured.body.clone();
            client.send(&captured.path, captured.service(), body).await.unwrap();
        }
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        let messages = std::fs::read_to_string(folder.path().join("messages")).unwrap();

        let sink = Sink::start(0, Keep::Requests).await;
        let (port, http) = (free_port(), free_port());
        let listen = format!("port: {port}");
        let pipeline = Pipeline::default()
            .input(&[
                "name: tcp",
                "tag: kafka",
                "listen: 127.0.0.1",
                &listen,
                "format: json",
                "chunk_size: 1024",
                "buffer_size: 16384",
            ])
            // The last one to listen: when it does, the other does too.
            .otlp_in(http, free_port())
            .filter(&[
                "name: nest",
                "match: kafka",
                "operation: nest",
                "wildcard: '*'",
                "nest_under: payload",
            ])
            .filter(&[
                "name: ai_context",
                "match: kafka",
                "normalize: off",
                "correlate: off",
                "record_key: payload",
            ])
            .otlp_out(&[("one", sink.port, "http/protobuf")]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(messages.as_bytes()).unwrap();
        let total: usize = PATHS.iter().map(|path| sent(&captures, path, 1).len()).sum();
        sink.settle(total as u64, Duration::from_secs(8), Duration::from_secs(20)).await;
        let (_, log) = running.stop();
        let received = sink.received.lock().unwrap();
        for path in PATHS {
            let left = rounded(sent(&captures, path, 1));
            let right = rounded(arrived(&received, path));
            assert!(
                left == right,
                "{} {path}: sent {} arrived {}; first difference: {:?}\n{log}",
                host.title(),
                left.len(),
                right.len(),
                left.iter().zip(&right).find(|(left, right)| left != right)
            );
        }
    }
}
