//! Backpressure, pauses, clients that leave, and the end: nothing is lost, nothing stored twice.

use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::host::{Host, settings};
use super::post::{Answer, PROTOBUF, export, receive, send};
use super::samples;
use crate::model::Signal;
use crate::plugin::Waker;
use crate::receive::{ClientLimits, Receiver, ReceiverSettings};
use crate::stats::{Counters, Log};

fn export_traces(host: &Host, spans: usize) -> Answer {
    export(host.http, "/v1/traces", &samples::traces(spans, 10))
}

fn start_traces(host: &Host, spans: usize) -> TcpStream {
    send(host.http, "POST", "/v1/traces", PROTOBUF, &samples::traces(spans, 10))
}

#[test]
fn a_paused_host_is_answered_503_and_the_next_try_is_stored_once() {
    let host = Host::start();
    host.pause();
    let answer = export_traces(&host, 2);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert!(answer.message().contains("again"));
    // A large body that is refused unread must not cost the sender the answer.
    let answer = export(host.http, "/v1/traces", &vec![0; 4 << 20]);
    assert_eq!(answer.status, 503);
    host.resume();
    assert_eq!(export_traces(&host, 2).status, 200);
    assert_eq!(host.records(), 2);
    host.assert_sums();
}

#[test]
fn what_waits_at_a_pause_goes_back_to_its_sender() {
    let host = Host::start();
    host.hold(true);
    let waiting = [start_traces(&host, 2), start_traces(&host, 3)];
    host.wait_for("received_items_total", &["traces"], 5);
    host.pause();
    for stream in waiting {
        assert_eq!(receive(stream).status, 503);
    }
    host.resume();
    host.hold(false);
    assert_eq!(host.records(), 0);
    assert_eq!(host.count("refused_items_total", &["traces", "paused"]), 5);
    host.assert_sums();
}

#[test]
fn what_the_host_refuses_is_answered_503() {
    let host = Host::start();
    host.hold(true);
    host.refuse(true);
    let waiting = [start_traces(&host, 2), start_traces(&host, 3)];
    host.wait_for("received_items_total", &["traces"], 5);
    host.hold(false);
    for stream in waiting {
        let answer = receive(stream);
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    }
    host.refuse(false);
    assert_eq!(export_traces(&host, 5).status, 200);
    assert_eq!(host.records(), 5);
    host.assert_sums();
}

#[test]
fn a_full_queue_is_answered_429() {
    let host = Host::with(&ReceiverSettings { max_queue_size: 2000, ..settings() });
    host.hold(true);
    let first = start_traces(&host, 20);
    host.wait_for("received_items_total", &["traces"], 20);
    let answer = export_traces(&host, 20);
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
    host.hold(false);
    assert_eq!(receive(first).status, 200);
    assert_eq!(export_traces(&host, 20).status, 200);
    assert_eq!(host.records(), 40);
    assert_eq!(host.count("refused_requests_total", &["queue_full"]), 1);
    host.assert_sums();
}

/// Scenario: the outputs send nothing for a while.
/// Guarantees: what waits in memory stays within the limit; requests wait, then their senders are
/// told to come again, as are those that come when there is no room at all; it goes on as soon as
/// something was sent, without anybody asking for it.
#[test]
fn what_waits_in_memory_stays_within_its_limit() {
    let limits =
        ClientLimits { queue_timeout: Duration::from_millis(300), ..ClientLimits::default() };
    let bytes = samples::traces(20, 10).len();
    let limit = 100 * bytes;
    let host = Host::with(&ReceiverSettings { max_memory: Some(limit), limits, ..settings() });
    let mut stored = 0;
    let refused = loop {
        let answer = export_traces(&host, 20);
        if answer.status != 200 {
            break answer;
        }
        stored += 20;
        assert!(stored < 20_000, "there is no limit");
    };
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert_eq!(host.count("refused_requests_total", &["memory_full"]), 1);
    assert_eq!(host.count("refused_items_total", &["traces", "memory_full"]), 20);
    assert_eq!(host.count("memory_full_total", &[]), 1);
    let held = usize::try_from(host.count("chunk_bytes", &[])).unwrap();
    assert!((limit * 7 / 8..=limit).contains(&held), "{held} of {limit}");
    let said: Vec<String> = host.log.take().into_iter().map(|line| line.text).collect();
    assert_eq!(said.iter().filter(|text| text.contains("'max_memory'")).count(), 1, "{said:?}");
    // Many at once find no room at all, but for one; nobody waits in vain for long.
    let waiting: Vec<_> = (0..40).map(|_| start_traces(&host, 20)).collect();
    let answers: Vec<u16> = waiting.into_iter().map(|stream| receive(stream).status).collect();
    assert!(answers.iter().all(|status| *status == 429), "{answers:?}");
    // Who waits when something is sent is stored.
    let waiting = start_traces(&host, 20);
    host.wait_until(|| host.count("queue_bytes", &[]) > 0);
    host.sent(limit / 2);
    assert_eq!(receive(waiting).status, 200);
    assert_eq!(export_traces(&host, 20).status, 200);
    assert_eq!(host.records(), stored + 40);
    host.assert_sums();
}

#[test]
fn a_client_that_left_is_not_stored() {
    let host = Host::start();
    host.hold(true);
    let impatient = start_traces(&host, 2);
    host.wait_for("received_items_total", &["traces"], 2);
    impatient.shutdown(Shutdown::Both).unwrap();
    drop(impatient);
    // The server learns of it when it reads the end of the connection.
    std::thread::sleep(Duration::from_millis(300));
    let again = start_traces(&host, 2);
    host.wait_for("received_items_total", &["traces"], 4);
    host.hold(false);
    assert_eq!(receive(again).status, 200);
    assert_eq!(host.records(), 2);
    assert_eq!(host.count("refused_items_total", &["traces", "client_gone"]), 2);
    host.assert_sums();
}

#[test]
fn a_client_that_leaves_within_its_body_is_no_harm() {
    let host = Host::start();
    let body = samples::traces(1, 10);
    let headers = format!("{PROTOBUF}content-length: 1000\r\n");
    drop(super::post::send_raw(host.http, "POST", "/v1/traces", &headers, &body));
    assert_eq!(export_traces(&host, 1).status, 200);
    host.wait_until(|| host.count("queue_bytes", &[]) == 0);
    assert_eq!(host.records(), 1);
}

#[test]
fn a_shutdown_stores_what_waits_and_closes_the_door() {
    let mut host = Host::start();
    host.hold(true);
    let waiting: Vec<TcpStream> = (0..4).map(|_| start_traces(&host, 2)).collect();
    host.wait_for("received_items_total", &["traces"], 8);
    host.close();
    for stream in waiting {
        assert_eq!(receive(stream).status, 200);
    }
    assert_eq!(host.records(), 8);
    assert!(TcpStream::connect(host.http).is_err());
    assert!(TcpStream::connect(host.grpc).is_err());
    host.resume();
    host.assert_sums();
    host.end();
}

#[test]
fn an_idle_connection_does_not_hold_up_the_end() {
    let mut host = Host::start();
    let idle = TcpStream::connect(host.http).unwrap();
    host.wait_until(|| true);
    let start = crate::clock::now();
    host.close();
    host.end();
    assert!(crate::clock::now().since(start) < Duration::from_secs(3));
    drop(idle);
}

#[test]
fn a_taken_port_is_named() {
    let host = Host::start();
    let (http_port, grpc_port) = (Some(host.http.port()), Some(host.grpc.port()));
    let taken = ReceiverSettings { http_port, grpc_port, ..settings() };
    let counters = Counters::default();
    let log = std::sync::Arc::new(Log::default());
    let error = Receiver::open(&taken, Waker::new(|| ()), &counters, log).unwrap_err();
    assert_eq!(error.0.len(), 2);
    assert!(error.0[0].contains(&host.grpc.to_string()), "{error}");
    assert!(error.0[0].contains("'grpc_port'"), "{error}");
    assert!(error.0[1].contains("'http_port'"), "{error}");
}

#[test]
fn many_clients_at_once_are_stored_exactly_once() {
    const CLIENTS: usize = 8;
    const REQUESTS: usize = 25;
    let host = Host::start();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let host = &host;
            scope.spawn(move || {
                let signal = Signal::ALL[client % 2 * 2];
                for _ in 0..REQUESTS {
                    let body = samples::request(signal, 3);
                    assert_eq!(export(host.http, signal.http_path(), &body).status, 200);
                }
            });
        }
    });
    assert_eq!(host.records(), CLIENTS * REQUESTS * 3);
    host.assert_sums();
}
