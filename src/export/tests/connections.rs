//! Connections that are made anew: for other certificates, for their age.

use std::time::Duration;

use super::receiver::{CONNECTION, Receiver, Say};
use super::transport::{Certificates, TlsFront, chunk, secure};
use super::{Bench, Fate, now};
use crate::export::Protocol;
use crate::plugin::EventType;

/// A little longer than files are not looked at.
const LOOK: Duration = Duration::from_millis(1_100);

/// The number of the connection that a request came by.
fn connection(receiver: &Receiver, request: usize) -> String {
    receiver.seen()[request].headers[CONNECTION].to_str().unwrap().to_owned()
}

/// Waits until something is so.
fn until(what: impl Fn() -> bool) -> bool {
    let start = now();
    while start.elapsed() < Duration::from_secs(10) {
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
        assert_eq!(slow.wait(Duration::from_secs(10)), Some(Fate::Done), "{}", bench.log());
        assert!(until(|| front.connections() == 1), "{} connections", front.connections());
        assert!(bench.log().contains("endpoint 'main': changed certificates were taken"));

        std::fs::write(first.path("crt.pem"), "rubbish").unwrap();
        for task in [8, 10] {
            std::thread::sleep(LOOK);
            assert_eq!(bench.deliver(task, &chunk()), Fate::Done, "{}", bench.log());
        }
        assert_eq!(connection(&receiver, 2), connection(&receiver, 4));
        let log = bench.log();
        let told = log.matches("endpoint 'main' keeps its former certificates: option").count();
        assert_eq!(told, 1, "{log}");
        assert_eq!(bench.count("failed_requests_total", &["main"]), 0);
    }
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
