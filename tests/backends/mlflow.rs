//! MLflow, whose server takes traces over OTLP/HTTP and keeps them in a database.

use std::path::Path;
use std::process::Command;

use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value as Json, json};

use crate::captures::{all, attribute, attributes, current, hex, plain, send, spans};
use crate::hosts::{RunningHost, free_port};
use crate::recipes;
use crate::server::{Server, host, installed, settled};
use crate::support::{Pipeline, alone, linked};

/// Asserts that MLflow keeps of a span what was sent. It writes each attribute as JSON, and text
/// that is JSON already as it is.
fn assert_kept(span: &Span, kept: &Json) {
    assert_eq!(kept["name"], json!(span.name));
    assert_eq!(kept["parent"], json!(hex(&span.parent_span_id)), "{kept}");
    assert_eq!(kept["start"], json!(span.start_time_unix_nano), "{kept}");
    assert_eq!(kept["end"], json!(span.end_time_unix_nano), "{kept}");
    for attribute in attributes(span) {
        let sent = plain(attribute.value.as_ref());
        let text = kept["attributes"][&attribute.key].as_str().unwrap_or_default();
        let same = sent == json!(text) || serde_json::from_str::<Json>(text).ok() == Some(sent);
        assert!(same, "{}: {:?} is kept as {text}", attribute.key, attribute.value);
    }
}

/// MLflow's server, in a folder of its own.
async fn start(folder: &Path, port: u16) -> Server {
    let mut command = Command::new(folder.join("bin/mlflow"));
    command
        .args(["server", "--host", "127.0.0.1", "--port", &port.to_string(), "--workers", "1"])
        .args(["--backend-store-uri", "sqlite:///spans.db", "--artifacts-destination", "artifacts"])
        // Neither work of its own, nor words about its use, nor prices that it would fetch while it takes spans.
        .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
        .env("MLFLOW_DISABLE_TELEMETRY", "true")
        .env("MLFLOW_MODEL_CATALOG_URI", "");
    Server::start(command, port).await
}

/// Scenario: captured traces go to MLflow. Guarantees: it takes every span and keeps it with its
/// parent, times and attributes; the host sees no failure.
#[tokio::test(flavor = "multi_thread")]
async fn mlflow_keeps_every_span() {
    let _alone = alone();
    let Some(folder) = installed() else { return };
    let port = free_port();
    let mlflow = start(&folder, port).await;

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
    let kept = settled(&folder, "mlflow", &mlflow.file("spans.db"), spans.len()).await;
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{log}");
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

/// Scenario: the configuration of docs/recipes/mlflow.md as it is, with captures of the current conventions. Guarantees: every span
/// arrives, MLflow sees which are calls of models, and has their tokens.
#[tokio::test(flavor = "multi_thread")]
async fn the_recipe_of_mlflow_works() {
    let _alone = alone();
    let Some(folder) = installed() else { return };
    let port = free_port();
    let mlflow = start(&folder, port).await;
    let plugins = linked();
    let host = host();
    let (running, http) = recipes::start("mlflow", port, &host, plugins.path());
    let captured = current();
    let spans = spans(&captured);
    send(&captured, http).await;
    let kept = settled(&folder, "mlflow", &mlflow.file("spans.db"), spans.len()).await;
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(kept.len(), spans.len(), "{log}\n{}", mlflow.log());
    let mut calls = 0;
    for (id, span) in
        spans.iter().filter(|(_, span)| attribute(span, "gen_ai.operation.name") == "chat")
    {
        let kept = &kept[id]["attributes"];
        assert_eq!(kept["mlflow.spanType"], json!("\"CHAT_MODEL\""), "{kept}");
        let (sent, key) = (attribute(span, "gen_ai.usage.input_tokens"), "mlflow.chat.tokenUsage");
        if sent.is_null() {
            continue;
        }
        let usage: Json = serde_json::from_str(kept[key].as_str().unwrap_or("null")).unwrap();
        assert_eq!(usage["input_tokens"], sent, "{kept}");
        assert_eq!(usage["output_tokens"], attribute(span, "gen_ai.usage.output_tokens"), "{kept}");
        calls += 1;
    }
    assert!(calls >= 5, "{calls}");
    println!("{}: MLflow has {} spans and the tokens of {calls} calls", host.title(), kept.len());
}
