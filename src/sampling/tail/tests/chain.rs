//! Several instances: what two of them decide about spans of the same traces, and what stays behind a chain of
//! samplers and limiters.

use super::*;
use crate::sampling::adaptive::{
    AdaptiveConfig, AmountUnit, Goal, History, KeyFields, Shares, TenantShare, Tenants,
};
use crate::sampling::policy::{Field, Operand, ValueCheck, ValueTest};
use crate::sampling::{HeadRate, HeadSampler, HeadTally, OtState, RateChance, RateTest};

const POSITION: Position = Position { run: 1, after: 1 };

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// (trace, tracestate) of each span.
fn states(events: &[u8]) -> Vec<(u64, String)> {
    let read = Events::new(events).map(|event| {
        let body = MapView::new(event.unwrap().body);
        let text = |key: &[u8]| body.get(key).and_then(text_of).unwrap_or_default().to_owned();
        let trace = u64::from_str_radix(text(b"trace_id").get(16..).unwrap(), 16).unwrap();
        (trace, text(b"trace_state"))
    });
    read.collect()
}

fn keys() -> Option<SessionKeys> {
    let names = vec!["gen_ai.conversation.id".to_owned()];
    Some(SessionKeys::new(names, Some(b"sixteen bytes it is")))
}

/// Half of what `gold` sends, a tenth of all else.
fn head(sessions: Option<SessionKeys>) -> HeadSampler {
    let gold = vec![Operand::Text("gold".into())];
    let test = RateTest::Field(Field::parse("service.name").unwrap(), ValueCheck::IsIn(gold, true));
    let chance = RateChance::At(Threshold::from_percentage(50.0));
    let rate = HeadRate { name: "gold".to_owned(), test, chance };
    HeadSampler::from_percentage(10.0).with_rates(vec![rate]).with_sessions(sessions)
}

/// The same as policies of whole traces.
fn tail(sessions: Option<SessionKeys>) -> TailSampler {
    let mut tests = SpanTests::default();
    let value = ValueTest::Texts(vec!["gold".to_owned()]);
    let test = SpanTest::Attribute { key: "service.name".to_owned(), value };
    let is_gold = PolicyRule::SpanTest(tests.add(test).unwrap());
    let at = |percentage| PolicyRule::Probability(Threshold::from_percentage(percentage));
    let policy =
        |name: &str, rule| Policy { name: name.to_owned(), rule, action: PolicyAction::Keep };
    let gold = PolicyRule::All(vec![is_gold, at(50.0)]);
    let list = vec![policy("gold", gold), policy("rest", at(10.0))];
    let settings = TailSettings { max_traces: 10_000, max_bytes: 64 << 20, ..SETTINGS };
    let policies = Policies::new(list, tests, Vec::new());
    TailSampler::new(TailConfig { settings, sessions, ..config(policies) })
}

/// Scenario: 4000 traces of four spans of two services, half of them in sessions of five that every span names;
/// each span goes to one of two instances, so that both see some of each trace, in an order of their own.
/// Guarantees, in head and in tail mode: both decide about every trace alike, with the same threshold and the
/// same session's randomness; traces of a session stay or go as one; as many stay as the percentages say.
#[test]
fn instances_with_disjoint_spans_of_traces_agree() {
    for is_head in [true, false] {
        let (mut state, mut kept) = (5, 0);
        let mut of_traces: [BTreeMap<u64, BTreeSet<String>>; 2] = Default::default();
        let mut traces = BTreeMap::new();
        let mut chunks: [Vec<SpanRecord>; 2] = Default::default();
        for number in 0..4000_u64 {
            let trace = random(&mut state);
            let session = (number % 2 == 0).then(|| format!("session {}", number / 10));
            let service = if number / 10 % 2 == 0 { "gold" } else { "other" };
            traces.insert(trace, session.clone());
            for id in 1..=4 {
                let span = SpanRecord::new(trace, id).service(service);
                let span = match &session {
                    Some(name) => span.with("gen_ai.conversation.id", name.as_str()),
                    None => span,
                };
                chunks[usize::from(id % 2 == 0)].push(span);
            }
        }
        chunks[1].reverse();
        for (spans, of_traces) in chunks.iter().zip(&mut of_traces) {
            let mut out = Vec::new();
            let (mut head, mut tail) = (head(keys()), tail(keys()));
            for part in spans.chunks(100) {
                let all = chunk(part);
                let now = Tick(0);
                let goes_on = if is_head {
                    head.on_chunk((b"ai", &all), POSITION, now, &mut HeadTally::default())
                } else {
                    tail.on_chunk(b"ai", &all, now)
                };
                out.extend(states(&goes_on.unwrap_or(all)));
            }
            for emission in tail.take(true, Tick(60_000_000_000)) {
                out.extend(states(&emission.events));
            }
            assert_eq!(out.len() % 2, 0, "no trace is torn");
            for (trace, state) in out {
                of_traces.entry(trace).or_default().insert(state);
            }
        }
        let [one, other] = &of_traces;
        assert_eq!(one, other, "head: {is_head}");
        assert!(one.values().all(|states| states.len() == 1), "{one:?}");
        let mut sessions: BTreeMap<&String, usize> = BTreeMap::new();
        for (trace, states) in one {
            kept += 1;
            if let Some(session) = &traces[trace] {
                *sessions.entry(session).or_default() += 1;
                assert!(states.iter().all(|state| state.contains("rv:")), "{states:?}");
            }
        }
        assert!(sessions.values().all(|traces| *traces == 5), "{sessions:?}");
        // 1200 are to stay, with five standard deviations of sessions that stay as one.
        assert!((950..1450).contains(&kept), "{kept}");
    }
}

/// Traces of services per second, in a chain: the adaptive policy of a tail sampler.
fn adaptive_tail() -> TailSampler {
    let adaptive = adaptive(400.0, None);
    let rule = PolicyRule::Adaptive(0);
    let list = vec![Policy { name: "goal".to_owned(), rule, action: PolicyAction::Keep }];
    let policies = Policies::new(list, SpanTests::default(), Vec::new());
    let settings = TailSettings {
        decision_wait: Duration::from_secs(1),
        max_bytes: 64 << 20,
        max_traces: 1_000_000,
        ..SETTINGS
    };
    let policies = policies.with_adaptive(vec![adaptive]).in_order(true);
    TailSampler::new(TailConfig { settings, ..config(policies) })
}

fn adaptive(goal: f64, tenants: Option<Tenants>) -> AdaptiveConfig {
    AdaptiveConfig {
        keys: KeyFields::new(vec![Field::parse("service.name").unwrap()], false),
        goal: Goal::PerSecond(goal),
        unit: AmountUnit::Spans,
        history: History::Sliding(Duration::from_secs(1), 10),
        shares: Shares::Equal,
        whole: false,
        initial: 10.0,
        max_keys: 100,
        of_fleet: false,
        shards: 1,
        tenants,
    }
}

/// A limiter of spans per second that knows how likely each one stays: by tenants that are services.
fn limiter() -> HeadSampler {
    let share = TenantShare { weight: 2.0, minimum: 20.0, priority: 1 };
    let field = Field::parse("service.name").unwrap();
    let tenants = Tenants::new(field, TenantShare::default(), &[("s3".to_owned(), share)]);
    let chance = RateChance::adaptive(adaptive(150.0, Some(tenants)));
    let rate = HeadRate { name: "limit".to_owned(), test: RateTest::All, chance };
    HeadSampler::from_percentage(100.0).with_rates(vec![rate])
}

/// Scenario: 10^6 traces of six services, each half as often as the one before, 2000 per second, through head
/// sampling at rates per service, a tail sampler's adaptive goal of 400 spans per second, and a limiter of 150
/// spans per second with shares per tenant; and then through a hard limit. Guarantees: each sampler honours the
/// thresholds of those before, so that by the last thresholds the kept stand for what came, service by service
/// (chi-square); the limiter keeps its goal; what a hard limit keeps has no threshold, because nobody knows it.
#[test]
fn what_a_chain_of_samplers_and_limiters_keeps_stands_for_what_came() {
    let (mut first, mut second, mut third) = (head(None), adaptive_tail(), limiter());
    let bucket = Limit { rate: 20.0, burst: 40.0 };
    let rule = PolicyRule::Limit(0, LimitUnit::Spans);
    let policy = Policy { name: "hard".to_owned(), rule, action: PolicyAction::Keep };
    let policies = Policies::new(vec![policy], SpanTests::default(), vec![bucket]);
    // It comes after the tail sampler before.
    let position = Position { run: 7, after: 4 };
    let mut hard = TailSampler::new(TailConfig { position, ..config(policies) });
    let (mut came, mut stand_for, mut variance) = ([0.0; 6], [0.0; 6], [0.0; 6]);
    let (mut state, mut late, mut services) = (13, 0.0, BTreeMap::new());
    for batch in 0..2500_u64 {
        let spans: Vec<SpanRecord> = (0..400)
            .map(|_| {
                let trace = random(&mut state);
                let service = (random(&mut state) | 1 << 5).trailing_zeros() as usize;
                came[service] += 1.0;
                services.insert(trace, service);
                let name = if service == 0 { "gold".to_owned() } else { format!("s{service}") };
                SpanRecord::new(trace, 1).service(&name)
            })
            .collect();
        let (now, mut tally) = (Tick(batch * 200_000_000), HeadTally::default());
        let all = chunk(&spans);
        let out = first.on_chunk((b"ai", &all), POSITION, now, &mut tally).unwrap_or(all);
        let mut parts = vec![second.on_chunk(b"ai", &out, now).unwrap_or(out)];
        parts.extend(second.take(batch == 2499, now).into_iter().map(|it| it.events));
        for part in parts {
            let goes_on = third.on_chunk((b"ai", &part), POSITION, now, &mut tally);
            let goes_on = goes_on.unwrap_or(part);
            for (trace, state) in states(&goes_on) {
                let count = OtState::read(state.as_bytes()).threshold.unwrap().adjusted_count();
                let service = services[&trace];
                stand_for[service] += count;
                variance[service] += count * (count - 1.0);
                late += if batch >= 500 { 1.0 / 400.0 } else { 0.0 };
            }
            drop(hard.on_chunk(b"ai", &goes_on, now));
        }
        for emission in hard.take(batch == 2499, now) {
            for (_, state) in states(&emission.events) {
                assert_eq!(OtState::read(state.as_bytes()).threshold, None, "{state}");
            }
        }
    }
    let chi_square: f64 = (0..6).map(|at| (came[at] - stand_for[at]).powi(2) / variance[at]).sum();
    // With six of them, 22.5 is exceeded once in a thousand times by chance alone.
    assert!(chi_square < 22.5, "{chi_square}: {came:?} {stand_for:?}");
    assert!((late / 150.0 - 1.0_f64).abs() < 0.05, "{late} per second");
    let hard = hard.tally();
    assert!(hard.kept[0] > 1000 && hard.dropped[1] > 1000, "{hard:?}");
}
