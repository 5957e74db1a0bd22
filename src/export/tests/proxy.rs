//! A proxy that is spoken to by TLS, and one beside another name of the endpoint.

use super::receiver::Receiver;
use super::transport::{Certificates, TlsFront, chunk};
use super::{Bench, Fate};
use crate::export::ClientTlsSettings;

/// Scenario: an endpoint without TLS behind a proxy with it. Guarantees: the proxy's certificate is
/// checked with the endpoint's own certificate authorities.
#[test]
fn a_proxy_with_tls_is_checked_also_for_a_plain_endpoint() {
    let certificates = Certificates::new();
    let proxy = Receiver::accepting();
    let front = TlsFront::start(certificates.server_config(false), proxy.address);
    let with = |name: &str, tls: ClientTlsSettings| {
        let mut far = super::at(name, "http://far.example:4318".parse().unwrap());
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

/// Scenario: an endpoint goes by another name than its URL's, and there is a proxy. Guarantees: the
/// proxy's own name is looked up as it is, and the proxy is asked for the other name.
#[test]
fn a_proxy_is_found_although_the_endpoint_goes_by_another_name() {
    let proxy = Receiver::accepting();
    // Nobody listens there.
    let mut far = super::at("far", "http://127.0.0.9:4318".parse().unwrap());
    far.proxy = Some(format!("http://localhost:{}", proxy.address.port()));
    far.tls.server_name = Some("far.example".to_owned());
    let bench = Bench::new(vec![far]);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Done, "{}", bench.log());
    assert_eq!(proxy.seen()[0].headers["host"], "far.example:4318");
}
