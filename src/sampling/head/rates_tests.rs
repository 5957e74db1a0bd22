//! Rates of head sampling: which one is for a span, and what the kept spans stand for.

use std::time::Duration;

use super::*;
use crate::codec::msgpack::{MapView, text_of};
use crate::codec::records::Events;
use crate::codec::records::testing::{SpanRecord, chunk};
use crate::condition::Condition;
use crate::sampling::adaptive::{AdaptiveConfig, AmountUnit, Goal, History, KeyFields, Shares};
use crate::sampling::policy::{Field, Operand, ValueCheck};

const MODEL: &str = "gen_ai.request.model";
const POSITION: Position = Position { run: 1, after: 1 };

fn rate(name: &str, test: RateTest, percentage: f64) -> HeadRate {
    let chance = RateChance::At(Threshold::from_percentage(percentage));
    HeadRate { name: name.to_owned(), test, chance }
}

fn of_model(model: &str) -> RateTest {
    let texts = vec![Operand::Text(model.into())];
    RateTest::Field(Field::parse(MODEL).unwrap(), ValueCheck::IsIn(texts, true))
}

fn cel(text: &str) -> RateTest {
    RateTest::Cel(Box::new(Condition::compile(text).unwrap()))
}

fn per_model(goal: Goal, unit: AmountUnit) -> HeadRate {
    let config = AdaptiveConfig {
        keys: KeyFields::new(vec![Field::parse(MODEL).unwrap()], false),
        goal,
        unit,
        history: History::Sliding(Duration::from_secs(1), 10),
        shares: Shares::Equal,
        whole: false,
        initial: 10.0,
        max_keys: 100,
        of_fleet: false,
        shards: 1,
        tenants: None,
    };
    let chance = RateChance::adaptive(config);
    HeadRate { name: "per_model".to_owned(), test: RateTest::All, chance }
}

/// (span id, threshold) of what goes on.
fn kept(chunk: &[u8]) -> Vec<(u64, Option<Threshold>)> {
    let read = Events::new(chunk).map(|event| {
        let body = MapView::new(event.unwrap().body);
        let text = |key: &[u8]| body.get(key).and_then(text_of).unwrap_or_default();
        let id = u64::from_str_radix(text(b"span_id"), 16).unwrap();
        (id, OtState::read(text(b"trace_state").as_bytes()).threshold)
    });
    read.collect()
}

/// Scenario: one trace with a randomness of about 0.53, whose spans have several rates. Guarantees: the first
/// rate that is for a span decides, at its threshold; an expression without an answer is counted and is for
/// nothing; spans without a rate go by the percentage.
#[test]
fn the_first_rate_that_is_for_a_span_decides() {
    let rates = vec![
        rate("no_answer", cel("attributes['x'] == 1"), 100.0),
        rate("gold", of_model("gpt-4o"), 50.0),
        rate("acme", cel("resource['service.name'] == 'acme'"), 100.0),
        rate("probes", cel("name == 'chat' && kind == 'client'"), 0.0),
    ];
    let mut sampler = HeadSampler::from_percentage(10.0).with_rates(rates);
    let span = |id| SpanRecord::new(0x0088_0000_0000_0000, id);
    let spans = [
        span(1).with(MODEL, "gpt-4o").service("acme"),
        span(2).service("acme"),
        span(3).kind("client"),
        span(4),
        span(5).with("x", 1),
    ];
    let chunk = chunk(&spans);
    let mut tally = HeadTally::default();
    let out = sampler.on_chunk((b"ai", &chunk), POSITION, Tick(0), &mut tally).unwrap();
    let eight = Threshold::parse(b"8");
    let always = Some(Threshold::ALWAYS);
    assert_eq!(kept(&out), [(1, eight), (2, always), (5, always)]);
    let of = |kept, dropped, unanswered| RateTally { kept, dropped, unanswered };
    assert_eq!(tally.rates, [of(1, 0, 4), of(1, 0, 0), of(1, 0, 0), of(0, 1, 0)]);
    assert_eq!((tally.received, tally.kept, tally.dropped), (5, 0, 1));
}

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Scenario: 10^5 spans of eight models, each half as often as the one before, 1000 per second, through a
/// sampler with rates per model and then through one with 100 spans per second of all models. Guarantees: by
/// the thresholds that are written the kept spans stand for what came, model by model (chi-square), and the
/// goal is kept.
#[test]
fn what_stays_stands_for_what_came() {
    let rates = vec![rate("first", of_model("m0"), 30.0), rate("second", of_model("m1"), 70.0)];
    let mut first = HeadSampler::from_percentage(90.0).with_rates(rates);
    let goal = per_model(Goal::PerSecond(100.0), AmountUnit::Spans);
    let mut second = HeadSampler::from_percentage(100.0).with_rates(vec![goal]);
    let (mut came, mut stand_for, mut variance) = ([0.0; 8], [0.0; 8], [0.0; 8]);
    let (mut state, mut late) = (7, 0);
    for batch in 0..1000_u64 {
        let models: Vec<usize> =
            (0..100).map(|_| (random(&mut state) | 1 << 7).trailing_zeros() as usize).collect();
        let spans: Vec<SpanRecord> = models
            .iter()
            .zip(0..)
            .map(|(model, id)| {
                came[*model] += 1.0;
                SpanRecord::new(random(&mut state), id + 1)
                    .with(MODEL, format!("m{model}").as_str())
            })
            .collect();
        let (now, mut tally) = (Tick(batch * 100_000_000), HeadTally::default());
        let all = chunk(&spans);
        let once = first.on_chunk((b"ai", &all), POSITION, now, &mut tally).unwrap_or(all);
        let twice = second.on_chunk((b"ai", &once), POSITION, now, &mut tally).unwrap_or(once);
        for (id, threshold) in kept(&twice) {
            let model = models[usize::try_from(id).unwrap() - 1];
            let count = threshold.unwrap().adjusted_count();
            stand_for[model] += count;
            variance[model] += count * (count - 1.0);
            late += u64::from(batch >= 500);
        }
    }
    let models =
        came.iter().zip(&stand_for).zip(&variance).filter(|(_, variance)| **variance > 0.0);
    let chi_square: f64 =
        models.map(|((came, stand_for), variance)| (came - stand_for).powi(2) / variance).sum();
    // With eight of them, 26.1 is exceeded once in a thousand times by chance alone.
    assert!(chi_square < 26.1, "{chi_square}: {came:?} {stand_for:?}");
    let per_second = late as f64 / 50.0;
    assert!((per_second / 100.0 - 1.0).abs() < 0.1, "{per_second}");
}

#[test]
fn bytes_are_counted_where_they_are_the_goal() {
    let goal = per_model(Goal::PerSecond(10_000.0), AmountUnit::Bytes);
    let mut sampler = HeadSampler::from_percentage(100.0).with_rates(vec![goal]);
    let (mut state, mut bytes) = (3, 0);
    for at in 0..400_u64 {
        let spans: Vec<_> = (1..=100)
            .map(|id| {
                SpanRecord::new(random(&mut state), id).with("text", "x".repeat(500).as_str())
            })
            .collect();
        let all = chunk(&spans);
        let now = Tick(at * 1_000_000_000);
        let mut tally = HeadTally::default();
        let out = sampler.on_chunk((b"ai", &all), POSITION, now, &mut tally).unwrap_or(all);
        bytes += if at >= 200 { Events::new(&out).map(|e| e.unwrap().body.len()).sum() } else { 0 };
    }
    // What is written into the tracestate makes kept spans a little larger than they came.
    let per_second = bytes as f64 / 200.0;
    assert!((0.9..1.15).contains(&(per_second / 10_000.0)), "{per_second}");
}
