use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, NumberDataPoint,
};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use prost::Message;

use super::*;
use crate::export::tests::data::{logs, metrics, span, text, traces};

fn rules() -> AttributeRules {
    let key = AttributeKey::parse;
    AttributeRules {
        drop: vec![key("secret.*"), key("resource.host.name")],
        hash: vec![key("user.id")],
        digest: Digest::default(),
        rename: vec![(key("old"), "new".to_owned())],
        add: vec![
            (key("team"), "red".to_owned()),
            (key("resource.deployment.environment.name"), "prod".to_owned()),
        ],
    }
}

fn shown(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let value = |pair: &KeyValue| text_of(&pair.value.clone().unwrap().encode_to_vec()).unwrap();
    attributes.iter().map(|pair| (pair.key.clone(), value(pair))).collect()
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn spans_and_their_resources_change_as_the_rules_say() {
    let attributes = vec![
        text("secret.a", "x"),
        text("keep", "y"),
        text("user.id", "abc"),
        text("old", "value"),
        text("new", "gives way"),
        text("team", "blue"),
    ];
    let request = traces(vec![span(1, attributes), span(2, vec![text("new", "stays")])]);
    let changed = rules().apply(Signal::Traces, &request.encode_to_vec());
    let changed = ExportTraceServiceRequest::decode(changed.as_slice()).unwrap();
    let resource = changed.resource_spans[0].resource.clone().unwrap();
    assert_eq!(
        shown(&resource.attributes),
        [pair("service.name", "shop"), pair("deployment.environment.name", "prod")]
    );
    let spans = &changed.resource_spans[0].scope_spans[0].spans;
    let sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(
        shown(&spans[0].attributes),
        [pair("keep", "y"), pair("user.id", sha), pair("new", "value"), pair("team", "red")]
    );
    assert_eq!(shown(&spans[1].attributes), [pair("new", "stays"), pair("team", "red")]);
    // Nothing else changed.
    let mut plain = changed;
    plain.resource_spans[0].resource = request.resource_spans[0].resource.clone();
    for (n, span) in plain.resource_spans[0].scope_spans[0].spans.iter_mut().enumerate() {
        span.attributes = request.resource_spans[0].scope_spans[0].spans[n].attributes.clone();
    }
    assert_eq!(plain, request);
}

#[test]
fn a_key_makes_another_hash() {
    let rules = AttributeRules { digest: Digest::keyed(b"key"), ..rules() };
    let mut value = Vec::new();
    wire::bytes(&mut value, 1, b"The quick brown fox jumps over the lazy dog");
    let hmac = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
    assert_eq!(rules.hash_of(&value), hmac);
}

#[test]
fn points_of_metrics_get_them_and_rubbish_stays() {
    let changed = rules().apply(Signal::Metrics, &metrics(2).encode_to_vec());
    let changed = ExportMetricsServiceRequest::decode(changed.as_slice()).unwrap();
    let metric = &changed.resource_metrics[0].scope_metrics[0].metrics[0];
    let Some(Data::Gauge(gauge)) = &metric.data else { panic!() };
    assert!(gauge.data_points.iter().all(|p| shown(&p.attributes) == [pair("team", "red")]));
    assert_eq!(rules().apply(Signal::Traces, b"\x0a\x05x"), b"\x0a\x05x");
    let nothing = AttributeRules::default();
    let request = logs(&["a", "b"]).encode_to_vec();
    assert_eq!(nothing.apply(Signal::Logs, &request), request);
}

/// Scenario: attributes that the rules name, in a span's events and links and in an exemplar.
/// Guarantees: they are dropped, hashed and renamed there too, and nothing is added.
#[test]
fn what_is_inside_an_item_changes_too() {
    let inside = || vec![text("secret.a", "x"), text("user.id", "abc"), text("old", "value")];
    let sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let expected = [pair("user.id", sha), pair("new", "value")];
    let mut one = span(1, Vec::new());
    one.events = vec![Event { name: "e".to_owned(), attributes: inside(), ..Event::default() }];
    one.links = vec![Link { span_id: vec![7; 8], attributes: inside(), ..Link::default() }];
    let changed = rules().apply(Signal::Traces, &traces(vec![one.clone()]).encode_to_vec());
    let changed = ExportTraceServiceRequest::decode(changed.as_slice()).unwrap();
    let span = &changed.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(shown(&span.attributes), [pair("team", "red")]);
    assert_eq!(shown(&span.events[0].attributes), expected);
    assert_eq!(shown(&span.links[0].attributes), expected);
    assert_eq!((&span.events[0].name, &span.links[0].span_id), (&one.events[0].name, &vec![7; 8]));

    let exemplar = || Exemplar { filtered_attributes: inside(), ..Exemplar::default() };
    let datas = [
        Data::Gauge(Gauge {
            data_points: vec![NumberDataPoint {
                exemplars: vec![exemplar()],
                ..NumberDataPoint::default()
            }],
        }),
        Data::Histogram(Histogram {
            data_points: vec![HistogramDataPoint {
                exemplars: vec![exemplar()],
                ..HistogramDataPoint::default()
            }],
            ..Histogram::default()
        }),
        Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![ExponentialHistogramDataPoint {
                exemplars: vec![exemplar()],
                ..ExponentialHistogramDataPoint::default()
            }],
            ..ExponentialHistogram::default()
        }),
    ];
    for data in datas {
        let mut request = metrics(1);
        request.resource_metrics[0].scope_metrics[0].metrics[0].data = Some(data);
        let changed = rules().apply(Signal::Metrics, &request.encode_to_vec());
        let changed = ExportMetricsServiceRequest::decode(changed.as_slice()).unwrap();
        let exemplars = match &changed.resource_metrics[0].scope_metrics[0].metrics[0].data {
            Some(Data::Gauge(gauge)) => &gauge.data_points[0].exemplars,
            Some(Data::Histogram(histogram)) => &histogram.data_points[0].exemplars,
            Some(Data::ExponentialHistogram(histogram)) => &histogram.data_points[0].exemplars,
            other => panic!("{other:?}"),
        };
        assert_eq!(shown(&exemplars[0].filtered_attributes), expected);
    }
}
