//! Logs in their trace, positions, and whatever else may be in a chunk.

use fluent_bit_ai::codec::msgpack;
use fluent_bit_ai::codec::records::Events;
use fluent_bit_ai::genai::{ContextSettings, Detector};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::records::{encode, event, read};
use crate::{run, run_all, settings};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

#[test]
fn ids_of_ordinary_logs_in_all_spellings() {
    for (trace, span) in [
        ("trace_id", "span_id"),
        ("traceId", "spanId"),
        ("trace.id", "span.id"),
        ("otelTraceID", "otelSpanID"),
        ("TraceId", "SpanId"),
        ("dd.trace_id", "dd.span_id"),
    ] {
        let body = json!({ "log": "x", trace: TRACE, span: SPAN });
        for metadata in [json!({}), json!({ "a": 1 })] {
            let mut chunk = Vec::new();
            event(&metadata, &body, &mut chunk);
            let (out, tally) = run(settings(), &chunk);
            let record = read(&out.unwrap()).remove(0);
            assert_eq!(tally.correlated, 1);
            assert_eq!(record.body, body);
            let otlp = &record.metadata["otlp"];
            assert_eq!(otlp, &json!({ "trace_id": TRACE, "span_id": SPAN }), "{trace}");
            assert_eq!(record.metadata.get("a"), metadata.get("a"));
        }
    }
}

#[test]
fn ids_of_otlp_logs_in_attributes_and_legacy_events() {
    let metadata = json!({ "otlp": {
        "trace_flags": 0, "severity_number": 9, "trace_id": "",
        "attributes": { "traceparent": format!("00-{TRACE}-{SPAN}-01") },
    }});
    let mut chunk = Vec::new();
    event(&metadata, &json!({ "log": "x" }), &mut chunk);
    // The old form of events, without metadata.
    msgpack::array_header(&mut chunk, 2);
    msgpack::int(&mut chunk, 1_700_000_000);
    encode(&json!({ "trace_id": TRACE }), &mut chunk);
    let (out, tally) = run(settings(), &chunk);
    let records = read(&out.unwrap());
    assert_eq!(tally.correlated, 2);
    let otlp = &records[0].metadata["otlp"];
    assert_eq!(otlp["trace_id"], TRACE);
    assert_eq!(otlp["span_id"], SPAN);
    assert_eq!(otlp["trace_flags"], 1);
    assert_eq!(otlp["severity_number"], 9);
    assert_eq!(otlp["attributes"], metadata["otlp"]["attributes"]);
    assert_eq!(records[1].metadata, json!({ "otlp": { "trace_id": TRACE } }));
}

#[test]
fn logs_that_need_nothing_pass() {
    let mut chunk = Vec::new();
    event(&json!({}), &json!({ "log": "x", "trace_id": "not an id" }), &mut chunk);
    let known = json!({ "otlp": { "trace_id": SPAN, "attributes": { "trace_id": TRACE } } });
    event(&known, &json!({ "log": "y" }), &mut chunk);
    assert_eq!(run(settings(), &chunk).0, None);
    let mut found = Vec::new();
    event(&json!({}), &json!({ "trace_id": TRACE }), &mut found);
    assert_eq!(run(ContextSettings { correlate: false, ..settings() }, &found).0, None);
}

#[test]
fn records_from_here_or_later_are_left_alone() {
    let given = json!({ "gen_ai.system": "openai", "text": "joe@x.com" });
    let body = json!({ "name": "x", "attributes": given });
    for (run_number, after, touched) in [(7, 2, false), (7, 3, false), (7, 1, true), (8, 2, true)] {
        let from = json!([run_number, after]);
        let mut chunk = Vec::new();
        let metadata = json!({ "otlp": { "v": 1, "signal": "span", "from": from } });
        event(&metadata, &body, &mut chunk);
        event(&metadata, &body, &mut chunk);
        let (out, _) = run(ContextSettings { redact: vec![Detector::Email], ..settings() }, &chunk);
        assert_eq!(out.is_some(), touched, "{from}");
    }
}

#[test]
fn what_is_broken_is_kept_and_counted() {
    let span = json!({ "otlp": { "v": 1, "signal": "span" } });
    let body = json!({ "name": "x", "attributes": { "gen_ai.system": "openai" } });
    let mut chunk = vec![0x93, 1, 2, 3];
    event(&span, &body, &mut chunk);
    chunk.extend_from_slice(&[0x05, 0x92, 0xc1]);
    let (out, tally) = run(settings(), &chunk);
    let out = out.unwrap();
    assert_eq!(tally.malformed, 3);
    assert!(out.starts_with(&[0x93, 1, 2, 3]) && out.ends_with(&[0x05, 0x92, 0xc1]));
    assert_eq!(
        read(&out[4..out.len() - 3])[0].body["attributes"]["gen_ai.provider.name"],
        "openai"
    );
}

#[test]
fn the_record_after_a_broken_group_marker_is_not_missed() {
    // Fluent Bit 3.1 writes the key `scope` without a value for an empty scope.
    let mut chunk = vec![0x92, 0x92, 0xd7, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0x80, 0x81];
    msgpack::str(&mut chunk, "scope");
    event(&json!({}), &json!({ "log": "joe@x.com", "trace_id": TRACE }), &mut chunk);
    let (out, tally) = run_all(&chunk);
    assert_eq!(read(&out.unwrap())[0].body["log"], "[email]");
    assert_eq!((tally.correlated, tally.malformed), (1, 0));
}

#[test]
fn a_newer_layout_is_left_alone_and_counted() {
    let mut chunk = Vec::new();
    let metadata = json!({ "otlp": { "v": 2, "signal": "span" } });
    event(&metadata, &json!({ "attributes": { "gen_ai.system": "openai" } }), &mut chunk);
    let (out, tally) = run_all(&chunk);
    assert_eq!((out, tally.malformed), (None, 1));
}

/// Keys that rules know, and others.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "openinference.span.kind",
            "traceloop.span.kind",
            "llm.request.type",
            "gen_ai.system",
            "llm.invocation_parameters",
            "llm.token_count.prompt",
            "gen_ai.usage.input_tokens",
            "gen_ai.operation.name",
            "llm.model_name",
            "gen_ai.openai.api_base",
            "hidden_params",
            "gen_ai.response.finish_reasons",
            "input.value",
            "output.value",
            "output.mime_type",
            "llm.prompts",
            "gen_ai.prompt",
            "gen_ai.completion",
            "litellm.call_id",
            "session.id",
            "llm.input_messages.0.message.role",
            "llm.input_messages.0.message.content",
            "llm.output_messages.1.message.tool_calls.0.tool_call.function.arguments",
            "gen_ai.prompt.0.content",
            "gen_ai.completion.0.finish_reason",
            "gen_ai.prompt.0",
            "llm.tools.0.tool.json_schema",
            "gen_ai.usage.input_token_details",
            "trace_id",
            "traceloop.entity.name",
            "traceloop.entity.input",
            "gen_ai.request.stream",
        ])
        .prop_map(str::to_owned),
        "[a-z.0-9]{0,12}",
    ]
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "LLM",
            "tool",
            "CHAIN",
            "completion",
            "{\"model\":\"m\",\"top_p\":1}",
            "[\"stop\"]",
            "12",
            "True",
            "http://h:1/",
            "[",
            "{",
            "application/json",
            "joe@x.com",
            "\\u00e9",
            "sk-",
            "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}",
            "4111111111111111",
            "-----BEGIN PRIVATE KEY-----",
            "::1",
            "DE89370400440532013000",
            "+4915112345678",
        ])
        .prop_map(Value::from),
        ".{0,24}".prop_map(Value::from),
    ]
}

fn soup() -> impl Strategy<Value = Vec<(String, Value)>> {
    let value = leaf().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    });
    prop::collection::vec((key(), value), 0..24)
}

/// A record of these attributes; a key that occurs twice occurs twice.
fn record(signal: &str, pairs: &[(String, Value)]) -> Vec<u8> {
    let mut map = Vec::new();
    msgpack::map_header(&mut map, u32::try_from(pairs.len()).unwrap());
    for (key, value) in pairs {
        msgpack::str(&mut map, key);
        encode(value, &mut map);
    }
    let mut out = Vec::new();
    msgpack::array_header(&mut out, 2);
    msgpack::array_header(&mut out, 2);
    msgpack::ext(&mut out, 0, &[0; 8]);
    if signal == "log" {
        msgpack::map_header(&mut out, 1);
        msgpack::str(&mut out, "otlp");
        msgpack::map_header(&mut out, 1);
    } else {
        encode(&json!({ "otlp": { "v": 1, "signal": signal } }), &mut out);
        msgpack::map_header(&mut out, 1);
    }
    msgpack::str(&mut out, "attributes");
    out.extend_from_slice(&map);
    if signal == "log" {
        out.extend_from_slice(&map);
    }
    out
}

proptest! {
    #[test]
    fn attribute_soup_keeps_its_pairs_and_settles(pairs in soup(), signal in 0..2) {
        let signal = ["span", "log"][usize::try_from(signal).unwrap()];
        let chunk = record(signal, &pairs);
        let once = run(settings(), &chunk).0.unwrap_or_else(|| chunk.clone());
        prop_assert_eq!(run(settings(), &once).0, None);
        let short = ContextSettings { keep_originals: false, ..settings() };
        let less = run(short.clone(), &chunk).0.unwrap_or_else(|| chunk.clone());
        prop_assert_eq!(run(short, &less).0, None);
        if signal == "span" {
            let attributes = read(&once).remove(0).body["attributes"].clone();
            for (key, _) in &pairs {
                prop_assert!(attributes.get(key).is_some());
            }
        }
        let masked = run_all(&chunk).0.unwrap_or(chunk);
        read(&masked);
        prop_assert_eq!(run_all(&masked).0, None);
    }

    #[test]
    fn random_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (out, _) = run_all(&bytes);
        prop_assert!(out.is_none_or(|out| !out.is_empty()));
    }

    #[test]
    fn broken_records_are_survived(pairs in soup(), offset in any::<prop::sample::Index>(), byte: u8) {
        let mut chunk = record("span", &pairs);
        let offset = offset.index(chunk.len());
        chunk[offset] = byte;
        let (out, _) = run_all(&chunk);
        prop_assert!(out.is_none_or(|out| !out.is_empty()));
        chunk.truncate(offset);
        let (_, tally) = run_all(&chunk);
        prop_assert!(chunk.is_empty() || tally.malformed > 0);
    }
}

/// Scenario: an application's JSON line as container runtimes hand it on, as an ordinary log and as
/// an OTLP log's body. Guarantees: ids, flags and severity come into the `otlp` map where it lacks
/// them, the ordinary log stays one, and what the map says already stays.
#[test]
fn json_text_places_a_log() {
    let text = format!(
        "{}\n",
        json!({"level": "error", "trace_id": TRACE, "span_id": SPAN, "trace_flags": "01"})
    );
    let body = json!({ "log": text, "stream": "stdout", "kubernetes": { "pod_name": "p" } });
    let severity = json!({ "severity_number": 17, "severity_text": "error" });
    let ids = json!({ "trace_id": TRACE, "span_id": SPAN });
    let with = |parts: &[&Value]| {
        let mut all = serde_json::Map::new();
        for part in parts {
            all.extend(part.as_object().unwrap().clone());
        }
        Value::Object(all)
    };
    let given = json!({ "severity_number": 9, "severity_text": "INFO" });
    let placed = json!({ "trace_id": "1".repeat(32) });
    for (otlp, wanted, correlated) in [
        (None, with(&[&severity, &ids]), 1),
        (
            Some(json!({ "severity_number": 0 })),
            with(&[&severity, &ids, &json!({ "trace_flags": 1 })]),
            1,
        ),
        (Some(given.clone()), with(&[&given, &ids, &json!({ "trace_flags": 1 })]), 1),
        (Some(placed.clone()), with(&[&placed, &severity]), 0),
    ] {
        let metadata = otlp.map_or_else(|| json!({}), |otlp| json!({ "otlp": otlp }));
        let mut chunk = Vec::new();
        event(&metadata, &body, &mut chunk);
        let (out, tally) = run(settings(), &chunk);
        let out = out.unwrap();
        let record = read(&out).remove(0);
        assert_eq!(record.body, body);
        assert_eq!(record.metadata["otlp"], wanted, "{metadata}");
        assert_eq!(tally.correlated, correlated, "{metadata}");
        if metadata == json!({}) {
            let event = Events::new(&out).next().unwrap().unwrap();
            assert!(event.telemetry().unwrap().is_ordinary(&event));
        }
        // A second time there is nothing to do.
        assert_eq!(run(settings(), &out).0, None, "{metadata}");
    }
    let mut chunk = Vec::new();
    event(&json!({}), &json!({ "log": "{\"msg\":\"x\"}" }), &mut chunk);
    event(
        &json!({}),
        &json!({ "log": "2026-11-28T10:00:00Z stdout F {\"level\":\"error\"}" }),
        &mut chunk,
    );
    assert_eq!(run(settings(), &chunk).0, None);
}

/// Scenario: the same JSON line, and a map, as bodies under a key of the user's.
/// Guarantees: they place the log as bodies without such a key do.
#[test]
fn a_body_under_a_key_places_a_log() {
    let said = json!({ "level": "error", "trace_id": TRACE, "span_id": SPAN });
    for body in [json!(said.to_string()), said] {
        let metadata = json!({ "otlp": { "v": 1, "signal": "log", "body_key": "said" } });
        let mut chunk = Vec::new();
        event(&metadata, &json!({ "said": body }), &mut chunk);
        let (out, tally) = run(settings(), &chunk);
        let record = read(&out.unwrap()).remove(0);
        let otlp = &record.metadata["otlp"];
        assert_eq!((&otlp["trace_id"], &otlp["span_id"]), (&json!(TRACE), &json!(SPAN)), "{body}");
        assert_eq!(otlp["body_key"], "said");
        assert_eq!(tally.correlated, 1, "{body}");
        assert_eq!(record.body, json!({ "said": body }));
    }
}
