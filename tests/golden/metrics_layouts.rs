use fluent_bit_ai::codec::fluentbit::cmetrics_to_otlp;
use opentelemetry_proto::tonic::metrics::v1::{
    HistogramDataPoint, Metric, NumberDataPoint, metric::Data, number_data_point::Value,
};

use crate::build::{Encoded, attributes, bin, f, list, map, n, nil, s, text, u, yes};
use crate::metrics::{decode, metrics};

/// A context of Fluent Bit's own metrics.
fn context(metrics: &[Encoded]) -> Encoded {
    let processing = map(&[("static_labels", list(&[]))]);
    let meta = [("cmetrics", map(&[])), ("external", map(&[])), ("processing", processing)];
    map(&[("meta", map(&meta)), ("metrics", list(metrics))])
}

/// A context with these `cmetrics` and `external` maps.
fn context_with(cmetrics: Encoded, external: Encoded, metrics: &[Encoded]) -> Encoded {
    let meta = map(&[("cmetrics", cmetrics), ("external", external)]);
    map(&[("meta", meta), ("metrics", list(metrics))])
}

fn from_otlp() -> Encoded {
    map(&[("producer", s("opentelemetry"))])
}

fn metric(kind: u64, name: &str, meta: &[(&str, Encoded)], values: &[Encoded]) -> Encoded {
    let opts = map(&[("ns", s("ns")), ("ss", s("")), ("name", s(name)), ("desc", s("-"))]);
    let mut all = vec![("ver", u(2)), ("type", u(kind)), ("opts", opts)];
    all.extend(meta.iter().cloned());
    map(&[("meta", map(&all)), ("values", list(values))])
}

fn value(pairs: &[(&str, Encoded)]) -> Encoded {
    let mut all = vec![("ts", u(9))];
    all.extend(pairs.iter().cloned());
    map(&all)
}

fn labels(names: &[&str]) -> (&'static str, Encoded) {
    ("labels", list(&names.iter().map(|name| s(name)).collect::<Vec<_>>()))
}

fn numbers(metric: &Metric) -> &[NumberDataPoint] {
    match metric.data.as_ref().unwrap() {
        Data::Gauge(gauge) => &gauge.data_points,
        Data::Sum(sum) => &sum.data_points,
        other => panic!("{other:?}"),
    }
}

fn histograms(metric: &Metric) -> (&[HistogramDataPoint], i32) {
    match metric.data.as_ref().unwrap() {
        Data::Histogram(data) => (&data.data_points, data.aggregation_temporality),
        other => panic!("{other:?}"),
    }
}

fn one(encoded: &[u8]) -> Metric {
    let read = cmetrics_to_otlp(encoded);
    assert_eq!((read.skipped, read.reason.clone()), (0, None));
    metrics(&read).remove(0)
}

#[test]
fn layout_3_0_fluent_bits_own_metrics_are_cumulative_and_without_resource() {
    let point = value(&[("value", f(2.0)), ("labels", list(&[s("x")])), ("hash", u(5))]);
    let unspecified = [labels(&["l"]), ("aggregation_type", u(0))];
    let counter = context(&[metric(0, "c", &unspecified, std::slice::from_ref(&point))]);
    let read = cmetrics_to_otlp(&counter);
    assert_eq!(decode(&read)[0].resource, None);
    let counter = one(&counter);
    assert_eq!((counter.name.as_str(), counter.description.as_str()), ("ns_c", "-"));
    let Some(Data::Sum(sum)) = &counter.data else { panic!("{counter:?}") };
    assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
    assert_eq!(sum.data_points[0].attributes, attributes(vec![("l", text("x"))]));
    let otlp = one(&context_with(from_otlp(), map(&[]), &[metric(0, "c", &unspecified, &[point])]));
    let Some(Data::Sum(sum)) = &otlp.data else { panic!("{otlp:?}") };
    assert_eq!((sum.aggregation_temporality, otlp.description.as_str()), (0, ""));
    let untyped = one(&context(&[metric(4, "u", &[], &[value(&[("value", f(1.0))])])]));
    assert!(matches!(untyped.data, Some(Data::Gauge(_))));
}

#[test]
fn layout_5_0_0_integers_and_start_times() {
    let points = [
        value(&[("start_ts", u(3)), ("value", f(7.0)), ("value_int64", n(-7))]),
        value(&[("value", f(7.0)), ("value_type", u(2)), ("value_uint64", u(8))]),
        value(&[("value_uint64", u(u64::MAX))]),
        value(&[("value", u(4))]),
    ];
    let gauge = one(&context(&[metric(1, "g", &[], &points)]));
    let values: Vec<_> = numbers(&gauge).iter().map(|point| point.value.unwrap()).collect();
    let wanted =
        [Value::AsInt(-7), Value::AsInt(8), Value::AsDouble(u64::MAX as f64), Value::AsDouble(4.0)];
    assert_eq!(values, wanted);
    assert_eq!(numbers(&gauge)[0].start_time_unix_nano, 3);
    let exp = map(&[("scale", n(-1)), ("count", u(2)), ("sum_set", u(0)), ("sum", u(0))]);
    let exp = one(&context(&[metric(5, "e", &[], &[value(&[("exp_histogram", exp)])])]));
    let Some(Data::ExponentialHistogram(data)) = &exp.data else { panic!("{exp:?}") };
    let point = &data.data_points[0];
    assert_eq!((point.scale, point.sum, point.count), (-1, None, 2));
    assert_eq!(data.aggregation_temporality, 2);
}

#[test]
fn layout_5_0_1_has_a_unit() {
    let opts = map(&[("unit", s("By")), ("name", s("g")), ("unknown", u(1))]);
    let meta = map(&[("opts", opts), ("type", u(1))]);
    let values = list(&[value(&[("value", f(0.0))])]);
    let gauge = one(&context(&[map(&[("values", values), ("meta", meta)])]));
    assert_eq!((gauge.name.as_str(), gauge.unit.as_str()), ("g", "By"));
    assert_eq!(numbers(&gauge)[0].value, Some(Value::AsDouble(0.0)));
}

#[test]
fn layout_5_0_5_labels_may_be_nil() {
    let point = |labels: &[Encoded]| value(&[("value", f(1.0)), ("labels", list(labels))]);
    let points = [point(&[nil(), s("2")]), point(&[s("1")]), point(&[s(""), s("2")])];
    let meta = [labels(&["a", "b"])];
    let own = one(&context(&[metric(1, "g", &meta, &points)]));
    let keys = |metric: &Metric| -> Vec<String> {
        let all = |point: &NumberDataPoint| {
            point.attributes.iter().map(|pair| pair.key.clone()).collect::<String>()
        };
        numbers(metric).iter().map(all).collect()
    };
    assert_eq!(keys(&own), ["b", "a", "b"]);
    let otlp = one(&context_with(from_otlp(), map(&[]), &[metric(1, "g", &meta, &points)]));
    assert_eq!(keys(&otlp), ["b", "a", "ab"]);
}

#[test]
fn layout_5_1_0_histograms_say_their_temporality() {
    let counts = list(&[u(1), u(2)]);
    let histogram = map(&[("buckets", counts), ("sum", f(4.0)), ("count", u(3))]);
    let points = [value(&[("histogram", histogram)])];
    for (stated, from, wanted) in [
        (Some(1), from_otlp(), 1),
        (Some(2), map(&[]), 2),
        (Some(0), from_otlp(), 0),
        (Some(0), map(&[]), 2),
        (None, from_otlp(), 2),
        (None, map(&[]), 2),
    ] {
        let mut meta = vec![("buckets", list(&[f(1.0)]))];
        meta.extend(stated.map(|stated| ("aggregation_type", u(stated))));
        let metric = one(&context_with(from, map(&[]), &[metric(2, "h", &meta, &points)]));
        assert_eq!(histograms(&metric).1, wanted, "{stated:?}");
    }
}

/// Counts per bucket, count and bounds as written, and the counts and bounds that are wanted.
type Case<'a> = (&'a [u64], u64, &'a [f64], &'a [u64], &'a [f64]);

#[test]
fn cumulative_buckets_become_counts_per_bucket() {
    let cases: [Case<'_>; 6] = [
        (&[1, 3, 6], 6, &[1.0, 2.0], &[1, 2, 3], &[1.0, 2.0]),
        (&[1, 2, 3], 6, &[1.0, 2.0], &[1, 2, 3], &[1.0, 2.0]),
        (&[0, 0, 5], 5, &[1.0, 2.0], &[0, 0, 5], &[1.0, 2.0]),
        (&[4, 4, 4], 4, &[1.0, 2.0], &[4, 0, 0], &[1.0, 2.0]),
        (&[1, 3, 6, 6], 6, &[1.0, 2.0, f64::INFINITY], &[1, 2, 3], &[1.0, 2.0]),
        (&[9], 9, &[], &[9], &[]),
    ];
    for (counts, count, bounds, wanted, wanted_bounds) in cases {
        let list_of =
            |counts: &[u64]| list(&counts.iter().map(|&count| u(count)).collect::<Vec<_>>());
        let histogram = map(&[("buckets", list_of(counts)), ("sum", f(1.0)), ("count", u(count))]);
        let bounds = list(&bounds.iter().map(|&bound| f(bound)).collect::<Vec<_>>());
        let points = [value(&[("histogram", histogram)])];
        let metric = one(&context(&[metric(2, "h", &[("buckets", bounds)], &points)]));
        let point = &histograms(&metric).0[0];
        assert_eq!((&point.bucket_counts[..], &point.explicit_bounds[..]), (wanted, wanted_bounds));
        assert_eq!(point.count, count);
    }
}

/// OTLP has counts per bucket alone: those that came in by it are not taken for cumulative ones,
/// whatever they and the count say, be it from the host's own input or from ours.
#[test]
fn buckets_that_came_in_by_otlp_are_left_as_they_are() {
    let side = || map(&[("otlp", map(&[("metrics", map(&[]))]))]);
    for (counts, count) in [([1, 3, 6], 6), ([1, 2, 3], 6), ([4, 4, 4], 4), ([0, 0, 5], 9)] {
        for (cmetrics, external) in [(from_otlp(), map(&[])), (map(&[]), side())] {
            let buckets = list(&counts.map(u));
            let histogram = map(&[("buckets", buckets), ("sum", f(1.0)), ("count", u(count))]);
            let points = [value(&[("histogram", histogram)])];
            let bounds = ("buckets", list(&[f(1.0), f(2.0)]));
            let metrics = [metric(2, "h", &[bounds], &points)];
            let metric = one(&context_with(cmetrics, external, &metrics));
            let point = &histograms(&metric).0[0];
            assert_eq!((&point.bucket_counts[..], point.count), (&counts[..], count));
        }
    }
}

#[test]
fn static_labels_are_on_every_point_unless_the_point_says_otherwise() {
    let pair = |key: &str, value: &str| list(&[s(key), s(value)]);
    let static_labels = list(&[pair("cluster", "c"), pair("l", "static"), u(1)]);
    let processing = map(&[("static_labels", static_labels)]);
    let points =
        [value(&[("value", f(1.0)), ("labels", list(&[s("own")]))]), value(&[("value", f(2.0))])];
    let metrics_list = list(&[metric(1, "g", &[labels(&["l"])], &points)]);
    let meta = map(&[("processing", processing)]);
    let read = cmetrics_to_otlp(&map(&[("metrics", metrics_list), ("meta", meta)]));
    let gauge = metrics(&read).remove(0);
    let own = attributes(vec![("l", text("own")), ("cluster", text("c"))]);
    let plain = attributes(vec![("cluster", text("c")), ("l", text("static"))]);
    assert_eq!(numbers(&gauge)[0].attributes, own);
    assert_eq!(numbers(&gauge)[1].attributes, plain);
    assert_eq!(read.skipped, 1);
}

/// `external.otlp` for the gauge `ns_g`.
fn side_channel(datapoints: &[(&str, Encoded)], metadata: &[(&str, Encoded)]) -> Encoded {
    let gauge = map(&[("datapoints", map(datapoints)), ("metadata", map(metadata))]);
    map(&[("metrics", map(&[("gauge", map(&[("ns_g", gauge)]))]))])
}

#[test]
fn the_side_channel_gives_points_what_the_format_has_not() {
    let extra = |case: &str, flags: u64| {
        map(&[
            ("start_time_unix_nano", u(4)),
            ("flags", u(flags)),
            ("number_value_case", s(case)),
            ("exemplars", list(&[map(&[("as_double", f(0.0)), ("span_id", bin(&[1]))]), u(1)])),
        ])
    };
    let datapoints = [("a0:9", extra("int", 1)), ("0:9", extra("int", 1)), ("x:9", u(1))];
    let external = map(&[("otlp", side_channel(&datapoints, &[]))]);
    let points = [
        value(&[("value", f(3.0)), ("hash", u(0xa0))]),
        value(&[("value", f(3.0)), ("hash", u(0xa0))]),
        value(&[]),
        value(&[("value", f(2.5)), ("hash", u(0xa0)), ("start_ts", u(6))]),
    ];
    let read = cmetrics_to_otlp(&context_with(map(&[]), external, &[metric(1, "g", &[], &points)]));
    let gauge = metrics(&read).remove(0);
    let points = numbers(&gauge);
    assert_eq!((points[0].value, points[0].start_time_unix_nano), (Some(Value::AsInt(3)), 4));
    assert_eq!((points[0].flags, points[0].exemplars.len()), (1, 1));
    // The second point with the same hash and time is another one.
    assert_eq!((points[1].value, points[1].flags), (Some(Value::AsDouble(3.0)), 0));
    assert_eq!((points[2].value, points[2].flags), (None, 1));
    assert_eq!(points[3].start_time_unix_nano, 6);
    // One exemplar each of the first and the third point is a number.
    assert_eq!((read.items, read.skipped), (4, 2));
}

#[test]
fn lists_of_resources_and_scopes_are_tolerated() {
    let name = |name: &str| map(&[("metadata", map(&[("name", s(name))]))]);
    let scope = |text: &str| map(&[("scope", name(text))]);
    let resource = |text: &str| map(&[("attributes", map(&[("r", s(text))]))]);
    let resources = list(&[
        map(&[("resource", resource("0")), ("scope", name("s0"))]),
        map(&[
            ("resource", resource("1")),
            ("scope_metrics_list", list(&[scope("s1"), scope("s2")])),
        ]),
    ]);
    let by_name = |name: &str, index: &[(&str, Encoded)]| {
        let mut metadata = index.to_vec();
        metadata.push(("own", yes()));
        (format!("ns_{name}"), map(&[("metadata", map(&metadata))]))
    };
    let entries = [
        by_name("flat", &[("scope_flat_index", u(2))]),
        by_name("nested", &[("resource_index", u(1)), ("scope_index", u(0))]),
        by_name("wrong", &[("scope_flat_index", u(99))]),
    ];
    let entries: Vec<_> = entries.iter().map(|(key, map)| (key.as_str(), map.clone())).collect();
    let otlp = map(&[("metrics", map(&[("gauge", map(&entries))]))]);
    let external = map(&[("resource_metrics_list", resources), ("otlp", otlp)]);
    let point = [value(&[("value", f(1.0))])];
    let gauges: Vec<_> =
        ["flat", "nested", "wrong", "none"].map(|name| metric(1, name, &[], &point)).into();
    let read = cmetrics_to_otlp(&context_with(from_otlp(), external, &gauges));
    let mut found = Vec::new();
    for resource in decode(&read) {
        for scope in resource.scope_metrics {
            for metric in scope.metrics {
                assert!(metric.metadata.iter().all(|pair| pair.key == "own"), "{metric:?}");
                found.push(format!("{} {}", scope.scope.as_ref().unwrap().name, metric.name));
            }
        }
    }
    assert_eq!(found, ["s0 ns_wrong", "s0 ns_none", "s1 ns_nested", "s2 ns_flat"]);
    assert_eq!((read.items, read.skipped), (4, 0));
}

#[test]
fn bad_points_metrics_and_contexts_cost_only_themselves() {
    let good = |name: &str| metric(1, name, &[], &[value(&[("value", f(1.0))])]);
    let cases = [
        (metric(1, "x", &[], &[value(&[("value", s("1"))])]), "values[0]: value is not a number"),
        (metric(1, "x", &[], &[map(&[("value", f(1.0))])]), "values[0]: ts is missing"),
        (metric(1, "x", &[], &[value(&[])]), "values[0]: value is missing"),
        (metric(1, "x", &[], &[u(1)]), "values[0]: is not a map"),
        (metric(2, "x", &[], &[value(&[("value", f(1.0))])]), "histogram is missing"),
        (metric(7, "x", &[], &[]), "meta.type is not 0 to 5"),
        (metric(0, "x", &[("aggregation_type", u(3))], &[]), "aggregation_type is not 0 to 2"),
        (metric(2, "x", &[("buckets", list(&[s("b")]))], &[]), "meta.buckets is not a number"),
        (map(&[("values", list(&[]))]), "meta is missing"),
        (map(&[("meta", map(&[("type", u(1))]))]), "meta.opts.name is missing"),
        (s("metric"), "meta is missing"),
    ];
    for (bad, reason) in cases {
        let read = cmetrics_to_otlp(&context(&[good("a"), bad, good("b")]));
        let names: Vec<_> = metrics(&read).into_iter().map(|metric| metric.name).collect();
        assert_eq!(names, ["ns_a", "ns_b"], "{reason}");
        assert_eq!((read.items, read.contexts, read.skipped), (2, 1, 1), "{reason}");
        let said = read.reason.unwrap();
        assert!(said.starts_with("context 0: metrics[1]") && said.contains(reason), "{said}");
    }
    for poison in [map(&[("metrics", u(1))]), map(&[("meta", map(&[]))]), list(&[]), u(0)] {
        let chunk = [context(&[good("a")]), poison, context(&[good("b")])].concat();
        let read = cmetrics_to_otlp(&chunk);
        assert_eq!((metrics(&read).len(), read.contexts, read.skipped), (2, 2, 1));
        assert!(read.reason.unwrap().starts_with("context 1: "));
    }
}

#[test]
fn misfits_keep_what_can_be_kept() {
    let labels_of = |labels: &[Encoded]| value(&[("value", f(1.0)), ("labels", list(labels))]);
    let point = labels_of(&[s("1"), s("2"), s("3")]);
    let read = cmetrics_to_otlp(&context(&[metric(1, "g", &[labels(&["a"])], &[point])]));
    assert_eq!(numbers(&metrics(&read)[0])[0].attributes, attributes(vec![("a", text("1"))]));
    assert_eq!((read.items, read.skipped), (1, 2));
    let histogram = map(&[("buckets", list(&[u(1)])), ("sum", f(2.0)), ("count", u(3))]);
    let bounds = [("buckets", list(&[f(1.0), f(2.0)]))];
    let points = [value(&[("histogram", histogram)])];
    let read = cmetrics_to_otlp(&context(&[metric(2, "h", &bounds, &points)]));
    let metric_read = metrics(&read).remove(0);
    let point = &histograms(&metric_read).0[0];
    assert_eq!((point.count, point.sum, point.bucket_counts.len()), (3, Some(2.0), 0));
    assert_eq!((read.items, read.skipped), (1, 1));
    let bits = |number: f64| u(number.to_bits());
    let summary = |set: u64| {
        map(&[
            ("quantiles_set", u(set)),
            ("quantiles", list(&[bits(1.5), bits(2.5)])),
            ("count", u(2)),
            ("sum", bits(4.0)),
        ])
    };
    let points = [value(&[("summary", summary(1))]), value(&[("summary", summary(0))])];
    let quantiles = [("quantiles", list(&[f(0.5)]))];
    let read = cmetrics_to_otlp(&context(&[metric(3, "s", &quantiles, &points)]));
    let metric_read = metrics(&read).remove(0);
    let Some(Data::Summary(data)) = metric_read.data else { panic!("{metric_read:?}") };
    assert_eq!((data.data_points[0].quantile_values[0].value, data.data_points[0].sum), (1.5, 4.0));
    assert_eq!(data.data_points[1].quantile_values, []);
    assert_eq!((read.items, read.skipped), (2, 1));
}

#[test]
fn metrics_without_points_and_long_names() {
    let name = "n".repeat(5_000);
    let long = metric(1, &name, &[], &[value(&[("value", f(1.0))])]);
    let read = cmetrics_to_otlp(&context(&[metric(0, "empty", &[], &[]), long]));
    assert_eq!(metrics(&read).len(), 1);
    assert_eq!(metrics(&read)[0].name, format!("ns_{name}"));
    let nothing = cmetrics_to_otlp(&context(&[metric(0, "empty", &[], &[])]));
    assert_eq!((nothing.request.len(), nothing.contexts, nothing.skipped), (0, 1, 0));
}
