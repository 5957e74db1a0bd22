//! Redelivery: the host brings a chunk again before it knows what came of it, as it does when it
//! stops.

use std::time::Duration;

use super::data::{span, text, trace_chunk, traces};
use super::receiver::{Receiver, Say};
use super::{Bench, EventType, Fate, endpoint};

fn chunk() -> Vec<u8> {
    trace_chunk(&traces((0..10).map(|n| span(n, vec![text("k", "v")])).collect()))
}

fn slow() -> Receiver {
    Receiver::start(|_, _| Say::Slow(Duration::from_millis(200)))
}

/// Scenario: a chunk is brought again while it is on its way, and once more after it has arrived, with
/// one endpoint and with two. Guarantees: it arrives once at each, and in the end is done.
#[test]
fn a_chunk_that_is_on_its_way_is_not_sent_again() {
    for count in [1, 2] {
        let receivers: Vec<_> = (0..count).map(|_| slow()).collect();
        let named = ["a", "b"].into_iter().zip(&receivers);
        let bench = Bench::new(named.map(|(name, receiver)| endpoint(name, receiver)).collect());
        let first = bench.submit(EventType::Logs, 2, &chunk());
        let second = bench.submit(EventType::Logs, 2, &chunk());
        assert_eq!(
            second.wait(test_timeout::at_most(Duration::from_secs(5))),
            Some(Fate::Retry),
            "{count}"
        );
        assert_eq!(
            first.wait(test_timeout::at_most(Duration::from_secs(5))),
            Some(Fate::Done),
            "{count}"
        );
        assert_eq!(bench.deliver(2, &chunk()), Fate::Done, "{count}");
        // Another chunk with the same content is another chunk.
        assert_eq!(bench.deliver(4, &chunk()), Fate::Done, "{count}");
        for receiver in &receivers {
            assert_eq!(receiver.seen().len(), 2, "{count}");
        }
    }
}
