//! Ports, protocols and Unix sockets.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use super::h2::Client;
use super::host::{Host, settings};
use super::post::export;
use super::samples;
use crate::plugin::Waker;
use crate::receive::{Receiver, ReceiverSettings, UnixSocket};
use crate::stats::{Counters, Log};

/// HTTP/1.1, HTTP/2 that the client starts with, and gRPC, all to one port.
async fn everything_works(host: &Host, port: std::net::SocketAddr) {
    let before = host.records();
    let body = samples::traces(1, 10);
    assert_eq!(export(port, "/v1/traces", &body).status, 200);
    let client = Client::tcp(port).await;
    assert_eq!(client.post(&body).await.unwrap().status, 200);
    assert_eq!(client.grpc("", &body).await.unwrap().grpc().0, "0");
    assert_eq!(host.records(), before + 3);
}

#[tokio::test]
async fn both_ports_take_both_protocols() {
    let host = Host::start();
    assert_ne!(host.grpc.port(), host.http.port());
    everything_works(&host, host.grpc).await;
    everything_works(&host, host.http).await;
    host.assert_sums();
}

#[tokio::test]
async fn one_port_is_enough() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let shared = ReceiverSettings { grpc_port: Some(free), http_port: Some(free), ..settings() };
    let host = Host::with(&shared);
    assert_eq!((host.grpc, host.grpc.port()), (host.http, free));
    everything_works(&host, host.grpc).await;
    let only = Host::with(&ReceiverSettings { grpc_port: None, ..settings() });
    assert_eq!(only.grpc, only.http);
    everything_works(&only, only.http).await;
}

#[tokio::test]
async fn a_unix_socket_takes_both_protocols() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("otlp.sock");
    let socket = Some(UnixSocket { path: path.clone(), permissions: Some(0o600) });
    let none = ReceiverSettings { grpc_port: None, http_port: None, ..settings() };
    let mut host = Host::with(&ReceiverSettings { unix_socket: socket.clone(), ..none.clone() });
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let body = samples::traces(1, 10);
    let mut stream = UnixStream::connect(&path).unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    let client = Client::over(tokio::net::UnixStream::connect(&path).await.unwrap()).await;
    assert_eq!(client.grpc("", &body).await.unwrap().grpc().0, "0");
    assert_eq!(host.records(), 2);
    // A second receiver is told; when the first is over, its file is too.
    let taken = ReceiverSettings { unix_socket: socket.clone(), ..none.clone() };
    let (counters, log) = (Counters::default(), std::sync::Arc::new(Log::default()));
    let error = Receiver::open(&taken, Waker::new(|| ()), &counters, log).unwrap_err();
    assert!(error.to_string().contains("another process listens"), "{error}");
    assert!(error.to_string().contains("'unix_socket'"), "{error}");
    drop(client);
    host.end();
    assert!(!path.exists());
    // As at a hot reload: the next takes the place.
    let next = Host::with(&taken);
    let client = Client::over(tokio::net::UnixStream::connect(&path).await.unwrap()).await;
    assert_eq!(client.grpc("", &body).await.unwrap().grpc().0, "0");
    drop(client);
    next.assert_sums();
}

#[test]
fn nothing_to_listen_on_is_reported() {
    let none = ReceiverSettings { grpc_port: None, http_port: None, ..settings() };
    let (counters, log) = (Counters::default(), std::sync::Arc::new(Log::default()));
    let error = Receiver::open(&none, Waker::new(|| ()), &counters, log).unwrap_err();
    assert!(error.to_string().contains("nothing to listen on"), "{error}");
}
