//! What is written, byte for byte.

use super::*;
use crate::codec::json::{fuzz_logic, to_protobuf};
use crate::codec::wire;
use crate::codec::wire::WireError;

/// A request with everything that JSON says in its own way, as the specification asks for it.
const TRACES: &str = concat!(
    r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"a\"\n","value":{"stringValue":""}}]},"#,
    r#""scopeSpans":[{"scope":{},"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","#,
    r#""spanId":"00f067aa0ba902b7","flags":769,"name":"é","kind":3,"#,
    r#""startTimeUnixNano":"18446744073709551615","attributes":[{"key":"b","value":"#,
    r#"{"bytesValue":"+/8A"}},{"key":"d","value":{"doubleValue":0.1}},{"key":"i","value":"#,
    r#"{"intValue":"-1"}},{"key":"n","value":{}},{"key":"x"}],"status":{"code":2}}],"#,
    r#""schemaUrl":"u"}]}]}"#
);

const METRICS: &str = concat!(
    r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"h","histogram":{"dataPoints":"#,
    r#"[{"count":"3","sum":0.0,"bucketCounts":["0","3"],"explicitBounds":[1.5],"max":"NaN"}],"#,
    r#""aggregationTemporality":1}},{"name":"e","exponentialHistogram":{"dataPoints":"#,
    r#"[{"scale":-2,"positive":{"offset":-3,"bucketCounts":["1","18446744073709551615"]},"#,
    r#""negative":{},"zeroThreshold":"Infinity"}]}},{"name":"s","sum":{"dataPoints":"#,
    r#"[{"asInt":"-9223372036854775808"},{"asDouble":"-Infinity"}],"isMonotonic":true}}]}]}]}"#
);

fn json(signal: Signal, request: &[u8]) -> String {
    let mut out = Vec::new();
    from_protobuf(signal, request, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn what_the_specification_asks_for_comes_back_byte_for_byte() {
    for (signal, text) in [(Signal::Traces, TRACES), (Signal::Metrics, METRICS)] {
        let mut request = Vec::new();
        let converted = to_protobuf(signal, text.as_bytes(), &mut request, 1 << 20).unwrap();
        assert_eq!(converted.reason, None);
        assert_eq!(json(signal, &request), text);
    }
    assert_eq!(json(Signal::Logs, b""), "{}");
}

#[test]
fn unknown_fields_are_counted_and_left_out() {
    let mut scope = Vec::new();
    wire::uint(&mut scope, 99, 1);
    wire::bytes(&mut scope, 3, b"url");
    let mut resource = Vec::new();
    wire::bytes(&mut resource, 2, &scope);
    wire::uint(&mut resource, 1000, 1);
    let mut request = Vec::new();
    wire::bytes(&mut request, 1, &resource);
    let mut out = Vec::new();
    assert_eq!(from_protobuf(Signal::Logs, &request, &mut out), Ok(2));
    assert_eq!(out, br#"{"resourceLogs":[{"scopeLogs":[{"schemaUrl":"url"}]}]}"#);
}

#[test]
fn repeated_and_split_fields_mean_what_protobuf_says() {
    // Of scalars the last counts, messages are merged, lists go on.
    let mut first = Vec::new();
    wire::bytes(&mut first, 1, b"old");
    let mut second = Vec::new();
    wire::bytes(&mut second, 1, b"new");
    wire::bytes(&mut second, 2, b"v");
    let mut scope = Vec::new();
    wire::bytes(&mut scope, 1, &first);
    wire::bytes(&mut scope, 2, b"");
    wire::bytes(&mut scope, 1, &second);
    wire::bytes(&mut scope, 2, b"");
    let mut resource = Vec::new();
    wire::bytes(&mut resource, 2, &scope);
    let mut request = Vec::new();
    wire::bytes(&mut request, 1, &resource);
    let expected = concat!(
        r#"{"resourceMetrics":[{"scopeMetrics":[{"scope":{"name":"new","version":"v"},"#,
        r#""metrics":[{},{}]}]}]}"#
    );
    assert_eq!(json(Signal::Metrics, &request), expected);
}

#[test]
fn what_is_not_a_request_is_refused() {
    let mut out = vec![7];
    for (bytes, error) in [
        (&[0x0a, 5][..], Unwritable::Wire(WireError::Truncated)),
        (&[0x08, 5], Unwritable::WireType("resourceSpans")),
        (&[0x0a, 3, 0x1a, 1, 0xff], Unwritable::Utf8("schemaUrl")),
    ] {
        assert_eq!(from_protobuf(Signal::Traces, bytes, &mut out), Err(error));
        assert_eq!(out, [7]);
    }
    for end in 0..200_u8 {
        fuzz_logic::protobuf_requests(&[0x0a, end, 0x12, end / 2, 0x12, 3, end, 1, end]);
    }
}
