//! Tags, tenants and their limits.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tonic::{Code, Request};

use super::host::{Host, settings};
use super::post::{Answer, PROTOBUF, export, post};
use super::samples;
use crate::codec::records::{EventKind, Events, RequestBuilder, profiles_of};
use crate::model::Signal;
use crate::receive::{
    ReceiverSettings, TagFrom, TagSettings, TenancySettings, TenantRate, responses,
};

fn host(tenancy: TenancySettings) -> Host {
    Host::with(&ReceiverSettings { tenancy, ..settings() })
}

fn tagged(from: &str, max_tags: usize) -> Host {
    let tags = TagSettings {
        from: TagFrom::parse(from),
        own: "ai".to_owned(),
        max_tags,
        ..TagSettings::default()
    };
    let tenant_header = Some(http::HeaderName::from_static("x-scope-orgid"));
    host(TenancySettings { tags, tenant_header, ..TenancySettings::default() })
}

fn pair(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) }),
        ..KeyValue::default()
    }
}

fn span(id: u8) -> Span {
    Span { trace_id: vec![id; 16], span_id: vec![id; 8], ..Span::default() }
}

/// A resource for each team, with a span for each id.
fn teams(teams: &[(&str, &[u8])]) -> ExportTraceServiceRequest {
    let resource_spans = teams.iter().map(|(team, ids)| {
        let attributes = if team.is_empty() { Vec::new() } else { vec![pair("team", team)] };
        let spans = ids.iter().copied().map(span).collect();
        ResourceSpans {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
}

fn send(host: &Host, request: &ExportTraceServiceRequest) -> Answer {
    export(host.http, "/v1/traces", &request.encode_to_vec())
}

fn send_as(host: &Host, tenant: &str, request: &ExportTraceServiceRequest) -> Answer {
    let headers = format!("{PROTOBUF}x-scope-orgid: {tenant}\r\n");
    post(host.http, "/v1/traces", &headers, &request.encode_to_vec())
}

/// What is in storage, as one request.
fn stored(host: &Host) -> ExportTraceServiceRequest {
    let events = host.events();
    let mut builder = RequestBuilder::new(Signal::Traces);
    for event in Events::new(&events).map(Result::unwrap) {
        if event.kind == EventKind::Record {
            builder.push(&event, &event.telemetry().unwrap()).unwrap();
        }
    }
    ExportTraceServiceRequest::decode(&builder.finish()[..]).unwrap()
}

#[test]
fn each_signal_may_have_a_tag() {
    let signals = [Some("ai.t".to_owned()), None, Some("ai.l".to_owned()), None];
    let tags = TagSettings { signals, ..TagSettings::default() };
    let host = host(TenancySettings { tags, ..TenancySettings::default() });
    for signal in Signal::ALL {
        export(host.http, signal.http_path(), &samples::request(signal, 2));
    }
    assert_eq!(host.tags(), ["ai.t", "", "ai.l"]);
}

#[test]
fn a_request_is_split_by_an_attribute_of_its_resources() {
    let host = tagged("team", 10);
    let request = teams(&[("a", &[1, 2]), ("b/x", &[3]), ("a", &[4]), ("", &[5])]);
    assert_eq!(send(&host, &request).status, 200);
    assert_eq!(host.tags(), ["ai.a", "ai.b_x", ""]);
    let order = teams(&[("a", &[1, 2]), ("a", &[4]), ("b/x", &[3]), ("", &[5])]);
    let flat = |request: &ExportTraceServiceRequest| {
        let ids = request.resource_spans.iter().flat_map(|resource| {
            let team = resource.resource.clone().unwrap().attributes;
            resource.scope_spans[0].spans.iter().map(move |span| (team.clone(), span.clone()))
        });
        ids.collect::<Vec<_>>()
    };
    assert_eq!(flat(&stored(&host)), flat(&order));
    assert_eq!(host.count("accepted_items_total", &["traces"]), 5);
    assert_eq!(host.count("tags", &[]), 2);
    host.assert_sums();
}

#[test]
fn what_is_wrong_is_reported_of_the_request_as_it_came() {
    let host = tagged("team", 10);
    let mut request = teams(&[("a", &[1]), ("b", &[2]), ("a", &[3])]);
    request.resource_spans[2].scope_spans[0].spans[0].trace_id = vec![1];
    let answer = send(&host, &request);
    assert_eq!(answer.status, 200);
    let response = ExportTraceServiceResponse::decode(&answer.body[..]).unwrap();
    let partial = response.partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 1);
    let expected = partial.error_message;
    assert!(expected.contains("resource_spans[2].scope_spans[0].spans[0].trace_id"), "{expected}");
    assert_eq!(host.records(), 2);
    let mut bytes = teams(&[("a", &[1]), ("b", &[2])]).encode_to_vec();
    bytes.extend_from_slice(b"\x0a\x03\x12\x01\x0a");
    let answer = export(host.http, "/v1/traces", &bytes);
    assert_eq!(answer.status, 400);
    assert_eq!(host.records(), 2);
}

#[test]
fn a_request_that_was_stored_in_part_is_not_stored_twice() {
    let host = tagged("team", 10);
    let request = teams(&[("a", &[1, 2]), ("b", &[3]), ("c", &[4])]);
    host.room(2);
    let answer = send(&host, &request);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(host.tags(), ["ai.a", "ai.b"]);
    assert_eq!(host.count("partly_stored_requests_total", &[]), 1);
    host.room(100);
    assert_eq!(send(&host, &request).status, 200);
    assert_eq!(host.tags(), ["ai.a", "ai.b", "ai.c"]);
    assert_eq!(host.records(), 4);
    assert_eq!(host.count("accepted_items_total", &["traces"]), 4);
    host.assert_sums();
}

#[test]
fn tags_come_from_headers_and_tenants_and_are_bounded() {
    for from in ["header:x-scope-orgid", "tenant"] {
        let host = tagged(from, 2);
        let request = teams(&[("a", &[1]), ("b", &[2])]);
        for tenant in ["one", "two", "three", "one", ""] {
            assert_eq!(send_as(&host, tenant, &request).status, 200);
        }
        assert_eq!(host.tags(), ["ai.one", "ai.two", "ai.overflow", "ai.one", ""]);
        assert_eq!(host.count("tag_overflows_total", &[]), 1);
    }
}

fn tenants(rate: Option<TenantRate>) -> Host {
    host(TenancySettings {
        tenant_header: Some(http::HeaderName::from_static("x-scope-orgid")),
        tenant_attribute: Some("team".to_owned()),
        rate,
        rates: rate.map(|rate| ("named".to_owned(), rate)).into_iter().collect(),
        ..TenancySettings::default()
    })
}

#[test]
fn the_tenant_replaces_what_is_claimed() {
    let host = tenants(None);
    let mut request = teams(&[("evil", &[1]), ("", &[2]), ("evil", &[3])]);
    request.resource_spans[2].resource = None;
    assert_eq!(send_as(&host, "acme", &request).status, 200);
    let expected = teams(&[("acme", &[1]), ("acme", &[2]), ("acme", &[3])]);
    let spans = |request: &ExportTraceServiceRequest| {
        let resources = request.resource_spans.iter();
        resources.map(|r| (r.resource.clone(), r.scope_spans[0].spans.len())).collect::<Vec<_>>()
    };
    let teams_of = |request| spans(request).into_iter().map(|(resource, _)| resource.unwrap());
    assert!(teams_of(&stored(&host)).all(|resource| resource.attributes == [pair("team", "acme")]));
    assert_eq!(host.records(), expected.resource_spans.len());
    let answer = send_as(&host, &"x".repeat(200), &request);
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("x-scope-orgid"), "{}", answer.message());
    // Who has no tenant cannot claim one.
    let before = host.events().len();
    assert_eq!(send(&host, &teams(&[("evil", &[9])])).status, 200);
    assert!(!host.events()[before..].windows(4).any(|four| four == b"evil"));
    let mut bytes = request.encode_to_vec();
    bytes.pop();
    assert_eq!(export(host.http, "/v1/traces", &bytes).status, 400);
}

#[test]
fn a_tenant_waits_for_its_own_rate_and_no_other() {
    let request = teams(&[("", &[1; 20])]);
    let size = request.encode_to_vec().len() as u64;
    let host = tenants(Some(TenantRate { bytes_per_second: size, burst: size }));
    assert_eq!(send_as(&host, "named", &request).status, 200);
    let answer = send_as(&host, "named", &request);
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
    assert!(answer.message().contains("its rate"), "{}", answer.message());
    assert_eq!(send_as(&host, "b", &request).status, 200);
    assert_eq!(send(&host, &request).status, 200);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(send_as(&host, "named", &request).status, 200);
    assert_eq!(host.records(), 80);
    assert_eq!(host.count("refused_requests_total", &["rate_limited"]), 1);
    assert_eq!(host.count("tenant_limited_requests_total", &["named"]), 1);
    assert_eq!(host.count("tenant_accepted_bytes_total", &["named"]), 2 * size);
    assert_eq!(host.count("tenant_accepted_bytes_total", &["other"]), 2 * size);
    host.assert_sums();
}

#[test]
fn what_the_host_does_not_take_costs_nothing() {
    let request = teams(&[("", &[1; 20])]);
    let size = request.encode_to_vec().len() as u64;
    let host = tenants(Some(TenantRate { bytes_per_second: 1, burst: size }));
    host.refuse(true);
    assert_eq!(send_as(&host, "a", &request).status, 503);
    host.refuse(false);
    assert_eq!(send_as(&host, "a", &request).status, 200);
    assert_eq!(send_as(&host, "a", &request).status, 429);
    // Rubbish is paid for.
    let rubbish = vec![0xff; request.encode_to_vec().len()];
    let headers = format!("{PROTOBUF}x-scope-orgid: b\r\n");
    assert_eq!(post(host.http, "/v1/traces", &headers, &rubbish).status, 400);
    assert_eq!(send_as(&host, "b", &request).status, 429);
}

#[test]
fn profiles_are_refused_with_a_message_or_carried_whole() {
    let path = Signal::Profiles.http_path();
    let host = Host::start();
    let answer = export(host.http, path, &samples::profiles(2));
    assert_eq!(answer.status, 404);
    assert!(answer.message().contains("'profiles: accept'"), "{}", answer.message());
    assert_eq!(host.count("refused_requests_total", &["not_found"]), 1);
    let tags = TagSettings {
        signals: [None, None, None, Some("ai.p".to_owned())],
        from: TagFrom::parse("team"),
        ..TagSettings::default()
    };
    let tenancy = TenancySettings { tags, ..TenancySettings::default() };
    let host = Host::with(&ReceiverSettings { profiles: true, tenancy, ..settings() });
    let answer = export(host.http, path, &samples::profiles(2));
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(host.tags(), ["ai.p"]);
    let events = host.events();
    let event = Events::new(&events).next().unwrap().unwrap();
    assert_eq!(profiles_of(&event), Some(&samples::profiles(2)[..]));
    assert_eq!(host.count("accepted_items_total", &["profiles"]), 2);
    assert_eq!(export(host.http, path, &samples::profiles(2)[..9]).status, 400);
    assert_eq!(export(host.http, path, b"").status, 200);
    assert_eq!(host.records(), 1);
    host.assert_sums();
}

#[tokio::test]
async fn grpc_senders_learn_when_to_come_back() {
    let request = teams(&[("", &[1; 20])]);
    let size = request.encode_to_vec().len() as u64;
    let host = tenants(Some(TenantRate { bytes_per_second: size.div_ceil(7), burst: size }));
    let endpoint =
        tonic::transport::Endpoint::from_shared(format!("http://{}", host.grpc)).unwrap();
    let mut client = TraceServiceClient::new(endpoint.connect().await.unwrap());
    let mut call = async |tenant: &'static str| {
        let mut call = Request::new(request.clone());
        call.metadata_mut().insert("x-scope-orgid", tenant.parse().unwrap());
        client.export(call).await
    };
    call("a").await.unwrap();
    let status = call("a").await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let details = responses::RpcStatus::decode(status.details()).unwrap().details;
    let info = responses::RetryInfo::decode(&details[0].value[..]).unwrap();
    let seconds = info.retry_delay.unwrap().seconds;
    assert!((6..=7).contains(&seconds), "{seconds}");
    call("b").await.unwrap();
}
