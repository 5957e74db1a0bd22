//! Profiles go on as they came.

use prost::Message;

use super::data::text;
use super::receiver::{Receiver, Say};
use super::{Bench, Fate, endpoint, grpc};
use crate::codec::records::profiles_to_records;
use crate::codec::wire;
use crate::export::{ContentHandling, HeaderFrom, HeaderSource};
use crate::model::Signal;
use crate::receive::tests::samples;

#[test]
fn a_record_of_profiles_is_sent_unchanged() {
    let (one, logs_only) = (Receiver::accepting(), Receiver::accepting());
    let mut limited = endpoint("logs", &logs_only);
    limited.signals = vec![Signal::Logs];
    let mut selective = endpoint("selective", &one);
    selective.content = ContentHandling::Drop;
    let bench = Bench::new(vec![endpoint("one", &one), limited, selective]);
    let request = samples::profiles(3);
    let mut chunk = Vec::new();
    profiles_to_records(&request, &mut chunk, 1).unwrap();
    profiles_to_records(&request, &mut chunk, 2).unwrap();
    assert_eq!(bench.deliver(1, &chunk), Fate::Done);
    let seen = one.seen();
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|seen| seen.path == "/v1development/profiles" && seen.body == request));
    assert!(logs_only.seen().is_empty());
    assert_eq!(bench.count("exporter_received_items_total", &["profiles"]), 6);
    assert_eq!(bench.count("sent_items_total", &["one", "profiles"]), 6);
    assert_eq!(bench.count("filtered_items_total", &["logs"]), 6);
}

#[test]
fn a_record_without_its_request_is_counted() {
    let receiver = Receiver::accepting();
    let bench = Bench::new(vec![grpc("one", &receiver)]);
    let mut chunk = Vec::new();
    profiles_to_records(&samples::profiles(1), &mut chunk, 1).unwrap();
    let key = chunk.windows(9).rposition(|nine| nine == b"\xa8profiles").unwrap();
    chunk[key + 1] = b'X';
    assert_eq!(bench.deliver(1, &chunk), Fate::Done);
    assert!(receiver.seen().is_empty());
    assert_eq!(bench.count("exporter_skipped_items_total", &["unencodable"]), 1, "{}", bench.log());
}

/// Profiles of a tenant and of a library each, with a dictionary.
fn request_of(owners: &[(&str, &str)]) -> Vec<u8> {
    let mut request = Vec::new();
    for (tenant, library) in owners {
        let (mut resource, mut scope, mut scopes) = (Vec::new(), Vec::new(), Vec::new());
        wire::bytes(&mut resource, 1, &text("tenant", tenant).encode_to_vec());
        wire::bytes(&mut scope, 3, &text("library", library).encode_to_vec());
        wire::bytes(&mut scopes, 1, &scope);
        wire::bytes(&mut scopes, 2, b"\x19\x01\x02\x03\x04\x05\x06\x07\x08");
        let mut profiles = Vec::new();
        wire::bytes(&mut profiles, 1, &resource);
        wire::bytes(&mut profiles, 2, &scopes);
        wire::bytes(&mut request, 1, &profiles);
    }
    wire::bytes(&mut request, 2, b"\x2a\x03cpu");
    request
}

#[test]
fn headers_come_from_resources_and_scopes() {
    let receiver = Receiver::accepting();
    let mut main = endpoint("main", &receiver);
    main.headers.push(("x-item".parse().unwrap(), "own".parse().unwrap()));
    let from = |name: &str, source| HeaderFrom { name: name.parse().unwrap(), source };
    main.header_from = vec![
        from("x-tenant", HeaderSource::Resource("tenant".to_owned())),
        from("x-library", HeaderSource::Scope("library".to_owned())),
        from("x-item", HeaderSource::Item("tenant".to_owned())),
    ];
    let bench = Bench::new(vec![main]);
    let same = request_of(&[("red", "a"), ("red", "a")]);
    let mut chunk = Vec::new();
    profiles_to_records(&same, &mut chunk, 1).unwrap();
    assert_eq!(bench.deliver(1, &chunk), Fate::Done);
    let mixed = request_of(&[("red", "a"), ("blue", "a"), ("red", "b"), ("red", "a")]);
    let mut chunk = Vec::new();
    profiles_to_records(&mixed, &mut chunk, 1).unwrap();
    assert_eq!(bench.deliver(2, &chunk), Fate::Done);
    let seen = receiver.seen();
    assert_eq!(seen[0].body, same);
    let mut got: Vec<_> = seen
        .iter()
        .map(|seen| {
            assert_eq!(seen.headers["x-item"], "own");
            let value = |name: &str| seen.headers[name].to_str().unwrap().to_owned();
            (value("x-tenant"), value("x-library"), seen.body.clone())
        })
        .collect();
    got.drain(..1);
    got.sort();
    let expected = |tenant: &str, library: &str, count: usize| {
        let request = request_of(&vec![(tenant, library); count]);
        (tenant.to_owned(), library.to_owned(), request)
    };
    // Every piece has the dictionary.
    assert_eq!(got, [expected("blue", "a", 1), expected("red", "a", 2), expected("red", "b", 1)]);
    assert_eq!(bench.count("sent_items_total", &["main", "profiles"]), 6);
}

#[test]
fn profiles_with_headers_are_retried_and_given_up_by_piece() {
    let receiver = Receiver::start(|n, seen| match (seen.headers["x-tenant"].to_str(), n) {
        (Ok("red"), 0 | 1) => Say::Http(503, Vec::new(), Vec::new()),
        (Ok("large"), _) => Say::Http(413, Vec::new(), Vec::new()),
        _ => Say::Accept,
    });
    let mut main = endpoint("main", &receiver);
    let source = HeaderSource::Resource("tenant".to_owned());
    main.header_from = vec![HeaderFrom { name: "x-tenant".parse().unwrap(), source }];
    let bench = Bench::new(vec![main]);
    let mut chunk = Vec::new();
    let request = request_of(&[("red", "a"), ("large", "a")]);
    profiles_to_records(&request, &mut chunk, 1).unwrap();
    assert_eq!(bench.deliver(1, &chunk), Fate::Retry);
    assert_eq!(bench.deliver(1, &chunk), Fate::Done);
    assert_eq!(receiver.seen().len(), 3);
    assert_eq!(bench.count("sent_items_total", &["main"]), 1);
    assert_eq!(bench.count("dropped_items_total", &["main", "too_large"]), 1);
}

/// Scenario: profiles are refused, and not in words that say why. Guarantees: they are not sent in
/// pieces, and dropped for what the endpoint said; what comes next is sent as it is.
#[test]
fn profiles_that_are_refused_in_unclear_words_are_dropped_whole() {
    let said = |expected: &str| {
        let status = vec![("grpc-status", "8".to_owned()), ("grpc-message", expected.to_owned())];
        Say::Http(200, status, Vec::new())
    };
    let receiver = Receiver::start(move |n, _| match n {
        0 => said("no room"),
        1 => said("rate limit"),
        _ => Say::Http(200, vec![("grpc-status", "0".to_owned())], Vec::new()),
    });
    let bench = Bench::new(vec![grpc("one", &receiver)]);
    let mut chunk = Vec::new();
    profiles_to_records(&samples::profiles(3), &mut chunk, 1).unwrap();
    for task in 0..3 {
        assert_eq!(bench.deliver(task, &chunk), Fate::Done);
    }
    assert_eq!(receiver.seen().len(), 3);
    assert_eq!(bench.count("dropped_items_total", &["one", "resource_exhausted"]), 6);
    assert_eq!(bench.count("sent_items_total", &["one"]), 3);
}
