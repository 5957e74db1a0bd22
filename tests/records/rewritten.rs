//! Records that built-in filters have been at.

use fluent_bit_ai::codec::msgpack::{self, MapView};
use fluent_bit_ai::codec::records::edit::{Pairs, insert_otlp, rebuild_event, set};
use fluent_bit_ai::codec::records::{EncodeError, EventKind, Events, RequestBuilder};
use fluent_bit_ai::model::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use prost::Message;

use crate::generate;
use crate::support::{to_records, to_request};

/// Writes msgpack again with the pairs of maps backwards, the longest headers, and small integers
/// of fields as floats, as Lua leaves them.
fn rewrite(encoded: &[u8], depth: usize, out: &mut Vec<u8>) {
    use msgpack::{Reader, Token};
    match Reader::new(encoded).token().unwrap() {
        Token::Map(0) if depth > 0 => out.push(0x90),
        Token::Map(count) => {
            out.push(0xdf);
            out.extend_from_slice(&count.to_be_bytes());
            let pairs: Vec<_> = MapView::new(encoded).collect();
            for entry in pairs.iter().rev() {
                let key = entry.raw.len() - entry.value.len();
                rewrite(&entry.raw[..key], depth + 1, out);
                // Attribute values keep their types; everything else is a field.
                let attribute =
                    matches!(entry.key, b"attributes" | b"filtered_attributes" | b"metadata");
                if attribute {
                    out.extend_from_slice(entry.value)
                } else {
                    rewrite(entry.value, depth + 1, out)
                }
            }
        }
        Token::Array(count) => {
            out.push(0xdd);
            out.extend_from_slice(&count.to_be_bytes());
            msgpack::elements(encoded).for_each(|element| rewrite(element, depth + 1, out));
        }
        Token::Str(text) => {
            out.push(0xdb);
            out.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
            out.extend_from_slice(text);
        }
        Token::Uint(value) if value < 1 << 53 => msgpack::f64(out, value as f64),
        Token::Int(value) if value > -(1 << 53) => msgpack::f64(out, value as f64),
        _ => out.extend_from_slice(encoded),
    }
}

fn rewritten(chunk: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for event in Events::new(chunk).map(Result::unwrap) {
        if event.kind != EventKind::Record {
            continue;
        }
        let (mut metadata, mut body) = (Vec::new(), Vec::new());
        rewrite(event.metadata, 0, &mut metadata);
        if event.telemetry().unwrap().signal == Some(Signal::Logs) {
            body.extend_from_slice(event.body);
        } else {
            rewrite(event.body, 0, &mut body);
        }
        rebuild_event(&event, &metadata, &body, &mut out);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn order_headers_and_types_of_numbers_do_not_matter(traces in generate::traces(), metrics in generate::metrics(), logs in generate::logs()) {
        let there = |signal, request: Vec<u8>| {
            let mut chunk = Vec::new();
            to_records(signal, &request, &mut chunk).unwrap();
            (to_request(signal, &chunk).0, to_request(signal, &rewritten(&chunk)).0)
        };
        let (plain, changed) = there(Signal::Traces, traces.encode_to_vec());
        prop_assert_eq!(ExportTraceServiceRequest::decode(changed.as_slice()), ExportTraceServiceRequest::decode(plain.as_slice()));
        let (plain, changed) = there(Signal::Metrics, metrics.encode_to_vec());
        prop_assert_eq!(ExportMetricsServiceRequest::decode(changed.as_slice()), ExportMetricsServiceRequest::decode(plain.as_slice()));
        let (plain, changed) = there(Signal::Logs, logs.encode_to_vec());
        prop_assert_eq!(ExportLogsServiceRequest::decode(changed.as_slice()), ExportLogsServiceRequest::decode(plain.as_slice()));
    }
}

/// A chunk of one generated item.
fn chunk_of(signal: Signal) -> Vec<u8> {
    let mut runner = TestRunner::deterministic();
    loop {
        let request = match signal {
            Signal::Traces => {
                generate::traces().new_tree(&mut runner).unwrap().current().encode_to_vec()
            }
            Signal::Metrics => {
                generate::metrics().new_tree(&mut runner).unwrap().current().encode_to_vec()
            }
            Signal::Logs => {
                generate::logs().new_tree(&mut runner).unwrap().current().encode_to_vec()
            }
            Signal::Profiles => unreachable!("one record is one request"),
        };
        let mut chunk = Vec::new();
        to_records(signal, &request, &mut chunk).unwrap();
        if let Some(event) =
            Events::new(&chunk).map(Result::unwrap).find(|event| event.kind == EventKind::Record)
        {
            return event.raw.to_vec();
        }
    }
}

/// The chunk with a pair in its record's body.
fn with_pair(chunk: &[u8], key: &str, value: &[u8]) -> Vec<u8> {
    let event = Events::new(chunk).next().unwrap().unwrap();
    let (mut body, mut out) = (Vec::new(), Vec::new());
    set(event.body, key, value, &mut body);
    rebuild_event(&event, event.metadata, &body, &mut out);
    out
}

fn span(chunk: &[u8]) -> Span {
    let request = to_request(Signal::Traces, chunk).0;
    let request = ExportTraceServiceRequest::decode(request.as_slice()).unwrap();
    request.resource_spans[0].scope_spans[0].spans[0].clone()
}

fn metric(chunk: &[u8]) -> Metric {
    let request = to_request(Signal::Metrics, chunk).0;
    let request = ExportMetricsServiceRequest::decode(request.as_slice()).unwrap();
    request.resource_metrics[0].scope_metrics[0].metrics[0].clone()
}

fn log(chunk: &[u8]) -> LogRecord {
    let request = to_request(Signal::Logs, chunk).0;
    let request = ExportLogsServiceRequest::decode(request.as_slice()).unwrap();
    request.resource_logs[0].scope_logs[0].log_records[0].clone()
}

#[test]
fn keys_that_filters_add_become_attributes_of_spans() {
    let chunk = chunk_of(Signal::Traces);
    let added = with_pair(&with_pair(&chunk, "env", b"\xa4prod"), "pod", b"\x81\xa1a\x05");
    let (before, after) = (span(&chunk), span(&added));
    let more: Vec<String> =
        after.attributes[before.attributes.len()..].iter().map(|pair| pair.key.clone()).collect();
    assert_eq!(more, ["env", "pod"]);
    assert_eq!(Span { attributes: before.attributes.clone(), ..after }, before);
}

#[test]
fn keys_that_filters_add_to_metrics_are_dropped() {
    let chunk = chunk_of(Signal::Metrics);
    assert_eq!(metric(&with_pair(&chunk, "env", b"\xa4prod")), metric(&chunk));
}

#[test]
fn keys_that_filters_add_to_logs_are_in_their_body() {
    let chunk = chunk_of(Signal::Logs);
    let Some(Value::KvlistValue(list)) =
        log(&with_pair(&chunk, "env", b"\xa4prod")).body.unwrap().value
    else {
        panic!()
    };
    assert_eq!(list.values.last().unwrap().key, "env");
}

#[test]
fn text_that_is_not_utf8_is_repaired_and_counted() {
    let chunk = with_pair(&chunk_of(Signal::Traces), "name", b"\xa3a\xffb");
    let event = Events::new(&chunk).next().unwrap().unwrap();
    let mut builder = RequestBuilder::new(Signal::Traces);
    builder.push(&event, &event.telemetry().unwrap()).unwrap();
    assert_eq!(builder.repaired(), 1);
    let request = ExportTraceServiceRequest::decode(builder.finish().as_slice()).unwrap();
    assert_eq!(request.resource_spans[0].scope_spans[0].spans[0].name, "a\u{fffd}b");
}

#[test]
fn integers_that_otlp_cannot_hold_become_text() {
    let mut value = Vec::new();
    msgpack::uint(&mut value, u64::MAX);
    let attributes = span(&with_pair(&chunk_of(Signal::Traces), "big", &value)).attributes;
    let expected = Value::StringValue(u64::MAX.to_string());
    assert_eq!(attributes.last().unwrap().value.as_ref().unwrap().value, Some(expected));
}

#[test]
fn what_cannot_be_exported_is_refused_and_leaves_nothing_behind() {
    let good = chunk_of(Signal::Traces);
    let mut builder = RequestBuilder::new(Signal::Traces);
    let mut push = |chunk: &[u8]| {
        let event = Events::new(chunk).next().unwrap().unwrap();
        builder.push(&event, &event.telemetry().unwrap())
    };
    let error = push(&with_pair(&good, "events", b"\x01")).unwrap_err();
    assert_eq!(error.to_string(), "events: msgpack has another type than expected");
    let error = push(&with_pair(&good, "kind", b"\xa5robot")).unwrap_err();
    assert!(error.to_string().starts_with("kind: the value is outside"), "{error}");
    assert!(push(&with_pair(&good, "trace_id", b"\xa3xyz")).is_err());
    assert!(push(&with_pair(&good, "extra", b"\xc7\x02\x4f\xff\xff")).is_err());
    assert_eq!(push(&chunk_of(Signal::Metrics)), Err(EncodeError::Signal(Signal::Traces)));
    let event = Events::new(&good).next().unwrap().unwrap();
    let (mut newer, mut metadata, mut out) = (Pairs::new(), Vec::new(), Vec::new());
    msgpack::uint(newer.key("v"), 2);
    insert_otlp(event.metadata, &newer, &mut metadata);
    rebuild_event(&event, &metadata, event.body, &mut out);
    assert_eq!(push(&out), Err(EncodeError::Version(2)));
    assert!(builder.is_empty());
    assert_eq!(builder.finish(), b"");
}

#[test]
fn encoded_items_share_envelopes_with_records() {
    let chunk = chunk_of(Signal::Traces);
    let item = span(&chunk);
    let request = to_request(Signal::Traces, &chunk).0;
    let outer =
        ExportTraceServiceRequest::decode(request.as_slice()).unwrap().resource_spans.remove(0);
    let (resource, scope) = (&outer.resource, &outer.scope_spans[0].scope);
    let encode = |encoded: Option<Vec<u8>>| encoded.unwrap_or_default();
    let (resource, scope) = (
        encode(resource.as_ref().map(Message::encode_to_vec)),
        encode(scope.as_ref().map(Message::encode_to_vec)),
    );
    let mut builder = RequestBuilder::new(Signal::Traces);
    let event = Events::new(&chunk).next().unwrap().unwrap();
    builder.push(&event, &event.telemetry().unwrap()).unwrap();
    let inner_url = outer.scope_spans[0].schema_url.clone();
    for url in [outer.schema_url.as_str(), outer.schema_url.as_str(), "https://another"] {
        builder.push_encoded(&resource, url, &scope, &inner_url, &item.encode_to_vec());
    }
    builder.push(&event, &event.telemetry().unwrap()).unwrap();
    assert_eq!(builder.items(), 5);
    let back = ExportTraceServiceRequest::decode(builder.finish().as_slice()).unwrap();
    let counts: Vec<usize> =
        back.resource_spans.iter().map(|outer| outer.scope_spans[0].spans.len()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 5);
    assert_eq!(back.resource_spans.len(), 3);
    assert!(
        back.resource_spans
            .iter()
            .flat_map(|outer| &outer.scope_spans[0].spans)
            .all(|span| *span == item)
    );
}

#[test]
fn a_log_with_an_odd_severity_is_kept() {
    let chunk = chunk_of(Signal::Logs);
    let event = Events::new(&chunk).next().unwrap().unwrap();
    let (mut odd, mut metadata, mut out) = (Pairs::new(), Vec::new(), Vec::new());
    odd.text("severity_number", "high");
    odd.push("", &[0x81, 0xa1, b'x', 0x01]);
    insert_otlp(event.metadata, &odd, &mut metadata);
    rebuild_event(&event, &metadata, event.body, &mut out);
    let event = Events::new(&out).next().unwrap().unwrap();
    let mut builder = RequestBuilder::new(Signal::Logs);
    builder.push(&event, &event.telemetry().unwrap()).unwrap();
    assert_eq!(builder.repaired(), 1);
    let back = ExportLogsServiceRequest::decode(builder.finish().as_slice()).unwrap();
    let back = &back.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!(*back, LogRecord { severity_number: 0, ..log(&chunk) });
}
