//! A real OpenTelemetry SDK as the client.

use std::time::Duration;

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{Span, SpanKind, Status, Tracer, TracerProvider};
use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_otlp::{
    Compression, LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig,
    WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::equality::arrived;
use crate::hosts::{RunningHost, free_port};
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

/// Where the SDK sends: straight to a receiver, and through the host over both transports.
#[derive(Clone, Copy)]
struct Targets {
    direct: u16,
    http: u16,
    grpc: u16,
}

fn url(port: u16, path: &str) -> String {
    format!("http://127.0.0.1:{port}{path}")
}

fn resource() -> Resource {
    Resource::builder()
        .with_service_name("sdk-test")
        .with_attribute(KeyValue::new("shard", 7))
        .build()
}

fn spans(targets: Targets) {
    let over_http = |port| {
        SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_compression(Compression::Gzip)
            .with_endpoint(url(port, "/v1/traces"))
            .build()
            .unwrap()
    };
    let over_grpc = SpanExporter::builder()
        .with_tonic()
        .with_compression(Compression::Gzip)
        .with_endpoint(url(targets.grpc, ""))
        .build()
        .unwrap();
    let provider = SdkTracerProvider::builder()
        .with_resource(resource())
        .with_simple_exporter(over_http(targets.direct))
        .with_simple_exporter(over_http(targets.http))
        .with_simple_exporter(over_grpc)
        .build();
    let tracer = provider.tracer("sdk-test");
    for index in 0..20 {
        let mut span = tracer
            .span_builder(format!("chat {index}"))
            .with_kind(SpanKind::Client)
            .with_attributes([
                KeyValue::new("gen_ai.operation.name", "chat"),
                KeyValue::new("gen_ai.request.model", "gpt-4o"),
                KeyValue::new("gen_ai.usage.input_tokens", index),
                KeyValue::new("temperature", 0.25),
                KeyValue::new("stream", true),
                KeyValue::new(
                    "gen_ai.response.finish_reasons",
                    Value::Array(Array::String(vec![StringValue::from("stop")])),
                ),
            ])
            .start(&tracer);
        span.add_event("first token", vec![KeyValue::new("n", index)]);
        span.set_status(Status::error("over quota"));
        span.end();
    }
    provider.shutdown().unwrap();
}

fn logs(targets: Targets) {
    let over_http = |port| {
        LogExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url(port, "/v1/logs"))
            .build()
            .unwrap()
    };
    let over_grpc =
        LogExporter::builder().with_tonic().with_endpoint(url(targets.grpc, "")).build().unwrap();
    let provider = SdkLoggerProvider::builder()
        .with_resource(resource())
        .with_simple_exporter(over_http(targets.direct))
        .with_simple_exporter(over_http(targets.http))
        .with_simple_exporter(over_grpc)
        .build();
    let logger = provider.logger("sdk-test");
    for index in 0..20_i64 {
        let mut record = logger.create_log_record();
        record.set_event_name("gen_ai.client.inference.operation.details");
        record.set_severity_number(Severity::Warn);
        record.set_severity_text("WARN");
        record.set_body(AnyValue::from("slow answer"));
        record.add_attribute("n", index);
        record.add_attribute("bytes", AnyValue::Bytes(Box::new(vec![0, 255])));
        logger.emit(record);
    }
    provider.shutdown().unwrap();
}

fn metrics(targets: Targets) {
    let over_http = |port| {
        MetricExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url(port, "/v1/metrics"))
            .build()
            .unwrap()
    };
    let over_grpc = MetricExporter::builder()
        .with_tonic()
        .with_endpoint(url(targets.grpc, ""))
        .build()
        .unwrap();
    let provider = SdkMeterProvider::builder()
        .with_resource(resource())
        .with_periodic_exporter(over_http(targets.direct))
        .with_periodic_exporter(over_http(targets.http))
        .with_periodic_exporter(over_grpc)
        .build();
    let meter = provider.meter("sdk-test");
    let tokens = meter.u64_histogram("gen_ai.client.token.usage").with_unit("{token}").build();
    let calls = meter.u64_counter("calls").build();
    let balance = meter.i64_up_down_counter("balance").build();
    for index in 0..20 {
        tokens.record(index, &[KeyValue::new("gen_ai.token.type", "input")]);
        calls.add(1, &[KeyValue::new("model", "gpt-4o")]);
        balance.add(-1, &[]);
    }
    provider.shutdown().unwrap();
}

/// The same telemetry with the times of collection, which differ between readers, blanked.
fn without_times(items: Vec<String>) -> Vec<String> {
    let mut blank: Vec<String> = items
        .into_iter()
        .map(|item| {
            let mut parts = item.split("time_unix_nano: ");
            let mut text = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                text.push_str("time_unix_nano: _");
                text.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
            }
            text
        })
        .collect();
    blank.sort();
    blank
}

/// Scenario: an SDK with several exporters sends the same telemetry straight to a receiver, and
/// through the host over OTLP/HTTP and OTLP/gRPC. Guarantees: what the host delivers equals what
/// came straight, twice.
#[tokio::test(flavor = "multi_thread")]
async fn an_sdk_sees_no_difference() {
    let _together = together();
    // A second choice of provider in the process is refused, which is fine here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let plugins = linked();
    for host in all_hosts() {
        let straight = Sink::start(0, Keep::Requests).await;
        let through = Sink::start(0, Keep::Requests).await;
        let (http, grpc) = (free_port(), free_port());
        let pipeline = Pipeline::default().otlp_in(http, grpc).otlp_out(&[(
            "one",
            through.port,
            "http/protobuf",
        )]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        let targets = Targets { direct: straight.port, http, grpc };
        tokio::task::spawn_blocking(move || {
            spans(targets);
            logs(targets);
            metrics(targets);
        })
        .await
        .unwrap();
        through.settle(86, Duration::from_secs(4), Duration::from_secs(15)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        let straight = straight.received.lock().unwrap();
        let through = through.received.lock().unwrap();
        for path in ["/v1/traces", "/v1/logs", "/v1/metrics"] {
            let mut twice = arrived(&straight, path);
            twice.extend(twice.clone());
            twice.sort();
            let mut got = arrived(&through, path);
            if path == "/v1/metrics" {
                twice = without_times(twice);
                got = without_times(got);
            }
            assert!(!twice.is_empty());
            assert_eq!(twice, got, "{} {path}: {log}", host.title());
        }
    }
}
