//! Options of the stock plugins whose effect shows on the wire: the output's short form with what
//! hosts keep for themselves, HTTP/2 off, encrypted keys, and a proxy from the environment.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use prost::Message as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use crate::client::Client;
use crate::hosts::{Host, RunningHost, free_port};
use crate::security::spans;
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, run, text, together};

/// What a small HTTP/1.1 server saw of a request: who asked, and the first line.
#[derive(Debug, Clone)]
struct Asked {
    from: std::net::IpAddr,
    line: String,
}

/// A server that takes everything, and a proxy that leads nowhere: `CONNECT` gets 502.
struct Plain {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Plain {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let shared = Arc::clone(&asked);
        std::thread::spawn(move || {
            while let Ok((stream, from)) = listener.accept() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, from.ip(), &shared));
            }
        });
        Self { port, asked }
    }

    fn lines(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|asked| asked.line.clone()).collect()
    }

    /// Waits for the first request, and gives it.
    fn first(&self, running: &RunningHost) -> Asked {
        let start = Instant::now();
        loop {
            if let Some(first) = self.asked.lock().unwrap().first() {
                return first.clone();
            }
            assert!(
                start.elapsed() < testkit::at_most(Duration::from_secs(20)),
                "{}",
                running.log_text()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Answers the requests of one connection.
fn serve(mut stream: TcpStream, from: std::net::IpAddr, asked: &Mutex<Vec<Asked>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_owned());
        }
        let length = lines.iter().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        let line = lines.first()?.clone();
        let answer = if line.starts_with("CONNECT") { "502 Bad Gateway" } else { "200 OK" };
        asked.lock().unwrap().push(Asked { from, line });
        write!(stream, "HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n").ok()?;
    }
}

/// Sends one span and waits until it is taken.
async fn send(port: u16) {
    let mut client = Client::connect(port, false).await.unwrap();
    client
        .send("/v1/traces", TelemetryShape::Genai.service(), spans(1).encode_to_vec())
        .await
        .unwrap();
}

fn short_form(input: u16, port: u16) -> Pipeline {
    Pipeline::default().otlp_in(input, input).output(&[
        "name: multi_otlp",
        "match: '*'",
        "host: 127.0.0.1",
        &format!("port: {port}"),
    ])
}

/// Scenario: `multi_otlp` is written as the stock output is: `host` and `port`, which hosts keep for
/// themselves, and `net.*`, for which they have a list of its own.
/// Guarantees: on every host the request comes to the endpoint, from the address that `net.*` says;
/// a value of `net.*` that cannot be stops the start by its name.
#[tokio::test(flavor = "multi_thread")]
async fn the_short_form_reaches_its_endpoint() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let (server, port) = (Plain::start(), free_port());
        let pipeline = short_form(port, server.port)
            .output_option("net.source_address: 127.0.0.7")
            .output_option("net.keepalive: off");
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), port);
        send(port).await;
        let first = server.first(&running);
        assert_eq!(first.from, Ipv4Addr::new(127, 0, 0, 7), "{}", host.title());
        assert_eq!(first.line, "POST /v1/traces HTTP/1.1", "{}", host.title());
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());

        let wrong = short_form(port, server.port).output_option("net.source_address: eth0");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fluent-bit.yaml");
        std::fs::write(&file, wrong.yaml(plugins.path())).unwrap();
        let output = run(&host, &["-c", file.to_str().unwrap()]);
        let log = text(&output);
        assert_ne!(output.status.code(), Some(124), "{} ignores it: {log}", host.title());
        assert!(log.contains("net.source_address") && log.contains("eth0"), "{log}");
    }
}

/// Scenario: `http2: off` on the input. Guarantees: on every host HTTP/1.1 is served, HTTP/2 and with
/// it gRPC are not, and no port is opened for gRPC.
#[tokio::test(flavor = "multi_thread")]
async fn without_http2_there_is_http1_alone() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let (sink, port) = (Sink::start(0, Keep::Requests).await, free_port());
        let input = |option: &str| {
            Pipeline::default()
                .input(&["name: ai_otlp", "listen: 127.0.0.1", &format!("port: {port}"), option])
                .otlp_out(&[("one", sink.port, "http/protobuf")])
        };
        let running = RunningHost::start(&host, &input("http2: off").yaml(plugins.path()), port);
        let title = host.title();
        send(port).await;
        assert!(!answers_http2(port), "{title} speaks HTTP/2");
        let grpc = TcpStream::connect(("127.0.0.1", 4317));
        assert!(grpc.is_err(), "{title} opened a port for gRPC");
        sink.settle(1, Duration::from_secs(1), Duration::from_secs(20)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{title}: {log}");
        assert_eq!(sink.received.lock().unwrap().items, 1, "{title}: {log}");
        // The same question has the other answer where HTTP/2 is on.
        let on = input("http2: on").input_option("grpc_port: off");
        let running = RunningHost::start(&host, &on.yaml(plugins.path()), port);
        assert!(answers_http2(port), "{title} does not speak HTTP/2");
        drop(running.stop());
    }
}

/// Whether a server answers the preface of HTTP/2 with a frame of settings.
fn answers_http2(port: u16) -> bool {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(testkit::at_most(Duration::from_secs(5)))).unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).is_ok() && frame[3] == 4
}

/// A key, and the same encrypted with the password `secret`.
const PLAIN: &str = include_str!("../data/keys/plain.pem");
const ENCRYPTED: &str = include_str!("../data/keys/aes.pem");

/// The files of a machine whose certificate is for the encrypted key.
fn write_certificates(folder: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::from_pem(PLAIN).unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &issuer).unwrap();
    std::fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
    std::fs::write(folder.join("crt.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), ENCRYPTED).unwrap();
}

/// An input without TLS whose spans go, in the short form with TLS, to an input with it, and from
/// there to `out`. Each side shows a certificate, whose key has this password.
fn two_sides(folder: &Path, ports: (u16, u16), out: u16, passwords: [&str; 2]) -> Pipeline {
    let (plain, secure) = ports;
    let file = |name: &str| folder.join(name).display().to_string();
    let tls = |password: &str| {
        [
            "tls: on".to_owned(),
            "tls.verify: on".to_owned(),
            format!("tls.ca_file: {}", file("ca.pem")),
            format!("tls.crt_file: {}", file("crt.pem")),
            format!("tls.key_file: {}", file("key.pem")),
            format!("tls.key_passwd: {password}"),
        ]
    };
    let (port, to) = (format!("http_port: {plain}"), format!("port: {secure}"));
    let [receiver, sender] = passwords;
    let mut pipeline = Pipeline::default()
        .input(&["name: ai_otlp", "tag: plain", "listen: 127.0.0.1", &port, "grpc_port: off"])
        .input(&["name: ai_otlp", "tag: secure", "listen: 127.0.0.1", "grpc_port: off"])
        .input_option(&format!("http_port: {secure}"))
        .input_option("tls.verify_client_cert: on");
    for option in tls(receiver) {
        pipeline = pipeline.input_option(&option);
    }
    pipeline = pipeline.output(&["name: multi_otlp", "match: plain", "host: localhost", &to]);
    for option in tls(sender) {
        pipeline = pipeline.output_option(&option);
    }
    pipeline.output(&[
        "name: multi_otlp",
        "match: secure",
        &format!("endpoint.one.url: http://127.0.0.1:{out}"),
    ])
}

/// Scenario: the keys of both sides' certificates are encrypted, the sender is in the short form.
/// Guarantees: on every host the span comes through; with another password on either side the start
/// stops, and the log shows no password.
#[tokio::test(flavor = "multi_thread")]
async fn encrypted_keys_are_read_on_both_sides() {
    let _together = together();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let plugins = linked();
    let folder = tempfile::tempdir().unwrap();
    write_certificates(folder.path());
    for host in all_hosts() {
        let (sink, ports) = (Sink::start(0, Keep::Requests).await, (free_port(), free_port()));
        let with =
            |passwords| two_sides(folder.path(), ports, sink.port, passwords).yaml(plugins.path());
        let running = RunningHost::start(&host, &with(["secret", "secret"]), ports.0);
        send(ports.0).await;
        sink.settle(1, Duration::from_secs(1), Duration::from_secs(20)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        assert_eq!(sink.received.lock().unwrap().items, 1, "{}: {log}", host.title());
        assert!(!log.contains("secret"), "{log}");
        for passwords in [["wrong-word", "secret"], ["secret", "wrong-word"]] {
            let log = refused(&host, &with(passwords));
            // Real hosts read the key too, and are first.
            let expected = ["cannot be decrypted", "error initializing TLS context"];
            let message = expected.iter().any(|expected| log.contains(expected));
            assert!(message, "{} {passwords:?}: {log}", host.title());
            assert!(!log.contains("wrong-word"), "{log}");
        }
    }
}

/// The log of a host that does not start.
fn refused(host: &Host, configuration: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fluent-bit.yaml");
    std::fs::write(&file, configuration).unwrap();
    let output = run(host, &["-c", file.to_str().unwrap()]);
    let log = text(&output);
    assert_ne!(output.status.code(), Some(124), "{} starts: {log}", host.title());
    assert_ne!(output.status.code(), Some(0), "{}: {log}", host.title());
    log
}

/// Scenario: the environment names a proxy, and hosts that need none; endpoints with and without
/// `net.proxy_env_ignore: off`.
/// Guarantees: on every host those that ask for it go by the proxy, `https` by `CONNECT`, but not to
/// the hosts of `NO_PROXY`; those that do not ask go there themselves.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_taken_from_the_environment_by_option() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let (proxy, near, port) = (Plain::start(), Plain::start(), free_port());
        let own = Plain::start();
        let through = format!("http://127.0.0.1:{}", proxy.port);
        let environment = [
            ("HTTP_PROXY", through.clone()),
            ("HTTPS_PROXY", through),
            ("NO_PROXY", "127.0.0.1".to_owned()),
        ];
        let mut pipeline = Pipeline::default().otlp_in(port, port).output(&[
            "name: multi_otlp",
            "match: '*'",
            "endpoint.far.url: http://far.example:4318",
            "endpoint.secure.url: https://secure.example:4318",
            &format!("endpoint.near.url: http://127.0.0.1:{}", near.port),
            &format!("endpoint.own.url: http://localhost:{}", own.port),
            "endpoint.far.proxy_from_environment: on",
        ]);
        for name in ["secure", "near"] {
            pipeline =
                pipeline.output_option(&format!("endpoint.{name}.net.proxy_env_ignore: off"));
        }
        let configuration = pipeline.yaml(plugins.path());
        let running = RunningHost::start_with(&host, &configuration, port, &environment);
        send(port).await;
        let title = host.title();
        for (server, name) in [(&near, "near"), (&own, "own")] {
            let line = server.first(&running).line;
            assert_eq!(line, "POST /v1/traces HTTP/1.1", "{title} {name}");
        }
        let wanted = ["POST http://far.example:4318/v1/traces ", "CONNECT secure.example:4318 "];
        let start = Instant::now();
        while !wanted.iter().all(|one| proxy.lines().iter().any(|line| line.starts_with(one))) {
            let seen = proxy.lines();
            assert!(
                start.elapsed() < testkit::at_most(Duration::from_secs(20)),
                "{title}: {seen:?}: {}",
                running.log_text()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let seen = proxy.lines();
        let known = |line: &String| wanted.iter().any(|one| line.starts_with(one));
        assert!(seen.iter().all(known), "{title}: {seen:?}");
        running.signal("KILL");
    }
}
