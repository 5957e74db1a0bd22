//! An endpoint that says nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::data::{span, text, trace_chunk, traces};
use super::receiver::{CONNECTION, Receiver, Say};
use super::{Bench, Fate, endpoint, grpc, now};
use crate::export::{EndpointSettings, GroupMode, GroupSettings, MemberSource, OAuth2Settings};

const TIMEOUT: Duration = Duration::from_millis(800);

fn chunk() -> Vec<u8> {
    let spans = (0..40).map(|number| span(number, vec![text("k", &"v".repeat(200))])).collect();
    trace_chunk(&traces(spans))
}

/// Chunks one after the other, as a worker of the host brings them, for a while; chunks a second.
fn throughput(bench: &Bench, tasks: &mut u64, time: Duration) -> f64 {
    let (chunk, start, mut count) = (chunk(), now(), 0_u32);
    while start.elapsed() < time {
        *tasks += 1;
        let _fate = bench.deliver(*tasks, &chunk);
        count += 1;
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

/// Three endpoints whose network takes its time, so that the machine does not matter; the last one
/// can be made to hang.
fn three(hangs: &Arc<AtomicBool>) -> ([Receiver; 3], Bench) {
    let slow = |_: usize, _: &super::receiver::Seen| Say::Slow(Duration::from_millis(20));
    let state = Arc::clone(hangs);
    let third = Receiver::start(move |_, _| match state.load(Ordering::SeqCst) {
        true => Say::Hang,
        false => Say::Slow(Duration::from_millis(20)),
    });
    let receivers = [Receiver::start(slow), Receiver::start(slow), third];
    let named = ["one", "two", "hangs"].iter().zip(&receivers);
    let mut endpoints: Vec<_> = named.map(|(name, receiver)| endpoint(name, receiver)).collect();
    endpoints[2].timeout = TIMEOUT;
    (receivers, Bench::new(endpoints))
}

/// Scenario: one of three endpoints hangs. Guarantees: it delays the others by less than one timeout
/// in total, and then they get as much as where it does not hang.
#[test]
fn one_of_three_that_hangs_delays_the_others_once() {
    let hangs = Arc::new(AtomicBool::new(false));
    let (_healthy_receivers, healthy) = three(&Arc::default());
    let (_receivers, bench) = three(&hangs);
    let (mut tasks, mut others) = (0, 0);
    let _warm = throughput(&bench, &mut tasks, Duration::from_millis(500));
    let _warm = throughput(&healthy, &mut others, Duration::from_millis(500));
    hangs.store(true, Ordering::SeqCst);
    let start = now();
    tasks += 1;
    assert_eq!(bench.deliver(tasks, &chunk()), Fate::Retry);
    let delay = start.elapsed();
    assert!(delay >= Duration::from_millis(500) && delay < TIMEOUT, "{delay:?}");
    // Side by side, so that both have the same share of the machine. The first probes, a second and
    // two and four later, fall into this.
    let time = Duration::from_secs(9);
    let (with, without) = std::thread::scope(|scope| {
        let with = scope.spawn(|| throughput(&bench, &mut tasks, time));
        let without = throughput(&healthy, &mut others, time);
        (with.join().unwrap(), without)
    });
    assert!(with > without * 0.9, "{with} chunks/s with it hanging, {without} without");
    assert_eq!(bench.count("endpoint_up", &["hangs"]), 0);
    assert_eq!(bench.count("sent_items_total", &["one"]), tasks * 40);
    assert_eq!(bench.count("sent_items_total", &["two"]), tasks * 40);
}

/// Scenario: an endpoint that was away answers the probe late. Guarantees: the chunk does not wait
/// for it, and the endpoint has it once when the host brings it again.
#[test]
fn a_late_answer_is_not_lost() {
    let receiver = Receiver::start(|n, _| match n {
        0 => Say::Hang,
        _ => Say::Slow(Duration::from_millis(600)),
    });
    let healthy = Receiver::accepting();
    let mut late = endpoint("late", &receiver);
    late.timeout = TIMEOUT;
    let bench = Bench::new(vec![endpoint("healthy", &healthy), late]);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Retry);
    std::thread::sleep(Duration::from_millis(1_400));
    let start = now();
    assert_eq!(bench.deliver(1, &chunk()), Fate::Retry);
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    // It is under way: nobody sends it again.
    assert_eq!(bench.deliver(1, &chunk()), Fate::Retry);
    std::thread::sleep(Duration::from_millis(800));
    assert_eq!(bench.deliver(1, &chunk()), Fate::Done);
    assert_eq!(receiver.seen().len(), 2);
    assert_eq!(bench.count("sent_items_total", &["late"]), 40);
    assert_eq!(healthy.seen().len(), 1);
}

/// Scenario: an endpoint is away for long and the host brings a large chunk again and again.
/// Guarantees: that costs next to nothing until the endpoint is asked again, and then it gets the
/// chunk.
#[test]
fn a_chunk_that_only_an_absent_endpoint_misses_is_not_read_again() {
    let receiver = Receiver::start(|n, _| match n {
        0 => Say::Http(503, vec![("retry-after", "2".to_owned())], Vec::new()),
        _ => Say::Accept,
    });
    let healthy = Receiver::accepting();
    let bench = Bench::new(vec![endpoint("healthy", &healthy), endpoint("away", &receiver)]);
    let spans = (0..100).map(|number| span(number, vec![text("k", &"v".repeat(20_000))])).collect();
    let large = trace_chunk(&traces(spans));
    let start = now();
    assert_eq!(bench.deliver(2, &large), Fate::Retry);
    let first = start.elapsed();
    let start = now();
    for _ in 0..20 {
        assert_eq!(bench.deliver(2, &large), Fate::Retry);
    }
    let twenty = start.elapsed();
    assert!(twenty < first * 10, "{twenty:?} for twenty, {first:?} for the first");
    assert_eq!(bench.count("deferred_requests_total", &["away"]), 20);
    assert_eq!(receiver.seen().len(), 1);
    std::thread::sleep(Duration::from_millis(2_100).saturating_sub(twenty));
    assert_eq!(bench.deliver(2, &large), Fate::Done);
    assert_eq!(bench.count("sent_items_total", &["away"]), 100);
    assert_eq!(bench.count("sent_items_total", &["healthy"]), 100);
    assert_eq!(bench.count("exporter_received_items_total", &["traces"]), 100);
}

/// Scenario: requests over HTTP/2 come through, then one gets no answer. Guarantees: the connection
/// that it was on is used for nothing more, because what it leads to may be dead.
#[test]
fn after_a_timeout_there_is_a_new_connection() {
    let receiver = Receiver::start(|n, _| if n == 2 { Say::Hang } else { Say::Accept });
    let mut settings = grpc("one", &receiver);
    settings.timeout = TIMEOUT;
    let bench = Bench::new(vec![settings]);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Done);
    assert_eq!(bench.deliver(2, &chunk()), Fate::Done);
    assert_eq!(bench.deliver(3, &chunk()), Fate::Retry);
    std::thread::sleep(Duration::from_millis(1_050));
    let start = now();
    while bench.deliver(3, &chunk()) != Fate::Done {
        assert!(start.elapsed() < test_timeout::at_most(Duration::from_secs(10)));
        std::thread::sleep(Duration::from_millis(100));
    }
    let seen = receiver.seen();
    let connections: Vec<_> = seen.iter().map(|seen| &seen.headers[CONNECTION]).collect();
    assert_eq!(connections, ["0", "0", "0", "1"]);
}

/// A group by name, of members that each have the timeout.
fn failover(receivers: &[&Receiver]) -> GroupSettings {
    let listed = receivers.iter().enumerate().map(|(n, receiver)| EndpointSettings {
        timeout: TIMEOUT,
        ..endpoint(&format!("m{n}"), receiver)
    });
    let members = MemberSource::Listed(listed.collect());
    GroupSettings { name: "g".to_owned(), mode: GroupMode::Failover, members }
}

/// Scenario: all three members of a group hang, and then answer again. Guarantees: the group delays
/// another destination by one timeout in total and not by one for each member, and in the end both
/// have everything once.
#[test]
fn a_group_whose_members_all_hang_delays_others_by_one_timeout() {
    let hangs = Arc::new(AtomicBool::new(true));
    let member = || {
        let state = Arc::clone(&hangs);
        Receiver::start(move |_, _| match state.load(Ordering::SeqCst) {
            true => Say::Hang,
            false => Say::Accept,
        })
    };
    let members = [member(), member(), member()];
    let healthy = Receiver::accepting();
    let group = failover(&[&members[0], &members[1], &members[2]]);
    let bench = Bench::with_groups(vec![endpoint("healthy", &healthy)], vec![group]);
    let start = now();
    assert_eq!(bench.deliver(1, &chunk()), Fate::Retry);
    let first = start.elapsed();
    assert!(first >= TIMEOUT && first < TIMEOUT * 3 / 2, "{first:?}");
    // The second and the third member are still to be found out. Nobody waits for that.
    let (mut tasks, start) = (1, now());
    while start.elapsed() < TIMEOUT {
        tasks += 1;
        let each = now();
        assert_eq!(bench.deliver(tasks, &chunk()), Fate::Retry);
        assert_eq!(bench.deliver(1, &chunk()), Fate::Retry);
        assert!(each.elapsed() < TIMEOUT / 2, "{:?}", each.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(bench.count("sent_items_total", &["healthy"]), tasks * 40);
    std::thread::sleep(TIMEOUT);
    assert_eq!(members.iter().map(|member| member.seen().len()).sum::<usize>(), 3);
    hangs.store(false, Ordering::SeqCst);
    let start = now();
    for task in 1..=tasks {
        while bench.deliver(task, &chunk()) != Fate::Done {
            assert!(start.elapsed() < test_timeout::at_most(Duration::from_secs(20)));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    assert_eq!(bench.count("sent_items_total", &["healthy"]), tasks * 40);
    assert_eq!(bench.count("sent_items_total", &[]), tasks * 80);
}

/// Scenario: the first member of a group hangs and the second one answers, soon or late. Guarantees:
/// the chunk has its answer where that comes soon, and otherwise does not wait for it; the member
/// has the chunk once when the host brings it again.
#[test]
fn what_a_group_delivers_late_is_not_lost_and_not_sent_twice() {
    let hanging = [Receiver::start(|_, _| Say::Hang), Receiver::start(|_, _| Say::Hang)];
    let soon = Receiver::accepting();
    let late = Receiver::start(|_, _| Say::Slow(Duration::from_millis(500)));
    let healthy = Receiver::accepting();
    let with = |group| Bench::with_groups(vec![endpoint("healthy", &healthy)], vec![group]);
    let bench = with(failover(&[&hanging[0], &soon]));
    assert_eq!(bench.deliver(1, &chunk()), Fate::Done);
    assert_eq!(soon.seen().len(), 1);
    let bench = with(failover(&[&hanging[1], &late]));
    let start = now();
    assert_eq!(bench.deliver(1, &chunk()), Fate::Retry);
    assert!(start.elapsed() < TIMEOUT * 3 / 2, "{:?}", start.elapsed());
    // It is under way.
    let start = now();
    assert_eq!(bench.deliver(1, &chunk()), Fate::Retry);
    assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(bench.deliver(1, &chunk()), Fate::Done);
    assert_eq!((late.seen().len(), healthy.seen().len()), (1, 2));
    assert_eq!(bench.count("sent_items_total", &["m1"]), 40);
}

/// Scenario: the service of an endpoint's tokens hangs. Guarantees: that is found out as where the
/// endpoint itself hangs, long before the timeout, and then holds up nobody.
#[test]
fn a_service_of_tokens_that_hangs_delays_others_once() {
    let service = Receiver::start(|_, _| Say::Hang);
    let (receiver, healthy) = (Receiver::accepting(), Receiver::accepting());
    let mut main = endpoint("main", &receiver);
    main.timeout = Duration::from_secs(10);
    main.credentials.oauth2 = Some(OAuth2Settings {
        token_url: service.url(),
        client_id: "me".to_owned(),
        client_secret: "hush".to_owned(),
        ..OAuth2Settings::default()
    });
    let bench = Bench::new(vec![endpoint("healthy", &healthy), main]);
    let start = now();
    for task in 1..=20 {
        assert_eq!(bench.deliver(task, &chunk()), Fate::Retry);
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(bench.count("sent_items_total", &["healthy"]), 800);
    assert!(receiver.seen().is_empty());
}
