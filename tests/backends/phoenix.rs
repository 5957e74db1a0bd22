//! Phoenix, whose server takes traces over OTLP/gRPC and keeps them in a database.

use std::process::Command;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value as Json, json};

use crate::captures::{all, hex, plain, send, spans};
use crate::hosts::{RunningHost, free_port};
use crate::server::{Server, host, installed, stored};
use crate::support::{Pipeline, alone, linked};

/// Whether an attribute has this value. Phoenix makes a tree of the dots in keys, with lists where
/// a part is a number, and reads text that is JSON.
fn has(tree: &Json, key: &str, value: &Json) -> bool {
    if key.is_empty() {
        let parsed = value.as_str().and_then(|text| serde_json::from_str::<Json>(text).ok());
        return tree == value || Some(tree) == parsed.as_ref();
    }
    let ends = key.match_indices('.').map(|(at, _)| at).chain([key.len()]);
    ends.into_iter().any(|end| {
        let (part, rest) = (&key[..end], key[end..].trim_start_matches('.'));
        let below = match part.parse::<usize>() {
            Ok(index) if tree.is_array() => tree.get(index),
            _ => tree.get(part),
        };
        below.is_some_and(|below| has(below, rest, value))
    })
}

/// Asserts that Phoenix keeps of a span what was sent. Its times are rounded to microseconds.
fn assert_kept(span: &Span, kept: &Json) {
    let near = |kept: &Json, nanos: u64| kept.as_u64().unwrap().abs_diff(nanos) <= 1000;
    assert_eq!(kept["name"], json!(span.name));
    assert_eq!(kept["parent"], json!(hex(&span.parent_span_id)), "{kept}");
    assert!(near(&kept["start"], span.start_time_unix_nano), "{kept}");
    assert!(near(&kept["end"], span.end_time_unix_nano), "{kept}");
    for attribute in &span.attributes {
        let sent = plain(attribute.value.as_ref());
        let kept = &kept["attributes"];
        assert!(has(kept, &attribute.key, &sent), "{}: {sent} is not in {kept}", attribute.key);
    }
}

/// Scenario: captured traces go to Phoenix over gRPC with gzip. Guarantees: it takes every span and
/// keeps it with its parent, times and attributes; the host sees no failure.
#[tokio::test(flavor = "multi_thread")]
async fn phoenix_keeps_every_span() {
    let _alone = alone();
    let Some(folder) = installed() else { return };
    let program = folder.join("bin/phoenix");
    if !program.is_file() {
        println!("skipped: Phoenix is not installed; `make backends PHOENIX=1` does that");
        return;
    }
    let (port, page) = (free_port(), free_port());
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    command
        .arg("serve")
        .env("PHOENIX_WORKING_DIR", home.path())
        .env("PHOENIX_HOST", "127.0.0.1")
        .env("PHOENIX_PORT", page.to_string())
        .env("PHOENIX_GRPC_PORT", port.to_string())
        // No words about its use.
        .env("PHOENIX_TELEMETRY_ENABLED", "false");
    let phoenix = Server::start(command, port).await;

    let plugins = linked();
    let (http, grpc) = (free_port(), free_port());
    let pipeline = Pipeline::default()
        .otlp_in(http, grpc)
        .otlp_out(&[("phoenix", port, "grpc")])
        .output_option("endpoint.phoenix.compression: gzip")
        .output_option("endpoint.phoenix.signals: traces");
    let host = host();
    let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
    let captured = all();
    let spans = spans(&captured);
    send(&captured, http).await;
    let database = home.path().join("phoenix.db");
    let start = Instant::now();
    while stored(&folder, "phoenix", &database).len() < spans.len()
        && start.elapsed() < Duration::from_secs(30)
    {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{log}");
    let kept = stored(&folder, "phoenix", &database);
    assert_eq!(kept.len(), spans.len(), "{log}\n{}", phoenix.log());
    for (id, span) in &spans {
        let kept = kept.get(id).unwrap_or_else(|| panic!("{id:?} is not there\n{log}"));
        assert_kept(span, kept);
    }
    for level in [" warn", "error"] {
        assert!(!log.contains(&format!("[{level}] [output:multi_otlp")), "{log}");
    }
    println!("{}: Phoenix keeps {} spans with all attributes", host.title(), kept.len());
}
