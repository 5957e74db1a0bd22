//! Circuit breaker: an endpoint that fails is left alone for a while, then probed.

use std::time::Duration;

use crate::clock::Tick;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct BreakerPolicy {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open the first time; each failed probe doubles that.
    pub first: Duration,
    /// The longest that it stays open while a quarter of the time that the endpoint has been away is
    /// less: what waits for a short outage is to go soon after its end.
    pub longest_early: Duration,
    /// The longest that it stays open without being asked to.
    pub longest: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failures: 3,
            first: Duration::from_secs(1),
            longest_early: Duration::from_secs(4),
            longest: Duration::from_secs(30),
        }
    }
}

/// Whether a request may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// Yes.
    Go,
    /// Yes, as the one that finds out whether the endpoint is back. Its outcome must be reported.
    Probe,
    /// No, not for this long; zero while another request is the probe.
    Wait(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Tick },
    Probing,
}

/// The breaker of one endpoint.
#[derive(Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    state: State,
    /// How often it opened since the last success.
    opened: u32,
    /// When it opened first since the last success.
    since: Tick,
    /// A wait that the endpoint asked for while the breaker stayed closed or a probe ran.
    asked: Tick,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(policy: BreakerPolicy) -> Self {
        Self {
            policy,
            state: State::Closed { failures: 0 },
            opened: 0,
            since: Tick::default(),
            asked: Tick::default(),
        }
    }

    /// Whether a request may be made now.
    pub fn permit(&mut self, now: Tick) -> Permit {
        match self.state {
            State::Closed { .. } if self.asked > now => Permit::Wait(self.asked.since(now)),
            State::Closed { .. } => Permit::Go,
            State::Probing => Permit::Wait(Duration::ZERO),
            State::Open { until } if until > now => Permit::Wait(until.since(now)),
            State::Open { .. } => {
                self.state = State::Probing;
                Permit::Probe
            }
        }
    }

    /// Whether a request would have to wait, without asking for one.
    #[must_use]
    pub fn refuses(&self, now: Tick) -> bool {
        match self.state {
            State::Closed { .. } => self.asked > now,
            State::Probing => true,
            State::Open { until } => until > now,
        }
    }

    /// How long it is until a request may be made, if all goes well; zero while a probe runs.
    #[must_use]
    pub fn wait(&self, now: Tick) -> Duration {
        match self.state {
            State::Closed { .. } => self.asked.since(now),
            State::Probing => Duration::ZERO,
            State::Open { until } => until.since(now),
        }
    }

    /// For how long the endpoint has been away; zero while it is not.
    #[must_use]
    pub fn away(&self, now: Tick) -> Duration {
        if self.is_closed() { Duration::ZERO } else { now.since(self.since) }
    }

    /// Whether requests are let through without a probe.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// The endpoint answered, also if it refused the request for good: it is there.
    pub fn success(&mut self) {
        self.state = State::Closed { failures: 0 };
        self.opened = 0;
    }

    /// A request failed in a way that later requests will too. `after` is the wait that the
    /// endpoint asked for, `jitter` a random number from 0 to 1 that spreads the retries of many.
    pub fn failure(&mut self, now: Tick, after: Option<Duration>, jitter: f64) {
        if let Some(after) = after {
            self.asked = self.asked.max(now.after(after));
        }
        match self.state {
            State::Closed { failures } if failures.saturating_add(1) < self.policy.failures => {
                self.state = State::Closed { failures: failures.saturating_add(1) };
            }
            State::Closed { .. } | State::Probing => self.open(now, jitter),
            // The answer to a request from before it opened.
            State::Open { until } => self.state = State::Open { until: until.max(self.asked) },
        }
    }

    /// A request got no answer in time. One such failure opens the breaker: each further one would
    /// delay others by a whole timeout.
    pub fn hang(&mut self, now: Tick, jitter: f64) {
        if self.is_closed() {
            self.state = State::Closed { failures: self.policy.failures };
        }
        self.failure(now, None, jitter);
    }

    /// A probe ended without an outcome: the next request is the probe.
    pub fn abandon(&mut self, now: Tick) {
        if self.state == State::Probing {
            self.state = State::Open { until: now };
        }
    }

    fn open(&mut self, now: Tick, jitter: f64) {
        if self.opened == 0 {
            self.since = now;
        }
        let away = now.since(self.since);
        let longest = self.policy.longest_early.max(away / 4).min(self.policy.longest);
        let doubled = self.policy.first.saturating_mul(1 << self.opened.min(16));
        let spread = 0.5 + 0.5 * if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 1.0 };
        let wait = doubled.min(longest).mul_f64(spread);
        self.opened = self.opened.saturating_add(1);
        self.state = State::Open { until: now.after(wait).max(self.asked) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn tick(milliseconds: u64) -> Tick {
        Tick(milliseconds * 1_000_000)
    }

    #[test]
    fn it_opens_probes_and_closes() {
        let mut breaker = Breaker::new(BreakerPolicy::default());
        for at in 0..3 {
            assert_eq!(breaker.permit(tick(at)), Permit::Go);
            breaker.failure(tick(at), None, 1.0);
        }
        assert_eq!(breaker.permit(tick(2)), Permit::Wait(SECOND));
        assert_eq!(breaker.permit(tick(1002)), Permit::Probe);
        assert_eq!(breaker.permit(tick(1002)), Permit::Wait(Duration::ZERO));
        breaker.failure(tick(1002), None, 1.0);
        assert_eq!(breaker.permit(tick(1002)), Permit::Wait(2 * SECOND));
        assert_eq!(breaker.permit(tick(3002)), Permit::Probe);
        breaker.abandon(tick(3002));
        assert_eq!(breaker.permit(tick(3002)), Permit::Probe);
        breaker.success();
        assert_eq!(breaker.permit(tick(3002)), Permit::Go);
    }

    #[test]
    fn an_asked_wait_is_honoured_at_once() {
        let mut breaker = Breaker::new(BreakerPolicy::default());
        breaker.failure(tick(0), Some(5 * SECOND), 0.0);
        assert_eq!(breaker.permit(tick(1000)), Permit::Wait(4 * SECOND));
        assert_eq!(breaker.permit(tick(5000)), Permit::Go);
    }

    #[test]
    fn one_timeout_opens_it() {
        let mut breaker = Breaker::new(BreakerPolicy::default());
        breaker.hang(tick(0), 1.0);
        assert_eq!(breaker.permit(tick(0)), Permit::Wait(SECOND));
        assert_eq!(breaker.permit(tick(1000)), Permit::Probe);
        breaker.hang(tick(1000), 1.0);
        assert_eq!(breaker.permit(tick(1000)), Permit::Wait(2 * SECOND));
    }

    #[test]
    fn it_asks_often_at_first_and_seldom_in_the_end() {
        let mut breaker = Breaker::new(BreakerPolicy::default());
        breaker.hang(tick(0), 1.0);
        let mut now = 0;
        let mut waits = Vec::new();
        while waits.len() < 20 {
            let wait = breaker.wait(tick(now));
            assert!(
                breaker.refuses(tick(now)) && breaker.away(tick(now)) == tick(now).since(tick(0))
            );
            waits.push(wait.as_millis());
            now += u64::try_from(wait.as_millis()).unwrap() + 1;
            assert_eq!(breaker.permit(tick(now)), Permit::Probe);
            assert_eq!(breaker.wait(tick(now)), Duration::ZERO);
            breaker.failure(tick(now), None, 1.0);
        }
        assert_eq!(waits[..5], [1000, 2000, 4000, 4000, 4000]);
        assert!(waits.is_sorted() && waits[19] == 30_000, "{waits:?}");
        breaker.success();
        assert_eq!((breaker.wait(tick(now)), breaker.away(tick(now))), Default::default());
    }

    #[test]
    fn a_success_resets_the_count() {
        let mut breaker = Breaker::new(BreakerPolicy::default());
        for at in 0..100 {
            breaker.failure(tick(at), None, 0.0);
            breaker.failure(tick(at), None, 0.0);
            assert_eq!(breaker.permit(tick(at)), Permit::Go);
            breaker.success();
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Pass(u64),
        Ask,
        Report(bool, Option<u64>),
        Abandon,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0_u64..5000).prop_map(Step::Pass),
            Just(Step::Ask),
            (any::<bool>(), proptest::option::of(0_u64..5000))
                .prop_map(|(a, b)| Step::Report(a, b)),
            Just(Step::Abandon),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn there_is_one_probe_and_no_wait_is_endless(steps in steps(), jitter in 0.0..1.0) {
            let policy = BreakerPolicy::default();
            let mut breaker = Breaker::new(policy);
            let mut now = 0_u64;
            let mut probes = 0_u32;
            for step in steps {
                match step {
                    Step::Pass(by) => now += by,
                    Step::Ask if breaker.refuses(tick(now)) => {
                        prop_assert!(matches!(breaker.permit(tick(now)), Permit::Wait(_)));
                    }
                    Step::Ask => match breaker.permit(tick(now)) {
                        Permit::Probe => {
                            probes += 1;
                            prop_assert_eq!(probes, 1);
                        }
                        Permit::Go => prop_assert!(breaker.is_closed()),
                        Permit::Wait(wait) => {
                            prop_assert!(wait <= policy.longest.max(5 * SECOND));
                        }
                    },
                    Step::Report(good, after) => {
                        probes = 0;
                        if good {
                            breaker.success();
                            prop_assert!(breaker.is_closed());
                        } else {
                            let after = after.map(Duration::from_millis);
                            breaker.failure(tick(now), after, jitter);
                        }
                    }
                    Step::Abandon => {
                        probes = 0;
                        breaker.abandon(tick(now));
                    }
                }
            }
            breaker.abandon(tick(now));
            let later = tick(now + 40_000);
            prop_assert!(!matches!(breaker.permit(later), Permit::Wait(_)));
        }
    }
}
