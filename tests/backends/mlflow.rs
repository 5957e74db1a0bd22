//! MLflow, whose server takes traces over OTLP/HTTP and keeps them in a database.

use std::process::Command;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value as Json, json};

use crate::captures::{all, hex, plain, send, spans};
use crate::hosts::{RunningHost, free_port};
use crate::server::{Server, host, installed, stored};
use crate::support::{Pipeline, alone, linked};

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
    let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
    let captured = all();
    let spans = spans(&captured);
    send(&captured, http).await;
    let database = mlflow.file("spans.db");
    let start = Instant::now();
    while stored(&folder, "mlflow", &database).len() < spans.len()
        && start.elapsed() < Duration::from_secs(30)
    {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{log}");
    let kept = stored(&folder, "mlflow", &database);
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
