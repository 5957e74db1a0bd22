use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::*;
use crate::export::tests::data::{logs, metrics, span, text, traces};

fn spans(request: &[u8]) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(request).unwrap();
    let scopes = request.resource_spans.into_iter().flat_map(|resource| {
        assert!(resource.resource.is_some());
        resource.scope_spans
    });
    scopes.flat_map(|scope| scope.spans).collect()
}

#[test]
fn pieces_repeat_their_heads_and_hold_every_unit_once() {
    let all: Vec<Span> = (0..50).map(|n| span(n, vec![text("k", &"v".repeat(90))])).collect();
    let mut request = traces(all[..20].to_vec());
    request.resource_spans.extend(traces(all[20..].to_vec()).resource_spans);
    let bytes = request.encode_to_vec();
    let batch = RequestItems::read(Signal::Traces, &bytes).unwrap();
    assert_eq!(batch.len(), 50);
    let every: Vec<usize> = (0..50).collect();
    assert_eq!(batch.build(&every, None), bytes);
    for limit in [1, 500, 1000, 5000, 100_000] {
        let pieces = batch.cut(&every, limit, usize::MAX);
        let built: Vec<Vec<u8>> = pieces.iter().map(|piece| batch.build(piece, None)).collect();
        assert!(limit == 1 || built.iter().all(|piece| piece.len() <= limit), "{limit}");
        let found: Vec<Span> = built.iter().flat_map(|piece| spans(piece)).collect();
        assert_eq!(found, all);
    }
    let lengths: Vec<usize> = batch.cut(&every, usize::MAX, 20).iter().map(Vec::len).collect();
    assert_eq!(lengths, [20, 20, 10]);
    let resource = batch.resource(3);
    assert_eq!(attribute(resource, 1, "service.name").as_deref(), Some("shop"));
    assert_eq!(attribute(batch.item(3), batch.attributes_field(3), "k").unwrap().len(), 90);
}

#[test]
fn a_metric_is_cut_between_its_points() {
    let request = metrics(10);
    let bytes = request.encode_to_vec();
    let batch = RequestItems::read(Signal::Metrics, &bytes).unwrap();
    let every: Vec<usize> = (0..10).collect();
    assert_eq!(batch.build(&every, None), bytes);
    let piece = ExportMetricsServiceRequest::decode(batch.build(&[2, 5], None).as_slice()).unwrap();
    assert_eq!(piece, metrics(2));
}

#[test]
fn what_is_no_request_is_refused() {
    for rubbish in [&b"\x0a\x05x"[..], b"\x0a\x02\x12\x09", b"\xff\xff"] {
        assert!(RequestItems::read(Signal::Traces, rubbish).is_err());
    }
    assert_eq!(RequestItems::read(Signal::Logs, b"").unwrap().len(), 0);
}

#[test]
fn content_is_cut_first_and_the_cut_is_reported() {
    let long = "\u{e4}".repeat(5_000);
    let attributes = vec![
        text("gen_ai.request.model", "gpt"),
        text("http.body", &"b".repeat(3_000)),
        text("gen_ai.input.messages", &long),
    ];
    let item = span(1, attributes).encode_to_vec();
    let shrunk = shrink(Signal::Traces, 0, &item, 5_000).unwrap().item;
    assert!(shrunk.len() <= 5_000 && shrunk.len() > 4_900, "{}", shrunk.len());
    let shrunk = Span::decode(shrunk.as_slice()).unwrap();
    let value = |key: &str| {
        let pair = shrunk.attributes.iter().find(|pair| pair.key == key).unwrap();
        pair.value.clone().unwrap().value.unwrap()
    };
    assert_eq!(value("gen_ai.request.model"), Value::StringValue("gpt".into()));
    assert_eq!(value("http.body"), Value::StringValue("b".repeat(3_000)));
    let Value::StringValue(kept) = value("gen_ai.input.messages") else { panic!() };
    assert!(long.starts_with(&kept));
    let Value::ArrayValue(names) = value("fluentbit.ai.truncated") else { panic!() };
    assert_eq!(names.values.len(), 1);
    // Smaller still: other texts follow.
    let shrunk = shrink(Signal::Traces, 0, &item, 600).unwrap().item;
    assert!(shrunk.len() <= 600);
    assert!(shrink(Signal::Traces, 0, &item, 60).is_none());
}

#[test]
fn a_log_body_is_cut() {
    let request = logs(&[&"x".repeat(2_000)]).encode_to_vec();
    let batch = RequestItems::read(Signal::Logs, &request).unwrap();
    let shrunk = shrink(Signal::Logs, 0, batch.item(0), 500).unwrap();
    let built = batch.build(&[0], Some(&shrunk));
    let log = ExportLogsServiceRequest::decode(built.as_slice()).unwrap();
    let record = &log.resource_logs[0].scope_logs[0].log_records[0];
    let Some(Value::StringValue(body)) = record.body.clone().unwrap().value else { panic!() };
    assert!(body.len() < 400 && body.len() > 300);
    assert_eq!(record.attributes[0].key, "fluentbit.ai.truncated");
    assert_eq!(shrink(Signal::Metrics, 5, b"", 5), None);
    assert_eq!(shrink(Signal::Profiles, 0, b"", 5), None);
}

proptest::proptest! {
    #[test]
    fn no_bytes_break_it(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        for signal in Signal::ALL {
            if let Ok(batch) = RequestItems::read(signal, &bytes) {
                let every: Vec<usize> = (0..batch.len()).collect();
                let built = batch.build(&every, None);
                proptest::prop_assert_eq!(RequestItems::read(signal, &built).unwrap().len(), batch.len());
            }
            for kind in [5, 9, 10, 11] {
                let _shrunk = shrink(signal, kind, &bytes, 140);
            }
        }
    }
}

#[test]
fn points_of_every_kind_lose_exemplars_before_attributes() {
    use opentelemetry_proto::tonic::metrics::v1::{
        Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint,
        SummaryDataPoint,
    };
    let attributes = || vec![text("k", &"v".repeat(1_000))];
    let filtered_attributes = vec![text("k", &"v".repeat(1_000))];
    let exemplars = || {
        vec![Exemplar { filtered_attributes: filtered_attributes.clone(), ..Exemplar::default() }]
    };
    let number =
        NumberDataPoint { attributes: attributes(), exemplars: exemplars(), ..Default::default() };
    let explicit = HistogramDataPoint {
        attributes: attributes(),
        exemplars: exemplars(),
        ..Default::default()
    };
    let exponential = ExponentialHistogramDataPoint {
        attributes: attributes(),
        exemplars: exemplars(),
        ..Default::default()
    };
    for (kind, item) in [
        (5, number.encode_to_vec()),
        (7, number.encode_to_vec()),
        (9, explicit.encode_to_vec()),
        (10, exponential.encode_to_vec()),
    ] {
        let less = shrink(Signal::Metrics, kind, &item, 1_200).unwrap();
        let field = attributes_field(Signal::Metrics, kind);
        assert_eq!(attribute(&less.item, field, "k").unwrap().len(), 1_000, "{kind}");
        assert!(less.item.len() <= 1_100 && !less.metadata.is_empty(), "{kind}");
        let least = shrink(Signal::Metrics, kind, &item, 700).unwrap();
        let value = attribute(&least.item, field, "k").unwrap();
        assert_eq!((value.len(), value.find('~')), (512, Some(495)), "{kind}");
        assert!(least.item.len() <= 600);
        assert!(shrink(Signal::Metrics, kind, &item, 150).is_none());
    }
    let summary = SummaryDataPoint { attributes: attributes(), ..Default::default() };
    let less = shrink(Signal::Metrics, 11, &summary.encode_to_vec(), 700).unwrap();
    assert_eq!(attribute(&less.item, 7, "k").unwrap().len(), 512);
    assert!(less.metadata.is_empty());
}
