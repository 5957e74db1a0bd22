//! Diagnosis: addresses that are wrong, and what is said of them.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::data::{log_chunk, logs, metric_chunk, metrics};
use super::receiver::{Receiver, Say};
use super::transport::{Certificates, TlsFront, chunk, secure};
use super::{Bench, Duration, Fate, endpoint, grpc};
use crate::export::{
    ClientTlsSettings, DeadLetterTarget, EndpointSettings, OnMisdirected, Protocol,
};

const PAGE: &[u8] = b"<!DOCTYPE html><html><body>Welcome</body></html>";

fn page() -> Say {
    Say::Http(200, vec![("content-type", "text/html; charset=utf-8".to_owned())], PAGE.to_vec())
}

#[test]
fn a_web_page_is_no_success() {
    let receiver = Receiver::start(|_, _| page());
    for protocol in [Protocol::HttpProtobuf, Protocol::HttpJson] {
        let main = EndpointSettings { protocol, ..endpoint("main", &receiver) };
        let bench = Bench::new(vec![main]);
        assert_eq!(bench.deliver(1, &chunk()), Fate::Done);
        assert_eq!(bench.deliver(2, &metric_chunk(&metrics(2))), Fate::Done);
        assert_eq!(bench.count("sent_items_total", &["main"]), 0);
        assert_eq!(bench.count("failed_requests_total", &["main", "not_otlp"]), 2);
        assert_eq!(bench.count("dropped_items_total", &["main", "not_otlp"]), 3);
        let log = bench.log();
        let url = format!("http://{}/v1/traces", receiver.address);
        for expected in ["'main'", &url, "'text/html'", "<!DOCTYPE html>", "its path may be wrong"]
        {
            assert!(log.contains(expected), "{expected}: {log}");
        }
    }
}

#[test]
fn it_is_kept_where_that_is_wanted() {
    for say in [page, || Say::Http(404, vec![], vec![])] {
        let receiver = Receiver::start(move |n, _| if n == 0 { say() } else { Say::Accept });
        let on_misdirected = OnMisdirected::Retry;
        let main = EndpointSettings { on_misdirected, ..endpoint("main", &receiver) };
        let bench = Bench::new(vec![main]);
        assert_eq!(bench.deliver(1, &chunk()), Fate::Retry);
        assert_eq!(bench.count("dropped_items_total", &["main"]), 0);
        assert_eq!(bench.deliver(1, &chunk()), Fate::Done);
        assert_eq!(bench.count("sent_items_total", &["main", "traces"]), 1);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letters");
    let receiver = Receiver::start(|_, _| page());
    let dead_letter = Some(DeadLetterTarget::File(file.clone(), 100_000));
    let main = EndpointSettings { dead_letter, ..endpoint("main", &receiver) };
    let bench = Bench::new(vec![main]);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Done);
    assert_eq!(bench.count("dead_letter_items_total", &["main"]), 1);
    let letters = std::fs::read_to_string(file).unwrap();
    assert!(letters.contains("not_otlp") && letters.contains("text/html"), "{letters}");
}

#[test]
fn a_backend_of_traces_alone_is_recognised() {
    let receiver = Receiver::start(|_, seen| match seen.path.as_str() {
        "/v1/traces" => Say::Accept,
        path if path.contains("Metrics") || path.contains("grpc/metrics") => {
            Say::Grpc(tonic::Status::unimplemented("unknown service"))
        }
        path if path.starts_with("grpc/") => Say::Accept,
        _ => Say::Http(404, vec![], b"404 page not found".to_vec()),
    });
    for make in [endpoint, grpc] {
        let bench = Bench::new(vec![make("main", &receiver)]);
        assert_eq!(bench.deliver(1, &chunk()), Fate::Done);
        assert_eq!(bench.deliver(2, &metric_chunk(&metrics(2))), Fate::Done);
        assert_eq!(bench.count("dropped_items_total", &["main", "misdirected"]), 2);
        let log = bench.log();
        assert!(log.contains("'endpoint.main.signals: traces'"), "{log}");
    }
    let bench = Bench::new(vec![endpoint("main", &receiver)]);
    assert_eq!(bench.deliver(1, &log_chunk(&logs(&["a"]))), Fate::Done);
    let log = bench.log();
    assert!(log.contains("the path of the url may be wrong, or it takes no logs"), "{log}");
}

#[expect(clippy::disallowed_methods, reason = "a server that ends with the test's process")]
fn saying_forever(listener: TcpListener, bytes: &'static [u8]) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            let mut heard = [0; 4096];
            let _some = stream.read(&mut heard);
            let _sent = stream.write_all(bytes);
            // What else comes is read, so that the end is no reset.
            while stream.read(&mut heard).is_ok_and(|count| count > 0) {}
        }
    });
}

/// A server that says these bytes to whoever speaks to it, and closes.
fn saying(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    saying_forever(listener, bytes);
    port
}

const HTTP1: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
/// `protocol_version`, as a record of TLS.
const ALERT: &[u8] = &[0x15, 3, 3, 0, 2, 2, 70];
/// `SETTINGS` and `GOAWAY`.
const HTTP2: &[u8] = &[
    0, 0, 0, 4, 0, 0, 0, 0, 0, //
    0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
];

#[test]
fn failures_name_the_url_and_a_likely_cause() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let plain = saying(HTTP1);
    for (protocol, url, expected) in [
        (Protocol::HttpProtobuf, format!("http://127.0.0.1:{closed}"), "nothing listens"),
        (Protocol::Grpc, format!("http://127.0.0.1:{closed}"), "nothing listens"),
        (Protocol::HttpProtobuf, "http://nowhere.invalid:1".to_owned(), "name of the host"),
        (Protocol::Grpc, "http://nowhere.invalid:1".to_owned(), "name of the host"),
        (
            Protocol::HttpProtobuf,
            format!("https://127.0.0.1:{plain}"),
            "write the url with http://",
        ),
        (Protocol::Grpc, format!("https://127.0.0.1:{plain}"), "write the url with http://"),
        (Protocol::Grpc, format!("http://127.0.0.1:{plain}"), "'protocol: http/protobuf'"),
        (
            Protocol::HttpProtobuf,
            format!("http://127.0.0.1:{}", saying(ALERT)),
            "write the url with https://",
        ),
        (Protocol::Grpc, format!("http://127.0.0.1:{}", saying(ALERT)), "with https://"),
        (Protocol::HttpProtobuf, format!("http://127.0.0.1:{}", saying(HTTP2)), "'protocol: grpc'"),
        (
            Protocol::HttpProtobuf,
            format!(
                "http://127.0.0.1:{}",
                saying(
                    b"HTTP/1.1 400 Bad Request\r\ncontent-length: 49\r\n\r\n\
                      Client sent an HTTP request to an HTTPS server.\r\n"
                )
            ),
            "write the url with https://",
        ),
    ] {
        let mut main = EndpointSettings::new("main", url.parse().unwrap());
        (main.protocol, main.timeout) = (protocol, Duration::from_secs(5));
        let bench = Bench::new(vec![main]);
        let _fate = bench.deliver(1, &chunk());
        let log = bench.log();
        assert!(log.contains(expected), "{protocol:?} {url} '{expected}': {log}");
        assert!(log.contains(&url), "{log}");
        assert!(!log.contains("operation was canceled"), "{log}");
    }
}

#[test]
fn failures_of_certificates_say_what_helps() {
    let certificates = Certificates::new();
    let receiver = Receiver::accepting();
    let front = TlsFront::start(certificates.server_config(false), receiver.address);
    for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
        let unknown = secure("main", protocol, &front, ClientTlsSettings::default());
        let mut named = secure("main", protocol, &front, certificates.client_settings(false));
        named.url = format!("https://127.0.0.1:{}", front.port).parse().unwrap();
        for (settings, expected) in [(unknown, "'tls.ca_file'"), (named, "'tls.server_name'")] {
            let bench = Bench::new(vec![settings]);
            assert_eq!(bench.deliver(1, &chunk()), Fate::Retry);
            let log = bench.log();
            assert!(log.contains(expected), "{expected}: {log}");
        }
    }
}

#[test]
fn credentials_stay_out_of_what_is_said() {
    let receiver = Receiver::start(|_, _| Say::Http(401, vec![], b"no".to_vec()));
    let url = format!("http://user:hush@{}/?key=hush", receiver.address);
    let bench = Bench::new(vec![EndpointSettings::new("main", url.parse().unwrap())]);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Done);
    let log = bench.log();
    assert!(log.contains("asks for credentials") && !log.contains("hush"), "{log}");
    assert!(log.contains(&format!("http://{}/v1/traces?...", receiver.address)), "{log}");
}
