//! A proxy that is spoken to by TLS.

use super::receiver::Receiver;
use super::transport::{Certificates, TlsFront, chunk};
use super::{Bench, Fate};
use crate::export::{EndpointSettings, TlsSettings};

/// Scenario: an endpoint without TLS behind a proxy with it. Guarantees: the proxy's certificate is
/// checked with the endpoint's own certificate authorities.
#[test]
fn a_proxy_with_tls_is_checked_also_for_a_plain_endpoint() {
    let certificates = Certificates::new();
    let proxy = Receiver::accepting();
    let front = TlsFront::start(certificates.server_config(false), proxy.address);
    let with = |name: &str, tls: TlsSettings| {
        let mut far = EndpointSettings::new(name, "http://far.example:4318".parse().unwrap());
        far.proxy = Some(format!("https://me:secret@localhost:{}", front.port));
        far.tls = tls;
        far
    };
    let bench = Bench::new(vec![with("far", certificates.client_settings(false))]);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Done, "{}", bench.log());
    let seen = proxy.seen();
    assert_eq!((seen.len(), seen[0].path.as_str()), (1, "/v1/traces"));
    assert_eq!(seen[0].headers["proxy-authorization"], "Basic bWU6c2VjcmV0");

    let others = Certificates::new();
    let bench = Bench::new(vec![with("stranger", others.client_settings(false))]);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Retry);
    let log = bench.log();
    assert!(log.contains("certificate") && !log.contains("secret"), "{log}");
    assert_eq!(proxy.seen().len(), 1);
}
