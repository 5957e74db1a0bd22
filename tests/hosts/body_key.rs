//! The input's `logs_body_key` on hosts: what other plugins see, and what comes back.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;

use crate::client::Client;
use crate::hosts::{RunningHost, free_port};
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

fn text(text: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.to_owned())) }
}

fn map(key: &str, value: AnyValue) -> AnyValue {
    let pair = KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() };
    AnyValue { value: Some(Value::KvlistValue(KeyValueList { values: vec![pair] })) }
}

fn request(bodies: &[AnyValue]) -> ExportLogsServiceRequest {
    let log = |body: &AnyValue| LogRecord {
        time_unix_nano: 1_700_000_000_000_000_000,
        body: Some(body.clone()),
        ..LogRecord::default()
    };
    let log_records = bodies.iter().map(log).collect();
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }],
    }
}

/// Scenario: `logs_body_key: said`; bodies that are a text and maps, one of which looks like what the
/// key makes of a text. Guarantees: on every host, with records and in the host's own form, other
/// plugins find each body under the key, and `multi_otlp` sends what came in.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_stand_under_the_key_and_come_back() {
    let _together = together();
    let plugins = linked();
    let bodies = [text("a text"), map("said", text("b text")), map("other", text("c text"))];
    for host in all_hosts() {
        for format in ["records", "native"] {
            let (sink, port) = (Sink::start(0, Keep::Requests).await, free_port());
            let mut pipeline = Pipeline::default()
                .otlp_in(port, port)
                .input_option("logs_body_key: said")
                .input_option(&format!("format: {format}"))
                .otlp_out(&[("one", sink.port, "http/protobuf")]);
            // The bundled host has no output that shows records so.
            let shows = host.arguments.is_empty();
            if shows {
                pipeline = pipeline.output(&["name: stdout", "match: '*'", "format: json_lines"]);
            }
            let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), port);
            let mut client = Client::connect(port, false).await.unwrap();
            let given = request(&bodies).encode_to_vec();
            client.send("/v1/logs", TelemetryShape::Genai.service(), given).await.unwrap();
            sink.settle(3, Duration::from_secs(2), Duration::from_secs(20)).await;
            let (code, log) = running.stop();
            let title = format!("{}, {format}", host.title());
            assert_eq!(code, Some(0), "{title}: {log}");
            let received = sink.received.lock().unwrap();
            let back: Vec<AnyValue> = received.requests["/v1/logs"]
                .iter()
                .flat_map(|message| {
                    ExportLogsServiceRequest::decode(message.clone()).unwrap().resource_logs
                })
                .flat_map(|resource| resource.scope_logs)
                .flat_map(|scope| scope.log_records)
                .filter_map(|log| log.body)
                .collect();
            assert_eq!(back, bodies, "{title}: {log}");
            if shows {
                for shown in [
                    r#""said":"a text""#,
                    r#""said":{"said":"b text"}"#,
                    r#""said":{"other":"c text"}"#,
                ] {
                    assert!(log.contains(shown), "{title}: {shown}: {log}");
                }
            }
        }
    }
}
