//! Tests: pages, and what our own reader makes of them.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::exemplar::Value as ExemplarValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, ExponentialHistogram, Metric};
use proptest::prelude::*;
use prost::Message;

use super::tests::{attributes, histogram_metric, request, sum};
use super::*;
use crate::codec::prometheus::{Page, PageTarget, StartTimes, page_to_otlp};

const LARGEST: usize = 1 << 20;

fn page_of(request: &[u8], format: PageFormat, memory: &mut PageMemory) -> String {
    String::from_utf8(metrics_to_page(request, format, memory, LARGEST).unwrap()).unwrap()
}

fn fresh(request: &[u8], format: PageFormat) -> String {
    page_of(request, format, &mut PageMemory::default())
}

/// What our own reader makes of a page: the samples, each by its metric and labels, and its lines that are wrong.
fn read(text: &str, is_open_metrics: bool) -> Vec<Metric> {
    let page = Page {
        text,
        is_open_metrics,
        unix_nanos: 9_000_000_000,
        seconds: 0.0,
        max_samples: 100_000,
    };
    let (mut out, target) = (Vec::new(), PageTarget::default());
    let done = page_to_otlp(&page, &target, &mut StartTimes::default(), &mut out).unwrap();
    assert_eq!((done.malformed, done.unsupported), (0, 0), "{:?}\n{text}", done.first_malformed);
    let request = ExportMetricsServiceRequest::decode(&*out).unwrap();
    let scopes = request.resource_metrics.into_iter().flat_map(|it| it.scope_metrics);
    scopes.flat_map(|scope| scope.metrics).collect()
}

fn exemplar(value: f64, seconds: u64, id: u8) -> Exemplar {
    Exemplar {
        time_unix_nano: seconds * 1_000_000_000 + 7_000_000,
        value: Some(ExemplarValue::AsDouble(value)),
        trace_id: vec![id; 16],
        span_id: vec![id; 8],
        filtered_attributes: attributes(&[("long", &"x".repeat(500))]),
    }
}

fn with_exemplars(mut metric: Metric, exemplars: Vec<Exemplar>) -> Metric {
    match &mut metric.data {
        Some(Data::Histogram(it)) => it.data_points[0].exemplars = exemplars,
        Some(Data::Sum(it)) => it.data_points[0].exemplars = exemplars,
        other => panic!("{other:?}"),
    }
    metric
}

/// The same metric, whose points began then.
fn since(mut metric: Metric, unix_nanos: u64) -> Metric {
    match &mut metric.data {
        Some(Data::Histogram(it)) => it.data_points[0].start_time_unix_nano = unix_nanos,
        Some(Data::Sum(it)) => it.data_points[0].start_time_unix_nano = unix_nanos,
        other => panic!("{other:?}"),
    }
    metric
}

/// The same lines in the text format of Prometheus.
fn in_text_format(open_metrics: &[String]) -> Vec<String> {
    let is_in_both = |line: &&String| {
        !line.starts_with("# UNIT") && !line.starts_with("# EOF") && !line.contains("_created")
    };
    let lines = open_metrics.iter().filter(is_in_both).map(|line| {
        let line = line.split(" # {").next().unwrap();
        let line = line.replace("# TYPE target info", "# TYPE target_info gauge");
        let line = line.replace("# HELP target ", "# HELP target_info ");
        let line = line.replace("operation_count counter", "operation_count_total counter");
        if line.starts_with("# HELP") { line.replace("\\\"", "\"") } else { line }
    });
    lines.collect()
}

/// Scenario: a counter and a histogram with exemplars, one of which names no span, of a service that says more about itself, with
/// texts that need escapes. Guarantees: the pages are these, to the byte, in both formats.
#[test]
fn pages_are_written_by_both_formats() {
    let service = [("service.name", "shop"), ("service.instance.id", "1"), ("env", "a\"b\\c\nd")];
    let model = ("gen_ai.request.model", "a \"model\"\\\n");
    let nameless = Exemplar { trace_id: Vec::new(), ..exemplar(0.1, 9, 9) };
    let exemplars =
        vec![exemplar(0.2, 5, 1), exemplar(0.3, 6, 2), exemplar(0.25, 4, 3), exemplar(7.0, 7, 4)];
    let mut histogram = with_exemplars(histogram_metric(&[2, 0, 1], &[model]), exemplars);
    histogram = since(histogram, 3_000_000_000);
    histogram.description = "How \"long\"\\\nit took.".to_owned();
    let counter = with_exemplars(sum(3, &[]), vec![nameless, exemplar(1.0, 8, 5)]);
    let counter = since(counter, 2_500_999_999);
    let request = request(&[(&service, vec![histogram, counter])]);
    let labels = r#"gen_ai_request_model="a \"model\"\\\n",instance="1",job="shop""#;
    let ids = |id: u8| {
        let (trace, span) = (format!("{id:02x}").repeat(16), format!("{id:02x}").repeat(8));
        format!("# {{trace_id=\"{trace}\",span_id=\"{span}\"}}")
    };
    let duration = "gen_ai_client_operation_duration_seconds";
    let expected = [
        format!("# TYPE {duration} histogram"),
        format!("# UNIT {duration} seconds"),
        format!(r#"# HELP {duration} How \"long\"\\\nit took."#),
        format!("{duration}_bucket{{{labels},le=\"0.5\"}} 2.0 {} 0.3 6.007", ids(2)),
        format!("{duration}_bucket{{{labels},le=\"1.0\"}} 2.0"),
        format!("{duration}_bucket{{{labels},le=\"+Inf\"}} 3.0 {} 7.0 7.007", ids(4)),
        format!("{duration}_count{{{labels}}} 3.0"),
        format!("{duration}_sum{{{labels}}} 2.5"),
        format!("{duration}_created{{{labels}}} 3.000"),
        "# TYPE target info".to_owned(),
        "# HELP target Target metadata".to_owned(),
        r#"target_info{env="a\"b\\c\nd",instance="1",job="shop"} 1.0"#.to_owned(),
        "# TYPE gen_ai_client_operation_count counter".to_owned(),
        format!(
            "gen_ai_client_operation_count_total{{instance=\"1\",job=\"shop\"}} 3.0 {} 1.0 8.007",
            ids(5)
        ),
        r#"gen_ai_client_operation_count_created{instance="1",job="shop"} 2.500"#.to_owned(),
        "# EOF".to_owned(),
    ];
    let open_metrics = fresh(&request, PageFormat::OpenMetrics);
    assert_eq!(open_metrics.lines().collect::<Vec<_>>(), expected);
    let prometheus = fresh(&request, PageFormat::Prometheus);
    let expected = in_text_format(&expected);
    assert_eq!(prometheus.lines().collect::<Vec<_>>(), expected);
    // Names and values of an exemplar's labels have 128 characters at most.
    let longest = open_metrics.lines().filter_map(|line| line.split_once(" # {"));
    for (_, exemplar) in longest {
        assert!(exemplar.split_once('}').unwrap().0.chars().count() <= 128);
    }
    for (text, is_open_metrics) in [(&open_metrics, true), (&prometheus, false)] {
        let metrics = read(text, is_open_metrics);
        let found = metrics.iter().find(|metric| metric.name.starts_with(duration)).unwrap();
        let Some(Data::Histogram(data)) = &found.data else { panic!("{found:?}") };
        assert_eq!(data.data_points[0].bucket_counts, [2, 0, 1]);
        let start = data.data_points[0].start_time_unix_nano;
        assert!(!is_open_metrics || start == 3_000_000_000, "{start}");
        assert_eq!(data.data_points[0].exemplars.len(), if is_open_metrics { 2 } else { 0 });
    }
}

/// Guarantees: an empty page is one, deltas and exponential histograms are left out, and a page that would be too large is
/// none.
#[test]
fn what_has_no_place_is_left_out() {
    assert_eq!(fresh(&[], PageFormat::OpenMetrics), "# EOF\n");
    assert_eq!(fresh(&[], PageFormat::Prometheus), "");
    let mut delta = sum(1, &[]);
    if let Some(Data::Sum(data)) = &mut delta.data {
        data.aggregation_temporality = 1;
    }
    let data =
        ExponentialHistogram { data_points: vec![Default::default()], aggregation_temporality: 2 };
    let exponential = Metric {
        name: "h".to_owned(),
        data: Some(Data::ExponentialHistogram(data)),
        ..Metric::default()
    };
    let left_out = request(&[(&[], vec![delta, exponential])]);
    assert_eq!(fresh(&left_out, PageFormat::OpenMetrics), "# EOF\n");
    let large = request(&[(&[], vec![sum(1, &[])])]);
    let too_large = metrics_to_page(&large, PageFormat::Prometheus, &mut PageMemory::default(), 10);
    assert_eq!(too_large, Err(TooLarge(10)));
}

/// Scenario: histograms of one name with other bounds, of two services and of one. Guarantees: each series has its own buckets; one
/// whose points have different ones has those that came first.
#[test]
fn series_have_the_buckets_of_their_own() {
    let other = |counts: &[u64]| {
        let mut metric = histogram_metric(counts, &[]);
        if let Some(Data::Histogram(data)) = &mut metric.data {
            data.data_points[0].explicit_bounds = vec![0.25];
        }
        metric
    };
    let [a, b] = ["a", "b"].map(|name| [("service.name", name), ("service.instance.id", "1")]);
    let first = histogram_metric(&[1, 2, 3], &[]);
    let request =
        request(&[(&a, vec![first]), (&b, vec![other(&[4, 5])]), (&a, vec![other(&[6, 7])])]);
    let page = fresh(&request, PageFormat::Prometheus);
    let buckets: Vec<&str> =
        page.lines().filter_map(|line| line.split_once("_bucket")).map(|(_, rest)| rest).collect();
    let expected = [
        r#"{instance="1",job="a",le="0.5"} 1.0"#,
        r#"{instance="1",job="a",le="1.0"} 3.0"#,
        r#"{instance="1",job="a",le="+Inf"} 6.0"#,
        r#"{instance="1",job="b",le="0.25"} 4.0"#,
        r#"{instance="1",job="b",le="+Inf"} 9.0"#,
    ];
    assert_eq!(buckets, expected);
}

/// The value of a counter that two sources make, on a page of these: starts and values.
fn total(memory: &mut PageMemory, sources: &[(u64, i64)]) -> Option<f64> {
    let service = [("service.name", "a"), ("service.instance.id", "1")];
    let metrics = sources.iter().map(|(start, value)| {
        let mut metric = sum(*value, &[]);
        if let Some(Data::Sum(data)) = &mut metric.data {
            data.data_points[0].start_time_unix_nano = *start;
        }
        metric
    });
    let page = page_of(&request(&[(&service, metrics.collect())]), PageFormat::Prometheus, memory);
    let found: Vec<&str> = page.lines().filter(|line| line.contains("_total{")).collect();
    assert!(found.len() <= 1, "{page}");
    found.first().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

/// Scenario: a series of two sources, of which one ends, begins anew and ends again, while the other goes on; then
/// both end. Guarantees: the sum never falls and has all that was counted; a series that comes back counts from its start.
#[test]
fn a_sum_of_two_sources_never_falls() {
    let mut memory = PageMemory::default();
    for (sources, expected) in [
        (&[(1, 10)][..], Some(10.0)),
        (&[(1, 12), (2, 100)], Some(112.0)),
        (&[(1, 15)], Some(115.0)),
        (&[(1, 15)], Some(115.0)),
        (&[(3, 4), (1, 16)], Some(120.0)),
        (&[(1, 20)], Some(124.0)),
        (&[(9, 1)], Some(125.0)),
        (&[], None),
        (&[(10, 3)], Some(3.0)),
        (&[(11, 1)], Some(1.0)),
    ] {
        assert_eq!(total(&mut memory, sources), expected, "{sources:?}");
        // Another reader of the same page sees the same.
        assert_eq!(total(&mut memory, sources), expected, "{sources:?}");
    }
}

/// Scenario: a series of two sources, of which the older one ends. Guarantees: in OpenMetrics their sum began when the first of
/// them did, as long as it is there; a series without a start has none.
#[test]
fn a_sum_of_two_sources_began_with_the_first() {
    let mut memory = PageMemory::default();
    let second = 1_000_000_000;
    for (starts, expected) in [
        (&[5][..], Some("5.000")),
        (&[5, 3], Some("3.000")),
        (&[5], Some("3.000")),
        (&[], None),
        (&[5], Some("5.000")),
        (&[0], None),
    ] {
        let metrics = starts.iter().map(|start| since(sum(1, &[]), start * second)).collect();
        let page = page_of(&request(&[(&[], metrics)]), PageFormat::OpenMetrics, &mut memory);
        let created = page.lines().find_map(|line| line.split_once("_created "));
        assert_eq!(created.map(|(_, time)| time), expected, "{starts:?}: {page}");
    }
}

proptest! {
    /// Guarantees: whatever labels, units and descriptions say, each series is read as it was written.
    #[test]
    fn any_text_is_read_as_it_was_written(
        texts in prop::collection::btree_set("[ -~\\n\\\\\"{}#=,éß漢]{1,12}", 1..6),
        description in "[ -~\\n\\\\\"é]{0,20}",
        is_open_metrics in any::<bool>(),
    ) {
        let series = texts.iter().zip(1_i64..).map(|(text, value)| {
            let mut metric = sum(value, &[("gen_ai.request.model", text)]);
            metric.description.clone_from(&description);
            metric
        });
        let format = if is_open_metrics { PageFormat::OpenMetrics } else { PageFormat::Prometheus };
        let page = fresh(&request(&[(&[], series.collect())]), format);
        let mut found = BTreeMap::new();
        for metric in read(&page, is_open_metrics) {
            if !metric.name.starts_with("gen_ai_client_operation_count") {
                continue;
            }
            prop_assert_eq!(&metric.description, description.trim_start_matches([' ', '\t']));
            let Some(Data::Sum(data)) = metric.data else { panic!() };
            for point in data.data_points {
                found.insert(format!("{:?}", point.attributes), point.value);
            }
        }
        prop_assert_eq!(found.len(), texts.len(), "{}", page);
        for (text, value) in texts.iter().zip(1_u32..) {
            let labels = format!("{:?}", attributes(&[("gen_ai_request_model", text)]));
            let expected = opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::AsDouble(f64::from(value));
            prop_assert_eq!(&found[&labels], &Some(expected));
        }
    }
}
