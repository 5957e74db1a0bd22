//! Rules of the encoding in JSON. The requests are text, written by hand.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{Histogram, HistogramDataPoint, Metric};
use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, Sum};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::Link;
use opentelemetry_proto::tonic::{logs::v1::LogRecord, trace::v1::Status};

use crate::answer::{Verdict, ensure};
use crate::call::Call;
use crate::ground::Ground;
use crate::requests::Signal;
use crate::stored::Expected;
use crate::table::Transport;

const LOWER: &str = "0102030405060708090a0b0c0d0e0fff";

/// A request with one span; `more` are further pairs of the span, each with a comma before it.
fn span_text(name: &str, more: &str) -> String {
    format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"name":"{name}","traceId":"{LOWER}","spanId":"a1b2c3d4e5f60718"{more}}}]}}]}}]}}"#
    )
}

fn base(name: &str) -> Span {
    let mut trace_id: Vec<u8> = (1..=16).collect();
    trace_id[15] = 0xff;
    Span {
        name: name.to_owned(),
        trace_id,
        span_id: vec![0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x07, 0x18],
        ..Span::default()
    }
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), key_strindex: 0 }
}

/// Sends a span with further pairs; it must be taken whole and arrive as `expected` makes it.
fn arrives(
    ground: &Ground,
    rule: &str,
    more: &str,
    expected: impl FnOnce(Span) -> Span,
) -> Verdict {
    let name = ground.name();
    whole(ground, Signal::Traces, &span_text(&name, more))?;
    let span = Box::new(expected(base(&name)));
    ground.expect(rule, Transport::Json, Expected::Span(span));
    Ok(())
}

fn whole(ground: &Ground, signal: Signal, text: &str) -> Verdict {
    let call = Call::new(Transport::Json, signal.path(Transport::Json), text.as_bytes());
    ground.whole(signal, Transport::Json, &call)
}

pub fn hex_ids(ground: &Ground, transport: Transport) -> Verdict {
    let more = r#","parentSpanId":"00000000000000aa","links":[{"traceId":"FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF","spanId":"AbCdEf0123456789"}]"#;
    arrives(ground, "hex-ids", more, |span| Span {
        parent_span_id: vec![0, 0, 0, 0, 0, 0, 0, 0xaa],
        links: vec![Link {
            trace_id: vec![0xff; 16],
            span_id: vec![0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89],
            ..Link::default()
        }],
        ..span
    })?;
    let name = ground.name();
    let upper = span_text(&name, "").replace(LOWER, &LOWER.to_uppercase());
    whole(ground, Signal::Traces, &upper)?;
    ground.expect("hex-ids", transport, Expected::Span(Box::new(base(&name))));
    // The base64 of 16 bytes is no hex.
    let base64 = span_text(&ground.name(), "").replace(LOWER, "AQIDBAUGBwgJCgsMDQ4P/w==");
    let call = Call::new(transport, "/v1/traces", base64.as_bytes());
    let reply = ground.send(transport, &call)?;
    if reply.status == 200 {
        let response = crate::answer::success(Signal::Traces, transport, &reply)?;
        let rejected = response.partial_success.map_or(0, |partial| partial.rejected);
        ensure!(rejected == 1, "an id in base64 was taken");
    } else {
        ensure!(reply.status == 400, "status {}", reply.status);
    }
    Ok(())
}

pub fn base64_bytes(ground: &Ground, _transport: Transport) -> Verdict {
    let more = r#","attributes":[{"key":"b","value":{"bytesValue":"AP/+AQ=="}},{"key":"e","value":{"bytesValue":""}}]"#;
    arrives(ground, "base64-bytes", more, |span| Span {
        attributes: vec![
            pair("b", Value::BytesValue(vec![0, 0xff, 0xfe, 1])),
            pair("e", Value::BytesValue(Vec::new())),
        ],
        ..span
    })
}

pub fn enum_numbers(ground: &Ground, _transport: Transport) -> Verdict {
    let more = r#","kind":4,"status":{"code":2,"message":"no"}"#;
    arrives(ground, "enum-numbers", more, |span| Span {
        kind: 4,
        status: Some(Status { code: 2, message: "no".to_owned() }),
        ..span
    })
}

pub fn big_integers(ground: &Ground, _transport: Transport) -> Verdict {
    let attribute =
        |key: &str, value: &str| format!(r#"{{"key":"{key}","value":{{"intValue":{value}}}}}"#);
    let attributes = [
        attribute("text", r#""9223372036854775807""#),
        attribute("negative", r#""-9223372036854775808""#),
        attribute("number", "9007199254740993"),
        attribute("small", "-7"),
    ];
    let more = format!(
        r#","startTimeUnixNano":"1700000000000000001","endTimeUnixNano":1700000000000000003,"attributes":[{}]"#,
        attributes.join(",")
    );
    arrives(ground, "big-integers", &more, |span| Span {
        start_time_unix_nano: 1_700_000_000_000_000_001,
        end_time_unix_nano: 1_700_000_000_000_000_003,
        attributes: vec![
            pair("text", Value::IntValue(i64::MAX)),
            pair("negative", Value::IntValue(i64::MIN)),
            pair("number", Value::IntValue(9_007_199_254_740_993)),
            pair("small", Value::IntValue(-7)),
        ],
        ..span
    })
}

pub fn doubles(ground: &Ground, _transport: Transport) -> Verdict {
    let attribute =
        |key: &str, value: &str| format!(r#"{{"key":"{key}","value":{{"doubleValue":{value}}}}}"#);
    let attributes = [
        attribute("number", "2.5"),
        attribute("whole", "3"),
        attribute("large", "1e300"),
        attribute("up", r#""Infinity""#),
        attribute("down", r#""-Infinity""#),
    ];
    let more = format!(r#","attributes":[{}]"#, attributes.join(","));
    arrives(ground, "doubles", &more, |span| Span {
        attributes: vec![
            pair("number", Value::DoubleValue(2.5)),
            pair("whole", Value::DoubleValue(3.0)),
            pair("large", Value::DoubleValue(1e300)),
            pair("up", Value::DoubleValue(f64::INFINITY)),
            pair("down", Value::DoubleValue(f64::NEG_INFINITY)),
        ],
        ..span
    })?;
    // Not a number equals nothing, so it is only sent.
    let more = format!(r#","attributes":[{}]"#, attribute("none", r#""NaN""#));
    whole(ground, Signal::Traces, &span_text(&ground.name(), &more))
}

pub fn unknown_keys(ground: &Ground, transport: Transport) -> Verdict {
    let more = r#","new":{"deep":[1,{"more":null}],"text":"x"},"newer":[[]],"flag":true"#;
    arrives(ground, "unknown-keys", more, |span| span)?;
    let name = ground.name();
    let text = span_text(&name, "");
    let text = text.replacen('{', r#"{"newEnvelope":{"a":[{}]},"#, 1);
    whole(ground, Signal::Traces, &text)?;
    ground.expect("unknown-keys", transport, Expected::Times(Signal::Traces, name, 1));
    Ok(())
}

pub fn camel_case(ground: &Ground, transport: Transport) -> Verdict {
    let name = ground.name();
    let text = span_text(&name, "").replace("resourceSpans", "resource_spans");
    let call = Call::new(transport, "/v1/traces", text.as_bytes());
    let reply = ground.send(transport, &call)?;
    ensure!(reply.status == 200 || reply.status == 400, "status {}", reply.status);
    ground.expect("camel-case", transport, Expected::Times(Signal::Traces, name, 0));
    Ok(())
}

pub fn absent_and_null(ground: &Ground, transport: Transport) -> Verdict {
    let more = r#","attributes":null,"kind":null,"status":null,"startTimeUnixNano":null"#;
    arrives(ground, "absent-and-null", more, |span| span)?;
    arrives(ground, "absent-and-null", r#","status":{}"#, |span| Span {
        status: Some(Status::default()),
        ..span
    })?;
    let name = ground.name();
    let points = r#"[{"count":"0","sum":0,"bucketCounts":[],"explicitBounds":[]}]"#;
    let text = metric_text(&name, &format!(r#""histogram":{{"dataPoints":{points}}}"#));
    whole(ground, Signal::Metrics, &text)?;
    let point = HistogramDataPoint { sum: Some(0.0), ..HistogramDataPoint::default() };
    let histogram = Histogram { data_points: vec![point], aggregation_temporality: 0 };
    let metric = Metric { name, data: Some(Data::Histogram(histogram)), ..Metric::default() };
    ground.expect("absent-and-null", transport, Expected::Metric(Box::new(metric)));
    Ok(())
}

fn metric_text(name: &str, data: &str) -> String {
    format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"{name}",{data}}}]}}]}}]}}"#
    )
}

pub fn all_signals(ground: &Ground, transport: Transport) -> Verdict {
    let name = ground.name();
    let point = r#"{"timeUnixNano":"1700000000000000001","asInt":"-5","flags":1}"#;
    let data = format!(
        r#""unit":"1","sum":{{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{point}]}}"#
    );
    whole(ground, Signal::Metrics, &metric_text(&name, &data))?;
    let point = NumberDataPoint {
        time_unix_nano: 1_700_000_000_000_000_001,
        value: Some(Number::AsInt(-5)),
        flags: 1,
        ..NumberDataPoint::default()
    };
    let sum = Sum { data_points: vec![point], aggregation_temporality: 2, is_monotonic: true };
    let data = Some(Data::Sum(sum));
    let metric = Metric { name, unit: "1".to_owned(), data, ..Metric::default() };
    ground.expect("all-signals-in-json", transport, Expected::Metric(Box::new(metric)));

    let body = ground.name();
    let text = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"7000000000","severityNumber":17,"flags":1,"traceId":"{LOWER}","eventName":"e","body":{{"stringValue":"{body}"}}}}]}}]}}]}}"#
    );
    whole(ground, Signal::Logs, &text)?;
    let log = LogRecord {
        time_unix_nano: 7_000_000_000,
        severity_number: 17,
        flags: 1,
        trace_id: base("").trace_id,
        event_name: "e".to_owned(),
        body: Some(AnyValue { value: Some(Value::StringValue(body)) }),
        ..LogRecord::default()
    };
    ground.expect("all-signals-in-json", transport, Expected::Log(Box::new(log)));
    Ok(())
}

pub fn bad_json(ground: &Ground, transport: Transport) -> Verdict {
    let deep = format!(r#"{{"x":{}"#, "[".repeat(10_000));
    let texts = [
        "",
        "{",
        "[]",
        "hello",
        r#"{"resourceSpans":{}}"#,
        r#"{"resourceSpans":[7]}"#,
        r#"{"resourceSpans":[]} trailing"#,
        &deep,
    ];
    for text in texts {
        let call = Call::new(transport, "/v1/traces", text.as_bytes());
        let refusal = ground.refused(transport, &call);
        let shown: String = text.chars().take(40).collect();
        // An empty body is an empty request to some.
        let refusal = match refusal {
            Err(_) if text.is_empty() => continue,
            other => other.map_err(|error| format!("'{shown}': {error}"))?,
        };
        ensure!(refusal.code == 400, "'{shown}': {}", refusal.code);
        ensure!(refusal.message.len() > 10, "'{shown}': '{}'", refusal.message);
    }
    Ok(())
}
