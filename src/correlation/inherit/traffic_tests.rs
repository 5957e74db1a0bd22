//! Precision and recall on generated traces, of which spans come in any order.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::super::traffic_tests::Random;
use super::tests::inheritor;
use crate::clock::Tick;
use crate::codec::msgpack::{MapView, text_of};
use crate::codec::records::testing::SpanRecord;
use crate::codec::records::{ItemReader, ItemStep};

const MILLI: u64 = 1_000_000;
const WAIT: u64 = 5_000 * MILLI;
const USER: &str = "user.id";
const PROMPT: &str = "gen_ai.prompt.name";

/// A span, what it says itself, and what it is to have in the end.
struct Truth {
    trace: u64,
    parent: Option<usize>,
    says: HashMap<&'static str, String>,
    at: u64,
}

#[derive(Default)]
struct Traffic {
    spans: Vec<Truth>,
}

impl Traffic {
    /// A trace as a tree. With `several`, parts of it are of different users.
    fn trace(&mut self, random: &mut Random, trace: u64, start: u64, several: bool) {
        let first = self.spans.len();
        let size = random.between(2, 40);
        for index in 0..size {
            let parent =
                (index > 0).then(|| first + usize::try_from(random.between(0, index)).unwrap());
            let mut says = HashMap::new();
            if random.percent(15) {
                let user = if several { random.between(0, 3) } else { 0 };
                says.insert(USER, format!("user-{trace}-{user}"));
            }
            if random.percent(10) {
                says.insert(PROMPT, format!("prompt-{}", random.between(0, 5)));
            }
            let at = start + random.between(0, WAIT - MILLI);
            self.spans.push(Truth { trace, parent, says, at });
        }
    }

    fn generate(seed: u64, several_percent: u64) -> Self {
        let mut random = Random(seed);
        let mut traffic = Self::default();
        for trace in 1..=600 {
            let several = random.percent(several_percent);
            traffic.trace(&mut random, trace, trace * 100 * MILLI, several);
        }
        traffic
    }

    /// What a span is to have, by those of its trace that count.
    fn expected(
        &self,
        number: usize,
        key: &'static str,
        counts: impl Fn(&Truth) -> bool,
    ) -> Option<String> {
        let mut above = Some(number);
        while let Some(span) = above.map(|number| &self.spans[number]).filter(|span| counts(span)) {
            if let Some(value) = span.says.get(key) {
                return Some(value.clone());
            }
            above = span.parent;
        }
        let trace = self.spans[number].trace;
        let values: HashSet<&String> = self
            .spans
            .iter()
            .filter(|span| span.trace == trace && counts(span))
            .filter_map(|span| span.says.get(key))
            .collect();
        let one = key == USER && values.len() == 1;
        one.then(|| values.into_iter().next().unwrap().clone())
    }
}

/// What the spans have in the end, by their number.
#[derive(Default)]
struct Outcome {
    spans: HashMap<usize, HashMap<&'static str, String>>,
    doubled: usize,
}

impl Outcome {
    fn read(&mut self, chunk: &[u8]) {
        let mut items = ItemReader::new(chunk);
        while let Some(ItemStep::Item(item)) = items.step(&mut ()) {
            let id = u64::from_be_bytes(item.span.span_id().unwrap().0);
            let attributes = MapView::new(item.span.attributes);
            let mut has = HashMap::new();
            for key in [USER, PROMPT] {
                let values: Vec<_> =
                    attributes.filter(|entry| entry.key == key.as_bytes()).collect();
                assert!(values.len() <= 1, "a key twice");
                if let Some(value) = values.first().and_then(|entry| text_of(entry.value)) {
                    has.insert(key, value.to_owned());
                }
            }
            let number = usize::try_from(id).unwrap() - 1;
            self.doubled += usize::from(self.spans.insert(number, has).is_some());
        }
    }
}

/// Sends the spans in the order in which they come, each in a chunk of its own.
fn run(traffic: &Traffic, wait: u64, max_bytes: usize) -> Outcome {
    let mut inheritor = inheritor(Duration::from_nanos(wait), max_bytes);
    let mut outcome = Outcome::default();
    let mut order: Vec<usize> = (0..traffic.spans.len()).collect();
    order.sort_by_key(|number| traffic.spans[*number].at);
    for number in order {
        let truth = &traffic.spans[number];
        let id = |number: usize| u64::try_from(number).unwrap() + 1;
        let mut span = SpanRecord::new(truth.trace, id(number));
        if let Some(parent) = truth.parent {
            span = span.parent(id(parent));
        }
        for (key, value) in &truth.says {
            span = span.with(key, &**value);
        }
        let (event, now) = (span.encode(), Tick(truth.at));
        for emission in inheritor.take(false, now) {
            outcome.read(&emission.events);
        }
        let out = inheritor.on_chunk(b"ai", &event, now);
        outcome.read(out.as_deref().unwrap_or(&event));
        assert!(inheritor.held_bytes() <= max_bytes);
    }
    for emission in inheritor.take(true, Tick(u64::MAX)) {
        outcome.read(&emission.events);
    }
    assert_eq!((outcome.spans.len(), outcome.doubled), (traffic.spans.len(), 0));
    outcome
}

/// Scenario: 600 overlapping traces, half of them of several users in their parts, whose spans come in any
/// order within the wait. Guarantees: every span has in the end exactly what it is to have: what it says
/// itself, what the nearest above it says, or what the whole trace says as one, and nothing else.
#[test]
fn spans_that_wait_get_all_and_nothing_wrong() {
    for seed in [0x1234_5678_9abc_def1, 0x0fed_cba9_8765_4321, 77_777] {
        let traffic = Traffic::generate(seed, 50);
        let outcome = run(&traffic, WAIT, 64 << 20);
        let mut inherited = 0;
        for (number, truth) in traffic.spans.iter().enumerate() {
            for key in [USER, PROMPT] {
                let expected = traffic.expected(number, key, |_| true);
                inherited += usize::from(expected.is_some() && !truth.says.contains_key(key));
                assert_eq!(outcome.spans[&number].get(key), expected.as_ref(), "{number} {key}");
            }
        }
        println!("{} spans, {inherited} attributes inherited", traffic.spans.len());
        assert!(inherited > 1_000);
    }
}

/// Scenario: the same without waiting, of traces of one user. Guarantees: no span has anything wrong, and
/// each has what those before it said.
#[test]
fn spans_that_do_not_wait_get_what_is_known() {
    for seed in [0x1234_5678_9abc_def1, 77_777] {
        let traffic = Traffic::generate(seed, 0);
        let outcome = run(&traffic, 0, 64 << 20);
        let (mut possible, mut found) = (0, 0);
        for (number, truth) in traffic.spans.iter().enumerate() {
            for key in [USER, PROMPT] {
                let in_the_end = traffic.expected(number, key, |_| true);
                let known = traffic.expected(number, key, |other| other.at <= truth.at);
                let got = outcome.spans[&number].get(key);
                assert!(got.is_none() || key == PROMPT || got == in_the_end.as_ref(), "{number}");
                assert_eq!(got, known.as_ref(), "{number} {key}");
                possible += usize::from(in_the_end.is_some());
                found += usize::from(got.is_some());
            }
        }
        println!("{found} of {possible} without waiting");
        assert!(found * 2 > possible);
    }
}

/// Scenario: the first traffic with a hundredth of the memory. Guarantees: it is kept to, no span is lost,
/// and of traces of one user none has another.
#[test]
fn with_too_little_memory_spans_go_without_but_not_astray() {
    let traffic = Traffic::generate(42, 0);
    let outcome = run(&traffic, WAIT, 40 << 10);
    let without = traffic.spans.iter().enumerate().filter(|(number, _)| {
        let got = outcome.spans[number].get(USER);
        let expected = traffic.expected(*number, USER, |_| true);
        assert!(got.is_none() || got == expected.as_ref(), "{number}");
        got.is_none() && expected.is_some()
    });
    let without = without.count();
    println!("{without} of {} went without", traffic.spans.len());
    assert!(without > 0 && without < traffic.spans.len());
}
