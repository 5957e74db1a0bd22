//! Accepting server: a receiver that takes all that an output sends, on a port of its own for
//! each.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where one output sends to.
pub struct Receiver {
    pub port: u16,
    bytes: Arc<AtomicU64>,
}

impl Receiver {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let bytes = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&bytes);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counter = Arc::clone(&counter);
                std::thread::spawn(move || drop(serve(&stream, &counter)));
            }
        });
        if let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) {
            let counter = Arc::clone(&bytes);
            std::thread::spawn(move || {
                let mut datagram = [0; 65_536];
                while let Ok(length) = socket.recv(&mut datagram) {
                    counter.fetch_add(length as u64, Ordering::Relaxed);
                }
            });
        }
        Self { port, bytes }
    }

    /// Bytes of content that came: bodies of HTTP requests, all else as it came.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Answers HTTP requests as the backends do that the outputs are for, and reads all else.
fn serve(stream: &TcpStream, bytes: &AtomicU64) -> std::io::Result<()> {
    let mut answers = stream;
    let mut reader = BufReader::new(stream);
    let start = reader.fill_buf()?;
    if [&b"POST "[..], b"PUT ", b"GET ", b"HEAD "].iter().any(|method| start.starts_with(method)) {
        while let Some((line, length)) = head(&mut reader)? {
            let read = std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink())?;
            bytes.fetch_add(read, Ordering::Relaxed);
            answers.write_all(answer(&line).as_bytes())?;
            if line.contains("websocket") {
                break;
            }
        }
    }
    if start_of_nats(&mut reader)? {
        answers.write_all(b"INFO {}\r\n")?;
    }
    let mut block = [0; 65_536];
    loop {
        let read = reader.read(&mut block)?;
        if read == 0 {
            return Ok(());
        }
        bytes.fetch_add(read as u64, Ordering::Relaxed);
    }
}

fn start_of_nats(reader: &mut impl BufRead) -> std::io::Result<bool> {
    Ok(reader.fill_buf()?.starts_with(b"CONNECT"))
}

/// The request's line and headers in one text, and the length of its body; `None` at the end.
fn head(reader: &mut impl BufRead) -> std::io::Result<Option<(String, u64)>> {
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let start = text.len();
        if reader.read_line(&mut text)? == 0 {
            return Ok(None);
        }
        let line = text[start..].trim().to_ascii_lowercase();
        if line.is_empty() {
            return Ok(Some((text.to_ascii_lowercase(), length)));
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
}

fn answer(head: &str) -> String {
    if head.contains("websocket") {
        let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        let upgrade = "Upgrade: websocket\r\nConnection: Upgrade";
        return format!("HTTP/1.1 101 Switching Protocols\r\n{upgrade}\r\n{accept}\r\n\r\n");
    }
    let path = head.split(' ').nth(1).unwrap_or_default();
    let (status, kind, body) = if path.starts_with("/v1/") {
        ("200 OK", "application/x-protobuf", "")
    } else if path.starts_with("/api/v2/write") || path.starts_with("/write") {
        ("204 No Content", "text/plain", "")
    } else if path.contains("comp=") || path.contains("blob") {
        ("201 Created", "text/plain", "")
    } else {
        ("200 OK", "application/json", r#"{"errors":false,"items":[],"text":"Success","code":0}"#)
    };
    let length = body.len();
    let etag = "ETag: \"0123456789abcdef0123456789abcdef\"";
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{etag}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}
