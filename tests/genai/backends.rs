//! What backends get: spans in the dialect that each reads.

use std::collections::BTreeMap;

use fluent_bit_ai::codec::records::{EventKind, Events};
use fluent_bit_ai::genai::{BackendDialect, ContextSettings, Conventions, SpanRenderer};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::records::{event, read};
use crate::samples::{UPDATE, folder, mapped, readable, samples};
use crate::settings;

/// The samples whose spans are compared with reviewed ones, by the name under the folder.
const REVIEWED: [&str; 6] = [
    "made/claude_code",
    "made/langfuse",
    "made/vercel_ai_sdk",
    "otel-instrumentation-genai-openai-1.3b0",
    "openinference-openai-0.1.66+langchain-0.1.80",
    "traceloop-sdk-0.62.4",
];

const TARGETS: [(BackendDialect, &str); 2] = [
    (BackendDialect::OpenInference, "openinference"),
    (BackendDialect::OpenLlmetry, "openllmetry"),
];

const FIRST_TOKEN: &str = "gen_ai.response.time_to_first_chunk";

/// The attributes of each span of a chunk in a dialect, and its name.
fn rendered(dialect: BackendDialect, chunk: &[u8]) -> Vec<(Value, Value)> {
    let mut renderer = SpanRenderer::new(dialect);
    let mut all = Vec::new();
    for event in Events::new(chunk).map(Result::unwrap) {
        if event.kind != EventKind::Record {
            continue;
        }
        let body = renderer.render(&event).and_then(|span| span.body);
        let body = crate::records::decode(body.as_deref().unwrap_or(event.body));
        all.push((body["name"].clone(), body["attributes"].clone()));
    }
    all
}

fn shorter() -> ContextSettings {
    ContextSettings { keep_originals: false, conventions: Conventions::V1_41, ..settings() }
}

/// Scenario: captures and made samples after `ai_context`. Guarantees: their spans in a backend's
/// dialect are what was reviewed.
#[test]
fn spans_in_a_backend_s_dialect_are_as_reviewed() {
    for (dialect, target) in TARGETS {
        for file in REVIEWED {
            let mapped = mapped(&format!("{file}.otlp.jsonl"), "span", shorter());
            let spans: Vec<Value> = rendered(dialect, &mapped.after)
                .into_iter()
                .map(|(name, attributes)| json!({ "name": name, "attributes": readable(&attributes) }))
                .collect();
            let name = file.trim_start_matches("made/");
            let path = format!("{}/backends/{target}/{name}.json", folder());
            let made = Value::Array(spans);
            if std::env::var_os(UPDATE).is_some() {
                std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
                std::fs::write(&path, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let reviewed: Value = serde_json::from_str(&text).unwrap();
            for (made, reviewed) in
                made.as_array().unwrap().iter().zip(reviewed.as_array().unwrap())
            {
                assert_eq!(made, reviewed, "{path}");
            }
            assert_eq!(
                made.as_array().unwrap().len(),
                reviewed.as_array().unwrap().len(),
                "{path}"
            );
        }
    }
}

/// Scenario: every sample in a backend's dialect, once after `ai_context` and once without.
/// Guarantees: both are the same, no current name of a message is left, and what is in the dialect
/// already does not change.
#[test]
fn it_does_not_matter_who_maps() {
    for file in samples() {
        let mapped = mapped(&file, "span", shorter());
        for (dialect, _) in TARGETS {
            let before = rendered(dialect, &mapped.before);
            let after = rendered(dialect, &mapped.after);
            assert_eq!(before, after, "{file} {dialect:?}");
        }
        let current = rendered(BackendDialect::Current, &mapped.before);
        assert_eq!(current, rendered(BackendDialect::Current, &mapped.after), "{file}");
    }
}

/// Scenario: every sample through `ai_context` with `keep_originals`, to a backend that wants the
/// original. Guarantees: all that the sender wrote under names of its own is there, and what is
/// missing of current names follows from it.
#[test]
fn the_original_is_what_was_sent() {
    let mut restored = 0;
    for file in samples() {
        let settings = ContextSettings { keep_originals: true, ..shorter() };
        let mapped = mapped(&file, "span", settings.clone());
        let sent = read(&mapped.before);
        let full = read(&mapped.after);
        let original = rendered(BackendDialect::Original, &mapped.after);
        let current = rendered(BackendDialect::Current, &mapped.after);
        for (((sent, full), (_, original)), (_, current)) in
            sent.iter().zip(&full).zip(&original).zip(&current)
        {
            let events = &sent.body["events"];
            let Some(sent) = sent.body["attributes"].as_object() else { continue };
            let (full, original) = (&full.body["attributes"], original.as_object().unwrap());
            for (key, value) in sent {
                // A current name may repeat what another says.
                let now = original.get(key).or(full.get(key));
                assert!(key.starts_with("gen_ai.") || now == Some(value), "{file}: {key}");
            }
            for key in original.keys() {
                let is_sent = sent.contains_key(key) || key == "fluentbit.ai.inferred";
                assert!(is_sent || key == FIRST_TOKEN, "{file}: {key} was not sent");
            }
            // Without its start, the time to its first token is not known.
            let again = span_of(&Value::Object(original.clone()), events);
            let again = compared(&rendered(BackendDialect::Current, &again).remove(0).1);
            for (key, value) in compared(current).iter().filter(|(key, _)| *key != FIRST_TOKEN) {
                assert_eq!(again.get(key), Some(value), "{file}: {key}");
            }
            restored += usize::from(full.as_object().unwrap().len() > original.len());
        }
    }
    assert!(restored > 80, "{restored} spans had additions");
}

/// One span with these attributes and events, as a chunk.
fn span_of(attributes: &Value, events: &Value) -> Vec<u8> {
    let mut chunk = Vec::new();
    let metadata = json!({ "otlp": { "signal": "span" } });
    event(
        &metadata,
        &json!({ "name": "call", "attributes": attributes, "events": events }),
        &mut chunk,
    );
    chunk
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9 .,?]{0,20}",
        Just("{\"a\": 1}".to_owned()),
        Just("[{\"type\":\"text\",\"text\":\"x\"}]".to_owned()),
        Just("\"quoted\"".to_owned()),
        Just("größer\n第二行".to_owned()),
    ]
}

fn message(role: &'static str, is_output: bool) -> impl Strategy<Value = Value> {
    let parts = prop::collection::vec(
        text().prop_map(|text| json!({ "type": "text", "content": text })),
        1..3,
    );
    let call = prop::option::of(("[a-z]{1,8}", "c[0-9]{1,3}", 0..100_i64).prop_map(|(name, id, number)| {
        json!({ "type": "tool_call", "id": id, "name": name, "arguments": { "n": number } })
    }));
    let reasoning =
        prop::option::of(text().prop_map(|text| json!({ "type": "reasoning", "content": text })));
    (parts, reasoning, call).prop_map(move |(mut parts, reasoning, call)| {
        parts.extend(reasoning);
        if role == "assistant" {
            parts.extend(call);
        }
        let mut message = json!({ "role": role, "parts": parts });
        if is_output {
            message["finish_reason"] = json!("stop");
        }
        message
    })
}

fn answer() -> impl Strategy<Value = Value> {
    (text(), "c[0-9]{1,3}").prop_filter("an answer says something", |(text, _)| !text.is_empty()).prop_map(
        |(text, id)| json!({ "role": "tool", "parts": [{ "type": "tool_call_response", "id": id, "response": text }] }),
    )
}

/// Adds messages and tools to a call.
fn tell(span: &mut Map<String, Value>, input: Vec<Value>, output: Value, tools: bool) {
    let mut put = |key: &str, text: String| span.insert(key.to_owned(), json!(text));
    put("gen_ai.input.messages", Value::Array(input).to_string());
    put("gen_ai.output.messages", json!([output]).to_string());
    if tools {
        let tool = json!([
            { "type": "function", "name": "t", "parameters": { "type": "object" } },
        ]);
        put("gen_ai.tool.definitions", tool.to_string());
    }
    span.insert("http.route".to_owned(), json!("/x"));
}

/// A model call with what every dialect has a name for.
fn model_call() -> impl Strategy<Value = Map<String, Value>> {
    let input = prop::collection::vec(
        prop_oneof![
            message("user", false),
            message("assistant", false),
            message("system", false),
            answer()
        ],
        1..4,
    );
    let names = (
        prop::sample::select(vec![
            "openai",
            "anthropic",
            "aws.bedrock",
            "mistral_ai",
            "x_ai",
            "gcp.gemini",
            "own",
        ]),
        "[a-z]{1,6}-[0-9]",
        prop::option::of("s-[0-9]{1,4}"),
    );
    let numbers =
        (10..10_000_i64, 0..10_000_i64, prop::option::of(0..10_i64), prop::option::of(0..10_i64));
    let asked = (
        prop::option::of(0..5_i64),
        prop::option::of(1..4096_i64),
        prop::option::of(any::<bool>()),
    );
    (names, numbers, asked, input, message("assistant", true), any::<bool>()).prop_map(
        |(
            (provider, model, session),
            (inn, out, cached, reasoning),
            (heat, most, stream),
            input,
            output,
            tools,
        )| {
            let mut span = Map::new();
            let mut put = |key: &str, value: Option<Value>| {
                span.extend(value.map(|value| (key.to_owned(), value)));
            };
            put("gen_ai.operation.name", Some(json!("chat")));
            put("gen_ai.provider.name", Some(json!(provider)));
            put("gen_ai.request.model", Some(json!(model)));
            put("gen_ai.response.model", Some(json!(model)));
            put("gen_ai.response.id", Some(json!("r-1")));
            put("gen_ai.conversation.id", session.map(Value::from));
            put("gen_ai.usage.input_tokens", Some(json!(inn)));
            put("gen_ai.usage.output_tokens", Some(json!(out)));
            put("gen_ai.usage.cache_read.input_tokens", cached.map(Value::from));
            put("gen_ai.usage.reasoning.output_tokens", reasoning.map(Value::from));
            put("gen_ai.request.temperature", heat.map(|tenths| json!(tenths as f64 / 10.0)));
            put("gen_ai.request.max_tokens", most.map(Value::from));
            put("gen_ai.request.stream", stream.map(Value::from));
            put("gen_ai.response.finish_reasons", Some(json!(["stop"])));
            tell(&mut span, input, output, tools);
            span
        },
    )
}

/// Attributes with JSON text read, so that the order of members does not count.
fn compared(attributes: &Value) -> BTreeMap<String, Value> {
    let read = readable(attributes);
    read.as_object().unwrap().clone().into_iter().collect()
}

proptest! {
    /// Scenario: a model call in a backend's dialect, and mapped back. Guarantees: nothing is lost of
    /// what every dialect has a name for, and nothing is told in two dialects.
    #[test]
    fn a_call_survives_the_way_there_and_back(call in model_call()) {
        let chunk = span_of(&Value::Object(call.clone()), &json!([]));
        let sent = compared(&Value::Object(call));
        for (dialect, _) in TARGETS {
            let there = rendered(dialect, &chunk).remove(0).1;
            prop_assert!(there.get("gen_ai.input.messages").is_none(), "{there}");
            prop_assert!(there.get("gen_ai.operation.name").is_none(), "{there}");
            let back = rendered(BackendDialect::Current, &span_of(&there, &json!([]))).remove(0).1;
            let back = compared(&back);
            for (key, value) in &sent {
                prop_assert_eq!(Some(value), back.get(key), "{:?} {} of {}", dialect, key, there);
            }
        }
    }

    /// Scenario: the call of a tool in a backend's dialect, and mapped back. Guarantees: as above.
    #[test]
    fn a_tool_survives_the_way_there_and_back(
        name in "[a-z]{1,8}", arguments in 0..9_i64, result in "[a-z ]{1,9}",
    ) {
        let tool = json!({
            "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name,
            "gen_ai.tool.call.arguments": json!({ "n": arguments }).to_string(),
            "gen_ai.tool.call.result": result,
        });
        for (dialect, _) in TARGETS {
            let there = rendered(dialect, &span_of(&tool, &json!([]))).remove(0).1;
            prop_assert!(there.get("gen_ai.operation.name").is_none(), "{there}");
            let back = rendered(BackendDialect::Current, &span_of(&there, &json!([]))).remove(0).1;
            for (key, value) in tool.as_object().unwrap() {
                prop_assert_eq!(Some(value), back.get(key), "{:?} {} of {}", dialect, key, there);
            }
        }
    }
}
