//! What an endpoint has acknowledged can be made whole from what it has acknowledged.

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use prost::Message;

use super::*;
use crate::export::tests::data::{logs, span, text, traces};
use crate::stats::Counters;

const SYSTEM: &str = "gen_ai.system_instructions";
const TOOLS: &str = "gen_ai.tool.definitions";
const WINDOW: u64 = 10;

fn settings() -> DeduplicationSettings {
    DeduplicationSettings {
        names: [SYSTEM, "gen_ai.tool.*"].map(AttributeKey::parse).to_vec(),
        window: Duration::from_nanos(WINDOW),
        min_size: 200,
    }
}

fn meters() -> EndpointCounters {
    EndpointCounters::new(&Counters::default(), "main")
}

fn body(number: u8) -> String {
    format!("You are assistant {number}. ").repeat(20)
}

fn list(name: &str, number: u8) -> KeyValue {
    let values = vec![AnyValue { value: Some(Value::StringValue(body(number))) }];
    let value = Some(AnyValue { value: Some(Value::ArrayValue(ArrayValue { values })) });
    KeyValue { key: name.to_owned(), value, ..KeyValue::default() }
}

fn span_at(time: u64, attributes: Vec<KeyValue>) -> Span {
    Span { start_time_unix_nano: time, ..span(1, attributes) }
}

fn request(spans: Vec<Span>) -> EncodedRequest {
    let items = spans.len();
    EncodedRequest::new(Signal::Traces, items, traces(spans).encode_to_vec())
}

fn spans(request: &EncodedRequest) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(request.bytes()).unwrap();
    let resources = request.resource_spans.into_iter();
    resources.flat_map(|all| all.scope_spans).flat_map(|all| all.spans).collect()
}

fn keys(span: &Span) -> Vec<&str> {
    span.attributes.iter().map(|pair| pair.key.as_str()).collect()
}

fn tenant(name: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(
        http::HeaderName::from_static("x-tenant"),
        http::HeaderValue::from_static(name),
    )])
}

#[test]
fn a_content_goes_once_and_then_by_its_address() {
    let (contents, meters) = (Deduplicator::new(&settings()), meters());
    let large = || vec![text("a", "b"), text(SYSTEM, &body(1)), list(TOOLS, 2), text("c", "d")];
    let whole = request(vec![span_at(5, large())]);
    let first = contents.apply(&whole, None).unwrap();
    let sent = spans(&first.request).remove(0);
    let (system, tools) = (format!("{SYSTEM}_ref"), format!("{TOOLS}_ref"));
    assert_eq!(keys(&sent), ["a", SYSTEM, &system, TOOLS, &tools, "c"]);
    let address = format!("sha256:{}", Digest::default().hex(body(1).as_bytes()));
    assert_eq!(sent.attributes[2], text(&system, &address));
    // It is not known to be there before that is said.
    assert_eq!(keys(&spans(&contents.apply(&whole, None).unwrap().request)[0]).len(), 6);
    contents.acknowledge(&first, 0, &meters);
    assert_eq!(meters.deduplicated_values.value(), 0);
    let second = contents.apply(&whole, None).unwrap();
    let short = spans(&second.request).remove(0);
    assert_eq!(keys(&short), ["a", &system, &tools, "c"]);
    assert_eq!(short.attributes[1..3], [sent.attributes[2].clone(), sent.attributes[4].clone()]);
    contents.acknowledge(&second, 0, &meters);
    assert_eq!(meters.deduplicated_values.value(), 2);
    let saved = usize::try_from(meters.deduplicated_bytes.value()).unwrap();
    assert!(saved.abs_diff(whole.size() - second.request.size()) < 20, "{saved}");
    assert!(second.request.items == 1 && !second.request.is_derived);
}

#[test]
fn what_is_small_unlisted_or_timeless_or_has_an_address_stays_as_it_is() {
    let contents = Deduplicator::new(&settings());
    let reference = format!("{SYSTEM}_ref");
    for attributes in [
        vec![text(SYSTEM, "short")],
        vec![text("other", &body(1))],
        vec![text(SYSTEM, &body(1)), text(&reference, "s3://prompts/1.json")],
    ] {
        assert!(contents.apply(&request(vec![span_at(5, attributes)]), None).is_none());
    }
    let large = vec![text(SYSTEM, &body(1))];
    assert!(contents.apply(&request(vec![span_at(0, large.clone())]), None).is_none());
    assert!(contents.apply(&request(Vec::new()), None).is_none());
    let broken = EncodedRequest::new(Signal::Traces, 1, vec![0x0a, 9, 1]);
    assert!(contents.apply(&broken, None).is_none());
    let bytes = traces(vec![span_at(5, large)]).encode_to_vec();
    for signal in [Signal::Metrics, Signal::Profiles] {
        assert!(contents.apply(&EncodedRequest::new(signal, 1, bytes.clone()), None).is_none());
    }
}

#[test]
fn logs_have_their_own_memory_and_time() {
    let (contents, meters) = (Deduplicator::new(&settings()), meters());
    let traces = request(vec![span_at(7, vec![text(SYSTEM, &body(1))])]);
    contents.acknowledge(&contents.apply(&traces, None).unwrap(), 0, &meters);
    let mut all = logs(&["x"]);
    let record = &mut all.resource_logs[0].scope_logs[0].log_records[0];
    record.attributes = vec![text(SYSTEM, &body(1))];
    let logs =
        |all: &ExportLogsServiceRequest| EncodedRequest::new(Signal::Logs, 1, all.encode_to_vec());
    let first = contents.apply(&logs(&all), None).unwrap();
    assert_eq!((first.carried.len(), first.replaced), (1, 0));
    assert_eq!(first.carried[0].1, 7);
    contents.acknowledge(&first, 0, &meters);
    // Without a time of its own a log has the one at which it was observed.
    all.resource_logs[0].scope_logs[0].log_records[0].time_unix_nano = 0;
    assert_eq!(contents.apply(&logs(&all), None).unwrap().replaced, 1);
    all.resource_logs[0].scope_logs[0].log_records[0].observed_time_unix_nano = 99;
    assert_eq!(contents.apply(&logs(&all), None).unwrap().carried[0].1, 99);
}

#[test]
fn other_headers_are_other_readers() {
    let (contents, meters) = (Deduplicator::new(&settings()), meters());
    let whole = request(vec![span_at(5, vec![text(SYSTEM, &body(1))])]);
    let (red, blue) = (tenant("red"), tenant("blue"));
    contents.acknowledge(&contents.apply(&whole, Some(&red)).unwrap(), 0, &meters);
    let replaced = |headers| contents.apply(&whole, headers).unwrap().replaced;
    assert_eq!((replaced(Some(&red)), replaced(Some(&blue)), replaced(None)), (1, 0, 0));
}

/// What comes of one request.
#[derive(Debug, Clone)]
enum Outcome {
    Accepted,
    /// Items were rejected, and these of the others are there, by a bit each.
    Partial(u8),
    /// It did not arrive.
    Failed,
    /// It arrived, and its answer did not.
    Unanswered,
}

#[derive(Debug, Clone)]
enum Step {
    /// A request begins, of spans with a body, a time, a name and whether the body is a text.
    Begin(&'static str, Vec<(u8, u64, &'static str, bool)>),
    /// One of those under way ends.
    End(usize, Outcome),
    /// The process begins anew, and does not learn what comes of requests.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Accepted),
        2 => any::<u8>().prop_map(Outcome::Partial),
        1 => Just(Outcome::Failed),
        1 => Just(Outcome::Unanswered),
    ];
    let names = prop_oneof![Just(TOOLS), Just("gen_ai.tool.annotations")];
    let spans = vec((0..3_u8, 1..40_u64, names, any::<bool>()), 1..5);
    let tenants = prop_oneof![Just("red"), Just("blue")];
    prop_oneof![
        8 => (tenants, spans).prop_map(|(tenant, spans)| Step::Begin(tenant, spans)),
        8 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Step::End(which, outcome)),
        1 => Just(Step::Restart),
    ]
}

/// What an endpoint has stored, by tenant: spans as they came, with what their senders had written.
#[derive(Default)]
struct Stored(HashMap<&'static str, Vec<(Span, Span)>>);

impl Stored {
    fn add(
        &mut self,
        tenant: &'static str,
        sent: &EncodedRequest,
        whole: &EncodedRequest,
        has: u8,
    ) {
        let pairs = spans(sent).into_iter().zip(spans(whole));
        let pairs = pairs.enumerate().filter(|(at, _)| has & (1 << at) != 0);
        self.0.entry(tenant).or_default().extend(pairs.map(|(_, pair)| pair));
    }

    /// A span as its sender wrote it, by the join that the guide describes.
    fn made_whole(&self, tenant: &str, span: &Span) -> Span {
        let mut whole = span.clone();
        whole.attributes.clear();
        for pair in &span.attributes {
            let Some(name) = pair.key.strip_suffix("_ref") else {
                whole.attributes.push(pair.clone());
                continue;
            };
            if keys(span).contains(&name) {
                continue;
            }
            let near = self.0[tenant].iter().map(|(other, _)| other).filter(|other| {
                let distance = other.start_time_unix_nano.abs_diff(span.start_time_unix_nano);
                distance <= WINDOW && other.attributes.contains(pair)
            });
            let mut bodies = near.flat_map(|other| &other.attributes).filter(|p| p.key == name);
            let found = bodies.next().unwrap_or_else(|| panic!("{pair:?} points to nothing"));
            whole.attributes.push(found.clone());
        }
        whole
    }
}

proptest! {
    /// Scenario: requests of two tenants that begin and end in any order, are accepted, accepted in part,
    /// lost, or not answered, with a memory that is too small, restarts, and items of all times.
    /// Guarantees: whatever the endpoint stored can be made what its sender wrote from what it stored.
    #[test]
    fn whatever_is_acknowledged_can_be_made_whole(steps in vec(step(), 1..60)) {
        let (mut contents, meters) = (Deduplicator::with_capacity(&settings(), 3), meters());
        let mut under_way = Vec::new();
        let mut stored = Stored::default();
        for step in steps {
            match step {
                Step::Begin(name, spans) => {
                    let spans = spans.into_iter().map(|(number, time, name, is_text)| {
                        let content =
                            if is_text { text(name, &body(number)) } else { list(name, number) };
                        span_at(time, vec![text("a", "b"), content])
                    });
                    let whole = request(spans.collect());
                    let sent = contents.apply(&whole, Some(&tenant(name))).unwrap();
                    under_way.push((name, whole, sent));
                }
                Step::End(_, _) if under_way.is_empty() => {}
                Step::End(which, outcome) => {
                    let (name, whole, sent) = under_way.swap_remove(which % under_way.len());
                    match outcome {
                        Outcome::Accepted => {
                            stored.add(name, &sent.request, &whole, u8::MAX);
                            contents.acknowledge(&sent, 0, &meters);
                        }
                        Outcome::Partial(has) => {
                            stored.add(name, &sent.request, &whole, has);
                            contents.acknowledge(&sent, 1, &meters);
                        }
                        Outcome::Unanswered => {
                            stored.add(name, &sent.request, &whole, u8::MAX);
                        }
                        Outcome::Failed => {}
                    }
                }
                Step::Restart => {
                    for (name, whole, sent) in under_way.drain(..) {
                        stored.add(name, &sent.request, &whole, u8::MAX);
                    }
                    contents = Deduplicator::with_capacity(&settings(), 3);
                }
            }
        }
        for (name, spans) in &stored.0 {
            for (span, whole) in spans {
                assert_eq!(&stored.made_whole(name, span), whole);
            }
        }
    }
}
