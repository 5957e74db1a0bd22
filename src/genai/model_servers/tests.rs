//! Metrics of model servers, as requests have them.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::exemplar::Value as ExemplarValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, Summary, SummaryDataPoint,
};
use prost::Message;

use super::*;

fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let value = |text: &str| Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) });
    let pair = |(key, text): &(&str, &str)| KeyValue {
        key: (*key).to_owned(),
        value: value(text),
        ..KeyValue::default()
    };
    pairs.iter().map(pair).collect()
}

fn number(value: Number, pairs: &[(&str, &str)]) -> NumberDataPoint {
    let exemplar = Exemplar { value: Some(ExemplarValue::AsInt(500)), ..Exemplar::default() };
    NumberDataPoint {
        attributes: attributes(pairs),
        time_unix_nano: 9,
        exemplars: vec![exemplar],
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

fn gauge(name: &str, value: Number, pairs: &[(&str, &str)]) -> Metric {
    let data = Data::Gauge(Gauge { data_points: vec![number(value, pairs)] });
    Metric {
        name: name.to_owned(),
        description: "what it is".to_owned(),
        unit: "MiBy".to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn histogram(name: &str, pairs: &[(&str, &str)]) -> Metric {
    let exemplar = Exemplar { value: Some(ExemplarValue::AsDouble(500.0)), ..Exemplar::default() };
    let point = HistogramDataPoint {
        attributes: attributes(pairs),
        count: 3,
        sum: Some(2500.0),
        min: Some(500.0),
        max: Some(1500.0),
        bucket_counts: vec![2, 1],
        explicit_bounds: vec![1000.0],
        exemplars: vec![exemplar],
        ..HistogramDataPoint::default()
    };
    let data = Histogram { data_points: vec![point], aggregation_temporality: 2 };
    Metric { name: name.to_owned(), data: Some(Data::Histogram(data)), ..Metric::default() }
}

fn request(metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

/// The metrics after mapping, if there is anything to map.
fn mapped(metrics: Vec<Metric>) -> Option<Vec<Metric>> {
    let mapped = map_server_metrics(&request(metrics).encode_to_vec())?;
    let mut request = ExportMetricsServiceRequest::decode(mapped.as_slice()).unwrap();
    Some(request.resource_metrics.remove(0).scope_metrics.remove(0).metrics)
}

/// Guarantees: a metric keeps all that it says, under another name, unit and names of labels; what is between is
/// left alone, and a request without any is not written anew.
#[test]
fn names_units_and_labels_become_the_conventions() {
    let labels = [("model_name", "llama"), ("engine", "0")];
    let other = gauge("process_open_fds", Number::AsDouble(7.0), &labels);
    let theirs = histogram("vllm:time_to_first_token_seconds", &labels);
    let all = mapped(vec![other.clone(), theirs.clone(), other.clone()]).unwrap();
    assert_eq!((&all[0], &all[2]), (&other, &other));
    let ours = [
        ("gen_ai.request.model", "llama"),
        ("engine", "0"),
        ("fluentbit.ai.server.engine", "vllm"),
    ];
    let mut expected = histogram("gen_ai.server.time_to_first_token", &ours);
    expected.unit = "s".to_owned();
    assert_eq!(all[1], expected);
    assert_eq!(mapped(vec![other]), None);
    assert_eq!(map_server_metrics(b"\xff"), None);
}

/// Guarantees: values in other units are converted, exemplars and bounds with them.
#[test]
fn values_are_converted() {
    let gpu = [("UUID", "GPU-1"), ("gpu", "0"), ("modelName", "H200")];
    let all = mapped(vec![
        gauge("DCGM_FI_DEV_FB_USED", Number::AsInt(3), &gpu),
        gauge("DCGM_FI_DEV_GPU_UTIL", Number::AsDouble(50.0), &gpu),
        histogram("nv_inference_first_response_histogram_ms", &[("model", "llama")]),
    ])
    .unwrap();
    let Some(Data::Gauge(memory)) = &all[0].data else { panic!("{all:?}") };
    let point = &memory.data_points[0];
    assert_eq!((all[0].name.as_str(), all[0].unit.as_str()), ("hw.gpu.memory.usage", "By"));
    assert_eq!(all[0].description, "what it is");
    assert_eq!(point.value, Some(Number::AsDouble(3.0 * 1_048_576.0)));
    assert_eq!(point.exemplars[0].value, Some(ExemplarValue::AsDouble(500.0 * 1_048_576.0)));
    let expected =
        [("hw.id", "GPU-1"), ("gpu", "0"), ("hw.model", "H200"), ("hw.vendor", "NVIDIA")];
    assert_eq!(point.attributes, attributes(&expected));
    let Some(Data::Gauge(used)) = &all[1].data else { panic!("{all:?}") };
    assert_eq!(used.data_points[0].value, Some(Number::AsDouble(0.5)));
    let Some(Data::Histogram(first)) = &all[2].data else { panic!("{all:?}") };
    let point = &first.data_points[0];
    assert_eq!((point.sum, point.min, point.max), (Some(2.5), Some(0.5), Some(1.5)));
    assert_eq!((point.count, &point.explicit_bounds[..]), (3, &[1.0][..]));
    assert_eq!(point.exemplars[0].value, Some(ExemplarValue::AsDouble(0.5)));
    // The quantiles of a summary in another unit are left as they are.
    let point = SummaryDataPoint { count: 1, sum: 5.0, ..SummaryDataPoint::default() };
    let summary = Metric {
        name: "nv_inference_first_response_histogram_ms".to_owned(),
        data: Some(Data::Summary(Summary { data_points: vec![point] })),
        ..Metric::default()
    };
    assert_eq!(mapped(vec![summary]), None);
}

/// Guarantees: what is told apart by an attribute gets it; of two labels of one meaning, and of one that is said under
/// its new name already, none is lost; names that others have count where points name a model.
#[test]
fn labels_are_not_lost() {
    let labels = [("model", "a"), ("model_name", "b"), ("err", "oom"), ("error.type", "own")];
    let all = mapped(vec![gauge("vllm:prompt_tokens", Number::AsInt(1), &labels)]).unwrap();
    let Some(Data::Gauge(tokens)) = &all[0].data else { panic!("{all:?}") };
    let expected = [
        ("gen_ai.request.model", "a"),
        ("model_name", "b"),
        ("err", "oom"),
        ("error.type", "own"),
        ("gen_ai.token.type", "input"),
        ("fluentbit.ai.server.engine", "vllm"),
    ];
    assert_eq!(tokens.data_points[0].attributes, attributes(&expected));
    let nim = |labels: &[_]| {
        let data_points = vec![number(Number::AsDouble(5.0), labels)];
        let sum = Sum { data_points, aggregation_temporality: 2, is_monotonic: true };
        let data = Some(Data::Sum(sum));
        mapped(vec![Metric { name: "prompt_tokens_total".to_owned(), data, ..Metric::default() }])
    };
    assert_eq!(nim(&[("user", "x")]), None);
    assert_eq!(nim(&[("model_name", "x")]).unwrap()[0].name, "fluentbit.ai.server.tokens");
}

/// Guarantees: no bytes make it panic.
#[test]
fn any_bytes_are_survived() {
    let whole = request(vec![
        gauge("DCGM_FI_DEV_FB_USED", Number::AsInt(3), &[("UUID", "1")]),
        histogram("nv_inference_first_response_histogram_ms", &[("model", "llama")]),
    ])
    .encode_to_vec();
    for cut in 0..whole.len() {
        drop(map_server_metrics(&whole[..cut]));
        for byte in [0, 0x7f, 0xff] {
            let mut broken = whole.clone();
            broken[cut] = byte;
            drop(map_server_metrics(&broken));
        }
    }
}
