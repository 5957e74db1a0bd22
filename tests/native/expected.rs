//! Reference model: what a request is after it went through the host's own form, by the table in
//! `docs/NATIVE.md`, written down a second time on decoded messages.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, HistogramDataPoint, Metric, NumberDataPoint, metric::Data, number_data_point,
};
use prost::Message as _;

type Release = (u32, u32, u32);

/// The numbers of a release, the last word of what a host is called.
pub(crate) fn release(text: &str) -> Release {
    let last = text.split_whitespace().last().unwrap_or_default();
    let numbers: Vec<u32> = last.split('.').filter_map(|part| part.parse().ok()).collect();
    (numbers[0], numbers[1], numbers[2])
}

fn clean(text: &mut String) {
    *text = text.replace('\0', "\u{fffd}");
}

/// Attributes, where values without content are empty text; returns how many are left out.
fn attributes(pairs: &mut Vec<KeyValue>) -> u32 {
    let before = pairs.len();
    pairs.retain(|pair| pair.key.len() <= 255);
    for pair in pairs.iter_mut() {
        clean(&mut pair.key);
        pair.key_strindex = 0;
        let mut value = pair.value.take().unwrap_or_default();
        any(&mut value);
        pair.value = Some(value);
    }
    u32::try_from(before - pairs.len()).unwrap()
}

fn any(value: &mut AnyValue) {
    match &mut value.value {
        None | Some(Value::StringValueStrindex(_)) => {
            value.value = Some(Value::StringValue(String::new()));
        }
        Some(Value::StringValue(text)) => clean(text),
        Some(Value::ArrayValue(list)) => list.values.iter_mut().for_each(any),
        Some(Value::KvlistValue(list)) => {
            attributes(&mut list.values);
        }
        _ => {}
    }
}

/// Every span with what is around it.
pub(crate) fn traces(mut request: ExportTraceServiceRequest, release: Release) -> Vec<String> {
    let mut flat = Vec::new();
    for outer in &mut request.resource_spans {
        let resource = outer.resource.get_or_insert_default();
        resource.entity_refs.clear();
        let lost = attributes(&mut resource.attributes);
        add(&mut resource.dropped_attributes_count, lost);
        for inner in &mut outer.scope_spans {
            if release < (3, 1, 9) {
                inner.scope.get_or_insert_default();
            }
            if let Some(scope) = &mut inner.scope {
                let lost = attributes(&mut scope.attributes);
                add(&mut scope.dropped_attributes_count, lost);
            }
            for span in &mut inner.spans {
                span.flags = 0;
                span.kind = span.kind.max(0);
                if let Some(status) = &mut span.status {
                    status.code = status.code.max(0);
                }
                span.status = span.status.take().filter(|status| *status != Default::default());
                let lost = attributes(&mut span.attributes);
                add(&mut span.dropped_attributes_count, lost);
                if release < (3, 2, 7) {
                    (span.dropped_events_count, span.dropped_links_count) = (0, 0);
                }
                for event in &mut span.events {
                    let lost = attributes(&mut event.attributes);
                    add(&mut event.dropped_attributes_count, lost);
                }
                for link in &mut span.links {
                    link.flags = 0;
                    let lost = attributes(&mut link.attributes);
                    add(&mut link.dropped_attributes_count, lost);
                }
                let (url, scope_url) = (&outer.schema_url, &inner.schema_url);
                flat.push(format!("{resource:?} {url} {:?} {scope_url} {span:?}", inner.scope));
            }
        }
    }
    flat
}

fn add(count: &mut u32, more: u32) {
    *count = count.saturating_add(more);
}

/// What was read back, in the same form.
pub(crate) fn flat_traces(request: &ExportTraceServiceRequest) -> Vec<String> {
    let mut flat = Vec::new();
    for outer in &request.resource_spans {
        for inner in &outer.scope_spans {
            for span in &inner.spans {
                let (url, scope_url) = (&outer.schema_url, &inner.schema_url);
                let resource = outer.resource.clone().unwrap_or_default();
                flat.push(format!("{resource:?} {url} {:?} {scope_url} {span:?}", inner.scope));
            }
        }
    }
    flat
}

/// Every data point with what is around it.
pub(crate) fn metrics(request: ExportMetricsServiceRequest, release: Release) -> Vec<String> {
    // What is sent has no negative zero where zero is the default.
    let mut request = ExportMetricsServiceRequest::decode(&request.encode_to_vec()[..]).unwrap();
    for outer in &mut request.resource_metrics {
        if let Some(resource) = &mut outer.resource {
            resource.entity_refs.clear();
            let lost = attributes(&mut resource.attributes);
            add(&mut resource.dropped_attributes_count, lost);
        }
        for inner in &mut outer.scope_metrics {
            if let Some(scope) = &mut inner.scope {
                let lost = attributes(&mut scope.attributes);
                add(&mut scope.dropped_attributes_count, lost);
            }
            inner.metrics.retain(|metric| !metric.name.is_empty());
            inner.metrics.iter_mut().for_each(|metric| expected_metric(metric, release));
        }
    }
    scopes(&mut request, release);
    flat_metrics(request)
}

/// The attributes of scopes, which some releases do not survive.
pub(crate) fn scopes(request: &mut ExportMetricsServiceRequest, release: Release) {
    let early = ((3, 1, 10)..(3, 2, 0)).contains(&release);
    if !early && !((4, 0, 1)..(5, 1, 0)).contains(&release) {
        return;
    }
    let outer = request.resource_metrics.iter_mut();
    for inner in outer.flat_map(|outer| outer.scope_metrics.iter_mut()) {
        if let Some(scope) = &mut inner.scope {
            let lost = u32::try_from(scope.attributes.drain(..).len()).unwrap();
            add(&mut scope.dropped_attributes_count, lost);
        }
    }
}

fn expected_metric(metric: &mut Metric, release: Release) {
    clean(&mut metric.name);
    clean(&mut metric.description);
    clean(&mut metric.unit);
    if metric.description == "-" {
        metric.description.clear();
    }
    attributes(&mut metric.metadata);
    match &mut metric.data {
        None => {}
        Some(Data::Gauge(gauge)) => numbers(&mut gauge.data_points, release),
        Some(Data::Sum(sum)) => {
            temporality(&mut sum.aggregation_temporality);
            numbers(&mut sum.data_points, release);
        }
        Some(Data::Histogram(histogram)) => {
            temporality(&mut histogram.aggregation_temporality);
            histogram.data_points.retain_mut(|point| {
                exemplars(&mut point.exemplars);
                labels(&mut point.attributes, release) && bounds(point)
            });
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            temporality(&mut histogram.aggregation_temporality);
            if release < (5, 0, 0) {
                histogram.data_points.clear();
            }
            histogram.data_points.retain_mut(|point| {
                exemplars(&mut point.exemplars);
                for side in [&mut point.positive, &mut point.negative] {
                    *side = side.take().filter(|buckets| *buckets != Buckets::default());
                }
                labels(&mut point.attributes, release)
            });
        }
        Some(Data::Summary(summary)) => {
            summary.data_points.retain_mut(|point| labels(&mut point.attributes, release));
        }
    }
}

fn temporality(value: &mut i32) {
    *value = if (0..=2).contains(value) { *value } else { 0 };
}

fn numbers(points: &mut Vec<NumberDataPoint>, release: Release) {
    points.retain_mut(|point| {
        (point.value.is_some() || point.flags & 1 == 1) && labels(&mut point.attributes, release)
    });
    for point in points {
        exemplars(&mut point.exemplars);
        if let Some(number_data_point::Value::AsInt(value)) = point.value
            && release < (5, 0, 0)
            && value.unsigned_abs() > 1 << 53
        {
            point.value = Some(number_data_point::Value::AsDouble(value as f64));
        }
    }
}

/// Whether a histogram can be there; infinite bounds at its end say nothing.
fn bounds(point: &mut HistogramDataPoint) -> bool {
    if point.bucket_counts.is_empty() && point.explicit_bounds.is_empty() {
        return true;
    }
    if point.bucket_counts.len() != point.explicit_bounds.len() + 1 {
        return false;
    }
    while point.explicit_bounds.last() == Some(&f64::INFINITY) {
        point.explicit_bounds.pop();
        let last = point.bucket_counts.pop().unwrap();
        let before = point.bucket_counts.last_mut().unwrap();
        *before = before.saturating_add(last);
    }
    true
}

fn exemplars(exemplars: &mut [Exemplar]) {
    for exemplar in exemplars {
        attributes(&mut exemplar.filtered_attributes);
    }
}

/// The attributes of a data point are text; returns whether the release takes texts that long.
fn labels(pairs: &mut Vec<KeyValue>, release: Release) -> bool {
    pairs.retain(|pair| !pair.key.is_empty());
    for pair in pairs.iter_mut() {
        clean(&mut pair.key);
        pair.key_strindex = 0;
        let value = pair.value.take().unwrap_or_default();
        let mut text = match json(&value) {
            serde_json::Value::String(text) => text,
            serde_json::Value::Null => String::new(),
            other => other.to_string(),
        };
        clean(&mut text);
        pair.value = Some(AnyValue { value: Some(Value::StringValue(text)) });
    }
    // The points of a metric share the order of their labels.
    pairs.sort_by(|left, right| left.key.cmp(&right.key));
    release >= (5, 1, 0) || pairs.iter().all(|pair| pair.key.len().max(text(pair).len()) <= 1024)
}

fn text(pair: &KeyValue) -> &str {
    match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text,
        other => unreachable!("a label is text: {other:?}"),
    }
}

fn json(value: &AnyValue) -> serde_json::Value {
    use base64::Engine as _;
    use serde_json::Value as Json;
    match &value.value {
        None | Some(Value::StringValueStrindex(_)) => Json::Null,
        Some(Value::StringValue(text)) => Json::from(text.as_str()),
        Some(Value::BoolValue(value)) => Json::from(*value),
        Some(Value::IntValue(value)) => Json::from(*value),
        Some(Value::DoubleValue(value)) if value.is_finite() => Json::from(*value),
        Some(Value::DoubleValue(value)) if value.is_nan() => Json::from("NaN"),
        Some(Value::DoubleValue(value)) if *value > 0.0 => Json::from("Infinity"),
        Some(Value::DoubleValue(_)) => Json::from("-Infinity"),
        Some(Value::BytesValue(bytes)) => {
            Json::from(base64::engine::general_purpose::STANDARD.encode(bytes))
        }
        Some(Value::ArrayValue(list)) => Json::Array(list.values.iter().map(json).collect()),
        Some(Value::KvlistValue(list)) => Json::Object(
            list.values
                .iter()
                .map(|pair| (pair.key.clone(), json(&pair.value.clone().unwrap_or_default())))
                .collect(),
        ),
    }
}

/// Every data point with what is around it, its attributes in the order of their keys.
pub(crate) fn flat_metrics(request: ExportMetricsServiceRequest) -> Vec<String> {
    let mut flat = Vec::new();
    for outer in request.resource_metrics {
        for inner in outer.scope_metrics {
            for mut metric in inner.metrics {
                let Some(data) = metric.data.take() else { continue };
                let around = format!(
                    "{:?} {} {:?} {} {metric:?}",
                    outer.resource, outer.schema_url, inner.scope, inner.schema_url
                );
                let mut push = |kind: String, point: String| {
                    flat.push(format!("{around} {kind} {point}"));
                };
                macro_rules! each {
                    ($data:ident, $kind:expr) => {
                        for mut point in $data.data_points {
                            point.attributes.sort_by(|left, right| left.key.cmp(&right.key));
                            push($kind, format!("{point:?}"));
                        }
                    };
                }
                match data {
                    Data::Gauge(gauge) => each!(gauge, "gauge".to_owned()),
                    Data::Sum(sum) => each!(
                        sum,
                        format!("sum {} {}", sum.is_monotonic, sum.aggregation_temporality)
                    ),
                    Data::Histogram(data) => {
                        each!(data, format!("histogram {}", data.aggregation_temporality));
                    }
                    Data::ExponentialHistogram(data) => {
                        each!(data, format!("exponential {}", data.aggregation_temporality));
                    }
                    Data::Summary(summary) => each!(summary, "summary".to_owned()),
                }
            }
        }
    }
    flat
}

/// Makes what the generator makes fit each other: histograms with as many bounds as they need,
/// points of one series at different times, names that may be keys.
pub(crate) fn sensible(mut request: ExportMetricsServiceRequest) -> ExportMetricsServiceRequest {
    let metrics = request.resource_metrics.iter_mut();
    let metrics = metrics.flat_map(|outer| outer.scope_metrics.iter_mut());
    for metric in metrics.flat_map(|inner| inner.metrics.iter_mut()) {
        metric.name = metric.name.chars().take(40).collect();
        macro_rules! times {
            ($data:ident) => {
                for (index, point) in $data.data_points.iter_mut().enumerate() {
                    point.time_unix_nano = (point.time_unix_nano & !0xff) | index as u64;
                }
            };
        }
        match &mut metric.data {
            None => {}
            Some(Data::Gauge(data)) => times!(data),
            Some(Data::Sum(data)) => times!(data),
            Some(Data::Histogram(data)) => {
                for point in &mut data.data_points {
                    let bounds = point.bucket_counts.len().saturating_sub(1);
                    point.explicit_bounds.resize(bounds, 7.5);
                }
                times!(data);
            }
            Some(Data::ExponentialHistogram(data)) => times!(data),
            Some(Data::Summary(data)) => times!(data),
        }
    }
    request
}
