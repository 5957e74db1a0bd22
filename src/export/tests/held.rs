//! Short waits are ours: failed requests are made again in place, and chunks that only an absent
//! endpoint misses are held in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::data::{span, text, trace_chunk, traces};
use super::receiver::{Receiver, Say};
use super::size::spans_of;
use super::{Bench, EndpointSettings, Fate, GroupSettings, endpoint, grpc, now};
use crate::export::{GroupMode, MemberSource};
use crate::plugin::CompletionWaiter;

const IN_PLACE: Duration = Duration::from_secs(30);

fn patient(settings: EndpointSettings) -> EndpointSettings {
    EndpointSettings { retry_in_place: IN_PLACE, ..settings }
}

fn chunk(items: u8) -> Vec<u8> {
    trace_chunk(&traces((0..items).map(|n| span(n, vec![text("k", "v")])).collect()))
}

/// A receiver that is away while the flag is set.
fn switched(away: &Arc<AtomicBool>) -> Receiver {
    let state = Arc::clone(away);
    Receiver::start(move |_, _| match state.load(Ordering::SeqCst) {
        true => Say::Http(503, Vec::new(), Vec::new()),
        false => Say::Accept,
    })
}

/// Hands a chunk over, and again whenever its gate is open, as the host layer does.
fn deliver_patiently(bench: &Bench, task: u64, chunk: &[u8], limit: Duration) -> (Fate, usize) {
    let start = now();
    let mut times = 1;
    let mut waiter = bench.submit_to_hold(task, chunk);
    while start.elapsed() < limit {
        if let Some(fate) = waiter.wait(Duration::from_millis(20)) {
            return (fate, times);
        }
        if waiter.gate().is_some_and(|gate| gate.is_open()) {
            waiter = bench.submit_to_hold(task, chunk);
            times += 1;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("chunk {task} was not told within {limit:?}");
}

fn held(bench: &Bench, task: u64, chunk: &[u8]) -> CompletionWaiter {
    let waiter = bench.submit_to_hold(task, chunk);
    assert_eq!(waiter.wait(Duration::from_secs(20)), None);
    assert!(waiter.gate().is_some());
    waiter
}

/// Scenario: one request in three is refused for a moment, over HTTP and gRPC, alone and beside a
/// healthy endpoint. Guarantees: the chunk is done without the host's help, soon, once everywhere.
#[test]
fn a_request_that_fails_now_and_then_is_made_again_in_place() {
    for grpc_too in [false, true] {
        let failing = Receiver::start(move |n, _| match (n % 3, grpc_too) {
            (0, false) => Say::Http(503, Vec::new(), b"not now".to_vec()),
            (0, true) => Say::Grpc(tonic::Status::unavailable("not now")),
            _ => Say::Accept,
        });
        let of = |name| if grpc_too { grpc(name, &failing) } else { endpoint(name, &failing) };
        let healthy = Receiver::accepting();
        for beside in [false, true] {
            let mut endpoints = vec![patient(of("failing"))];
            endpoints.extend(beside.then(|| patient(endpoint("healthy", &healthy))));
            let bench = Bench::new(endpoints);
            let start = now();
            for task in 0..6 {
                assert_eq!(bench.deliver(task, &chunk(10)), Fate::Done);
            }
            assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
            assert_eq!(bench.count("sent_items_total", &["failing"]), 60);
            assert_eq!(bench.count("repeated_requests_total", &["failing"]), 3);
            assert_eq!(bench.count("failed_requests_total", &["failing"]), 3);
            assert_eq!(bench.count("retried_chunks_total", &[]), 0);
        }
        assert_eq!(spans_of(&healthy, |_| true).len(), 60);
    }
}

/// Scenario: a chunk of many requests, of which each third one fails once. Guarantees: only those are
/// made again.
#[test]
fn only_the_requests_that_failed_are_made_again() {
    let receiver = Receiver::start(|n, _| match n {
        1 | 4 => Say::Http(502, Vec::new(), Vec::new()),
        _ => Say::Accept,
    });
    let mut small = patient(endpoint("small", &receiver));
    small.max_request_items = 5;
    let bench = Bench::new(vec![small]);
    assert_eq!(bench.deliver(2, &chunk(40)), Fate::Done);
    assert_eq!(receiver.seen().len(), 10);
    assert_eq!(bench.count("sent_items_total", &["small"]), 40);
}

/// Scenario: a chunk that an endpoint never takes although it takes others. Guarantees: it is tried
/// a few times with growing waits and goes back to the host then.
#[test]
fn what_fails_again_and_again_goes_back() {
    let receiver = Receiver::start(|_, seen| match seen.body.len() > 1000 {
        true => Say::Http(503, Vec::new(), Vec::new()),
        false => Say::Accept,
    });
    let bench = Bench::new(vec![patient(endpoint("one", &receiver))]);
    std::thread::scope(|scope| {
        let poisoned = scope.spawn(|| bench.deliver(2, &chunk(60)));
        let start = now();
        let mut task = 100;
        // Those in between keep the breaker closed.
        while !poisoned.is_finished() {
            task += 2;
            assert_eq!(bench.deliver(task, &chunk(1)), Fate::Done);
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(poisoned.join().unwrap(), Fate::Retry);
        let took = start.elapsed();
        assert!(took > Duration::from_millis(800) && took < Duration::from_secs(5), "{took:?}");
    });
    assert_eq!(bench.count("failed_requests_total", &["one"]), 6);
}

/// Scenario: one of two endpoints, or the only one, is away for some seconds while chunks come.
/// Guarantees: the other has each at once; the absent one has all of them soon after it is back,
/// without one retry of the host, once; they are not sent while it is away.
#[test]
fn chunks_of_an_outage_are_held_and_follow_at_once() {
    for beside in [false, true] {
        let away = Arc::new(AtomicBool::new(true));
        let (receiver, healthy) = (switched(&away), Receiver::accepting());
        let mut endpoints = vec![patient(endpoint("away", &receiver))];
        endpoints.extend(beside.then(|| endpoint("healthy", &healthy)));
        let bench = Bench::new(endpoints);
        let (count, limit) = (20, Duration::from_secs(20));
        let back = std::thread::scope(|scope| {
            let bench = &bench;
            let all: Vec<_> = (0..count)
                .map(|task| scope.spawn(move || deliver_patiently(bench, task, &chunk(10), limit)))
                .collect();
            std::thread::sleep(Duration::from_millis(2_500));
            assert_eq!(bench.count("held_chunks", &[]), count, "{beside}");
            assert!(receiver.seen().len() < 16, "{} requests", receiver.seen().len());
            if beside {
                assert_eq!(bench.count("sent_items_total", &["healthy"]), count * 10);
            }
            away.store(false, Ordering::SeqCst);
            let back = now();
            for each in all {
                let (fate, times) = each.join().unwrap();
                assert_eq!(fate, Fate::Done);
                assert!(times < 8, "{times}");
            }
            back.elapsed()
        });
        assert!(back < Duration::from_secs(6), "{back:?} after it was back");
        assert_eq!(bench.count("sent_items_total", &["away"]), count * 10);
        assert_eq!(bench.count("retried_chunks_total", &[]), 0);
        assert_eq!(bench.count("held_chunks", &[]) + bench.count("held_bytes", &[]), 0);
        assert_eq!(bench.count("exporter_received_items_total", &[]), count * 10);
    }
}

/// Scenario: a group none of whose members is there. Guarantees: its chunks are held as an endpoint's
/// are, and go to the first one that is back.
#[test]
fn a_group_holds_as_an_endpoint_does() {
    let flags = [Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true))];
    let members = [switched(&flags[0]), switched(&flags[1])];
    let listed = members.iter().zip(["a", "b"]);
    let listed = listed.map(|(member, name)| patient(endpoint(name, member))).collect();
    let group = GroupSettings {
        name: "g".to_owned(),
        mode: GroupMode::Failover,
        members: MemberSource::Listed(listed),
    };
    let bench = Bench::with_groups(Vec::new(), vec![group]);
    let (fate, _) = std::thread::scope(|scope| {
        let delivered = scope.spawn(|| deliver_patiently(&bench, 2, &chunk(10), IN_PLACE));
        std::thread::sleep(Duration::from_millis(1_500));
        flags[1].store(false, Ordering::SeqCst);
        delivered.join().unwrap()
    });
    assert_eq!(fate, Fate::Done);
    assert_eq!(bench.count("sent_items_total", &["b"]), 10);
}

/// Scenario: more bytes than may be held. Guarantees: what is beyond goes back to the host, and what
/// is held stays so.
#[test]
fn what_is_held_is_bounded_in_bytes() {
    let receiver = switched(&Arc::new(AtomicBool::new(true)));
    let bench = Bench::new(vec![patient(endpoint("away", &receiver))]);
    let spans = (0..100).map(|n| span(n, vec![text("k", &"v".repeat(4_000))])).collect();
    let large = trace_chunk(&traces(spans));
    let room = 1_000_000 / large.len();
    let waiting: Vec<_> =
        (0..u64::try_from(room).unwrap()).map(|task| held(&bench, 2 * task, &large)).collect();
    let beyond = bench.submit_to_hold(200, &large);
    assert_eq!(beyond.wait(test_timeout::at_most(Duration::from_secs(20))), Some(Fate::Retry));
    assert_eq!(bench.count("held_chunks", &[]), u64::try_from(room).unwrap());
    assert_eq!(bench.count("held_bytes", &[]), u64::try_from(room * large.len()).unwrap());
    assert!(waiting.iter().all(|waiter| waiter.fate().is_none()));
}

/// Scenario: an endpoint is away for longer than a chunk may be held, asks for a longer wait, or is
/// not to be waited for. Guarantees: the chunk goes back to the host, at the end of that time or at
/// once.
#[test]
fn long_waits_are_the_hosts() {
    let away = || switched(&Arc::new(AtomicBool::new(true)));
    let receiver = away();
    let short = Duration::from_millis(1_500);
    let settings = EndpointSettings { retry_in_place: short, ..endpoint("short", &receiver) };
    let bench = Bench::new(vec![settings]);
    let start = now();
    let (fate, _) = deliver_patiently(&bench, 2, &chunk(10), Duration::from_secs(10));
    assert_eq!(fate, Fate::Retry);
    let took = start.elapsed();
    assert!(took > Duration::from_millis(300) && took < 2 * short, "{took:?}");
    // The endpoint has been away for so long now: what comes is not held.
    std::thread::sleep(short.saturating_sub(took));
    let waiter = bench.submit_to_hold(4, &chunk(10));
    assert_eq!(waiter.wait(test_timeout::at_most(Duration::from_secs(5))), Some(Fate::Retry));
    assert_eq!(bench.count("held_chunks", &[]), 0);

    let receiver =
        Receiver::start(|_, _| Say::Http(429, vec![("retry-after", "60".to_owned())], Vec::new()));
    let bench = Bench::new(vec![patient(endpoint("asks", &receiver))]);
    let waiter = bench.submit_to_hold(2, &chunk(10));
    assert_eq!(waiter.wait(test_timeout::at_most(Duration::from_secs(5))), Some(Fate::Retry));

    let receiver = away();
    let bench = Bench::new(vec![endpoint("never", &receiver)]);
    let waiter = bench.submit_to_hold(2, &chunk(10));
    assert_eq!(waiter.wait(test_timeout::at_most(Duration::from_secs(5))), Some(Fate::Retry));
    assert_eq!(receiver.seen().len(), 1);
}

/// Scenario: an endpoint asks for a short wait. Guarantees: nothing is sent to it meanwhile, and the
/// chunk follows right after.
#[test]
fn a_short_wait_that_an_endpoint_asks_for_is_kept() {
    let receiver = Receiver::start(|n, _| match n {
        0 => Say::Http(429, vec![("retry-after", "1".to_owned())], Vec::new()),
        _ => Say::Accept,
    });
    let bench = Bench::new(vec![patient(endpoint("asks", &receiver))]);
    let start = now();
    let (fate, times) = deliver_patiently(&bench, 2, &chunk(10), Duration::from_secs(10));
    assert_eq!((fate, times), (Fate::Done, 2));
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(2), "{took:?}");
    assert_eq!(receiver.seen().len(), 2);
}

/// Scenario: a chunk is held for an endpoint with `max_elapsed_time`. Guarantees: its items are given
/// up when that is over, and not when the host would bring the chunk again.
#[test]
fn what_is_to_be_given_up_is_so_while_it_is_held() {
    let receiver = switched(&Arc::new(AtomicBool::new(true)));
    let limit = Duration::from_secs(1);
    let mut settings = patient(endpoint("gone", &receiver));
    settings.max_elapsed_time = Some(limit);
    let bench = Bench::new(vec![settings]);
    let start = now();
    let (fate, _) = deliver_patiently(&bench, 2, &chunk(10), Duration::from_secs(10));
    let took = start.elapsed();
    assert_eq!(fate, Fate::Done);
    assert!(took > limit && took < Duration::from_secs(6), "{took:?}");
    assert_eq!(bench.count("dropped_items_total", &["gone", "max_elapsed_time"]), 10);
    assert_eq!(bench.count("held_chunks", &[]), 0);
}
