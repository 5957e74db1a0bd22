//! Endpoints whose answers matter: one that takes no delta temporality, and one whose certificate
//! signs itself. And what hosts say of files and plugins that are missing.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use tokio::task::block_in_place;
use tokio_rustls::TlsAcceptor;

use crate::hosts::{Host, RunningHost, free_port};
use crate::support::{Pipeline, bundled, linked, real_hosts, run, text, together};

const WORDS: &str = "invalid temporality and type combination";

fn hosts() -> Vec<Host> {
    real_hosts().into_iter().chain([bundled("5.1.0")]).collect()
}

/// What a backend took.
#[derive(Default)]
struct Got {
    metrics: Vec<String>,
    spans: usize,
    refused: usize,
}

/// A backend on the model of Mimir, with TLS if it has a certificate.
struct Backend {
    port: u16,
    got: Arc<Mutex<Got>>,
}

impl Backend {
    async fn start(tls: Option<TlsAcceptor>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let got: Arc<Mutex<Got>> = Arc::default();
        let inner = Arc::clone(&got);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (got, tls) = (Arc::clone(&inner), tls.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(request, Arc::clone(&got)));
                    let server = auto::Builder::new(TokioExecutor::new());
                    match tls {
                        None => drop(server.serve_connection(TokioIo::new(stream), service).await),
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            drop(server.serve_connection(TokioIo::new(stream), service).await);
                        }
                    }
                });
            }
        });
        Self { port, got }
    }

    /// Waits until something holds of what it took.
    async fn wait(&self, what: &str, running: &RunningHost, holds: impl Fn(&Got) -> bool) {
        let start = Instant::now();
        while !holds(&self.got.lock().unwrap()) {
            let waited = start.elapsed();
            assert!(
                waited < testkit::at_most(Duration::from_secs(20)),
                "{what}: {}",
                running.log_text()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    got: Arc<Mutex<Got>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_metrics = request.uri().path().ends_with("/v1/metrics");
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mut got = got.lock().unwrap();
    if !is_metrics {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        got.spans += scopes.map(|scope| scope.spans.len()).sum::<usize>();
        return Ok(Response::new(Full::default()));
    }
    let request = ExportMetricsServiceRequest::decode(body).unwrap();
    let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
    let metrics: Vec<Metric> = scopes.flat_map(|scope| scope.metrics).collect();
    let is_delta = |metric: &Metric| match &metric.data {
        Some(Data::Sum(sum)) => sum.aggregation_temporality == 1,
        Some(Data::Histogram(histogram)) => histogram.aggregation_temporality == 1,
        _ => false,
    };
    if metrics.iter().any(is_delta) {
        got.refused += 1;
        let refusal = Response::builder().status(400).header("content-type", "text/plain");
        return Ok(refusal.body(Full::from(WORDS)).unwrap());
    }
    got.metrics.extend(metrics.into_iter().map(|metric| metric.name));
    Ok(Response::new(Full::default()))
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn spans() -> Vec<u8> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let end = u64::try_from(now.as_nanos()).unwrap();
    let span = Span {
        trace_id: vec![7; 16],
        span_id: vec![7; 8],
        name: "chat m".to_owned(),
        kind: 3,
        start_time_unix_nano: end - 1_000_000_000,
        end_time_unix_nano: end,
        attributes: vec![
            attribute("gen_ai.operation.name", "chat"),
            attribute("gen_ai.request.model", "m"),
        ],
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// Sums of an application: one of each temporality, in one request.
fn sums() -> Vec<u8> {
    let metric = |name: &str, aggregation_temporality| {
        let point = NumberDataPoint {
            time_unix_nano: 5,
            value: Some(Number::AsInt(1)),
            ..NumberDataPoint::default()
        };
        let sum = Sum { data_points: vec![point], aggregation_temporality, is_monotonic: true };
        Metric { name: name.to_owned(), data: Some(Data::Sum(sum)), ..Metric::default() }
    };
    let metrics = vec![metric("app.cumulative", 2), metric("app.delta", 1)];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

async fn post(port: u16, path: &str, body: Vec<u8>) {
    let _already = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    let request = client.post(format!("http://127.0.0.1:{port}{path}"));
    let request = request.header("content-type", "application/x-protobuf").body(body);
    assert_eq!(request.send().await.unwrap().status(), 200);
}

/// Scenario: `ai_metrics` with its default, and an application's metrics of both temporalities, at a
/// backend that answers 400 to any delta. Guarantees: the application's cumulative metrics arrive;
/// what is refused is told with the backend's words and what helps; unless `temporality: delta` is given
/// the derived metrics arrive as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_backend_without_delta_gets_all_else() {
    let _together = together();
    let plugins = linked();
    for (host, temporality) in
        hosts().iter().flat_map(|host| [(host, "delta"), (host, "cumulative")])
    {
        let what = format!("{}, {temporality}", host.title());
        let backend = Backend::start(None).await;
        let (http, grpc) = (free_port(), free_port());
        let mut metrics = vec!["name: ai_metrics", "match: '*'", "interval: 1s"];
        // The other one is the default.
        metrics.extend((temporality == "delta").then_some("temporality: delta"));
        let pipeline = Pipeline::default().otlp_in(http, grpc).filter(&metrics).otlp_out(&[(
            "mimir",
            backend.port,
            "http/protobuf",
        )]);
        let running =
            block_in_place(|| RunningHost::start(host, &pipeline.yaml(plugins.path()), http));
        post(http, "/v1/traces", spans()).await;
        post(http, "/v1/metrics", sums()).await;
        let is_ours = |name: &String| name.starts_with("gen_ai.");
        let taken = |got: &Got| {
            got.metrics.iter().any(|name| name == "app.cumulative")
                && (temporality == "delta" || got.metrics.iter().any(is_ours))
        };
        backend.wait(&what, &running, taken).await;
        // The whole request, its delta part, and ours.
        let refusals = if temporality == "delta" { 3 } else { 2 };
        backend.wait(&what, &running, |got| got.refused >= refusals && got.spans == 1).await;
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        let got = backend.got.lock().unwrap();
        let sums = got.metrics.iter().filter(|name| *name == "app.cumulative").count();
        assert_eq!(sums, 1, "{what}: {log}");
        assert!(!got.metrics.iter().any(|name| name == "app.delta"), "{what}");
        assert_eq!(got.metrics.iter().any(is_ours), temporality == "cumulative", "{what}: {log}");
        for expected in ["'mimir'", WORDS, "TEMPORALITY_PREFERENCE"] {
            assert!(log.contains(expected), "{what}, {expected}: {log}");
        }
        let is_advised = log.contains("'temporality: cumulative' ai_metrics");
        assert_eq!(is_advised, temporality == "delta", "{what}: {log}");
    }
}

/// A certificate as `openssl req -x509` makes it, in PEM, and a server that shows it.
fn signs_itself() -> (String, TlsAcceptor) {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let chain = vec![certificate.der().clone()];
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (certificate.pem(), TlsAcceptor::from(Arc::new(config)))
}

/// Scenario: an endpoint whose certificate signs itself is given in `tls.ca_file`, by a
/// `config_file` that stands beside the configuration and not where the host runs. Guarantees: the
/// host starts, and the endpoint gets what it should.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_and_a_file_are_found_where_they_are_given() {
    let _together = together();
    let plugins = linked();
    for host in hosts() {
        let (pem, acceptor) = signs_itself();
        let backend = Backend::start(Some(acceptor)).await;
        let folder = tempfile::tempdir().unwrap();
        let certificate = folder.path().join("server.pem");
        std::fs::write(&certificate, pem).unwrap();
        let endpoints = format!(
            "endpoint:\n  secure:\n    url: https://localhost:{}\n    tls.ca_file: {}\n",
            backend.port,
            certificate.display()
        );
        std::fs::write(folder.path().join("only-beside-it.yaml"), endpoints).unwrap();
        let (http, grpc) = (free_port(), free_port());
        let lines = ["name: multi_otlp", "match: '*'", "config_file: only-beside-it.yaml"];
        let pipeline = Pipeline::default().otlp_in(http, grpc).output(&lines);
        let file = folder.path().join("fluent-bit.yaml");
        std::fs::write(file, pipeline.yaml(plugins.path())).unwrap();
        let running =
            block_in_place(|| RunningHost::start_file(&host, folder, "fluent-bit.yaml", http, &[]));
        post(http, "/v1/traces", spans()).await;
        backend.wait(&host.title(), &running, |got| got.spans == 1).await;
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{}: {log}", host.title());
    }
}

/// Scenario: `ai_metrics` without an input that emits, in YAML and in a classic file, and a
/// `config_file` that is nowhere. Guarantees: the advice speaks the form that the host was given and
/// that its release reads, and both places of the file are named.
#[tokio::test(flavor = "multi_thread")]
async fn advice_is_in_the_form_of_the_configuration() {
    let _together = together();
    let plugins = linked();
    let list = plugins.path().join("plugins.conf").display().to_string();
    for host in hosts() {
        let yaml = Pipeline::default()
            .input(&["name: dummy", "tag: x"])
            .filter(&["name: ai_metrics", "match: '*'", "config_file: nowhere.yaml"])
            .output(&["name: 'null'", "match: '*'"])
            .yaml(plugins.path());
        let file = plugins.path().join("advice.yaml");
        std::fs::write(&file, yaml).unwrap();
        let said = text(&block_in_place(|| run(&host, &["-c", &file.to_string_lossy()])));
        let is_old = host.release.starts_with("3.0.") || host.release.starts_with("3.1.");
        let expected = if is_old { "'service.plugins_file'" } else { "under 'plugins'" };
        let beside = plugins.path().canonicalize().unwrap().join("nowhere.yaml");
        let beside = beside.display().to_string();
        for expected in [expected, "'- name: ai_emitter'", "'nowhere.yaml'", &beside] {
            assert!(said.contains(expected), "{}, {expected}: {said}", host.title());
        }
        assert!(!said.contains("[INPUT]"), "{}: {said}", host.title());
        // The bundled host reads YAML alone.
        if !host.arguments.is_empty() {
            continue;
        }
        let classic = format!(
            "[SERVICE]\n    plugins_file {list}\n[INPUT]\n    Name dummy\n[FILTER]\n    \
             Name ai_metrics\n    Match *\n[OUTPUT]\n    Name null\n    Match *\n"
        );
        let file = plugins.path().join("advice.conf");
        std::fs::write(&file, classic).unwrap();
        let said = text(&block_in_place(|| run(&host, &["-c", &file.to_string_lossy()])));
        assert!(said.contains("'Name ai_emitter'"), "{}: {said}", host.title());
        assert!(!said.contains("YAML"), "{}: {said}", host.title());
    }
}
