//! What `ai_metrics` makes for Prometheus, on the page of the host's own `prometheus_exporter`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use crate::client::Client;
use crate::hosts::{self, RunningHost, free_port};
use crate::support::{Pipeline, linked, real_hosts, together};

/// A page in the text format of Prometheus, version 0.0.4, read strictly.
#[derive(Debug, Default, PartialEq)]
pub struct Page {
    types: BTreeMap<String, String>,
    /// By name and labels.
    samples: BTreeMap<(String, BTreeMap<String, String>), f64>,
}

fn is_name(name: &str, with_colon: bool) -> bool {
    let is_letter =
        |letter: char| letter.is_ascii_alphabetic() || letter == '_' || with_colon && letter == ':';
    name.starts_with(is_letter)
        && name.chars().all(|letter| is_letter(letter) || letter.is_ascii_digit())
}

/// The labels between the braces; values are quoted, with `\\`, `\"` and `\n`.
fn labels(mut rest: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    while !rest.starts_with('}') {
        let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("no value: {rest}"));
        assert!(is_name(name, false), "label {name}");
        let (mut text, mut letters) = (String::new(), after.char_indices());
        let end = loop {
            match letters.next().unwrap_or_else(|| panic!("no end: {after}")) {
                (_, '\\') => match letters.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, letter @ ('\\' | '"'))) => text.push(letter),
                    other => panic!("escape {other:?}"),
                },
                (end, '"') => break end,
                (_, letter) => text.push(letter),
            }
        };
        if !text.is_empty() {
            assert_eq!(labels.insert(name.to_owned(), text), None, "{name} is there twice");
        }
        rest = &after[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    (labels, &rest[1..])
}

impl Page {
    /// Reads a page. Each family has one HELP and one TYPE, before its samples, which stand together.
    pub fn read(text: &str) -> Self {
        let (mut page, mut helped, mut done) = (Self::default(), BTreeSet::new(), BTreeSet::new());
        let mut family = String::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let name = help.split(' ').next().unwrap();
                assert!(helped.insert(name.to_owned()), "second HELP of {name}");
                continue;
            }
            if let Some((name, kind)) =
                line.strip_prefix("# TYPE ").and_then(|of| of.split_once(' '))
            {
                assert!(is_name(name, true), "metric {name}");
                assert!(page.types.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
                assert!(done.insert(std::mem::replace(&mut family, name.to_owned())), "{line}");
                continue;
            }
            let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no sample: {line}"));
            let (name, rest) = line.split_at(end);
            assert!(is_name(name, true), "metric {name}");
            let suffix = name.strip_prefix(family.as_str()).unwrap_or_else(|| panic!("{line}"));
            let suffixes: &[&str] = match page.types[&family].as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                "counter" | "gauge" => &[""],
                other => panic!("{family} is a {other}"),
            };
            assert!(suffixes.contains(&suffix), "{line} of {family}");
            let (labels, rest) = rest.strip_prefix('{').map_or((BTreeMap::new(), rest), labels);
            let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("{line}"));
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
            let again = page.samples.insert((name.to_owned(), labels), value);
            assert_eq!(again, None, "a second sample: {line}");
        }
        page.check();
        page
    }

    /// Counters say so in their name, and the buckets of histograms are cumulative up to `+Inf`.
    fn check(&self) {
        for (name, kind) in &self.types {
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
            if kind != "histogram" {
                continue;
            }
            let mut series: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
            for ((_, labels), count) in
                self.samples.iter().filter(|((of, _), _)| *of == format!("{name}_bucket"))
            {
                let mut labels = labels.clone();
                let bound = labels.remove("le").unwrap().parse().unwrap();
                series.entry(labels).or_default().push((bound, *count));
            }
            assert!(!series.is_empty(), "{name}");
            for (labels, mut buckets) in series {
                buckets.sort_by(|left, right| left.0.total_cmp(&right.0));
                assert!(buckets.is_sorted_by(|left, right| left.1 <= right.1), "{name} {labels:?}");
                let (bound, count) = *buckets.last().unwrap();
                assert_eq!(bound, f64::INFINITY, "{name} {labels:?}");
                assert_eq!(count, self.samples[&(format!("{name}_count"), labels.clone())]);
                assert!(self.samples.contains_key(&(format!("{name}_sum"), labels)));
            }
        }
    }

    /// The sum of the samples of this name that have these labels.
    pub fn sum(&self, name: &str, having: &[(&str, &str)]) -> f64 {
        let has = |labels: &BTreeMap<String, String>| {
            having.iter().all(|(key, text)| labels.get(*key).is_some_and(|own| own == text))
        };
        let samples = self.samples.iter().filter(|((of, labels), _)| of == name && has(labels));
        samples.map(|(_, value)| value).sum()
    }
}

fn pair(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn text(key: &str, text: &str) -> KeyValue {
    pair(key, Value::StringValue(text.to_owned()))
}

/// Calls of a service that took so many milliseconds each.
fn calls(first: u8, resource: Vec<KeyValue>, milliseconds: &[u64], error: &str) -> Vec<u8> {
    const TIME: u64 = 1_700_000_000_000_000_000;
    let span = |(number, length): (u8, &u64)| Span {
        trace_id: vec![number; 16],
        span_id: vec![number; 8],
        name: "chat".to_owned(),
        start_time_unix_nano: TIME,
        end_time_unix_nano: TIME + length * 1_000_000,
        attributes: [
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.request.model", "a \"model\"\\\n"),
            pair("gen_ai.usage.input_tokens", Value::IntValue(10)),
        ]
        .into_iter()
        .chain((!error.is_empty()).then(|| text("error.type", error)))
        .collect(),
        ..Span::default()
    };
    let spans = (first..).zip(milliseconds).map(span).collect();
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource = Some(Resource { attributes: resource, ..Resource::default() });
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// The page, once it has so many calls.
async fn page(port: u16, calls: f64, running: &RunningHost) -> Page {
    let start = Instant::now();
    loop {
        let text = hosts::http_get(port, "/metrics");
        let page = Page::read(&text);
        if page.sum("gen_ai_client_operation_count_total", &[]) == calls {
            return page;
        }
        let waited = start.elapsed();
        assert!(
            waited < testkit::at_most(Duration::from_secs(30)),
            "{text}\n{}",
            running.log_text()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Scenario: calls of two services, of which one has errors, and more of them later, at a host whose
/// `prometheus_exporter` shows what `ai_metrics` makes. Guarantees: at any time the page is one that a strict
/// reader takes, with the names, units and labels of the rules, cumulative buckets, and each service in
/// `job` and `instance`; what is new is on it, and nothing is missing or there twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_page_of_prometheus_exporter_is_right() {
    let _together = together();
    let plugins = linked();
    for host in real_hosts() {
        let what = host.title();
        let (http, exporter) = (free_port(), free_port());
        let port = format!("port: {exporter}");
        let pipeline = Pipeline::default()
            .otlp_in(http, 0)
            .filter(&[
                "name: ai_metrics",
                "match: 'ai*'",
                "interval: 1s",
                "emit_as: prometheus",
                "tag: prometheus",
            ])
            .output(&["name: prometheus_exporter", "match: prometheus", "host: 127.0.0.1", &port]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        let mut client = Client::connect(http, false).await.unwrap();
        let shop = || -> Vec<KeyValue> {
            let names = [("service.name", "shop"), ("service.namespace", "eu")];
            let more = [("service.instance.id", "shop-1"), ("deployment.environment.name", "prod")];
            names.into_iter().chain(more).map(|(key, value)| text(key, value)).collect()
        };
        let desk = || vec![text("service.name", "desk"), text("k8s.pod.name", "desk-0")];
        for request in [calls(1, shop(), &[15, 30, 700], ""), calls(5, desk(), &[2000], "timeout")]
        {
            client.send("/v1/traces", "", request).await.unwrap();
        }
        let first = page(exporter, 4.0, &running).await;
        client.send("/v1/traces", "", calls(9, shop(), &[100_000], "")).await.unwrap();
        let second = page(exporter, 5.0, &running).await;
        // The same again: nothing is there twice when an interval repeats it.
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert_eq!(page(exporter, 5.0, &running).await, second, "{what}");
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{what}: {log}");
        let duration = "gen_ai_client_operation_duration_seconds";
        let of_shop = [("job", "eu/shop"), ("instance", "shop-1")];
        let bucket = |page: &Page, bound| {
            page.sum(&format!("{duration}_bucket"), &[of_shop[0], of_shop[1], ("le", bound)])
        };
        for (page, bounds) in [
            (&first, [("0.01", 0.0), ("0.02", 1.0), ("0.04", 2.0), ("1.28", 3.0), ("+Inf", 3.0)]),
            (&second, [("0.01", 0.0), ("0.02", 1.0), ("0.04", 2.0), ("81.92", 3.0), ("+Inf", 4.0)]),
        ] {
            for (bound, count) in bounds {
                assert_eq!(bucket(page, bound), count, "{what}, {bound}");
            }
        }
        let sum = second.sum(&format!("{duration}_sum"), &of_shop);
        assert!((sum - 100.745).abs() < 1e-9, "{what}: {sum}");
        let failed = [
            ("job", "desk"),
            ("instance", "desk-0"),
            ("error_type", "timeout"),
            ("gen_ai_request_model", "a \"model\"\\\n"),
        ];
        assert_eq!(second.sum("gen_ai_client_operation_count_total", &failed), 1.0, "{what}");
        let tokens = second.sum("gen_ai_client_token_usage_sum", &[("gen_ai_token_type", "input")]);
        assert_eq!(tokens, 50.0, "{what}");
        let info = [of_shop[0], of_shop[1], ("deployment_environment_name", "prod")];
        assert_eq!(second.sum("target_info", &info), 1.0, "{what}");
        println!("{what}: {} samples", second.samples.len());
    }
}
