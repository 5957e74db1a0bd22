//! Phoenix, whose server takes traces over OTLP/gRPC and keeps them in a database.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value as Json, json};

use crate::captures::{all, attribute, attributes, current, hex, plain, send, spans};
use crate::hosts::{RunningHost, free_port};
use crate::recipes;
use crate::server::{Server, host, installed, settled};
use crate::support::{Pipeline, alone, linked};

/// Whether an attribute has this value below `tree`, where `key` goes on at `from`. Phoenix makes a tree of the dots in keys, with
/// lists where a part is a number, and reads text that is JSON. What a sender leaves out of a list leaves no gap in it.
fn has(tree: &Json, key: &str, from: usize, value: &Json, keys: &[&str]) -> bool {
    if from >= key.len() {
        let parsed = value.as_str().and_then(|text| serde_json::from_str::<Json>(text).ok());
        return tree == value || Some(tree) == parsed.as_ref();
    }
    let ends = key[from..].match_indices('.').map(|(at, _)| from + at).chain([key.len()]);
    ends.into_iter().any(|end| {
        let part = &key[from..end];
        let below = match part.parse::<usize>() {
            Ok(index) if tree.is_array() => {
                let others = keys.iter().filter_map(|other| other.strip_prefix(&key[..from]));
                let others = others.filter_map(|rest| rest.split('.').next()?.parse().ok());
                let before: BTreeSet<usize> = others.filter(|other| *other < index).collect();
                tree.get(before.len())
            }
            _ => tree.get(part),
        };
        below.is_some_and(|below| has(below, key, end + 1, value, keys))
    })
}

/// Asserts that Phoenix keeps of a span what was sent. Its times are rounded to microseconds.
fn assert_kept(span: &Span, kept: &Json) {
    let near = |kept: &Json, nanos: u64| kept.as_u64().unwrap().abs_diff(nanos) <= 1000;
    assert_eq!(kept["name"], json!(span.name));
    assert_eq!(kept["parent"], json!(hex(&span.parent_span_id)), "{kept}");
    assert!(near(&kept["start"], span.start_time_unix_nano), "{kept}");
    assert!(near(&kept["end"], span.end_time_unix_nano), "{kept}");
    let keys: Vec<&str> = attributes(span).map(|attribute| attribute.key.as_str()).collect();
    for attribute in attributes(span) {
        let (key, sent) = (&attribute.key, plain(attribute.value.as_ref()));
        let kept = &kept["attributes"];
        assert!(has(kept, key, 0, &sent, &keys), "{key}: {sent} is not in {kept}");
    }
}

/// Phoenix, with its ports for gRPC and for HTTP, if it is installed.
async fn start(folder: &Path, home: &Path, grpc: u16, http: u16) -> Option<Server> {
    let program = folder.join("bin/phoenix");
    if !program.is_file() {
        println!("skipped: Phoenix is not installed; `make backends PHOENIX=1` does that");
        return None;
    }
    let mut command = Command::new(program);
    command
        .arg("serve")
        .env("PHOENIX_WORKING_DIR", home)
        .env("PHOENIX_HOST", "127.0.0.1")
        .env("PHOENIX_PORT", http.to_string())
        .env("PHOENIX_GRPC_PORT", grpc.to_string())
        // No words about its use.
        .env("PHOENIX_TELEMETRY_ENABLED", "false");
    Some(Server::start(command, grpc).await)
}

/// Scenario: captured traces go to Phoenix over gRPC with gzip. Guarantees: it takes every span and
/// keeps it with its parent, times and attributes; the host sees no failure.
#[tokio::test(flavor = "multi_thread")]
async fn phoenix_keeps_every_span() {
    let _alone = alone();
    let Some(folder) = installed() else { return };
    let home = tempfile::tempdir().unwrap();
    let (port, page) = (free_port(), free_port());
    let Some(phoenix) = start(&folder, home.path(), port, page).await else { return };

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
    let kept = settled(&folder, "phoenix", &database, spans.len()).await;
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{log}");
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

/// Scenario: the configuration of docs/recipes/phoenix.md as it is, with captures of the current conventions. Guarantees: every span
/// arrives in the project that the recipe names, Phoenix sees which are calls of models, and has their tokens.
#[tokio::test(flavor = "multi_thread")]
async fn the_recipe_of_phoenix_works() {
    let _alone = alone();
    let Some(folder) = installed() else { return };
    let home = tempfile::tempdir().unwrap();
    let (grpc, page) = (free_port(), free_port());
    let Some(phoenix) = start(&folder, home.path(), grpc, page).await else { return };
    let plugins = linked();
    let host = host();
    let (running, http) = recipes::start("phoenix", page, &host, plugins.path());
    let captured = current();
    let spans = spans(&captured);
    send(&captured, http).await;
    let database = home.path().join("phoenix.db");
    let kept = settled(&folder, "phoenix", &database, spans.len()).await;
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(kept.len(), spans.len(), "{log}\n{}", phoenix.log());
    let mut calls = 0;
    for (id, span) in &spans {
        let kept = &kept[id];
        assert_eq!(kept["project"], "shop", "{kept}");
        if attribute(span, "gen_ai.operation.name") != "chat" {
            continue;
        }
        assert_eq!(kept["kind"], "LLM", "{kept}");
        let sent = attribute(span, "gen_ai.usage.input_tokens");
        // Calls that failed have none.
        if sent.is_null() {
            continue;
        }
        assert_eq!(kept["input_tokens"], sent, "{kept}");
        assert_eq!(kept["output_tokens"], attribute(span, "gen_ai.usage.output_tokens"), "{kept}");
        calls += 1;
    }
    assert!(calls >= 5, "{calls}");
    println!("{}: Phoenix has {} spans and the tokens of {calls} calls", host.title(), kept.len());
}
