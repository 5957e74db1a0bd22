//! Host header: which names a request may call the page by.
//!
//! A web site may have its own name resolved to a loopback address, and read by the visitor's browser what
//! answers there (DNS rebinding). Such a request carries the name of that site. So only names are taken that
//! no site can have: addresses, `localhost`, and the name that the user gave to listen on.

use std::net::{IpAddr, Ipv6Addr};

use http::header::HOST;
use http::request::Parts;

/// Whether a request is for this page, which listens on `listen`.
pub(super) fn is_ours(request: &Parts, listen: &str) -> bool {
    let of_target = request.uri.authority().map(|authority| authority.as_str());
    let mut given = request.headers.get_all(HOST).iter();
    let (host, second) = (given.next(), given.next());
    let Some(host) = host.and_then(|host| host.to_str().ok()) else { return false };
    second.is_none()
        && is_known(host, listen)
        && of_target.is_none_or(|target| is_known(target, listen))
}

fn is_known(authority: &str, listen: &str) -> bool {
    let name = without_port(authority);
    let is_address = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => name.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4()),
    };
    is_address || name.eq_ignore_ascii_case("localhost") || name.eq_ignore_ascii_case(listen)
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn allows(target: &str, hosts: &[&str]) -> bool {
        let mut request = Request::get(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        is_ours(&request.body(()).unwrap().into_parts().0, "status.internal")
    }

    #[test]
    fn addresses_localhost_and_the_own_name_are_ours() {
        for host in
            ["127.0.0.1:2021", "127.0.0.1", "[::1]:2021", "[::1]", "LocalHost:1", "10.1.2.3:80"]
        {
            assert!(allows("/", &[host]), "{host}");
        }
        assert!(allows("/status.json", &["Status.Internal:2021"]));
        assert!(allows("http://127.0.0.1:2021/", &["127.0.0.1:2021"]));
    }

    #[test]
    fn names_of_sites_are_not() {
        for host in [
            "example.com",
            "example.com:2021",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "127.0.0.1:2021@example.com",
            "::1",
            "[example.com]",
            "",
            ":2021",
        ] {
            assert!(!allows("/", &[host]), "{host}");
        }
        assert!(!allows("/", &[]));
        assert!(!allows("/", &["localhost", "example.com"]));
        assert!(!allows("http://example.com/", &["localhost"]));
    }
}
