//! Failover and load balancing: groups of several endpoints, of which one at a time gets a request
//! or an item.
//!
//! A member whose breaker is open is passed over, and asked in the background, with a request that
//! holds nothing, whether it is back; so its absence delays no request. Only when no member is
//! known to be there does a chunk's own request find out.
//!
//! Members that hang are found out one after the other. Where other destinations would wait for
//! that, a chunk waits for a group as long as for one member, and until a member answers the group
//! gets no further ones.

mod discovery;
mod roster;
mod watch;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::join_all;

use crate::clock::{self, Tick};
use crate::export::counters::{EndpointCounters, LossReason};
use crate::export::delivery::claim::PROBE_GRACE;
use crate::export::delivery::invitation::Invitations;
use crate::export::delivery::strategy::{EndpointDelivery, PendingRequest};
use crate::export::request::EncodedRequest;
use crate::export::request::items::RequestItems;
use crate::export::settings::{
    Compression, EndpointSettings, GroupMode, GroupSettings, MemberSource,
};
use crate::export::transport::tls::ClientProblem;
use crate::model::Signal;
use crate::plugin::Environment;
use crate::routing::ItemSet;
use crate::runtime::Tasks;
use discovery::Discovery;
pub(in crate::export) use discovery::{NameLookup, system_lookup};
use roster::Roster;
use watch::GroupWatch;

enum Source {
    Listed(Arc<Roster>),
    Resolved(Arc<Discovery>),
}

/// A running group.
pub(in crate::export) struct EndpointGroup {
    pub(in crate::export) name: String,
    mode: GroupMode,
    signals: Vec<Signal>,
    source: Source,
    turn: AtomicUsize,
    pub(in crate::export) meters: EndpointCounters,
    tasks: Arc<OnceLock<Tasks>>,
    /// The longest timeout of a member.
    timeout: Duration,
    watch: GroupWatch,
    /// Whether it must not hold up others.
    detects_hang: bool,
    /// How long a chunk may wait in ring_key for it.
    pub(in crate::export) retry_in_place: Duration,
    pub(in crate::export) invitations: Invitations,
}

impl EndpointGroup {
    pub(in crate::export) fn new(
        settings: &GroupSettings,
        max_in_flight: usize,
        environment: &Environment,
        tasks: &Arc<OnceLock<Tasks>>,
        lookup: &NameLookup,
    ) -> Result<Self, ClientProblem> {
        let make = |endpoint: &EndpointSettings| {
            EndpointDelivery::new(endpoint, max_in_flight, &environment.counters, &environment.log)
        };
        let (source, timeout) = match &settings.members {
            MemberSource::Listed(listed) => {
                let timeout = listed.iter().map(|endpoint| endpoint.timeout).max();
                let members: Result<Vec<_>, _> =
                    listed.iter().map(|endpoint| make(endpoint).map(Arc::new)).collect();
                let roster = Arc::new(Roster::new(members?));
                (Source::Listed(roster), timeout.unwrap_or_default())
            }
            MemberSource::Resolved { endpoint, interval } => {
                // What is wrong with files is reported at the start, not with the first address.
                make(endpoint)?;
                let endpoint = (**endpoint).clone();
                let timeout = endpoint.timeout;
                let discovery =
                    Discovery::new(endpoint, *interval, max_in_flight, environment, lookup);
                (Source::Resolved(Arc::new(discovery)), timeout)
            }
        };
        let common = settings.common();
        Ok(Self {
            name: settings.name.clone(),
            mode: settings.mode,
            signals: common.map(|endpoint| endpoint.signals.clone()).unwrap_or_default(),
            source,
            turn: AtomicUsize::new(0),
            meters: EndpointCounters::new(&environment.counters, &settings.name),
            tasks: Arc::clone(tasks),
            timeout,
            watch: GroupWatch::default(),
            detects_hang: false,
            retry_in_place: common.map(|endpoint| endpoint.retry_in_place).unwrap_or_default(),
            invitations: Invitations::default(),
        })
    }

    /// The same among others, which it must not hold up.
    pub(in crate::export) const fn detects_hang(mut self) -> Self {
        self.detects_hang = true;
        self
    }

    /// How long a chunk waits for it: the time of one member that hangs, and for another one to
    /// answer after it.
    pub(in crate::export) const fn patience(&self) -> Duration {
        self.timeout.saturating_add(PROBE_GRACE)
    }

    fn roster(&self) -> Arc<Roster> {
        match &self.source {
            Source::Listed(roster) => Arc::clone(roster),
            Source::Resolved(discovery) => discovery.known(),
        }
    }

    /// Whether deliveries are under way and no member has answered for longer than one may take.
    /// A further chunk would only wait for the next member.
    fn hangs(&self, roster: &Roster) -> bool {
        self.detects_hang && self.watch.silence(clock::now(), roster.answered()) > self.patience()
    }

    /// Whether it is configured to get this signal.
    pub(in crate::export) fn wants(&self, signal: Signal) -> bool {
        self.signals.contains(&signal)
    }

    /// Whether a member is known to be there.
    pub(in crate::export) fn is_up(&self) -> bool {
        let roster = self.roster();
        roster.any_up() && !self.hangs(&roster)
    }

    /// Whether no member would be sent anything now. A name that was not looked up yet may have
    /// members.
    pub(in crate::export) fn refuses(&self) -> bool {
        let roster = self.roster();
        let refuse = || {
            !roster.members.is_empty()
                && roster.members.iter().all(|member| member.endpoint().refuses())
        };
        self.hangs(&roster) || matches!(self.source, Source::Listed(_)) && refuse()
    }

    /// For how long no member has been there.
    pub(in crate::export) fn away(&self, now: Tick) -> Duration {
        let roster = self.roster();
        roster.members.iter().map(|member| member.endpoint().away(now)).min().unwrap_or_default()
    }

    /// How long it is until a member may be sent something, if all goes well.
    pub(in crate::export) fn wait(&self, now: Tick) -> Duration {
        let roster = self.roster();
        roster.members.iter().map(|member| member.endpoint().wait(now)).min().unwrap_or_default()
    }

    /// A number from 0 to 1 that spreads the retries of many.
    pub(in crate::export) fn jitter(&self) -> f64 {
        self.roster().members.first().map_or(1.0, |member| member.endpoint().jitter(clock::now()))
    }

    /// Gives up what no member took for so long; the first one's dead letters are the group's.
    /// Whether it is gone.
    pub(in crate::export) async fn expire(&self, part: &EncodedRequest, limit: Duration) -> bool {
        match self.roster().members.first() {
            Some(member) => member.expire(part, limit).await,
            None => {
                self.meters.dropped(LossReason::Expired, part.items);
                true
            }
        }
    }

    /// Sends requests and says what of each is done now.
    pub(in crate::export) async fn deliver(
        &self,
        work: Vec<PendingRequest>,
    ) -> Vec<(u32, ItemSet)> {
        if self.hangs(&self.roster()) {
            self.meters.deferred.add_items(work.len());
            return work.into_iter().map(|work| (work.number, work.done)).collect();
        }
        let _waiting = self.watch.begin(clock::now());
        let roster = self.current().await;
        if let Some(first) = work.first() {
            self.ask_the_absent(&roster, first.part.signal);
        }
        match self.mode {
            GroupMode::Failover => failover(&roster, work).await,
            GroupMode::RoundRobin | GroupMode::LeastBusy => self.in_turn(&roster, work).await,
            GroupMode::TraceId => by_trace(&roster, work).await,
        }
    }

    /// The members now.
    async fn current(&self) -> Arc<Roster> {
        match &self.source {
            Source::Listed(roster) => Arc::clone(roster),
            Source::Resolved(discovery) => discovery.current(self.tasks.get()).await,
        }
    }

    /// The members that are known, without looking names up.
    pub(in crate::export) fn known_members(&self) -> Vec<Arc<EndpointDelivery>> {
        self.roster().members.clone()
    }

    /// The members now, each with what delivers to it.
    pub(in crate::export) async fn members(&self) -> Vec<Arc<EndpointDelivery>> {
        self.current().await.members.clone()
    }

    /// Members that were away are asked in the background, if others do the work.
    fn ask_the_absent(&self, roster: &Roster, signal: Signal) {
        let Some(tasks) = self.tasks.get().filter(|_| roster.any_up()) else { return };
        for member in roster
            .members
            .iter()
            .filter(|member| !member.endpoint().is_up() && !member.endpoint().refuses())
        {
            let member = Arc::clone(member);
            tasks.spawn(async move { member.endpoint().probe(signal).await });
        }
    }

    /// Each request goes to one member, and to another one if that cannot take it.
    async fn in_turn(&self, roster: &Roster, work: Vec<PendingRequest>) -> Vec<(u32, ItemSet)> {
        let only_up = roster.any_up();
        let each = work.into_iter().map(|mut work| async move {
            let mut left: Vec<&Arc<EndpointDelivery>> = roster
                .members
                .iter()
                .filter(|member| !only_up || member.endpoint().is_up())
                .collect();
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            if !left.is_empty() {
                let first = turn % left.len();
                left.rotate_left(first);
            }
            if self.mode == GroupMode::LeastBusy {
                left.sort_by_key(|member| std::cmp::Reverse(member.endpoint().free_slots()));
            }
            for member in left {
                let delivered = member.deliver(vec![work.clone()]).await;
                delivered.into_iter().for_each(|(_, units)| work.done.merge(units));
                if work.done.is_all() {
                    break;
                }
            }
            (work.number, work.done)
        });
        join_all(each).await
    }
}

/// Everything goes to the first member that takes it.
async fn failover(roster: &Roster, mut work: Vec<PendingRequest>) -> Vec<(u32, ItemSet)> {
    let only_up = roster.any_up();
    for member in roster.members.iter().filter(|member| !only_up || member.endpoint().is_up()) {
        let missing: Vec<PendingRequest> =
            work.iter().filter(|work| !work.done.is_all()).cloned().collect();
        if missing.is_empty() {
            break;
        }
        for (number, units) in member.deliver(missing).await {
            if let Some(work) = work.iter_mut().find(|work| work.number == number) {
                work.done.merge(units);
            }
        }
    }
    work.into_iter().map(|work| (work.number, work.done)).collect()
}

/// Each item goes to the member of its trace. A member's share moves when its breaker opens.
async fn by_trace(roster: &Roster, work: Vec<PendingRequest>) -> Vec<(u32, ItemSet)> {
    join_all(work.into_iter().map(|work| spread(roster, work))).await
}

async fn spread(roster: &Roster, mut work: PendingRequest) -> (u32, ItemSet) {
    if work.part.signal == Signal::Profiles {
        return whole(roster, work).await;
    }
    let body = work.part.body(Compression::None);
    let keys: Vec<u64> = match RequestItems::read(work.part.signal, &body) {
        Ok(batch) => (0..batch.len()).map(|unit| key_of(&batch, unit)).collect(),
        // What cannot be read goes somewhere as it is, to be judged there.
        Err(_) => return whole(roster, work).await,
    };
    for _ in 0..=roster.members.len() {
        let only_up = roster.any_up();
        let usable: Vec<bool> =
            roster.members.iter().map(|member| !only_up || member.endpoint().is_up()).collect();
        let usable = |member: usize| usable.get(member).copied().unwrap_or(false);
        let mut shares: Vec<Vec<usize>> = vec![Vec::new(); roster.members.len()];
        for (unit, key) in keys.iter().enumerate().filter(|(unit, _)| !work.done.has(*unit)) {
            let share = roster.ring.pick(*key, usable).and_then(|member| shares.get_mut(member));
            if let Some(share) = share {
                share.push(unit);
            }
        }
        let sends = roster.members.iter().zip(&shares).filter(|(_, share)| !share.is_empty());
        let sends = sends.map(|(member, share)| send_share(member, share, &work, keys.len()));
        let mut moved = false;
        for (done, is_up) in join_all(sends).await {
            let is_whole = done.is_all();
            work.done.merge(done);
            moved |= !is_whole && !is_up;
        }
        work.done = work.done.of(keys.len());
        if work.done.is_all() || !moved || !roster.any_up() {
            break;
        }
    }
    (work.number, work.done)
}

/// Sends a member its share. Says what is done of that, as `All` when everything of the request is,
/// and whether the member is still there.
async fn send_share(
    member: &Arc<EndpointDelivery>,
    share: &[usize],
    work: &PendingRequest,
    count: usize,
) -> (ItemSet, bool) {
    let mut others = ItemSet::None;
    if share.len() < count {
        let mut share = share.iter().peekable();
        for unit in 0..count {
            if share.next_if_eq(&&unit).is_none() {
                others.add(unit);
            }
        }
    }
    let part = Arc::clone(&work.part);
    let delivered =
        member.deliver(vec![PendingRequest { number: work.number, part, done: others }]).await;
    let mut done = ItemSet::None;
    for (_, units) in delivered {
        share.iter().filter(|unit| units.has(**unit)).for_each(|unit| done.add(*unit));
    }
    let missing = share.iter().any(|unit| !done.has(*unit));
    (done.of(count), !missing || member.endpoint().is_up())
}

async fn whole(roster: &Roster, work: PendingRequest) -> (u32, ItemSet) {
    let Some(member) = roster.ring.pick(0, |_| true).and_then(|at| roster.members.get(at)) else {
        return (work.number, work.done);
    };
    let number = work.number;
    let delivered = member.deliver(vec![work]).await;
    (number, delivered.into_iter().map(|(_, units)| units).next().unwrap_or_default())
}

/// What decides where an item goes: its trace, or the resource of what belongs to none.
fn key_of(batch: &RequestItems<'_>, unit: usize) -> u64 {
    let field = match batch.signal {
        Signal::Traces => Some(1),
        Signal::Logs => Some(9),
        Signal::Metrics | Signal::Profiles => None,
    };
    let trace = field.and_then(|field| batch.field(unit, field)).filter(|id| id.len() == 16);
    xxhash_rust::xxh3::xxh3_64(trace.unwrap_or_else(|| batch.resource(unit)))
}
