//! Clocks that are wrong: what the host's own plugins make of records from after January 2038.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use crate::client::Client;
use crate::hosts::{RunningHost, free_port};
use crate::sink::{Keep, ReceivedRequests, Sink};
use crate::support::{Pipeline, linked, real_hosts, together};

/// A right one, the first second that 31 bits cannot say, one of 2040, one of 2106 that looks like
/// the mark of a group, the last one there is, and a right one.
const TIMES: [u64; 6] = [
    1_700_000_000_000_000_001,
    2_147_483_648_000_000_002,
    2_208_988_800_000_000_003,
    4_294_967_295_000_000_000,
    u64::MAX,
    1_700_000_000_000_000_004,
];

fn logs() -> Vec<u8> {
    let log = |time| LogRecord { time_unix_nano: time, ..LogRecord::default() };
    let inner = ScopeLogs { log_records: TIMES.map(log).to_vec(), ..ScopeLogs::default() };
    let outer = ResourceLogs { scope_logs: vec![inner], ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![outer] }.encode_to_vec()
}

fn spans() -> Vec<u8> {
    let span = |time| Span {
        trace_id: vec![7; 16],
        span_id: vec![9; 8],
        name: "span".to_owned(),
        start_time_unix_nano: time,
        end_time_unix_nano: time,
        ..Span::default()
    };
    let inner = ScopeSpans { spans: TIMES.map(span).to_vec(), ..ScopeSpans::default() };
    let outer = ResourceSpans { scope_spans: vec![inner], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![outer] }.encode_to_vec()
}

fn metrics() -> Vec<u8> {
    let metric = |time| {
        let point = NumberDataPoint { time_unix_nano: time, ..NumberDataPoint::default() };
        let data = Some(Data::Gauge(Gauge { data_points: vec![point] }));
        Metric { name: "queue".to_owned(), data, ..Metric::default() }
    };
    let inner = ScopeMetrics { metrics: TIMES.map(metric).to_vec(), ..ScopeMetrics::default() };
    let outer = ResourceMetrics { scope_metrics: vec![inner], ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![outer] }.encode_to_vec()
}

/// The times of all items of a signal, sorted.
fn times(received: &ReceivedRequests, path: &str) -> Vec<u64> {
    let mut times = Vec::new();
    for request in received.requests.get(path).into_iter().flatten() {
        let request = request.clone();
        match path {
            "/v1/logs" => {
                let request = ExportLogsServiceRequest::decode(request).unwrap();
                let inner = request.resource_logs.into_iter().flat_map(|outer| outer.scope_logs);
                times.extend(inner.flat_map(|inner| inner.log_records).map(|l| l.time_unix_nano));
            }
            "/v1/traces" => {
                let request = ExportTraceServiceRequest::decode(request).unwrap();
                let inner = request.resource_spans.into_iter().flat_map(|outer| outer.scope_spans);
                times.extend(inner.flat_map(|inner| inner.spans).map(|s| s.start_time_unix_nano));
            }
            _ => {
                let request = ExportMetricsServiceRequest::decode(request).unwrap();
                let inner = request.resource_metrics.into_iter().flat_map(|it| it.scope_metrics);
                let all = inner.flat_map(|inner| inner.metrics).filter_map(|metric| metric.data);
                times.extend(all.flat_map(|data| match data {
                    Data::Gauge(gauge) => gauge.data_points.into_iter().map(|p| p.time_unix_nano),
                    other => panic!("{other:?}"),
                }));
            }
        }
    }
    times.sort_unstable();
    times
}

/// Scenario: a request of each signal whose items have right times and wrong ones, through a filter
/// of the host that rebuilds each record. Guarantees: nothing is lost behind the wrong times,
/// neither in an output of the host nor in ours, which has the exact ones.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_behind_a_wrong_clock() {
    let _together = together();
    let plugins = linked();
    let mut right = TIMES;
    right.sort_unstable();
    for host in real_hosts() {
        let sink = Sink::start(0, Keep::Requests).await;
        let (http, grpc) = (free_port(), free_port());
        let pipeline = Pipeline::default()
            .otlp_in(http, grpc)
            .filter(&["name: modify", "match: '*'", "add: added by_modify"])
            .output(&["name: stdout", "match: '*'", "format: json_lines"])
            .otlp_out(&[("one", sink.port, "http/protobuf")]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        let mut client = Client::connect(http, false).await.unwrap();
        for (path, body) in
            [("/v1/logs", logs()), ("/v1/traces", spans()), ("/v1/metrics", metrics())]
        {
            client.send(path, "", body).await.unwrap();
        }
        sink.settle(0, Duration::from_secs(3), Duration::from_secs(15)).await;
        let (code, log) = running.stop();
        let title = host.title();
        assert_eq!(code, Some(0), "{title}: {log}");
        let received = sink.received.lock().unwrap();
        for path in ["/v1/logs", "/v1/traces", "/v1/metrics"] {
            assert_eq!(times(&received, path), right, "{title} {path}: {log}");
        }
        let printed = log.matches("by_modify").count();
        assert_eq!(printed, 3 * TIMES.len(), "{title}: {log}");
    }
}
