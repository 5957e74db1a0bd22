//! `tenants.yaml`: each tenant's telemetry under that tenant's header.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::{PATHS, Shipped, hosts, local, of_tenant, pair, send, stop, string, texts, until};
use crate::receiver::{Kept, Receiver};
use crate::support::{linked, together};

/// Tenants of the test; the empty one stands for items without the attribute.
const TENANTS: [&str; 4] = ["blue", "red", "banned", ""];
/// Requests of each signal, each with items of every tenant.
const REQUESTS: usize = 5;

/// The names of a tenant's items in a request.
fn names(path: &str, request: usize, tenant: &str) -> Vec<String> {
    (0..3).map(|item| format!("{path} {request} '{tenant}' {item}")).collect()
}

fn traces_of(request: usize) -> ExportTraceServiceRequest {
    let of = |tenant: &str| {
        let span = |name: String| Span {
            trace_id: vec![1 + request as u8; 16],
            span_id: vec![9; 8],
            name,
            ..Span::default()
        };
        let spans = names("/v1/traces", request, tenant).into_iter().map(span).collect();
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        ResourceSpans { resource: of_tenant(tenant), scope_spans, ..ResourceSpans::default() }
    };
    ExportTraceServiceRequest { resource_spans: TENANTS.map(of).to_vec() }
}

fn metrics_of(request: usize) -> ExportMetricsServiceRequest {
    let point = || NumberDataPoint {
        time_unix_nano: 1_700_000_000_000_000_000,
        value: Some(number_data_point::Value::AsInt(1)),
        ..NumberDataPoint::default()
    };
    let of = |tenant: &str| {
        let metric = |name: String| Metric {
            name,
            data: Some(Data::Gauge(Gauge { data_points: vec![point()] })),
            ..Metric::default()
        };
        let metrics = names("/v1/metrics", request, tenant).into_iter().map(metric).collect();
        let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
        ResourceMetrics { resource: of_tenant(tenant), scope_metrics, ..ResourceMetrics::default() }
    };
    ExportMetricsServiceRequest { resource_metrics: TENANTS.map(of).to_vec() }
}

fn logs_of(request: usize) -> ExportLogsServiceRequest {
    let of = |tenant: &str| {
        let log = |name: String| LogRecord {
            time_unix_nano: 1_700_000_000_000_000_000,
            body: string(name),
            ..LogRecord::default()
        };
        let log_records = names("/v1/logs", request, tenant).into_iter().map(log).collect();
        let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
        ResourceLogs { resource: of_tenant(tenant), scope_logs, ..ResourceLogs::default() }
    };
    ExportLogsServiceRequest { resource_logs: TENANTS.map(of).to_vec() }
}

/// The tenant and the names of the items of each resource of a request.
fn tenants_in(path: &str, message: &[u8]) -> Vec<(String, Vec<String>)> {
    let tenant = |resource: Option<&Resource>| {
        resource
            .map_or_else(String::new, |resource| texts(&resource.attributes, "tenant.id").concat())
    };
    match path {
        "/v1/traces" => {
            let resources = ExportTraceServiceRequest::decode(message).unwrap().resource_spans;
            let spans = |of: &ResourceSpans| -> Vec<Span> {
                of.scope_spans.iter().flat_map(|scope| scope.spans.clone()).collect()
            };
            let names = |of| spans(of).into_iter().map(|span| span.name).collect();
            resources.iter().map(|of| (tenant(of.resource.as_ref()), names(of))).collect()
        }
        "/v1/metrics" => {
            let resources = ExportMetricsServiceRequest::decode(message).unwrap().resource_metrics;
            let metrics = |of: &ResourceMetrics| -> Vec<Metric> {
                of.scope_metrics.iter().flat_map(|scope| scope.metrics.clone()).collect()
            };
            let names = |of| metrics(of).into_iter().map(|metric| metric.name).collect();
            resources.iter().map(|of| (tenant(of.resource.as_ref()), names(of))).collect()
        }
        _ => {
            let resources = ExportLogsServiceRequest::decode(message).unwrap().resource_logs;
            let logs = |of: &ResourceLogs| -> Vec<LogRecord> {
                of.scope_logs.iter().flat_map(|scope| scope.log_records.clone()).collect()
            };
            let name =
                |log: LogRecord| texts(&[KeyValue { value: log.body, ..pair("body", "") }], "body");
            let names = |of| logs(of).into_iter().flat_map(name).collect();
            resources.iter().map(|of| (tenant(of.resource.as_ref()), names(of))).collect()
        }
    }
}

/// What a tenant has, by path, sorted.
type Holdings = BTreeMap<(&'static str, String), Vec<String>>;

/// Puts the items of a request down; all of them are of one tenant.
fn hold(holdings: &mut Holdings, path: &'static str, message: &[u8], what: &str) -> String {
    let parts = tenants_in(path, message);
    let tenant = parts.first().map(|(tenant, _)| tenant.clone()).unwrap();
    for (other, names) in parts {
        assert_eq!(other, tenant, "{what}: a request of two tenants");
        holdings.entry((path, tenant.clone())).or_default().extend(names);
    }
    tenant
}

/// The dead letters of a file.
fn dead_letters(file: &Path, what: &str) -> Holdings {
    let mut holdings = Holdings::new();
    for line in std::fs::read_to_string(file).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["endpoint"], &line["reason"]), (&"tempo".into(), &"refused".into()));
        let path = PATHS.into_iter().find(|path| path.ends_with(line["signal"].as_str().unwrap()));
        let request = line["request_base64"].as_str().unwrap();
        let request = base64::engine::general_purpose::STANDARD.decode(request).unwrap();
        let tenant = hold(&mut holdings, path.unwrap(), &request, what);
        assert_eq!(tenant, "banned", "{what}: a dead letter of a tenant that was not refused");
    }
    holdings
}

/// Scenario: all signals of several tenants in common requests, through `tenants.yaml`; the backend
/// refuses one tenant. Guarantees: a request has one tenant's items and its header, those without a
/// tenant have the static one; each item comes once; what was refused is in the file of dead letters.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tenants_travel_under_their_own_header() {
    let _together = together();
    let plugins = linked();
    for host in hosts() {
        let what = host.title();
        let folder = tempfile::tempdir().unwrap();
        let letters = folder.path().join("letters.jsonl");
        let backend = Receiver::with(|headers| {
            headers.get("x-scope-orgid").is_some_and(|tenant| tenant == "banned")
        })
        .await;
        let addresses = [
            ("127.0.0.1:14318", local(backend.port)),
            ("/tmp/fluent-bit-ai-dead-letters.jsonl", letters.display().to_string()),
        ];
        let shipped = Shipped::new("tenants.yaml", plugins.path(), &addresses);
        let running = shipped.start(&host);
        for request in 0..REQUESTS {
            send(shipped.http, "/v1/traces", &traces_of(request)).await;
            send(shipped.http, "/v1/metrics", &metrics_of(request)).await;
            send(shipped.http, "/v1/logs", &logs_of(request)).await;
        }
        let here = |kept: &Kept| -> usize {
            tenants_in(kept.path, &kept.message).iter().map(|(_, names)| names.len()).sum()
        };
        let expected = PATHS.len() * REQUESTS * (TENANTS.len() - 1) * 3;
        until(&what, Duration::from_secs(20), &running, || {
            backend.kept().iter().map(here).sum::<usize>() >= expected
        })
        .await;
        let log = stop(running, &what).await;
        let mut holdings = dead_letters(&letters, &what);
        for kept in backend.kept() {
            let tenant = hold(&mut holdings, kept.path, &kept.message, &what);
            let header = if tenant.is_empty() { "shared" } else { &tenant };
            assert_eq!(kept.header("x-scope-orgid"), header, "{what}: {log}");
        }
        for path in PATHS {
            for tenant in TENANTS {
                let mut has = holdings.remove(&(path, tenant.to_owned())).unwrap_or_default();
                has.sort();
                let all = (0..REQUESTS).flat_map(|request| names(path, request, tenant));
                assert_eq!(has, all.collect::<Vec<_>>(), "{what}: {path} of '{tenant}'\n{log}");
            }
        }
        println!("{what}: {} requests, each of one tenant", backend.kept().len());
    }
}
