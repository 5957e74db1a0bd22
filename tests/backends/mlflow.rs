//! MLflow, whose server takes traces over OTLP/HTTP and keeps them in a database.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::{Value as Json, json};

use crate::captures::{all, send};
use crate::hosts::{Running, free_port};
use crate::server::{Server, host, installed};
use crate::support::{Pipeline, alone, linked};

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn plain(value: Option<&AnyValue>) -> Json {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => json!(text),
        Some(Value::BoolValue(flag)) => json!(flag),
        Some(Value::IntValue(number)) => json!(number),
        Some(Value::DoubleValue(number)) => json!(number),
        Some(Value::ArrayValue(array)) => {
            array.values.iter().map(|value| plain(Some(value))).collect()
        }
        Some(Value::KvlistValue(list)) => {
            let pairs = list.values.iter();
            pairs.map(|pair| (pair.key.clone(), plain(pair.value.as_ref()))).collect()
        }
        other => panic!("the captures have no such value: {other:?}"),
    }
}

/// All spans in the database, by their ids.
fn stored(folder: &Path, database: &Path) -> BTreeMap<(String, String), Json> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backends/stored.py");
    let python = folder.join("bin/python");
    let output = Command::new(python).arg(script).arg(database).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let spans = text.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    let id = |span: &Json, key: &str| span[key].as_str().unwrap().to_owned();
    spans.map(|span| ((id(&span, "trace"), id(&span, "span")), span)).collect()
}

/// Asserts that MLflow keeps of a span what was sent. It writes each attribute as JSON, and text
/// that is JSON already as it is.
fn assert_kept(span: &Span, kept: &Json) {
    assert_eq!(kept["name"], json!(span.name));
    assert_eq!(kept["parent"], json!(hex(&span.parent_span_id)), "{kept}");
    assert_eq!(kept["start"], json!(span.start_time_unix_nano), "{kept}");
    assert_eq!(kept["end"], json!(span.end_time_unix_nano), "{kept}");
    for attribute in &span.attributes {
        let sent = plain(attribute.value.as_ref());
        let text = kept["attributes"][&attribute.key].as_str().unwrap_or_default();
        let same = sent == json!(text) || serde_json::from_str::<Json>(text).ok() == Some(sent);
        assert!(same, "{}: {:?} is kept as {text}", attribute.key, attribute.value);
    }
}

/// Scenario: captured traces go to MLflow. Guarantees: it takes every span and keeps it with its
/// parent, times and attributes; the host sees no failure.
#[tokio::test(flavor = "multi_thread")]
async fn mlflow_keeps_every_span() {
    let _alone = alone();
    let Some(folder) = installed() else { return };
    let port = free_port();
    let mut command = Command::new(folder.join("bin/mlflow"));
    command
        .args(["server", "--host", "127.0.0.1", "--port", &port.to_string(), "--workers", "1"])
        .args(["--backend-store-uri", "sqlite:///spans.db", "--artifacts-destination", "artifacts"])
        // Neither work of its own nor words about its use.
        .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
        .env("MLFLOW_DISABLE_TELEMETRY", "true");
    let mlflow = Server::start(command, port).await;

    let plugins = linked();
    let (http, grpc) = (free_port(), free_port());
    let pipeline = Pipeline::default()
        .otlp_in(http, grpc)
        .otlp_out(&[("mlflow", port, "http/protobuf")])
        .output_option("endpoint.mlflow.signals: traces")
        .output_option("endpoint.mlflow.headers: x-mlflow-experiment-id=0");
    let host = host();
    let running = Running::start(&host, &pipeline.yaml(plugins.path()), http);
    let captured = all();
    let mut spans = BTreeMap::new();
    for one in captured.iter().filter(|one| one.path == "/v1/traces") {
        for outer in ExportTraceServiceRequest::decode(one.body.as_slice()).unwrap().resource_spans
        {
            for span in outer.scope_spans.into_iter().flat_map(|inner| inner.spans) {
                spans.insert((hex(&span.trace_id), hex(&span.span_id)), span);
            }
        }
    }
    send(&captured, http).await;
    let database = mlflow.file("spans.db");
    let start = Instant::now();
    while stored(&folder, &database).len() < spans.len()
        && start.elapsed() < Duration::from_secs(30)
    {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{log}");
    let kept = stored(&folder, &database);
    assert_eq!(kept.len(), spans.len(), "{log}\n{}", mlflow.log());
    for (id, span) in &spans {
        let kept = kept.get(id).unwrap_or_else(|| panic!("{id:?} is not there\n{log}"));
        assert_kept(span, kept);
    }
    for level in [" warn", "error"] {
        assert!(!log.contains(&format!("[{level}] [output:multi_otlp")), "{log}");
    }
    println!("{}: MLflow keeps {} spans with all attributes", host.title(), kept.len());
}
