//! What goes from pages, and attributes of scopes.

use super::*;

/// Scenario: `otel_scope_info` before and after the points of its scope, for a scope by name alone, and for one that is not there.
/// Guarantees: its labels are attributes of the scope that has the name and the version, the scope's own labels win, and it is no metric.
#[test]
fn scope_info_has_attributes_of_scopes() {
    let text = "\
# TYPE otel_scope_info gauge
otel_scope_info{otel_scope_name=\"lib\",otel_scope_version=\"1\",team=\"a\",kind=\"info\"} 1
otel_scope_info{otel_scope_name=\"other\",team=\"b\"} 1
# TYPE a gauge
a{otel_scope_name=\"lib\",otel_scope_version=\"1\",otel_scope_kind=\"own\"} 1
a{otel_scope_name=\"lib\",otel_scope_version=\"2\"} 2
a{otel_scope_name=\"bare\"} 3
otel_scope_info{otel_scope_name=\"bare\",team=\"c\"} 1
";
    let (summary, resource) = read(text);
    assert_eq!((summary.samples, summary.malformed), (6, 0));
    let scopes = resource.scope_metrics.iter().map(|scope| {
        let metrics = &scope.metrics;
        assert!(metrics.iter().all(|metric| metric.name != "otel_scope_info"));
        let it = scope.scope.as_ref().unwrap();
        format!("{}/{}/{}", it.name, it.version, labels(&it.attributes))
    });
    let ours = format!("fluent-bit-ai/{}/", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        scopes.collect::<Vec<_>>(),
        [&*ours, "lib/1/kind=own,team=a", "lib/2/", "bare//team=c"]
    );
}

/// The points without value of a request, each with its scope and kind.
fn stale(request: &[u8]) -> Vec<String> {
    let request = ExportMetricsServiceRequest::decode(request).unwrap();
    let mut lines = Vec::new();
    let scopes = request.resource_metrics.iter().flat_map(|it| &it.scope_metrics);
    for (scope, metric) in scopes.flat_map(|it| it.metrics.iter().map(move |metric| (it, metric))) {
        let scope = &scope.scope.as_ref().unwrap().name;
        let mut line = |kind: &str, flags: u32, at: u64, start: u64, attributes: &[KeyValue]| {
            let labels = labels(attributes);
            let (start, at) = (time(start), time(at));
            lines.push(format!("{scope} {kind} {}{{{labels}}} {flags} {start}..{at}", metric.name));
        };
        match metric.data.as_ref().unwrap() {
            Data::Gauge(it) => it.data_points.iter().for_each(|it| {
                assert!(it.value.is_none());
                line("gauge", it.flags, it.time_unix_nano, it.start_time_unix_nano, &it.attributes);
            }),
            Data::Sum(it) => it.data_points.iter().for_each(|it| {
                assert!(it.value.is_none());
                line("sum", it.flags, it.time_unix_nano, it.start_time_unix_nano, &it.attributes);
            }),
            Data::Histogram(it) => it.data_points.iter().for_each(|it| {
                assert_eq!((it.count, it.bucket_counts.len(), it.sum), (0, 0, None));
                line(
                    "histogram",
                    it.flags,
                    it.time_unix_nano,
                    it.start_time_unix_nano,
                    &it.attributes,
                );
            }),
            Data::Summary(it) => it.data_points.iter().for_each(|it| {
                assert!(it.quantile_values.is_empty());
                line(
                    "summary",
                    it.flags,
                    it.time_unix_nano,
                    it.start_time_unix_nano,
                    &it.attributes,
                );
            }),
            other => panic!("{other:?}"),
        }
    }
    lines
}

/// Scenario: a page of every kind of series, a page on which some are missing, and a target that is not there, twice. Guarantees:
/// what went is told once, at the time of the page without it and with the start that it had, and what stays or says its time itself is not.
#[test]
fn series_that_go_are_told_once() {
    let whole = "\
# TYPE a gauge
a{x=\"1\"} 1
a{x=\"2\"} 2
# TYPE b_total counter
b_total{otel_scope_name=\"lib\"} 3
# TYPE h histogram
h_bucket{le=\"1\"} 1
h_bucket{le=\"+Inf\"} 1
h_sum 1
h_count 1
# TYPE s summary
s{quantile=\"0.5\"} 1
s_count 1
timed 1 1700000000000
";
    let part = "# TYPE a gauge\na{x=\"2\"} 2\n# TYPE b_total counter\nb_total{otel_scope_name=\"lib\"} 3\n";
    let (mut last, mut starts) = (LastPage::default(), StartTimes::default());
    let mut shown = |text: Option<&str>, seconds: u64| {
        let (mut request, mut out) = (Vec::new(), Vec::new());
        let unix_nanos = NOW + seconds * 1_000_000_000;
        match text {
            Some(text) => {
                let page = Page { unix_nanos, ..page(text) };
                page_to_otlp(&page, &PageTarget::default(), &mut starts, &mut request).unwrap();
            }
            None => unread_to_otlp(&PageTarget::default(), unix_nanos, 0.0, &mut request),
        }
        let count = last.replace(&request, unix_nanos, &mut out).unwrap();
        let lines = stale(&out);
        assert_eq!(count, lines.len());
        // Records take all of it, and give it back.
        let mut events = Vec::new();
        assert_eq!(metrics_to_records(&out, &mut events, NOW).unwrap().rejected, 0);
        lines
    };
    let nothing: [&str; 0] = [];
    assert_eq!(shown(Some(whole), 15), nothing);
    assert_eq!(shown(Some(whole), 30), nothing);
    assert_eq!(
        shown(Some(part), 45),
        [
            "fluent-bit-ai gauge a{x=1} 1 -..45",
            "fluent-bit-ai histogram h{} 1 15..45",
            "fluent-bit-ai summary s{} 1 15..45",
        ]
    );
    assert_eq!(
        shown(None, 60),
        [
            "fluent-bit-ai gauge a{x=2} 1 -..60",
            "fluent-bit-ai gauge scrape_samples_scraped{} 1 -..60",
            "lib sum b_total{} 1 15..60",
        ]
    );
    assert_eq!(shown(None, 75), nothing);
    assert_eq!(shown(Some(part), 90), nothing);
    assert_eq!(shown(Some(""), 105).len(), 2);
}
