//! The captured telemetry, item by item.

use std::collections::BTreeMap;
use std::path::Path;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::client::Client;
use crate::replay::{Captured, read_folder};

/// Every captured request.
pub fn all() -> Vec<Captured> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/genai");
    read_folder(&folder).into_iter().flat_map(|(_, captured)| captured).collect()
}

/// Sends them to a host.
pub async fn send(captured: &[Captured], port: u16) {
    let mut client = Client::connect(port, false).await.unwrap();
    for one in captured {
        client.send(&one.path, one.service(), one.body.clone()).await.expect("accepted");
    }
}

/// How often each item is there: its signal, and what it is, with its resource and scope.
pub type Items = BTreeMap<(&'static str, String), usize>;

fn add(
    items: &mut Items,
    signal: &'static str,
    resource: Option<&Resource>,
    scope: Option<&InstrumentationScope>,
    item: &impl std::fmt::Debug,
) {
    *items.entry((signal, format!("{item:?} of {scope:?} of {resource:?}"))).or_default() += 1;
}

/// Adds the items of a request to `items`.
pub fn collect(path: &str, body: &[u8], items: &mut Items) {
    match path {
        "/v1/traces" => {
            for outer in ExportTraceServiceRequest::decode(body).unwrap().resource_spans {
                for inner in &outer.scope_spans {
                    let (resource, scope) = (outer.resource.as_ref(), inner.scope.as_ref());
                    inner.spans.iter().for_each(|one| add(items, "spans", resource, scope, one));
                }
            }
        }
        "/v1/metrics" => {
            for outer in ExportMetricsServiceRequest::decode(body).unwrap().resource_metrics {
                for inner in &outer.scope_metrics {
                    let (resource, scope) = (outer.resource.as_ref(), inner.scope.as_ref());
                    let metrics = inner.metrics.iter();
                    metrics.for_each(|one| add(items, "metrics", resource, scope, one));
                }
            }
        }
        _ => {
            for outer in ExportLogsServiceRequest::decode(body).unwrap().resource_logs {
                for inner in &outer.scope_logs {
                    let (resource, scope) = (outer.resource.as_ref(), inner.scope.as_ref());
                    let logs = inner.log_records.iter();
                    logs.for_each(|one| add(items, "logs", resource, scope, one));
                }
            }
        }
    }
}

/// How many items of each signal there are.
pub fn by_signal(items: &Items) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for ((signal, _), count) in items {
        *counts.entry(*signal).or_default() += count;
    }
    counts
}
