//! URLs and what is shown of settings.

use http::HeaderValue;

use crate::export::{EndpointSettings, Protocol};
use crate::model::Signal;

fn url(given: &str, protocol: Protocol, signal: Signal) -> String {
    let mut endpoint = EndpointSettings::new("x", given.parse().unwrap());
    endpoint.protocol = protocol;
    endpoint.url_for(signal).unwrap().to_string()
}

#[test]
fn urls_get_the_path_of_the_signal() {
    use Protocol::{Grpc, HttpJson, HttpProtobuf};
    for (given, protocol, signal, expected) in [
        ("http://a:4318", HttpProtobuf, Signal::Traces, "http://a:4318/v1/traces"),
        ("http://a:4318/", HttpProtobuf, Signal::Logs, "http://a:4318/v1/logs"),
        ("http://a:4318", HttpJson, Signal::Logs, "http://a:4318/v1/logs"),
        ("https://a/api/otel", HttpProtobuf, Signal::Traces, "https://a/api/otel/v1/traces"),
        ("https://a/api/v1/traces", HttpProtobuf, Signal::Traces, "https://a/api/v1/traces"),
        ("https://a/api/v1/traces/", HttpProtobuf, Signal::Metrics, "https://a/api/v1/metrics"),
        ("https://a/x?k=v", HttpProtobuf, Signal::Logs, "https://a/x/v1/logs?k=v"),
    ] {
        assert_eq!(url(given, protocol, signal), expected);
    }
    let method = "http://a:4317/opentelemetry.proto.collector.logs.v1.LogsService/Export";
    assert_eq!(url("http://a:4317/ignored", Grpc, Signal::Logs), method);
}

#[test]
fn secrets_are_not_shown() {
    let mut endpoint = EndpointSettings::new("x", "http://a".parse().unwrap());
    endpoint.headers.push((http::header::AUTHORIZATION, HeaderValue::from_static("hush")));
    assert!(!format!("{endpoint:?}").contains("hush"));
}
