//! Endpoints that get metrics in another temporality.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, Sum};

use super::data::{metric_chunk, metrics};
use super::receiver::{Receiver, Say};
use super::{Bench, Fate, endpoint};
use crate::export::{EndpointSettings, TemporalitySettings};
use crate::metric_points::temporality::Temporality;

/// After the start of any test.
const START: u64 = 4_000_000_000_000_000_000;

fn settings(target: Temporality) -> Option<TemporalitySettings> {
    Some(TemporalitySettings { target, state_size: 1_000_000 })
}

/// A chunk with a gauge and a sum since [`START`].
fn chunk(start: u64, time: u64, value: i64) -> Vec<u8> {
    let mut request = metrics(1);
    let gauge = request.resource_metrics[0].scope_metrics[0].metrics[0].clone();
    let point = NumberDataPoint {
        start_time_unix_nano: start,
        time_unix_nano: time,
        value: Some(Value::AsInt(value)),
        ..NumberDataPoint::default()
    };
    let data = Sum { data_points: vec![point], aggregation_temporality: 2, is_monotonic: true };
    let mut sum = gauge;
    (sum.name, sum.data) = ("sum".to_owned(), Some(Data::Sum(data)));
    request.resource_metrics[0].scope_metrics[0].metrics.push(sum);
    metric_chunk(&request)
}

/// Temporality and value of the sums that came, in their order, and how many gauges did.
fn arrived(receiver: &Receiver) -> (Vec<(i32, i64)>, usize) {
    let (mut sums, mut gauges) = (Vec::new(), 0);
    for request in receiver.messages::<ExportMetricsServiceRequest>("/v1/metrics") {
        for metric in &request.resource_metrics[0].scope_metrics[0].metrics {
            let Some(Data::Sum(sum)) = &metric.data else {
                gauges += 1;
                continue;
            };
            let Some(Value::AsInt(value)) = sum.data_points[0].value else { panic!() };
            sums.push((sum.aggregation_temporality, value));
        }
    }
    (sums, gauges)
}

#[test]
fn each_endpoint_has_its_own_and_a_retry_says_the_same() {
    let steady = Receiver::accepting();
    // The second request is not taken at first.
    let shaky = Receiver::start(|n, _| match n {
        1 | 2 => Say::Http(503, vec![], Vec::new()),
        _ => Say::Accept,
    });
    let delta =
        EndpointSettings { temporality: settings(Temporality::Delta), ..endpoint("delta", &shaky) };
    let bench = Bench::new(vec![endpoint("original", &steady), delta]);
    assert_eq!(bench.deliver(1, &chunk(START, START + 1, 5)), Fate::Done);
    let second = chunk(START, START + 2, 12);
    assert_eq!(bench.deliver(2, &second), Fate::Retry);
    // A later chunk comes between the attempts.
    let third = chunk(START, START + 3, 20);
    assert_eq!(bench.deliver(3, &third), Fate::Retry);
    let mut left = 10;
    for (task, chunk) in [(2, &second), (3, &third)] {
        while bench.deliver(task, chunk) == Fate::Retry {
            left -= 1;
            assert!(left > 0);
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
    }
    let (sums, gauges) = arrived(&steady);
    assert_eq!((sums, gauges), (vec![(2, 5), (2, 12), (2, 20)], 3));
    let (mut sums, gauges) = arrived(&shaky);
    sums.dedup();
    assert!(gauges >= 3);
    assert_eq!(sums.iter().filter(|sum| **sum == (1, 5)).count(), 1);
    assert!(sums.contains(&(1, 7)) && sums.contains(&(1, 8)), "{sums:?}");
    assert_eq!(bench.count("sent_items_total", &["delta", "metrics"]), 6);
    assert_eq!(bench.count("dropped_items_total", &["delta"]), 0);
}

#[test]
fn what_cannot_be_told_is_counted() {
    let receiver = Receiver::accepting();
    let delta = EndpointSettings {
        temporality: settings(Temporality::Delta),
        ..endpoint("delta", &receiver)
    };
    let bench = Bench::new(vec![delta]);
    // It began before the exporter did.
    assert_eq!(bench.deliver(1, &chunk(1, START + 1, 5)), Fate::Done);
    assert_eq!(bench.deliver(2, &chunk(1, START + 3, 9)), Fate::Done);
    assert_eq!(bench.deliver(3, &chunk(1, START + 2, 7)), Fate::Done);
    assert_eq!(arrived(&receiver), (vec![(1, 4)], 3));
    assert_eq!(bench.count("dropped_items_total", &["delta", "temporality_first"]), 1);
    assert_eq!(bench.count("dropped_items_total", &["delta", "temporality_late"]), 1);
    assert_eq!(bench.count("sent_items_total", &["delta", "metrics"]), 4);
    assert_eq!(bench.count("exporter_received_items_total", &["metrics"]), 6);
}

/// A chunk with a sum of one point for each id.
fn chunk_of(ids: std::ops::Range<u64>, time: u64) -> Vec<u8> {
    let mut request = metrics(1);
    let points = ids.map(|id| NumberDataPoint {
        attributes: vec![super::data::text("request", &format!("r{id}"))],
        start_time_unix_nano: START,
        time_unix_nano: START + time,
        value: Some(Value::AsInt(1)),
        ..NumberDataPoint::default()
    });
    let data =
        Sum { data_points: points.collect(), aggregation_temporality: 2, is_monotonic: true };
    request.resource_metrics[0].scope_metrics[0].metrics[0].data = Some(Data::Sum(data));
    metric_chunk(&request)
}

#[test]
fn ever_new_values_become_one_series_also_as_delta() {
    let receiver = Receiver::accepting();
    let endpoint = EndpointSettings {
        max_attribute_values: Some(3),
        temporality: settings(Temporality::Delta),
        ..endpoint("main", &receiver)
    };
    let bench = Bench::new(vec![endpoint]);
    assert_eq!(bench.deliver(1, &chunk_of(0..5, 1)), Fate::Done);
    assert_eq!(bench.deliver(2, &chunk_of(0..9, 2)), Fate::Done);
    let mut told = Vec::new();
    for request in receiver.messages::<ExportMetricsServiceRequest>("/v1/metrics") {
        let Some(Data::Sum(sum)) = &request.resource_metrics[0].scope_metrics[0].metrics[0].data
        else {
            panic!()
        };
        for point in &sum.data_points {
            let Some(Value::AsInt(value)) = point.value else { panic!() };
            told.push((point.attributes[0] == super::data::text("request", "_OTHER"), value));
        }
    }
    let expected = [(false, 1), (false, 1), (false, 1), (true, 2)];
    let later = [(false, 0), (false, 0), (false, 0), (true, 4)];
    assert_eq!(told, [expected, later].concat());
    assert_eq!(bench.count("sent_items_total", &["main", "metrics"]), 8);
    assert_eq!(bench.count("dropped_items_total", &["main", "attributes_merged"]), 6);
    let log = bench.log();
    assert!(log.contains("'request'") && log.contains("'m'"), "{log}");
}

#[test]
fn merged_points_count_once_however_often_a_chunk_comes() {
    let receiver = Receiver::start(|n, _| match n {
        0 | 1 => Say::Http(503, vec![], Vec::new()),
        _ => Say::Accept,
    });
    let endpoint =
        EndpointSettings { max_attribute_values: Some(3), ..endpoint("main", &receiver) };
    let bench = Bench::new(vec![endpoint]);
    let (chunk, mut attempts) = (chunk_of(0..5, 1), 1);
    while bench.deliver(1, &chunk) == Fate::Retry {
        attempts += 1;
        assert!(attempts < 20);
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    assert!(attempts > 1);
    assert_eq!(bench.count("dropped_items_total", &["main", "attributes_merged"]), 1);
    assert_eq!(bench.count("sent_items_total", &["main", "metrics"]), 4);
}
