//! More than the host takes: memory stays flat, senders learn in time, and nothing is stored twice.

use std::net::TcpStream;
use std::time::Duration;

use super::h2::Client;
use super::host::{Host, settings};
use super::post::{PROTOBUF, export, receive, send};
use super::samples;
use crate::clock;
use crate::receive::{ClientLimits, ReceiverSettings};

fn impatient(queue_timeout: Duration) -> ReceiverSettings {
    ReceiverSettings {
        limits: ClientLimits { queue_timeout, ..ClientLimits::default() },
        ..settings()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_too_long_is_asked_to_send_again() {
    let host = Host::with(&impatient(Duration::from_millis(200)));
    host.hold(true);
    let body = samples::traces(2, 10);
    let start = clock::now();
    let answer = export(host.http, "/v1/traces", &body);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert!(answer.message().contains("in time"), "{}", answer.message());
    let client = Client::tcp(host.grpc).await;
    assert_eq!(client.grpc("", &body).await.unwrap().grpc().0, "14");
    assert!(clock::now().since(start) < Duration::from_secs(5));
    assert_eq!(host.count("refused_items_total", &["traces", "queue_timeout"]), 4);
    assert_eq!(host.count("refused_requests_total", &["queue_timeout"]), 2);
    assert_eq!(host.count("queue_bytes", &[]), 0);
    host.hold(false);
    assert_eq!(host.records(), 0);
    assert_eq!(export(host.http, "/v1/traces", &body).status, 200);
    assert_eq!(host.records(), 2);
    host.assert_sums();
}

/// Sends a request until it is taken; returns how often it was refused.
fn persist(host: &Host, body: &[u8]) -> usize {
    for refused in 0.. {
        let answer = export(host.http, "/v1/traces", body);
        match answer.status {
            200 => return refused,
            // One second at first, two where it lasts longer.
            429 | 503 => assert!(matches!(answer.header("retry-after"), Some("1" | "2"))),
            other => panic!("{other}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    unreachable!("it goes on for ever")
}

#[test]
fn an_overload_is_bounded_and_everything_comes_exactly_once() {
    const CLIENTS: usize = 16;
    const LIMIT: usize = 1 << 20;
    let host = Host::with(&ReceiverSettings {
        max_queue_size: LIMIT,
        ..impatient(Duration::from_millis(200))
    });
    // A client's request takes a quarter of the queue.
    let body = samples::traces(400, 500);
    host.hold(true);
    let refused: usize = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| persist(&host, &body))).collect();
        let start = clock::now();
        let mut highest = 0;
        while clock::now().since(start) < Duration::from_secs(1) {
            highest = highest.max(host.count("queue_bytes", &[]));
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(host.records(), 0);
        // One request may go beyond the limit, and no other.
        assert!(highest > 0 && highest <= 2 * LIMIT as u64, "{highest}");
        assert!(host.count("refused_requests_total", &["queue_full"]) > 0);
        assert!(host.count("refused_requests_total", &["queue_timeout"]) > 0);
        host.hold(false);
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert!(refused >= CLIENTS / 2);
    assert_eq!(host.records(), CLIENTS * 400);
    host.assert_sums();
}

#[test]
fn a_large_request_gets_through_among_small_ones() {
    let large = samples::traces(1, 900_000);
    // Its body and its events together take more than the queue.
    let host = Host::with(&ReceiverSettings { max_queue_size: 1 << 20, ..settings() });
    host.hold(true);
    let small = send(host.http, "POST", "/v1/traces", PROTOBUF, &samples::traces(1, 10));
    host.wait_for("received_items_total", &["traces"], 1);
    let waiting = send(host.http, "POST", "/v1/traces", PROTOBUF, &large);
    host.wait_for("received_items_total", &["traces"], 2);
    host.hold(false);
    assert_eq!((receive(small).status, receive(waiting).status), (200, 200));
    host.assert_sums();
}

#[test]
fn one_large_request_does_not_keep_the_small_ones_out() {
    let host = Host::with(&ReceiverSettings { max_request_size: 16 << 20, ..settings() });
    host.hold(true);
    let large = send(host.http, "POST", "/v1/traces", PROTOBUF, &samples::traces(40_000, 10));
    host.wait_for("received_items_total", &["traces"], 40_000);
    // It holds more than the queue may: others are told so at once, not after a time.
    let full = host.count("queue_bytes", &[]) >= 8 << 20;
    let start = clock::now();
    let answer = export(host.http, "/v1/traces", &samples::traces(1, 10));
    assert_eq!((full, answer.status), (true, 429));
    assert!(clock::now().since(start) < Duration::from_secs(2));
    host.hold(false);
    assert_eq!(receive(large).status, 200);
    let many: Vec<TcpStream> = (0..200)
        .map(|_| send(host.http, "POST", "/v1/traces", PROTOBUF, &samples::traces(1, 10)))
        .collect();
    assert!(many.into_iter().all(|stream| receive(stream).status == 200));
    assert_eq!(host.records(), 40_200);
    host.assert_sums();
}
