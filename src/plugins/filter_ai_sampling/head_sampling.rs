//! Head sampling as the filter `ai_sampling` runs it.

use std::sync::Arc;

use super::companions::HeadLogNumbers;
use super::counters::{
    DROPPED, FLEET_SIZE, KEPT, NO_TRACE_ID, NOT_SAMPLED, RECEIVED, SESSION, SESSION_OUTCOMES,
    UNANSWERED,
};
use super::fleet::FleetSizeFile;
use super::tenant_numbers::TenantNumbers;
use crate::clock::Tick;
use crate::model::Position;
use crate::plugin::{Chunk, Environment};
use crate::sampling::{HeadSampler, HeadTally};
use crate::stats::{Counter, Log};

/// A head sampler with its counters.
pub(super) struct HeadSampling {
    sampler: HeadSampler,
    position: Position,
    received: Counter,
    kept: Counter,
    untraced: Counter,
    dropped: Counter,
    /// Of each rate.
    rates: Vec<[Counter; 3]>,
    sessions: [Counter; 2],
    logs: Option<HeadLogNumbers>,
    /// Where a rate shares its goal among tenants.
    tenants: Option<TenantNumbers>,
    fleet_file: Option<FleetSizeFile>,
    fleet_size: Counter,
    log: Arc<Log>,
}

impl HeadSampling {
    /// A sampler of a fleet of so many instances, whose size may be in a file.
    pub(super) fn new(
        mut sampler: HeadSampler,
        (fleet_size, fleet_file): (u32, Option<FleetSizeFile>),
        environment: &Environment,
    ) -> Self {
        sampler.set_fleet_size(fleet_size);
        let counters = &environment.counters;
        let of = |rate: &str| {
            [KEPT, DROPPED, UNANSWERED].map(|family| counters.counter(family, &[rate]))
        };
        let size = counters.counter(FLEET_SIZE, &[]);
        size.set(fleet_size.into());
        let with_tenants: Vec<&str> = sampler.tenant_rates().collect();
        let tenants = (!with_tenants.is_empty())
            .then(|| TenantNumbers::new(counters, with_tenants.into_iter()));
        Self {
            rates: sampler.rate_names().map(of).collect(),
            logs: sampler.logs_follow().then(|| HeadLogNumbers::new(counters)),
            sampler,
            position: Position { run: environment.hub.run(), after: environment.position },
            received: counters.counter(RECEIVED, &[]),
            kept: counters.counter(KEPT, &["sampling_percentage"]),
            untraced: counters.counter(KEPT, &[NO_TRACE_ID]),
            dropped: counters.counter(DROPPED, &[NOT_SAMPLED]),
            sessions: SESSION_OUTCOMES.map(|outcome| counters.counter(SESSION, &[outcome])),
            tenants,
            fleet_file,
            fleet_size: size,
            log: Arc::clone(&environment.log),
        }
    }

    /// Samples the spans of a chunk; gives what goes on in its place, if that is not the chunk itself.
    pub(super) fn on_chunk(&mut self, chunk: Chunk<'_>, now: Tick) -> Option<Vec<u8>> {
        if let Some(size) = self.fleet_file.as_mut().and_then(|file| file.follow(now, &self.log)) {
            self.sampler.set_fleet_size(size);
            self.fleet_size.set(size.into());
        }
        let mut tally = HeadTally::default();
        let chunk = (chunk.tag, chunk.bytes);
        let goes_on = self.sampler.on_chunk(chunk, self.position, now, &mut tally);
        for ([kept, dropped, unanswered], of_rate) in self.rates.iter().zip(&tally.rates) {
            kept.add(of_rate.kept);
            dropped.add(of_rate.dropped);
            unanswered.add(of_rate.unanswered);
        }
        self.received.add(tally.received);
        self.kept.add(tally.kept);
        self.untraced.add(tally.untraced);
        self.dropped.add(tally.dropped);
        if let Some(logs) = &self.logs {
            logs.add(tally.logs);
        }
        let of_sessions = [tally.of_sessions, tally.against_sessions];
        self.sessions.iter().zip(of_sessions).for_each(|(counter, spans)| counter.add(spans));
        if let Some(tenants) = &mut self.tenants {
            self.sampler.take_tenants(&mut |rate, tenant, count| tenants.add(rate, tenant, count));
        }
        goes_on
    }
}
