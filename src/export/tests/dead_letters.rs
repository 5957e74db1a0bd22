//! Items that an endpoint refuses for good.

use base64::Engine;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::data::{span, trace_chunk, traces};
use super::receiver::{Receiver, Say};
use super::size::spans_of;
use super::{Bench, Fate, endpoint, grpc};
use crate::export::DeadLetterTarget;

fn chunk() -> Vec<u8> {
    trace_chunk(&traces((0..5).map(|number| span(number, vec![])).collect()))
}

#[test]
fn they_go_to_another_endpoint_and_wait_until_that_takes_them() {
    let strict = Receiver::start(|_, _| Say::Http(400, Vec::new(), b"\x12\x03bad".to_vec()));
    let lenient = Receiver::start(|n, _| match n {
        0 => Say::Http(503, Vec::new(), Vec::new()),
        _ => Say::Accept,
    });
    let mut main = endpoint("main", &strict);
    main.dead_letter = Some(DeadLetterTarget::Endpoint(Box::new(endpoint("rest", &lenient))));
    let bench = Bench::new(vec![main]);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Retry);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Done);
    assert_eq!(spans_of(&lenient, |n| n == 1).len(), 5);
    assert_eq!(bench.count("dead_letter_items_total", &["main"]), 5);
    assert_eq!(bench.count("sent_items_total", &["rest"]), 5);
    assert_eq!(bench.count("dropped_items_total", &[]), 0);
    assert!(bench.log().contains("5 items of traces are dead letters: HTTP status 400: bad"));
}

#[test]
fn they_go_to_a_file_until_it_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letters.jsonl");
    let strict = Receiver::start(|_, _| Say::Http(400, Vec::new(), b"bad \"id\"".to_vec()));
    let mut main = endpoint("main", &strict);
    main.dead_letter = Some(DeadLetterTarget::File(path.clone(), 1_700));
    let bench = Bench::new(vec![main]);
    for task in 0..3 {
        assert_eq!(bench.deliver(task, &chunk()), Fate::Done);
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.len() <= 1_700);
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["endpoint"], "main");
    assert_eq!(lines[0]["signal"], "traces");
    assert_eq!(lines[0]["reason"], "refused");
    assert_eq!(lines[0]["items"], 5);
    let request = lines[0]["request_base64"].as_str().unwrap();
    let request = base64::engine::general_purpose::STANDARD.decode(request).unwrap();
    let request = ExportTraceServiceRequest::decode(request.as_slice()).unwrap();
    assert_eq!(request.resource_spans[0].scope_spans[0].spans.len(), 5);
    let kept = u64::try_from(lines.len()).unwrap() * 5;
    assert!(kept > 0 && kept < 15, "{kept}");
    assert_eq!(bench.count("dead_letter_items_total", &["main"]), kept);
    assert_eq!(bench.count("dropped_items_total", &["main", "refused"]), 15 - kept);
    assert!(bench.log().contains("a dead letter cannot be kept"));
}

#[test]
fn items_that_are_all_rejected_are_known_and_become_letters() {
    let all = Receiver::start(|_, _| Say::Partial(5, "no such tenant"));
    let over_grpc = Receiver::start(|_, _| Say::Partial(5, "no such tenant"));
    let some = Receiver::start(|_, _| Say::Partial(4, "too old"));
    let more = Receiver::start(|_, _| Say::Partial(6, "who knows what"));
    let without = Receiver::start(|_, _| Say::Partial(5, "no such tenant"));
    let rest = Receiver::start(|n, _| match n {
        0 => Say::Http(503, Vec::new(), Vec::new()),
        _ => Say::Accept,
    });
    let letters = endpoint("rest", &rest);
    let with = |settings: crate::export::EndpointSettings| crate::export::EndpointSettings {
        dead_letter: Some(DeadLetterTarget::Endpoint(Box::new(letters.clone()))),
        ..settings
    };
    let bench = Bench::new(vec![
        with(endpoint("all", &all)),
        with(endpoint("some", &some)),
        with(endpoint("more", &more)),
        endpoint("without", &without),
    ]);
    // The letters cannot be taken yet: none of the items is lost, none is done.
    assert_eq!(bench.deliver(1, &chunk()), Fate::Retry);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Done);
    assert_eq!(spans_of(&rest, |n| n == 1).len(), 5);
    assert_eq!(bench.count("dead_letter_items_total", &["all"]), 5);
    assert_eq!(bench.count("dead_letter_items_total", &[]), 5);
    assert_eq!(bench.count("dropped_items_total", &["all"]), 0);
    assert_eq!(bench.count("dropped_items_total", &["some", "rejected"]), 4);
    assert_eq!(bench.count("sent_items_total", &["some"]), 1);
    assert_eq!(bench.count("dropped_items_total", &["more", "rejected"]), 5);
    assert_eq!(bench.count("dropped_items_total", &["without", "rejected"]), 5);
    assert_eq!(bench.count("partial_successes_total", &["all"]), 2);
    assert_eq!((some.seen().len(), without.seen().len()), (1, 1));
    let expected = "5 items of traces are dead letters: all items were rejected: no such tenant";
    assert!(bench.log().contains(expected));
    // Over gRPC as well.
    let bench = Bench::new(vec![with(grpc("grpc", &over_grpc))]);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Done);
    assert_eq!(bench.count("dead_letter_items_total", &["grpc"]), 5);
}
