//! Tests: pages and what comes of them.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::exemplar::Value as ExemplarValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Metric, NumberDataPoint, ResourceMetrics};
use proptest::prelude::*;
use prost::Message as _;

use super::{
    LastPage, Page, PageError, PageSummary, PageTarget, StartTimes, page_to_otlp, unread_to_otlp,
};
use crate::codec::records::metrics_to_records;

mod staleness;

const NOW: u64 = 1_700_000_000_000_000_000;

fn page(text: &str) -> Page<'_> {
    let is_open_metrics = text.ends_with("# EOF\n");
    Page { text, is_open_metrics, unix_nanos: NOW, seconds: 0.25, max_samples: 1_000_000 }
}

fn read_with(
    page: &Page<'_>,
    target: &PageTarget,
    starts: &mut StartTimes,
) -> Result<(PageSummary, ResourceMetrics), PageError> {
    let mut out = Vec::new();
    let summary = page_to_otlp(page, target, starts, &mut out)?;
    let mut request = ExportMetricsServiceRequest::decode(&*out).unwrap();
    assert_eq!(request.resource_metrics.len(), 1);
    // Records take all of it.
    let mut events = Vec::new();
    let transcoded = metrics_to_records(&out, &mut events, NOW).unwrap();
    assert_eq!(transcoded.rejected, 0);
    Ok((summary, request.resource_metrics.remove(0)))
}

fn read(text: &str) -> (PageSummary, ResourceMetrics) {
    read_with(&page(text), &PageTarget::default(), &mut StartTimes::default()).unwrap()
}

fn labels(attributes: &[KeyValue]) -> String {
    let pair = |pair: &KeyValue| {
        let Some(Value::StringValue(text)) = pair.value.clone().and_then(|it| it.value) else {
            panic!("{pair:?}")
        };
        format!("{}={text}", pair.key)
    };
    attributes.iter().map(pair).collect::<Vec<_>>().join(",")
}

/// A time as its distance from now in seconds.
fn time(nanos: u64) -> String {
    match nanos {
        0 => "-".to_owned(),
        nanos => ((nanos as f64 - NOW as f64) / 1e9).round().to_string(),
    }
}

fn exemplars(exemplars: &[Exemplar]) -> String {
    let one = |it: &Exemplar| {
        let Some(ExemplarValue::AsDouble(value)) = it.value else { panic!() };
        let (trace, span) = (it.trace_id.len(), it.span_id.len());
        format!(
            " !{value}@{}/{trace}/{span}/{}",
            time(it.time_unix_nano),
            labels(&it.filtered_attributes)
        )
    };
    exemplars.iter().map(one).collect()
}

fn numbers(name: &str, kind: &str, points: &[NumberDataPoint]) -> Vec<String> {
    let line = |point: &NumberDataPoint| {
        let Some(Number::AsDouble(value)) = point.value else { panic!() };
        let (start, end) = (time(point.start_time_unix_nano), time(point.time_unix_nano));
        let attributes = labels(&point.attributes);
        format!(
            "{kind} {name}{{{attributes}}} {value} {start}..{end}{}",
            exemplars(&point.exemplars)
        )
    };
    points.iter().map(line).collect()
}

fn lines(metric: &Metric) -> Vec<String> {
    let unit = if metric.unit.is_empty() { String::new() } else { format!("[{}]", metric.unit) };
    let name = format!("{}{unit}", metric.name);
    match metric.data.as_ref().unwrap() {
        Data::Gauge(gauge) => numbers(&name, "gauge", &gauge.data_points),
        Data::Sum(sum) => {
            assert_eq!(sum.aggregation_temporality, 2);
            numbers(&name, if sum.is_monotonic { "sum" } else { "updown" }, &sum.data_points)
        }
        Data::Histogram(histogram) => {
            assert_eq!(histogram.aggregation_temporality, 2);
            let points = histogram.data_points.iter().map(|point| {
                format!(
                    "histogram {name}{{{}}} {:?}/{:?} {}:{} {}..{}{}",
                    labels(&point.attributes),
                    point.bucket_counts,
                    point.explicit_bounds,
                    point.count,
                    point.sum.map_or("-".to_owned(), |sum| sum.to_string()),
                    time(point.start_time_unix_nano),
                    time(point.time_unix_nano),
                    exemplars(&point.exemplars)
                )
            });
            points.collect()
        }
        Data::Summary(summary) => {
            let points = summary.data_points.iter().map(|point| {
                let quantiles = point.quantile_values.iter().map(|it| (it.quantile, it.value));
                format!(
                    "summary {name}{{{}}} {:?} {}:{} {}..{}",
                    labels(&point.attributes),
                    quantiles.collect::<Vec<_>>(),
                    point.count,
                    point.sum,
                    time(point.start_time_unix_nano),
                    time(point.time_unix_nano)
                )
            });
            points.collect()
        }
        other @ Data::ExponentialHistogram(_) => panic!("{other:?}"),
    }
}

/// All points but those that tell of the scrape.
fn points(resource: &ResourceMetrics) -> Vec<String> {
    let metrics = resource.scope_metrics.iter().flat_map(|scope| &scope.metrics);
    let lines = metrics.flat_map(lines);
    lines
        .filter(|line| !line.starts_with("gauge scrape_") && !line.starts_with("gauge up"))
        .collect()
}

/// Scenario: a page of Prometheus' format with each of its types. Guarantees: each becomes what OpenTelemetry's
/// compatibility specification says, names and labels as they are.
#[test]
fn a_page_of_prometheus() {
    let text = "\
# HELP http_requests_total The total number of\\nrequests.
# TYPE http_requests_total counter
http_requests_total{method=\"post\",code=\"200\"} 1027 1699999990000
http_requests_total{method=\"post\",code=\"400\",empty=\"\"}    3 1699999990000

# Untyped and without metadata:
msdos_file_access_time_seconds{path=\"C:\\\\DIR\\\\\",error=\"no \\\"file\\\"\"} 1.5
metric_without_timestamp 12.47
something_weird{problem=\"division by zero\"} +Inf
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc NaN
# TYPE h histogram
h_bucket{le=\"1\",m=\"a\"} 2
h_bucket{le=\"0.5\",m=\"a\"} 1
h_bucket{le=\"+Inf\",m=\"a\"} 4
h_sum{m=\"a\"} 7.5
h_count{m=\"a\"} 4
h_bucket{le=\"+Inf\",m=\"b\"} 0
h_sum{m=\"b\"} 0
# TYPE s summary
s{quantile=\"0.5\"} 4773
s{quantile=\"0.99\"} 76656
s_sum 17560473
s_count 2693
";
    let (summary, resource) = read(text);
    assert_eq!((summary.samples, summary.malformed, summary.unsupported), (17, 0, 0));
    assert_eq!(
        points(&resource),
        [
            "sum http_requests_total{method=post,code=200} 1027 -10..-10",
            "sum http_requests_total{method=post,code=400} 3 -10..-10",
            "gauge msdos_file_access_time_seconds{path=C:\\DIR\\,error=no \"file\"} 1.5 -..0",
            "gauge metric_without_timestamp{} 12.47 -..0",
            "gauge something_weird{problem=division by zero} inf -..0",
            "gauge vllm:kv_cache_usage_perc{} NaN -..0",
            "histogram h{m=a} [1, 1, 2]/[0.5, 1.0] 4:7.5 0..0",
            "histogram h{m=b} [0]/[] 0:0 0..0",
            "summary s{} [(0.5, 4773.0), (0.99, 76656.0)] 2693:17560473 0..0",
        ]
    );
    let metrics = &resource.scope_metrics[0].metrics;
    assert_eq!(metrics[0].description, "The total number of\nrequests.");
    let scope = resource.scope_metrics[0].scope.as_ref().unwrap();
    assert_eq!(scope.name, "fluent-bit-ai");
}

/// Scenario: a page of OpenMetrics with each of its types. Guarantees: creation times are start times, units become
/// those of UCUM, exemplars have their ids, and what has no place is counted.
#[test]
fn a_page_of_openmetrics() {
    let text = "\
# TYPE foo_seconds counter
# UNIT foo_seconds seconds
foo_seconds_total{a=\"b\"} 17.0 1699999999 # {trace_id=\"0123456789abcdef0123456789abcdef\",span_id=\"0123456789abcdef\",user=\"x\"} 0.5 1699999990
foo_seconds_created{a=\"b\"} 1699999000.0
# TYPE bar histogram
bar_bucket{le=\"10.0\"} 3 # {trace_id=\"short\"} 9.5
bar_bucket{le=\"+Inf\"} 5
bar_count 5
bar_created 1699999900
# TYPE build info
build_info{version=\"1\"} 1
# TYPE state stateset
state{state=\"on\"} 1
state{state=\"off\"} 0
# TYPE gh gaugehistogram
gh_bucket{le=\"+Inf\"} 5
gh_gcount 5
gh_gsum 5
# TYPE u unknown
u 1
{\"quoted.name\",\"l.1\"=\"v\"} 2
# EOF
after 1
";
    let (summary, resource) = read(text.split_inclusive("# EOF\n").next().unwrap());
    assert_eq!((summary.samples, summary.malformed, summary.unsupported), (14, 0, 3));
    assert_eq!(
        points(&resource),
        [
            "sum foo_seconds_total[s]{a=b} 17 -1000..-1 !0.5@-10/16/8/user=x",
            "histogram bar{} [3, 2]/[10.0] 5:- -100..0 !9.5@0/0/0/trace_id=short",
            "updown build_info{version=1} 1 -..0",
            "updown state{state=on} 1 -..0",
            "updown state{state=off} 0 -..0",
            "gauge u{} 1 -..0",
            "gauge quoted.name{l.1=v} 2 -..0",
        ]
    );
}

/// Scenario: labels of scopes, and a target that says who it is. Guarantees: points are in their scopes, once each, and
/// what the page says of the target gives way to what is configured, and stands before what is not.
#[test]
fn scopes_and_the_target_are_told_by_labels() {
    let text = "\
# TYPE target_info gauge
target_info{job=\"other\",service_version=\"2\",host.x=\"y\"} 1
target_info{\"service.name\"=\"page\",service_version=\"3\",\"pinned\"=\"page\"} 1
a{otel_scope_name=\"lib\",otel_scope_version=\"1\",otel_scope_schema_url=\"u\",otel_scope_kind=\"k\",x=\"1\"} 1
a{x=\"2\"} 2
a{x=\"3\",otel_scope_kind=\"k\",otel_scope_schema_url=\"u\",otel_scope_version=\"1\",otel_scope_name=\"lib\"} 3
";
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let target = PageTarget {
        attributes: pairs(&[("pinned", "configured")]),
        defaults: pairs(&[("service.name", "job"), ("service.instance.id", "a:1")]),
    };
    let (summary, resource) = read_with(&page(text), &target, &mut StartTimes::default()).unwrap();
    // A bare name has no dot.
    assert_eq!((summary.samples, summary.malformed), (4, 1));
    assert_eq!(
        labels(&resource.resource.as_ref().unwrap().attributes),
        "pinned=configured,service.name=page,service_version=3,service.instance.id=a:1"
    );
    let scopes: Vec<_> = resource
        .scope_metrics
        .iter()
        .map(|scope| {
            let it = scope.scope.as_ref().unwrap();
            let lines: Vec<_> = scope.metrics.iter().flat_map(lines).collect();
            let own: Vec<_> =
                lines.into_iter().filter(|line| line.starts_with("gauge a")).collect();
            format!(
                "{} {} {} {} {own:?}",
                it.name,
                it.version,
                labels(&it.attributes),
                scope.schema_url
            )
        })
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        scopes,
        [
            format!("fluent-bit-ai {version}   [\"gauge a{{x=2}} 2 -..0\"]"),
            "lib 1 kind=k u [\"gauge a{x=1} 1 -..0\", \"gauge a{x=3} 3 -..0\"]".to_owned(),
        ]
    );
}

/// Scenario: pages of a server that starts anew between two of them. Guarantees: sums start where they were seen
/// first, and after a reset at the point before.
#[test]
fn starts_and_resets_over_pages() {
    let mut starts = StartTimes::default();
    let mut at = |second: u64, value: u64| {
        let text = format!(
            "# TYPE c counter\nc {value}\n# TYPE h histogram\nh_bucket{{le=\"+Inf\"}} {value}\nh_count {value}\n"
        );
        let unix_nanos = NOW + second * 1_000_000_000;
        let page = Page { unix_nanos, ..page(&text) };
        points(&read_with(&page, &PageTarget::default(), &mut starts).unwrap().1)
    };
    assert_eq!(at(0, 5), ["sum c{} 5 0..0", "histogram h{} [5]/[] 5:- 0..0"]);
    assert_eq!(at(15, 9), ["sum c{} 9 0..15", "histogram h{} [9]/[] 9:- 0..15"]);
    assert_eq!(at(30, 2), ["sum c{} 2 15..30", "histogram h{} [2]/[] 2:- 15..30"]);
    assert_eq!(at(45, 2), ["sum c{} 2 15..45", "histogram h{} [2]/[] 2:- 15..45"]);
}

/// Scenario: lines and points that are wrong, among right ones. Guarantees: they are counted, and cost nothing beside
/// them.
#[test]
fn what_is_wrong_is_left_out() {
    let text = "\
a 1
b{ 2
c one
# TYPE h histogram
h_bucket{le=\"1\"} 5
h_bucket{le=\"2\"} 4
h_bucket{le=\"+Inf\"} 6
# TYPE i histogram
i_bucket{x=\"no bound\"} 5
i_bucket{le=\"NaN\"} 5
i_sum 5
# TYPE j histogram
j_bucket{le=\"1\"} 1
j_bucket{le=\"1.0\"} 1
j_count 1
d 4
";
    let (summary, resource) = read(text);
    assert_eq!(points(&resource), ["gauge a{} 1 -..0", "gauge d{} 4 -..0"]);
    assert_eq!((summary.malformed, summary.unsupported), (4, 3));
    assert_eq!(summary.first_malformed, Some((2, "a name starts with a digit")));
}

#[test]
fn pages_that_are_none_are_refused_as_a_whole() {
    let mut starts = StartTimes::default();
    let mut error = |page: &Page<'_>| {
        let mut out = Vec::new();
        let error = page_to_otlp(page, &PageTarget::default(), &mut starts, &mut out).unwrap_err();
        assert!(out.is_empty());
        (error, starts.len())
    };
    let html = page("<html>\n<body>1</body>");
    assert_eq!(error(&html), (PageError::NotMetrics(1, "a name is missing"), 0));
    let many = Page {
        max_samples: 2,
        ..page("# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 1\na{x=\"3\"} 1\n")
    };
    assert_eq!(error(&many), (PageError::TooManySamples(2), 3));
    let cut = Page { is_open_metrics: true, ..page("# TYPE a counter\na_total 1\n") };
    assert_eq!(error(&cut), (PageError::Truncated, 1));
    assert_eq!(error(&cut).1, 1, "what was on other pages is forgotten");
}

#[test]
fn every_scrape_says_whether_it_was_one() {
    let (_, resource) = read("a 1\nb 2\n");
    let metrics = &resource.scope_metrics[0].metrics;
    let all: Vec<String> = metrics.iter().flat_map(lines).collect();
    assert_eq!(
        all[2..],
        [
            "gauge up[1]{} 1 -..0",
            "gauge scrape_duration_seconds[s]{} 0.25 -..0",
            "gauge scrape_samples_scraped{} 2 -..0"
        ]
    );
    let mut out = Vec::new();
    unread_to_otlp(&PageTarget::default(), NOW, 3.0, &mut out);
    let request = ExportMetricsServiceRequest::decode(&*out).unwrap();
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    let all: Vec<String> = metrics.iter().flat_map(lines).collect();
    assert_eq!(all, ["gauge up[1]{} 0 -..0", "gauge scrape_duration_seconds[s]{} 3 -..0"]);
    // An empty page is one too.
    assert_eq!(read("").0, PageSummary::default());
}

/// Scenario: the pages of model servers that the tests have. Guarantees: nothing of them is wrong or without a place.
#[test]
fn pages_of_model_servers_are_read_whole() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/model_servers");
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "prom") {
            let text = std::fs::read_to_string(&path).unwrap();
            let (summary, resource) = read(&text);
            assert_eq!((summary.malformed, summary.unsupported), (0, 0), "{}", path.display());
            let values = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
            assert_eq!(summary.samples, values.count(), "{}", path.display());
            assert!(!points(&resource).is_empty());
            count += 1;
        }
    }
    assert!(count >= 12);
}

/// Scenario: texts of some hundred kilobytes that are the worst for a reader that looks back or ahead. Guarantees: they are
/// read in a time that a quadratic reader does not reach by far.
#[test]
fn hostile_pages_take_linear_time() {
    let clock = std::time::Duration::from_secs(60);
    let start = crate::clock::now();
    for part in [
        "{",
        "\"",
        "a{b=\"",
        "a{b=\"\\\\\",",
        "a{a=\"b\",",
        "# HELP ",
        "\\",
        "a 1\n",
        "# TYPE a counter\n",
        "target_info{a=\"1\"} 1\n",
        "a{le=\"1\"} 1 # {a=\"b\"} 1\n",
    ] {
        let text = part.repeat(400_000 / part.len());
        let mut out = Vec::new();
        let _any = page_to_otlp(
            &page(&text),
            &PageTarget::default(),
            &mut StartTimes::default(),
            &mut out,
        );
    }
    let mut scopes = String::new();
    let mut buckets = String::from("# TYPE h histogram\n");
    for number in 0..20_000 {
        scopes.push_str(&format!(
            "a{{otel_scope_name=\"{number}\"}} 1\ntarget_info{{l{number}=\"x\"}} 1\n"
        ));
        buckets.push_str(&format!("h_bucket{{le=\"{}\"}} 1\n", 20_000 - number));
    }
    for text in [scopes, buckets] {
        read(&text);
    }
    assert!(crate::clock::now().since(start) < clock);
}

fn name() -> impl Strategy<Value = String> {
    "[a-z_:]{1,6}(_total|_bucket|_sum|_count|_created|_info)?"
}

fn text() -> impl Strategy<Value = String> {
    let sample =
        (name(), "[a-z]{1,3}|le|quantile|otel_scope_name", "[ -~]{0,6}|0\\.[0-9]", any::<f64>());
    let sample = sample.prop_map(|(name, label, value, number)| {
        format!("{name}{{{label}=\"{}\"}} {number}", value.replace(['\\', '"'], "x"))
    });
    let kind = "counter|gauge|histogram|summary|info|stateset|gaugehistogram|unknown";
    let metadata = (name(), kind).prop_map(|(name, kind)| format!("# TYPE {name} {kind}"));
    let rubbish = "[ -~\\n\\\\\"{}#=,]{0,30}";
    prop_oneof![4 => sample, 2 => metadata, 1 => rubbish]
}

/// The pages that were recorded or made of servers, up to 8 KiB of each.
fn recorded() -> &'static [Vec<u8>] {
    static PAGES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    PAGES.get_or_init(|| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/model_servers");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let pages = files.filter(|path| path.extension().is_some_and(|it| it == "prom"));
        let read = |path| {
            let mut page = std::fs::read(path).unwrap();
            page.truncate(8192);
            page
        };
        pages.map(read).collect()
    })
}

proptest! {
    /// Scenario: any bytes, and lines that are nearly right. Guarantees: no panic; what comes is a request that
    /// records take without a loss, and each sample of it is counted.
    #[test]
    fn any_page_is_read_or_refused(lines in prop::collection::vec(text(), 0..40), open: bool, any in ".{0,60}") {
        for text in [lines.join("\n"), any] {
            let page = Page { is_open_metrics: open, ..page(&text) };
            if let Ok((summary, _)) =
                read_with(&page, &PageTarget::default(), &mut StartTimes::default())
            {
                prop_assert!(summary.samples + summary.malformed <= text.lines().count() * 2);
            }
        }
    }

    #[test]
    fn any_bytes_are_no_page_or_one(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        super::fuzz_logic::pages(&bytes);
    }

    /// Scenario: recorded pages of servers with pieces taken out, doubled and put elsewhere. Guarantees: those of the fuzz target.
    #[test]
    fn any_change_of_a_recorded_page_is_survived(
        file in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_usize..40, text()), 1..8),
    ) {
        let mut page = file.get(recorded()).clone();
        for (at, from, length, more) in edits {
            let (at, from) = (at.index(page.len()), from.index(page.len()));
            let piece = page.get(from..(from + length).min(page.len())).unwrap_or_default().to_vec();
            let end = (at + length / 2).min(page.len());
            drop(page.splice(at..end, more.into_bytes().into_iter().chain(piece)));
        }
        super::fuzz_logic::pages(&page);
    }

    /// Scenario: series of counters in any order of labels, over pages. Guarantees: each is one point a page, by its
    /// value, and never starts after its time.
    #[test]
    fn each_series_is_one_point(values in prop::collection::vec((0_u8..6, 0_u32..100), 1..30)) {
        let mut starts = StartTimes::default();
        for turn in 0..3_u64 {
            let mut text = String::from("# TYPE c counter\n");
            let mut last = std::collections::BTreeMap::new();
            for (series, value) in &values {
                let labels = if value % 2 == 0 { "a=\"1\",b=\"2\"" } else { "b=\"2\",a=\"1\"" };
                text.push_str(&format!("c{{{labels},s=\"{series}\"}} {value}\n"));
                last.insert(*series, *value);
            }
            let page = Page { unix_nanos: NOW + turn, ..page(&text) };
            let (_, resource) = read_with(&page, &PageTarget::default(), &mut starts).unwrap();
            let Some(Data::Sum(sum)) = &resource.scope_metrics[0].metrics[0].data else { panic!() };
            prop_assert_eq!(sum.data_points.len(), last.len());
            prop_assert_eq!(starts.len(), last.len());
            for point in &sum.data_points {
                prop_assert!(point.start_time_unix_nano <= point.time_unix_nano);
                let total: f64 = match point.value { Some(Number::AsDouble(value)) => value, _ => panic!() };
                prop_assert!(last.values().any(|value| f64::from(*value) == total));
            }
        }
    }
}
