//! Port allocator: ports for what is started, such that no other process takes them before it
//! listens.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Mutex;

/// Ports of one process, which it goes through in turn: so many that none comes again while a test that
/// runs beside others still counts on nobody listening on it.
const BLOCK: u16 = 1000;
/// The first port of all blocks; those below it are of well-known services mostly.
const FIRST: u16 = 12_000;
/// Where Linux begins with the ports that it gives to clients and to those who ask for any, unless
/// it is configured otherwise. A port from there could be taken at any time.
const EPHEMERAL: u16 = 32_768;

/// The block of this process and the next port in it.
static PORTS: Mutex<Option<Ports>> = Mutex::new(None);

struct Ports {
    first: u16,
    next: u16,
    /// As long as this is open no other process has the block.
    _claim: Option<UnixListener>,
}

impl Ports {
    /// A free block; where claims cannot be made, or all blocks are taken, one by this process's
    /// number.
    fn claim() -> Self {
        let blocks = (end().saturating_sub(FIRST) / BLOCK).max(1);
        let first = |block: u16| FIRST + block * BLOCK;
        let claimed = (0..blocks).find_map(|block| {
            let name = format!("fluent-bit-ai-ports-{}", first(block));
            let name = SocketAddr::from_abstract_name(name).ok()?;
            Some((block, UnixListener::bind_addr(&name).ok()?))
        });
        match claimed {
            Some((block, claim)) => Self { first: first(block), next: 0, _claim: Some(claim) },
            None => {
                let block = (std::process::id() % u32::from(blocks)) as u16;
                Self { first: first(block), next: 0, _claim: None }
            }
        }
    }

    fn next(&mut self) -> u16 {
        let port = self.first + self.next;
        self.next = (self.next + 1) % BLOCK;
        port
    }
}

/// Where this machine begins with the ports that it gives away itself.
fn end() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
    let start: Option<u16> = range.and_then(|range| range.split_whitespace().next()?.parse().ok());
    start.filter(|start| *start >= FIRST + BLOCK).unwrap_or(EPHEMERAL)
}

/// A port without a listener, and that no other process of these tools and tests is given.
pub fn free_port() -> u16 {
    let mut ports = PORTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let ports = ports.get_or_insert_with(Ports::claim);
    (0..BLOCK)
        .map(|_| ports.next())
        .find(|port| TcpListener::bind(("0.0.0.0", *port)).is_ok())
        .expect("a free port")
}
