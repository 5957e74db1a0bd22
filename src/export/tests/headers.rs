//! Headers that change, and headers from the items.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::data::{span, text, trace_chunk, traces};
use super::receiver::{Receiver, Say};
use super::size::spans_of;
use super::{Bench, Fate, endpoint};
use crate::export::{HeaderFrom, HeaderSource, OAuth2Settings};

fn one_span() -> Vec<u8> {
    trace_chunk(&traces(vec![span(1, vec![])]))
}

#[test]
fn files_are_read_again_when_they_change() {
    let folder = tempfile::tempdir().unwrap();
    let (headers, token) = (folder.path().join("headers"), folder.path().join("token"));
    std::fs::write(&headers, "x-tenant: one\n").unwrap();
    std::fs::write(&token, "first\n").unwrap();
    let receiver = Receiver::accepting();
    let mut main = endpoint("main", &receiver);
    main.credentials.headers_file = Some(headers.clone());
    main.credentials.bearer_token_file = Some(token.clone());
    let bench = Bench::new(vec![main]);
    assert_eq!(bench.deliver(1, &one_span()), Fate::Done);
    std::fs::write(&headers, "x-tenant: another\n").unwrap();
    std::fs::write(&token, "second one? no: second").unwrap();
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(bench.deliver(2, &one_span()), Fate::Done);
    // What is wrong changes nothing.
    std::fs::write(&headers, "nonsense\n").unwrap();
    std::fs::remove_file(&token).unwrap();
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(bench.deliver(3, &one_span()), Fate::Done);
    let seen = receiver.seen();
    let values: Vec<_> = seen.iter().map(|seen| seen.headers["x-tenant"].clone()).collect();
    assert_eq!(values, ["one", "another", "another"]);
    assert_eq!(seen[0].headers["authorization"], "Bearer first");
    assert_eq!(seen[2].headers["authorization"], "Bearer second one? no: second");
    assert!(bench.log().contains("endpoint 'main' keeps its former headers"));
}

#[test]
fn items_travel_with_those_of_the_same_header_value() {
    let receiver = Receiver::accepting();
    let mut main = endpoint("main", &receiver);
    main.headers.push(("x-tenant".parse().unwrap(), "nobody".parse().unwrap()));
    let from = |name: &str, source| HeaderFrom { name: name.parse().unwrap(), source };
    main.header_from = vec![
        from("x-tenant", HeaderSource::Item("tenant".to_owned())),
        from("x-service", HeaderSource::Resource("service.name".to_owned())),
    ];
    let bench = Bench::new(vec![main]);
    let spans = (0..30).map(|number| {
        let attributes = match number % 4 {
            0 => vec![text("tenant", "red")],
            1 => vec![text("tenant", "blue")],
            2 => vec![],
            _ => vec![text("tenant", "no\nheader")],
        };
        span(number, attributes)
    });
    assert_eq!(bench.deliver(1, &trace_chunk(&traces(spans.collect()))), Fate::Done);
    let seen = receiver.seen();
    assert_eq!(seen.len(), 3);
    for (n, seen) in seen.iter().enumerate() {
        assert_eq!(seen.headers["x-service"], "shop");
        let spans = spans_of(&receiver, |request| request == n);
        let tenant = seen.headers["x-tenant"].to_str().unwrap();
        let wanted = match tenant {
            "red" => vec![text("tenant", "red")],
            "blue" => vec![text("tenant", "blue")],
            other => {
                assert_eq!(other, "nobody");
                vec![]
            }
        };
        assert!(spans.len() >= 7 && spans.iter().all(|span| span.attributes == wanted));
    }
    assert_eq!(bench.count("sent_items_total", &["main"]), 23);
    assert_eq!(bench.count("dropped_items_total", &["main", "refused"]), 7);
}

#[test]
fn more_values_than_one_attempt_takes_wait_for_the_next() {
    let receiver = Receiver::accepting();
    let mut main = endpoint("main", &receiver);
    let source = HeaderSource::Item("k".to_owned());
    main.header_from = vec![HeaderFrom { name: "x-k".parse().unwrap(), source }];
    let bench = Bench::new(vec![main]);
    let spans = (0..600_u32).map(|n| {
        span(u8::try_from(n % 250).unwrap(), vec![text("k", &format!("value {}", n % 300))])
    });
    let chunk = trace_chunk(&traces(spans.collect()));
    assert_eq!(bench.deliver(1, &chunk), Fate::Retry);
    assert_eq!(bench.deliver(1, &chunk), Fate::Done);
    assert_eq!(receiver.seen().len(), 300);
    assert_eq!(bench.count("sent_items_total", &["main"]), 600);
}

#[test]
fn tokens_are_fetched_once_kept_and_renewed() {
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    let service = Receiver::start(move |n, seen| {
        assert_eq!(seen.headers["authorization"], "Basic bWUlMjY6aCUzQXVzaA==");
        let body = String::from_utf8_lossy(&seen.body).into_owned();
        assert_eq!(body, "grant_type=client_credentials&scope=a+b&audience=otel");
        count.fetch_add(1, Ordering::SeqCst);
        match n {
            0 => Say::Http(500, Vec::new(), b"{\"access_token\":\"hush\"}".to_vec()),
            _ => {
                let body = format!("{{\"access_token\":\"token{n}\",\"expires_in\":2}}");
                Say::Http(200, Vec::new(), body.into_bytes())
            }
        }
    });
    let receiver = Receiver::start(|n, _| match n {
        5 => Say::Http(401, Vec::new(), Vec::new()),
        _ => Say::Slow(Duration::from_millis(20)),
    });
    let mut main = endpoint("main", &receiver);
    main.credentials.oauth2 = Some(OAuth2Settings {
        token_url: service.url(),
        client_id: "me&".to_owned(),
        client_secret: "h:ush".to_owned(),
        scopes: vec!["a".to_owned(), "b".to_owned()],
        audience: Some("otel".to_owned()),
        ..OAuth2Settings::default()
    });
    let bench = Bench::new(vec![main]);
    // No token: that is nothing for good.
    assert_eq!(bench.deliver(1, &one_span()), Fate::Retry);
    assert_eq!(bench.count("failed_requests_total", &["main", "credentials"]), 1);
    let log = bench.log();
    assert!(log.contains("no token: HTTP status 500") && !log.contains("hush"), "{log}");
    std::thread::sleep(Duration::from_millis(1_050));
    let waiters: Vec<_> = (1..=5)
        .map(|task| bench.submit(crate::plugin::EventType::Logs, task, &one_span()))
        .collect();
    for waiter in waiters {
        assert_eq!(waiter.wait(test_timeout::at_most(Duration::from_secs(5))), Some(Fate::Done));
    }
    // One look for five requests.
    assert_eq!(served.load(Ordering::SeqCst), 2);
    // The endpoint does not take it: another one, at once.
    assert_eq!(bench.deliver(6, &one_span()), Fate::Done);
    assert_eq!(served.load(Ordering::SeqCst), 3);
    // It is renewed before it ends.
    std::thread::sleep(Duration::from_millis(1_700));
    assert_eq!(bench.deliver(7, &one_span()), Fate::Done);
    let seen = receiver.seen();
    let used: Vec<_> = seen.iter().map(|seen| seen.headers["authorization"].clone()).collect();
    assert!(used[..6].iter().all(|value| value == "Bearer token1"));
    assert_eq!(used[6..], ["Bearer token2", "Bearer token3"]);
}
