//! Sends one span of a GenAI call to `ai_otlp`, as an instrumented application does.
//!
//! `cargo run --example send_span [URL]`; without a URL to port 4318 of this machine, where
//! `fluent-bit-conf/pipeline.yaml` listens.

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanKind, Tracer, TracerProvider};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The exporter's client asks for cryptography by rustls, also where it talks plain HTTP.
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "rustls has another provider already")?;
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:4318".to_owned());
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{url}/v1/traces"))
        .build()?;
    let provider = SdkTracerProvider::builder()
        .with_resource(Resource::builder().with_service_name("example").build())
        .with_batch_exporter(exporter)
        .build();
    let tracer = provider.tracer("example");
    let span = tracer
        .span_builder("chat gpt-5")
        .with_kind(SpanKind::Client)
        .with_attributes([
            KeyValue::new("gen_ai.operation.name", "chat"),
            KeyValue::new("gen_ai.provider.name", "openai"),
            KeyValue::new("gen_ai.request.model", "gpt-5"),
            KeyValue::new("gen_ai.usage.input_tokens", 120),
            KeyValue::new("gen_ai.usage.output_tokens", 42),
        ])
        .start(&tracer);
    // A span is queued when it ends. Flushing sends it, and says whether it was taken.
    drop(span);
    provider.force_flush()?;
    Ok(provider.shutdown()?)
}
