//! Fields of newer protocol versions, in every message of every signal.

use fluent_bit_ai::codec::wire::{self, WireFields, WireValue};
use fluent_bit_ai::model::Signal;
use proptest::prelude::*;
use prost::Message as _;

use super::generate;
use super::support::{to_records, to_request};

/// A message of opentelemetry-proto 1.11: its fields that are messages.
type Type = &'static [(u32, Kind)];

/// Which message a field is; by name, because they refer to each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Resource,
    EntityRef,
    Scope,
    Pair,
    Value,
    Array,
    Pairs,
    ResourceSpans,
    ScopeSpans,
    Span,
    SpanEvent,
    Link,
    Status,
    ResourceMetrics,
    ScopeMetrics,
    Metric,
    Gauge,
    Sum,
    Histogram,
    Exponential,
    Summary,
    Number,
    HistogramPoint,
    ExponentialPoint,
    SummaryPoint,
    Buckets,
    Quantile,
    Exemplar,
    ResourceLogs,
    ScopeLogs,
    Log,
    Request,
}

use Kind::*;

const fn fields_of(kind: Kind) -> Type {
    match kind {
        Resource => &[(1, Pair), (3, EntityRef)],
        Scope => &[(3, Pair)],
        Pair => &[(2, Value)],
        Value => &[(5, Array), (6, Pairs)],
        Array => &[(1, Value)],
        Pairs => &[(1, Pair)],
        ResourceSpans => &[(1, Resource), (2, ScopeSpans)],
        ScopeSpans => &[(1, Scope), (2, Span)],
        Span => &[(9, Pair), (11, SpanEvent), (13, Link), (15, Status)],
        SpanEvent => &[(3, Pair)],
        Link => &[(4, Pair)],
        ResourceMetrics => &[(1, Resource), (2, ScopeMetrics)],
        ScopeMetrics => &[(1, Scope), (2, Metric)],
        Metric => {
            &[(5, Gauge), (7, Sum), (9, Histogram), (10, Exponential), (11, Summary), (12, Pair)]
        }
        Gauge | Sum => &[(1, Number)],
        Histogram => &[(1, HistogramPoint)],
        Exponential => &[(1, ExponentialPoint)],
        Summary => &[(1, SummaryPoint)],
        Number => &[(5, Exemplar), (7, Pair)],
        HistogramPoint => &[(8, Exemplar), (9, Pair)],
        ExponentialPoint => &[(1, Pair), (8, Buckets), (9, Buckets), (11, Exemplar)],
        SummaryPoint => &[(6, Quantile), (7, Pair)],
        Exemplar => &[(7, Pair)],
        ResourceLogs => &[(1, Resource), (2, ScopeLogs)],
        ScopeLogs => &[(1, Scope), (2, Log)],
        Log => &[(5, Value), (6, Pair)],
        EntityRef | Status | Buckets | Quantile | Request => &[],
    }
}

/// The number of the field that nobody knows. Its values tell the places apart.
const UNKNOWN: u32 = 4095;
/// The mark of the request itself.
const OF_REQUEST: u32 = u32::MAX;

fn messages(message: &[u8], number: u32) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut fields = WireFields::new(message);
    while let Some(field) = fields.read().unwrap() {
        if let (true, WireValue::Bytes(content)) = (field.number == number, field.value) {
            found.push(content);
        }
    }
    found
}

/// Envelopes without items have no record, so what is in them has no place.
fn has_items(message: &[u8], kind: Kind) -> bool {
    match kind {
        ResourceSpans | ResourceMetrics | ResourceLogs => {
            messages(message, 2).iter().any(|scope| !messages(scope, 2).is_empty())
        }
        ScopeSpans | ScopeMetrics | ScopeLogs => !messages(message, 2).is_empty(),
        _ => true,
    }
}

/// The message with an unknown field in it and in every message within.
fn marked(message: &[u8], kind: Kind, marks: &mut Vec<(u32, Kind)>) -> Vec<u8> {
    if !has_items(message, kind) {
        return message.to_vec();
    }
    let mut out = Vec::new();
    let mut fields = WireFields::new(message);
    while let Some(field) = fields.read().unwrap() {
        let inner = fields_of(kind).iter().find(|(number, _)| *number == field.number);
        match (inner, field.value) {
            (Some((number, inner)), WireValue::Bytes(content)) => {
                wire::bytes(&mut out, *number, &marked(content, *inner, marks));
            }
            _ => out.extend_from_slice(field.raw),
        }
    }
    let mark = u32::try_from(marks.len()).unwrap();
    marks.push((mark, kind));
    wire::fixed32(&mut out, UNKNOWN, mark);
    out
}

/// The marks in a message, each with the message that it is in.
fn found(message: &[u8], kind: Kind, marks: &mut Vec<(u32, Kind)>) {
    let mut fields = WireFields::new(message);
    while let Some(field) = fields.read().unwrap() {
        let inner = fields_of(kind).iter().find(|(number, _)| *number == field.number);
        match (inner, field.value) {
            (Some((_, inner)), WireValue::Bytes(content)) => found(content, *inner, marks),
            (_, WireValue::Fixed32(mark)) if field.number == UNKNOWN => marks.push((mark, kind)),
            _ => {}
        }
    }
}

/// Marks every message of a request, sends it through records, and says where the marks were and
/// where they are.
fn through(signal: Signal, request: &[u8], kind: Kind) -> [Vec<(u32, Kind)>; 2] {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut with = Vec::new();
    let envelopes = messages(request, 1);
    let last = envelopes.len() / 2;
    for (index, envelope) in envelopes.iter().enumerate() {
        // Beside the envelopes too: in the midst of them, so that it is not known at the first.
        if index == last && envelopes.iter().any(|envelope| has_items(envelope, kind)) {
            wire::fixed32(&mut with, UNKNOWN, OF_REQUEST);
            before.push((OF_REQUEST, Request));
        }
        wire::bytes(&mut with, 1, &marked(envelope, kind, &mut before));
    }
    let mut chunk = Vec::new();
    let done = to_records(signal, &with, &mut chunk).unwrap();
    assert_eq!(done.rejected, 0, "{:?}", done.reason);
    let back = to_request(signal, &chunk).0;
    for envelope in messages(&back, 1) {
        found(envelope, kind, &mut after);
    }
    found(&back, Request, &mut after);
    before.sort_unstable_by_key(|(mark, _)| *mark);
    after.sort_unstable_by_key(|(mark, _)| *mark);
    [before, after]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn of_traces(request in generate::traces()) {
        let [before, after] = through(Signal::Traces, &request.encode_to_vec(), ResourceSpans);
        prop_assert_eq!(after, before);
    }

    #[test]
    fn of_metrics(request in generate::metrics()) {
        let [before, after] = through(Signal::Metrics, &request.encode_to_vec(), ResourceMetrics);
        prop_assert_eq!(after, before);
    }

    #[test]
    fn of_logs(request in generate::logs()) {
        let [before, after] = through(Signal::Logs, &request.encode_to_vec(), ResourceLogs);
        prop_assert_eq!(after, before);
    }
}

/// Requests with a span each, of two resources, and a field of the request itself.
fn request(resources: &[&[u8]], field: &[u8]) -> Vec<u8> {
    let mut span = Vec::new();
    wire::bytes(&mut span, 1, &[1; 16]);
    wire::bytes(&mut span, 2, &[2; 8]);
    let (mut scope, mut request) = (Vec::new(), Vec::new());
    wire::bytes(&mut scope, 2, &span);
    for header in resources {
        let mut resource = Vec::new();
        wire::bytes(&mut resource, 1, header);
        wire::bytes(&mut resource, 2, &scope);
        wire::bytes(&mut request, 1, &resource);
    }
    request.extend_from_slice(field);
    request
}

/// A field of the request itself comes out once, whatever is in the request; those of requests that
/// are sent on together come out each.
#[test]
fn fields_of_requests_come_out_once() {
    let (mut one, mut two) = (Vec::new(), Vec::new());
    wire::fixed32(&mut one, UNKNOWN, 7);
    wire::bytes(&mut two, UNKNOWN, b"two");
    let dropped = b"\x10\x05";
    for resources in [&[&b""[..]][..], &[b"", b""], &[dropped, b"", dropped]] {
        let (mut chunk, with) = (Vec::new(), request(resources, &one));
        to_records(Signal::Traces, &with, &mut chunk).unwrap();
        assert_eq!(to_request(Signal::Traces, &chunk).0, with);
    }
    let mut chunk = Vec::new();
    for field in [&one, &two] {
        to_records(Signal::Traces, &request(&[dropped], field), &mut chunk).unwrap();
    }
    let back = to_request(Signal::Traces, &chunk).0;
    assert!(back.ends_with(&[one, two].concat()), "{back:x?}");
}

/// Every record holds the fields of its request, so that long ones are left out and said to be.
#[test]
fn long_fields_of_requests_are_lost_and_counted() {
    let (known, mut field) = (request(&[b""], b""), Vec::new());
    wire::bytes(&mut field, UNKNOWN, &[0; 2000]);
    let mut chunk = Vec::new();
    let done = to_records(Signal::Traces, &request(&[b""], &field), &mut chunk).unwrap();
    assert_eq!((done.items, done.lost_fields), (1, field.len()));
    assert_eq!(to_request(Signal::Traces, &chunk).0, known);
}
