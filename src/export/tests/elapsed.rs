//! What is not taken for too long is given up, where that is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::data::{span, text, trace_chunk, traces};
use super::receiver::{Receiver, Say};
use super::size::spans_of;
use super::{Bench, EndpointSettings, EventType, Fate, GroupSettings, endpoint};
use crate::export::{DeadLetterTarget, GroupMode, MemberSource};

const LIMIT: Duration = Duration::from_millis(300);

fn limited(name: &str, receiver: &Receiver) -> EndpointSettings {
    EndpointSettings { max_elapsed_time: Some(LIMIT), ..endpoint(name, receiver) }
}

fn away() -> Receiver {
    Receiver::start(|_, _| Say::Http(503, Vec::new(), Vec::new()))
}

fn chunk(items: u8) -> Vec<u8> {
    trace_chunk(&traces((0..items).map(|n| span(n, vec![text("k", "v")])).collect()))
}

/// Scenario: one of two endpoints is away for longer than it is to be tried. Guarantees: its items
/// are given up, counted and told, and only then; the other has them once, and the host is rid of
/// the chunk.
#[test]
fn an_endpoint_that_is_away_too_long_loses_its_items() {
    let (gone, there) = (away(), Receiver::accepting());
    let bench = Bench::new(vec![limited("gone", &gone), endpoint("there", &there)]);
    assert_eq!(bench.deliver(2, &chunk(10)), Fate::Retry);
    assert_eq!(bench.deliver(2, &chunk(10)), Fate::Retry);
    assert_eq!(bench.count("dropped_items_total", &["gone"]), 0);
    std::thread::sleep(LIMIT);
    let mut fate = Fate::Retry;
    // The delivery goes on behind the chunk's back, and may be done only when it comes again.
    for _ in 0..20 {
        fate = bench.deliver(2, &chunk(10));
        if fate == Fate::Done {
            break;
        }
    }
    assert_eq!(fate, Fate::Done);
    assert_eq!(bench.count("dropped_items_total", &["gone", "max_elapsed_time"]), 10);
    assert_eq!(bench.count("dropped_items_total", &["gone"]), 10);
    assert_eq!(spans_of(&there, |_| true).len(), 10);
    let log = bench.log();
    assert!(log.contains("endpoint 'gone' did not take a request to http://"), "{log}");
    assert!(log.contains("10 items of traces are dropped"), "{log}");
    assert!(log.contains("within 'max_elapsed_time', 300ms"), "{log}");
}

/// Scenario: an endpoint has taken half of a chunk when it is given up. Guarantees: the other half,
/// and nothing else, is in the file of dead letters.
#[test]
fn only_what_is_missing_is_given_up() {
    let full = Arc::new(AtomicBool::new(false));
    let now_full = Arc::clone(&full);
    let receiver = Receiver::start(move |_, _| match now_full.swap(true, Ordering::Relaxed) {
        true => Say::Http(503, Vec::new(), Vec::new()),
        false => Say::Accept,
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letters");
    let mut endpoint = limited("half", &receiver);
    endpoint.max_request_items = 5;
    endpoint.dead_letter = Some(DeadLetterTarget::File(file.clone(), 1_000_000));
    let bench = Bench::new(vec![endpoint]);
    assert_eq!(bench.deliver(2, &chunk(10)), Fate::Retry);
    std::thread::sleep(LIMIT);
    assert_eq!(bench.deliver(2, &chunk(10)), Fate::Done);
    assert_eq!(bench.count("sent_items_total", &["half"]), 5);
    assert_eq!(bench.count("dead_letter_items_total", &["half"]), 5);
    assert_eq!(bench.count("dropped_items_total", &["half"]), 0);
    let letters = std::fs::read_to_string(file).unwrap();
    assert_eq!(letters.lines().count(), 1, "{letters}");
    assert!(letters.contains("\"reason\":\"max_elapsed_time\"") && letters.contains("\"items\":5"));
}

/// Scenario: no member of a group takes a chunk for too long. Guarantees: it is given up once, for
/// the group.
#[test]
fn a_group_gives_up_as_one() {
    let (first, second) = (away(), away());
    let members = MemberSource::Listed(vec![limited("first", &first), limited("second", &second)]);
    let group = GroupSettings { name: "both".to_owned(), mode: GroupMode::Failover, members };
    let bench = Bench::with_groups(Vec::new(), vec![group]);
    assert_eq!(bench.submit(EventType::Logs, 2, &chunk(4)).wait(2 * LIMIT), Some(Fate::Retry));
    std::thread::sleep(LIMIT);
    assert_eq!(bench.deliver(2, &chunk(4)), Fate::Done);
    assert_eq!(bench.count("dropped_items_total", &[]), 4);
}
