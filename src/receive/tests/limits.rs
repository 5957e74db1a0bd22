//! What clients may cost: connections, headers, streams and time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::h2::Client;
use super::host::{Host, settings};
use super::post::{PROTOBUF, export, post, receive, send_raw};
use super::samples;
use crate::clock;
use crate::receive::{ClientLimits, ReceiverSettings};

const SHORT: Duration = Duration::from_millis(150);

fn with(change: impl FnOnce(&mut ClientLimits)) -> Host {
    let mut limits = ClientLimits::default();
    change(&mut limits);
    Host::with(&ReceiverSettings { limits, ..settings() })
}

fn closed(host: &Host, reason: &str) -> u64 {
    host.count("closed_connections_total", &[reason])
}

/// Waits for the server to close the connection.
fn wait_for_end(mut stream: &TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(test_timeout::at_most(Duration::from_secs(10)))).unwrap();
    let mut rest = Vec::new();
    drop(stream.read_to_end(&mut rest));
    rest
}

/// Asks for nothing that exists, and keeps the connection open.
fn ask(to: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(test_timeout::at_most(Duration::from_secs(10)))).unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 404");
    stream
}

#[test]
fn a_flood_of_connections_does_not_shut_out_a_good_client() {
    let host = with(|limits| limits.max_connections = Some(8));
    let working = ask(host.http);
    let flood: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(host.http).unwrap()).collect();
    host.wait_for("accepted_connections_total", &[], 41);
    assert_eq!(export(host.http, "/v1/traces", &samples::traces(1, 10)).status, 200);
    // The good client has left, which is seen a moment later.
    host.wait_until(|| host.count("connections", &[]) == 7);
    assert_eq!(closed(&host, "evicted"), 34);
    // The one that had a request is still there, the oldest of the others is not.
    let mut working = working;
    working.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let end = wait_for_end(&working);
    assert!(String::from_utf8_lossy(&end).contains("HTTP/1.1 404"));
    assert!(wait_for_end(&flood[0]).is_empty());
}

#[test]
fn connections_with_requests_are_not_driven_out() {
    let host = with(|limits| limits.max_connections = Some(2));
    host.hold(true);
    let body = samples::traces(1, 10);
    let busy: Vec<TcpStream> = (0..2)
        .map(|_| super::post::send(host.http, "POST", "/v1/traces", PROTOBUF, &body))
        .collect();
    host.wait_for("received_items_total", &["traces"], 2);
    let third = TcpStream::connect(host.http).unwrap();
    assert!(wait_for_end(&third).is_empty());
    assert_eq!(closed(&host, "max_connections"), 1);
    host.hold(false);
    for stream in busy {
        assert_eq!(receive(stream).status, 200);
    }
    host.assert_sums();
}

#[test]
fn headers_byte_by_byte_run_out_of_time() {
    let host = with(|limits| limits.header_timeout = SHORT);
    let silent = TcpStream::connect(host.http).unwrap();
    let mut drip = TcpStream::connect(host.http).unwrap();
    let mut preface = TcpStream::connect(host.grpc).unwrap();
    preface.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    let start = clock::now();
    for byte in b"POST /v1/traces HTTP/1.1\r\nx-long: ".iter().cycle() {
        if drip.write_all(&[*byte]).is_err() {
            break;
        }
        assert!(clock::now().since(start) < test_timeout::at_most(Duration::from_secs(10)));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(wait_for_end(&silent).is_empty());
    wait_for_end(&preface);
    host.wait_until(|| closed(&host, "header_timeout") == 3);
    host.wait_until(|| host.count("connections", &[]) == 0);
}

#[test]
fn bodies_byte_by_byte_run_out_of_time() {
    let host = with(|limits| limits.read_timeout = SHORT);
    let headers = format!("{PROTOBUF}content-length: 1000\r\n");
    let slow = send_raw(host.http, "POST", "/v1/traces", &headers, b"\x0a");
    let answer = receive(slow);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(host.count("refused_requests_total", &["slow"]), 1);
    assert_eq!(host.count("queue_bytes", &[]), 0);
}

#[test]
fn slow_bodies_do_not_shut_out_a_good_client() {
    let host = with(|limits| limits.max_connections = Some(4));
    let headers = format!("{PROTOBUF}content-length: 1000\r\n");
    let slow: Vec<TcpStream> =
        (0..4).map(|_| send_raw(host.http, "POST", "/v1/traces", &headers, b"\x0a")).collect();
    host.wait_for("received_requests_total", &["traces"], 4);
    let early = TcpStream::connect(host.http).unwrap();
    assert!(wait_for_end(&early).is_empty());
    assert_eq!(closed(&host, "max_connections"), 1);
    std::thread::sleep(Duration::from_millis(5200));
    assert_eq!(export(host.http, "/v1/traces", &samples::traces(1, 10)).status, 200);
    assert_eq!(closed(&host, "evicted"), 1);
    drop(slow);
    host.wait_until(|| host.count("queue_bytes", &[]) == 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_end() {
    let host = with(|limits| limits.idle_timeout = Some(SHORT));
    let one = ask(host.http);
    let mut two = Client::tcp(host.grpc).await;
    assert_eq!(two.grpc("", b"").await.unwrap().grpc().0, "0");
    // HTTP/2 says goodbye, so that no request gets lost.
    two.running.join_next().await.unwrap().unwrap().unwrap();
    wait_for_end(&one);
    host.wait_until(|| closed(&host, "idle_timeout") == 2);
    host.wait_until(|| host.count("connections", &[]) == 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_connections_are_made_anew_and_their_requests_answered() {
    let host = with(|limits| limits.max_connection_age = Some(SHORT));
    let mut client = Client::tcp(host.grpc).await;
    host.hold(true);
    let body = samples::traces(1, 10);
    let waiting = client.grpc("", &body);
    let release = async {
        host.wait_for("received_items_total", &["traces"], 1);
        host.wait_until(|| closed(&host, "max_age") == 1);
        host.hold(false);
    };
    let (answer, ()) = futures_util::future::join(waiting, release).await;
    assert_eq!(answer.unwrap().grpc().0, "0");
    client.running.join_next().await.unwrap().unwrap().unwrap();
    assert!(client.grpc("", &body).await.is_err());
    assert_eq!(host.records(), 1);
}

#[test]
fn the_grace_of_an_old_connection_ends() {
    let host = with(|limits| {
        limits.max_connection_age = Some(SHORT);
        limits.max_connection_age_grace = SHORT;
    });
    let headers = format!("{PROTOBUF}content-length: 1000\r\n");
    let slow = send_raw(host.http, "POST", "/v1/traces", &headers, b"");
    let start = clock::now();
    assert!(wait_for_end(&slow).is_empty());
    assert!(clock::now().since(start) < Duration::from_secs(5));
    assert_eq!(closed(&host, "max_age"), 1);
}

#[tokio::test]
async fn large_headers_are_answered_431() {
    let host = with(|limits| limits.max_header_size = 4000);
    let body = samples::traces(1, 10);
    for size in [4_000, 60_000, 200_000] {
        let headers = format!("{PROTOBUF}x-long: {}\r\n", "x".repeat(size));
        let head = format!("POST /v1/traces HTTP/1.1\r\nhost: x\r\n{headers}");
        let mut stream = TcpStream::connect(host.http).unwrap();
        // The answer may come before everything is sent.
        drop(stream.write_all(head.as_bytes()));
        drop(stream.write_all(b"content-length: 0\r\nconnection: close\r\n\r\n"));
        let mut start = [0; 12];
        stream.set_read_timeout(Some(test_timeout::at_most(Duration::from_secs(10)))).unwrap();
        stream.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 431", "{size}");
    }
    host.wait_until(|| host.count("refused_requests_total", &["too_large"]) == 3);
    let headers = format!("{PROTOBUF}x-long: {}\r\n", "x".repeat(3_500));
    assert_eq!(post(host.http, "/v1/traces", &headers, &body).status, 200);
    let client = Client::tcp(host.grpc).await;
    let long = "x".repeat(5_000);
    let headers = [("content-type", "application/x-protobuf"), ("x-long", long.as_str())];
    match client.send("/v1/traces", &headers, &body).await {
        Ok(answer) => assert_eq!(answer.status, 431),
        Err(error) => assert!(!error.is_timeout(), "{error}"),
    }
    assert_eq!(Client::tcp(host.grpc).await.post(&body).await.unwrap().status, 200);
    assert_eq!(host.records(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_beyond_the_limit_wait_for_their_turn() {
    let host = with(|limits| limits.max_concurrent_streams = 2);
    let client = Client::tcp(host.grpc).await;
    let body = samples::traces(1, 10);
    assert_eq!(client.grpc("", &body).await.unwrap().grpc().0, "0");
    host.hold(true);
    let mut calls = tokio::task::JoinSet::new();
    let client = std::sync::Arc::new(client);
    for _ in 0..5 {
        let (client, body) = (std::sync::Arc::clone(&client), body.clone());
        calls.spawn(async move { client.grpc("", &body).await.unwrap().grpc().0 });
    }
    host.wait_for("received_items_total", &["traces"], 3);
    tokio::time::sleep(SHORT).await;
    assert_eq!(host.count("received_items_total", &["traces"]), 3);
    host.hold(false);
    assert!(calls.join_all().await.iter().all(|status| status == "0"));
    assert_eq!(host.records(), 6);
}

#[test]
fn a_dead_http2_client_is_noticed() {
    let host = with(|limits| {
        limits.keepalive_time = Some(SHORT);
        limits.keepalive_timeout = SHORT;
    });
    let mut silent = TcpStream::connect(host.grpc).unwrap();
    // Preface, and an empty SETTINGS frame (RFC 9113, sections 3.4 and 6.5); no PING is answered.
    silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    wait_for_end(&silent);
    host.wait_until(|| closed(&host, "keepalive_timeout") == 1);
    host.wait_until(|| host.count("connections", &[]) == 0);
}
