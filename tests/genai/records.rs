//! Records for the tests: real captures and hand-made logs, and records read back as JSON.

use fluent_bit_ai::codec::msgpack::{self, MapView, Reader, Token, elements};
use fluent_bit_ai::codec::records::{Event, Events};
use serde_json::{Map, Value, json};

/// Appends any JSON value.
pub(crate) fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => msgpack::nil(out),
        Value::Bool(value) => msgpack::bool(out, *value),
        Value::Number(number) => match number.as_i64() {
            Some(int) => msgpack::int(out, int),
            None => msgpack::f64(out, number.as_f64().unwrap()),
        },
        Value::String(text) => msgpack::str(out, text),
        Value::Array(list) => {
            msgpack::array_header(out, u32::try_from(list.len()).unwrap());
            list.iter().for_each(|element| encode(element, out));
        }
        Value::Object(map) => {
            msgpack::map_header(out, u32::try_from(map.len()).unwrap());
            for (key, value) in map {
                msgpack::str(out, key);
                encode(value, out);
            }
        }
    }
}

/// Appends the event `[[time, metadata], body]`.
pub(crate) fn event(metadata: &Value, body: &Value, out: &mut Vec<u8>) {
    msgpack::array_header(out, 2);
    msgpack::array_header(out, 2);
    msgpack::ext(out, 0, &[0x66, 0, 0, 0, 0, 0, 0, 7]);
    encode(metadata, out);
    encode(body, out);
}

/// A value as JSON: bytes as hex text.
pub(crate) fn decode(encoded: &[u8]) -> Value {
    match Reader::new(encoded).token().unwrap() {
        Token::Nil => Value::Null,
        Token::Bool(value) => Value::from(value),
        Token::Uint(value) => Value::from(value),
        Token::Int(value) => Value::from(value),
        Token::Float(value) => Value::from(value),
        Token::Str(text) => Value::from(std::str::from_utf8(text).unwrap()),
        Token::Bin(bytes) => {
            Value::from(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
        Token::Ext(kind, bytes) => json!({ "ext": kind, "bytes": bytes }),
        Token::Array(_) => elements(encoded).map(decode).collect(),
        Token::Map(_) => Value::Object(
            MapView::new(encoded)
                .map(|pair| (String::from_utf8_lossy(pair.key).into_owned(), decode(pair.value)))
                .collect(),
        ),
    }
}

/// One record as JSON.
pub(crate) struct Read {
    pub(crate) metadata: Value,
    pub(crate) body: Value,
}

/// All records of a chunk.
pub(crate) fn read(chunk: &[u8]) -> Vec<Read> {
    let events: Vec<Event<'_>> = Events::new(chunk).map(Result::unwrap).collect();
    events
        .iter()
        .map(|event| Read {
            metadata: if event.metadata.is_empty() { Value::Null } else { decode(event.metadata) },
            body: decode(event.body),
        })
        .collect()
}

/// An OTLP/JSON `AnyValue`.
fn any(value: &Value) -> Value {
    let Some((kind, inner)) = value.as_object().and_then(|map| map.iter().next()) else {
        return Value::Null;
    };
    match kind.as_str() {
        "intValue" => number(inner),
        "arrayValue" => list(inner, "values").iter().map(any).collect(),
        "kvlistValue" => attributes(list(inner, "values")),
        _ => inner.clone(),
    }
}

fn number(value: &Value) -> Value {
    value.as_str().map_or_else(|| value.clone(), |text| Value::from(text.parse::<i64>().unwrap()))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn attributes(pairs: &[Value]) -> Value {
    let pairs =
        pairs.iter().map(|pair| (pair["key"].as_str().unwrap().to_owned(), any(&pair["value"])));
    Value::Object(pairs.collect())
}

fn object(pairs: &[(&str, Option<Value>)]) -> Value {
    let given = pairs.iter().filter_map(|(key, value)| Some(((*key).to_owned(), value.clone()?)));
    Value::Object(given.collect::<Map<String, Value>>())
}

/// The items of a capture, one OTLP/JSON request per line, as telemetry records of one signal:
/// `span`, `metric` or `log`.
pub(crate) fn capture(file: &str, signal: &str) -> Vec<u8> {
    let (resources, scopes, items) = match signal {
        "span" => ("resourceSpans", "scopeSpans", "spans"),
        "metric" => ("resourceMetrics", "scopeMetrics", "metrics"),
        _ => ("resourceLogs", "scopeLogs", "logRecords"),
    };
    let path = format!("{}/tests/data/genai/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut chunk = Vec::new();
    for line in text.lines() {
        let request: Value = serde_json::from_str(line).unwrap();
        for resource in list(&request["body"], resources) {
            for scope in list(resource, scopes) {
                for item in list(scope, items) {
                    let otlp = json!({
                        "v": 1,
                        "signal": signal,
                        "resource": { "attributes": attributes(list(&resource["resource"], "attributes")) },
                        "scope": { "name": scope["scope"]["name"] },
                    });
                    append(signal, otlp, item, &mut chunk);
                }
            }
        }
    }
    chunk
}

fn append(signal: &str, mut otlp: Value, item: &Value, chunk: &mut Vec<u8>) {
    let given = attributes(list(item, "attributes"));
    let body = match signal {
        "span" => span(item, given),
        "metric" => metric(item),
        _ => {
            otlp["attributes"] = given;
            otlp["trace_flags"] = json!(0);
            otlp["event_name"] = item.get("eventName").cloned().unwrap_or_else(|| json!(""));
            json!({ "log": any(&item["body"]) })
        }
    };
    event(&json!({ "otlp": otlp }), &body, chunk);
}

fn span(item: &Value, given: Value) -> Value {
    let events: Vec<Value> = list(item, "events")
        .iter()
        .map(|event| {
            json!({
                "time_unix_nano": number(&event["timeUnixNano"]),
                "name": event["name"],
                "attributes": attributes(list(event, "attributes")),
            })
        })
        .collect();
    object(&[
        ("trace_id", item.get("traceId").cloned()),
        ("span_id", item.get("spanId").cloned()),
        ("name", item.get("name").cloned()),
        ("start_time_unix_nano", Some(number(&item["startTimeUnixNano"]))),
        ("end_time_unix_nano", Some(number(&item["endTimeUnixNano"]))),
        ("attributes", Some(given)),
        ("events", (!events.is_empty()).then(|| Value::from(events))),
    ])
}

fn metric(item: &Value) -> Value {
    let mut body = json!({ "name": item["name"] });
    for kind in ["gauge", "sum", "histogram"] {
        let points: Vec<Value> = list(&item[kind], "dataPoints")
            .iter()
            .map(|point| json!({ "attributes": attributes(list(point, "attributes")) }))
            .collect();
        if !points.is_empty() {
            body[kind] = json!({ "data_points": points });
        }
    }
    body
}
