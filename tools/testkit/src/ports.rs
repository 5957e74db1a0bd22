//! Port allocator: ports for what is started, such that no other process takes them before it
//! listens.

use std::net::Ipv4Addr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Mutex;

use tokio::net::TcpSocket;

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

/// Whether nobody listens on a port.
///
/// It is not listened on to find out: a child that another thread starts at that moment has the
/// socket until its program runs, and he whom the port is for would find it taken. A socket that
/// is bound alone is in the way of none who sets `SO_REUSEADDR`, as servers do.
fn is_free(port: u16) -> bool {
    let bound = TcpSocket::new_v4().and_then(|socket| {
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::UNSPECIFIED, port).into())
    });
    bound.is_ok()
}

/// A port without a listener, and that no other process of these tools and tests is given.
pub fn free_port() -> u16 {
    let mut ports = PORTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let ports = ports.get_or_insert_with(Ports::claim);
    (0..BLOCK).map(|_| ports.next()).find(|port| is_free(*port)).expect("a free port")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use super::{free_port, is_free};

    /// Guarantees: a port on which somebody listens, on any address, is not given.
    #[test]
    fn ports_with_listeners_are_not_free() {
        for address in ["127.0.0.1", "0.0.0.0"] {
            let port = free_port();
            let listener = TcpListener::bind((address, port)).unwrap();
            assert!(!is_free(port), "{address}");
            drop(listener);
            // The test below starts programs, one of which may have it a moment longer.
            let start = Instant::now();
            while !is_free(port) {
                assert!(start.elapsed() < Duration::from_secs(10), "{address}");
                std::thread::yield_now();
            }
        }
    }

    /// Scenario: other threads start programs, which have this process's sockets until they run.
    /// Guarantees: he whom a port is given to can listen on it.
    #[test]
    fn ports_can_be_listened_on_while_programs_start() {
        let ended = AtomicBool::new(false);
        let start = || {
            while !ended.load(Ordering::Relaxed) {
                assert!(Command::new("true").status().unwrap().success());
            }
        };
        std::thread::scope(|scope| {
            let starters = [scope.spawn(start), scope.spawn(start)];
            let taken =
                (0..10_000).filter(|_| TcpListener::bind(("127.0.0.1", free_port())).is_err());
            let taken = taken.count();
            ended.store(true, Ordering::Relaxed);
            assert_eq!(taken, 0);
            starters.into_iter().for_each(|starter| starter.join().unwrap());
        });
    }
}
