//! Test data: real captures and hand-made logs, and records read back as JSON.

use fluent_bit_ai::codec::msgpack::{self, MapView, Reader, Token, elements};
use fluent_bit_ai::codec::records::{
    Event, EventKind, Events, LogOptions, RequestBuilder, logs_to_records, metrics_to_records,
    traces_to_records,
};
use fluent_bit_ai::model::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::Deserialize;
use serde_json::{Value, json};

/// Appends any JSON value.
pub(crate) fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => msgpack::nil(out),
        Value::Bool(value) => msgpack::bool(out, *value),
        Value::Number(number) => match number.as_i64() {
            Some(int) => msgpack::int(out, int),
            None => msgpack::f64(out, number.as_f64().unwrap()),
        },
        Value::String(text) => msgpack::str(out, text),
        Value::Array(list) => {
            msgpack::array_header(out, u32::try_from(list.len()).unwrap());
            list.iter().for_each(|element| encode(element, out));
        }
        Value::Object(map) => {
            msgpack::map_header(out, u32::try_from(map.len()).unwrap());
            for (key, value) in map {
                msgpack::str(out, key);
                encode(value, out);
            }
        }
    }
}

/// Appends the event `[[time, metadata], body]`.
pub(crate) fn event(metadata: &Value, body: &Value, out: &mut Vec<u8>) {
    msgpack::array_header(out, 2);
    msgpack::array_header(out, 2);
    msgpack::ext(out, 0, &[0x66, 0, 0, 0, 0, 0, 0, 7]);
    encode(metadata, out);
    encode(body, out);
}

/// A value as JSON: bytes as hex text.
pub(crate) fn decode(encoded: &[u8]) -> Value {
    match Reader::new(encoded).token().unwrap() {
        Token::Nil => Value::Null,
        Token::Bool(value) => Value::from(value),
        Token::Uint(value) => Value::from(value),
        Token::Int(value) => Value::from(value),
        Token::Float(value) => Value::from(value),
        Token::Str(text) => Value::from(std::str::from_utf8(text).unwrap()),
        Token::Bin(bytes) => {
            Value::from(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
        Token::Ext(kind, bytes) => json!({ "ext": kind, "bytes": bytes }),
        Token::Array(_) => elements(encoded).map(decode).collect(),
        Token::Map(_) => Value::Object(
            MapView::new(encoded)
                .map(|pair| (String::from_utf8_lossy(pair.key).into_owned(), decode(pair.value)))
                .collect(),
        ),
    }
}

/// One record as JSON.
pub(crate) struct Read {
    pub(crate) metadata: Value,
    pub(crate) body: Value,
}

/// All records of a chunk.
pub(crate) fn read(chunk: &[u8]) -> Vec<Read> {
    let events: Vec<Event<'_>> = Events::new(chunk).map(Result::unwrap).collect();
    events
        .iter()
        .filter(|event| event.kind == EventKind::Record)
        .map(|event| Read {
            metadata: if event.metadata.is_empty() { Value::Null } else { decode(event.metadata) },
            body: decode(event.body),
        })
        .collect()
}

/// The items of a capture, one OTLP/JSON request per line, as telemetry records of one signal:
/// `span`, `metric` or `log`.
pub(crate) fn capture(file: &str, signal: &str) -> Vec<u8> {
    let path = format!("{}/tests/data/genai/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut chunk = Vec::new();
    for line in text.lines() {
        let request: Value = serde_json::from_str(line).unwrap();
        let body = &request["body"];
        match (signal, request["path"].as_str().unwrap()) {
            ("span", "/v1/traces") => {
                let request = ExportTraceServiceRequest::deserialize(body).unwrap().encode_to_vec();
                traces_to_records(&request, &mut chunk).unwrap();
            }
            ("metric", "/v1/metrics") => {
                let request =
                    ExportMetricsServiceRequest::deserialize(body).unwrap().encode_to_vec();
                metrics_to_records(&request, &mut chunk, 1).unwrap();
            }
            ("log", "/v1/logs") => {
                let request = ExportLogsServiceRequest::deserialize(body).unwrap().encode_to_vec();
                let options = LogOptions { groups: true, first_group: 1, now_unix_nanos: 1 };
                logs_to_records(&request, &mut chunk, options).unwrap();
            }
            _ => {}
        }
    }
    chunk
}

/// The records of one signal as the OTLP request that they become again.
pub(crate) fn request(chunk: &[u8], signal: Signal) -> Vec<u8> {
    let mut builder = RequestBuilder::new(signal);
    for event in Events::new(chunk).map(Result::unwrap) {
        if let Some(telemetry) = event.telemetry().filter(|_| event.kind == EventKind::Record) {
            builder.push(&event, &telemetry).unwrap();
        }
    }
    builder.finish()
}
