//! What is accepted, what is refused, and why.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::*;
use crate::codec::json::fuzz_logic;

const LIMIT: usize = 1 << 20;
const IDS: &str = r#""traceId":"0AF7651916cd43dd8448eb211c80319c","spanId":"00f067aa0ba902b7""#;

fn convert(signal: Signal, json: &str) -> Result<(Vec<u8>, JsonConversion), JsonError> {
    let mut out = Vec::new();
    let result = to_protobuf(signal, json.as_bytes(), &mut out, LIMIT);
    assert!(result.is_ok() || out.is_empty());
    result.map(|converted| (out, converted))
}

fn in_spans(span: &str) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#)
}

fn span(fields: &str) -> Span {
    let (out, converted) =
        convert(Signal::Traces, &in_spans(&format!("{{{IDS}{fields}}}"))).unwrap();
    assert_eq!(converted, JsonConversion::default(), "{fields}");
    let request = ExportTraceServiceRequest::decode(&out[..]).unwrap();
    request.resource_spans[0].scope_spans[0].spans[0].clone()
}

/// The reason why a span with these fields is left out.
fn rejected(fields: &str) -> String {
    let (_, converted) = convert(Signal::Traces, &in_spans(&format!("{{{IDS}{fields}}}"))).unwrap();
    assert_eq!(converted.rejected, 1, "{fields}");
    converted.reason.unwrap()
}

fn log(fields: &str) -> LogRecord {
    let json = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{{fields}}}]}}]}}]}}"#);
    let (out, converted) = convert(Signal::Logs, &json).unwrap();
    assert_eq!(converted, JsonConversion::default(), "{fields}");
    let request = ExportLogsServiceRequest::decode(&out[..]).unwrap();
    request.resource_logs[0].scope_logs[0].log_records[0].clone()
}

fn body(value: &str) -> AnyValue {
    log(&format!(r#""body":{value}"#)).body.unwrap()
}

fn value(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

#[test]
fn empty_requests_are_empty() {
    for signal in Signal::ALL {
        for json in ["{}", " {\n} ", "\u{feff}{}", r#"{"later":[{"a":1}],"b":null}"#] {
            assert_eq!(convert(signal, json).unwrap(), (Vec::new(), JsonConversion::default()));
        }
    }
}

#[test]
fn the_names_of_the_protobuf_files_are_ignored_and_reported() {
    let json = in_spans(&format!(r#"{{{IDS},"start_time_unix_nano":"15e2","end_time":"1"}}"#));
    let (out, converted) = convert(Signal::Traces, &json).unwrap();
    let request = ExportTraceServiceRequest::decode(&out[..]).unwrap();
    assert_eq!(request.resource_spans[0].scope_spans[0].spans[0].start_time_unix_nano, 0);
    assert_eq!(converted.misnamed, 1);
    let message = converted.misnamed_first.unwrap();
    assert!(message.contains("spans[0]: 'start_time_unix_nano' is ignored"), "{message}");
    assert!(message.contains("'startTimeUnixNano'"), "{message}");
}

#[test]
fn numbers_in_every_form() {
    let table = [
        (r#""startTimeUnixNano":"1700000000000000001""#, 1_700_000_000_000_000_001),
        (r#""startTimeUnixNano":1700000000000000001"#, 1_700_000_000_000_000_001),
        (r#""startTimeUnixNano":"1700000000000000001.0""#, 1_700_000_000_000_000_001),
        (r#""startTimeUnixNano":1.5e3"#, 1500),
        (r#""startTimeUnixNano":"15e2""#, 1500),
        (r#""startTimeUnixNano":18446744073709551615"#, u64::MAX),
        (r#""startTimeUnixNano":-0"#, 0),
        (r#""startTimeUnixNano":null"#, 0),
    ];
    for (field, expected) in table {
        assert_eq!(span(&format!(",{field}")).start_time_unix_nano, expected, "{field}");
    }
    assert_eq!(span(r#","kind":3"#).kind, 3);
    assert_eq!(span(r#","kind":"SPAN_KIND_CLIENT""#).kind, 3);
    assert_eq!(span(r#","kind":"3""#).kind, 3);
    assert_eq!(span(r#","kind":-7"#).kind, -7);
    assert_eq!(log(r#""severityNumber":"SEVERITY_NUMBER_WARN2""#).severity_number, 14);
    assert_eq!(body(r#"{"intValue":"-9223372036854775808"}"#), value(Value::IntValue(i64::MIN)));
    assert_eq!(body(r#"{"intValue":-5}"#), value(Value::IntValue(-5)));
    assert_eq!(body(r#"{"doubleValue":3}"#), value(Value::DoubleValue(3.0)));
    assert_eq!(body(r#"{"doubleValue":"-1.5"}"#), value(Value::DoubleValue(-1.5)));
    let infinite = value(Value::DoubleValue(f64::NEG_INFINITY));
    assert_eq!(body(r#"{"doubleValue":"-Infinity"}"#), infinite);
    let Some(Value::DoubleValue(nan)) = body(r#"{"doubleValue":"NaN"}"#).value else { panic!() };
    assert!(nan.is_nan());
}

#[test]
fn ids_text_and_bytes() {
    let record =
        log(r#""traceId":"0aF7","spanId":"","body":{"stringValue":"a\u00e9\ud83d\ude00\n"}"#);
    assert_eq!((record.trace_id, record.span_id), (vec![0x0a, 0xf7], vec![]));
    let text = Value::StringValue("a\u{e9}\u{1f600}\n".to_owned());
    assert_eq!(record.body, Some(value(text)));
    for base64 in ["+/+/AA==", "-_-_AA==", "-_-_AA", "+/+/AA"] {
        let bytes = Value::BytesValue(vec![0xfb, 0xff, 0xbf, 0x00]);
        assert_eq!(body(&format!(r#"{{"bytesValue":"{base64}"}}"#)), value(bytes), "{base64}");
    }
    assert_eq!(body(r#"{"bytesValue":""}"#), value(Value::BytesValue(vec![])));
}

#[test]
fn what_is_given_and_what_is_not() {
    assert_eq!(body("{}"), AnyValue { value: None });
    assert_eq!(body(r#"{"intValue":"0"}"#), value(Value::IntValue(0)));
    assert_eq!(body(r#"{"boolValue":false}"#), value(Value::BoolValue(false)));
    assert_eq!(body(r#"{"stringValue":null,"intValue":1}"#), value(Value::IntValue(1)));
    assert_eq!(log(r#""body":null"#).body, None);
    let array = ArrayValue { values: vec![AnyValue { value: None }, AnyValue { value: None }] };
    assert_eq!(body(r#"{"arrayValue":{"values":[null,{}]}}"#), value(Value::ArrayValue(array)));
    let empty = value(Value::ArrayValue(ArrayValue { values: vec![] }));
    assert_eq!(body(r#"{"arrayValue":{}}"#), empty);
    let status = span(r#","status":{}"#).status;
    assert_eq!(status, Some(Default::default()));
}

#[test]
fn of_a_key_that_comes_twice_the_last_counts() {
    assert_eq!(span(r#","name":"a","name":"b""#).name, "b");
    assert_eq!(span(r#","name":"a","name":"""#).name, "");
    assert_eq!(span(r#","name":"a","name":null"#).name, "");
    assert_eq!(span(r#","kind":2,"kind":0"#).kind, 0);
    assert_eq!(span(r#","status":{"code":2},"status":{"message":"m"}"#).status.unwrap().code, 0);
    let one = |key: &str| format!(r#"[{{"key":"{key}"}}]"#);
    let twice = format!(r#","attributes":{},"name":"n","attributes":{}"#, one("a"), one("b"));
    let attributes = span(&twice).attributes;
    assert_eq!(attributes.len(), 1);
    assert_eq!(attributes[0].key, "b");
    assert_eq!(body(r#"{"intValue":1,"intValue":"2"}"#), value(Value::IntValue(2)));
    assert_eq!(body(r#"{"intValue":1,"intValue":null}"#), AnyValue { value: None });
    // Also across the envelopes.
    let json = r#"{"resourceLogs":[{}],"resourceLogs":[{"schemaUrl":"a","schemaUrl":"b"}]}"#;
    let (out, _) = convert(Signal::Logs, json).unwrap();
    let request = ExportLogsServiceRequest::decode(&out[..]).unwrap();
    assert_eq!(request.resource_logs.len(), 1);
    assert_eq!(request.resource_logs[0].schema_url, "b");
}

#[test]
fn bad_items_are_reported_with_their_path() {
    const AT: &str = "resourceSpans[0].scopeSpans[0].spans[0]";
    let table = [
        (
            r#","startTimeUnixNano":"soon""#,
            ".startTimeUnixNano: expected a whole number from 0 to 18446744073709551615, as text or as a number, found text of 4 bytes",
        ),
        (r#","startTimeUnixNano":-1"#, ".startTimeUnixNano: expected a whole number from 0"),
        (r#","startTimeUnixNano":1.5"#, "as a number, found 1.5"),
        (r#","endTimeUnixNano":18446744073709551616"#, ".endTimeUnixNano: expected"),
        (r#","flags":4294967296"#, ".flags: expected a whole number from 0 to 4294967295"),
        (
            r#","kind":"CLIENT""#,
            ".kind: expected a number or a name from SPAN_KIND_UNSPECIFIED to SPAN_KIND_CONSUMER",
        ),
        (r#","name":5"#, ".name: expected text, found 5"),
        (r#","name":{"a":[1,{}]}"#, ".name: expected text, found an object"),
        (r#","name":[["a"]]"#, ".name: expected text, found an array"),
        (r#","attributes":{}"#, ".attributes: expected an array of objects, found an object"),
        (r#","attributes":[{"key":"a"},5]"#, ".attributes[1]: expected an object, found 5"),
        (r#","attributes":[null]"#, ".attributes[0]: expected an object, found null"),
        (
            r#","attributes":[{"key":"a","value":{"boolValue":"true"}}]"#,
            ".attributes[0].value.boolValue: expected true or false",
        ),
        (
            r#","attributes":[{"key":"a","value":{"arrayValue":{"values":[{},{"intValue":true}]}}}]"#,
            ".attributes[0].value.arrayValue.values[1].intValue: expected a whole number",
        ),
        (
            r#","attributes":[{"value":{"intValue":1,"stringValue":"a"}}]"#,
            ".attributes[0].value: expected one of these fields, found more: stringValue, intValue",
        ),
        (r#","status":"OK""#, ".status: expected an object, found text"),
        (r#","parentSpanId":"0g""#, ".parentSpanId: expected hex digits, two for each byte"),
        (r#","parentSpanId":"012""#, ".parentSpanId: expected hex digits"),
        (
            r#","traceId":"00000000000000000000000000000000""#,
            ".traceId: expected 32 hex digits that are not all zero",
        ),
        (r#","spanId":"00f067aa0ba902b7ff""#, ".spanId: expected 16 hex digits"),
        (r#","spanId":"""#, ".spanId: expected 16 hex digits"),
        (r#","spanId":null"#, ": the field spanId is missing"),
    ];
    for (fields, message) in table {
        let reason = rejected(fields);
        assert!(reason.starts_with(AT), "{reason}");
        assert!(reason.contains(message), "{reason}");
    }
}

#[test]
fn good_items_beside_bad_ones_are_kept() {
    let good = format!(r#"{{{IDS},"name":"good"}}"#);
    let bad = format!(r#"{{{IDS},"name":[{{"a":"b"}}],"attributes":[{{"key":5}}],"kind":{{}}}}"#);
    let json = in_spans(&format!("{bad},{good},7,{bad},{good},null,{{}}"));
    let (out, converted) = convert(Signal::Traces, &json).unwrap();
    assert_eq!(converted.rejected, 5);
    let reason = converted.reason.unwrap();
    assert!(reason.starts_with("resourceSpans[0].scopeSpans[0].spans[0].name: "), "{reason}");
    let request = ExportTraceServiceRequest::decode(&out[..]).unwrap();
    let spans = &request.resource_spans[0].scope_spans[0].spans;
    assert_eq!(spans.iter().map(|span| span.name.as_str()).collect::<Vec<_>>(), ["good", "good"]);
    assert_eq!(spans[0], spans[1]);
}

#[test]
fn all_data_points_of_a_bad_metric_count() {
    let metric = |metric: &str| {
        let json =
            format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metric}]}}]}}]}}"#);
        let (out, converted) = convert(Signal::Metrics, &json).unwrap();
        let request = ExportMetricsServiceRequest::decode(&out[..]).unwrap();
        let kept = request.resource_metrics[0].scope_metrics[0].metrics.len();
        (converted.rejected, kept, converted.reason.unwrap_or_default())
    };
    let points = r#"{"dataPoints":[{"asInt":"1"},{"asInt":2},{"asDouble":3}]}"#;
    assert_eq!(metric(&format!(r#"{{"name":"a","gauge":{points}}}"#)), (0, 1, String::new()));
    for bad in [
        format!(r#"{{"name":5,"gauge":{points}}}"#),
        format!(r#"{{"gauge":{points},"name":5}}"#),
        r#"{"sum":{"dataPoints":[{"asInt":"x"},{"asInt":{}},{}],"isMonotonic":1}}"#.to_owned(),
    ] {
        let (rejected, kept, reason) = metric(&bad);
        assert_eq!((rejected, kept), (3, 0), "{bad}");
        assert!(reason.starts_with("resourceMetrics[0].scopeMetrics[0].metrics[0]."), "{reason}");
    }
    assert_eq!(metric(r#"{"name":5},{"name":"good"}"#).0, 1);
    let two = format!(r#"{{"gauge":{points},"sum":{points}}}"#);
    assert!(metric(&two).2.contains("found more: gauge, sum"));
}

#[test]
fn what_is_around_items_must_be_right() {
    let table = [
        ("[]", "request: expected an object, found an array (line 1, column 2)"),
        ("null", "request: expected an object, found null"),
        ("7", "request: expected an object"),
        (r#""a""#, "request: expected an object"),
        ("", "request: not JSON: EOF while parsing a value (line 1, column 0)"),
        ("{} {}", "request: not JSON: trailing characters (line 1, column 4)"),
        (r#"{"resourceSpans":5}"#, "resourceSpans: expected an array of objects, found 5"),
        (
            r#"{"resourceSpans":[{"resource":[]}]}"#,
            "resourceSpans[0].resource: expected an object, found an array",
        ),
        (
            r#"{"resourceSpans":[{},{"scopeSpans":[{"scope":{"name":1}}]}]}"#,
            "resourceSpans[1].scopeSpans[0].scope.name: expected text, found 1",
        ),
        (r#"{"resourceSpans":[{"schemaUrl":1}]}"#, "resourceSpans[0].schemaUrl: expected text"),
        (
            r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":{"intValue":""}}]}}]}"#,
            "resourceSpans[0].resource.attributes[0].value.intValue: expected a whole number",
        ),
        (
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a""b"}]}]}]}"#,
            "resourceSpans[0].scopeSpans[0].spans[0]: not JSON: expected `,` or `}` (line 1, column 55)",
        ),
        (
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"\ud800"}]}]}]}"#,
            "resourceSpans[0].scopeSpans[0].spans[0].name: not JSON: ",
        ),
        (
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"flags":1e999}]}]}]}"#,
            ".spans[0].flags: not JSON: number out of range",
        ),
    ];
    for (json, message) in table {
        let error = convert(Signal::Traces, json).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let mut out = Vec::new();
    let error = to_protobuf(Signal::Logs, b"{\"a\":\"\xff\"}", &mut out, LIMIT).unwrap_err();
    assert_eq!(error, JsonError::Utf8(6));
}

#[test]
fn values_nest_as_deep_as_in_records() {
    for (open, close) in [
        (r#"{"arrayValue":{"values":["#, "]}}"),
        (r#"{"kvlistValue":{"values":[{"key":"k","value":"#, "}]}}"),
    ] {
        let deep = |levels: usize| {
            let value = format!("{}{}{}", open.repeat(levels), "{}", close.repeat(levels));
            let json =
                in_spans(&format!(r#"{{{IDS},"attributes":[{{"key":"a","value":{value}}}]}}"#));
            convert(Signal::Traces, &json).unwrap()
        };
        let (request, converted) = deep(63);
        assert_eq!(converted.rejected, 0);
        let mut events = Vec::new();
        let done = crate::codec::records::traces_to_records(&request, &mut events).unwrap();
        assert_eq!((done.items, done.rejected), (1, 0));
        for levels in [64, 100_000] {
            let (_, converted) = deep(levels);
            assert_eq!(converted.rejected, 1);
            assert!(converted.reason.unwrap().ends_with("values are nested deeper than 64"));
        }
    }
    // What is not known is skipped, however deep it is.
    let deep = format!(r#"{{"later":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(convert(Signal::Logs, &deep).is_ok());
    assert!(convert(Signal::Logs, &"[".repeat(100_000)).is_err());
}

#[test]
fn the_protobuf_is_bounded() {
    let zeros = vec!["0"; LIMIT / 8 + 10].join(",");
    let point = format!(r#"{{"bucketCounts":[{zeros}]}}"#);
    let metrics = format!(r#"{{"histogram":{{"dataPoints":[{point}]}}}}"#);
    let json = format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metrics}]}}]}}]}}"#);
    assert_eq!(convert(Signal::Metrics, &json), Err(JsonError::Limit(LIMIT)));
    let mut out = vec![1];
    to_protobuf(Signal::Metrics, json.as_bytes(), &mut out, 4 * json.len()).unwrap();
    assert!(out.len() > LIMIT);
}

#[test]
fn hostile_text_is_survived() {
    let whole = in_spans(&format!(
        r#"{{{IDS},"name":"a\u00e9\ud83d\ude00","startTimeUnixNano":"1e3","flags":1,"status":{{"code":2}},
        "attributes":[{{"key":"k","value":{{"arrayValue":{{"values":[{{"doubleValue":1.5e3}},null]}}}}}}],
        "later":[{{}},"x",-1,true]}}"#
    ));
    assert_eq!(convert(Signal::Traces, &whole).unwrap().1, JsonConversion::default());
    for cut in 0..whole.len() {
        let mut out = Vec::new();
        let cut = &whole.as_bytes()[..cut];
        assert!(to_protobuf(Signal::Traces, cut, &mut out, LIMIT).is_err());
        assert!(out.is_empty());
    }
    for at in 0..whole.len() {
        for byte in [b'"', b'{', b']', b',', b'0', b'\\', 0, 0x80, 0xff] {
            let mut changed = whole.clone().into_bytes();
            changed[at] = byte;
            fuzz_logic::json_requests(&changed);
        }
    }
    let huge = format!(r#"{{{IDS},"flags":{},"name":"{}"}}"#, "9".repeat(300), "\\u0000".repeat(9));
    assert_eq!(convert(Signal::Traces, &in_spans(&huge)).unwrap().1.rejected, 1);
}

#[test]
fn many_repeated_keys_take_linear_time() {
    let attributes = vec![r#"{"key":"a"}"#; 20_000].join(",");
    let names = r#","name":"x""#.repeat(50_000);
    let fields = format!(r#","attributes":[{attributes}]{names}"#);
    let span = span(&fields);
    assert_eq!((span.attributes.len(), span.name.as_str()), (20_000, "x"));
}
