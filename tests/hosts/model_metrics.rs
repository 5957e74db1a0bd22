//! What `ai_metrics` made, as a backend sees it: cumulative series, of which the latest point counts.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use prost::Message;

use crate::sink::ReceivedRequests;

/// The latest point of a series.
#[derive(Debug, Clone, Default)]
pub struct LatestPoint {
    /// The attributes of the point, as text.
    pub attributes: BTreeMap<String, String>,
    /// How many values a histogram has.
    pub count: u64,
    /// What the values add up to, or a sum has.
    pub sum: f64,
    start: u64,
    time: u64,
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.clone().and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    };
    attributes.iter().map(|pair| (pair.key.clone(), text(pair))).collect()
}

fn points(data: Option<Data>) -> Vec<LatestPoint> {
    match data {
        Some(Data::Histogram(data)) => {
            assert_eq!(data.aggregation_temporality, 2, "cumulative");
            let points = data.data_points.into_iter();
            points
                .map(|point| LatestPoint {
                    attributes: texts(&point.attributes),
                    count: point.count,
                    sum: point.sum.unwrap(),
                    start: point.start_time_unix_nano,
                    time: point.time_unix_nano,
                })
                .collect()
        }
        Some(Data::Sum(data)) => {
            assert_eq!(data.aggregation_temporality, 2, "cumulative");
            let points = data.data_points.into_iter();
            points
                .map(|point| LatestPoint {
                    attributes: texts(&point.attributes),
                    count: 0,
                    sum: match point.value {
                        Some(Number::AsInt(value)) => value as f64,
                        Some(Number::AsDouble(value)) => value,
                        None => 0.0,
                    },
                    start: point.start_time_unix_nano,
                    time: point.time_unix_nano,
                })
                .collect()
        }
        other => panic!("{other:?}"),
    }
}

/// The latest points of a metric, each series' of each resource. That none falls, and none begins anew
/// without a reset, is checked on the way. Requests may have overtaken each other.
pub fn latest(received: &ReceivedRequests, name: &str) -> Vec<LatestPoint> {
    let mut series: BTreeMap<String, Vec<LatestPoint>> = BTreeMap::new();
    for request in received.requests.get("/v1/metrics").into_iter().flatten() {
        let request = ExportMetricsServiceRequest::decode(request.clone()).unwrap();
        for of in request.resource_metrics {
            let resource = format!("{:?}", of.resource);
            let metrics = of.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
            for metric in metrics.filter(|metric| metric.name == name) {
                for point in points(metric.data) {
                    let key = format!("{resource}{:?}", point.attributes);
                    series.entry(key).or_default().push(point);
                }
            }
        }
    }
    let latest = |mut points: Vec<LatestPoint>| {
        points.sort_by_key(|point| point.time);
        for pair in points.windows(2) {
            let (before, after) = (&pair[0], &pair[1]);
            assert!(after.time > before.time, "{name}: {before:?}, {after:?}");
            assert_eq!(after.start, before.start, "{name}: {before:?}, {after:?}");
            assert!(after.sum >= before.sum, "{name}: {before:?}, {after:?}");
        }
        points.pop().unwrap()
    };
    series.into_values().map(latest).collect()
}
