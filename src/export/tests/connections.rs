//! Connections that are made anew: for other certificates, for their age.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use tokio::sync::watch;

use super::receiver::{CONNECTION, Receiver, Say};
use super::transport::{Certificates, TlsFront, chunk, secure};
use super::{Bench, Fate, endpoint, grpc, now};
use crate::export::{OAuth2Settings, Protocol};
use crate::plugin::EventType;
use crate::runtime::{Runtime, Tasks};

/// A little longer than files are not looked at.
const LOOK: Duration = Duration::from_millis(1_100);

/// The number of the connection that a request came by.
fn connection(receiver: &Receiver, request: usize) -> String {
    receiver.seen()[request].headers[CONNECTION].to_str().unwrap().to_owned()
}

/// Waits until something is so.
fn until(what: impl Fn() -> bool) -> bool {
    let start = now();
    while start.elapsed() < test_timeout::at_most(Duration::from_secs(10)) {
        if what() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// Accepts all, the second request after a while.
fn slow_once(slow: Duration) -> Receiver {
    Receiver::start(move |n, _| if n == 1 { Say::Slow(slow) } else { Say::Accept })
}

/// Scenario: the endpoint and its client get other certificates, which do not know the former
/// ones, while a request is in flight; then one file goes wrong. Guarantees: new connections with
/// the new files, the request ends well, the old connection ends; a wrong file changes nothing.
#[test]
fn changed_certificates_make_new_connections() {
    for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
        let (first, second) = (Certificates::new(), Certificates::new());
        let receiver = slow_once(Duration::from_millis(2_500));
        let front = TlsFront::start(first.server_config(true), receiver.address);
        let endpoint = secure("main", protocol, &front, first.client_settings(true));
        let bench = Bench::new(vec![endpoint]);
        assert_eq!(bench.deliver(2, &chunk()), Fate::Done, "{}", bench.log());
        let slow = bench.submit(EventType::Logs, 4, &chunk());
        assert!(until(|| receiver.seen().len() == 2));
        assert_eq!(connection(&receiver, 0), connection(&receiver, 1));

        front.turn_to(second.server_config(true));
        for file in ["ca.pem", "crt.pem", "key.pem"] {
            std::fs::rename(second.path(file), first.path(file)).unwrap();
        }
        std::thread::sleep(LOOK);
        assert_eq!(bench.deliver(6, &chunk()), Fate::Done, "{}", bench.log());
        assert_ne!(connection(&receiver, 1), connection(&receiver, 2));
        assert_eq!(
            slow.wait(test_timeout::at_most(Duration::from_secs(10))),
            Some(Fate::Done),
            "{}",
            bench.log()
        );
        assert!(until(|| front.connections() == 1), "{} connections", front.connections());
        assert!(bench.log().contains("endpoint 'main': changed certificates were taken"));

        std::fs::write(first.path("crt.pem"), "rubbish").unwrap();
        for task in [8, 10] {
            std::thread::sleep(LOOK);
            assert_eq!(bench.deliver(task, &chunk()), Fate::Done, "{}", bench.log());
        }
        assert_eq!(connection(&receiver, 2), connection(&receiver, 4));
        let log = bench.log();
        let signal = log.matches("endpoint 'main' keeps its former certificates: option").count();
        assert_eq!(signal, 1, "{log}");
        assert_eq!(bench.count("failed_requests_total", &["main"]), 0);
    }
}

/// Scenario: the token service gets other certificates, and its client does. Guarantees: the next
/// token is fetched with them.
#[test]
fn tokens_are_fetched_with_changed_certificates() {
    let (first, second) = (Certificates::new(), Certificates::new());
    let service = Receiver::start(|n, _| {
        let body = format!("{{\"access_token\":\"token{n}\",\"expires_in\":1}}");
        Say::Http(200, Vec::new(), body.into_bytes())
    });
    let front = TlsFront::start(first.server_config(true), service.address);
    let receiver = Receiver::accepting();
    let mut main = endpoint("main", &receiver);
    main.tls = first.client_settings(true);
    main.credentials.oauth2 = Some(OAuth2Settings {
        token_url: format!("https://localhost:{}", front.port).parse().unwrap(),
        client_id: "me".to_owned(),
        client_secret: "hush".to_owned(),
        ..OAuth2Settings::default()
    });
    let bench = Bench::new(vec![main]);
    assert_eq!(bench.deliver(2, &chunk()), Fate::Done, "{}", bench.log());
    front.turn_to(second.server_config(true));
    for file in ["ca.pem", "crt.pem", "key.pem"] {
        std::fs::rename(second.path(file), first.path(file)).unwrap();
    }
    std::thread::sleep(LOOK);
    assert_eq!(bench.deliver(4, &chunk()), Fate::Done, "{}", bench.log());
    let used: Vec<_> =
        receiver.seen().iter().map(|seen| seen.headers["authorization"].clone()).collect();
    assert_eq!(used, ["Bearer token0", "Bearer token1"]);
    assert_ne!(connection(&service, 0), connection(&service, 1));
}

/// Scenario: a key that belongs to another certificate, then the right one. Guarantees: the former
/// connections stay until both fit.
#[test]
fn a_key_that_does_not_fit_waits_for_its_certificate() {
    let (first, second) = (Certificates::new(), Certificates::new());
    let receiver = Receiver::accepting();
    let front = TlsFront::start(first.server_config(true), receiver.address);
    let tls = first.client_settings(true);
    let bench = Bench::new(vec![secure("main", Protocol::HttpProtobuf, &front, tls)]);
    assert_eq!(bench.deliver(2, &chunk()), Fate::Done, "{}", bench.log());
    front.turn_to(second.server_config(true));
    for (task, file) in [(4, "key.pem"), (6, "ca.pem"), (8, "crt.pem")] {
        std::fs::rename(second.path(file), first.path(file)).unwrap();
        std::thread::sleep(LOOK);
        assert_eq!(bench.deliver(task, &chunk()), Fate::Done, "{}", bench.log());
    }
    let used: Vec<_> = (0..4).map(|request| connection(&receiver, request)).collect();
    assert_eq!(used, ["0", "0", "0", "1"]);
    let log = bench.log();
    assert!(log.contains("keeps its former certificates") && log.contains("were taken"), "{log}");
}

/// Scenario: requests before and after the end of the connections' life, one of them in flight.
/// Guarantees: the later ones come by new connections, the one in flight ends well; without the
/// option connections stay.
#[test]
fn connections_are_used_for_their_time() {
    for make in [endpoint, grpc] {
        for (age, expected) in [(Some(Duration::from_secs(1)), ["0", "0", "1"]), (None, ["0"; 3])] {
            let receiver = slow_once(Duration::from_millis(1_800));
            let mut main = make("main", &receiver);
            main.max_connection_age = age;
            // HTTP/1 needs a second connection for a second request at a time.
            let expected = match (age, main.protocol) {
                (None, Protocol::HttpProtobuf) => ["0", "0", "1"],
                _ => expected,
            };
            let bench = Bench::new(vec![main]);
            assert_eq!(bench.deliver(2, &chunk()), Fate::Done, "{}", bench.log());
            let slow = bench.submit(EventType::Logs, 4, &chunk());
            assert!(until(|| receiver.seen().len() == 2));
            std::thread::sleep(LOOK);
            assert_eq!(bench.deliver(6, &chunk()), Fate::Done, "{}", bench.log());
            assert_eq!(
                slow.wait(test_timeout::at_most(Duration::from_secs(10))),
                Some(Fate::Done),
                "{}",
                bench.log()
            );
            assert_eq!([0, 1, 2].map(|request| connection(&receiver, request)), expected);
            if age.is_none() {
                assert_eq!(bench.deliver(8, &chunk()), Fate::Done, "{}", bench.log());
                assert!(["0", "1"].contains(&connection(&receiver, 3).as_str()));
            }
            assert_eq!(bench.count("failed_requests_total", &["main"]), 0);
        }
    }
}

/// Carries bytes to a receiver. The connections of now can be made to fall silent for ever.
struct Line {
    address: SocketAddr,
    silent: watch::Sender<u64>,
    tasks: Tasks,
    _runtime: Runtime,
}

impl Line {
    fn start(behind: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let runtime = Runtime::acquire().unwrap();
        let (tasks, silent) = (runtime.tasks(), watch::Sender::new(0));
        let (inner, count) = (tasks.clone(), silent.subscribe());
        tasks.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut count = count.clone();
                count.mark_unchanged();
                inner.spawn(async move {
                    let mut plain = tokio::net::TcpStream::connect(behind).await.unwrap();
                    tokio::select! {
                        _ended = tokio::io::copy_bidirectional(&mut stream, &mut plain) => {}
                        _silent = count.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self { address, silent, tasks, _runtime: runtime }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

/// Scenario: an HTTP/2 connection dies without a word while nobody uses it. Guarantees: the next
/// request notices it by a ping and comes through by a new connection, without a timeout.
#[test]
fn a_dead_connection_is_noticed_before_the_timeout() {
    let receiver = Receiver::accepting();
    let line = Line::start(receiver.address);
    let mut main = grpc("main", &receiver);
    main.url = format!("http://{}", line.address).parse().unwrap();
    main.timeout = Duration::from_secs(6);
    let bench = Bench::new(vec![main]);
    assert_eq!(bench.deliver(2, &chunk()), Fate::Done, "{}", bench.log());
    line.silent.send_modify(|times| *times += 1);
    std::thread::sleep(Duration::from_millis(10_200));
    let start = now();
    assert_eq!(bench.deliver(4, &chunk()), Fate::Done, "{}", bench.log());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(bench.count("failed_requests_total", &["main", "transport"]), 1);
    assert_eq!(bench.count("failed_requests_total", &["main", "timeout"]), 0);
    assert_eq!(connection(&receiver, 1), "1");
}
