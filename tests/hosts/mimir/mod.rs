//! A stand-in for Mimir with its default limits takes all that we send by default: by OTLP, and by the host's remote write.

mod limits;
mod requests;
mod snappy;

use std::convert::Infallible;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use testkit::made_spans::{call, pair, span, text};
use tokio::net::TcpListener;
use tokio::task::block_in_place;

use self::limits::Tenant;
use crate::client::Client;
use crate::hosts::{RunningHost, free_port};
use crate::sink::{SinkAnswer, plain};
use crate::support::{Pipeline, linked, real_hosts, together};

/// Calls of each of the requests, and how many requests there are.
const CALLS: u64 = 20;
const REQUESTS: u64 = 4;
const COUNT: &str = "gen_ai_client_operation_count_total";

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// Starts the stand-in.
async fn start() -> (u16, Arc<Mutex<Tenant>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tenant = Arc::<Mutex<Tenant>>::default();
    let shared = Arc::clone(&tenant);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let service =
                    hyper::service::service_fn(move |request| answer(request, Arc::clone(&shared)));
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _gone = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (port, tenant)
}

async fn answer(
    request: Request<Incoming>,
    tenant: Arc<Mutex<Tenant>>,
) -> Result<SinkAnswer, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Ok(plain(StatusCode::BAD_REQUEST)) };
    let encoding = head.headers.get("content-encoding").and_then(|it| it.to_str().ok());
    let Some(body) = uncompressed(encoding.unwrap_or_default(), &body.to_bytes()) else {
        return Ok(plain(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    };
    let mut tenant = tenant.lock().unwrap();
    let (before, now) = (tenant.refused.len(), i64::try_from(now().as_millis()).unwrap());
    match head.uri.path() {
        "/api/v1/push" => requests::write(&mut tenant, &body, now),
        "/otlp/v1/metrics" => requests::otlp(&mut tenant, &body, now),
        path => tenant.refuse("not-found", path),
    }
    // What is right of a request is taken, and what is not makes it a bad one.
    let is_right = tenant.refused.len() == before;
    Ok(plain(if is_right { StatusCode::OK } else { StatusCode::BAD_REQUEST }))
}

fn uncompressed(encoding: &str, body: &Bytes) -> Option<Vec<u8>> {
    match encoding {
        "" | "identity" => Some(body.to_vec()),
        "snappy" => snappy::decompressed(body),
        "gzip" => {
            let mut out = Vec::new();
            flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut out).ok()?;
            Some(out)
        }
        "zstd" => zstd::decode_all(&body[..]).ok(),
        _ => None,
    }
}

/// What a pod says of itself: more than thirty attributes, some of them long.
fn resource() -> Vec<KeyValue> {
    let named =
        [("service.name", "shop"), ("service.namespace", "eu"), ("service.instance.id", "1")];
    let mut all: Vec<KeyValue> = named.iter().map(|(key, value)| text(key, value)).collect();
    all.extend((0..40).map(|number| text(&format!("k8s.pod.label.app-{number}/part.of"), "x")));
    all.push(text("process.command_line", &"python -m shop ".repeat(100)));
    all.push(pair("process.pid", Value::IntValue(7)));
    all
}

/// Calls that ended just now, of many models, with errors, long names, a cache, an agent around them and a tool; the
/// numbers go on from request to request.
fn spans(request: u64) -> Vec<Span> {
    let end = u64::try_from(now().as_nanos()).unwrap();
    let numbers = request * CALLS..(request + 1) * CALLS;
    let mut spans = Vec::new();
    for number in numbers {
        let mut call = call(number, 0.0, "gpt-4o-2024-08-06", 100);
        call.end_time_unix_nano = end;
        call.start_time_unix_nano = end - (number + 1) * 50_000_000;
        call.attributes.push(pair("gen_ai.usage.cache_read.input_tokens", Value::IntValue(500)));
        call.attributes.push(pair("gen_ai.response.time_to_first_chunk", Value::DoubleValue(0.01)));
        call.attributes.push(text("gen_ai.response.finish_reasons", "stop"));
        call.attributes.push(text("server.address", "api.example.com"));
        match number % 4 {
            0 => {
                call.attributes.push(text("error.type", &"Traceback: no such thing. ".repeat(200)))
            }
            1 => call.attributes.push(text("tenant", &format!("\"t\\\n{}", number % 3))),
            2 => call.attributes.push(text("tenant", &"é".repeat(3000))),
            _ => {}
        }
        let mut agent = span(
            number,
            0.0,
            vec![
                text("gen_ai.operation.name", "invoke_agent"),
                text("gen_ai.agent.name", "planner"),
                pair("gen_ai.usage.input_tokens", Value::IntValue(1500)),
            ],
        );
        (agent.start_time_unix_nano, agent.end_time_unix_nano) = (call.start_time_unix_nano, end);
        agent.span_id = (number + 1_000_000).to_be_bytes().to_vec();
        call.parent_span_id.clone_from(&agent.span_id);
        spans.extend([call, agent]);
    }
    spans
}

fn request(number: u64) -> Vec<u8> {
    let scope_spans = vec![ScopeSpans { spans: spans(number), ..ScopeSpans::default() }];
    let resource = Some(Resource { attributes: resource(), ..Resource::default() });
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// The sum of the last samples of a metric's series.
fn total(tenant: &Tenant, name: &str) -> f64 {
    let of_name = ("__name__".to_owned(), name.to_owned());
    let series = tenant.series.iter().filter(|(labels, _)| labels.contains(&of_name));
    series.map(|(_, (_, value))| value).sum()
}

/// Sends requests over several intervals, and waits until all calls are there.
async fn send(http: u16, tenant: &Mutex<Tenant>, running: &RunningHost) {
    let mut client = Client::connect(http, false).await.unwrap();
    for number in 0..REQUESTS {
        client.send("/v1/traces", "", request(number)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1300)).await;
    }
    let start = Instant::now();
    // Each call and its agent is an operation.
    while total(&tenant.lock().unwrap(), COUNT) < (2 * CALLS * REQUESTS) as f64 {
        let late = start.elapsed() > testkit::at_most(Duration::from_secs(30));
        assert!(!late, "{:?}\n{}", tenant.lock().unwrap().refused, running.log_text());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A way to Mimir: its name, options of `ai_metrics`, and the histogram whose bounds are looked at.
type Way = (&'static str, &'static [&'static str], &'static str);

const WAYS: [Way; 3] = [
    ("OTLP", &[], "gen_ai_client_operation_duration"),
    ("OTLP, exponential", &["histogram: exponential"], ""),
    (
        "remote write",
        &["emit_as: prometheus", "tag: prometheus"],
        "gen_ai_client_operation_duration_seconds",
    ),
];

fn pipeline(way: &Way, http: u16, port: u16) -> Pipeline {
    let mut filter = vec!["name: ai_metrics", "match: 'ai*'", "interval: 1s", "dimensions: tenant"];
    filter.extend(way.1);
    let pipeline = Pipeline::default().otlp_in(http, free_port()).filter(&filter);
    if way.0 != "remote write" {
        return pipeline.output(&[
            "name: multi_otlp",
            "match: '*'",
            &format!("endpoint.mimir.url: http://127.0.0.1:{port}/otlp"),
            "endpoint.mimir.signals: metrics",
        ]);
    }
    pipeline.output(&[
        "name: prometheus_remote_write",
        "match: prometheus",
        "host: 127.0.0.1",
        &format!("port: {port}"),
        "uri: /api/v1/push",
    ])
}

/// Scenario: calls, agents and tools of a service with a large resource, with errors that are whole texts and a dimension with
/// values of thousands of bytes; over several intervals `ai_metrics` sends by OTLP with both kinds of histograms, and by the host's remote
/// write. Guarantees: a Mimir with its default limits refuses nothing of it, has every call, and each histogram keeps its bounds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mimir_takes_all_by_default() {
    let _together = together();
    let plugins = linked();
    for host in real_hosts() {
        for way in WAYS {
            let what = format!("{}, {}", host.title(), way.0);
            let (port, tenant) = start().await;
            let http = free_port();
            let configuration = pipeline(&way, http, port).yaml(plugins.path());
            let running = block_in_place(|| RunningHost::start(&host, &configuration, http));
            send(http, &tenant, &running).await;
            let (code, log) = block_in_place(|| running.stop());
            assert_eq!(code, Some(0), "{what}: {log}");
            let tenant = tenant.lock().unwrap();
            assert!(tenant.refused.is_empty(), "{what}: {:#?}", tenant.refused);
            if !way.2.is_empty() {
                let mut bounds = tenant.bounds(way.2);
                let series = bounds.len();
                bounds.dedup();
                assert_eq!((bounds.len(), bounds[0].len()), (1, 15), "{what}: {bounds:?}");
                assert!(series > 3, "{what}: {series}");
            }
            assert_eq!(tenant.exemplars > 0, way.0 != "remote write", "{what}");
            println!("{what}: {} series, {} exemplars", tenant.series.len(), tenant.exemplars);
        }
    }
}
