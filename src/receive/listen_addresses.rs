//! Address registry: what the receivers of one configuration listen on, for a check that listens on
//! nothing.

use std::io::{Error, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::listener::first_of;
use super::unix::IN_USE;

/// The addresses that receivers of one configuration have.
#[derive(Debug, Default)]
pub struct ListenAddresses {
    ports: Vec<SocketAddr>,
    paths: Vec<PathBuf>,
}

impl ListenAddresses {
    /// Gives the first address of a host that no receiver has to the next one; 0 is always free.
    ///
    /// # Errors
    /// The host is unknown, or another receiver has the address.
    pub(super) fn hold_port(&mut self, host: &str, port: u16) -> std::io::Result<()> {
        let free = first_of(host, port, |address| {
            let is_taken = self.ports.iter().any(|other| overlap(*other, address));
            if is_taken { Err(Error::from_raw_os_error(libc::EADDRINUSE)) } else { Ok(address) }
        })?;
        if port != 0 {
            self.ports.push(free);
        }
        Ok(())
    }

    /// Gives a socket in the file system to the next receiver.
    ///
    /// # Errors
    /// Another receiver has it.
    pub(super) fn hold_path(&mut self, path: &Path) -> std::io::Result<()> {
        if self.paths.iter().any(|other| other == path) {
            return Err(Error::new(ErrorKind::AddrInUse, IN_USE));
        }
        self.paths.push(path.to_owned());
        Ok(())
    }
}

/// Whether the system lets only one socket listen on both. The unspecified address of IPv6 takes
/// connections of IPv4 too.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |all: IpAddr, own: IpAddr| {
        all == own || all.is_unspecified() && (all.is_ipv6() || own.is_ipv4())
    };
    one.port() == other.port() && (covers(one.ip(), other.ip()) || covers(other.ip(), one.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_held_once() {
        for (first, second, free) in [
            ("127.0.0.1", "127.0.0.1", false),
            ("127.0.0.1", "127.0.0.2", true),
            ("0.0.0.0", "127.0.0.1", false),
            ("127.0.0.1", "0.0.0.0", false),
            ("::", "127.0.0.1", false),
            ("[::1]", "127.0.0.1", true),
            ("::1", "0.0.0.0", true),
        ] {
            let mut taken = ListenAddresses::default();
            taken.hold_port(first, 4317).unwrap();
            taken.hold_port(second, 4318).unwrap();
            let again = taken.hold_port(second, 4317);
            assert_eq!(again.is_ok(), free, "{first} {second}");
            if let Err(error) = again {
                assert!(error.to_string().starts_with("Address already in use"), "{error}");
            }
        }
        let mut taken = ListenAddresses::default();
        for _ in 0..2 {
            taken.hold_port("127.0.0.1", 0).unwrap();
        }
        assert!(taken.hold_port("no such host", 1).is_err());
        taken.hold_path(Path::new("/run/a.sock")).unwrap();
        taken.hold_path(Path::new("/run/b.sock")).unwrap();
        let error = taken.hold_path(Path::new("/run/a.sock")).unwrap_err();
        assert_eq!(error.to_string(), "another process listens on this socket");
    }
}
