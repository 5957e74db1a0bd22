//! Measures the codec on one core: a request of 128 GenAI spans of about 1500 bytes, one resource.
//!
//! `cargo run --release --example codec_bench` prints nanoseconds per span of each step, the median
//! of nine rounds.

use std::hint::black_box;
use std::time::{Duration, Instant};

use fluent_bit_ai::codec::json::{from_protobuf, to_protobuf};
use fluent_bit_ai::codec::records::skim::SpanView;
use fluent_bit_ai::codec::records::{Events, RequestBuilder, traces_to_records};
use fluent_bit_ai::model::Signal;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

const SPANS: u8 = 128;
const ROUNDS: usize = 9;
const REPEATS: u32 = 300;

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

fn request() -> Vec<u8> {
    let resource = Resource {
        attributes: vec![
            text("service.name", "assistant"),
            text("service.version", "1.4.2"),
            text("telemetry.sdk.name", "opentelemetry"),
            text("telemetry.sdk.language", "python"),
            text("telemetry.sdk.version", "1.45.0"),
        ],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: "opentelemetry.instrumentation.openai_v2".to_owned(),
        version: "2.1".to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_spans = ScopeSpans {
        scope: Some(scope),
        spans: (0..SPANS).map(span).collect(),
        schema_url: "https://opentelemetry.io/schemas/1.41.0".to_owned(),
    };
    let resource_spans = ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![scope_spans],
        schema_url: String::new(),
    };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
}

/// The median time of `work` for one span.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock itself")]
fn measure(mut work: impl FnMut()) -> f64 {
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..REPEATS).for_each(|_| work());
            start.elapsed()
        })
        .collect();
    rounds.sort_unstable();
    let median = rounds.get(ROUNDS / 2).copied().unwrap_or_default();
    median.as_secs_f64() * 1e9 / f64::from(REPEATS) / f64::from(SPANS)
}

/// The steps of OTLP/JSON, with how many megabytes of it one core takes in or writes in a second.
fn json_table(request: &[u8]) -> Result<String, Box<dyn std::error::Error>> {
    let mut json = Vec::new();
    from_protobuf(Signal::Traces, request, &mut json)?;
    let read = measure(|| {
        let mut out = Vec::with_capacity(request.len());
        drop(black_box(to_protobuf(Signal::Traces, &json, &mut out, usize::MAX)));
        drop(black_box(out));
    });
    let write = measure(|| {
        let mut out = Vec::with_capacity(json.len());
        black_box(from_protobuf(Signal::Traces, request, &mut out).is_ok());
        drop(black_box(out));
    });
    let each = u32::try_from(json.len() / usize::from(SPANS))?;
    let row = |name: &str, nanos: f64| {
        let rate = f64::from(each) / nanos * 1e3;
        format!("{name:<42}{nanos:>8.0} ns/span, {rate:.0} MB/s of JSON\n")
    };
    let (read, write) = (row("JSON to_protobuf", read), row("JSON from_protobuf", write));
    Ok(format!("{read}{write}JSON {each} B/span\n"))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let request = request();
    let mut chunk = Vec::new();
    traces_to_records(&request, &mut chunk)?;
    let build = |chunk: &[u8]| {
        let mut builder = RequestBuilder::new(Signal::Traces);
        for event in Events::new(chunk).flatten() {
            if let Some(telemetry) = event.telemetry() {
                black_box(builder.push(&event, &telemetry).is_ok());
            }
        }
        builder.finish()
    };
    let rows = [
        (
            "prost: decode to a tree, for comparison",
            measure(|| {
                drop(black_box(ExportTraceServiceRequest::decode(request.as_slice())));
            }),
        ),
        (
            "traces_to_records",
            measure(|| {
                let mut out = Vec::new();
                drop(black_box(traces_to_records(&request, &mut out)));
                drop(black_box(out));
            }),
        ),
        (
            "Events",
            measure(|| {
                black_box(Events::new(&chunk).flatten().count());
            }),
        ),
        (
            "Events, telemetry, SpanView",
            measure(|| {
                for event in Events::new(&chunk).flatten() {
                    black_box((event.telemetry(), SpanView::new(event.body)));
                }
            }),
        ),
        ("Events, telemetry, RequestBuilder", measure(|| drop(black_box(build(&chunk))))),
    ];
    let same = build(&chunk).len() == request.len();
    let table = rows.map(|(name, nanos)| format!("{name:<42}{nanos:>8.0} ns/span\n")).concat();
    let sizes = format!(
        "wire {} B/span, record {} B/span, same size back: {same}\n",
        request.len() / usize::from(SPANS),
        chunk.len() / usize::from(SPANS)
    );
    std::io::Write::write_all(
        &mut std::io::stdout(),
        (table + &sizes + &json_table(&request)?).as_bytes(),
    )?;
    Ok(())
}
