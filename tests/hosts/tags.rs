//! Tags of resources, profiles, and fields of newer protocol versions, through whole hosts.

use std::time::Duration;

use crate::client::Client;
use crate::faults::scripted::{Act, Faulty};
use crate::hosts::{RunningHost, free_port};
use crate::shapes::MARK;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, alone, linked, together};

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const PROFILES: &str =
    "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";

/// Appends a field of bytes.
fn field(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    let varint = |out: &mut Vec<u8>, mut value: u64| {
        while value >= 0x80 {
            out.push((value as u8) | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    };
    varint(out, u64::from((number << 3) | 2));
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn message(fields: &[(u32, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, content) in fields {
        field(&mut out, *number, content);
    }
    out
}

/// A `ResourceSpans` of a team whose spans have these ids and a name of so many bytes. Every
/// message has a field that no protocol version knows yet.
fn resource_spans(team: &str, ids: std::ops::Range<u64>, name: usize) -> Vec<u8> {
    let unknown: (u32, &[u8]) = (777, b"from the future");
    let value = message(&[(1, team.as_bytes()), unknown]);
    let pair = message(&[(1, b"team"), (2, &value), unknown]);
    let resource = message(&[(1, &pair), unknown]);
    let mut scope = message(&[unknown]);
    let name = "n".repeat(name);
    for id in ids {
        let id = (id + 1).to_be_bytes();
        let span = message(&[(1, &[7; 16]), (2, &id), (5, name.as_bytes()), unknown]);
        field(&mut scope, 2, &span);
    }
    message(&[(1, &resource), (2, &scope), unknown])
}

fn count(haystack: &[u8], needle: &[u8]) -> usize {
    memchr::memmem::find_iter(haystack, needle).count()
}

fn output(tag: &str, port: u16) -> Vec<String> {
    vec![
        "name: multi_otlp".to_owned(),
        format!("match: '{tag}'"),
        format!("endpoint.one.url: http://127.0.0.1:{port}"),
    ]
}

fn with_output(pipeline: Pipeline, tag: &str, port: u16) -> Pipeline {
    let lines = output(tag, port);
    pipeline.output(&lines.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Scenario: one request with resources of two teams, `tag_from: resource.team`, an output for each
/// tag; a request of profiles over HTTP and gRPC. Guarantees: each output gets its team's spans with
/// all unknown fields, and the profiles arrive byte by byte.
#[tokio::test(flavor = "multi_thread")]
async fn each_tag_goes_its_way() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let a = Sink::start(0, Keep::Requests).await;
        let b = Sink::start(0, Keep::Requests).await;
        let (http, grpc) = (free_port(), free_port());
        let pipeline = Pipeline::default()
            .otlp_in(http, grpc)
            .input_option("tag_from: resource.team")
            .input_option("profiles: accept")
            .input_option("tag_profiles: flames")
            .input_option("tag_fallback: flames");
        let pipeline = with_output(pipeline, "ai.a", a.port);
        let pipeline = with_output(pipeline, "ai.b", b.port);
        let pipeline = with_output(pipeline, "flames", b.port);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        let (first, second) = (resource_spans("a", 0..3, 5), resource_spans("b", 3..5, 5));
        let request = message(&[(1, &first), (1, &second)]);
        let profile = message(&[(2, &[]), (777, b"new")]);
        let profiles = message(&[(1, &message(&[(2, &message(&[(2, &profile)]))])), (2, b"")]);
        for over_grpc in [false, true] {
            let port = if over_grpc { grpc } else { http };
            let mut client = Client::connect(port, over_grpc).await.unwrap();
            client.send("/v1/traces", TRACES, request.clone()).await.unwrap();
            client.send("/v1development/profiles", PROFILES, profiles.clone()).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        for (sink, envelope, spans) in [(&a, &first, 3), (&b, &second, 2)] {
            let received = sink.received.lock().unwrap();
            let bytes = received.requests.get("/v1/traces").expect("traces").concat();
            let unknown = |bytes: &[u8]| count(bytes, b"from the future");
            assert_eq!(count(&bytes, &[&[0x0a, 16][..], &[7; 16]].concat()), 2 * spans);
            // Two equal requests in one chunk may share their envelopes.
            assert!(unknown(&bytes) >= unknown(envelope) + spans, "{}", host.title());
            assert!(unknown(&bytes) <= 2 * unknown(envelope), "{}", host.title());
        }
        let received = b.received.lock().unwrap();
        let got = received.requests.get("/v1development/profiles").expect("profiles");
        assert_eq!(got.len(), 2, "{}: {log}", host.title());
        assert!(got.iter().all(|request| *request == profiles), "{}", host.title());
        assert!(!a.received.lock().unwrap().requests.contains_key("/v1development/profiles"));
    }
}

/// Scenario: a request of three teams, of which the first fills the input's buffers, so that the host
/// pauses the input in the midst of it; then another request. Guarantees: the first is stored whole,
/// the second is refused, goes in when the pause is over, and every span arrives exactly once.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_several_tags_is_stored_whole_although_the_host_pauses() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let (http, grpc, down) = (free_port(), free_port(), free_port());
        let pipeline = Pipeline::default()
            .service("scheduler.base: 1")
            .service("scheduler.cap: 2")
            .otlp_in(http, grpc)
            .input_option("mem_buf_limit: 1M")
            .input_option("tag_from: team")
            .otlp_out(&[("one", down, "http/protobuf")]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        let (first, second) = (resource_spans("a", 0..20, 100_000), resource_spans("b", 20..22, 5));
        let third = resource_spans("c", 22..24, 5);
        let request = message(&[(1, &first), (1, &second), (1, &third)]);
        let mut client = Client::connect(http, false).await.unwrap();
        client.send("/v1/traces", TRACES, request).await.unwrap();
        let request = message(&[(1, &resource_spans("b", 24..25, 5))]);
        let refused = client.send("/v1/traces", TRACES, request.clone()).await.unwrap_err();
        assert!(refused.starts_with("503"), "{}: {refused}", host.title());
        let sink = Sink::start(down, Keep::Requests).await;
        let mut attempts = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let mut client = Client::connect(http, false).await.unwrap();
            match client.send("/v1/traces", TRACES, request.clone()).await {
                Ok(()) => break,
                Err(error) => assert!(attempts < 40, "{}: {error}", host.title()),
            }
            attempts += 1;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        let received = sink.received.lock().unwrap();
        let bytes = received.requests.get("/v1/traces").expect("traces").concat();
        for id in 0..25_u64 {
            let id = [&[0x12, 8][..], &(id + 1).to_be_bytes()].concat();
            assert_eq!(count(&bytes, &id), 1, "{} {id:?}: {log}", host.title());
        }
    }
}

/// Scenario: 80 tags, so that there are 80 small chunks, and an endpoint that takes 300 ms for each
/// answer, with the default number of workers. Guarantees: the chunks do not go one round trip after
/// the other, and each arrives once.
#[tokio::test(flavor = "multi_thread")]
async fn many_tags_reach_a_distant_endpoint() {
    const TAGS: u64 = 80;
    let _alone = alone();
    let plugins = linked();
    for host in all_hosts() {
        let (http, grpc, far) = (free_port(), free_port(), free_port());
        let endpoint = Faulty::start(far, |_, _| Act::Slow, false).await;
        let pipeline = Pipeline::default()
            .otlp_in(http, grpc)
            .input_option("tag_from: resource.team")
            .otlp_out(&[("far", far, "http/protobuf")]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        let mut request = Vec::new();
        for number in 0..TAGS {
            let id = (MARK | number) - 1;
            field(&mut request, 1, &resource_spans(&format!("t{number}"), id..id + 1, 20));
        }
        let mut client = Client::connect(http, false).await.unwrap();
        client.send("/v1/traces", TRACES, request).await.unwrap();
        let start = std::time::Instant::now();
        while endpoint.distinct() < TAGS
            && start.elapsed() < testkit::at_most(Duration::from_secs(40))
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        let got = endpoint.got.lock().unwrap();
        assert_eq!(got.numbers, vec![1; TAGS as usize], "{}: {log}", host.title());
        // One after the other on two workers would be 12 seconds.
        let took = got.took();
        assert!(took < Duration::from_secs(5), "{}: {took:?}\n{log}", host.title());
    }
}
