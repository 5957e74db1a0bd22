//! Small chunks that wait for a busy endpoint.

use std::time::Duration;

use super::data::{span, text, trace_chunk, traces};
use super::receiver::{Receiver, Say, Seen};
use super::size::spans_of;
use super::{Bench, EventType, Fate, endpoint, grpc};

/// The slots of a bench's endpoints.
const SLOTS: usize = 4;
/// Chunks that come while all slots are taken.
const WAITING: u8 = 30;

fn chunk(number: u8) -> Vec<u8> {
    trace_chunk(&traces(vec![span(number, vec![text("k", &"x".repeat(100))])]))
}

/// A receiver that takes its time for what fills the slots and then answers `later`.
fn busy(later: impl Fn(usize, &Seen) -> Say + Send + Sync + 'static) -> Receiver {
    Receiver::start(move |n, seen| match n < SLOTS {
        true => Say::Slow(Duration::from_millis(600)),
        false => later(n, seen),
    })
}

/// Fills the slots and brings more chunks meanwhile; what became of those, by number.
fn bring(bench: &Bench, receiver: &Receiver) -> Vec<Fate> {
    let submit = |number: u8| bench.submit(EventType::Logs, number.into(), &chunk(number));
    let first: Vec<_> = (WAITING..WAITING + 4).map(submit).collect();
    while receiver.seen().len() < SLOTS {
        std::thread::sleep(Duration::from_millis(1));
    }
    let others: Vec<_> = (0..WAITING).map(submit).collect();
    for waiter in first {
        assert_eq!(waiter.wait(test_timeout::at_most(Duration::from_secs(20))), Some(Fate::Done));
    }
    others
        .into_iter()
        .map(|waiter| waiter.wait(test_timeout::at_most(Duration::from_secs(20))).unwrap())
        .collect()
}

/// The names of the spans that were accepted, in order.
fn names(receiver: &Receiver, accepted: impl Fn(usize) -> bool) -> Vec<String> {
    let mut names: Vec<_> =
        spans_of(receiver, accepted).into_iter().map(|span| span.name).collect();
    names.sort();
    names
}

fn expected(left_out: Option<u8>) -> Vec<String> {
    let numbers = (0..WAITING + 4).filter(|number| Some(*number) != left_out);
    let mut names: Vec<_> = numbers.map(|number| format!("span {number}")).collect();
    names.sort();
    names
}

/// Scenario: all slots of an endpoint are taken while small chunks come. Guarantees: they go as one
/// request when there is a slot, and each arrives once.
#[test]
fn chunks_that_wait_go_together() {
    for over_grpc in [false, true] {
        let receiver = busy(|_, _| Say::Accept);
        let endpoint = if over_grpc { grpc("a", &receiver) } else { endpoint("a", &receiver) };
        let bench = Bench::new(vec![endpoint]);
        assert!(bring(&bench, &receiver).iter().all(|fate| *fate == Fate::Done));
        assert_eq!(names(&receiver, |_| true), expected(None));
        assert_eq!(receiver.seen().len(), SLOTS + 1, "one request for all that waited");
        assert_eq!(bench.count("joined_requests_total", &["a"]), u64::from(WAITING));
        assert_eq!(bench.count("sent_items_total", &["a"]), u64::from(WAITING) + 4);
    }
}

/// Scenario: one of the chunks that wait is refused for good. Guarantees: it takes none of the
/// others with it.
#[test]
fn a_bad_chunk_costs_no_neighbour() {
    let is_bad = |seen: &Seen| seen.body.windows(7).any(|bytes| bytes == b"span 17");
    let receiver = busy(move |_, seen| match is_bad(seen) {
        true => Say::Http(400, Vec::new(), b"no span 17".to_vec()),
        false => Say::Accept,
    });
    let bench = Bench::new(vec![endpoint("a", &receiver)]);
    assert!(bring(&bench, &receiver).iter().all(|fate| *fate == Fate::Done));
    let good: Vec<bool> = receiver.seen().iter().map(|seen| !is_bad(seen)).collect();
    assert_eq!(names(&receiver, |n| good[n]), expected(Some(17)));
    assert_eq!(bench.count("dropped_items_total", &["a"]), 1);
    assert_eq!(bench.count("sent_items_total", &["a"]), u64::from(WAITING) + 3);
}

/// Scenario: what waited is too large together. Guarantees: it arrives in smaller requests.
#[test]
fn what_is_too_large_together_goes_apart() {
    const LIMIT: usize = 1_000;
    let receiver = busy(|_, seen| match seen.body.len() > LIMIT {
        true => Say::Http(413, Vec::new(), Vec::new()),
        false => Say::Accept,
    });
    let bench = Bench::new(vec![endpoint("a", &receiver)]);
    assert!(bring(&bench, &receiver).iter().all(|fate| *fate == Fate::Done));
    let small: Vec<bool> = receiver.seen().iter().map(|seen| seen.body.len() <= LIMIT).collect();
    assert_eq!(names(&receiver, |n| small[n]), expected(None));
    assert_eq!(bench.count("dropped_items_total", &["a"]), 0);
}

/// Scenario: the endpoint cannot take what waited now. Guarantees: the host is asked to bring every
/// chunk again, and then each arrives once.
#[test]
fn a_refusal_for_now_makes_all_wait_for_the_host() {
    let receiver = busy(|n, _| match n == SLOTS {
        true => Say::Http(503, vec![("retry-after", "1".to_owned())], Vec::new()),
        false => Say::Accept,
    });
    let bench = Bench::new(vec![endpoint("a", &receiver)]);
    assert!(bring(&bench, &receiver).iter().all(|fate| *fate == Fate::Retry));
    std::thread::sleep(Duration::from_millis(1_500));
    for number in 0..WAITING {
        assert_eq!(bench.deliver(number.into(), &chunk(number)), Fate::Done);
    }
    assert_eq!(names(&receiver, |n| n != SLOTS), expected(None));
}

/// Scenario: those that waited together exceed a rate. Guarantees: they are dropped together, and
/// not sent again one by one.
#[test]
fn a_rate_is_exceeded_by_all_together() {
    let expected = "ingestion rate limit (9 spans) exceeded while adding 30 spans";
    let receiver = busy(move |_, _| Say::Grpc(tonic::Status::resource_exhausted(expected)));
    let bench = Bench::new(vec![grpc("main", &receiver)]);
    assert!(bring(&bench, &receiver).into_iter().all(|fate| fate == Fate::Done));
    let spans = spans_of(&receiver, |_| true);
    assert_eq!(spans.len(), usize::from(WAITING) + SLOTS);
    let dropped = bench.count("dropped_items_total", &["main", "resource_exhausted"]);
    assert_eq!(dropped, u64::from(WAITING));
}
