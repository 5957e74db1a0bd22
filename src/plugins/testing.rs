//! Test support: a filter as the host sees it.

use std::sync::Arc;

use crate::hub::Hub;
use crate::plugin::{Chunk, Environment, Filter, GivenOptions, OpenError, Verdict};
use crate::stats::{CounterReading, Counters, Log};

pub(super) fn environment(emitter: bool) -> Environment {
    let hub = Arc::new(Hub::new(7));
    if emitter {
        hub.add_emitter();
    }
    Environment {
        instance: "test.0".to_owned(),
        hub,
        position: 1,
        host_release: "5.1.1".to_owned(),
        log_groups: true,
        native_chunks: true,
        counters: Arc::new(Counters::default()),
        log: Arc::new(Log::default()),
    }
}

pub(super) fn problems<F: Filter>(pairs: &[(&str, &str)], emitter: bool) -> Vec<String> {
    match F::open(&GivenOptions::of(pairs), environment(emitter)) {
        Ok(_) => Vec::new(),
        Err(OpenError(problems)) => problems,
    }
}

pub(super) fn counter(environment: &Environment, name: &str, label: &str) -> u64 {
    let readings = environment.counters.readings();
    let of = |reading: &&CounterReading| {
        reading.family.name == name && (label.is_empty() || reading.labels == [label])
    };
    readings.iter().find(of).unwrap().counter.value()
}

pub(super) fn pass(filter: &mut impl Filter, bytes: &[u8]) -> Vec<u8> {
    match filter.on_chunk(Chunk { tag: b"ai", bytes }) {
        Verdict::Pass => bytes.to_vec(),
        Verdict::Replace(bytes) => bytes,
    }
}
