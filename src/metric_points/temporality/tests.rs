//! Tests: what comes out of generated streams of points, compared with what was counted.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use proptest::prelude::*;
use prost::Message;

use super::*;

const ROOM: usize = 1 << 20;
const BEGUN: u64 = 1_000;

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn int(start: u64, time: u64, value: i64) -> NumberDataPoint {
    NumberDataPoint {
        start_time_unix_nano: start,
        time_unix_nano: time,
        value: Some(number_data_point::Value::AsInt(value)),
        ..NumberDataPoint::default()
    }
}

fn sum(temporality: Temporality, is_monotonic: bool, points: Vec<NumberDataPoint>) -> Data {
    let aggregation_temporality = i32::try_from(temporality.number()).unwrap();
    Data::Sum(Sum { data_points: points, aggregation_temporality, is_monotonic })
}

fn histogram(temporality: Temporality, point: HistogramDataPoint) -> Data {
    let aggregation_temporality = i32::try_from(temporality.number()).unwrap();
    Data::Histogram(Histogram { data_points: vec![point], aggregation_temporality })
}

fn exponential(temporality: Temporality, point: ExponentialHistogramDataPoint) -> Data {
    let aggregation_temporality = i32::try_from(temporality.number()).unwrap();
    Data::ExponentialHistogram(ExponentialHistogram {
        data_points: vec![point],
        aggregation_temporality,
    })
}

fn request(metrics: Vec<Data>) -> Vec<u8> {
    let metrics = metrics
        .into_iter()
        .map(|data| Metric { name: "m".to_owned(), data: Some(data), ..Metric::default() })
        .collect();
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

fn data_of(request: &[u8]) -> Vec<Data> {
    let request = ExportMetricsServiceRequest::decode(request).unwrap();
    let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
    scopes.flat_map(|scope| scope.metrics).filter_map(|metric| metric.data).collect()
}

fn convert(converter: &mut TemporalityConverter, data: Data) -> (Vec<Data>, ConvertedRequest) {
    let converted = converter.convert(&request(vec![data])).unwrap().unwrap();
    (data_of(&converted.request), converted)
}

/// Start, time and value of the only point of the only sum.
fn only(data: &[Data]) -> (u64, u64, i64) {
    let [Data::Sum(Sum { data_points, .. })] = data else { panic!("{data:?}") };
    let [point] = data_points.as_slice() else { panic!("{data:?}") };
    let Some(number_data_point::Value::AsInt(value)) = point.value else { panic!("{data:?}") };
    (point.start_time_unix_nano, point.time_unix_nano, value)
}

use Temporality::{Cumulative, Delta};

#[test]
fn a_sum_since_the_start_becomes_what_was_added() {
    let mut converter = TemporalityConverter::new(Delta, BEGUN, ROOM);
    let mut point = |start, time, value| {
        let (data, converted) =
            convert(&mut converter, sum(Cumulative, true, vec![int(start, time, value)]));
        let left = (converted.points, converted.first, converted.late);
        if data.is_empty() { (left, None) } else { (left, Some(only(&data))) }
    };
    // It began before the converter did: what was counted till now may have been sent.
    assert_eq!(point(10, 2_000, 70), ((0, 1, 0), None));
    assert_eq!(point(10, 3_000, 75), ((1, 0, 0), Some((2_000, 3_000, 5))));
    // The same once more, and one from before.
    assert_eq!(point(10, 3_000, 75), ((0, 0, 1), None));
    assert_eq!(point(10, 2_500, 72), ((0, 0, 1), None));
    assert_eq!(point(10, 4_000, 75), ((1, 0, 0), Some((3_000, 4_000, 0))));
    // A new process, which says when it began; another one that does not.
    assert_eq!(point(4_500, 5_000, 80), ((1, 0, 0), Some((4_500, 5_000, 80))));
    assert_eq!(point(0, 6_000, 3), ((1, 0, 0), Some((5_000, 6_000, 3))));
    assert_eq!(point(6_500, 7_000, 4), ((1, 0, 0), Some((6_000, 7_000, 1))));
}

#[test]
fn a_sum_that_began_with_us_is_whole() {
    let mut converter = TemporalityConverter::new(Delta, BEGUN, ROOM);
    let (data, _) = convert(&mut converter, sum(Cumulative, true, vec![int(BEGUN, 2_000, 7)]));
    assert_eq!(only(&data), (BEGUN, 2_000, 7));
}

#[test]
fn what_was_added_becomes_a_sum_since_the_first_start() {
    let mut converter = TemporalityConverter::new(Cumulative, BEGUN, ROOM);
    let mut point = |start, time, value| {
        let (data, converted) =
            convert(&mut converter, sum(Delta, true, vec![int(start, time, value)]));
        if data.is_empty() { Err(converted.late) } else { Ok(only(&data)) }
    };
    assert_eq!(point(10, 20, 5), Ok((10, 20, 5)));
    assert_eq!(point(20, 30, 2), Ok((10, 30, 7)));
    // Twice the same is counted once; a late one is in the next.
    assert_eq!(point(20, 30, 2), Err(1));
    assert_eq!(point(40, 50, 1), Ok((10, 50, 8)));
    assert_eq!(point(30, 40, 100), Err(1));
    assert_eq!(point(50, 60, 0), Ok((10, 60, 108)));
}

#[test]
fn what_has_that_temporality_or_none_goes_as_it_is() {
    let gauge = Data::Gauge(Gauge { data_points: vec![int(1, 2, 3)] });
    let falls = |temporality| sum(temporality, false, vec![int(1, 2, 3)]);
    for (target, data) in [
        (Delta, sum(Delta, true, vec![int(1, 2, 3)])),
        (Delta, falls(Cumulative)),
        (Cumulative, sum(Cumulative, true, vec![int(1, 2, 3)])),
        (Cumulative, gauge.clone()),
    ] {
        let mut converter = TemporalityConverter::new(target, BEGUN, ROOM);
        assert_eq!(converter.convert(&request(vec![data])), Ok(None));
    }
    // Beside one that changes, and counted.
    let mut converter = TemporalityConverter::new(Cumulative, BEGUN, ROOM);
    let both = request(vec![gauge.clone(), falls(Delta)]);
    let converted = converter.convert(&both).unwrap().unwrap();
    assert_eq!(converted.points, 2);
    let data = data_of(&converted.request);
    assert_eq!(data.first(), Some(&gauge));
    assert_eq!(data.get(1), Some(&falls(Cumulative)));
}

#[test]
fn series_are_told_apart_by_all_that_they_are() {
    let mut converter = TemporalityConverter::new(Cumulative, BEGUN, ROOM);
    let request = |service: &str, scope: &str, attributes: &[(&str, &str)], time: u64| {
        let attributes = attributes.iter().map(|(key, value)| attribute(key, value)).collect();
        let point = NumberDataPoint { attributes, ..int(time - 1, time, 1) };
        let metric = Metric {
            name: "m".to_owned(),
            data: Some(sum(Delta, true, vec![point])),
            ..Metric::default()
        };
        let scope = opentelemetry_proto::tonic::common::v1::InstrumentationScope {
            name: scope.to_owned(),
            ..Default::default()
        };
        let resource = opentelemetry_proto::tonic::resource::v1::Resource {
            attributes: vec![attribute("service.name", service), attribute("k", "v")],
            ..Default::default()
        };
        let scope_metrics =
            vec![ScopeMetrics { scope: Some(scope), metrics: vec![metric], ..Default::default() }];
        let resource_metrics = vec![ResourceMetrics {
            resource: Some(resource),
            scope_metrics,
            ..ResourceMetrics::default()
        }];
        ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
    };
    let mut total = |encoded: Vec<u8>| {
        let converted = converter.convert(&encoded).unwrap().unwrap();
        only(&data_of(&converted.request)).2
    };
    assert_eq!(total(request("a", "s", &[("x", "1"), ("y", "2")], 10)), 1);
    assert_eq!(total(request("b", "s", &[("x", "1"), ("y", "2")], 10)), 1);
    assert_eq!(total(request("a", "t", &[("x", "1"), ("y", "2")], 10)), 1);
    assert_eq!(total(request("a", "s", &[("x", "1"), ("y", "3")], 10)), 1);
    assert_eq!(total(request("a", "s", &[("x", "1")], 10)), 1);
    // The order of attributes does not count.
    assert_eq!(total(request("a", "s", &[("y", "2"), ("x", "1")], 11)), 2);
}

fn buckets_point(start: u64, time: u64, counts: &[u64]) -> HistogramDataPoint {
    HistogramDataPoint {
        start_time_unix_nano: start,
        time_unix_nano: time,
        count: counts.iter().sum(),
        sum: Some(counts.iter().sum::<u64>() as f64 * 1.5),
        bucket_counts: counts.to_vec(),
        explicit_bounds: vec![1.0, 2.0],
        min: Some(0.5),
        max: Some(time as f64),
        attributes: vec![attribute("a", "b")],
        flags: 0,
        exemplars: vec![opentelemetry_proto::tonic::metrics::v1::Exemplar {
            time_unix_nano: time,
            ..Default::default()
        }],
    }
}

fn only_histogram(data: Vec<Data>) -> HistogramDataPoint {
    let Some(Data::Histogram(Histogram { data_points, .. })) = data.into_iter().next() else {
        panic!()
    };
    data_points.into_iter().next().unwrap()
}

#[test]
fn histograms_keep_all_else() {
    let mut converter = TemporalityConverter::new(Delta, BEGUN, ROOM);
    let mut point = |point| only_histogram(convert(&mut converter, histogram(Cumulative, point)).0);
    let first = buckets_point(2_000, 3_000, &[1, 2, 3]);
    assert_eq!(point(first.clone()), first);
    let added = point(buckets_point(2_000, 4_000, &[1, 5, 4]));
    // The extremes of the interval are not known.
    let expected = HistogramDataPoint {
        min: None,
        max: None,
        exemplars: buckets_point(0, 4_000, &[]).exemplars,
        ..buckets_point(3_000, 4_000, &[0, 3, 1])
    };
    assert_eq!(added, expected);
    // Other bounds begin anew.
    let mut other = buckets_point(2_000, 5_000, &[9, 9, 9]);
    other.explicit_bounds = vec![3.0, 4.0];
    assert_eq!(point(other).count, 27);

    let mut converter = TemporalityConverter::new(Cumulative, BEGUN, ROOM);
    let mut point = |point| only_histogram(convert(&mut converter, histogram(Delta, point)).0);
    point(buckets_point(2_000, 3_000, &[1, 2, 3]));
    let whole = point(buckets_point(3_000, 4_000, &[0, 3, 1]));
    assert_eq!((whole.min, whole.max), (Some(0.5), Some(4_000.0)));
    let expected = HistogramDataPoint {
        exemplars: buckets_point(0, 4_000, &[]).exemplars,
        ..buckets_point(2_000, 4_000, &[1, 5, 4])
    };
    assert_eq!(whole, expected);
}

fn scaled(start: u64, time: u64, scale: i32, offset: i32, counts: &[u64]) -> Data {
    let point = ExponentialHistogramDataPoint {
        start_time_unix_nano: start,
        time_unix_nano: time,
        count: counts.iter().sum::<u64>() + 1,
        sum: Some(time as f64),
        scale,
        zero_count: 1,
        positive: Some(Buckets { offset, bucket_counts: counts.to_vec() }),
        ..ExponentialHistogramDataPoint::default()
    };
    exponential(Delta, point)
}

#[test]
fn exponential_histograms_come_back_at_the_lower_scale() {
    let mut there = TemporalityConverter::new(Cumulative, BEGUN, ROOM);
    let mut back = TemporalityConverter::new(Delta, BEGUN, ROOM);
    let mut through = |data: Data| {
        let (whole, _) = convert(&mut there, data);
        let (data, _) = convert(&mut back, whole.into_iter().next().unwrap());
        data.into_iter().next()
    };
    let first = scaled(2_000, 3_000, 1, -3, &[1, 2, 4, 8]);
    assert_eq!(through(first.clone()), Some(first));
    // At scale 0 it is the index 1 that holds 2 and 3.
    let expected = scaled(3_000, 4_000, 0, 1, &[7]);
    let Some(Data::ExponentialHistogram(added)) = through(scaled(3_000, 4_000, 1, 2, &[3, 4]))
    else {
        panic!()
    };
    let added = added.data_points.into_iter().next().unwrap();
    assert_eq!((added.scale, added.count, added.zero_count), (1, 8, 1));
    let Some(Data::ExponentialHistogram(added)) = through(scaled(4_000, 5_000, 0, 1, &[7])) else {
        panic!()
    };
    let Data::ExponentialHistogram(expected) = expected else { panic!() };
    let (added, expected) = (&added.data_points[0], &expected.data_points[0]);
    assert_eq!((added.scale, &added.positive), (expected.scale, &expected.positive));
}

#[test]
fn a_series_that_ended_begins_anew() {
    let mut converter = TemporalityConverter::new(Delta, BEGUN, ROOM);
    let mut send = |point| convert(&mut converter, sum(Cumulative, true, vec![point]));
    send(int(2_000, 3_000, 5));
    let ended = NumberDataPoint { flags: 1, value: None, ..int(2_000, 4_000, 0) };
    let (data, converted) = send(ended.clone());
    assert_eq!(data, [sum(Delta, true, vec![ended])]);
    assert_eq!(converted.points, 1);
    assert_eq!(only(&send(int(4_500, 5_000, 3)).0), (4_500, 5_000, 3));
}

#[test]
fn what_is_known_is_bounded() {
    let mut converter = TemporalityConverter::new(Delta, 0, ROOM);
    for number in 0..200_u64 {
        let points = (0..100).map(|at| NumberDataPoint {
            attributes: vec![attribute("id", &format!("{number}-{at}"))],
            ..int(1, 2, 3)
        });
        let data = sum(Cumulative, true, points.collect());
        let (_, converted) = convert(&mut converter, data);
        assert_eq!(converted.points, 100);
        assert!(converter.series.bytes() <= ROOM);
    }
    // The last ones are known, the first ones are not.
    let again = |id: &str| {
        let attributes = vec![attribute("id", id)];
        sum(Cumulative, true, vec![NumberDataPoint { attributes, ..int(1, 3, 4) }])
    };
    assert_eq!(only(&convert(&mut converter, again("199-99")).0), (2, 3, 1));
    assert_eq!(only(&convert(&mut converter, again("0-0")).0), (1, 3, 4));
}

proptest! {
    /// Whatever is counted between points, and however often the process begins anew, in all the same is told.
    #[test]
    fn totals_stay(steps in prop::collection::vec((0_i64..50, prop::bool::weighted(0.1)), 1..40)) {
        let mut there = TemporalityConverter::new(Delta, BEGUN, ROOM);
        let mut back = TemporalityConverter::new(Cumulative, BEGUN, ROOM);
        let (mut start, mut time, mut value) = (BEGUN, BEGUN, 0);
        let (mut counted, mut told, mut first) = (0, 0, None);
        for (added, restarts) in steps {
            if restarts {
                (start, value) = (time + 1, 0);
            }
            time += 10;
            value += added;
            counted += added;
            let (data, _) =
                convert(&mut there, sum(Cumulative, true, vec![int(start, time, value)]));
            let (_, _, delta) = only(&data);
            told += delta;
            prop_assert_eq!(delta, added);
            let (data, _) = convert(&mut back, data.into_iter().next().unwrap());
            prop_assert_eq!(only(&data), (*first.get_or_insert(start), time, counted));
        }
        prop_assert_eq!(told, counted);
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200), flip in any::<(usize, u8)>()) {
        let mut converter = TemporalityConverter::new(Cumulative, BEGUN, ROOM);
        let _read = converter.convert(&bytes);
        let mut known = request(vec![scaled(1, 2, 3, 4, &[5, 6, 7]), histogram(Delta, buckets_point(1, 2, &[3, 4, 5]))]);
        let at = flip.0 % known.len();
        known[at] = flip.1;
        let _first = converter.convert(&known);
        let _second = converter.convert(&known);
    }
}
