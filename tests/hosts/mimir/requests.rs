//! Requests as Mimir reads them: remote write 1.0, and OTLP by the rules of OpenTelemetry for Prometheus.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::exemplar::Value as ExemplarValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint,
};
use prost::Message;

use super::limits::{IncomingSeries, Labels, Metadata, SeriesExemplar, Tenant};

/// `prometheus.WriteRequest`, as far as it is read here.
#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<MetricMetadata>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    exemplars: Vec<WrittenExemplar>,
    #[prost(message, repeated, tag = "4")]
    histograms: Vec<NativeHistogram>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct WrittenExemplar {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct NativeHistogram {
    #[prost(sint32, tag = "4")]
    schema: i32,
}

#[derive(Clone, PartialEq, Message)]
struct MetricMetadata {
    #[prost(string, tag = "2")]
    metric_family_name: String,
    #[prost(string, tag = "5")]
    unit: String,
}

fn labels(labels: Vec<Label>) -> Labels {
    // A label without a value is none.
    let pairs = labels.into_iter().map(|label| (label.name, label.value));
    pairs.filter(|(_, value)| !value.is_empty()).collect()
}

/// Takes a request of remote write, uncompressed.
pub fn write(tenant: &mut Tenant, body: &[u8], now: i64) {
    let Ok(request) = WriteRequest::decode(body) else {
        return tenant.refuse("not-a-write-request", body.len());
    };
    for series in request.timeseries {
        let exemplars = series.exemplars.into_iter().map(|it| (labels(it.labels), it.timestamp));
        let incoming = IncomingSeries {
            labels: labels(series.labels),
            samples: series.samples.iter().map(|it| (it.timestamp, it.value)).collect(),
            exemplars: exemplars.collect(),
            scales: series.histograms.iter().map(|it| it.schema).collect(),
        };
        tenant.take(incoming, now);
    }
    for metadata in request.metadata {
        tenant.describe(&Metadata { name: metadata.metric_family_name, unit: metadata.unit });
    }
}

fn sanitized(name: &str) -> String {
    let valid = |it: char| if it.is_ascii_alphanumeric() || it == '_' { it } else { '_' };
    name.chars().map(valid).collect()
}

fn pairs(attributes: &[KeyValue]) -> Labels {
    let text = |pair: &KeyValue| match pair.value.clone().and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    };
    attributes.iter().map(|pair| (sanitized(&pair.key), text(pair))).collect()
}

/// The labels that a resource gives to all series, and the labels of `target_info`.
fn target(resource: &[KeyValue]) -> (Labels, Labels) {
    let all = pairs(resource);
    let of = |name: &str| all.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone());
    let job = match (of("service_namespace"), of("service_name")) {
        (Some(namespace), Some(name)) => Some(format!("{namespace}/{name}")),
        (_, name) => name,
    };
    let named = [("job", job), ("instance", of("service_instance_id"))];
    let own: Labels =
        named.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?))).collect();
    let is_more = |name: &str| !name.starts_with("service_n") && name != "service_instance_id";
    let mut info: Labels = all.into_iter().filter(|(name, _)| is_more(name)).collect();
    info.extend(own.clone());
    info.push(("__name__".to_owned(), "target_info".to_owned()));
    (own, info)
}

fn exemplars(exemplars: &[Exemplar]) -> Vec<SeriesExemplar> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let of = |it: &Exemplar| {
        assert!(matches!(it.value, Some(ExemplarValue::AsDouble(_) | ExemplarValue::AsInt(_))));
        let ids = [("trace_id", hex(&it.trace_id)), ("span_id", hex(&it.span_id))];
        let mut labels: Labels = ids.map(|(name, id)| (name.to_owned(), id)).to_vec();
        labels.extend(pairs(&it.filtered_attributes));
        (labels, (it.time_unix_nano / 1_000_000).cast_signed())
    };
    exemplars.iter().map(of).collect()
}

/// Takes an OTLP request.
pub fn otlp(tenant: &mut Tenant, body: &[u8], now: i64) {
    let Ok(request) = ExportMetricsServiceRequest::decode(body) else {
        return tenant.refuse("not-otlp", body.len());
    };
    for of in request.resource_metrics {
        let (own, info) = target(&of.resource.unwrap_or_default().attributes);
        let mut latest = 0;
        for metric in of.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
            tenant.describe(&Metadata { name: metric.name.clone(), unit: metric.unit.clone() });
            for series in series(tenant, &own, metric) {
                latest = series.samples.iter().map(|(time, _)| *time).fold(latest, i64::max);
                tenant.take(series, now);
            }
        }
        if info.len() > own.len() + 1 && latest > 0 {
            let samples = vec![(latest, 1.0)];
            tenant.take(IncomingSeries { labels: info, samples, ..Default::default() }, now);
        }
    }
}

/// The name of a metric, and the labels that all its series have.
struct Family<'a> {
    name: String,
    own: &'a Labels,
}

impl Family<'_> {
    fn one(
        &self,
        (suffix, bound): (&str, &str),
        attributes: &[KeyValue],
        sample: Option<(u64, f64)>,
    ) -> IncomingSeries {
        let mut labels = pairs(attributes);
        labels.extend(self.own.clone());
        labels.push(("__name__".to_owned(), format!("{}{suffix}", self.name)));
        if !bound.is_empty() {
            labels.push(("le".to_owned(), bound.to_owned()));
        }
        let samples = sample.map(|(nanos, value)| ((nanos / 1_000_000).cast_signed(), value));
        IncomingSeries {
            labels,
            samples: samples.into_iter().collect(),
            ..IncomingSeries::default()
        }
    }

    fn number(&self, point: &NumberDataPoint) -> IncomingSeries {
        let value = match point.value {
            Some(Number::AsInt(value)) => value as f64,
            Some(Number::AsDouble(value)) => value,
            None => f64::NAN,
        };
        self.one(("_total", ""), &point.attributes, Some((point.time_unix_nano, value)))
    }

    fn histogram(&self, point: &HistogramDataPoint) -> Vec<IncomingSeries> {
        let one = |name: (&str, &str), value: f64| {
            self.one(name, &point.attributes, Some((point.time_unix_nano, value)))
        };
        let bounds = point.explicit_bounds.iter().map(f64::to_string);
        let (mut below, mut all) = (0, Vec::new());
        for (count, bound) in point.bucket_counts.iter().zip(bounds.chain(["+Inf".to_owned()])) {
            below += count;
            all.push(one(("_bucket", &bound), below as f64));
        }
        all.push(one(("_count", ""), point.count as f64));
        all.push(one(("_sum", ""), point.sum.unwrap_or(0.0)));
        let mut with_exemplars = self.one(("_bucket", "+Inf"), &point.attributes, None);
        with_exemplars.exemplars = exemplars(&point.exemplars);
        all.push(with_exemplars);
        all
    }

    fn exponential(&self, point: &ExponentialHistogramDataPoint) -> IncomingSeries {
        let sample = (point.time_unix_nano, point.count as f64);
        let one = self.one(("", ""), &point.attributes, Some(sample));
        // Finer ones are made coarser.
        let scales = vec![point.scale.min(8)];
        IncomingSeries { exemplars: exemplars(&point.exemplars), scales, ..one }
    }
}

/// The series of a metric.
fn series(tenant: &mut Tenant, own: &Labels, metric: Metric) -> Vec<IncomingSeries> {
    let family = Family { name: sanitized(&metric.name), own };
    let (temporality, series) = match metric.data {
        Some(Data::Sum(data)) => (
            data.aggregation_temporality,
            data.data_points.iter().map(|point| family.number(point)).collect(),
        ),
        Some(Data::Histogram(data)) => (
            data.aggregation_temporality,
            data.data_points.iter().flat_map(|point| family.histogram(point)).collect(),
        ),
        Some(Data::ExponentialHistogram(data)) => (
            data.aggregation_temporality,
            data.data_points.iter().map(|point| family.exponential(point)).collect(),
        ),
        _ => (0, Vec::new()),
    };
    if temporality != 2 {
        tenant.refuse("otlp-temporality", &family.name);
    }
    series
}
