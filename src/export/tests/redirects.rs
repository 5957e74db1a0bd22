//! Endpoints that send requests somewhere else.

use super::data::{log_chunk, logs};
use super::receiver::{Receiver, Say};
use super::transport::{Certificates, TlsFront, chunk, secure};
use super::{Bench, Fate, endpoint};
use crate::export::{Compression, EndpointSettings, Protocol};

fn to(status: u16, location: &str) -> Say {
    Say::Http(status, vec![("location", location.to_owned())], b"moved".to_vec())
}

/// Redirects what comes for the usual paths, and takes everything else.
fn moved(status: u16, location: &'static str) -> Receiver {
    Receiver::start(
        move |_, seen| {
            if seen.path.starts_with("/v1/") { to(status, location) } else { Say::Accept }
        },
    )
}

#[test]
fn a_redirect_on_the_same_host_is_followed_with_everything() {
    // What holds for good is asked for once, what holds for now each time.
    for (status, requests) in [(308, 3), (301, 3), (307, 4), (302, 4)] {
        let receiver = moved(status, "/there/v1/traces");
        for protocol in [Protocol::HttpProtobuf, Protocol::HttpJson] {
            let before = receiver.seen().len();
            let mut main = EndpointSettings {
                protocol,
                compression: Compression::Gzip,
                ..endpoint("main", &receiver)
            };
            main.headers.push((http::header::AUTHORIZATION, "Basic abc".parse().unwrap()));
            let bench = Bench::new(vec![main]);
            assert_eq!(bench.deliver(1, &chunk()), Fate::Done);
            assert_eq!(bench.deliver(2, &chunk()), Fate::Done);
            let seen = &receiver.seen()[before..];
            assert_eq!(seen.len(), requests, "{status}");
            for there in seen.iter().filter(|seen| seen.path == "/there/v1/traces") {
                assert_eq!(there.headers, {
                    let mut first = seen[0].headers.clone();
                    let connection = super::receiver::CONNECTION;
                    first.insert(connection, there.headers[connection].clone());
                    first
                });
                assert_eq!((&there.body, &there.wire), (&seen[0].body, &seen[0].wire));
            }
            assert_eq!(bench.count("sent_items_total", &["main", "traces"]), 2);
            assert_eq!(bench.count("failed_requests_total", &["main"]), 0);
            let log = bench.log();
            let expected = if requests == 3 { "moved for good to" } else { "for now" };
            assert!(log.contains(expected) && log.contains("/there/v1/traces"), "{log}");
        }
    }
}

#[test]
fn what_moved_for_good_is_forgotten_when_it_is_gone() {
    let receiver = Receiver::start(|n, seen| match (n, seen.path.as_str()) {
        (0, "/v1/traces") => to(308, "/there"),
        // Later the one is gone and the other is back.
        (1, "/there") => Say::Accept,
        (_, "/there") => Say::Http(404, vec![], vec![]),
        _ => Say::Accept,
    });
    let bench = Bench::new(vec![endpoint("main", &receiver)]);
    for task in 1..=3 {
        assert_eq!(bench.deliver(task, &chunk()), Fate::Done);
    }
    let paths: Vec<String> = receiver.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/v1/traces", "/there", "/there", "/v1/traces"]);
    assert_eq!(bench.count("dropped_items_total", &["main", "misdirected"]), 1);
    let log = bench.log();
    assert!(log.contains("(redirected to http://") && log.contains("/there)"), "{log}");
}

#[test]
fn nothing_goes_to_another_host() {
    let other = Receiver::accepting();
    for (status, fate) in
        [(301, Fate::Done), (302, Fate::Retry), (307, Fate::Retry), (308, Fate::Done)]
    {
        let location = format!("http://u:hush@{}/v1/traces?token=hush", other.address);
        let receiver = Receiver::start(move |_, _| to(status, &location));
        let bench = Bench::new(vec![endpoint("main", &receiver)]);
        assert_eq!(bench.deliver(1, &chunk()), fate, "{status}");
        let log = bench.log();
        let logged = format!("redirects to 'http://{}/v1/traces?...'", other.address);
        assert!(log.contains(&logged) && !log.contains("hush"), "{log}");
        assert_eq!(receiver.seen().len(), 1);
        assert_eq!(bench.count("failed_requests_total", &["main", "misdirected"]), 1);
        let dropped = u64::from(fate == Fate::Done);
        assert_eq!(bench.count("dropped_items_total", &["main", "misdirected"]), dropped);
    }
    assert!(other.seen().is_empty());
}

#[test]
fn a_request_never_becomes_a_get_and_no_circle_is_endless() {
    let circle = Receiver::start(|_, _| to(307, "/v1/traces"));
    let bench = Bench::new(vec![endpoint("main", &circle)]);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Retry);
    assert_eq!(circle.seen().len(), 6);
    let see_other = Receiver::start(|_, _| to(303, "/there"));
    let bench = Bench::new(vec![endpoint("main", &see_other)]);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Done);
    assert_eq!(see_other.seen().len(), 1);
    assert_eq!(bench.count("dropped_items_total", &["main", "misdirected"]), 1);
}

#[test]
fn from_http_to_https_on_the_same_host_is_followed() {
    let certificates = Certificates::new();
    let target = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let location = std::sync::Arc::clone(&target);
    // Without TLS each request comes to the same receiver by a connection of its own.
    let receiver =
        Receiver::start(
            move |n, _| {
                if n == 0 { to(308, location.get().unwrap()) } else { Say::Accept }
            },
        );
    let front = TlsFront::start(certificates.server_config(false), receiver.address);
    target.set(format!("https://localhost:{}/v1/logs", front.port)).unwrap();
    let tls = certificates.client_settings(false);
    let mut main = secure("main", Protocol::HttpProtobuf, &front, tls);
    main.url = format!("http://localhost:{}", front.port).parse().unwrap();
    let bench = Bench::new(vec![main]);
    assert_eq!(bench.deliver(1, &log_chunk(&logs(&["a"]))), Fate::Done, "{}", bench.log());
    assert_eq!(bench.deliver(2, &log_chunk(&logs(&["b"]))), Fate::Done);
    assert_eq!(receiver.seen().len(), 3);
    assert_eq!(bench.count("sent_items_total", &["main", "logs"]), 2);
}
