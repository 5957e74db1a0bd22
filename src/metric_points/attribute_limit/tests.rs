//! Tests: attributes with ever new values.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
    Sum,
};
use proptest::prelude::*;
use prost::Message;

use super::*;

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn point(model: &str, id: &str, time: u64, value: i64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: vec![attribute("id", id), attribute("model", model)],
        start_time_unix_nano: 5,
        time_unix_nano: time,
        value: Some(Number::AsInt(value)),
        ..NumberDataPoint::default()
    }
}

fn sum(data_points: Vec<NumberDataPoint>) -> Data {
    Data::Sum(Sum { data_points, aggregation_temporality: 2, is_monotonic: true })
}

fn request(metrics: Vec<(&str, Data)>) -> Vec<u8> {
    let metrics = metrics
        .into_iter()
        .map(|(name, data)| Metric { name: name.to_owned(), data: Some(data), ..Metric::default() })
        .collect();
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

fn metrics_of(request: &[u8]) -> Vec<Metric> {
    let request = ExportMetricsServiceRequest::decode(request).unwrap();
    let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
    scopes.flat_map(|scope| scope.metrics).collect()
}

fn spelled(attributes: &[KeyValue]) -> String {
    let mut all: Vec<String> = attributes
        .iter()
        .map(|pair| {
            let Some(Value::StringValue(text)) = pair.value.clone().unwrap().value else {
                panic!()
            };
            format!("{}={text}", pair.key)
        })
        .collect();
    all.sort();
    all.join(",")
}

/// The values by attributes.
fn sums(metric: &Metric) -> BTreeMap<String, i64> {
    let (Some(Data::Sum(Sum { data_points, .. })) | Some(Data::Gauge(Gauge { data_points }))) =
        &metric.data
    else {
        panic!()
    };
    let value = |point: &NumberDataPoint| match point.value {
        Some(Number::AsInt(value)) => value,
        _ => panic!(),
    };
    let all: BTreeMap<String, i64> =
        data_points.iter().map(|point| (spelled(&point.attributes), value(point))).collect();
    assert_eq!(all.len(), data_points.len(), "each series has one point");
    all
}

#[test]
fn what_goes_beyond_the_limit_is_added_up() {
    let mut limiter = AttributeLimiter::new(2);
    let points = vec![
        point("a", "1", 10, 1),
        point("a", "2", 10, 2),
        point("a", "3", 10, 4),
        point("b", "4", 11, 8),
        point("a", "5", 12, 16),
        point("b", "1", 10, 32),
    ];
    let limited = limiter.limit(&request(vec![("m", sum(points))])).unwrap().unwrap();
    assert_eq!((limited.points, limited.merged), (5, 1));
    assert_eq!(limited.exceeded, [("m".to_owned(), "id".to_owned())]);
    let [metric] = &metrics_of(&limited.request)[..] else { panic!() };
    let expected = [
        ("id=1,model=a", 1),
        ("id=1,model=b", 32),
        ("id=2,model=a", 2),
        ("id=_OTHER,model=a", 20),
        ("id=_OTHER,model=b", 8),
    ];
    assert_eq!(sums(metric), expected.map(|(key, value)| (key.to_owned(), value)).into());
    let Some(Data::Sum(Sum { data_points, aggregation_temporality: 2, is_monotonic: true })) =
        &metric.data
    else {
        panic!("{metric:?}")
    };
    let other =
        data_points.iter().find(|point| spelled(&point.attributes).contains("_OTHER,model=a"));
    let other = other.unwrap();
    assert_eq!((other.start_time_unix_nano, other.time_unix_nano), (5, 12));
    // Said once, and the same again for the same request.
    let again = vec![point("a", "3", 20, 5), point("a", "2", 20, 3)];
    let limited = limiter.limit(&request(vec![("m", sum(again))])).unwrap().unwrap();
    assert!(limited.exceeded.is_empty());
    let expected = [("id=2,model=a", 3), ("id=_OTHER,model=a", 5)];
    assert_eq!(
        sums(&metrics_of(&limited.request)[0]),
        expected.map(|(key, value)| (key.to_owned(), value)).into()
    );
    // Of another metric they are others.
    let other = vec![point("a", "3", 20, 5), point("a", "4", 20, 3)];
    assert_eq!(limiter.limit(&request(vec![("n", sum(other))])), Ok(None));
}

#[test]
fn gauges_keep_the_last_value_and_histograms_add_their_buckets() {
    let mut limiter = AttributeLimiter::new(1);
    let gauge = Data::Gauge(Gauge {
        data_points: vec![point("a", "1", 1, 7), point("a", "2", 3, 8), point("a", "3", 2, 9)],
    });
    let histogram = |id: &str, counts: [u64; 2]| HistogramDataPoint {
        attributes: vec![attribute("id", id)],
        count: counts.iter().sum(),
        sum: Some(1.5),
        bucket_counts: counts.to_vec(),
        explicit_bounds: vec![1.0],
        ..HistogramDataPoint::default()
    };
    let histograms = Data::Histogram(Histogram {
        data_points: vec![histogram("1", [1, 0]), histogram("2", [1, 2]), histogram("3", [3, 4])],
        aggregation_temporality: 1,
    });
    let encoded = request(vec![("gauge", gauge), ("histogram", histograms)]);
    let limited = limiter.limit(&encoded).unwrap().unwrap();
    assert_eq!((limited.points, limited.merged), (4, 2));
    let metrics = metrics_of(&limited.request);
    let expected = [("id=1,model=a", 7), ("id=_OTHER,model=a", 8)];
    assert_eq!(sums(&metrics[0]), expected.map(|(key, value)| (key.to_owned(), value)).into());
    let Some(Data::Histogram(histogram)) = &metrics[1].data else { panic!() };
    let other = &histogram.data_points[1];
    assert_eq!((other.count, other.sum, &other.bucket_counts[..]), (10, Some(3.0), &[4, 6][..]));
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut limiter = AttributeLimiter::new(200_000);
    for metric in 0..12 {
        let points: Vec<NumberDataPoint> =
            (0..100_000).map(|id| point("a", &id.to_string(), 1, 1)).collect();
        let name = format!("m{metric}");
        assert_eq!(limiter.limit(&request(vec![(&name, sum(points))])), Ok(None));
        assert!(limiter.remembered <= MAX_REMEMBERED, "{}", limiter.remembered);
    }
}

proptest! {
    /// Whatever values there are, the total stays, and no attribute has more than the limit and one.
    #[test]
    fn totals_stay(ids in prop::collection::vec((0_u8..40, 0_u8..3, 0_i64..100), 1..80)) {
        let mut limiter = AttributeLimiter::new(5);
        let mut points: BTreeMap<(u8, u8), i64> = BTreeMap::new();
        for (id, model, value) in ids {
            *points.entry((id, model)).or_default() += value;
        }
        let total: i64 = points.values().sum();
        let points: Vec<NumberDataPoint> = points
            .into_iter()
            .map(|((id, model), value)| point(&model.to_string(), &id.to_string(), 10, value))
            .collect();
        let count = points.len();
        let encoded = request(vec![("m", sum(points))]);
        let limited = limiter.limit(&encoded).unwrap();
        let left = limited.as_ref().map_or(encoded.as_slice(), |limited| &limited.request);
        let all = sums(&metrics_of(left)[0]);
        prop_assert_eq!(all.values().sum::<i64>(), total);
        let ids: std::collections::BTreeSet<&str> =
            all.keys().map(|key| key.split(',').next().unwrap()).collect();
        prop_assert!(ids.len() <= 6);
        if let Some(limited) = limited {
            prop_assert_eq!(limited.points + limited.merged, count);
            prop_assert_eq!(limiter.limit(&encoded).unwrap().unwrap().request, limited.request);
        }
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200), flip in any::<(usize, u8)>()) {
        let mut limiter = AttributeLimiter::new(1);
        let _read = limiter.limit(&bytes);
        let mut known = request(vec![("m", sum(vec![point("a", "1", 1, 1), point("a", "2", 1, 1)]))]);
        let at = flip.0 % known.len();
        known[at] = flip.1;
        let _read = limiter.limit(&known);
    }
}
