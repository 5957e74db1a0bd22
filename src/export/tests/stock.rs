//! What the options that Fluent Bit's own output has too do to requests and connections.

use std::sync::Arc;
use std::time::Duration;

use http::Version;

use super::receiver::{CONNECTION, Receiver};
use super::transport::{Certificates, TlsFront, chunk};
use super::{Bench, Fate, endpoint};
use crate::export::transport::connections::EndpointConnections;
use crate::export::{
    AddressFamily, ClientTlsSettings, EndpointSettings, Http2, Password, Protocol,
};
use crate::model::Signal;

/// Scenario: a signal has a path of its own, with a query. Guarantees: its requests have that path
/// and no other, and the other signals' are made from the URL.
#[test]
fn a_signal_is_sent_to_its_own_path() {
    let receiver = Receiver::accepting();
    let mut main = endpoint("main", &receiver);
    main.paths = vec![(Signal::Traces, "/in/spans?key=1".parse().unwrap())];
    let bench = Bench::new(vec![main]);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Done, "{}", bench.log());
    let seen = receiver.seen();
    assert_eq!((seen[0].path.as_str(), seen[0].query.as_deref()), ("/in/spans", Some("key=1")));
}

#[test]
fn paths_are_of_their_transport() {
    let mut main = EndpointSettings::new("main", "http://a:4317/base".parse().unwrap());
    main.paths = vec![(Signal::Logs, "/l".parse().unwrap())];
    main.grpc_paths = vec![(Signal::Logs, "/own.Logs/Export".parse().unwrap())];
    let url = |main: &EndpointSettings, signal| main.url_for(signal).unwrap().to_string();
    assert_eq!(url(&main, Signal::Logs), "http://a:4317/l");
    assert_eq!(url(&main, Signal::Metrics), "http://a:4317/base/v1/metrics");
    main.protocol = Protocol::Grpc;
    assert_eq!(url(&main, Signal::Logs), "http://a:4317/own.Logs/Export");
    let usual = "http://a:4317/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    assert_eq!(url(&main, Signal::Metrics), usual);
}

/// Scenario: HTTP/2 is asked for or not, with and without TLS. Guarantees: without TLS it is spoken
/// with prior knowledge where it is asked for; with TLS it is what the endpoint chooses unless one
/// version is asked for.
#[test]
fn the_version_of_http_is_the_one_asked_for() {
    let certificates = Certificates::new();
    for (http2, plain, secure) in [
        (Http2::Auto, Version::HTTP_11, Version::HTTP_2),
        (Http2::Off, Version::HTTP_11, Version::HTTP_11),
        (Http2::On, Version::HTTP_2, Version::HTTP_2),
        (Http2::Force, Version::HTTP_2, Version::HTTP_2),
    ] {
        let receiver = Receiver::accepting();
        let front = TlsFront::start(certificates.server_config(false), receiver.address);
        let mut one = endpoint("plain", &receiver);
        one.http2 = http2;
        let url = format!("https://localhost:{}", front.port).parse().unwrap();
        let mut other = EndpointSettings::new("secure", url);
        other.http2 = http2;
        other.tls = certificates.client_settings(false);
        for (endpoint, expected) in [(one, plain), (other, secure)] {
            let bench = Bench::new(vec![endpoint]);
            assert_eq!(bench.deliver(1, &chunk()), Fate::Done, "{http2:?}: {}", bench.log());
            assert_eq!(receiver.seen().last().unwrap().version, expected, "{http2:?}");
        }
    }
}

/// Scenario: connections are not to be kept. Guarantees: each request has one of its own.
#[test]
fn connections_that_are_not_kept_are_made_for_each_request() {
    for (keepalive, expected) in [(true, ["0", "0"]), (false, ["0", "1"])] {
        let receiver = Receiver::accepting();
        let mut main = endpoint("main", &receiver);
        main.net.keepalive = keepalive;
        let bench = Bench::new(vec![main]);
        for task in 1..=2 {
            assert_eq!(bench.deliver(task, &chunk()), Fate::Done, "{}", bench.log());
        }
        let seen = receiver.seen();
        let used: Vec<_> = seen.iter().map(|seen| seen.headers[CONNECTION].clone()).collect();
        assert_eq!(used, expected);
    }
}

/// Scenario: connections are to be made from another address of this machine. Guarantees: a server
/// that takes the peer's address from the connection sees that one.
#[test]
fn connections_come_from_the_source_address() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let mut main = EndpointSettings::new("main", url);
    main.net.source_address = Some("127.0.0.7".parse().unwrap());
    main.timeout = Duration::from_secs(2);
    let bench = Bench::new(vec![main]);
    let waiter = bench.submit(crate::plugin::EventType::Logs, 1, &chunk());
    let (_stream, peer) = listener.accept().unwrap();
    assert_eq!(peer.ip().to_string(), "127.0.0.7");
    drop((_stream, waiter));
}

/// Scenario: a name has addresses of both kinds, and one of them has nobody who listens.
/// Guarantees: the preferred kind is tried first, and the other is found all the same.
#[test]
fn a_preferred_kind_of_addresses_does_not_lose_the_other() {
    let receiver = Receiver::accepting();
    for prefer in [AddressFamily::V4, AddressFamily::V6] {
        let url = format!("http://localhost:{}", receiver.address.port()).parse().unwrap();
        let mut main = EndpointSettings::new("main", url);
        main.net.prefer = Some(prefer);
        let bench = Bench::new(vec![main]);
        assert_eq!(bench.deliver(1, &chunk()), Fate::Done, "{}", bench.log());
    }
}

fn secure(front: &TlsFront, tls: ClientTlsSettings) -> EndpointSettings {
    let url = format!("https://localhost:{}", front.port).parse().unwrap();
    EndpointSettings { tls, ..EndpointSettings::new("main", url) }
}

/// Scenario: the endpoint's certificate lies in a folder, beside a key and a link to itself.
/// Guarantees: it is trusted; a folder without certificates stops the start.
#[test]
fn a_folder_of_certificates_is_trusted() {
    let certificates = Certificates::new();
    let receiver = Receiver::accepting();
    let front = TlsFront::start(certificates.server_config(false), receiver.address);
    let folder = tempfile::tempdir().unwrap();
    let tls = ClientTlsSettings {
        ca_path: Some(folder.path().to_owned()),
        ..ClientTlsSettings::default()
    };
    let main = secure(&front, tls);
    std::fs::copy(certificates.path("key.pem"), folder.path().join("key.pem")).unwrap();
    let problem = EndpointConnections::new(&main, &Arc::default()).err().unwrap().to_string();
    assert!(problem.contains("'endpoint.main.tls.ca_path': no file in"), "{problem}");
    std::fs::copy(certificates.path("ca.pem"), folder.path().join("ca.pem")).unwrap();
    std::os::unix::fs::symlink("ca.pem", folder.path().join("0a1b2c3d.0")).unwrap();
    let bench = Bench::new(vec![main]);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Done, "{}", bench.log());
}

/// Scenario: the endpoint speaks TLS 1.3 and 1.2, the client one version, or one cipher suite.
/// Guarantees: they meet where they can, and only there.
#[test]
fn versions_and_cipher_suites_are_kept_to() {
    let certificates = Certificates::new();
    let receiver = Receiver::accepting();
    let only_13 = certificates.server_config_of(&[&rustls::version::TLS13], false);
    let front = TlsFront::start(only_13, receiver.address);
    let of = |versions, ciphers: &[&str]| ClientTlsSettings {
        versions,
        ciphers: ciphers.iter().map(|name| (*name).to_owned()).collect(),
        ..certificates.client_settings(false)
    };
    for (tls, expected) in [
        (of((12, 13), &[]), Fate::Done),
        (of((13, 13), &["TLS_AES_256_GCM_SHA384"]), Fate::Done),
        (of((12, 12), &[]), Fate::Retry),
        (of((12, 12), &["ECDHE-ECDSA-AES128-GCM-SHA256"]), Fate::Retry),
    ] {
        let shown = format!("{tls:?}");
        let bench = Bench::new(vec![secure(&front, tls)]);
        assert_eq!(bench.deliver(1, &chunk()), expected, "{shown}: {}", bench.log());
    }
}

/// A key, and the same encrypted with the password `secret`.
const PLAIN: &str = include_str!("../../../tests/data/keys/plain.pem");
const ENCRYPTED: &str = include_str!("../../../tests/data/keys/aes.pem");

/// Scenario: the client's key is encrypted. Guarantees: with its password the endpoint, which asks
/// for the certificate, takes it; with another one or none the start stops.
#[test]
fn an_encrypted_key_is_read_with_its_password() {
    let certificates = Certificates::of_key(PLAIN);
    let receiver = Receiver::accepting();
    let front = TlsFront::start(certificates.server_config(true), receiver.address);
    std::fs::write(certificates.path("key.pem"), ENCRYPTED).unwrap();
    let with = |password: Option<&str>| {
        let key_passwd = password.map(|password| Password(password.to_owned()));
        secure(&front, ClientTlsSettings { key_passwd, ..certificates.client_settings(true) })
    };
    let bench = Bench::new(vec![with(Some("secret"))]);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Done, "{}", bench.log());
    for (password, expected) in
        [(None, "'endpoint.main.tls.key_file'"), (Some("hush"), "'endpoint.main.tls.key_passwd'")]
    {
        let problem =
            EndpointConnections::new(&with(password), &Arc::default()).err().unwrap().to_string();
        assert!(problem.contains(expected) && !problem.contains("hush"), "{problem}");
    }
}
