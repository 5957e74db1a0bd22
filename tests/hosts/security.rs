//! Who may send: TLS, certificates and credentials on hosts.

use std::path::Path;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request};

use crate::hosts::{Host, RunningHost, free_port};
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, bundled, linked, real_hosts, run, text, together};

/// What must be in no log.
const TOKEN: &str = "token-that-nobody-sees";
const TENANT_TOKEN: &str = "tenant-token-that-nobody-sees";
const PASSWORD: &str = "password-that-nobody-sees";

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn issuer() -> Issuer {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for this machine and its key, in PEM.
fn leaf(issuer: &Issuer) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, issuer).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn write_leaf(folder: &Path, (certificate, key): &(String, String)) {
    std::fs::write(folder.join("key.pem"), key).unwrap();
    std::fs::write(folder.join("crt.pem"), certificate).unwrap();
}

/// A request with one span.
pub fn spans(id: u8) -> ExportTraceServiceRequest {
    let span = Span {
        trace_id: vec![id; 16],
        span_id: vec![id; 8],
        name: "chat".to_owned(),
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_001_000_000_000,
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}

/// Who the client is and whom it trusts.
#[derive(Clone, Copy)]
struct Client<'a> {
    trust: &'a Issuer,
    identity: Option<&'a (String, String)>,
}

impl Client<'_> {
    fn http(self) -> reqwest::Client {
        let trust = reqwest::Certificate::from_pem(self.trust.pem().as_bytes()).unwrap();
        let mut builder = reqwest::Client::builder().tls_certs_only([trust]).no_proxy();
        if let Some((certificate, key)) = self.identity {
            let pem = format!("{key}\n{certificate}");
            builder = builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap());
        }
        builder.timeout(testkit::at_most(Duration::from_secs(10))).build().unwrap()
    }

    /// The status of a request over HTTP; nothing if there was no connection.
    async fn post(self, port: u16, authorization: &str, id: u8) -> Option<u16> {
        let request = self
            .http()
            .post(format!("https://127.0.0.1:{port}/v1/traces"))
            .header("content-type", "application/x-protobuf")
            .header("authorization", authorization)
            .body(spans(id).encode_to_vec());
        Some(request.send().await.ok()?.status().as_u16())
    }

    /// The code of a call over gRPC; nothing if there was no connection.
    async fn call(self, port: u16, authorization: &str, id: u8) -> Option<Code> {
        let mut tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.trust.pem()))
            .domain_name("localhost");
        if let Some((certificate, key)) = self.identity {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        let endpoint = Endpoint::from_shared(format!("https://127.0.0.1:{port}")).unwrap();
        let channel = endpoint.tls_config(tls).unwrap().connect().await.ok()?;
        let mut request = Request::new(spans(id));
        request.metadata_mut().insert("authorization", authorization.parse().unwrap());
        Some(match TraceServiceClient::new(channel).export(request).await {
            Ok(_) => Code::Ok,
            Err(status) => status.code(),
        })
    }
}

/// The tags of the host's own logger hide nothing at this level.
fn pipeline(folder: &Path, (http, grpc): (u16, u16), out: u16) -> Pipeline {
    let file = |name: &str| folder.join(name).display().to_string();
    let tenants = format!("tenants:\n  acme:\n    bearer_tokens: [{TENANT_TOKEN}]\n");
    std::fs::write(folder.join("tenants.yaml"), tenants).unwrap();
    let mut pipeline = Pipeline::default().service("log_level: debug").otlp_in(http, grpc);
    for (key, value) in [
        ("tls", "on".to_owned()),
        ("tls.crt_file", file("crt.pem")),
        ("tls.key_file", file("key.pem")),
        ("tls.ca_file", file("ca.pem")),
        ("tls.verify_client_cert", "on".to_owned()),
        ("tls.min_version", "TLSv1.2".to_owned()),
        ("bearer_token", TOKEN.to_owned()),
        ("http_user", "alice".to_owned()),
        ("http_passwd", PASSWORD.to_owned()),
        ("tenants_file", file("tenants.yaml")),
    ] {
        pipeline = pipeline.input_option(&format!("{key}: {value}"));
    }
    pipeline.otlp_out(&[("one", out, "http/protobuf")])
}

async fn one_host(host: &Host, plugins: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let (ca, stranger) = (issuer(), issuer());
    std::fs::write(folder.path().join("ca.pem"), ca.pem()).unwrap();
    write_leaf(folder.path(), &leaf(&ca));
    let sink = Sink::start(0, Keep::Requests).await;
    let (http, grpc) = (free_port(), free_port());
    let pipeline = pipeline(folder.path(), (http, grpc), sink.port);
    let running = RunningHost::start(host, &pipeline.yaml(plugins), http);
    let title = host.title();
    let identity = leaf(&ca);
    let good = Client { trust: &ca, identity: Some(&identity) };
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(good.post(http, &bearer, 1).await, Some(200), "{title}: {}", running.log_text());
    assert_eq!(good.call(grpc, &bearer, 2).await, Some(Code::Ok), "{title}");
    let tenant = format!("Bearer {TENANT_TOKEN}");
    assert_eq!(good.post(grpc, &tenant, 3).await, Some(200), "{title}");
    wrong_credentials(good, (http, grpc)).await;
    // No certificate, one of somebody else, and a server that the client does not trust.
    let other = leaf(&stranger);
    for client in [
        Client { trust: &ca, identity: None },
        Client { trust: &ca, identity: Some(&other) },
        Client { trust: &stranger, identity: Some(&identity) },
    ] {
        assert_eq!(client.post(http, &bearer, 9).await, None, "{title}");
        assert_ne!(client.call(grpc, &bearer, 9).await, Some(Code::Ok), "{title}");
    }
    // The server gets a certificate of another issuer while it runs.
    write_leaf(folder.path(), &leaf(&stranger));
    let rotated = Client { trust: &stranger, identity: Some(&identity) };
    let start = Instant::now();
    while rotated.post(http, &bearer, 4).await.is_none() {
        assert!(
            start.elapsed() < testkit::at_most(Duration::from_secs(15)),
            "{title}: {}",
            running.log_text()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(rotated.call(grpc, &bearer, 5).await, Some(Code::Ok), "{title}");
    sink.settle(5, Duration::from_secs(2), Duration::from_secs(15)).await;
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{title}: {log}");
    assert_eq!(sink.received.lock().unwrap().items, 5, "{title}: {log}");
    assert!(log.contains("the TLS certificates were read again"), "{title}: {log}");
    no_secrets(&title, &log);
}

fn no_secrets(title: &str, log: &str) {
    for secret in [TOKEN, TENANT_TOKEN, PASSWORD, "YWxpY2U6", "PRIVATE KEY"] {
        assert!(!log.contains(secret), "{title} shows {secret}: {log}");
    }
}

async fn wrong_credentials(client: Client<'_>, (http, grpc): (u16, u16)) {
    for wrong in ["Bearer wrong", "Basic YWxpY2U6d3Jvbmc=", "Digest x"] {
        assert_eq!(client.post(http, wrong, 9).await, Some(401), "{wrong}");
        assert_eq!(client.call(grpc, wrong, 9).await, Some(Code::Unauthenticated), "{wrong}");
    }
}

/// Scenario: a receiver with TLS, client certificates, tokens and users; clients with and without
/// each; the server's certificate changes while it runs; the host logs at its debug level.
/// Guarantees: exactly the clients with certificate and token get in, over HTTP and gRPC, before
/// and after the change, and the host's log shows no secret.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_credentials() {
    let _together = together();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let plugins = linked();
    for host in all_hosts() {
        one_host(&host, plugins.path()).await;
    }
}

/// Scenario: an input without listeners is given the key of TLS. Guarantees: the host refuses it,
/// as it does for every input that has no use for it; a wrong option of ours is refused in words
/// that show no secret.
#[test]
fn keys_that_are_of_no_use_are_refused() {
    let _together = together();
    let plugins = linked();
    let folder = tempfile::tempdir().unwrap();
    let newest = real_hosts().into_iter().take(1);
    for host in newest.chain([bundled("5.1.0")]) {
        let file = folder.path().join("fluent-bit.yaml");
        let try_it = |pipeline: Pipeline| {
            std::fs::write(&file, pipeline.yaml(plugins.path())).unwrap();
            let output = run(&host, &["-c", file.to_str().unwrap()]);
            assert!(!output.status.success(), "{}", host.title());
            text(&output)
        };
        let emitter = Pipeline::default().input(&["name: ai_emitter", "tls: on"]);
        let shown = try_it(emitter.output(&["name: stdout", "match: '*'"]));
        assert!(shown.contains("does not support TLS"), "{}: {shown}", host.title());
        let (http, grpc) = (free_port(), free_port());
        let wrong = Pipeline::default()
            .otlp_in(http, grpc)
            .input_option(&format!("http_passwd: {PASSWORD}"))
            .input_option("tls.min_version: TLSv1.9")
            .output(&["name: stdout", "match: '*'"]);
        let shown = try_it(wrong);
        assert!(shown.contains("'http_user' is needed"), "{}: {shown}", host.title());
        assert!(shown.contains("'TLSv1.9' is not allowed"), "{}: {shown}", host.title());
        assert!(!shown.contains(PASSWORD), "{}: {shown}", host.title());
    }
}
