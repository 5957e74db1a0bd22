//! Measures the codec on one core: requests of 128 GenAI spans of about 1500 bytes and of 128 log
//! records of about 500, each with one resource.
//!
//! `cargo run --release --example codec_bench` prints nanoseconds per item of each step, the
//! fastest of many rounds (a word as argument chooses steps): what else the machine did meanwhile is not in it.

use std::hint::black_box;
use std::time::Instant;

use fluent_bit_ai::codec::json::{from_protobuf, to_protobuf};
use fluent_bit_ai::codec::records::skim::SpanView;
use fluent_bit_ai::codec::records::{
    Events, LogOptions, Records, RequestBuilder, logs_to_records, traces_to_records,
};
use fluent_bit_ai::model::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

const SPANS: u8 = 128;
const ROUNDS: usize = 200;
const REPEATS: u32 = 15;

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), key_strindex: 0 }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.to_owned()))
}

fn attributes() -> Vec<KeyValue> {
    vec![
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.provider.name", "openai"),
        text("gen_ai.request.model", "gpt-4o-mini"),
        text("gen_ai.response.model", "gpt-4o-mini-2024-07-18"),
        text("gen_ai.response.id", "chatcmpl-9J3uIL87gldCFtiIbyaOvTeYBRA3l"),
        text("gen_ai.conversation.id", "conv_5j66UpCpwteGg4YSxUnt7lPY"),
        text("server.address", "api.openai.com"),
        pair("server.port", Value::IntValue(443)),
        pair("gen_ai.request.temperature", Value::DoubleValue(0.7)),
        pair("gen_ai.request.max_tokens", Value::IntValue(1024)),
        pair("gen_ai.usage.input_tokens", Value::IntValue(412)),
        pair("gen_ai.usage.output_tokens", Value::IntValue(187)),
        text("gen_ai.input.messages", &"What is the weather like in Paris today? ".repeat(6)),
        text("gen_ai.output.messages", &"It is sunny with some clouds, 21 degrees. ".repeat(6)),
    ]
}

fn span(index: u8) -> Span {
    let start = 1_700_000_000_000_000_000 + u64::from(index) * 1_000_000;
    let event = Event {
        time_unix_nano: start + 500,
        name: "gen_ai.client.inference.operation.details".to_owned(),
        attributes: vec![text("gen_ai.system_instructions", &"Be brief. ".repeat(12))],
        dropped_attributes_count: 0,
    };
    Span {
        trace_id: vec![index | 1; 16],
        span_id: vec![index | 1; 8],
        parent_span_id: vec![7; 8],
        flags: 0x101,
        name: "chat gpt-4o-mini".to_owned(),
        kind: 3,
        start_time_unix_nano: start,
        end_time_unix_nano: start + 800_000_000,
        attributes: attributes(),
        events: vec![event],
        status: Some(Status { message: String::new(), code: 1 }),
        ..Span::default()
    }
}

fn resource() -> Resource {
    Resource {
        attributes: vec![
            text("service.name", "assistant"),
            text("service.version", "1.4.2"),
            text("telemetry.sdk.name", "opentelemetry"),
            text("telemetry.sdk.language", "python"),
            text("telemetry.sdk.version", "1.45.0"),
        ],
        ..Resource::default()
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "opentelemetry.instrumentation.openai_v2".to_owned(),
        version: "2.1".to_owned(),
        ..InstrumentationScope::default()
    }
}

fn request() -> Vec<u8> {
    let scope_spans = ScopeSpans {
        scope: Some(scope()),
        spans: (0..SPANS).map(span).collect(),
        schema_url: "https://opentelemetry.io/schemas/1.41.0".to_owned(),
    };
    let resource_spans = ResourceSpans {
        resource: Some(resource()),
        scope_spans: vec![scope_spans],
        schema_url: String::new(),
    };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
}

/// The shortest time of `work` for one item.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock itself")]
fn measure(work: &mut dyn FnMut()) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        (0..REPEATS).for_each(|_| work());
        start.elapsed()
    });
    rounds.min().unwrap_or_default().as_secs_f64() * 1e9 / f64::from(REPEATS) / f64::from(SPANS)
}

fn log_request() -> Vec<u8> {
    let record = |index: u8| LogRecord {
        time_unix_nano: 1_700_000_000_000_000_000 + u64::from(index),
        observed_time_unix_nano: 1_700_000_000_000_001_000 + u64::from(index),
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        body: Some(AnyValue {
            value: Some(Value::StringValue("request finished with status 200 ".repeat(8))),
        }),
        attributes: vec![
            text("http.request.method", "POST"),
            text("url.path", "/v1/chat/completions"),
            pair("http.response.status_code", Value::IntValue(200)),
            text("gen_ai.request.model", "gpt-4o"),
        ],
        trace_id: vec![0xcd; 16],
        span_id: vec![index | 1; 8],
        ..LogRecord::default()
    };
    let log_records = (0..SPANS).map(record).collect();
    let scope_logs = ScopeLogs { scope: Some(scope()), log_records, ..ScopeLogs::default() };
    let resource_logs = ResourceLogs {
        resource: Some(resource()),
        scope_logs: vec![scope_logs],
        ..ResourceLogs::default()
    };
    ExportLogsServiceRequest { resource_logs: vec![resource_logs] }.encode_to_vec()
}

/// The request that a chunk's records make, as the output builds it.
fn build(signal: Signal, chunk: &[u8]) -> Vec<u8> {
    let mut builder = RequestBuilder::with_capacity(signal, chunk.len());
    let mut records = Records::new(chunk);
    loop {
        while let Some((event, telemetry)) = records.next_open() {
            let Ok(added) = builder.push_open(&event, &telemetry, records.context()) else { break };
            records.end(added.length);
        }
        while let Some(log) = records.next_open_log() {
            let Some(added) = builder.push_open_log(&log) else { break };
            records.end_log(&log, added.length);
        }
        let Some(next) = records.next() else { return builder.finish() };
        if let Ok((event, Some(telemetry))) = next {
            black_box(builder.push(&event, &telemetry).is_ok());
        }
    }
}

/// The steps of OTLP/JSON, with how many megabytes of it one core takes in or writes in a second.
fn json_table(request: &[u8]) -> Result<String, Box<dyn std::error::Error>> {
    let mut json = Vec::new();
    from_protobuf(Signal::Traces, request, &mut json)?;
    let read = measure(&mut || {
        let mut out = Vec::with_capacity(request.len());
        drop(black_box(to_protobuf(Signal::Traces, &json, &mut out, usize::MAX)));
        drop(black_box(out));
    });
    let write = measure(&mut || {
        let mut out = Vec::with_capacity(json.len());
        black_box(from_protobuf(Signal::Traces, request, &mut out).is_ok());
        drop(black_box(out));
    });
    let each = u32::try_from(json.len() / usize::from(SPANS))?;
    let row = |name: &str, nanos: f64| {
        let rate = f64::from(each) / nanos * 1e3;
        format!("{name:<42}{nanos:>8.0} ns, {rate:.0} MB/s of JSON\n")
    };
    let (read, write) = (row("spans: JSON to request", read), row("spans: request to JSON", write));
    Ok(format!("{read}{write}span as JSON: {each} B\n"))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (request, logs) = (request(), log_request());
    let options = LogOptions { groups: false, first_group: 1, now_unix_nanos: 1 };
    let (mut chunk, mut log_chunk) = (Vec::new(), Vec::new());
    traces_to_records(&request, &mut chunk)?;
    logs_to_records(&logs, &mut log_chunk, options)?;
    let only = std::env::args().nth(1).unwrap_or_default();
    let row = |name: &str, work: &mut dyn FnMut()| {
        if !name.contains(&only) {
            return String::new();
        }
        format!("{name:<42}{:>8.0} ns\n", measure(work))
    };
    let table = [
        row("spans: prost to a tree, for comparison", &mut || {
            drop(black_box(ExportTraceServiceRequest::decode(request.as_slice())));
        }),
        row("spans: request to records", &mut || {
            let mut out = Vec::with_capacity(chunk.len());
            drop(black_box(traces_to_records(&request, &mut out)));
            drop(black_box(out));
        }),
        row("spans: records, read", &mut || {
            black_box(Records::new(&chunk).count());
        }),
        row("spans: records, read for sampling", &mut || {
            for event in Events::new(&chunk).flatten() {
                black_box((event.telemetry(), SpanView::new(event.body)));
            }
        }),
        row("spans: records to request", &mut || drop(black_box(build(Signal::Traces, &chunk)))),
        row("logs: request to records", &mut || {
            let mut out = Vec::with_capacity(log_chunk.len());
            drop(black_box(logs_to_records(&logs, &mut out, options)));
            drop(black_box(out));
        }),
        row("logs: records, read", &mut || {
            black_box(Records::new(&log_chunk).count());
        }),
        row("logs: records to request", &mut || drop(black_box(build(Signal::Logs, &log_chunk)))),
    ]
    .concat();
    let same = build(Signal::Traces, &chunk).len() == request.len()
        && build(Signal::Logs, &log_chunk).len() == logs.len();
    let per_item = |bytes: &[u8]| bytes.len() / usize::from(SPANS);
    let sizes = format!(
        "span: {} B, as record {} B; log: {} B, as record {} B; same size back: {same}\n",
        per_item(&request),
        per_item(&chunk),
        per_item(&logs),
        per_item(&log_chunk)
    );
    std::io::Write::write_all(
        &mut std::io::stdout(),
        (table + &sizes + &json_table(&request)?).as_bytes(),
    )?;
    Ok(())
}
