//! Property test strategies: generated OTLP messages with everything that is easy to lose.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, exemplar, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn text() -> BoxedStrategy<String> {
    prop_oneof![
        Just(String::new()),
        "[a-z._]{1,12}",
        "[ -~]{30,40}",
        "\\PC{0,6}",
        Just("é".repeat(130)),
        Just("log".to_owned()),
    ]
    .boxed()
}

fn number() -> BoxedStrategy<f64> {
    prop_oneof![
        any::<f64>(),
        Just(0.0),
        Just(-0.0),
        Just(f64::INFINITY),
        Just(5.0),
        // Equality of messages would not hold for NaN; a test of its own checks its bits.
    ]
    .boxed()
}

fn nanos() -> BoxedStrategy<u64> {
    prop_oneof![Just(0), Just(1_700_000_000_000_000_001), any::<u64>()].boxed()
}

fn small() -> BoxedStrategy<u32> {
    prop_oneof![Just(0), 1..300_u32, any::<u32>()].boxed()
}

/// Values nested three deep, of every kind.
fn value() -> BoxedStrategy<AnyValue> {
    let leaf = prop_oneof![
        text().prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        (-200..200_i64).prop_map(Value::IntValue),
        number().prop_map(Value::DoubleValue),
        vec(any::<u8>(), 0..20).prop_map(Value::BytesValue),
        any::<i32>().prop_map(Value::StringValueStrindex),
    ];
    let leaf = option::weighted(0.9, leaf).prop_map(|value| AnyValue { value });
    leaf.prop_recursive(3, 8, 3, |inner| {
        let pair = (text(), option::weighted(0.9, inner.clone()), strindex())
            .prop_map(|(key, value, key_strindex)| KeyValue { key, value, key_strindex });
        prop_oneof![
            vec(inner, 0..5).prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            vec(pair, 0..5).prop_map(|values| Value::KvlistValue(KeyValueList { values })),
        ]
        .prop_map(|value| AnyValue { value: Some(value) })
    })
    .boxed()
}

fn strindex() -> BoxedStrategy<i32> {
    prop_oneof![9 => Just(0), 1 => any::<i32>()].boxed()
}

fn attributes() -> BoxedStrategy<Vec<KeyValue>> {
    let pair = (text(), option::weighted(0.95, value()), strindex())
        .prop_map(|(key, value, key_strindex)| KeyValue { key, value, key_strindex });
    prop_oneof![8 => vec(pair.clone(), 0..3), 1 => vec(pair, 15..18)].boxed()
}

fn id(length: usize) -> BoxedStrategy<Vec<u8>> {
    prop_oneof![Just(Vec::new()), vec(any::<u8>(), length..=length), vec(any::<u8>(), 0..40),]
        .boxed()
}

fn valid_id(length: usize) -> BoxedStrategy<Vec<u8>> {
    vec(any::<u8>(), length..=length)
        .prop_filter("all zero", |id| id.iter().any(|byte| *byte != 0))
        .boxed()
}

fn resource() -> BoxedStrategy<Resource> {
    let keys = || vec(text(), 0..3);
    let entity = (text(), text(), keys(), keys()).prop_map(
        |(schema_url, r#type, id_keys, description_keys)| EntityRef {
            schema_url,
            r#type,
            id_keys,
            description_keys,
        },
    );
    (attributes(), small(), vec(entity, 0..2))
        .prop_map(|(attributes, dropped_attributes_count, entity_refs)| Resource {
            attributes,
            dropped_attributes_count,
            entity_refs,
        })
        .boxed()
}

fn scope() -> BoxedStrategy<InstrumentationScope> {
    (text(), text(), attributes(), small())
        .prop_map(|(name, version, attributes, dropped_attributes_count)| InstrumentationScope {
            name,
            version,
            attributes,
            dropped_attributes_count,
        })
        .boxed()
}

fn span() -> BoxedStrategy<Span> {
    let event = (nanos(), text(), attributes(), small()).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    );
    let link = (id(16), id(8), text(), attributes(), small(), small()).prop_map(
        |(trace_id, span_id, trace_state, attributes, dropped_attributes_count, flags)| Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count,
            flags,
        },
    );
    let code = prop_oneof![0..3_i32, any::<i32>()];
    let status = option::of((text(), code).prop_map(|(message, code)| Status { message, code }));
    let ids = (valid_id(16), valid_id(8), id(8));
    let head = (text(), small(), text(), prop_oneof![0..7_i32, any::<i32>()], nanos(), nanos());
    let lists = (attributes(), vec(event, 0..3), vec(link, 0..3), status);
    (ids, head, lists, (small(), small(), small()))
        .prop_map(|(ids, head, lists, dropped)| Span {
            trace_id: ids.0,
            span_id: ids.1,
            parent_span_id: ids.2,
            trace_state: head.0,
            flags: head.1,
            name: head.2,
            kind: head.3,
            start_time_unix_nano: head.4,
            end_time_unix_nano: head.5,
            attributes: lists.0,
            dropped_attributes_count: dropped.0,
            events: lists.1,
            dropped_events_count: dropped.1,
            links: lists.2,
            dropped_links_count: dropped.2,
            status: lists.3,
        })
        .boxed()
}

fn exemplars() -> BoxedStrategy<Vec<Exemplar>> {
    let value = prop_oneof![
        number().prop_map(exemplar::Value::AsDouble),
        any::<i64>().prop_map(exemplar::Value::AsInt),
    ];
    let exemplar = (attributes(), nanos(), id(8), id(16), option::of(value)).prop_map(
        |(filtered_attributes, time_unix_nano, span_id, trace_id, value)| Exemplar {
            filtered_attributes,
            time_unix_nano,
            span_id,
            trace_id,
            value,
        },
    );
    vec(exemplar, 0..2).boxed()
}

fn numbers() -> BoxedStrategy<Vec<NumberDataPoint>> {
    let value = prop_oneof![
        number().prop_map(number_data_point::Value::AsDouble),
        any::<i64>().prop_map(number_data_point::Value::AsInt),
    ];
    let point = (attributes(), nanos(), nanos(), exemplars(), small(), option::of(value)).prop_map(
        |(attributes, start_time_unix_nano, time_unix_nano, exemplars, flags, value)| {
            NumberDataPoint {
                attributes,
                start_time_unix_nano,
                time_unix_nano,
                exemplars,
                flags,
                value,
            }
        },
    );
    vec(point, 0..3).boxed()
}

type Stats = (Option<f64>, Option<f64>, Option<f64>);

fn stats() -> BoxedStrategy<Stats> {
    (option::of(number()), option::of(number()), option::of(number())).boxed()
}

fn histograms() -> BoxedStrategy<Vec<HistogramDataPoint>> {
    // Bounds ascend, and there is one bucket more, or there are neither.
    let bounds = vec(number(), 0..20).prop_map(|mut bounds| {
        bounds.sort_by(f64::total_cmp);
        bounds.dedup_by(|next, before| next <= before);
        bounds
    });
    let buckets = (vec(any::<u64>(), 21), bounds, prop::bool::weighted(0.1)).prop_map(
        |(mut counts, mut bounds, none)| {
            counts.truncate(if none { 0 } else { bounds.len() + 1 });
            bounds.truncate(counts.len());
            (counts, bounds)
        },
    );
    let head = (attributes(), nanos(), nanos(), any::<u64>());
    let point = (head, stats(), buckets, exemplars(), small()).prop_map(
        |(head, stats, buckets, exemplars, flags)| HistogramDataPoint {
            attributes: head.0,
            start_time_unix_nano: head.1,
            time_unix_nano: head.2,
            count: head.3,
            sum: stats.0,
            min: stats.1,
            max: stats.2,
            bucket_counts: buckets.0,
            explicit_bounds: buckets.1,
            exemplars,
            flags,
        },
    );
    vec(point, 0..3).boxed()
}

fn exponentials() -> BoxedStrategy<Vec<ExponentialHistogramDataPoint>> {
    let buckets = || {
        let counts = prop_oneof![vec(any::<u64>(), 0..5), vec(0..300_u64, 0..40)];
        option::of((any::<i32>(), counts)).prop_map(|buckets| {
            buckets.map(|(offset, counts)| Buckets { offset, bucket_counts: counts })
        })
    };
    let head = (attributes(), nanos(), nanos(), any::<u64>());
    let zero = (any::<i32>(), any::<u64>(), number());
    let point = (head, stats(), zero, (buckets(), buckets()), exemplars(), small()).prop_map(
        |(head, stats, zero, buckets, exemplars, flags)| ExponentialHistogramDataPoint {
            attributes: head.0,
            start_time_unix_nano: head.1,
            time_unix_nano: head.2,
            count: head.3,
            sum: stats.0,
            min: stats.1,
            max: stats.2,
            scale: zero.0,
            zero_count: zero.1,
            zero_threshold: zero.2,
            positive: buckets.0,
            negative: buckets.1,
            exemplars,
            flags,
        },
    );
    vec(point, 0..3).boxed()
}

fn summaries() -> BoxedStrategy<Vec<SummaryDataPoint>> {
    let quantile =
        (number(), number()).prop_map(|(quantile, value)| ValueAtQuantile { quantile, value });
    let head = (attributes(), nanos(), nanos(), any::<u64>());
    let point = (head, number(), vec(quantile, 0..4), small()).prop_map(
        |(head, sum, quantile_values, flags)| SummaryDataPoint {
            attributes: head.0,
            start_time_unix_nano: head.1,
            time_unix_nano: head.2,
            count: head.3,
            sum,
            quantile_values,
            flags,
        },
    );
    vec(point, 0..3).boxed()
}

fn metric() -> BoxedStrategy<Metric> {
    let temporality = || prop_oneof![0..3_i32, any::<i32>()];
    let data = prop_oneof![
        numbers().prop_map(|data_points| metric::Data::Gauge(Gauge { data_points })),
        (numbers(), temporality(), any::<bool>()).prop_map(
            |(data_points, aggregation_temporality, is_monotonic)| metric::Data::Sum(Sum {
                data_points,
                aggregation_temporality,
                is_monotonic
            })
        ),
        (histograms(), temporality()).prop_map(|(data_points, aggregation_temporality)| {
            metric::Data::Histogram(Histogram { data_points, aggregation_temporality })
        }),
        (exponentials(), temporality()).prop_map(|(data_points, aggregation_temporality)| {
            metric::Data::ExponentialHistogram(ExponentialHistogram {
                data_points,
                aggregation_temporality,
            })
        }),
        summaries().prop_map(|data_points| metric::Data::Summary(Summary { data_points })),
    ];
    (text(), text(), text(), attributes(), option::weighted(0.95, data))
        .prop_map(|(name, description, unit, metadata, data)| Metric {
            name,
            description,
            unit,
            metadata,
            data,
        })
        .boxed()
}

fn log() -> BoxedStrategy<LogRecord> {
    let head = (nanos(), nanos(), prop_oneof![0..25_i32, any::<i32>()], text());
    let ids = (small(), id(16), id(8), text());
    (head, option::weighted(0.9, value()), attributes(), small(), ids)
        .prop_map(|(head, body, attributes, dropped_attributes_count, ids)| LogRecord {
            time_unix_nano: head.0,
            observed_time_unix_nano: head.1,
            severity_number: head.2,
            severity_text: head.3,
            body,
            attributes,
            dropped_attributes_count,
            flags: ids.0,
            trace_id: ids.1,
            span_id: ids.2,
            event_name: ids.3,
        })
        .boxed()
}

/// Gives some envelopes the header of the one before them, which is easy to take for one envelope.
macro_rules! repeat_some {
    ($envelopes:expr, $repeat:expr, $header:ident) => {
        for (index, repeat) in $repeat.into_iter().enumerate() {
            if let (true, [.., _, _]) = (repeat, &$envelopes[..]) {
                let index = index % ($envelopes.len() - 1);
                $envelopes[index + 1].$header = $envelopes[index].$header.clone();
                $envelopes[index + 1].schema_url = $envelopes[index].schema_url.clone();
            }
        }
    };
}

fn repeats() -> impl Strategy<Value = [bool; 2]> {
    [prop::bool::weighted(0.4), prop::bool::weighted(0.2)]
}

/// Requests with up to three resources of up to three scopes of up to three spans.
pub(crate) fn traces() -> BoxedStrategy<ExportTraceServiceRequest> {
    let scope = (option::of(scope()), vec(span(), 0..4), text())
        .prop_map(|(scope, spans, schema_url)| ScopeSpans { scope, spans, schema_url });
    let resource = (option::of(resource()), vec(scope, 0..4), text(), repeats()).prop_map(
        |(resource, mut scope_spans, schema_url, repeats)| {
            repeat_some!(scope_spans, repeats, scope);
            ResourceSpans { resource, scope_spans, schema_url }
        },
    );
    (vec(resource, 0..4), repeats())
        .prop_map(|(mut resource_spans, repeats)| {
            repeat_some!(resource_spans, repeats, resource);
            ExportTraceServiceRequest { resource_spans }
        })
        .boxed()
}

/// The same for metrics.
pub(crate) fn metrics() -> BoxedStrategy<ExportMetricsServiceRequest> {
    let scope = (option::of(scope()), vec(metric(), 0..4), text())
        .prop_map(|(scope, metrics, schema_url)| ScopeMetrics { scope, metrics, schema_url });
    let resource = (option::of(resource()), vec(scope, 0..4), text(), repeats()).prop_map(
        |(resource, mut scope_metrics, schema_url, repeats)| {
            repeat_some!(scope_metrics, repeats, scope);
            ResourceMetrics { resource, scope_metrics, schema_url }
        },
    );
    (vec(resource, 0..4), repeats())
        .prop_map(|(mut resource_metrics, repeats)| {
            repeat_some!(resource_metrics, repeats, resource);
            ExportMetricsServiceRequest { resource_metrics }
        })
        .boxed()
}

/// The same for logs.
pub(crate) fn logs() -> BoxedStrategy<ExportLogsServiceRequest> {
    let scope = (option::of(scope()), vec(log(), 0..4), text())
        .prop_map(|(scope, log_records, schema_url)| ScopeLogs { scope, log_records, schema_url });
    let resource = (option::of(resource()), vec(scope, 0..4), text(), repeats()).prop_map(
        |(resource, mut scope_logs, schema_url, repeats)| {
            repeat_some!(scope_logs, repeats, scope);
            ResourceLogs { resource, scope_logs, schema_url }
        },
    );
    (vec(resource, 0..4), repeats())
        .prop_map(|(mut resource_logs, repeats)| {
            repeat_some!(resource_logs, repeats, resource);
            ExportLogsServiceRequest { resource_logs }
        })
        .boxed()
}
