//! Real captures: every request of every file comes back as it was.

use std::path::{Path, PathBuf};

use fluent_bit_ai::model::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::de::DeserializeOwned;

use crate::support::{to_records, to_request};

fn comes_back<M>(signal: Signal, body: serde_json::Value)
where
    M: Message + Default + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let request: M = serde_json::from_value(body).unwrap();
    let mut chunk = Vec::new();
    let done = to_records(signal, &request.encode_to_vec(), &mut chunk).unwrap();
    assert_eq!(done.rejected, 0, "{:?}", done.reason);
    let (encoded, items) = to_request(signal, &chunk);
    assert!(items > 0);
    assert_eq!(M::decode(encoded.as_slice()).unwrap(), request);
}

#[test]
fn every_capture_comes_back_as_it_was() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/genai");
    let folders = [folder.join("made"), folder];
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let files = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let files: Vec<PathBuf> = files.collect();
    assert!(files.len() > 4, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.trim().is_empty(), "{}", file.display());
        for line in text.lines() {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            let body = line["body"].take();
            match line["path"].as_str().unwrap() {
                "/v1/traces" => comes_back::<ExportTraceServiceRequest>(Signal::Traces, body),
                "/v1/metrics" => comes_back::<ExportMetricsServiceRequest>(Signal::Metrics, body),
                "/v1/logs" => comes_back::<ExportLogsServiceRequest>(Signal::Logs, body),
                other => panic!("{}: {other}", file.display()),
            }
        }
    }
}
