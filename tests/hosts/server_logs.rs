//! Logs of model servers, read by Fluent Bit's input `tail` from files, as an endpoint gets what `ai_metrics` makes of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric, NumberDataPoint};
use prost::Message as _;
use tokio::task::block_in_place;

use crate::hosts::{RunningHost, free_port};
use crate::sink::{Keep, ReceivedRequests, Sink};
use crate::support::{Pipeline, linked, real_hosts, together};

/// The files with logs, and the points that are to come of them all.
fn logs() -> (Vec<PathBuf>, BTreeSet<String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/server_logs");
    let paths = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
    let logs: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|it| it == "log")).collect();
    assert!(logs.len() >= 7, "{logs:?}");
    let expected = logs.iter().map(|log| log.with_extension("expected"));
    let texts: Vec<String> = expected.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let lines = texts.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
    (logs, lines)
}

fn labels(attributes: &[KeyValue]) -> String {
    let pair = |pair: &KeyValue| {
        let Some(Value::StringValue(text)) = pair.value.clone().and_then(|it| it.value) else {
            panic!("{pair:?}")
        };
        format!("{}={text}", pair.key)
    };
    let mut labels: Vec<String> = attributes.iter().map(pair).collect();
    labels.sort();
    labels.join(",")
}

fn lines(metric: Metric) -> Vec<String> {
    let name = metric.name;
    let number = |point: &NumberDataPoint| {
        let value = match point.value {
            Some(Number::AsDouble(value)) => value.to_string(),
            Some(Number::AsInt(value)) => value.to_string(),
            None => String::new(),
        };
        format!("{name}{{{}}} {value}", labels(&point.attributes))
    };
    let histogram = |point: &HistogramDataPoint| {
        let sum = point.sum.unwrap();
        format!("{name}{{{}}} count={} sum={sum}", labels(&point.attributes), point.count)
    };
    match metric.data {
        Some(Data::Gauge(data)) => data.data_points.iter().map(number).collect(),
        Some(Data::Sum(data)) => data.data_points.iter().map(number).collect(),
        Some(Data::Histogram(data)) => data.data_points.iter().map(histogram).collect(),
        other => panic!("{name}: {other:?}"),
    }
}

/// The points that came, in any request.
fn points(received: &ReceivedRequests) -> BTreeSet<String> {
    let requests = received.requests.get("/v1/metrics").into_iter().flatten();
    let mut all = BTreeSet::new();
    for request in requests {
        let request = ExportMetricsServiceRequest::decode(request.clone()).unwrap();
        let scopes = request.resource_metrics.into_iter().flat_map(|it| it.scope_metrics);
        all.extend(scopes.flat_map(|scope| scope.metrics).flat_map(lines));
    }
    all
}

/// Scenario: the logs of seven servers in files, each read by an input `tail` of its own, without a parser. Guarantees: on every real
/// host an endpoint gets exactly the points that are reviewed beside the files, and the logs go on as they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn logs_of_servers_that_tail_reads_are_measured() {
    let _together = together();
    let plugins = linked();
    let (logs, expected) = logs();
    for host in real_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Requests).await;
        let http = free_port();
        let mut pipeline = Pipeline::default().otlp_in(http, 0);
        for log in &logs {
            let (path, tag) = (log.display(), log.file_stem().unwrap().to_string_lossy());
            let (path, tag) = (format!("path: {path}"), format!("tag: logs.{tag}"));
            pipeline = pipeline.input(&["name: tail", &path, &tag, "read_from_head: on"]);
        }
        let pipeline = pipeline
            .filter(&[
                "name: ai_metrics",
                "match: '*'",
                "interval: 2s",
                "cost: reported",
                "server_logs: on",
            ])
            .otlp_out(&[("sink", sink.port, "http/protobuf")]);
        let running =
            block_in_place(|| RunningHost::start(&host, &pipeline.yaml(plugins.path()), http));
        let start = Instant::now();
        while !points(&sink.received.lock().unwrap()).is_superset(&expected) {
            if start.elapsed() > Duration::from_secs(20) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        let received = sink.received.lock().unwrap();
        let all = points(&received);
        let missing: Vec<_> = expected.difference(&all).collect();
        assert!(missing.is_empty(), "{what}: {missing:#?} of {all:#?}");
        let names = |lines: &BTreeSet<String>| -> BTreeSet<String> {
            lines.iter().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
        };
        assert_eq!(names(&all), names(&expected), "{what}");
        assert!(received.requests.contains_key("/v1/logs"), "{what}");
        println!("{what}: {} points of {} logs", expected.len(), logs.len());
    }
}
