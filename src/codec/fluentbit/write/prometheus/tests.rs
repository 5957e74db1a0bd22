use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
    Sum, metric::Data,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::*;
use crate::codec::fluentbit::cmetrics_to_otlp;

const RELEASES: [&str; 4] = ["3.0.7", "4.2.8", "5.0.9", "5.1.1"];

pub(super) fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let pair = |(key, text): &(&str, &str)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue((*text).to_owned())) }),
        ..KeyValue::default()
    };
    pairs.iter().map(pair).collect()
}

pub(super) fn sum(value: i64, pairs: &[(&str, &str)]) -> Metric {
    let point = NumberDataPoint {
        attributes: attributes(pairs),
        time_unix_nano: 9,
        value: Some(Number::AsInt(value)),
        ..NumberDataPoint::default()
    };
    let data_points = vec![point];
    let sum = Sum { data_points, aggregation_temporality: 2, is_monotonic: true };
    Metric {
        name: "gen_ai.client.operation.count".to_owned(),
        unit: "{operation}".to_owned(),
        data: Some(Data::Sum(sum)),
        ..Metric::default()
    }
}

pub(super) fn histogram_metric(counts: &[u64], pairs: &[(&str, &str)]) -> Metric {
    let point = HistogramDataPoint {
        attributes: attributes(pairs),
        time_unix_nano: 9,
        count: counts.iter().sum(),
        sum: Some(2.5),
        bucket_counts: counts.to_vec(),
        explicit_bounds: vec![0.5, 1.0],
        ..HistogramDataPoint::default()
    };
    let histogram = Histogram { data_points: vec![point], aggregation_temporality: 2 };
    Metric {
        name: "gen_ai.client.operation.duration".to_owned(),
        unit: "s".to_owned(),
        data: Some(Data::Histogram(histogram)),
        ..Metric::default()
    }
}

/// The attributes of a resource, and its metrics.
pub(super) type Service<'a> = (&'a [(&'a str, &'a str)], Vec<Metric>);

pub(super) fn request(of: &[Service<'_>]) -> Vec<u8> {
    let resource_metrics = of.iter().map(|(resource, metrics)| ResourceMetrics {
        resource: Some(Resource { attributes: attributes(resource), ..Resource::default() }),
        scope_metrics: vec![ScopeMetrics { metrics: metrics.clone(), ..ScopeMetrics::default() }],
        ..ResourceMetrics::default()
    });
    ExportMetricsServiceRequest { resource_metrics: resource_metrics.collect() }.encode_to_vec()
}

/// The labels and the value of a series; of a histogram what is in each bucket, as our reader finds it, which
/// knows that the host's own metrics count what is below as well.
type Written = (String, Vec<u64>);

/// Each series that is in the context, as the reader of the host's form finds it.
fn written(request: &[u8], release: &str) -> (BTreeMap<String, Vec<Written>>, usize) {
    let mut out = Vec::new();
    let forms = ReaderCapabilities::of_release(release);
    let done = metrics_to_prometheus(request, &mut out, forms).unwrap().transcoded;
    assert_eq!(done.records, usize::from(done.items > 0), "one context");
    let read = cmetrics_to_otlp(&out);
    assert_eq!(read.skipped, 0, "{release}");
    let read = ExportMetricsServiceRequest::decode(read.request.as_slice()).unwrap();
    let mut families: BTreeMap<String, Vec<Written>> = BTreeMap::new();
    let scopes = read.resource_metrics.into_iter().flat_map(|of| of.scope_metrics);
    for metric in scopes.flat_map(|scope| scope.metrics) {
        assert!(!families.contains_key(&metric.name), "{} is there twice", metric.name);
        let series = families.entry(metric.name).or_default();
        let text = |attributes: Vec<KeyValue>| {
            let pairs = attributes.into_iter().filter_map(|pair| match pair.value?.value? {
                Value::StringValue(text) if text.is_empty() => None,
                Value::StringValue(text) => Some(format!("{}={text}", pair.key)),
                other => panic!("{other:?}"),
            });
            pairs.collect::<Vec<_>>().join(",")
        };
        match metric.data.unwrap() {
            Data::Sum(Sum { data_points, .. }) | Data::Gauge(Gauge { data_points }) => {
                series.extend(data_points.into_iter().map(|point| match point.value {
                    Some(Number::AsDouble(value)) => {
                        (text(point.attributes), vec![value.to_string().parse().unwrap()])
                    }
                    other => panic!("{other:?}"),
                }));
            }
            Data::Histogram(data) => {
                let points = data.data_points.into_iter();
                series.extend(points.map(|point| (text(point.attributes), point.bucket_counts)));
            }
            other => panic!("{other:?}"),
        }
    }
    (families, done.rejected)
}

/// Scenario: two services with the same metrics, one of which says more about itself, and one of whose points
/// lacks a label. Guarantees, for the readers of each release: one metric for each name, with all series;
/// buckets that count what is below them; the service in `job` and `instance`, the rest in `target_info`.
#[test]
fn all_resources_share_one_metric_of_a_name() {
    let shop =
        [("service.name", "shop"), ("service.namespace", "eu"), ("service.instance.id", "1")];
    let bare = [("service.name", "desk"), ("k8s.pod.name", "desk-0"), ("k8s.namespace.name", "ai")];
    let model = ("gen_ai.request.model", "m");
    let error = ("error.type", "timeout");
    let request = request(&[
        (&shop, vec![sum(3, &[model]), histogram_metric(&[1, 0, 2], &[model])]),
        (&bare, vec![sum(1, &[error, model]), histogram_metric(&[0, 4, 0], &[])]),
    ]);
    for release in RELEASES {
        let (families, rejected) = written(&request, release);
        assert_eq!(rejected, 0);
        let of = |name: &str| families[name].clone();
        let (shop, desk) = ("instance=1,job=eu/shop", "instance=ai.desk-0,job=desk");
        assert_eq!(
            of("gen_ai_client_operation_count_total"),
            [
                (format!("gen_ai_request_model=m,{shop}"), vec![3]),
                (format!("gen_ai_request_model=m,{desk},error_type=timeout"), vec![1])
            ],
            "{release}"
        );
        assert_eq!(
            of("gen_ai_client_operation_duration_seconds"),
            [
                (format!("gen_ai_request_model=m,{shop}"), vec![1, 0, 2]),
                (desk.to_owned(), vec![0, 4, 0])
            ],
            "{release}"
        );
        let info = "instance=ai.desk-0,job=desk,k8s_namespace_name=ai,k8s_pod_name=desk-0";
        assert_eq!(of("target_info"), [(info.to_owned(), vec![1])], "{release}");
    }
}

/// Guarantees: a bucket counts what is below it as well, so that the last one has all.
#[test]
fn buckets_are_written_cumulative() {
    let request = request(&[(&[], vec![histogram_metric(&[1, 0, 2], &[])])]);
    for release in RELEASES {
        let mut out = Vec::new();
        metrics_to_prometheus(&request, &mut out, ReaderCapabilities::of_release(release)).unwrap();
        let has = |bytes: &[u8]| out.windows(bytes.len()).any(|part| part == bytes);
        assert!(has(b"\xa7buckets\x93\x01\x01\x03"), "{release}");
        assert!(has(b"\xa5count\x03"), "{release}");
    }
}

/// Guarantees: resources that say no instance have one each; points that Prometheus could not tell apart are
/// added up; and labels that come to one name are joined.
#[test]
fn no_series_is_there_twice() {
    let (one, other) = ([("service.name", "a"), ("x", "1")], [("service.name", "a"), ("x", "2")]);
    let same = [("service.name", "b"), ("service.instance.id", "i")];
    let request = request(&[
        (&one, vec![sum(1, &[])]),
        (&other, vec![sum(1, &[])]),
        (&same, vec![sum(2, &[("a.b", "y"), ("a_b", "x")])]),
        (&same, vec![sum(5, &[("a_b", "y;x")]), histogram_metric(&[1, 1, 1], &[])]),
        (&same, vec![histogram_metric(&[0, 1, 1], &[])]),
        (&[], vec![sum(7, &[("job", "mine")])]),
    ]);
    for release in RELEASES {
        let (families, rejected) = written(&request, release);
        assert_eq!(rejected, 0);
        let counts = &families["gen_ai_client_operation_count_total"];
        let labels: Vec<&str> = counts.iter().map(|(labels, _)| labels.as_str()).collect();
        assert_eq!(counts.len(), 4, "{release}: {labels:?}");
        assert_ne!(labels[0], labels[1]);
        let joined = ("instance=i,job=b,a_b=y;x".to_owned(), vec![7]);
        assert_eq!(counts[2], joined, "{release}");
        assert_eq!(counts[3], ("exported_job=mine".to_owned(), vec![7]), "{release}");
        let durations = &families["gen_ai_client_operation_duration_seconds"];
        assert_eq!(durations[..], [("instance=i,job=b".to_owned(), vec![1, 2, 2])], "{release}");
    }
}

/// Guarantees: what has no place is left out and counted, and the rest is there.
#[test]
fn what_prometheus_has_no_place_for_is_counted() {
    let mut delta = sum(1, &[]);
    let mut other_bounds = histogram_metric(&[1, 1, 1], &[("k", "v")]);
    let mut named_as_sum = histogram_metric(&[1, 1, 1], &[]);
    if let Some(Data::Sum(data)) = &mut delta.data {
        data.aggregation_temporality = 1;
    }
    if let Some(Data::Histogram(data)) = &mut other_bounds.data {
        data.data_points[0].explicit_bounds = vec![0.5, 2.0];
    }
    named_as_sum.name = "gen_ai.client.operation.count.total".to_owned();
    named_as_sum.unit = String::new();
    let metrics =
        vec![sum(2, &[]), delta, histogram_metric(&[1, 2, 3], &[]), other_bounds, named_as_sum];
    for release in RELEASES {
        let (families, rejected) = written(&request(&[(&[], metrics.clone())]), release);
        assert_eq!((families.len(), rejected), (2, 3), "{release}: {families:?}");
        assert!(families.values().all(|series| series.len() == 1));
    }
    let long = "x".repeat(5000);
    let (families, _) = written(&request(&[(&[], vec![sum(1, &[("k", &long)])])]), "4.2.8");
    let labels = &families["gen_ai_client_operation_count_total"][0].0;
    assert_eq!(labels.len(), "k=".len() + 1024, "older readers take no more");
}
