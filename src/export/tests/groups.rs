//! Groups: who gets what, and what happens when members come and go.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;

use super::data::{metric_chunk, metrics, span, trace_chunk, traces};
use super::receiver::{Receiver, Say};
use super::size::spans_of;
use super::{Bench, Fate, endpoint, now};
use crate::export::{GroupMode, GroupSettings, MemberSource};

fn group(mode: GroupMode, receivers: &[&Receiver]) -> GroupSettings {
    let listed = receivers.iter().enumerate();
    let listed = listed.map(|(n, receiver)| endpoint(&format!("m{n}"), receiver)).collect();
    GroupSettings { name: "g".to_owned(), mode, members: MemberSource::Listed(listed) }
}

fn bench(mode: GroupMode, receivers: &[&Receiver]) -> Bench {
    Bench::with_groups(Vec::new(), vec![group(mode, receivers)])
}

fn chunk(from: u8, to: u8) -> Vec<u8> {
    trace_chunk(&traces((from..to).map(|number| span(number, vec![])).collect()))
}

fn names(spans: &[Span]) -> Vec<String> {
    let mut names: Vec<String> = spans.iter().map(|span| span.name.clone()).collect();
    names.sort();
    names
}

/// A receiver that can be switched off: it answers 503 then.
fn switched() -> (Receiver, Arc<AtomicBool>) {
    let up = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&up);
    let receiver = Receiver::start(move |_, _| match state.load(Ordering::SeqCst) {
        true => Say::Accept,
        false => Say::Http(503, Vec::new(), Vec::new()),
    });
    (receiver, up)
}

#[test]
fn failover_uses_the_first_that_is_there_and_returns_to_the_primary() {
    let ((primary, up), (second, _)) = (switched(), switched());
    let bench = bench(GroupMode::Failover, &[&primary, &second]);
    assert_eq!(bench.deliver(1, &chunk(0, 3)), Fate::Done);
    assert_eq!((primary.seen().len(), second.seen().len()), (1, 0));
    up.store(false, Ordering::SeqCst);
    for task in 2..8 {
        assert_eq!(bench.deliver(task, &chunk(0, 3)), Fate::Done);
    }
    assert_eq!(second.seen().len(), 6);
    // Three failures opened its breaker; since then nobody tried it.
    assert_eq!(primary.seen().len(), 4);
    assert_eq!(bench.count("endpoint_up", &["m0"]), 0);
    up.store(true, Ordering::SeqCst);
    let start = now();
    let before = second.seen().len();
    let mut task = 10;
    while bench.count("endpoint_up", &["m0"]) == 0 {
        assert!(start.elapsed() < test_timeout::at_most(Duration::from_secs(10)));
        std::thread::sleep(Duration::from_millis(200));
        task += 1;
        assert_eq!(bench.deliver(task, &chunk(0, 3)), Fate::Done);
    }
    std::thread::sleep(Duration::from_millis(100));
    let (first, other) = (primary.seen().len(), second.seen().len());
    assert!(other > before);
    assert_eq!(bench.deliver(10, &chunk(0, 3)), Fate::Done);
    assert_eq!((primary.seen().len(), second.seen().len()), (first + 1, other));
    // It was asked with a request that holds nothing, so nothing came twice.
    assert!(primary.seen().iter().any(|seen| seen.body.is_empty()));
}

#[test]
fn a_group_without_a_member_that_is_there_keeps_the_chunk_and_then_delivers_it_once() {
    let ((one, one_up), (two, two_up)) = (switched(), switched());
    one_up.store(false, Ordering::SeqCst);
    two_up.store(false, Ordering::SeqCst);
    let bench = bench(GroupMode::Failover, &[&one, &two]);
    for _ in 0..4 {
        assert_eq!(bench.deliver(1, &chunk(0, 5)), Fate::Retry);
    }
    two_up.store(true, Ordering::SeqCst);
    let start = now();
    while bench.deliver(1, &chunk(0, 5)) == Fate::Retry {
        assert!(start.elapsed() < test_timeout::at_most(Duration::from_secs(10)));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(bench.count("sent_items_total", &["m1"]), 5);
    assert_eq!(bench.count("sent_items_total", &["m0"]), 0);
}

#[test]
fn members_take_turns_and_stand_in_for_each_other() {
    let ((one, _), (two, two_up), (three, _)) = (switched(), switched(), switched());
    let bench = bench(GroupMode::RoundRobin, &[&one, &two, &three]);
    for task in 0..9 {
        assert_eq!(bench.deliver(task, &chunk(0, 2)), Fate::Done);
    }
    for receiver in [&one, &two, &three] {
        assert_eq!(receiver.seen().len(), 3);
    }
    two_up.store(false, Ordering::SeqCst);
    for task in 9..18 {
        assert_eq!(bench.deliver(task, &chunk(0, 2)), Fate::Done);
    }
    assert_eq!(bench.count("sent_items_total", &["m1"]), 6);
    assert_eq!(bench.count("sent_items_total", &[]), 36);
}

#[test]
fn the_least_busy_member_gets_the_next_request() {
    let slow = Receiver::start(|_, _| Say::Slow(Duration::from_millis(1_500)));
    let fast = Receiver::accepting();
    let bench = bench(GroupMode::LeastBusy, &[&slow, &fast]);
    let waiters: Vec<_> = (0..2)
        .map(|task| {
            let waiter = bench.submit(crate::plugin::EventType::Logs, task, &chunk(0, 2));
            std::thread::sleep(Duration::from_millis(200));
            waiter
        })
        .collect();
    for task in 2..8 {
        assert_eq!(bench.deliver(task, &chunk(0, 2)), Fate::Done);
    }
    assert_eq!((slow.seen().len(), fast.seen().len()), (1, 7));
    for waiter in waiters {
        assert_eq!(waiter.wait(test_timeout::at_most(Duration::from_secs(5))), Some(Fate::Done));
    }
}

#[test]
fn a_trace_goes_to_one_member_and_a_lost_member_moves_only_its_share() {
    let pairs: Vec<_> = (0..4).map(|_| switched()).collect();
    let receivers: Vec<&Receiver> = pairs.iter().map(|(receiver, _)| receiver).collect();
    let bench = bench(GroupMode::TraceId, &receivers);
    assert_eq!(bench.deliver(1, &chunk(0, 200)), Fate::Done);
    assert_eq!(bench.deliver(2, &chunk(0, 200)), Fate::Done);
    let shares: Vec<Vec<String>> =
        receivers.iter().map(|receiver| names(&spans_of(receiver, |_| true))).collect();
    assert_eq!(shares.iter().map(Vec::len).sum::<usize>(), 400);
    let distinct: usize =
        shares.iter().map(|share| share.iter().collect::<HashSet<_>>().len()).sum();
    assert_eq!(distinct, 200, "each trace has one place");
    assert!(shares.iter().all(|share| !share.is_empty()));
    // One goes: at first its share waits for it, then it moves, and nothing else does.
    pairs[2].1.store(false, Ordering::SeqCst);
    let before: Vec<usize> = receivers.iter().map(|receiver| receiver.seen().len()).collect();
    let mut attempts = 0;
    while bench.deliver(3, &chunk(0, 200)) == Fate::Retry {
        attempts += 1;
        assert!(attempts < 6);
    }
    let mut total = 0;
    for (n, receiver) in receivers.iter().enumerate().filter(|(n, _)| *n != 2) {
        let new = names(&spans_of(receiver, |request| request >= before[n]));
        let own: HashSet<&String> = shares[n].iter().collect();
        let moved = new.iter().filter(|name| !own.contains(name));
        assert!(moved.clone().all(|name| shares[2].contains(name)));
        total += new.len();
    }
    assert_eq!(total, 200);
    assert_eq!(bench.count("sent_items_total", &[]), 600);
    // What belongs to no trace goes by its resource.
    assert_eq!(bench.deliver(4, &metric_chunk(&metrics(5))), Fate::Done);
    assert_eq!(bench.count("sent_items_total", &["metrics"]), 5);
}

#[test]
fn looked_up_members_come_and_go_and_nothing_is_lost() {
    let first = Receiver::accepting();
    let port = first.address.port();
    let at = |host: &str| format!("{host}:{port}");
    let second = Receiver::start_at(&at("127.0.0.2"), |_, _| Say::Accept);
    let third = Receiver::start_at(&at("127.0.0.3"), |_, _| Say::Accept);
    let addresses = Arc::new(Mutex::new(Ok(vec![first.address, second.address])));
    let (answer, asked) = (Arc::clone(&addresses), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    let lookup: crate::export::delivery::group::NameLookup = Arc::new(move |host, asked_port| {
        assert_eq!((host.as_str(), asked_port), ("gateways.example", port));
        count.fetch_add(1, Ordering::SeqCst);
        let found: Result<Vec<SocketAddr>, ()> = answer.lock().unwrap().clone();
        Box::pin(async move { found.map_err(|()| std::io::Error::other("no such host")) })
    });
    let url = format!("http://gateways.example:{port}").parse().unwrap();
    let members = MemberSource::Resolved {
        endpoint: Box::new(super::at("g", url)),
        interval: Duration::from_millis(100),
    };
    let groups = vec![GroupSettings { name: "g".to_owned(), mode: GroupMode::TraceId, members }];
    let bench = Bench::with_lookup(Vec::new(), groups, lookup);
    let pause = || std::thread::sleep(Duration::from_millis(150));
    let mut task = 10;
    let mut settle = || {
        pause();
        task += 1;
        assert_eq!(bench.deliver(task, &chunk(0, 1)), Fate::Done);
        pause();
    };
    assert_eq!(bench.deliver(1, &chunk(0, 100)), Fate::Done);
    assert!(!first.seen().is_empty() && !second.seen().is_empty());
    let host = first.seen()[0].headers["host"].to_str().unwrap().to_owned();
    assert_eq!(host, format!("gateways.example:{port}"));
    // One more comes.
    *addresses.lock().unwrap() = Ok(vec![third.address, second.address, first.address]);
    settle();
    assert_eq!(bench.deliver(2, &chunk(0, 100)), Fate::Done);
    assert!(!third.seen().is_empty());
    // The name service fails: the members stay.
    *addresses.lock().unwrap() = Err(());
    settle();
    assert_eq!(bench.deliver(3, &chunk(0, 100)), Fate::Done);
    assert!(bench.count("discovery_failures_total", &["g"]) > 0);
    // Two go.
    *addresses.lock().unwrap() = Ok(vec![third.address]);
    settle();
    let counts = (first.seen().len(), second.seen().len());
    assert_eq!(bench.deliver(4, &chunk(0, 100)), Fate::Done);
    assert_eq!((first.seen().len(), second.seen().len()), counts);
    assert_eq!(bench.count("sent_items_total", &["g"]), 403);
    assert_eq!(bench.count("discovered_members", &["g"]), 1);
    assert!(asked.load(Ordering::SeqCst) >= 4);
}
