use fluent_bit_ai::codec::fluentbit::{NativeRequest, ctraces_to_otlp};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status,
    span::{Event, Link},
};
use prost::Message as _;

use crate::build::{
    Encoded, attributes, bin, f, golden, kvlist, list, map, n, nil, s, text, u, yes,
};

fn decode(read: &NativeRequest) -> Vec<ResourceSpans> {
    ExportTraceServiceRequest::decode(&read.request[..]).unwrap().resource_spans
}

fn spans(read: &NativeRequest) -> Vec<Span> {
    let scopes = decode(read).into_iter().flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

fn full(name: &str) -> ResourceSpans {
    let attributes_of_span = vec![
        ("s", text("v")),
        ("i", Value::IntValue(1 << 40)),
        ("neg", Value::IntValue(-5)),
        ("d", Value::DoubleValue(1.5)),
        ("b", Value::BoolValue(true)),
        ("arr", crate::build::array(vec![text("a"), Value::IntValue(1)])),
        ("map", kvlist(vec![("k", text("v")), ("n", Value::IntValue(1))])),
        ("nested_bytes", crate::build::array(vec![Value::BytesValue(vec![0, 0xff])])),
        ("empty", text("")),
    ];
    let span = Span {
        trace_id: (0..16).collect(),
        span_id: (0..8).collect(),
        parent_span_id: vec![1; 8],
        trace_state: "ot=th:8;rv:abc".into(),
        name: name.into(),
        kind: 2,
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_005_000_000,
        attributes: attributes(attributes_of_span),
        dropped_attributes_count: 7,
        dropped_events_count: 8,
        dropped_links_count: 9,
        events: vec![Event {
            time_unix_nano: 1_700_000_000_000_000_001,
            name: "ev".into(),
            attributes: attributes(vec![("ea", Value::IntValue(1))]),
            dropped_attributes_count: 2,
        }],
        links: vec![Link {
            trace_id: vec![2; 16],
            span_id: vec![3; 8],
            attributes: attributes(vec![("la", text("z"))]),
            dropped_attributes_count: 6,
            ..Link::default()
        }],
        status: Some(Status { code: 2, message: "bad".into() }),
        ..Span::default()
    };
    ResourceSpans {
        resource: Some(Resource {
            attributes: attributes(vec![("service.name", text("svc")), ("n", Value::IntValue(5))]),
            dropped_attributes_count: 3,
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            scope: Some(InstrumentationScope {
                name: "lib".into(),
                version: "1.2".into(),
                attributes: attributes(vec![("sa", text("x"))]),
                dropped_attributes_count: 4,
            }),
            spans: vec![span],
            schema_url: "https://s/schema".into(),
        }],
        schema_url: "https://r/schema".into(),
    }
}

fn minimal() -> ResourceSpans {
    let span = Span {
        trace_id: vec![0xaa; 16],
        span_id: vec![0xbb; 8],
        name: "min".into(),
        ..Span::default()
    };
    let scope = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
    ResourceSpans {
        resource: Some(Resource::default()),
        scope_spans: vec![scope],
        ..ResourceSpans::default()
    }
}

#[test]
fn what_fluent_bit_wrote_is_read_to_the_last_field() {
    for release in ["v4.0.14", "v4.2.8", "v5.1.1"] {
        let read = ctraces_to_otlp(&golden(&format!("{release}_traces_0")));
        assert_eq!(decode(&read), [full("op"), full("second"), minimal()], "{release}");
        assert_eq!((read.items, read.contexts, read.skipped), (3, 3, 0));
        assert_eq!(read.reason, None);
    }
}

/// One context with these spans.
fn context(spans: &[Encoded]) -> Encoded {
    let resource = map(&[("attributes", map(&[])), ("dropped_attributes_count", u(0))]);
    let scope = map(&[("scope", nil()), ("spans", list(spans)), ("schema_url", nil())]);
    let envelope =
        map(&[("resource", resource), ("schema_url", nil()), ("scope_spans", list(&[scope]))]);
    map(&[("resourceSpans", list(&[envelope]))])
}

fn span_with(pairs: &[(&str, Encoded)]) -> Encoded {
    let mut all = vec![("trace_id", s(&"0a".repeat(16))), ("span_id", s(&"0b".repeat(8)))];
    all.extend(pairs.iter().cloned());
    map(&all)
}

fn names(read: &NativeRequest) -> Vec<String> {
    spans(read).into_iter().map(|span| span.name).collect()
}

#[test]
fn the_layout_of_13_keys_is_read_in_any_order() {
    let mut pairs = [
        ("trace_id", s(&"0A".repeat(16))),
        ("span_id", s(&"0b".repeat(8))),
        ("parent_span_id", nil()),
        ("trace_state", s("a=b")),
        ("name", s("old")),
        ("kind", u(3)),
        ("start_time_unix_nano", u(5)),
        ("end_time_unix_nano", u(6)),
        ("attributes", map(&[("k", u(1))])),
        ("dropped_attributes_count", u(2)),
        ("events", list(&[])),
        ("links", list(&[])),
        ("status", map(&[("code", u(1)), ("message", nil())])),
    ];
    let wanted = Span {
        trace_id: vec![10; 16],
        span_id: vec![11; 8],
        trace_state: "a=b".into(),
        name: "old".into(),
        kind: 3,
        start_time_unix_nano: 5,
        end_time_unix_nano: 6,
        attributes: attributes(vec![("k", Value::IntValue(1))]),
        dropped_attributes_count: 2,
        status: Some(Status { code: 1, message: String::new() }),
        ..Span::default()
    };
    assert_eq!(spans(&ctraces_to_otlp(&context(&[map(&pairs)]))), std::slice::from_ref(&wanted));
    pairs.reverse();
    assert_eq!(spans(&ctraces_to_otlp(&context(&[map(&pairs)]))), [wanted]);
}

#[test]
fn what_poisons_fluent_bits_own_reader_is_read_here() {
    let long_key = "k".repeat(300);
    let span = span_with(&[
        ("flags", u(1)),
        ("name", s("a\0b")),
        ("kind", n(-1)),
        ("events", nil()),
        (
            "attributes",
            map(&[
                (&long_key, s("v")),
                ("nil", nil()),
                ("same", u(1)),
                ("same", u(2)),
                ("bytes", bin(&[0xff])),
                ("big", u(u64::MAX)),
                ("single", vec![0xca, 0x3f, 0x80, 0, 0]),
                ("bad utf-8", vec![0xa1, 0xff]),
            ]),
        ),
        ("links", list(&[map(&[("trace_state", s("x=y")), ("span_id", bin(&[7; 8]))])])),
    ]);
    let read = ctraces_to_otlp(&context(&[span]));
    let mut wanted = attributes(vec![
        (&long_key, text("v")),
        ("nil", Value::BoolValue(true)),
        ("same", Value::IntValue(1)),
        ("same", Value::IntValue(2)),
        ("bytes", Value::BytesValue(vec![0xff])),
        ("big", text("18446744073709551615")),
        ("single", Value::DoubleValue(1.0)),
        ("bad utf-8", text("\u{fffd}")),
    ]);
    wanted[1].value.as_mut().unwrap().value = None;
    let span = spans(&read).remove(0);
    assert_eq!(span.attributes, wanted);
    assert_eq!((span.name.as_str(), span.kind), ("a\0b", 0));
    assert_eq!((span.links[0].trace_state.as_str(), &span.links[0].span_id), ("x=y", &vec![7; 8]));
    assert_eq!((read.items, read.skipped, read.reason), (1, 0, None));
}

#[test]
fn a_poisoned_context_costs_only_itself() {
    let good = |name: &str| context(&[span_with(&[("name", s(name))])]);
    let poisons = [
        map(&[("resourceSpans", u(5))]),
        map(&[("resourceSpans", map(&[]))]),
        map(&[("other", list(&[]))]),
        list(&[]),
        s("text"),
        nil(),
    ];
    for poison in poisons {
        let chunk = [good("before"), poison, good("after")].concat();
        let read = ctraces_to_otlp(&chunk);
        assert_eq!(names(&read), ["before", "after"]);
        assert_eq!((read.items, read.contexts, read.skipped), (2, 2, 1));
        assert!(read.reason.unwrap().starts_with("context 1: "));
    }
    let cut = [good("before"), good("cut")].concat();
    let read = ctraces_to_otlp(&cut[..cut.len() - 1]);
    assert_eq!(names(&read), ["before"]);
    assert_eq!((read.contexts, read.skipped), (1, 1));
    assert!(read.reason.unwrap().contains("cut off"));
}

#[test]
fn a_bad_span_costs_only_itself_and_says_why() {
    for (bad, reason) in [
        (span_with(&[("name", u(5))]), "name is not text"),
        (span_with(&[("parent_span_id", s("0a0"))]), "parent_span_id has an odd number"),
        (span_with(&[("parent_span_id", s("zz"))]), "parent_span_id is not hex"),
        (span_with(&[("trace_id", u(1))]), "trace_id is not an id"),
        (span_with(&[("end_time_unix_nano", n(-1))]), "end_time_unix_nano is negative"),
        (span_with(&[("start_time_unix_nano", f(1.0))]), "start_time_unix_nano is not an integer"),
        (span_with(&[("attributes", list(&[]))]), "attributes is not a map"),
        (span_with(&[("events", map(&[]))]), "events is not a list"),
        (span_with(&[("status", yes())]), "status is not a map"),
        (map(&[]), "is not a span"),
        (s("span"), "is not a span"),
    ] {
        let good = |name: &str| span_with(&[("name", s(name))]);
        let read = ctraces_to_otlp(&context(&[good("a"), bad, good("b")]));
        assert_eq!(names(&read), ["a", "b"], "{reason}");
        assert_eq!((read.items, read.contexts, read.skipped), (2, 1, 1), "{reason}");
        let path = "context 0: resourceSpans[0].scope_spans[0].spans[1]: ";
        let said = read.reason.unwrap();
        assert!(said.starts_with(path) && said.contains(reason), "{said}");
    }
}

#[test]
fn bad_parts_of_a_span_cost_only_themselves() {
    let event = |name: Encoded| map(&[("name", name), ("time_unix_nano", u(1))]);
    let extension = vec![0xd4, 5, 0];
    let span = span_with(&[
        ("events", list(&[event(s("good")), event(u(1)), s("x"), event(s("too"))])),
        ("links", list(&[map(&[("trace_id", s("xy"))]), map(&[("trace_id", s("01"))])])),
        ("attributes", map(&[("a", u(1)), ("e", extension), ("z", u(2))])),
    ]);
    let read = ctraces_to_otlp(&context(&[span]));
    let span = spans(&read).remove(0);
    let events: Vec<&str> = span.events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(events, ["good", "too"]);
    assert_eq!(span.links.len(), 1);
    let keys: Vec<&str> = span.attributes.iter().map(|pair| pair.key.as_str()).collect();
    assert_eq!(keys, ["a", "e", "z"]);
    assert_eq!((read.items, read.skipped), (1, 4));
    let path = "context 0: resourceSpans[0].scope_spans[0].spans[0].events[1]";
    assert_eq!(read.reason.unwrap(), format!("{path}: name is not text"));
}

#[test]
fn bad_envelopes_keep_what_is_in_them() {
    let spans_of = |name: &str| list(&[span_with(&[("name", s(name))])]);
    let scope = map(&[("scope", u(1)), ("spans", spans_of("kept")), ("schema_url", u(2))]);
    let empty = map(&[("scope", nil()), ("spans", list(&[]))]);
    let resources = list(&[
        map(&[("resource", s("?")), ("scope_spans", list(&[scope, s("no map"), empty]))]),
        map(&[("resource", map(&[])), ("scope_spans", u(1))]),
        u(9),
    ]);
    let read = ctraces_to_otlp(&map(&[("resourceSpans", resources)]));
    assert_eq!(names(&read), ["kept"]);
    assert_eq!(decode(&read).len(), 1);
    assert_eq!(decode(&read)[0].scope_spans.len(), 1);
    assert_eq!((read.items, read.contexts, read.skipped), (1, 1, 6));
}

#[test]
fn counts_beyond_32_bits_become_the_largest() {
    let span = span_with(&[
        ("dropped_links_count", u(1 << 40)),
        ("dropped_events_count", n(-4)),
        ("kind", u(77)),
    ]);
    let span = spans(&ctraces_to_otlp(&context(&[span]))).remove(0);
    let counts = (span.dropped_links_count, span.dropped_events_count, span.kind);
    assert_eq!(counts, (u32::MAX, 0, 77));
}

#[test]
fn no_context_is_no_request() {
    assert_eq!(ctraces_to_otlp(&[]), NativeRequest::default());
}
