//! The state of servers as the filter `ai_context` tells it: its options and its numbers.

use std::time::Duration;

use super::stage_options::refuse_idle;
use crate::clock;
use crate::config::read::Read;
use crate::config::{Parser, parse_duration};
use crate::correlation::{ServerState, ServerStateConfig};
use crate::model::Position;
use crate::plugin::{Environment, OptionSpec};
use crate::stats::{Counter, CounterFamily};
use crate::sync::Mutex;

const SPANS: CounterFamily = CounterFamily::counter(
    "server_state_spans_total",
    "Spans of model servers by whether any metric told the state of their pod or node at that time: told, untold",
    &["result"],
);
const FORGOTTEN: CounterFamily = CounterFamily::counter(
    "server_state_forgotten_total",
    "What was not remembered: place (a pod or node, as server_state_max_memory was reached), point (its \
     pod or node has more than 128 series)",
    &["what"],
);
const HELD_BYTES: CounterFamily = CounterFamily::gauge(
    "server_state_held_bytes",
    "Memory of what is remembered of pods and nodes",
    &[],
);

/// What is given of the options.
pub(super) struct ServerStateGiven {
    pub(super) is_on: bool,
    pub(super) max_age: Duration,
    pub(super) max_memory: usize,
    /// The options that mean nothing if it is off.
    pub(super) others: [&'static OptionSpec; 2],
}

/// How old a value may be.
pub(super) fn max_age(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Duration> {
    let range = Duration::from_secs(1)..=Duration::from_hours(1);
    parser.value(option, "allowed: a duration from 1s to 1h", |text| {
        parse_duration(text).filter(|age| range.contains(age))
    })
}

impl ServerStateGiven {
    /// How the state of servers is put on spans, if that is asked for.
    pub(super) fn read(
        self,
        parser: &mut Parser<'_>,
        position: Position,
    ) -> Option<ServerStateConfig> {
        if !self.is_on {
            for option in self.others {
                refuse_idle(parser, option, "it needs 'server_state: on'");
            }
            return None;
        }
        Some(ServerStateConfig { max_age: self.max_age, max_bytes: self.max_memory, position })
    }
}

/// What is known of servers, and the counters.
pub(super) struct ServerStates {
    state: Mutex<ServerState>,
    told: Counter,
    untold: Counter,
    places: Counter,
    points: Counter,
    held_bytes: Counter,
}

impl ServerStates {
    /// Starts it.
    pub(super) fn start(config: ServerStateConfig, environment: &Environment) -> Self {
        let counters = &environment.counters;
        Self {
            state: Mutex::new(ServerState::new(config)),
            told: counters.counter(SPANS, &["told"]),
            untold: counters.counter(SPANS, &["untold"]),
            places: counters.counter(FORGOTTEN, &["place"]),
            points: counters.counter(FORGOTTEN, &["point"]),
            held_bytes: counters.counter(HELD_BYTES, &[]),
        }
    }

    /// Remembers what metrics of a chunk tell, and gives its spans what is known; gives the chunk if anything
    /// changed.
    pub(super) fn on_chunk(&self, chunk: &[u8]) -> Option<Vec<u8>> {
        let mut state = self.state.lock();
        let changed = state.on_chunk(chunk, clock::now());
        let tally = state.tally();
        self.told.set(tally.told);
        self.untold.set(tally.untold);
        self.places.set(tally.forgotten_places);
        self.points.set(tally.forgotten_points);
        self.held_bytes.set(u64::try_from(state.held_bytes()).unwrap_or(u64::MAX));
        changed
    }
}
