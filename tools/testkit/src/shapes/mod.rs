//! Telemetry generator. Each item carries its number, so that a receiver can check every one.
//!
//! Batches are encoded once; before each use only the numbers in them are overwritten, so that the
//! generator costs next to nothing.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
    Sum, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span::Event};
use prost::Message;

mod captures;

/// What to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TelemetryShape {
    /// Traces of four spans: an agent, two chats, a tool; about 1500 bytes a span.
    Genai,
    /// The same, with events of the application in the place of events that are messages.
    Current,
    /// 20 attributes of 5 KB.
    Fat,
    /// 100 attributes of 50 bytes.
    Wide,
    /// Agent traces of 200 spans.
    Agent,
    /// Spans of all captures and samples of dialects in tests/data/genai, as many of each.
    Captures,
    /// Spans of the samples and of four captures, as many of each in every request.
    Samples,
    /// Log records of 500 bytes.
    Logs,
    /// Two histograms, a sum and a gauge, with 32 points each.
    Metrics,
}

impl TelemetryShape {
    pub fn path(self) -> &'static str {
        match self {
            Self::Logs => "/v1/logs",
            Self::Metrics => "/v1/metrics",
            _ => "/v1/traces",
        }
    }

    pub fn service(self) -> &'static str {
        match self {
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            _ => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        }
    }
}

/// The upper half of the ids and times that hold a number.
pub const MARK: u64 = 0xf1b1_7a1f_0000_0000;
const TRACE_MARK: u64 = 0xf2c2_8b2e_0000_0000;
const BASE_TIME: u64 = 1_700_000_000_000_000_000;

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.into())) }),
        ..KeyValue::default()
    }
}

fn int(key: &str, value: i64) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::IntValue(value)) }),
        ..KeyValue::default()
    }
}

fn resource() -> Option<Resource> {
    Some(Resource {
        attributes: vec![
            text("service.name", "bench-agent"),
            text("service.instance.id", "bench-agent-5d9c7b6f4-x2x9z"),
            text("k8s.pod.name", "bench-agent-5d9c7b6f4-x2x9z"),
            text("k8s.namespace.name", "ml"),
            text("telemetry.sdk.language", "python"),
            text("telemetry.sdk.name", "opentelemetry"),
        ],
        ..Resource::default()
    })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: "opentelemetry.instrumentation.genai".to_owned(),
        version: "1.3.0".to_owned(),
        ..InstrumentationScope::default()
    })
}

#[derive(Clone, Copy)]
enum NumberForm {
    /// Eight bytes, most significant first: an id.
    Big,
    /// Eight bytes, least significant first: a time.
    Little,
    /// Sixteen bytes that look random: a trace id.
    Trace,
}

/// A request whose item numbers can be changed in place.
struct Template {
    bytes: Vec<u8>,
    /// Where the item numbers are, and the number within the request.
    numbers: Vec<(usize, u64, NumberForm)>,
}

impl Template {
    fn new(request: &impl Message) -> Self {
        let bytes = request.encode_to_vec();
        let mut numbers = Vec::new();
        for at in 0..bytes.len().saturating_sub(7) {
            let word = u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
            let little = word.swap_bytes();
            let high = 0xffff_ffff_0000_0000;
            if word & high == MARK {
                numbers.push((at, word & 0xffff_ffff, NumberForm::Big));
            } else if little & high == MARK {
                numbers.push((at, little & 0xffff_ffff, NumberForm::Little));
            } else if word & high == TRACE_MARK {
                numbers.push((at, word & 0xffff_ffff, NumberForm::Trace));
            }
        }
        Self { bytes, numbers }
    }

    fn numbered(&mut self, first: u64) -> Vec<u8> {
        for (at, within, form) in &self.numbers {
            let number = MARK | (first + within);
            match form {
                NumberForm::Big => self.bytes[*at..at + 8].copy_from_slice(&number.to_be_bytes()),
                NumberForm::Little => {
                    self.bytes[*at..at + 8].copy_from_slice(&number.to_le_bytes())
                }
                NumberForm::Trace => {
                    let [high, low] = [mix(first + within), mix(!(first + within))];
                    self.bytes[*at..at + 8].copy_from_slice(&high.to_be_bytes());
                    self.bytes[at + 8..at + 16].copy_from_slice(&low.to_be_bytes());
                }
            }
        }
        self.bytes.clone()
    }
}

/// Requests of as many items each, one after the other and again from the first one.
pub struct GeneratedBatch {
    templates: Vec<Template>,
    /// The items of a request.
    pub items: usize,
}

impl GeneratedBatch {
    pub fn new(shape: TelemetryShape, items: usize) -> Self {
        let templates = match shape {
            TelemetryShape::Logs => vec![Template::new(&logs(items))],
            TelemetryShape::Metrics => vec![Template::new(&metrics(items))],
            TelemetryShape::Captures => {
                captures::requests(items).iter().map(Template::new).collect()
            }
            TelemetryShape::Samples => vec![Template::new(&captures::samples(items))],
            _ => vec![Template::new(&traces(shape, items))],
        };
        Self { templates, items }
    }

    /// The request with item numbers from `first` on.
    pub fn numbered(&mut self, first: u64) -> Vec<u8> {
        let number = usize::try_from(first).unwrap() / self.items;
        let count = self.templates.len();
        self.templates[number % count].numbered(first)
    }
}

/// A bijection that spreads numbers over 64 bits (the finalizer of splitmix64).
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The number in an id or time field that [`GeneratedBatch`] wrote.
pub fn number_of(word: [u8; 8]) -> Option<u64> {
    let big = u64::from_be_bytes(word);
    let word = if big & 0xffff_ffff_0000_0000 == MARK { big } else { big.swap_bytes() };
    (word & 0xffff_ffff_0000_0000 == MARK).then_some(word & 0xffff_ffff)
}

fn traces(shape: TelemetryShape, items: usize) -> ExportTraceServiceRequest {
    let per_trace = if shape == TelemetryShape::Agent { 200 } else { 4 };
    let spans = (0..items).map(|index| span(shape, index, index % per_trace, per_trace)).collect();
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: resource(),
            scope_spans: vec![ScopeSpans { scope: scope(), spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
}

fn span(shape: TelemetryShape, index: usize, within: usize, per_trace: usize) -> Span {
    let number = MARK | index as u64;
    let mut trace_id = (TRACE_MARK | (index - within) as u64).to_be_bytes().to_vec();
    trace_id.extend_from_slice(&[0; 8]);
    let root = MARK | (index - within) as u64;
    let attributes = match shape {
        TelemetryShape::Fat => {
            (0..20).map(|n| text(&format!("big.attribute.{n}"), "x".repeat(5000))).collect()
        }
        TelemetryShape::Wide => {
            (0..100).map(|n| text(&format!("attribute.number.{n}"), "y".repeat(50))).collect()
        }
        _ => genai_attributes(within),
    };
    let events = match shape {
        TelemetryShape::Genai | TelemetryShape::Agent if within % 4 == 1 => {
            vec![message_event("gen_ai.user.message"), message_event("gen_ai.choice")]
        }
        TelemetryShape::Current if within % 4 == 1 => {
            vec![application_event("order.found"), application_event("order.checked")]
        }
        _ => Vec::new(),
    };
    Span {
        trace_id,
        span_id: number.to_be_bytes().to_vec(),
        parent_span_id: if within == 0 { Vec::new() } else { root.to_be_bytes().to_vec() },
        name: ["invoke_agent planner", "chat gpt-4o", "execute_tool search", "chat gpt-4o"]
            [within % 4]
            .to_owned(),
        kind: if within % 4 == 1 { 3 } else { 1 },
        start_time_unix_nano: BASE_TIME + (within as u64) * 1_000_000,
        end_time_unix_nano: BASE_TIME + (per_trace as u64 + within as u64) * 20_000_000,
        attributes,
        events,
        flags: 257,
        status: Some(Status::default()),
        ..Span::default()
    }
}

fn message_event(name: &str) -> Event {
    Event {
        time_unix_nano: BASE_TIME + 5,
        name: name.to_owned(),
        attributes: vec![
            text("gen_ai.system", "openai"),
            text("content", "What is the state of the order and when will it arrive? ".repeat(3)),
        ],
        ..Event::default()
    }
}

fn application_event(name: &str) -> Event {
    let mut event = message_event(name);
    event.attributes =
        vec![text("app.step", "orders"), text("app.note", "The order is on its way. ".repeat(7))];
    event
}

fn genai_attributes(within: usize) -> Vec<KeyValue> {
    let mut attributes = vec![
        text("gen_ai.operation.name", ["invoke_agent", "chat", "execute_tool", "chat"][within % 4]),
        text("gen_ai.provider.name", "openai"),
        text("gen_ai.agent.name", "planner"),
        text("gen_ai.conversation.id", "conv_5j66UpCpwteGg4YSxUnt7lPY"),
        text("server.address", "api.openai.com"),
        int("server.port", 443),
        text("user.id", "user-4711"),
    ];
    if within % 2 == 1 {
        attributes.extend([
            text("gen_ai.request.model", "gpt-4o"),
            text("gen_ai.response.model", "gpt-4o-2024-08-06"),
            text("gen_ai.response.id", "chatcmpl-AbCdEfGhIjKlMnOpQrStUv"),
            int("gen_ai.usage.input_tokens", 412),
            int("gen_ai.usage.output_tokens", 128),
            int("gen_ai.request.max_tokens", 1024),
        ]);
    }
    let message =
        "[{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"Where is my order?\"}]}]";
    attributes.push(text("gen_ai.input.messages", message.repeat(5)));
    attributes.push(text("gen_ai.output.messages", message.repeat(5)));
    attributes
}

fn logs(items: usize) -> ExportLogsServiceRequest {
    let log_records = (0..items)
        .map(|index| LogRecord {
            time_unix_nano: BASE_TIME + index as u64,
            observed_time_unix_nano: BASE_TIME + index as u64 + 1000,
            severity_number: 9,
            severity_text: "INFO".to_owned(),
            body: Some(AnyValue {
                value: Some(Value::StringValue("request finished with status 200 ".repeat(8))),
            }),
            attributes: vec![
                text("http.request.method", "POST"),
                text("url.path", "/v1/chat/completions"),
                int("http.response.status_code", 200),
                text("gen_ai.request.model", "gpt-4o"),
            ],
            trace_id: vec![0xcd; 16],
            span_id: (MARK | index as u64).to_be_bytes().to_vec(),
            ..LogRecord::default()
        })
        .collect();
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: resource(),
            scope_logs: vec![ScopeLogs { scope: scope(), log_records, ..ScopeLogs::default() }],
            ..ResourceLogs::default()
        }],
    }
}

fn metrics(items: usize) -> ExportMetricsServiceRequest {
    let points = (items / 4).max(1);
    let numbers = |first: usize| {
        (0..points)
            .map(|index| NumberDataPoint {
                attributes: point_attributes(index),
                start_time_unix_nano: BASE_TIME,
                time_unix_nano: MARK | (first + index) as u64,
                value: Some(number_data_point::Value::AsDouble(index as f64)),
                ..NumberDataPoint::default()
            })
            .collect()
    };
    let metrics = vec![
        histogram("gen_ai.client.operation.duration", 0, points),
        histogram("gen_ai.server.request.duration", points, points),
        Metric {
            name: "gen_ai.client.operation.count".to_owned(),
            data: Some(Data::Sum(Sum {
                data_points: numbers(2 * points),
                aggregation_temporality: 2,
                is_monotonic: true,
            })),
            ..Metric::default()
        },
        Metric {
            name: "process.memory.usage".to_owned(),
            data: Some(Data::Gauge(Gauge { data_points: numbers(3 * points) })),
            ..Metric::default()
        },
    ];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: resource(),
            scope_metrics: vec![ScopeMetrics {
                scope: scope(),
                metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

fn point_attributes(index: usize) -> Vec<KeyValue> {
    vec![
        text("gen_ai.request.model", format!("model-{index}")),
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.provider.name", "openai"),
    ]
}

fn histogram(name: &str, first: usize, points: usize) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: "s".to_owned(),
        description: "A duration".to_owned(),
        data: Some(Data::Histogram(Histogram {
            data_points: (0..points)
                .map(|index| HistogramDataPoint {
                    attributes: point_attributes(index),
                    start_time_unix_nano: BASE_TIME,
                    time_unix_nano: MARK | (first + index) as u64,
                    count: 55,
                    sum: Some(12.5),
                    min: Some(0.01),
                    max: Some(2.5),
                    bucket_counts: (0..11).map(|bucket| bucket % 11).collect(),
                    explicit_bounds: (1..=10).map(|bound| f64::from(bound) * 0.25).collect(),
                    ..HistogramDataPoint::default()
                })
                .collect(),
            aggregation_temporality: 2,
        })),
        ..Metric::default()
    }
}
