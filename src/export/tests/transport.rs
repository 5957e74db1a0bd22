//! Connections: TLS, endpoints that hang or hang up, and the end of an exporter.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use prost::Message;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedKey, IsCa, KeyPair, generate_simple_self_signed,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use super::data::{span, trace_chunk, traces};
use super::receiver::{Receiver, Say};
use super::{Bench, Duration, Fate, endpoint, environment, grpc, now};
use crate::export::{ClientTlsSettings, Compression, EndpointSettings, Exporter, Protocol};
use crate::plugin::EventType;
use crate::runtime::{Runtime, Tasks, heavy};

/// Certificates in a folder that goes with it.
pub(super) struct Certificates {
    folder: tempfile::TempDir,
    server: CertifiedKey<KeyPair>,
    client: CertifiedKey<KeyPair>,
}

impl Certificates {
    pub(super) fn new() -> Self {
        Self::made_by(|| generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap())
    }

    /// As `openssl req -x509` makes them: they sign themselves and say that they are authorities.
    pub(super) fn of_openssl() -> Self {
        Self::made_by(|| {
            let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let signing_key = KeyPair::generate().unwrap();
            CertifiedKey { cert: params.self_signed(&signing_key).unwrap(), signing_key }
        })
    }

    /// All of one key.
    pub(super) fn of_key(pem: &str) -> Self {
        Self::made_by(|| {
            let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
            let signing_key = KeyPair::from_pem(pem).unwrap();
            CertifiedKey { cert: params.self_signed(&signing_key).unwrap(), signing_key }
        })
    }

    fn made_by(make: impl Fn() -> CertifiedKey<KeyPair>) -> Self {
        let made = Self { folder: tempfile::tempdir().unwrap(), server: make(), client: make() };
        std::fs::write(made.path("ca.pem"), made.server.cert.pem()).unwrap();
        std::fs::write(made.path("crt.pem"), made.client.cert.pem()).unwrap();
        std::fs::write(made.path("key.pem"), made.client.signing_key.serialize_pem()).unwrap();
        made
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn server_config(&self, ask_client: bool) -> ServerConfig {
        self.server_config_of(rustls::ALL_VERSIONS, ask_client)
    }

    pub(super) fn server_config_of(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
        ask_client: bool,
    ) -> ServerConfig {
        let chain = vec![CertificateDer::from(self.server.cert.der().to_vec())];
        let key = PrivateKeyDer::try_from(self.server.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let builder = if ask_client {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from(self.client.cert.der().to_vec())).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }

    pub(super) fn client_settings(&self, mutual: bool) -> ClientTlsSettings {
        ClientTlsSettings {
            ca_file: Some(self.path("ca.pem")),
            crt_file: mutual.then(|| self.path("crt.pem")),
            key_file: mutual.then(|| self.path("key.pem")),
            ..ClientTlsSettings::default()
        }
    }
}

/// Ends TLS in front of a receiver.
pub(super) struct TlsFront {
    pub(super) port: u16,
    config: Arc<Mutex<Arc<ServerConfig>>>,
    tasks: Tasks,
    _runtime: Runtime,
}

impl TlsFront {
    pub(super) fn start(config: ServerConfig, behind: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let runtime = Runtime::acquire().unwrap();
        let tasks = runtime.tasks();
        let config = Arc::new(Mutex::new(Arc::new(config)));
        let (used, inner) = (Arc::clone(&config), tasks.clone());
        tasks.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let config = Arc::clone(&used.lock().unwrap());
                inner.spawn(async move { carry(stream.into_std().unwrap(), config, behind).await });
            }
        });
        Self { port, config, tasks, _runtime: runtime }
    }

    /// Connections from now on get another certificate.
    pub(super) fn turn_to(&self, config: ServerConfig) {
        *self.config.lock().unwrap() = Arc::new(config);
    }

    /// How many connections there are.
    pub(super) fn connections(&self) -> usize {
        self.tasks.live() - 1
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

/// Carries bytes both ways until one side ends; what comes without TLS goes on as it is.
async fn carry(stream: TcpStream, config: Arc<ServerConfig>, behind: SocketAddr) {
    let mut plain = TcpStream::connect(behind).unwrap();
    for socket in [&stream, &plain] {
        socket.set_nonblocking(true).unwrap();
    }
    let mut first = [0_u8];
    while stream.peek(&mut first).is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (mut stream, mut secure) = match first {
        // A record of a handshake.
        [22] => (None, Some(StreamOwned::new(ServerConnection::new(config).unwrap(), stream))),
        _ => (Some(stream), None),
    };
    loop {
        let moved = heavy(usize::MAX, || match (&mut stream, &mut secure) {
            (Some(stream), _) => Some(pump(stream, &mut plain)? | pump(&mut plain, stream)?),
            (None, Some(secure)) => Some(pump(secure, &mut plain)? | pump(&mut plain, secure)?),
            (None, None) => None,
        });
        match moved {
            Some(true) => {}
            Some(false) => tokio::time::sleep(Duration::from_millis(1)).await,
            None => return,
        }
    }
}

/// `None` at the end.
fn pump(from: &mut impl Read, to: &mut impl Write) -> Option<bool> {
    let mut buffer = [0_u8; 16 << 10];
    match from.read(&mut buffer) {
        Ok(0) => None,
        Ok(count) => {
            let mut rest = &buffer[..count];
            while !rest.is_empty() {
                match to.write(rest) {
                    Ok(written) => rest = &rest[written..],
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(_) => return None,
                }
            }
            let _flushed = to.flush();
            Some(true)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            let _flushed = to.flush();
            Some(false)
        }
        Err(_) => None,
    }
}

pub(super) fn secure(
    name: &str,
    protocol: Protocol,
    front: &TlsFront,
    tls: ClientTlsSettings,
) -> EndpointSettings {
    let url = format!("https://localhost:{}", front.port).parse().unwrap();
    EndpointSettings { protocol, tls, ..super::at(name, url) }
}

pub(super) fn chunk() -> Vec<u8> {
    trace_chunk(&traces(vec![span(1, vec![])]))
}

#[test]
fn tls_is_checked_with_both_protocols() {
    let certificates = Certificates::new();
    let receiver = Receiver::accepting();
    let front = TlsFront::start(certificates.server_config(false), receiver.address);
    let known = certificates.client_settings(false);
    let unchecked = ClientTlsSettings { verify: false, ..ClientTlsSettings::default() };
    for (protocol, tls, expected) in [
        (Protocol::HttpProtobuf, known.clone(), Fate::Done),
        (Protocol::Grpc, known, Fate::Done),
        (Protocol::Grpc, unchecked, Fate::Done),
    ] {
        let bench = Bench::new(vec![secure("tls", protocol, &front, tls)]);
        assert_eq!(bench.deliver(1, &chunk()), expected, "{}", bench.log());
    }
    assert_eq!(receiver.seen().len(), 3);
    let stranger = ClientTlsSettings {
        ca_file: Some(certificates.path("crt.pem")),
        ..ClientTlsSettings::default()
    };
    let bench = Bench::new(vec![secure("tls", Protocol::HttpProtobuf, &front, stranger)]);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Retry);
    assert_eq!(bench.count("failed_requests_total", &["tls", "connect"]), 1);
    let log = bench.log();
    assert!(log.contains("certificate"), "{log}");
}

#[test]
fn a_certificate_that_signs_itself_is_trusted_where_it_is_given() {
    let certificates = Certificates::of_openssl();
    let receiver = Receiver::accepting();
    let front = TlsFront::start(certificates.server_config(false), receiver.address);
    for protocol in [Protocol::HttpProtobuf, Protocol::HttpJson, Protocol::Grpc] {
        let known = certificates.client_settings(false);
        let bench = Bench::new(vec![secure("tls", protocol, &front, known)]);
        assert_eq!(bench.deliver(1, &chunk()), Fate::Done, "{}", bench.log());
    }
    let others = Certificates::of_openssl();
    let other = others.client_settings(false);
    let bench = Bench::new(vec![secure("tls", Protocol::HttpProtobuf, &front, other)]);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Retry);
    assert_eq!(receiver.seen().len(), 3);
}

#[test]
fn a_client_certificate_is_shown() {
    let certificates = Certificates::new();
    let receiver = Receiver::accepting();
    let front = TlsFront::start(certificates.server_config(true), receiver.address);
    for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
        let with = certificates.client_settings(true);
        let bench = Bench::new(vec![secure("with", protocol, &front, with)]);
        assert_eq!(bench.deliver(1, &chunk()), Fate::Done, "{}", bench.log());
    }
    let without = certificates.client_settings(false);
    let bench = Bench::new(vec![secure("without", Protocol::HttpProtobuf, &front, without)]);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Retry);
    assert_eq!(receiver.seen().len(), 2);
}

#[test]
fn wrong_files_are_all_reported_at_the_start() {
    let certificates = Certificates::new();
    let rubbish = certificates.path("rubbish.pem");
    std::fs::write(&rubbish, "rubbish").unwrap();
    let with = |name: &str, tls: ClientTlsSettings| EndpointSettings {
        tls,
        ..super::at(name, "https://localhost".parse().unwrap())
    };
    let endpoints = vec![
        with(
            "a",
            ClientTlsSettings {
                ca_file: Some("/nowhere.pem".into()),
                ..ClientTlsSettings::default()
            },
        ),
        with(
            "b",
            ClientTlsSettings { ca_file: Some(rubbish.clone()), ..ClientTlsSettings::default() },
        ),
        with(
            "c",
            ClientTlsSettings { crt_file: Some(rubbish.clone()), ..ClientTlsSettings::default() },
        ),
        with(
            "d",
            ClientTlsSettings {
                crt_file: Some(rubbish.clone()),
                key_file: Some(rubbish),
                ..ClientTlsSettings::default()
            },
        ),
    ];
    let settings = super::settings(endpoints, Vec::new());
    let problems = Exporter::start(&settings, &environment()).unwrap_err().0;
    assert_eq!(problems.len(), 4, "{problems:#?}");
    assert!(problems[0].contains("endpoint.a.tls.ca_file") && problems[0].contains("/nowhere.pem"));
    assert!(problems[2].contains("endpoint.c.tls.key_file"));
}

#[test]
fn an_endpoint_that_hangs_is_given_up_and_holds_up_nobody() {
    let hanging = Receiver::start(|_, _| Say::Hang);
    let healthy = Receiver::accepting();
    for make in [endpoint, grpc] {
        let mut slow = make("slow", &hanging);
        slow.timeout = Duration::from_millis(300);
        let bench = Bench::new(vec![slow, endpoint("healthy", &healthy)]);
        let before = healthy.seen().len();
        let start = now();
        assert_eq!(bench.deliver(1, &chunk()), Fate::Retry);
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        assert_eq!(healthy.seen().len(), before + 1);
        assert_eq!(bench.count("failed_requests_total", &["slow", "timeout"]), 1);
    }
}

#[test]
fn a_connection_that_breaks_is_tried_once_more_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    listener.set_nonblocking(true).unwrap();
    let runtime = Runtime::acquire().unwrap();
    let tasks = runtime.tasks();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tasks.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            // Reads a little and hangs up without an answer.
            stream.readable().await.unwrap();
            drop(stream);
        }
    });
    let bench = Bench::new(vec![super::at("broken", url)]);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Retry);
    assert_eq!(accepted.load(Ordering::Relaxed), 2);
    assert_eq!(bench.count("failed_requests_total", &["broken", "transport"]), 2);
    tasks.cancel();
}

#[test]
fn closing_finishes_what_it_can_and_leaves_the_rest_with_the_host() {
    let hanging = Receiver::start(|n, _| if n == 0 { Say::Accept } else { Say::Hang });
    let bench = Bench::new(vec![endpoint("main", &hanging)]);
    let quick = bench.submit(EventType::Logs, 1, &chunk());
    assert_eq!(quick.wait(test_timeout::at_most(Duration::from_secs(5))), Some(Fate::Done));
    let slow = bench.submit(EventType::Logs, 2, &chunk());
    let start = now();
    let Bench { exporter, environment } = bench;
    exporter.close(Duration::from_millis(200));
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(slow.wait(Duration::from_secs(1)), Some(Fate::Retry));
    let lines = environment.log.take();
    assert!(lines.iter().any(|line| line.text.contains("were not delivered in time")));
}

#[test]
fn a_large_request_is_compressed_and_whole() {
    let receiver = Receiver::accepting();
    let mut packed = grpc("packed", &receiver);
    packed.compression = Compression::Gzip;
    let bench = Bench::new(vec![packed]);
    let text = super::data::text("k", &"0123456789".repeat(1_000));
    let spans = (0..200).map(|number| span(number, vec![text.clone()])).collect();
    let request = traces(spans);
    assert_eq!(bench.deliver(1, &trace_chunk(&request)), Fate::Done, "{}", bench.log());
    let got: Vec<ExportTraceServiceRequest> = receiver.messages("traces");
    assert_eq!(got, [request]);
}

#[test]
fn zstd_and_the_name_in_the_certificate() {
    let certificates = Certificates::new();
    let receiver = Receiver::accepting();
    let front = TlsFront::start(certificates.server_config(false), receiver.address);
    let url = format!("https://127.0.0.1:{}", front.port).parse().unwrap();
    let mut named = super::at("named", url);
    named.compression = Compression::Zstd;
    named.tls = certificates.client_settings(false);
    let other = EndpointSettings { name: "other".to_owned(), ..named.clone() };
    named.tls.server_name = Some("localhost".to_owned());
    let bench = Bench::new(vec![named, other]);
    let request = traces((0..20).map(|number| span(number, vec![])).collect());
    assert_eq!(bench.deliver(1, &trace_chunk(&request)), Fate::Retry);
    assert_eq!(bench.count("sent_items_total", &["named"]), 20);
    assert_eq!(bench.count("failed_requests_total", &["other", "connect"]), 1);
    let seen = receiver.seen();
    assert_eq!(seen[0].headers["content-encoding"], "zstd");
    assert_eq!(receiver.messages::<ExportTraceServiceRequest>("traces"), vec![request]);
}

#[test]
fn requests_go_through_a_proxy() {
    // A proxy for plain HTTP gets the whole URL as the request's target.
    let proxy = Receiver::accepting();
    let mut endpoint = super::at("far", "http://far.example:4318".parse().unwrap());
    endpoint.proxy = Some(format!("http://me:secret@{}", proxy.address));
    let bench = Bench::new(vec![endpoint]);
    assert_eq!(bench.deliver(1, &trace_chunk(&traces(vec![span(1, vec![])]))), Fate::Done);
    let seen = proxy.seen();
    assert_eq!(seen[0].path, "/v1/traces");
    assert_eq!(seen[0].headers["host"], "far.example:4318");
    assert_eq!(seen[0].headers["proxy-authorization"], "Basic bWU6c2VjcmV0");
}

/// The messages that came, in order.
type Seen = Arc<Mutex<Vec<Bytes>>>;

/// A proxy in front of a gRPC server that answers in HTTP what is larger than `limit`, and accepts
/// the rest itself.
async fn ingress(listener: TcpListener, tasks: Tasks, limit: usize, seen: Seen) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let seen = Arc::clone(&seen);
        let service = service_fn(move |request: http::Request<Incoming>| {
            let seen = Arc::clone(&seen);
            async move {
                let message = request.into_body().collect().await.unwrap().to_bytes().slice(5..);
                let answer = http::Response::builder();
                let answer = match message.len() > limit {
                    true => answer.status(413).header("content-type", "text/html"),
                    false => {
                        answer.header("content-type", "application/grpc").header("grpc-status", 0)
                    }
                };
                seen.lock().unwrap().push(message);
                answer.body(Full::new(Bytes::from_static(b"<h1>413</h1>")))
            }
        });
        let connection = auto::Builder::new(tasks.clone());
        tasks.spawn(async move {
            let _ended = connection.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Scenario: a proxy in front of a gRPC server answers what is too large with HTTP status 413 and no
/// gRPC status. Guarantees: everything arrives in smaller requests.
#[test]
fn a_proxy_that_says_413_to_grpc_gets_smaller_requests() {
    const LIMIT: usize = 1_000;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    listener.set_nonblocking(true).unwrap();
    let runtime = Runtime::acquire().unwrap();
    let (tasks, seen) = (runtime.tasks(), Seen::default());
    tasks.spawn(ingress(listener, tasks.clone(), LIMIT, Arc::clone(&seen)));
    let settings = EndpointSettings { protocol: Protocol::Grpc, ..super::at("grpc", url) };
    let bench = Bench::new(vec![settings]);
    let spans: Vec<_> = (0..100).map(|number| span(number, vec![])).collect();
    assert_eq!(bench.deliver(1, &trace_chunk(&traces(spans))), Fate::Done, "{}", bench.log());
    tasks.cancel();
    assert_eq!(bench.count("sent_items_total", &["grpc"]), 100);
    assert_eq!(bench.count("dropped_items_total", &["grpc"]), 0);
    assert!(bench.count("failed_requests_total", &["grpc", "too_large"]) > 0);
    let seen = seen.lock().unwrap();
    let arrived = seen.iter().filter(|message| message.len() <= LIMIT).map(|message| {
        let request = ExportTraceServiceRequest::decode(message.clone()).unwrap();
        request.resource_spans[0].scope_spans[0].spans.len()
    });
    assert_eq!(arrived.sum::<usize>(), 100);
}
