//! Metrics of model servers, as an endpoint gets them: `ai_emitter` scrapes their pages, in each of its forms; and what
//! comes and goes with a target.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
};
use prost::Message as _;
use testkit::pages::PageServer;
use tokio::task::block_in_place;

use crate::hosts::{RunningHost, free_port};
use crate::sink::{Keep, ReceivedRequests, Sink};
use crate::support::{Pipeline, all_hosts, linked, real_hosts, together};

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

/// What is telemetry of the scrape itself.
const OF_SCRAPE: [&str; 3] = ["up", "scrape_duration_seconds", "scrape_samples_scraped"];

fn resources(received: &ReceivedRequests) -> Vec<ResourceMetrics> {
    let requests = received.requests.get("/v1/metrics").into_iter().flatten();
    let requests = requests.map(|it| ExportMetricsServiceRequest::decode(it.clone()).unwrap());
    requests.flat_map(|it| it.resource_metrics).collect()
}

fn metrics(received: &ReceivedRequests) -> Vec<Metric> {
    let scopes = resources(received).into_iter().flat_map(|resource| resource.scope_metrics);
    scopes.flat_map(|scope| scope.metrics).collect()
}

fn arrived(received: &ReceivedRequests) -> BTreeSet<String> {
    let metrics = metrics(received).into_iter();
    metrics.filter(|it| !OF_SCRAPE.contains(&it.name.as_str())).flat_map(lines).collect()
}

/// Scenario: a host that scrapes the page of each server, as records or as its own metrics, and sends to an endpoint that wants the
/// names of the conventions and to one that does not. Guarantees: the one gets exactly what the page says, under these names, units
/// converted, and what is of no model server as it is; the other gets the names of the page.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn scraped_metrics_of_model_servers_get_the_names_of_the_conventions() {
    let _together = together();
    let plugins = linked();
    let pages = pages();
    let servers: Vec<(&String, PageServer)> = pages
        .iter()
        .map(|(name, (page, _))| (name, PageServer::start(Some(page.clone()))))
        .collect();
    let expected: BTreeSet<String> =
        pages.values().flat_map(|(_, expected)| expected).cloned().collect();
    for (host, form) in
        all_hosts().into_iter().flat_map(|it| [(it.clone(), "records"), (it, "native")])
    {
        let what = format!("{} ({form})", host.title());
        let sinks = [Sink::start(0, Keep::Requests).await, Sink::start(0, Keep::Requests).await];
        let http = free_port();
        let mut pipeline =
            Pipeline::default().otlp_in(http, 0).input(&["name: ai_emitter", "tag: scraped"]);
        for (name, server) in &servers {
            let option = format!("scrape.{name}");
            for line in [
                format!("{option}.url: http://127.0.0.1:{}/metrics", server.port),
                format!("{option}.emit_as: {form}"),
                format!("{option}.interval: 1s"),
            ] {
                pipeline = pipeline.input_option(&line);
            }
        }
        let pipeline = pipeline
            .otlp_out(&[
                ("ours", sinks[0].port, "http/protobuf"),
                ("theirs", sinks[1].port, "http/protobuf"),
            ])
            .output_option("endpoint.ours.server_metrics: current");
        let running =
            block_in_place(|| RunningHost::start(&host, &pipeline.yaml(plugins.path()), http));
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
        assert!(!log.contains("scrape '"), "{what}: {log}");
        let missing: Vec<_> = expected.difference(&all).collect();
        let more: Vec<_> = all.difference(&expected).collect();
        assert!(missing.is_empty() && more.is_empty(), "{what}: {missing:#?}, but {more:#?}");
        let theirs = arrived(&sinks[1].received.lock().unwrap());
        assert!(theirs.iter().any(|line| line.starts_with("vllm:")), "{what}: {theirs:?}");
        assert!(theirs.iter().all(|line| !line.contains("gen_ai.server.")), "{what}");
        println!("{what}: {} points of {} servers", all.len(), pages.len());
    }
}

/// The values of a metric, by when they came.
fn values(received: &ReceivedRequests, name: &str) -> Vec<f64> {
    let metrics = metrics(received).into_iter().filter(|metric| metric.name == name);
    let value = |metric: Metric| match metric.data {
        Some(Data::Gauge(gauge)) => match gauge.data_points[0].value {
            Some(Number::AsDouble(value)) => value,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    metrics.map(value).collect()
}

async fn until(what: &str, running: &RunningHost, is: impl Fn() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}\n{}", running.log_text());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What the target shows once it is there.
const PAGE: &str = "# TYPE vllm:requests_total counter\nvllm:requests_total{m=\"a\"} 5\nvllm:requests_total{m=\"b\"} 5\n";

/// Asserts that all metrics say which target they are of, and that sums began twice.
fn assert_of_target(received: &ReceivedRequests, port: u16, what: &str) {
    let wanted = [
        "k8s.pod.name=pod-1".to_owned(),
        "server.address=127.0.0.1".to_owned(),
        format!("server.port={port}"),
        format!("service.instance.id=127.0.0.1:{port}"),
        "service.name=vllm".to_owned(),
        "url.scheme=http".to_owned(),
    ];
    for resource in resources(received) {
        let pairs = resource.resource.unwrap().attributes;
        assert_eq!(labels(&pairs), wanted.join(","), "{what}");
    }
    let sums = metrics(received).into_iter().filter_map(|metric| match metric.data {
        Some(Data::Sum(sum)) => Some(sum.data_points),
        _ => None,
    });
    let starts: BTreeSet<u64> = sums.flatten().map(|it| it.start_time_unix_nano).collect();
    assert_eq!(starts.len(), 2, "{what}: one for each run");
}

/// Scenario: a target that is not there yet, comes, and is still there after a reload of the host. Guarantees: `up` says so, the
/// log once, the resource says where the page is from, sums keep their start and begin anew with the reload, and no
/// scrape of the old run is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_target_comes_late_and_stays_over_a_reload() {
    let _together = together();
    let plugins = linked();
    for host in real_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Requests).await;
        let server = PageServer::start(None);
        let http = free_port();
        let url = format!("scrape.vllm.url: http://127.0.0.1:{}/metrics", server.port);
        let pipeline = Pipeline::default()
            .service("hot_reload: on")
            .otlp_in(http, 0)
            .input(&[
                "name: ai_emitter",
                "tag: scraped",
                &url,
                "scrape.vllm.interval: 1s",
                "scrape.vllm.resource.k8s.pod.name: pod-1",
            ])
            .otlp_out(&[("sink", sink.port, "http/protobuf")]);
        let running =
            block_in_place(|| RunningHost::start(&host, &pipeline.yaml(plugins.path()), http));
        let up = || values(&sink.received.lock().unwrap(), "up");
        until("two failures", &running, || up().len() >= 2).await;
        assert!(up().iter().all(|up| *up == 0.0), "{what}: {:?}", up());
        server.show(Some(PAGE.to_owned()));
        until("it is up", &running, || up().contains(&1.0)).await;
        let pages = server.asked();
        tokio::time::sleep(Duration::from_millis(2500)).await;
        running.signal("HUP");
        tokio::time::sleep(Duration::from_secs(4)).await;
        let before = server.asked();
        tokio::time::sleep(Duration::from_secs(3)).await;
        let after = server.asked() - before;
        assert!(pages < before, "{what}");
        assert!((2..=4).contains(&after), "{what}: {after} scrapes in 3 s after a reload");
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        assert_eq!(log.matches("failed (status)").count(), 1, "{what}: {log}");
        assert_eq!(log.matches("the page is read again").count(), 1, "{what}: {log}");
        let received = sink.received.lock().unwrap();
        assert_of_target(&received, server.port, &what);
        println!("{what}: {} scrapes, up {:?}", server.asked(), values(&received, "up"));
    }
}
