//! OTLP/HTTP: what is answered to what.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

use super::host::Host;
use super::packed::{self, gzip};
use super::post::{PROTOBUF, export, post, receive, send, send_raw};
use super::samples;
use crate::model::Signal;

/// Method, path, headers and body; the status and words of the answer.
type Case<'a> = (&'a str, &'a str, &'a str, &'a [u8], u16, &'a str);

const GZIP: &str = "content-type: application/x-protobuf\r\ncontent-encoding: gzip\r\n";

#[test]
fn all_signals_are_stored_before_the_answer() {
    let host = Host::start();
    for (number, signal) in Signal::ALL.into_iter().enumerate() {
        let before = host.records();
        let answer = export(host.http, signal.http_path(), &samples::request(signal, 3));
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{}", number);
        assert_eq!(answer.header("content-type"), Some("application/x-protobuf"));
        // One metric holds the three points.
        let records = if signal == Signal::Metrics { 1 } else { 3 };
        assert_eq!(host.records(), before + records);
        let packed = gzip(&samples::request(signal, 3));
        assert_eq!(post(host.grpc, signal.http_path(), GZIP, &packed).status, 200);
        assert_eq!(host.records(), before + 2 * records);
        assert_eq!(host.count("received_items_total", &[signal.name()]), 6);
        assert_eq!(host.count("accepted_items_total", &[signal.name()]), 6);
        assert_eq!(host.count("received_requests_total", &[signal.name(), "http"]), 2);
    }
    host.assert_sums();
}

#[test]
fn every_encoding_is_taken() {
    let host = Host::start();
    let body = samples::traces(2, 1000);
    for (number, (name, encoding, pack)) in packed::ALL.into_iter().enumerate() {
        let header = if name == "zlib" { "deflate" } else { name };
        let headers = format!("{PROTOBUF}content-encoding: {header}\r\n");
        let answer = post(host.http, "/v1/traces", &headers, &pack(&body));
        assert_eq!(answer.status, 200, "{name}");
        assert_eq!(host.records(), 2 * (number + 1));
        let bomb = pack(&vec![0; 8 << 20]);
        let answer = post(host.http, "/v1/traces", &headers, &bomb);
        assert_eq!(answer.status, 413, "{encoding:?}");
        let answer = post(host.http, "/v1/traces", &headers, b"neither packed nor a request");
        assert_eq!(answer.status, 400, "{name}");
        assert!(answer.message().contains(header), "{}", answer.message());
    }
    host.assert_sums();
}

#[test]
fn an_empty_request_is_a_success() {
    let host = Host::start();
    assert_eq!(export(host.http, "/v1/traces", b"").status, 200);
    assert_eq!(export(host.http, "/v1/logs?tenant=1", b"").status, 200);
    assert_eq!(export(host.http, "/v1/metrics", b"\x0a\0").status, 200);
    assert_eq!(post(host.http, "/v1/metrics", GZIP, b"").status, 200);
    assert_eq!(host.records(), 0);
}

#[test]
fn bad_items_are_reported_and_the_good_ones_kept() {
    let host = Host::start();
    let answer = export(host.http, "/v1/traces", &samples::partly_bad_traces());
    assert_eq!(answer.status, 200);
    let response = ExportTraceServiceResponse::decode(&answer.body[..]).unwrap();
    let partial = response.partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 1);
    assert!(partial.error_message.contains("spans[1].trace_id"), "{}", partial.error_message);
    assert_eq!(host.records(), 2);
    assert_eq!(host.count("rejected_items_total", &["traces", "malformed"]), 1);
    assert_eq!(host.count("received_items_total", &["traces"]), 3);
    host.assert_sums();
}

#[test]
fn mistakes_are_reported_with_a_message() {
    let host = Host::start();
    let body = samples::traces(1, 10);
    let cut = &body[..body.len() - 1];
    let mut broken = gzip(&body);
    broken.truncate(broken.len() / 2);
    let brotli = "content-type: application/x-protobuf\r\ncontent-encoding: br\r\n";
    let table: [Case<'_>; 10] = [
        ("POST", "/v1/spans", PROTOBUF, &body, 404, "/v1/traces, /v1/metrics and /v1/logs"),
        ("GET", "/v1/traces", PROTOBUF, b"", 405, "POST"),
        ("POST", "/v1/traces", "content-type: text/plain\r\n", &body, 415, "text/plain"),
        ("POST", "/v1/traces", "", &body, 415, "application/x-protobuf"),
        ("POST", "/v1/traces", brotli, &body, 415, "'br'"),
        ("POST", "/v1/traces", PROTOBUF, cut, 400, "protobuf ends in the middle"),
        ("POST", "/v1/logs", PROTOBUF, b"hello", 400, "OTLP"),
        ("POST", "/v1/traces", GZIP, &broken, 400, "gzip"),
        ("POST", "/v1/traces", GZIP, &body, 400, "gzip"),
        ("POST", "/v1/traces", "content-type: application/grpc\r\n", &body, 400, "HTTP/2"),
    ];
    for (method, path, headers, body, status, expected) in &table {
        let answer = receive(send(host.http, method, path, headers, body));
        assert_eq!(answer.status, *status, "{method} {path} {headers}");
        if *path != "/v1/traces" || !headers.contains("grpc") {
            assert!(answer.message().contains(expected), "{}", answer.message());
        }
        assert_eq!(answer.header("allow").is_some(), *status == 405);
        assert_eq!(answer.header("retry-after"), None);
        let accepted = (*headers == brotli).then_some("gzip, zstd, deflate, identity");
        assert_eq!(answer.header("accept-encoding"), accepted);
    }
    assert_eq!(host.count("refused_requests_total", &["unsupported"]), 5);
    assert_eq!(host.count("refused_requests_total", &["malformed"]), 4);
    assert_eq!(host.records(), 0);
    assert!(!host.log.take().is_empty());
}

#[test]
fn large_requests_are_refused_on_both_sides_of_decompression() {
    let host = Host::start();
    let large = samples::traces(1, 1 << 20);
    let answer = export(host.http, "/v1/traces", &large);
    assert_eq!((answer.status, answer.header("retry-after")), (413, None));
    assert!(answer.message().contains("1048576 bytes"), "{}", answer.message());
    let mut chunked = Vec::new();
    for chunk in large.chunks(100_000) {
        chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let headers = format!("{PROTOBUF}transfer-encoding: chunked\r\n");
    let answer = receive(send_raw(host.http, "POST", "/v1/traces", &headers, &chunked));
    assert_eq!(answer.status, 413);
    let answer = post(host.http, "/v1/traces", GZIP, &gzip(&large));
    assert_eq!(answer.status, 413);
    assert!(answer.message().contains("after decompression"), "{}", answer.message());
    let bomb = gzip(&vec![0; 8 << 20]);
    assert_eq!(post(host.http, "/v1/traces", GZIP, &bomb).status, 413);
    let copies = samples::traces(5000, 100_000);
    let answer = export(host.http, "/v1/traces", &copies);
    assert_eq!(answer.status, 413);
    assert!(answer.message().contains("its resource"), "{}", answer.message());
    assert_eq!(host.count("refused_requests_total", &["too_large"]), 5);
    assert_eq!(host.records(), 0);
    host.assert_sums();
}

#[test]
fn a_client_that_waits_for_100_continue_is_answered_without_its_body() {
    let host = Host::start();
    let headers = format!("{PROTOBUF}content-length: 9000000\r\nexpect: 100-continue\r\n");
    let answer = receive(send_raw(host.http, "POST", "/v1/traces", &headers, b""));
    assert_eq!(answer.status, 413);
}

#[test]
fn rubbish_instead_of_http_does_no_harm() {
    let host = Host::start();
    drop(send_raw(host.http, "\0\x01", "\x16\x03", "", b""));
    drop(std::net::TcpStream::connect(host.http).unwrap());
    drop(send_raw(host.grpc, "PRI", "*", "", b"SM\r\n\r\n"));
    assert_eq!(export(host.http, "/v1/logs", &samples::request(Signal::Logs, 1)).status, 200);
}
