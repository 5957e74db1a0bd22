//! Raw client: HTTP/1.1, so that a test decides every byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use prost::Message;

use crate::receive::responses;

pub(crate) const PROTOBUF: &str = "content-type: application/x-protobuf\r\n";

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The message of the `google.rpc.Status`.
    pub(crate) fn message(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/x-protobuf"));
        responses::RpcStatus::decode(&self.body[..]).unwrap().message
    }
}

/// Sends a request without waiting for the answer.
pub(crate) fn send(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> TcpStream {
    let length = body.len();
    let head = format!("content-length: {length}\r\n{headers}");
    send_raw(to, method, path, &head, body)
}

/// The same with every header given but `host` and `connection`.
pub(crate) fn send_raw(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> TcpStream {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(test_timeout::at_most(Duration::from_secs(20)))).unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    stream
}

pub(crate) fn receive(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: bytes[end + 4..].to_vec() }
}

pub(crate) fn post(to: SocketAddr, path: &str, headers: &str, body: &[u8]) -> Answer {
    receive(send(to, "POST", path, headers, body))
}

/// Posts a protobuf body.
pub(crate) fn export(to: SocketAddr, path: &str, body: &[u8]) -> Answer {
    post(to, path, PROTOBUF, body)
}
