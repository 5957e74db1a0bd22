//! Files of headers and tokens that changed within the second in which they are not looked at.

use std::path::Path;
use std::time::Duration;

use super::receiver::{Receiver, Say};
use super::transport::chunk;
use super::{Bench, Fate, endpoint, grpc};
use crate::export::{EndpointSettings, Protocol};
use crate::plugin::EventType;

/// Takes requests that know the word, and turns the others away.
fn doorkeeper(token: &'static str, protocol: Protocol) -> Receiver {
    Receiver::start(move |_, seen| match protocol {
        _ if seen.headers.get("authorization").is_some_and(|given| given == token) => Say::Accept,
        Protocol::Grpc => Say::Grpc(tonic::Status::unauthenticated("who are you?")),
        Protocol::HttpProtobuf | Protocol::HttpJson => Say::Http(401, Vec::new(), Vec::new()),
    })
}

fn with_files(
    receiver: &Receiver,
    protocol: Protocol,
    headers: Option<&Path>,
    token: Option<&Path>,
) -> EndpointSettings {
    let mut main = match protocol {
        Protocol::Grpc => grpc("main", receiver),
        Protocol::HttpProtobuf | Protocol::HttpJson => endpoint("main", receiver),
    };
    main.credentials.headers_file = headers.map(Path::to_owned);
    main.credentials.bearer_token_file = token.map(Path::to_owned);
    main
}

/// Scenario: a token's file is written anew right before several requests, which the endpoint would
/// not take with the old one. Guarantees: all of them come through.
#[test]
fn a_token_that_was_just_replaced_is_used_after_a_refusal() {
    for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, "first").unwrap();
        let receiver = doorkeeper("Bearer other", protocol);
        let bench = Bench::new(vec![with_files(&receiver, protocol, None, Some(&token))]);
        // Of the same length, and within the time in which it is not looked at.
        std::fs::write(&token, "other").unwrap();
        let waiters = [2, 4, 6, 8].map(|task| bench.submit(EventType::Logs, task, &chunk()));
        for waiter in waiters {
            let fate = waiter.wait(test_timeout::at_most(Duration::from_secs(5)));
            assert_eq!(fate, Some(Fate::Done), "{}", bench.log());
        }
        assert_eq!(bench.count("sent_items_total", &["main"]), 4);
        assert_eq!(bench.count("dropped_items_total", &["main"]), 0);
        assert_eq!(receiver.seen()[0].headers["authorization"], "Bearer first");
    }
}

/// Scenario: the same with a file of headers. Guarantees: two requests, the second one is taken.
#[test]
fn headers_that_were_just_replaced_are_used_after_a_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let headers = folder.path().join("headers");
    std::fs::write(&headers, "authorization: Basic old\n").unwrap();
    let receiver = doorkeeper("Basic new", Protocol::HttpProtobuf);
    let endpoint = with_files(&receiver, Protocol::HttpProtobuf, Some(&headers), None);
    let bench = Bench::new(vec![endpoint]);
    std::fs::write(&headers, "authorization: Basic new\n").unwrap();
    assert_eq!(bench.deliver(2, &chunk()), Fate::Done, "{}", bench.log());
    assert_eq!(receiver.seen().len(), 2);
    assert_eq!(bench.count("sent_items_total", &["main"]), 1);
}

/// Scenario: the endpoint turns requests away and the file is the same, or has become wrong.
/// Guarantees: one request each, and what is refused is counted.
#[test]
fn a_token_that_is_the_same_is_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "first").unwrap();
    let receiver = doorkeeper("Bearer other", Protocol::HttpProtobuf);
    let bench = Bench::new(vec![with_files(&receiver, Protocol::HttpProtobuf, None, Some(&token))]);
    assert_eq!(bench.deliver(2, &chunk()), Fate::Done);
    assert_eq!(receiver.seen().len(), 1);
    std::fs::remove_file(&token).unwrap();
    assert_eq!(bench.deliver(4, &chunk()), Fate::Done);
    assert_eq!(receiver.seen().len(), 2);
    assert_eq!(bench.count("dropped_items_total", &["main"]), 2);
    assert!(bench.log().contains("endpoint 'main' keeps its former headers"));
}
