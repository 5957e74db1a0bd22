use fluent_bit_ai::codec::fluentbit::{NativeRequest, cmetrics_to_otlp};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, exemplar, exponential_histogram_data_point::Buckets, metric::Data,
    number_data_point, summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

use crate::build::{attributes, golden, text};

const TIME: u64 = 1_700_000_000_000_000_009;
const START: u64 = 1_700_000_000_000_000_000;

pub(crate) fn decode(read: &NativeRequest) -> Vec<ResourceMetrics> {
    ExportMetricsServiceRequest::decode(&read.request[..]).unwrap().resource_metrics
}

pub(crate) fn metrics(read: &NativeRequest) -> Vec<Metric> {
    let scopes = decode(read).into_iter().flat_map(|resource| resource.scope_metrics);
    scopes.flat_map(|scope| scope.metrics).collect()
}

fn envelope(metrics: Vec<Metric>) -> ResourceMetrics {
    ResourceMetrics {
        resource: Some(Resource {
            attributes: attributes(vec![("service.name", text("svc"))]),
            dropped_attributes_count: 2,
            ..Resource::default()
        }),
        scope_metrics: vec![ScopeMetrics {
            scope: Some(InstrumentationScope {
                name: "lib".into(),
                version: "1".into(),
                attributes: attributes(vec![("sa", Value::IntValue(1))]),
                dropped_attributes_count: 3,
            }),
            metrics,
            schema_url: "https://s".into(),
        }],
        schema_url: "https://r".into(),
    }
}

fn metric(name: &str, description: &str, unit: &str, data: Data) -> Metric {
    Metric {
        name: name.into(),
        description: description.into(),
        unit: unit.into(),
        data: Some(data),
        ..Metric::default()
    }
}

fn number(value: number_data_point::Value) -> NumberDataPoint {
    NumberDataPoint { time_unix_nano: TIME, value: Some(value), ..NumberDataPoint::default() }
}

fn gauge() -> Metric {
    let point = number(number_data_point::Value::AsDouble(1.25));
    metric("g", "", "", Data::Gauge(Gauge { data_points: vec![point] }))
}

fn summary(start: u64) -> Metric {
    let point = SummaryDataPoint {
        attributes: attributes(vec![("a", text("b"))]),
        start_time_unix_nano: start,
        time_unix_nano: TIME,
        count: 5,
        sum: f64::from_bits(4_616_752_568_008_179_712),
        quantile_values: vec![ValueAtQuantile { quantile: 0.5, value: 1.0 }],
        flags: 0,
    };
    metric("s", "", "", Data::Summary(Summary { data_points: vec![point] }))
}

fn histogram(start: u64, unit: &str, (min, max): (Option<f64>, Option<f64>)) -> Metric {
    let point = HistogramDataPoint {
        attributes: attributes(vec![("a", text("b"))]),
        start_time_unix_nano: start,
        time_unix_nano: TIME,
        count: 3,
        sum: Some(4.5),
        bucket_counts: vec![1, 1, 1],
        explicit_bounds: vec![1.0, 2.0],
        min,
        max,
        ..HistogramDataPoint::default()
    };
    let data = Histogram { data_points: vec![point], aggregation_temporality: 2 };
    metric("h", "", unit, Data::Histogram(data))
}

fn counter(point: NumberDataPoint, unit: &str) -> Metric {
    let attributes = attributes(vec![("a", text("x")), ("i", text("3"))]);
    let data_points = vec![NumberDataPoint { attributes, ..point }];
    let data = Sum { data_points, aggregation_temporality: 1, is_monotonic: true };
    metric("c", "d", unit, Data::Sum(data))
}

fn exponential() -> Metric {
    let point = ExponentialHistogramDataPoint {
        start_time_unix_nano: START,
        time_unix_nano: TIME,
        count: 5,
        sum: Some(f64::from_bits(4_616_752_568_008_179_712)),
        scale: 3,
        zero_count: 1,
        positive: Some(Buckets { offset: -2, bucket_counts: vec![1, 2] }),
        zero_threshold: 0.1,
        ..ExponentialHistogramDataPoint::default()
    };
    let data = ExponentialHistogram { data_points: vec![point], aggregation_temporality: 2 };
    metric("eh", "", "", Data::ExponentialHistogram(data))
}

#[test]
fn what_fluent_bit_4_wrote_is_read_to_the_last_field() {
    let counter = counter(number(number_data_point::Value::AsDouble(7.0)), "");
    let wanted = envelope(vec![counter, gauge(), summary(0), histogram(0, "", (None, None))]);
    for release in ["v4.0.14", "v4.2.8"] {
        let read = cmetrics_to_otlp(&golden(&format!("{release}_metrics_0")));
        assert_eq!(decode(&read), [wanted.clone(), wanted.clone()], "{release}");
        assert_eq!((read.items, read.contexts, read.skipped, read.reason), (8, 2, 0, None));
    }
}

#[test]
fn what_fluent_bit_5_wrote_is_read_to_the_last_field() {
    let exemplar = Exemplar {
        filtered_attributes: attributes(vec![("user", text("u"))]),
        time_unix_nano: 1_700_000_000_000_000_005,
        span_id: vec![2; 8],
        trace_id: vec![1; 16],
        value: Some(exemplar::Value::AsInt(3)),
    };
    let point = NumberDataPoint {
        start_time_unix_nano: START,
        exemplars: vec![exemplar],
        ..number(number_data_point::Value::AsInt(7))
    };
    let mut counter = counter(point, "By");
    counter.metadata = attributes(vec![("mk", text("mv"))]);
    let histogram = histogram(START, "s", (Some(0.5), Some(3.0)));
    let wanted = envelope(vec![counter, gauge(), summary(START), histogram, exponential()]);
    for name in ["v5.1.1_metrics_0", "v5.1.1_metrics_1"] {
        let read = cmetrics_to_otlp(&golden(name));
        assert_eq!(decode(&read), std::slice::from_ref(&wanted), "{name}");
        assert_eq!((read.items, read.contexts, read.skipped, read.reason), (5, 1, 0, None));
    }
}
