//! Traffic replay: captured requests, one `{"path", "body"}` in OTLP/JSON a line.

use std::path::{Path, PathBuf};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::client::Client;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The captures.
    files: Vec<PathBuf>,
    /// The port on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// OTLP/gRPC instead of OTLP/HTTP.
    #[arg(long)]
    grpc: bool,
}

/// One captured request.
#[derive(Debug, Clone)]
pub struct Captured {
    pub path: String,
    pub body: Vec<u8>,
}

impl Captured {
    pub fn service(&self) -> &'static str {
        match self.path.as_str() {
            "/v1/traces" => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            "/v1/metrics" => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            _ => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }
}

/// Reads a capture and encodes its requests in protobuf.
pub fn read(file: &Path) -> Vec<Captured> {
    let text = std::fs::read_to_string(file).expect("a capture");
    text.lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
            let path = line["path"].as_str().expect("a path").to_owned();
            let body = line["body"].clone();
            let body = match path.as_str() {
                "/v1/traces" => encode::<ExportTraceServiceRequest>(body),
                "/v1/metrics" => encode::<ExportMetricsServiceRequest>(body),
                _ => encode::<ExportLogsServiceRequest>(body),
            };
            Captured { path, body }
        })
        .collect()
}

fn encode<M: Message + serde::de::DeserializeOwned>(body: serde_json::Value) -> Vec<u8> {
    serde_json::from_value::<M>(body).expect("an OTLP/JSON request").encode_to_vec()
}

/// All captures of a folder, in the order of their names.
pub fn read_folder(folder: &Path) -> Vec<(String, Vec<Captured>)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder of captures")
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort();
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    files.iter().map(|path| (name(path), read(path))).collect()
}

pub async fn run(args: Args) {
    let mut client = Client::connect(args.port, args.grpc).await.expect("a receiver");
    for file in &args.files {
        for captured in read(file) {
            let service = captured.service();
            client.send(&captured.path, service, captured.body).await.expect("accepted");
        }
    }
}
