//! Records through Kafka: bodies as JSON there, parsed JSON under a key here.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use serde_json::{Value, json};

use super::data::{
    log_chunk, logs, metric_chunk, metrics, plain_log, span, text, trace_chunk, traces,
};
use super::receiver::Receiver;
use super::{Bench, Fate, endpoint};
use crate::codec::msgpack::{array_header, ext, map_header};
use crate::codec::records::{EventKind, Events};
use crate::genai::{
    ContextProcessor, ContextSettings, ContextTally, KeyRules, OnFailure, Replacement,
};
use crate::model::Position;

fn filtered(chunk: &[u8], copy_metadata: bool, record_key: Option<&str>) -> Vec<u8> {
    let settings = ContextSettings {
        normalize: false,
        dialects: crate::genai::AddedDialects::NONE,
        keep_originals: true,
        conventions: crate::genai::Conventions::default(),
        correlate: false,
        redact: Vec::new(),
        patterns: Vec::new(),
        replacement: Replacement::Mask,
        mark_findings: false,
        on_failure: OnFailure::Drop,
        keys: KeyRules::default(),
        search_resource: false,
        copy_metadata,
        identify: None,
        baggage: None,
        record_key: record_key.map(str::to_owned),
        position: Position { run: 1, after: 1 },
    };
    let mut tally = ContextTally::default();
    let out = ContextProcessor::new(settings).process(chunk, &mut tally);
    out.unwrap_or_else(|| chunk.to_vec())
}

/// What the filter in front of Kafka's output makes of a chunk.
fn copied(chunk: &[u8]) -> Vec<u8> {
    filtered(chunk, true, None)
}

/// What the filter behind Kafka's input makes of a chunk.
fn unpacked(chunk: &[u8]) -> Vec<u8> {
    filtered(chunk, false, Some("payload"))
}

/// What Kafka's input makes of what Kafka's output made of a chunk: the output writes each body,
/// with the time, as JSON; the input parses that, beside what it knows of the message.
fn through_kafka(chunk: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for event in Events::new(chunk) {
        let event = event.unwrap();
        if event.kind != EventKind::Record {
            continue;
        }
        let body: Value = rmp_serde::from_slice(event.body).unwrap();
        let message = body.to_string();
        let Value::Object(body) = serde_json::from_str(&message).unwrap() else { panic!() };
        let seconds = f64::from(event.time.seconds) + f64::from(event.time.nanos) / 1e9;
        let mut payload = serde_json::Map::new();
        payload.insert("@timestamp".to_owned(), json!(seconds));
        payload.extend(body);
        let record = json!({ "topic": "ai", "partition": 0, "offset": 7, "error": null,
            "key": null, "payload": payload });
        array_header(&mut out, 2);
        array_header(&mut out, 2);
        ext(&mut out, 0, &[0x7f, 0, 0, 0, 0, 0, 0, 0]);
        map_header(&mut out, 0);
        out.extend(rmp_serde::to_vec(&record).unwrap());
    }
    out
}

#[test]
fn telemetry_is_whole_after_kafka() {
    let receiver = Receiver::accepting();
    let bench = Bench::new(vec![endpoint("main", &receiver)]);
    let mut one = span(1, vec![text("gen_ai.request.model", "m"), text("k", "\u{e4}\"\n")]);
    one.start_time_unix_nano = 1_700_000_000_123_456_789;
    let spans = traces(vec![one, span(2, vec![])]);
    let points = metrics(3);
    let mut records = logs(&["a", "b"]);
    let record = &mut records.resource_logs[0].scope_logs[0].log_records[1];
    (record.trace_id, record.span_id) = (vec![0xff; 16], vec![0xfe; 8]);
    record.attributes = vec![text("k", "v")];
    let mut chunk = trace_chunk(&spans);
    chunk.extend(metric_chunk(&points));
    chunk.extend(log_chunk(&records));
    let copy = copied(&chunk);
    // The copy does not make a second one, and harms nobody who does not take it out.
    assert_eq!(copied(&copy), copy);
    assert_eq!(bench.deliver(1, &unpacked(&through_kafka(&copy))), Fate::Done);
    assert_eq!(receiver.messages::<ExportTraceServiceRequest>("traces"), [spans]);
    assert_eq!(receiver.messages::<ExportMetricsServiceRequest>("metrics"), [points]);
    assert_eq!(receiver.messages::<ExportLogsServiceRequest>("logs"), [records]);
}

#[test]
fn ordinary_logs_and_strangers_go_on_as_logs() {
    let receiver = Receiver::accepting();
    let bench = Bench::new(vec![endpoint("main", &receiver)]);
    let mut chunk = through_kafka(&copied(&plain_log("words")));
    // A message that is no JSON, a record with no payload, one that is broken.
    let strange = json!({ "topic": "ai", "payload": "no json" });
    array_header(&mut chunk, 2);
    array_header(&mut chunk, 2);
    ext(&mut chunk, 0, &[0x7f, 0, 0, 0, 0, 0, 0, 0]);
    map_header(&mut chunk, 0);
    chunk.extend(rmp_serde::to_vec(&strange).unwrap());
    chunk.extend(plain_log("neighbour"));
    chunk.extend([0xc1; 3]);
    assert_eq!(bench.deliver(2, &unpacked(&chunk)), Fate::Done);
    let got: Vec<ExportLogsServiceRequest> = receiver.messages("logs");
    let records: Vec<_> = got
        .iter()
        .flat_map(|request| &request.resource_logs)
        .flat_map(|resource| &resource.scope_logs)
        .flat_map(|scope| &scope.log_records)
        .collect();
    assert_eq!(records.len(), 3);
    assert_eq!(records[0].time_unix_nano, 5_000_000_000);
    assert_eq!(records[0].severity_text, "error");
    let body = |n: usize| records[n].body.clone().unwrap().value.unwrap();
    assert_eq!(body(0), AnyValue::StringValue("words".to_owned()));
    assert!(format!("{:?}", body(1)).contains("no json"));
    assert_eq!(body(2), AnyValue::StringValue("neighbour".to_owned()));
    assert_eq!(bench.count("exporter_skipped_items_total", &["undecodable"]), 1);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_unpacked_without_harm(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80),
    ) {
        let mut chunk = through_kafka(&copied(&plain_log("words")));
        let length = chunk.len();
        chunk.extend(&bytes);
        let out = unpacked(&chunk);
        proptest::prop_assert!(out.len() <= chunk.len());
        proptest::prop_assert!(Events::new(&out).next().unwrap().is_ok());
        let start = length.saturating_sub(bytes.len());
        chunk.truncate(length);
        chunk[start..].iter_mut().zip(&bytes).for_each(|(to, from)| *to = *from);
        let _unpacked = unpacked(&chunk);
    }
}
