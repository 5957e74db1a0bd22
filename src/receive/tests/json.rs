//! OTLP/HTTP with JSON: what is answered to what.

use serde_json::{Value, json};

use super::host::{Host, settings};
use super::packed::gzip;
use super::post::{Answer, post, receive, send, send_raw};
use super::samples;
use crate::codec::json::from_protobuf;
use crate::model::Signal;
use crate::receive::ReceiverSettings;

const JSON: &str = "content-type: application/json\r\n";
const GZIP: &str = "content-type: application/json\r\ncontent-encoding: gzip\r\n";

/// Method, path, headers and body; the status and words of the answer.
type Case<'a> = (&'a str, &'a str, &'a str, &'a [u8], u16, &'a str);

fn request(signal: Signal, items: usize) -> Vec<u8> {
    let mut out = Vec::new();
    from_protobuf(signal, &samples::request(signal, items), &mut out).unwrap();
    out
}

fn body(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-type"), Some("application/json"));
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn all_signals_are_stored_before_the_answer() {
    let host = Host::start();
    for signal in Signal::ALL {
        let before = host.records();
        let json = request(signal, 3);
        let answer = post(host.http, signal.http_path(), JSON, &json);
        assert_eq!((answer.status, body(&answer)), (200, json!({})));
        let records = if signal == Signal::Metrics { 1 } else { 3 };
        assert_eq!(host.records(), before + records);
        assert_eq!(post(host.grpc, signal.http_path(), GZIP, &gzip(&json)).status, 200);
        let headers = "content-type: Application/JSON; charset=utf-8\r\n";
        assert_eq!(post(host.http, signal.http_path(), headers, &json).status, 200);
        assert_eq!(host.records(), before + 3 * records);
        assert_eq!(host.count("accepted_items_total", &[signal.name()]), 9);
        assert_eq!(host.count("received_requests_total", &[signal.name(), "http_json"]), 3);
        assert_eq!(host.count("received_requests_total", &[signal.name(), "http"]), 0);
    }
    host.assert_sums();
}

/// As the JavaScript exporters send it.
#[test]
fn chunked_bodies_are_read() {
    let host = Host::start();
    let mut chunked = Vec::new();
    for chunk in request(Signal::Logs, 50).chunks(700) {
        chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let headers = format!("{JSON}transfer-encoding: chunked\r\n");
    let answer = receive(send_raw(host.http, "POST", "/v1/logs", &headers, &chunked));
    assert_eq!((answer.status, body(&answer)), (200, json!({})));
    assert_eq!(host.records(), 50);
    host.assert_sums();
}

#[test]
fn an_empty_request_is_a_success() {
    let host = Host::start();
    for text in [&b"{}"[..], b"{\"resourceSpans\":[]}", b"{\"resourceSpans\":[{}]}"] {
        let answer = post(host.http, "/v1/traces", JSON, text);
        assert_eq!((answer.status, body(&answer)), (200, json!({})));
    }
    assert_eq!(host.records(), 0);
}

#[test]
fn bad_items_are_reported_and_the_good_ones_kept() {
    let host = Host::start();
    let text = String::from_utf8(request(Signal::Traces, 3)).unwrap();
    let bad = text.replacen("\"1700000000000000000\"", "\"soon\"", 1);
    assert_ne!(bad, text);
    let answer = post(host.http, "/v1/traces", JSON, bad.as_bytes());
    assert_eq!(answer.status, 200);
    let partial = &body(&answer)["partialSuccess"];
    assert_eq!(partial["rejectedSpans"], "1");
    let expected = partial["errorMessage"].as_str().unwrap();
    let start = "resourceSpans[0].scopeSpans[0].spans[0].startTimeUnixNano: expected a whole";
    assert!(expected.starts_with(start), "{expected}");
    assert_eq!(host.records(), 2);
    assert_eq!(host.count("rejected_items_total", &["traces", "malformed"]), 1);
    assert_eq!(host.count("received_items_total", &["traces"]), 3);
    let bad = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":1,"sum":{"dataPoints":[{},{}]}}]}]}]}"#;
    let answer = post(host.http, "/v1/metrics", JSON, bad.as_bytes());
    assert_eq!(body(&answer)["partialSuccess"]["rejectedDataPoints"], "2");
    let bad = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[[],{}]}]}]}"#;
    let answer = post(host.http, "/v1/logs", JSON, bad.as_bytes());
    assert_eq!(body(&answer)["partialSuccess"]["rejectedLogRecords"], "1");
    assert_eq!(host.records(), 3);
    host.assert_sums();
}

#[test]
fn mistakes_are_reported_with_a_message() {
    let host = Host::start();
    let good = request(Signal::Traces, 1);
    let table: [Case<'_>; 8] = [
        ("POST", "/v1/spans", JSON, &good, 404, "/v1/traces, /v1/metrics and /v1/logs"),
        ("POST", "/v1/traces", JSON, &good[..good.len() - 1], 400, "not JSON: EOF"),
        ("POST", "/v1/traces", JSON, b"", 400, "not JSON: EOF"),
        ("POST", "/v1/traces", JSON, b"[]", 400, "expected an object, found an array"),
        (
            "POST",
            "/v1/logs",
            JSON,
            b"{\"resourceLogs\":[{\"resource\":1}]}",
            400,
            "resourceLogs[0].resource: expected an object, found 1 (line 1, column",
        ),
        ("POST", "/v1/logs", JSON, b"\xff", 400, "not UTF-8"),
        ("POST", "/v1/traces", GZIP, &good, 400, "gzip"),
        ("PUT", "/v1/traces", JSON, &good, 405, "PUT"),
    ];
    for (method, path, headers, sent, status, expected) in &table {
        let answer = receive(send(host.http, method, path, headers, sent));
        assert_eq!(answer.status, *status, "{method} {path}");
        let answered = body(&answer);
        assert!(answered["message"].as_str().unwrap().contains(expected), "{answered}");
        assert!(answered["code"].is_number() && answered.get("details").is_none());
        assert_eq!(answer.header("allow"), (*status == 405).then_some("POST"));
    }
    assert_eq!(host.records(), 0);
    host.assert_sums();
}

#[test]
fn other_methods_are_answered_405() {
    let host = Host::start();
    for method in ["GET", "HEAD", "OPTIONS", "DELETE"] {
        for signal in Signal::ALL {
            let answer = receive(send_raw(host.http, method, signal.http_path(), "", b""));
            assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
            assert_eq!(answer.body.is_empty(), method == "HEAD");
        }
    }
    host.assert_sums();
}

#[test]
fn pressure_is_reported_in_json() {
    // The first request may go beyond the queue, the second not.
    let host = Host::with(&ReceiverSettings { max_queue_size: 1000, ..settings() });
    host.pause();
    let retry = json!([{
        "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"
    }]);
    let json = request(Signal::Traces, 4);
    let answer = post(host.http, "/v1/traces", JSON, &json);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(body(&answer)["details"], retry);
    host.resume();
    host.hold(true);
    let first = send(host.http, "POST", "/v1/traces", JSON, &json);
    host.wait_for("received_items_total", &["traces"], 4);
    let answer = post(host.http, "/v1/traces", JSON, &request(Signal::Traces, 20));
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
    assert_eq!(body(&answer)["details"], retry);
    host.hold(false);
    assert_eq!(receive(first).status, 200);
    assert_eq!(host.records(), 4);
    host.assert_sums();
}

#[test]
fn large_requests_are_refused() {
    let host = Host::start();
    let spaces = vec![b' '; 2 << 20];
    assert_eq!(post(host.http, "/v1/traces", JSON, &spaces).status, 413);
    let answer = post(host.http, "/v1/traces", GZIP, &gzip(&spaces));
    assert_eq!(answer.status, 413);
    let zeros = vec!["0"; 200_000].join(",");
    let json = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{{"bucketCounts":[{zeros}]}}]}}}}]}}]}}]}}"#
    );
    let answer = post(host.http, "/v1/metrics", JSON, json.as_bytes());
    assert_eq!(answer.status, 413);
    assert!(body(&answer)["message"].as_str().unwrap().contains("as protobuf"));
    let deep = format!(r#"{{"later":{}"#, "[".repeat(1_000_000));
    assert_eq!(post(host.http, "/v1/logs", JSON, deep.as_bytes()).status, 400);
    host.assert_sums();
}

/// OTLP/JSON knows names in lowerCamelCase alone and asks receivers to ignore others; a sender that
/// uses those of the protobuf files learns it from the answer, the log and a counter.
#[test]
fn names_in_snake_case_are_reported_wherever_they_are() {
    let host = Host::start();
    let cases = [
        (json!({ "resource_spans": [] }), "'resource_spans' is ignored", 1),
        (
            json!({ "resourceSpans": [{ "scope_spans": [], "schema_url": "u" }] }),
            "resourceSpans[0]: 'schema_url' is ignored",
            2,
        ),
        (
            json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [{
                "traceId": "b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2", "spanId": "0000000000000002",
                "start_time_unix_nano": "1",
                "attributes": [{ "key": "a", "value": { "string_value": "b" } }],
            }] }] }] }),
            "spans[0].attributes[0].value: 'string_value' is ignored",
            2,
        ),
    ];
    let mut fields = 0;
    for (request, expected, more) in cases {
        let answer = post(host.http, "/v1/traces", JSON, request.to_string().as_bytes());
        assert_eq!(answer.status, 200);
        let partial = body(&answer)["partialSuccess"].clone();
        assert!(partial["errorMessage"].as_str().unwrap().contains(expected), "{partial}");
        assert!(partial.get("rejectedSpans").is_none(), "{partial}");
        fields += more;
        assert_eq!(host.count("misnamed_fields_total", &["traces"]), fields);
    }
    assert_eq!(host.records(), 1);
    let unknown = json!({ "resourceSpans": [], "of_a_newer_protocol": 1 }).to_string();
    let answer = post(host.http, "/v1/traces", JSON, unknown.as_bytes());
    assert_eq!((answer.status, body(&answer)), (200, json!({})));
    host.assert_sums();
}

/// Names of enum values stand for their numbers; ids in base64 and numbers of 64 bits as objects are
/// rejected with their place, and the items beside them are kept.
#[test]
fn other_spellings_of_values_are_read_or_rejected_with_their_place() {
    let host = Host::start();
    let span = |more: Value| {
        let mut span = json!({ "traceId": "b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1",
            "spanId": "0000000000000001", "name": "s" });
        span.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        span
    };
    let long = json!({ "intValue": { "low": 1, "high": 0, "unsigned": false } });
    let spans = [
        span(json!({ "kind": "SPAN_KIND_SERVER", "status": { "code": "STATUS_CODE_ERROR" } })),
        span(json!({ "traceId": "Z6z8LqVvEI+kU1/Ci6mXBQ==" })),
        span(json!({ "attributes": [{ "key": "n", "value": long }] })),
    ];
    let request = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] });
    let answer = post(host.http, "/v1/traces", JSON, request.to_string().as_bytes());
    let partial = body(&answer)["partialSuccess"].clone();
    assert_eq!((answer.status, &partial["rejectedSpans"]), (200, &json!("2")));
    assert!(partial["errorMessage"].as_str().unwrap().contains("spans[1].traceId"), "{partial}");
    assert_eq!(host.records(), 1);
    host.assert_sums();
}
