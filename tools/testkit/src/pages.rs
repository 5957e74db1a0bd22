//! Page server: pages of metrics for scrapers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Answers every request with a page, until the process ends.
pub struct PageServer {
    pub port: u16,
    page: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicUsize>,
}

impl PageServer {
    /// A server of this page; without one it answers 503.
    pub fn start(page: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let (page, asked) = (Arc::new(Mutex::new(page)), Arc::new(AtomicUsize::new(0)));
        let server = Self { port, page: Arc::clone(&page), asked: Arc::clone(&asked) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                asked.fetch_add(1, Ordering::Relaxed);
                answer(stream, page.lock().expect("the page").as_deref());
            }
        });
        server
    }

    /// Shows another page from now on.
    pub fn show(&self, page: Option<String>) {
        *self.page.lock().expect("the page") = page;
    }

    /// How many requests there were.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answer(mut stream: TcpStream, page: Option<&str>) {
    let (mut request, mut part) = (Vec::new(), [0; 4096]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part) {
            Ok(length) if length > 0 => request.extend_from_slice(&part[..length]),
            _ => return,
        }
    }
    let status = if page.is_some() { "200 OK" } else { "503 Service Unavailable" };
    let page = page.unwrap_or_default();
    let kind = if page.ends_with("# EOF\n") {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4"
    };
    let length = page.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close");
    let _ = write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{page}");
}
