//! Metrics of model servers, as an endpoint gets them: those that a host's `prometheus_scrape` reads from their pages, and
//! those that come by OTLP, as of servers whose names have a colon, of which no Fluent Bit reads a page.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
    Sum,
};
use prost::Message as _;
use tokio::task::block_in_place;

use crate::client::Client;
use crate::hosts::{RunningHost, free_port};
use crate::sink::{Keep, ReceivedRequests, Sink};
use crate::support::{Pipeline, linked, real_hosts, together};

/// A sample of a page: its name, labels and value.
fn sample(line: &str) -> (&str, Vec<(&str, &str)>, f64) {
    let (head, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = head.trim_end_matches('}').split_once('{').unwrap_or((head, ""));
    let pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
    (
        name,
        pairs.map(|(key, value)| (key, value.trim_matches('"'))).collect(),
        value.parse().unwrap(),
    )
}

/// What a page says, as a request of OTLP. Its metrics have one point each.
fn request(page: &str) -> Vec<u8> {
    let mut metrics = Vec::new();
    for part in page.split("# HELP ").skip(1) {
        let mut lines = part.lines().skip(1);
        let (name, kind) = lines.next().unwrap()["# TYPE ".len()..].split_once(' ').unwrap();
        let samples: Vec<_> = lines.map(sample).collect();
        let pairs = samples[0].1.iter().filter(|(key, _)| *key != "le");
        let attributes: Vec<KeyValue> = pairs
            .map(|(key, value)| KeyValue {
                key: (*key).to_owned(),
                value: Some(AnyValue { value: Some(Value::StringValue((*value).to_owned())) }),
                ..KeyValue::default()
            })
            .collect();
        let time_unix_nano = 1_700_000_000_000_000_000;
        let number = NumberDataPoint {
            attributes: attributes.clone(),
            time_unix_nano,
            value: Some(Number::AsDouble(samples[0].2)),
            ..NumberDataPoint::default()
        };
        let data = match kind {
            "gauge" => Data::Gauge(Gauge { data_points: vec![number] }),
            "counter" => {
                let data_points = vec![number];
                Data::Sum(Sum { data_points, aggregation_temporality: 2, is_monotonic: true })
            }
            _ => {
                let (buckets, totals) = samples.split_at(samples.len() - 2);
                let counts: Vec<f64> = buckets.iter().map(|(_, _, count)| *count).collect();
                let below = std::iter::once(&0.0).chain(&counts);
                let bounds = buckets.iter().flat_map(|(_, labels, _)| labels);
                let bounds = bounds.filter(|(key, value)| *key == "le" && *value != "+Inf");
                let point = HistogramDataPoint {
                    attributes,
                    time_unix_nano,
                    sum: Some(totals[0].2),
                    count: totals[1].2 as u64,
                    bucket_counts: counts
                        .iter()
                        .zip(below)
                        .map(|(to, from)| (to - from) as u64)
                        .collect(),
                    explicit_bounds: bounds.map(|(_, value)| value.parse().unwrap()).collect(),
                    ..HistogramDataPoint::default()
                };
                Data::Histogram(Histogram { data_points: vec![point], aggregation_temporality: 2 })
            }
        };
        metrics.push(Metric { name: name.to_owned(), data: Some(data), ..Metric::default() });
    }
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

/// Whether `prometheus_scrape` reads a page.
fn is_read(page: &str) -> bool {
    !page.lines().any(|line| !line.starts_with('#') && line.contains(':'))
}

/// The pages, by the names of their servers, each with what is to arrive of it.
fn pages() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/model_servers");
    let mut pages = BTreeMap::new();
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "prom") {
            let expected = std::fs::read_to_string(path.with_extension("expected")).unwrap();
            let expected = expected.lines().map(str::to_owned).collect();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            pages.insert(name, (std::fs::read_to_string(&path).unwrap(), expected));
        }
    }
    assert!(pages.len() >= 12, "{:?}", pages.keys());
    pages
}

/// Answers every request with a page, until the process ends.
fn serve(page: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request = Vec::new();
            let mut part = [0; 4096];
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut part) {
                    Ok(length) if length > 0 => request.extend_from_slice(&part[..length]),
                    _ => break,
                }
            }
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close";
            let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{page}", page.len());
        }
    });
    port
}

fn number(point: &NumberDataPoint) -> String {
    match point.value {
        Some(Number::AsDouble(value)) => value.to_string(),
        Some(Number::AsInt(value)) => value.to_string(),
        None => String::new(),
    }
}

fn labels(attributes: &[KeyValue]) -> String {
    let mut labels: Vec<String> = attributes
        .iter()
        .map(|pair| {
            let Some(Value::StringValue(text)) = pair.value.clone().and_then(|it| it.value) else {
                panic!("{pair:?}")
            };
            format!("{}={text}", pair.key)
        })
        .collect();
    labels.sort();
    labels.join(",")
}

/// The points of a metric, a line each.
fn lines(metric: Metric) -> Vec<String> {
    let name = metric.name;
    let numbers = |points: Vec<NumberDataPoint>| -> Vec<String> {
        let line = |point: &NumberDataPoint| {
            format!("{name}{{{}}} {}", labels(&point.attributes), number(point))
        };
        points.iter().map(line).collect()
    };
    match metric.data {
        Some(Data::Gauge(data)) => numbers(data.data_points),
        Some(Data::Sum(data)) => numbers(data.data_points),
        Some(Data::Histogram(data)) => {
            let line = |point: &HistogramDataPoint| {
                let bounds: Vec<String> =
                    point.explicit_bounds.iter().map(ToString::to_string).collect();
                let (labels, bounds) = (labels(&point.attributes), bounds.join(","));
                let sum = point.sum.unwrap();
                format!("{name}{{{labels}}} count={} sum={sum} bounds={bounds}", point.count)
            };
            data.data_points.iter().map(line).collect()
        }
        other => panic!("{name}: {other:?}"),
    }
}

fn arrived(received: &ReceivedRequests) -> BTreeSet<String> {
    let requests = received.requests.get("/v1/metrics").into_iter().flatten();
    requests
        .flat_map(|it| ExportMetricsServiceRequest::decode(it.clone()).unwrap().resource_metrics)
        .flat_map(|resource| resource.scope_metrics)
        .flat_map(|scope| scope.metrics)
        .flat_map(lines)
        .collect()
}

/// Scenario: a host that scrapes the page of each server, or gets what it says by OTLP, and sends to an endpoint that wants the names of the
/// conventions and to one that does not. Guarantees: the one gets exactly what the page says, under these names, units
/// converted, and what is of no model server as it is; the other gets the names of the page.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn scraped_metrics_of_model_servers_get_the_names_of_the_conventions() {
    let _together = together();
    let plugins = linked();
    let pages = pages();
    let (scraped, sent): (Vec<&String>, Vec<&String>) =
        pages.values().map(|(page, _)| page).partition(|page| is_read(page));
    assert!(scraped.len() >= 9 && sent.len() >= 3);
    let ports: Vec<u16> = scraped.into_iter().map(|page| serve(page.clone())).collect();
    for host in real_hosts() {
        let what = host.title();
        let sinks = [Sink::start(0, Keep::Requests).await, Sink::start(0, Keep::Requests).await];
        let (http, grpc) = (free_port(), free_port());
        let mut pipeline = Pipeline::default().otlp_in(http, grpc);
        for port in &ports {
            let port = format!("port: {port}");
            let scrape = ["name: prometheus_scrape", "host: 127.0.0.1", "scrape_interval: 1s"];
            pipeline = pipeline.input(&[scrape[0], scrape[1], scrape[2], &port, "tag: scraped"]);
        }
        let pipeline = pipeline
            .otlp_out(&[
                ("ours", sinks[0].port, "http/protobuf"),
                ("theirs", sinks[1].port, "http/protobuf"),
            ])
            .output_option("endpoint.ours.server_metrics: current");
        let running =
            block_in_place(|| RunningHost::start(&host, &pipeline.yaml(plugins.path()), http));
        let mut client = Client::connect(http, false).await.unwrap();
        for page in &sent {
            client.send("/v1/metrics", "", request(page)).await.unwrap();
        }
        let expected: BTreeSet<String> =
            pages.values().flat_map(|(_, expected)| expected).cloned().collect();
        let start = Instant::now();
        let all = loop {
            let all = arrived(&sinks[0].received.lock().unwrap());
            if all.is_superset(&expected) || start.elapsed() > Duration::from_secs(15) {
                break all;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        let missing: Vec<_> = expected.difference(&all).collect();
        let more: Vec<_> = all.difference(&expected).collect();
        assert!(missing.is_empty() && more.is_empty(), "{what}: {missing:#?}, but {more:#?}");
        let theirs = arrived(&sinks[1].received.lock().unwrap());
        assert!(theirs.iter().any(|line| line.starts_with("vllm:")), "{what}: {theirs:?}");
        assert!(theirs.iter().all(|line| !line.contains("gen_ai.server.")), "{what}");
        println!("{what}: {} points of {} servers", all.len(), pages.len());
    }
}
