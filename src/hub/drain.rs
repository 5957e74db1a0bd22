//! Drain loop: the sources' telemetry goes into the pipeline.

use crate::clock::Tick;
use crate::hub::{Drain, EmissionForm, Hub};
use crate::model::Emission;

/// What a drain did, in log events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drained {
    /// Events that the host took.
    pub emitted: usize,
    /// Events that the host refused; they went back to their source.
    pub refused: usize,
    /// A source has more to give at once, and the host refused nothing.
    pub has_more: bool,
}

/// Moves what the sources give into the pipeline. `append` hands one emission to the host, in the
/// form that the second argument says, and says whether the host took it.
///
/// All inputs of one run are called on the host's one engine thread, so only one input drains at a
/// time, and emissions of one source arrive in their order. After the first refusal nothing more
/// is offered when only what is due is drained: the sources keep it for a later tick. When
/// everything is drained there is no later, so each emission gets its chance.
pub fn drain(
    hub: &Hub,
    drain: Drain,
    now: Tick,
    unix_nanos: u64,
    mut append: impl FnMut(&Emission, EmissionForm) -> bool,
) -> Drained {
    let mut drained = Drained::default();
    for source in hub.sources() {
        for emission in source.take(drain, now, unix_nanos) {
            let stopped = drain == Drain::Due && drained.refused > 0;
            if !stopped && append(&emission, source.form()) {
                drained.emitted = drained.emitted.saturating_add(emission.records);
            } else {
                drained.refused = drained.refused.saturating_add(emission.records);
                source.put_back(emission);
            }
        }
        drained.has_more |= source.has_more();
        if drain == Drain::Due && drained.refused > 0 {
            drained.has_more = false;
            break;
        }
    }
    drained
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::TelemetrySource;
    use std::sync::{Arc, Mutex};

    #[derive(Default)]
    struct Shelf(Mutex<Vec<Emission>>);

    /// Gives one emission at a time.
    struct Slow(Mutex<usize>);

    impl TelemetrySource for Slow {
        fn take(&self, _drain: Drain, _now: Tick, _unix_nanos: u64) -> Vec<Emission> {
            *self.0.lock().unwrap() -= 1;
            vec![emission("slow")]
        }

        fn put_back(&self, _emission: Emission) {
            *self.0.lock().unwrap() += 1;
        }

        fn has_more(&self) -> bool {
            *self.0.lock().unwrap() > 0
        }
    }

    /// Guarantees: a source that has more says so, unless the host refuses what it gives.
    #[test]
    fn a_source_may_have_more_at_once() {
        let hub = Hub::new(1);
        hub.add_source(Arc::new(Slow(Mutex::new(2))));
        hub.add_source(Arc::new(Shelf::default()));
        let drain = |takes| drain(&hub, Drain::Due, Tick(0), 0, |_, _| takes).has_more;
        assert_eq!([drain(false), drain(true), drain(true)], [false, true, false]);
    }

    impl TelemetrySource for Shelf {
        fn take(&self, _drain: Drain, _now: Tick, _unix_nanos: u64) -> Vec<Emission> {
            std::mem::take(&mut self.0.lock().unwrap())
        }

        fn put_back(&self, emission: Emission) {
            self.0.lock().unwrap().push(emission);
        }
    }

    fn emission(tag: &str) -> Emission {
        Emission { tag: tag.as_bytes().to_vec(), records: 2, events: vec![1] }
    }

    fn hub_of(shelves: &[&[&str]]) -> (Hub, Vec<Arc<Shelf>>) {
        let hub = Hub::new(1);
        let shelves: Vec<Arc<Shelf>> = shelves
            .iter()
            .map(|tags| Arc::new(Shelf(Mutex::new(tags.iter().map(|tag| emission(tag)).collect()))))
            .collect();
        for shelf in &shelves {
            hub.add_source(Arc::<Shelf>::clone(shelf));
        }
        (hub, shelves)
    }

    fn tags(shelf: &Shelf) -> Vec<String> {
        let emissions = shelf.0.lock().unwrap();
        emissions.iter().map(|e| String::from_utf8(e.tag.clone()).unwrap()).collect()
    }

    #[test]
    fn sources_are_drained_in_order() {
        let (hub, shelves) = hub_of(&[&["a", "b"], &["c"]]);
        let mut seen = Vec::new();
        let drained = drain(&hub, Drain::Due, Tick(0), 0, |emission, _| {
            seen.push(emission.tag.clone());
            true
        });
        assert_eq!(seen, [b"a", b"b", b"c"]);
        assert_eq!(drained, Drained { emitted: 6, ..Drained::default() });
        assert!(shelves.iter().all(|shelf| tags(shelf).is_empty()));
    }

    #[test]
    fn what_is_refused_goes_back_in_order_and_the_rest_waits() {
        let (hub, shelves) = hub_of(&[&["a", "b", "c"], &["d"]]);
        let mut offered = 0;
        let drained = drain(&hub, Drain::Due, Tick(0), 0, |emission, _| {
            offered += 1;
            emission.tag == b"a"
        });
        assert_eq!((offered, drained), (2, Drained { emitted: 2, refused: 4, has_more: false }));
        assert_eq!(tags(&shelves[0]), ["b", "c"]);
        assert_eq!(tags(&shelves[1]), ["d"]);
    }

    #[test]
    fn at_the_end_everything_is_offered() {
        let (hub, shelves) = hub_of(&[&["a", "b"], &["c"]]);
        let drained =
            drain(&hub, Drain::Everything, Tick(0), 0, |emission, _| emission.tag != b"a");
        assert_eq!(drained, Drained { emitted: 4, refused: 2, has_more: false });
        assert_eq!(tags(&shelves[0]), ["a"]);
    }
}
