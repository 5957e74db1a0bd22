//! Own mappings of `ai_context` do what the guide says of its example.

use std::process::Command;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde_json::{Value, json};

use crate::client::Client;
use crate::dialects::spans;
use crate::hosts::{RunningHost, free_port};
use crate::meters::page_when;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

/// The guide's example.
fn example() -> String {
    let guide = testkit::root().join("docs/ai_context.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let section = guide.split_once("### Own mappings").unwrap().1;
    section.split_once("```yaml\n").unwrap().1.split_once("```").unwrap().0.to_owned()
}

fn pair(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Any::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// A call in the dialect of the example, with notes that are content.
fn call() -> Vec<u8> {
    let span = Span {
        trace_id: vec![7; 16],
        span_id: vec![8; 8],
        name: "call".to_owned(),
        attributes: vec![
            pair("acme.kind", "LLM"),
            pair("acme.vendor", "claude"),
            pair("acme.tokens.in", "12"),
            pair("acme.asked", "where is CANARY?"),
            pair("acme.notes", "CANARY"),
            pair("acme.unheard", "of"),
        ],
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// Scenario: the example's call through `ai_context` with the example's file, to an endpoint with all and
/// one without content. Guarantees: both have current names and none of the mapped ones, and the one
/// without content nothing under a name that the file says is content; a name that no rule has is counted
/// under its name.
#[tokio::test(flavor = "multi_thread")]
async fn own_mappings_reach_every_endpoint() {
    let _together = together();
    let plugins = linked();
    let file = plugins.path().join("own.yaml");
    std::fs::write(&file, example()).unwrap();
    let config_file = format!("config_file: {}", file.display());
    for host in all_hosts() {
        let full = Sink::start(0, Keep::Requests).await;
        let bare = Sink::start(0, Keep::Requests).await;
        let (http, grpc, port) = (free_port(), free_port(), free_port());
        let pipeline = Pipeline::default()
            .service("http_server: on")
            .service("http_listen: 127.0.0.1")
            .service(&format!("http_port: {port}"))
            .otlp_in(http, grpc)
            .filter(&["name: ai_context", "match: '*'", &config_file])
            .otlp_out(&[("full", full.port, "http/protobuf"), ("bare", bare.port, "http/protobuf")])
            .output_option("endpoint.bare.content: drop");
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        let mut client = Client::connect(http, false).await.unwrap();
        client.send("/v1/traces", "", call()).await.unwrap();
        for sink in [&full, &bare] {
            sink.settle(1, Duration::from_secs(2), Duration::from_secs(20)).await;
        }
        let unheard = [("attribute", "acme.unheard")];
        page_when((&host, &running, port), "an unknown name", |page| {
            page.sum_of("unknown_attributes_total", &unheard) == Some(1)
        })
        .await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        let arrived = |sink: &Sink| -> Value {
            let all = spans(&sink.received.lock().unwrap());
            assert_eq!(all.len(), 1, "{}: {log}", host.title());
            serde_json::from_str::<Value>(&all[0]).unwrap()["attributes"].clone()
        };
        let mut want = json!({
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic",
            "gen_ai.usage.input_tokens": 12, "acme.unheard": "of",
        });
        let mut without = arrived(&bare);
        let removed = without.as_object_mut().unwrap().remove("fluentbit.ai.content.removed");
        assert_eq!(removed, Some(json!(["acme.notes", "gen_ai.input.messages"])));
        assert_eq!(without, want, "{}", host.title());
        want["acme.notes"] = json!("CANARY");
        let part = json!({ "type": "text", "content": "where is CANARY?" });
        want["gen_ai.input.messages"] = json!([{ "role": "user", "parts": [part] }]);
        assert_eq!(arrived(&full), want, "{}", host.title());
        println!("{}: own names at none of 2 endpoints", host.title());
    }
}

/// Scenario: a file with a mistake. Guarantees: the host does not start, and says where it is and what is
/// allowed.
#[test]
fn wrong_own_mappings_stop_the_start() {
    let _together = together();
    let plugins = linked();
    let file = plugins.path().join("wrong.yaml");
    std::fs::write(&file, example().replace("gen_ai.request.model", "gen_ai.modell")).unwrap();
    for host in all_hosts() {
        let pipeline = Pipeline::default()
            .otlp_in(free_port(), free_port())
            .filter(&[
                "name: ai_context",
                "match: '*'",
                &format!("config_file: {}", file.display()),
            ])
            .otlp_out(&[("one", 9, "http/protobuf")]);
        let configuration = plugins.path().join("wrong-host.yaml");
        std::fs::write(&configuration, pipeline.yaml(plugins.path())).unwrap();
        let output = Command::new("timeout")
            .args(["--signal=KILL", "20"])
            .arg(&host.executable)
            .args(&host.arguments)
            .arg("-c")
            .arg(&configuration)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let words = "wrong.yaml': line 10: dialects[0].rules[2].to: \"gen_ai.modell\" is not allowed; allowed: \
                     gen_ai.provider.name, gen_ai.request.model";
        assert!(said.contains(words), "{}: {said}", host.title());
        assert!(output.status.code().is_some_and(|code| code != 0), "{}: {said}", host.title());
    }
}
