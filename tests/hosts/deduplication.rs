//! Content that repeats goes once to an endpoint that wants it so.
//!
//! | endpoint | what it does | what it gets |
//! |---|---|---|
//! | `whole` | accepts | everything as it was sent |
//! | `once` | accepts | content with the first request of each run, then addresses |
//! | `late` | refuses the first request, then accepts | the same, and nothing that points to what it refused |

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use crate::client::Client;
use crate::hosts::{Host, RunningHost, free_port};
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

const NAMES: [&str; 2] = ["gen_ai.system_instructions", "gen_ai.tool.definitions"];
const SERVICE: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Spans of one request.
const SPANS: usize = 3;

fn content(name: &str) -> String {
    format!("{name} of an assistant that is careful. ").repeat(60)
}

fn pair(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn request(number: u8) -> Vec<u8> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let start = u64::try_from(now.as_nanos()).unwrap();
    let span = |at: usize| Span {
        trace_id: vec![number + 1; 16],
        span_id: vec![u8::try_from(at).unwrap() + 1; 8],
        name: format!("chat {number}"),
        start_time_unix_nano: start,
        end_time_unix_nano: start + 5,
        attributes: NAMES.iter().map(|name| pair(name, &content(name))).collect(),
        ..Span::default()
    };
    let scope_spans =
        vec![ScopeSpans { spans: (0..SPANS).map(span).collect(), ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// The texts of each span's attributes, in the order in which they came.
fn spans(sink: &Sink) -> Vec<HashMap<String, String>> {
    let received = sink.received.lock().unwrap();
    let requests = received.requests.get("/v1/traces").into_iter().flatten();
    let spans = requests
        .flat_map(|r| ExportTraceServiceRequest::decode(r.clone()).unwrap().resource_spans)
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans);
    let text = |pair: KeyValue| match pair.value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => Some((pair.key, text)),
        _ => None,
    };
    spans.map(|span| span.attributes.into_iter().filter_map(text).collect()).collect()
}

/// Sends requests one after the other, each when the one before has arrived everywhere.
async fn run(host: &Host, pipeline: &Pipeline, port: u16, numbers: &[u8], sinks: [&Sink; 3]) {
    let plugins = linked();
    let running = RunningHost::start(host, &pipeline.yaml(plugins.path()), port);
    let mut client = Client::connect(port, false).await.unwrap();
    for number in numbers {
        client.send("/v1/traces", SERVICE, request(*number)).await.unwrap();
        let expected = (usize::from(*number) + 1) * SPANS;
        let start = Instant::now();
        while sinks.iter().any(|sink| spans(sink).len() < expected) {
            let left = start.elapsed() < testkit::at_most(Duration::from_secs(40));
            assert!(left, "{}: request {number}: {}", host.title(), running.log_text());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{}: {log}", host.title());
}

/// Scenario: the same system prompt and tools in three requests and, after a restart, in a fourth, as
/// records and as the host's own structures, for endpoints that want them whole or once, one of which
/// refuses the first request. Guarantees: the one has all as it was sent; the others have it once in each
/// run, and addresses that lead to it.
#[tokio::test(flavor = "multi_thread")]
async fn content_goes_once_and_again_after_a_restart() {
    let _together = together();
    for host in all_hosts() {
        for format in ["records", "native"] {
            let what = format!("{}, {format}", host.title());
            let whole = Sink::start(0, Keep::Requests).await;
            let once = Sink::start(0, Keep::Requests).await;
            let late = Sink::start(0, Keep::RequestsAfter(1)).await;
            let (http, grpc) = (free_port(), free_port());
            let endpoints = [("whole", &whole), ("once", &once), ("late", &late)]
                .map(|(name, sink)| (name, sink.port, "http/protobuf"));
            let pipeline = Pipeline::default()
                .otlp_in(http, grpc)
                .input_option(&format!("format: {format}"))
                .otlp_out(&endpoints)
                .output_option("endpoint.once.deduplicate_content: system, tools")
                .output_option("endpoint.late.deduplicate_content: system, tools");
            let sinks = [&whole, &once, &late];
            run(&host, &pipeline, http, &[0, 1, 2], sinks).await;
            run(&host, &pipeline, http, &[3], sinks).await;
            let all = spans(&whole);
            assert_eq!(all.len(), 4 * SPANS, "{what}");
            for span in &all {
                assert!(NAMES.iter().all(|name| span[*name] == content(name)), "{what}");
                assert!(span.keys().all(|key| !key.ends_with("_ref")), "{what}: {:?}", span.keys());
            }
            for (name, sink) in [("once", &once), ("late", &late)] {
                for attribute in NAMES {
                    let (found, body) = (spans(sink), content(attribute));
                    assert_eq!(found.len(), 4 * SPANS, "{what}: {name}");
                    let reference = format!("{attribute}_ref");
                    let has: Vec<bool> =
                        found.iter().map(|span| span.contains_key(attribute)).collect();
                    let expected = [[true; SPANS], [false; SPANS], [false; SPANS], [true; SPANS]];
                    assert_eq!(has, expected.concat(), "{what}: {name}");
                    let addresses: Vec<&String> =
                        found.iter().map(|span| &span[&reference]).collect();
                    assert!(addresses.iter().all(|address| *address == addresses[0]), "{what}");
                    assert!(addresses[0].starts_with("sha256:"), "{what}");
                    assert!(
                        found.iter().filter_map(|span| span.get(attribute)).all(|b| *b == body)
                    );
                }
            }
            println!("{what}: content once in each run, and addresses that lead to it");
        }
    }
}
