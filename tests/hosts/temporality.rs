//! Metrics in the temporality that an endpoint wants, on hosts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use prost::Message as _;
use tokio::task::block_in_place;

use crate::client::Client;
use crate::hosts::{RunningHost, free_port};
use crate::sink::{Keep, ReceivedRequests, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

/// After the start of any test, so that all of it is counted.
const START: u64 = 4_000_000_000_000_000_000;
const STEPS: u64 = 5;

/// What an application says after so many steps of three requests each: since its start, and since the step
/// before.
fn request(step: u64) -> Vec<u8> {
    let of = |name: &str, temporality: i32| {
        let is_whole = temporality == 2;
        let (start, count) = if is_whole { (0, 3 * step) } else { (step - 1, 3) };
        let number = NumberDataPoint {
            start_time_unix_nano: START + start,
            time_unix_nano: START + step,
            value: Some(Number::AsInt(i64::try_from(count).unwrap())),
            ..NumberDataPoint::default()
        };
        let buckets = HistogramDataPoint {
            start_time_unix_nano: START + start,
            time_unix_nano: START + step,
            count,
            sum: Some(count as f64 * 0.5),
            bucket_counts: vec![0, count, 0],
            explicit_bounds: vec![0.1, 1.0],
            ..HistogramDataPoint::default()
        };
        let sum = Data::Sum(Sum {
            data_points: vec![number],
            aggregation_temporality: temporality,
            is_monotonic: true,
        });
        let histogram = Data::Histogram(Histogram {
            data_points: vec![buckets],
            aggregation_temporality: temporality,
        });
        [("sum", sum), ("histogram", histogram)].map(|(kind, data)| Metric {
            name: format!("{kind}.{name}"),
            data: Some(data),
            ..Metric::default()
        })
    };
    let metrics = [of("cumulative", 2), of("delta", 1)].concat();
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

/// By metric its temporality, and the counts of its points by their ends.
type Points = BTreeMap<String, (i32, BTreeMap<u64, u64>)>;

fn arrived(received: &ReceivedRequests) -> Points {
    let mut all = Points::new();
    let requests = received.requests.get("/v1/metrics").into_iter().flatten();
    let metrics = requests
        .flat_map(|it| ExportMetricsServiceRequest::decode(it.clone()).unwrap().resource_metrics)
        .flat_map(|resource| resource.scope_metrics)
        .flat_map(|scope| scope.metrics);
    for metric in metrics {
        let (temporality, points): (i32, Vec<(u64, u64)>) = match metric.data {
            Some(Data::Sum(sum)) => {
                let point = |point: &NumberDataPoint| {
                    let Some(Number::AsInt(value)) = point.value else { panic!("{point:?}") };
                    (point.time_unix_nano, u64::try_from(value).unwrap())
                };
                (sum.aggregation_temporality, sum.data_points.iter().map(point).collect())
            }
            Some(Data::Histogram(histogram)) => {
                let point = |point: &HistogramDataPoint| {
                    assert_eq!(point.bucket_counts, [0, point.count, 0]);
                    assert_eq!(point.sum, Some(point.count as f64 * 0.5));
                    (point.time_unix_nano, point.count)
                };
                (
                    histogram.aggregation_temporality,
                    histogram.data_points.iter().map(point).collect(),
                )
            }
            other => panic!("{other:?}"),
        };
        let known = all.entry(metric.name).or_insert((temporality, BTreeMap::new()));
        assert_eq!(known.0, temporality);
        known.1.extend(points.into_iter().map(|(time, count)| (time - START, count)));
    }
    all
}

fn expected(temporality: i32) -> Points {
    let count = |step: u64| if temporality == 2 { 3 * step } else { 3 };
    let points: BTreeMap<u64, u64> = (1..=STEPS).map(|step| (step, count(step))).collect();
    let names = ["sum.cumulative", "histogram.cumulative", "sum.delta", "histogram.delta"];
    names.map(|name| (name.to_owned(), (temporality, points.clone()))).into()
}

/// Scenario: an application that reports in both temporalities, and an endpoint for each. Guarantees: each endpoint
/// gets every point in its own, with the counts that follow.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_endpoint_has_its_temporality() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let sinks = [Sink::start(0, Keep::Requests).await, Sink::start(0, Keep::Requests).await];
        let (http, grpc) = (free_port(), free_port());
        let pipeline = Pipeline::default()
            .otlp_in(http, grpc)
            .otlp_out(&[
                ("cumulative", sinks[0].port, "http/protobuf"),
                ("delta", sinks[1].port, "http/protobuf"),
            ])
            .output_option("endpoint.cumulative.temporality: cumulative")
            .output_option("endpoint.delta.temporality: delta");
        let running =
            block_in_place(|| RunningHost::start(&host, &pipeline.yaml(plugins.path()), http));
        let mut client = Client::connect(http, false).await.unwrap();
        for step in 1..=STEPS {
            client.send("/v1/metrics", "", request(step)).await.unwrap();
            // A chunk for each, in their order: of two that are flushed at once the later may be the first.
            let start = Instant::now();
            while arrived(&sinks[1].received.lock().unwrap())
                .values()
                .any(|(_, points)| !points.contains_key(&step))
                || arrived(&sinks[1].received.lock().unwrap()).len() < 4
            {
                assert!(start.elapsed() < Duration::from_secs(20), "{what}: step {step}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        assert_eq!(arrived(&sinks[0].received.lock().unwrap()), expected(2), "{what}");
        assert_eq!(arrived(&sinks[1].received.lock().unwrap()), expected(1), "{what}");
    }
}
