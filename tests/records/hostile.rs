//! Robustness tests: bytes that are not what they should be.

use fluent_bit_ai::codec::records::{DecodeKind, EventKind, Events, fuzz_logic};
use fluent_bit_ai::codec::wire;
use fluent_bit_ai::model::Signal;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use crate::generate;
use crate::support::{to_records, to_request};

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_survived(bytes in vec(any::<u8>(), 0..400)) {
        fuzz_logic::otlp_requests(&bytes);
        fuzz_logic::records(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Changed bytes of valid requests and of valid chunks are survived; what is accepted makes a
    /// request that prost can read.
    #[test]
    fn mutated_requests_are_survived(
        traces in generate::traces(),
        metrics in generate::metrics(),
        logs in generate::logs(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let requests = [
            (Signal::Traces, traces.encode_to_vec()),
            (Signal::Metrics, metrics.encode_to_vec()),
            (Signal::Logs, logs.encode_to_vec()),
        ];
        for (signal, mut request) in requests {
            let mut chunk = Vec::new();
            to_records(signal, &request, &mut chunk).unwrap();
            for (bytes, is_chunk) in [(&mut request, false), (&mut chunk, true)] {
                if bytes.is_empty() {
                    continue;
                }
                for (at, byte) in &changes {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
                if is_chunk {
                    fuzz_logic::records(bytes);
                } else {
                    fuzz_logic::otlp_requests(bytes);
                    let mut out = Vec::new();
                    if to_records(signal, bytes, &mut out).is_ok() {
                        to_request(signal, &out);
                    } else {
                        prop_assert!(out.is_empty());
                    }
                }
                let cut = cut.index(bytes.len());
                fuzz_logic::otlp_requests(&bytes[..cut]);
                fuzz_logic::records(&bytes[..cut]);
            }
        }
    }
}

fn span(index: u8) -> Span {
    Span { trace_id: vec![index; 16], span_id: vec![index; 8], ..Span::default() }
}

fn request(spans: Vec<Span>) -> Vec<u8> {
    let scope_spans = vec![ScopeSpans::default(), ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

#[test]
fn bad_items_are_left_out_and_good_ones_beside_them_kept() {
    let mut spans = vec![span(1), span(2), span(3), span(4), span(5)];
    spans[1].trace_id = vec![0; 16];
    spans[3].span_id = vec![1; 7];
    let mut chunk = b"before".to_vec();
    let done = to_records(Signal::Traces, &request(spans), &mut chunk).unwrap();
    assert_eq!((done.items, done.records, done.events, done.rejected), (3, 3, 3, 2));
    let reason = done.reason.unwrap();
    assert!(
        reason.starts_with("resource_spans[0].scope_spans[1].spans[1].trace_id: a trace id has"),
        "{reason}"
    );
    let chunk = chunk.strip_prefix(b"before").unwrap();
    let back = ExportTraceServiceRequest::decode(to_request(Signal::Traces, chunk).0.as_slice());
    let kept = &back.unwrap().resource_spans[0].scope_spans[0].spans;
    assert_eq!(*kept, [span(1), span(3), span(5)]);
}

/// A span whose attribute `k` is `value`, an encoded `AnyValue`.
fn span_with(value: &[u8]) -> Vec<u8> {
    let (mut item, mut pair) = (span(9).encode_to_vec(), vec![]);
    wire::bytes(&mut pair, 1, b"k");
    wire::bytes(&mut pair, 2, value);
    wire::bytes(&mut item, 9, &pair);
    let (mut scope, mut resource, mut request) = (vec![], vec![], vec![]);
    wire::bytes(&mut scope, 2, &item);
    wire::bytes(&mut scope, 2, &span(1).encode_to_vec());
    wire::bytes(&mut resource, 2, &scope);
    wire::bytes(&mut request, 1, &resource);
    request
}

fn nested(levels: usize) -> Vec<u8> {
    let mut value = Vec::new();
    for _ in 1..levels {
        let (mut array, mut outer) = (vec![], vec![]);
        wire::bytes(&mut array, 1, &value);
        wire::bytes(&mut outer, 5, &array);
        value = outer;
    }
    value
}

#[test]
fn paths_lead_to_the_fault() {
    let rejected = |value: &[u8]| {
        let mut chunk = Vec::new();
        let done = to_records(Signal::Traces, &span_with(value), &mut chunk).unwrap();
        assert_eq!((done.items, done.rejected), (1, 1));
        done.reason.unwrap()
    };
    let at = r#"resource_spans[0].scope_spans[0].spans[0].attributes["k"]"#;
    let reason = rejected(&[0x0a, 1, 0xff]);
    assert!(reason.starts_with(&format!("{at}: the text is not UTF-8 (at byte ")), "{reason}");
    assert!(rejected(&[0x0a, 9]).starts_with(&format!("{at}: protobuf ends in the middle")));
    assert!(rejected(&[0x08, 1]).contains("wire type"));
    assert!(rejected(&[0x2a, 4, 0x0a, 2, 0x10]).contains(r#"attributes["k"]"#));
    assert!(rejected(&nested(65)).contains("nested deeper than 64"));
    let mut chunk = Vec::new();
    let done = to_records(Signal::Traces, &span_with(&nested(64)), &mut chunk).unwrap();
    assert_eq!((done.items, done.rejected), (2, 0));
    to_request(Signal::Traces, &chunk);
}

#[test]
fn a_broken_envelope_refuses_the_request_and_appends_nothing() {
    let mut broken = request(vec![span(1)]);
    wire::uint(&mut broken, 1, 5);
    let mut chunk = b"before".to_vec();
    let error = to_records(Signal::Traces, &broken, &mut chunk).unwrap_err();
    assert_eq!(error.kind, DecodeKind::WireType);
    assert_eq!(error.path, "resource_spans");
    assert_eq!(chunk, b"before");
    let cut = request(vec![span(1)]);
    let error = to_records(Signal::Traces, &cut[..cut.len() - 1], &mut chunk).unwrap_err();
    assert_eq!((error.path.as_str(), chunk.as_slice()), ("request", &b"before"[..]));
    assert!(error.to_string().contains("ends in the middle of a field (at byte 0)"), "{error}");
}

#[test]
fn a_group_without_a_valid_record_is_not_written() {
    let (mut log, mut scope, mut resource, mut request) = (vec![], vec![], vec![], vec![]);
    wire::bytes(&mut log, 3, &[0xff]);
    wire::bytes(&mut scope, 2, &log);
    wire::bytes(&mut resource, 2, &scope);
    wire::bytes(&mut request, 1, &resource);
    let mut chunk = Vec::new();
    let done = to_records(Signal::Logs, &request, &mut chunk).unwrap();
    assert_eq!((done.events, done.rejected, chunk.len()), (0, 1, 0));
    assert_eq!(
        done.reason.unwrap().split(':').next(),
        Some("resource_logs[0].scope_logs[0].log_records[0].severity_text")
    );
}

#[test]
fn rejected_metrics_count_their_data_points() {
    let (mut gauge, mut metric, mut scope, mut resource, mut request) =
        (vec![], vec![], vec![], vec![], vec![]);
    wire::bytes(&mut gauge, 1, &[]);
    wire::bytes(&mut gauge, 1, &[0x08, 1, 0x1a, 0]);
    wire::bytes(&mut metric, 5, &gauge);
    wire::bytes(&mut scope, 2, &metric);
    wire::bytes(&mut resource, 2, &scope);
    wire::bytes(&mut request, 1, &resource);
    let mut chunk = Vec::new();
    let done = to_records(Signal::Metrics, &request, &mut chunk).unwrap();
    assert_eq!((done.items, done.records, done.rejected, chunk.len()), (0, 0, 2, 0));
    assert!(done.reason.unwrap().contains("metrics[0].gauge.data_points[1].time_unix_nano: "));
}

#[test]
fn ids_of_groups_are_not_reused() {
    let (mut scope, mut resource, mut request) = (vec![], vec![], vec![]);
    wire::bytes(&mut scope, 2, &[]);
    wire::bytes(&mut resource, 2, &scope);
    wire::bytes(&mut resource, 2, &scope);
    wire::bytes(&mut request, 1, &resource);
    wire::bytes(&mut request, 1, &resource);
    let mut chunk = Vec::new();
    let done = to_records(Signal::Logs, &request, &mut chunk).unwrap();
    assert_eq!((done.records, done.events, done.groups), (4, 12, 6));
    let ids: Vec<Vec<u8>> = Events::new(&chunk)
        .map(Result::unwrap)
        .filter(|event| event.kind == EventKind::GroupStart)
        .map(|event| event.metadata.iter().copied().filter(|byte| (1..32).contains(byte)).collect())
        .collect();
    assert_eq!(ids, [[7, 8], [7, 9], [10, 11], [10, 12]]);
    assert_eq!(to_request(Signal::Logs, &chunk).1, 4);
}

#[test]
fn a_large_resource_with_many_items_does_not_fill_the_memory() {
    let (mut pair, mut value, mut resource) = (vec![], vec![], vec![]);
    wire::bytes(&mut value, 1, &[b'x'; 1 << 20]);
    wire::bytes(&mut pair, 1, b"k");
    wire::bytes(&mut pair, 2, &value);
    wire::bytes(&mut resource, 1, &pair);
    let (mut outer, mut scope, mut request) = (vec![], vec![], vec![]);
    (0..1000).for_each(|_| wire::bytes(&mut scope, 2, &span(1).encode_to_vec()));
    wire::bytes(&mut outer, 1, &resource);
    wire::bytes(&mut outer, 2, &scope);
    wire::bytes(&mut request, 1, &outer);
    let mut chunk = Vec::new();
    let done = to_records(Signal::Traces, &request, &mut chunk).unwrap();
    assert!((30..40).contains(&done.records), "{}", done.records);
    assert_eq!(done.records + done.rejected, 1000);
    assert!(chunk.len() < 40 << 20);
    assert!(done.reason.unwrap().contains("16 MiB"));
}
