//! Spans, metrics and logs of each dialect.

use std::collections::BTreeMap;

use fluent_bit_ai::genai::{ContextSettings, DialectCounts};
use fluent_bit_ai::model::Signal;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value, json};

use crate::records::{capture, event, read, request};
use crate::{run, settings};

const OPENINFERENCE: &str = "openinference-openai-0.1.66+langchain-0.1.80.otlp.jsonl";
const TRACELOOP: &str = "traceloop-sdk-0.62.4.otlp.jsonl";
const LITELLM: &str = "litellm-1.106.2-default.otlp.jsonl";
const LANGSMITH: &str = "made/langsmith.otlp.jsonl";
const OTEL: &str = "otel-instrumentation-genai-openai-1.3b0.otlp.jsonl";

fn normalized(file: &str) -> Vec<Value> {
    let chunk = capture(file, "span");
    let (out, _) = run(settings(), &chunk);
    read(&out.unwrap_or(chunk)).into_iter().map(|record| record.body).collect()
}

/// Asserts that the attributes of a span have these values; null means "not there".
fn expect(spans: &[Value], index: usize, name: &str, expected: &Value) {
    assert_eq!(spans[index]["name"], name);
    let attributes = spans[index]["attributes"].as_object().unwrap();
    for (key, value) in expected.as_object().unwrap() {
        let mut found = attributes.get(key).cloned().unwrap_or(Value::Null);
        if key.ends_with(".messages") && value.is_array() {
            found = serde_json::from_str(found.as_str().unwrap()).unwrap();
        }
        assert_eq!(&found, value, "span {index} ({name}), attribute {key}");
    }
}

#[test]
fn openinference_chats() {
    let spans = normalized(OPENINFERENCE);
    expect(
        &spans,
        0,
        "ChatCompletion",
        &json!({
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "fake-gpt",
            "gen_ai.response.model": "fake-gpt-2026-01-01",
            "gen_ai.response.id": "chatcmpl-1795352867893868497",
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 9,
            "gen_ai.usage.cache_read.input_tokens": 5,
            "gen_ai.usage.reasoning.output_tokens": 3,
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.request.temperature": 0.2,
            "gen_ai.conversation.id": "sess-1",
            "session.id": "sess-1",
            "gen_ai.response.time_to_first_chunk": null,
            "openai.response.system_fingerprint": "fp_fake",
            "gen_ai.input.messages":
                [{"role": "user", "parts": [{"type": "text", "content": "hi there"}]}],
            "gen_ai.output.messages":
                [{"role": "assistant", "parts": [{"type": "text", "content": "hello from fake"}]}],
        }),
    );
    expect(
        &spans,
        1,
        "ChatCompletion",
        &json!({
            "gen_ai.request.stream": true,
            "gen_ai.response.id": "chatcmpl-1795352867996876702",
            "gen_ai.usage.cache_read.input_tokens": 4,
        }),
    );
    let first = spans[1]["attributes"]["gen_ai.response.time_to_first_chunk"].as_f64().unwrap();
    let start = spans[1]["start_time_unix_nano"].as_u64().unwrap();
    let token = spans[1]["events"][0]["time_unix_nano"].as_u64().unwrap();
    assert!((first * 1e9 - (token - start) as f64).abs() < 1.0);
}

#[test]
fn openinference_other_kinds() {
    let spans = normalized(OPENINFERENCE);
    expect(
        &spans,
        2,
        "CreateEmbeddings",
        &json!({
            "gen_ai.operation.name": "embeddings",
            "gen_ai.request.model": "fake-embed",
            "gen_ai.response.model": null,
            "gen_ai.request.encoding_formats": ["base64"],
            "gen_ai.usage.input_tokens": 1,
            "gen_ai.usage.output_tokens": null,
        }),
    );
    expect(
        &spans,
        3,
        "ChatPromptTemplate",
        &json!({
            "gen_ai.operation.name": null, "gen_ai.input.messages": null,
        }),
    );
    expect(
        &spans,
        4,
        "GenericFakeChatModel",
        &json!({
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "genericfakechatmodel",
            "gen_ai.usage.input_tokens": 11,
            "gen_ai.usage.output_tokens": 7,
            "gen_ai.usage.cache_read.input_tokens": 3,
        }),
    );
}

#[test]
fn openinference_steps_and_tools() {
    let spans = normalized(OPENINFERENCE);
    // The sequence reports its model's usage in its output: it is not counted again.
    expect(
        &spans,
        5,
        "RunnableSequence",
        &json!({
            "gen_ai.operation.name": null, "gen_ai.usage.input_tokens": null,
        }),
    );
    expect(
        &spans,
        6,
        "FakeListLLM",
        &json!({
            "gen_ai.operation.name": "chat",
            "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}],
        }),
    );
    expect(
        &spans,
        7,
        "add",
        &json!({
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "add",
            "gen_ai.tool.description": "add",
            "gen_ai.tool.call.arguments": "{\"a\": 1, \"b\": 2}",
            "gen_ai.tool.call.result": "3",
        }),
    );
}

#[test]
fn traceloop_spans() {
    let spans = normalized(TRACELOOP);
    expect(
        &spans,
        0,
        "adder.tool",
        &json!({
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "adder",
            "gen_ai.tool.call.arguments": "{\"args\": [1, 2], \"kwargs\": {}}",
            "gen_ai.tool.call.result": "3",
            "gen_ai.workflow.name": "flow",
            "gen_ai.conversation.id": "s1",
            "user.id": "u1",
        }),
    );
    expect(
        &spans,
        1,
        "openai.chat",
        &json!({
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "fake-gpt",
            "gen_ai.response.model": "fake-gpt-2026-01-01",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 9,
            "gen_ai.usage.cache_read.input_tokens": 5,
            "gen_ai.usage.reasoning.output_tokens": 3,
            "gen_ai.request.stream": false,
            "openai.response.system_fingerprint": "fp_fake",
            "server.address": "127.0.0.1",
            "server.port": 8901,
        }),
    );
    expect(&spans, 2, "openai.chat", &json!({ "gen_ai.request.stream": true }));
    expect(
        &spans,
        3,
        "openai.embeddings",
        &json!({
            "gen_ai.operation.name": "embeddings", "gen_ai.usage.input_tokens": 1,
        }),
    );
    expect(
        &spans,
        4,
        "ask.task",
        &json!({
            "gen_ai.operation.name": null, "gen_ai.tool.name": null,
        }),
    );
    expect(
        &spans,
        5,
        "flow.workflow",
        &json!({
            "gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "flow",
        }),
    );
}

#[test]
fn litellm_spans() {
    let spans = normalized(LITELLM);
    expect(
        &spans,
        0,
        "litellm_request",
        &json!({
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.request.stream": false,
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 20,
            "user.id": "u1",
            "server.address": "api.openai.com",
            "server.port": 443,
            "llm.is_streaming": "False",
        }),
    );
    expect(
        &spans,
        2,
        "litellm_request",
        &json!({
            "gen_ai.request.stream": true, "server.address": null,
        }),
    );
    expect(
        &spans,
        4,
        "litellm_request",
        &json!({
            "openai.response.service_tier": "default",
            "server.address": "127.0.0.1",
            "server.port": 8901,
        }),
    );
    // The child repeats the call: it must not count a second time.
    expect(
        &spans,
        5,
        "raw_gen_ai_request",
        &json!({
            "gen_ai.operation.name": null, "gen_ai.usage.input_tokens": null,
        }),
    );
}

/// Scenario: every capture and made sample. Guarantees: there is one for each dialect that is mapped.
#[test]
fn every_dialect_has_a_sample() {
    let folder = format!("{}/tests/data/genai", env!("CARGO_MANIFEST_DIR"));
    let mut found: BTreeMap<&str, u64> = DialectCounts::names().map(|name| (name, 0)).collect();
    for inner in ["", "made/"] {
        for entry in std::fs::read_dir(format!("{folder}/{inner}")).unwrap() {
            let entry = entry.unwrap();
            if entry.path().is_dir() {
                continue;
            }
            let file = entry.file_name().into_string().unwrap();
            for signal in ["span", "log"] {
                let (_, tally) = run(settings(), &capture(&format!("{inner}{file}"), signal));
                let counts = tally.normalized.values().zip(tally.normalized_logs.values());
                for (name, (spans, logs)) in DialectCounts::names().zip(counts) {
                    *found.get_mut(name).unwrap() += spans + logs;
                }
            }
        }
    }
    assert!(found.values().all(|count| *count > 0), "a dialect has no sample: {found:?}");
}

#[test]
fn langsmith_spans() {
    let spans = normalized(LANGSMITH);
    expect(
        &spans,
        0,
        "ChatOpenAI",
        &json!({
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.conversation.id": "thread-1",
            "gen_ai.request.stream": true,
            "gen_ai.usage.cache_read.input_tokens": 5,
            "gen_ai.usage.cache_creation.input_tokens": 2,
            "gen_ai.usage.reasoning.output_tokens": 3,
            "openai.response.service_tier": "default",
            "openai.response.system_fingerprint": "fp_fake",
            "gen_ai.input.messages":
                [{"role": "user", "parts": [{"type": "text", "content": "hi there"}]}],
            "gen_ai.output.messages": [{"role": "assistant", "finish_reason": "stop",
                "parts": [{"type": "text", "content": "hello"}]}],
        }),
    );
    expect(&spans, 1, "search", &json!({ "gen_ai.operation.name": "execute_tool" }));
    // A step of the application sums up its model's tokens.
    expect(
        &spans,
        2,
        "agent",
        &json!({ "gen_ai.operation.name": null, "gen_ai.usage.input_tokens": null }),
    );
}

#[test]
fn litellm_calls_a_chat_a_completion() {
    let given = json!({ "llm.request.type": "Completion" });
    assert_eq!(one(&given)["gen_ai.operation.name"], "text_completion");
    let given = json!({ "llm.request.type": "Completion", "litellm.call_id": "c" });
    assert_eq!(one(&given)["gen_ai.operation.name"], "chat");
    let given = json!({ "llm.request.type": "embedding", "litellm.call_id": "c" });
    assert_eq!(one(&given)["gen_ai.operation.name"], "embeddings");
}

#[test]
fn current_conventions_pass_untouched() {
    let chunk = capture(OTEL, "span");
    let (out, tally) = run(settings(), &chunk);
    assert_eq!(out, None);
    assert_eq!(tally.normalized, DialectCounts::default());
    let spans = normalized(OTEL);
    expect(
        &spans,
        0,
        "chat fake-gpt",
        &json!({
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 10,
        }),
    );
}

#[test]
fn twice_is_once_and_nothing_is_lost() {
    for file in [OPENINFERENCE, TRACELOOP, LITELLM, LANGSMITH, OTEL] {
        for signal in ["span", "metric", "log"] {
            let chunk = capture(file, signal);
            let once = run(settings(), &chunk).0.unwrap_or_else(|| chunk.clone());
            assert_eq!(run(settings(), &once).0, None, "{file} {signal}");
            let short = ContextSettings { keep_originals: false, ..settings() };
            let less = run(short.clone(), &chunk).0.unwrap_or_else(|| chunk.clone());
            assert_eq!(run(short, &less).0, None, "{file} {signal}");
            if signal == "span" {
                for (before, after) in read(&chunk).iter().zip(read(&once)) {
                    assert_eq!(before.metadata, after.metadata);
                    let Some(given) = before.body["attributes"].as_object() else { continue };
                    let after = after.body["attributes"].as_object().unwrap();
                    for (key, value) in given {
                        let retyped = key == "gen_ai.response.finish_reasons";
                        assert!(after.get(key) == Some(value) || retyped, "{file}: {key}");
                    }
                }
            }
        }
    }
}

#[test]
fn originals_go_if_asked() {
    let chunk = capture(OPENINFERENCE, "span");
    let short = ContextSettings { keep_originals: false, ..settings() };
    let (out, tally) = run(short, &chunk);
    assert_eq!(tally.normalized.of("openinference"), 6);
    let spans: Vec<Value> = read(&out.unwrap()).into_iter().map(|record| record.body).collect();
    expect(
        &spans,
        0,
        "ChatCompletion",
        &json!({
            "llm.token_count.prompt": null,
            "llm.model_name": null,
            "llm.input_messages.0.message.role": null,
            "openinference.span.kind": null,
            "llm.invocation_parameters": null,
            "gen_ai.usage.input_tokens": 10,
            "session.id": "sess-1",
            "llm.token_count.completion_details.audio": 0,
        }),
    );
    // What is only half said stays: the options of the stream, the kind that has no operation.
    assert!(spans[1]["attributes"]["llm.invocation_parameters"].is_string());
    assert_eq!(spans[5]["attributes"]["openinference.span.kind"], "CHAIN");
}

fn one(attributes: &Value) -> Value {
    let mut chunk = Vec::new();
    let metadata = json!({ "otlp": { "v": 1, "signal": "span" } });
    event(&metadata, &json!({ "name": "x", "attributes": attributes }), &mut chunk);
    let out = run(settings(), &chunk).0.unwrap_or(chunk);
    read(&out).remove(0).body["attributes"].clone()
}

#[test]
fn older_names_and_wrong_types() {
    let out = one(&json!({
        "gen_ai.system": "vertex_ai",
        "gen_ai.usage.prompt_tokens": "12",
        "gen_ai.usage.completion_tokens": 3.0,
        "gen_ai.usage.cache_write.input_tokens": 4,
        "gen_ai.openai.request.response_format": "json_schema",
        "gen_ai.openai.request.seed": 5,
        "gen_ai.request.stream": "True",
        "gen_ai.request.temperature": "0.5",
        "gen_ai.response.finish_reasons": "[\"length\"]",
    }));
    assert_eq!(out["gen_ai.provider.name"], "gcp.vertex_ai");
    assert_eq!(out["gen_ai.usage.input_tokens"], 12);
    assert_eq!(out["gen_ai.usage.output_tokens"], 3);
    assert_eq!(out["gen_ai.usage.cache_creation.input_tokens"], 4);
    assert_eq!(out["gen_ai.output.type"], "json");
    assert_eq!(out["gen_ai.request.seed"], 5);
    assert_eq!(out["gen_ai.request.stream"], true);
    assert_eq!(out["gen_ai.request.temperature"], 0.5);
    assert_eq!(out["gen_ai.response.finish_reasons"], json!(["length"]));
}

#[test]
fn current_names_win_and_sums_are_not_usage() {
    let out = one(&json!({ "gen_ai.system": "openai", "gen_ai.provider.name": "azure.ai.openai" }));
    assert_eq!(out["gen_ai.provider.name"], "azure.ai.openai");
    for kind in ["AGENT", "CHAIN", "TOOL"] {
        let out = one(&json!({
            "openinference.span.kind": kind,
            "llm.token_count.prompt": 100,
            "llm.token_count.completion": 100,
        }));
        assert!(out.get("gen_ai.usage.input_tokens").is_none(), "{kind}");
        assert_eq!(out["llm.token_count.prompt"], 100);
    }
    let out = one(&json!({
        "gen_ai.operation.name": "invoke_agent", "gen_ai.usage.prompt_tokens": 9,
    }));
    assert!(out.get("gen_ai.usage.input_tokens").is_none());
}

#[test]
fn older_traceloop_and_langsmith() {
    let out = one(&json!({
        "llm.request.type": "completion",
        "gen_ai.system": "Anthropic",
        "gen_ai.prompt.0.role": "user",
        "gen_ai.prompt.0.content": "hi",
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": "yo",
        "gen_ai.completion.0.finish_reason": "end_turn",
    }));
    assert_eq!(out["gen_ai.operation.name"], "text_completion");
    assert_eq!(out["gen_ai.provider.name"], "anthropic");
    assert_eq!(out["gen_ai.response.finish_reasons"], json!(["stop"]));
    let input: Value =
        serde_json::from_str(out["gen_ai.input.messages"].as_str().unwrap()).unwrap();
    assert_eq!(input, json!([{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]));
    let out = one(&json!({
        "langsmith.span.kind": "llm",
        "langsmith.metadata.thread_id": "t",
        "gen_ai.usage.input_token_details": "{\"cache_read\": 5, \"cache_creation\": 2}",
        "gen_ai.prompt": "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}",
    }));
    assert_eq!(out["gen_ai.operation.name"], "chat");
    assert_eq!(out["gen_ai.conversation.id"], "t");
    assert_eq!(out["gen_ai.usage.cache_read.input_tokens"], 5);
    assert_eq!(out["gen_ai.usage.cache_creation.input_tokens"], 2);
    assert!(out["gen_ai.input.messages"].as_str().unwrap().contains("\"hi\""));
}

#[test]
fn common_names_mean_nothing_by_themselves() {
    let given =
        json!({ "session.id": "s", "tool.name": "t", "input.value": "x", "agent.name": "a" });
    assert_eq!(one(&given), given);
}

#[test]
fn metrics_are_renamed_in_place() {
    let (out, _) = run(settings(), &capture(LITELLM, "metric"));
    let mut points = 0;
    for record in read(&out.unwrap()) {
        let histogram = record.body["histogram"]["data_points"].as_array().cloned();
        for point in histogram.unwrap_or_default() {
            let attributes = &point["attributes"];
            assert_eq!(attributes["gen_ai.provider.name"], "openai");
            assert!(attributes.get("gen_ai.system").is_none());
            assert!(attributes.get("hidden_params").is_some());
            points += 1;
        }
    }
    assert!(points > 4);
}

#[test]
fn litellm_logs_get_their_event_name() {
    let (out, _) = run(settings(), &capture(LITELLM, "log"));
    let records = read(&out.unwrap());
    assert_eq!(records[0].metadata["otlp"]["event_name"], "gen_ai.content.prompt");
    assert_eq!(records[0].metadata["otlp"]["attributes"]["gen_ai.provider.name"], "openai");
    let (out, _) = run(settings(), &capture(OTEL, "log"));
    assert_eq!(out, None);
}

#[test]
fn what_was_changed_is_still_otlp() {
    for file in [OPENINFERENCE, TRACELOOP, LITELLM, LANGSMITH, OTEL] {
        let chunk = capture(file, "span");
        let out = run(settings(), &chunk).0.unwrap_or(chunk);
        let encoded = request(&out, Signal::Traces);
        let decoded = ExportTraceServiceRequest::decode(encoded.as_slice()).unwrap();
        let spans: usize = decoded
            .resource_spans
            .iter()
            .flat_map(|resource| &resource.scope_spans)
            .map(|scope| scope.spans.len())
            .sum();
        assert_eq!(spans, read(&out).len());
        for (file, signal) in [("metric", Signal::Metrics), ("log", Signal::Logs)] {
            let chunk = capture(LITELLM, file);
            let out = run(settings(), &chunk).0.unwrap();
            assert!(!request(&out, signal).is_empty());
        }
    }
}
