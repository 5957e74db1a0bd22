//! Made spans of calls to models, and a time in which a model becomes slower.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

use crate::made_calls::Drawn;

/// Usual calls, before the model becomes slower.
const USUAL: u64 = 1000;

pub fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

pub fn text(key: &str, text: &str) -> KeyValue {
    pair(key, Value::StringValue(text.to_owned()))
}

/// A span of a trace of its own, which began so many times ten seconds after a moment in 2026. Its trace has the next
/// number as its id.
pub fn span(number: u64, seconds: f64, attributes: Vec<KeyValue>) -> Span {
    let start = 1_780_000_000_000_000_000 + number * 10_000_000_000;
    Span {
        trace_id: u128::from(number + 1).to_be_bytes().to_vec(),
        span_id: (number + 1).to_be_bytes().to_vec(),
        name: "operation".to_owned(),
        start_time_unix_nano: start,
        end_time_unix_nano: start + (seconds * 1e9) as u64,
        attributes,
        ..Span::default()
    }
}

/// A call to gpt-4o, by the model that answered and the tokens of the answer.
pub fn call(number: u64, seconds: f64, model: &str, output: i64) -> Span {
    let attributes = vec![
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.provider.name", "openai"),
        text("gen_ai.request.model", "gpt-4o"),
        text("gen_ai.response.model", model),
        pair("gen_ai.usage.input_tokens", Value::IntValue(1000)),
        pair("gen_ai.usage.output_tokens", Value::IntValue(output)),
    ];
    span(number, seconds, attributes)
}

/// A thousand usual calls of about a second, then so many that take three times as long.
pub fn slower_model(slow: u64) -> Vec<Span> {
    let mut drawn = Drawn::new(3);
    let calls = (0..USUAL + slow).map(|number| {
        let level = if number < USUAL { 1.0 } else { 3.0 };
        call(number, level * (0.3 * drawn.normal()).exp(), "gpt-4o-2024-08-06", 100)
    });
    calls.collect()
}

/// A request with these spans of one service and library.
pub fn request(service: &str, spans: &[Span]) -> Vec<u8> {
    let resource =
        Resource { attributes: vec![text("service.name", service)], ..Resource::default() };
    let scope = InstrumentationScope {
        name: "sdk".to_owned(),
        version: "1.2".to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_spans =
        vec![ScopeSpans { spans: spans.to_vec(), scope: Some(scope), ..ScopeSpans::default() }];
    let resource_spans =
        vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}
