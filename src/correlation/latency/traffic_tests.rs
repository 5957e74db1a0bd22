//! Generated traffic: calls of many services through gateways to model servers, with retries, lost spans, wrong
//! clocks and any order, and what each span is to have in the end.

use std::collections::HashMap;
use std::time::Duration;

use super::super::traffic_tests::Random;
use super::tests::{Parts, spans, splitter};
use crate::clock::Tick;
use crate::codec::records::testing::SpanRecord;
use crate::correlation::SplitOutcome;

const MILLI: u64 = 1_000_000;
const WAIT: u64 = 5_000;

/// One attempt to get an answer.
struct Attempt {
    /// The caller's span of it, if its HTTP client makes one.
    http: Option<usize>,
    called: Called,
}

/// Who was called.
enum Called {
    /// Someone who makes no spans.
    Silent,
    Gateway {
        entry: usize,
        inner: Option<usize>,
        next: Option<Box<Attempt>>,
    },
    Engine {
        span: usize,
        stages: [Option<u64>; 3],
    },
}

/// A span as it is sent, by its number.
struct Sent {
    record: SpanRecord,
    /// In milliseconds.
    duration: u64,
    is_call: bool,
    lost: bool,
    at: u64,
}

/// A call to a model, by the span that tells of it.
struct Told {
    span: usize,
    attempts: Vec<usize>,
    /// Those that have to have come for another span to tell of it.
    hidden_by: Vec<usize>,
}

#[derive(Default)]
struct Traffic {
    sent: Vec<Sent>,
    attempts: Vec<Attempt>,
    told: Vec<Told>,
}

/// What is made of a trace.
struct Trace<'r> {
    random: &'r mut Random,
    number: u64,
    /// Whether its spans say if their parents are in other processes.
    flags: bool,
}

/// Who makes a span.
#[derive(Clone, Copy)]
struct Maker {
    service: &'static str,
    replica: u64,
}

const GATEWAYS: [&str; 3] = ["litellm", "portkey", "envoy"];
const ENGINES: [&str; 3] = ["vllm", "sglang", "trtllm"];
const APPS: [&str; 4] = ["shop", "search", "agent", "batch"];

impl Maker {
    fn any(random: &mut Random, services: &[&'static str]) -> Self {
        let index = usize::try_from(random.between(0, services.len() as u64)).unwrap();
        Self { service: services[index], replica: random.between(0, 4) }
    }

    fn name(self) -> String {
        format!("{}-{}", self.service, self.replica)
    }

    /// How far its clock is wrong, in milliseconds.
    fn skew(self) -> u64 {
        (self.replica * 7919 + self.service.len() as u64 * 104_729) % 7_200_000
    }
}

impl Traffic {
    /// A span of `duration` from `start` on, both in milliseconds of the right clock.
    fn span(
        &mut self,
        trace: &mut Trace<'_>,
        parent: Option<usize>,
        (maker, kind, remote): (Maker, &'static str, bool),
        (start, duration): (u64, u64),
    ) -> usize {
        let number = self.sent.len();
        let id = |number: usize| u64::try_from(number).unwrap() + 1;
        let start = start + maker.skew();
        let mut record = SpanRecord::new(trace.number, id(number))
            .service(&maker.name())
            .kind(kind)
            .times(start, start + duration);
        if let Some(parent) = parent {
            record = record.parent(id(parent));
            if trace.flags {
                record = record.remote(remote);
            }
        }
        let lost = trace.random.percent(6);
        self.sent.push(Sent { record, duration, is_call: false, lost, at: 0 });
        number
    }

    fn call(&mut self, span: usize) {
        let sent = &mut self.sent[span];
        sent.is_call = true;
        sent.record = sent.record.clone().with("gen_ai.operation.name", "chat");
    }

    /// An attempt of `maker` from `start` on. Returns its number and how long the caller was at it.
    fn attempt(
        &mut self,
        trace: &mut Trace<'_>,
        (maker, parent): (Maker, usize),
        start: u64,
        through_gateway: bool,
    ) -> (usize, u64) {
        let http_number = trace
            .random
            .percent(75)
            .then(|| self.span(trace, Some(parent), (maker, "client", false), (start, 0)));
        let (there, back) = (trace.random.between(0, 20), trace.random.between(0, 20));
        let parent = http_number.unwrap_or(parent);
        let (called, took) = match trace.random.between(0, 10) {
            0 => (Called::Silent, trace.random.between(1, 500)),
            _ if through_gateway => self.gateway(trace, parent, start + there),
            _ => self.engine(trace, parent, start + there),
        };
        let duration = there + took + back;
        if let Some(http) = http_number {
            let sent = &mut self.sent[http];
            let first = start + maker.skew();
            sent.duration = duration;
            sent.record = sent.record.clone().times(first, first + duration);
        }
        self.attempts.push(Attempt { http: http_number, called });
        (self.attempts.len() - 1, duration)
    }

    fn gateway(&mut self, trace: &mut Trace<'_>, parent: usize, start: u64) -> (Called, u64) {
        let maker = Maker::any(trace.random, &GATEWAYS);
        let entry = self.span(trace, Some(parent), (maker, "server", true), (start, 0));
        let before = trace.random.between(0, 30);
        if trace.random.percent(10) {
            // It answers itself.
            self.set_duration(entry, maker, start, before);
            return (Called::Gateway { entry, inner: None, next: None }, before);
        }
        let inner = trace.random.percent(60).then(|| {
            let inner =
                self.span(trace, Some(entry), (maker, "internal", false), (start + before, 0));
            self.call(inner);
            inner
        });
        let below = inner.unwrap_or(entry);
        let (attempt, took) = self.attempt(trace, (maker, below), start + before, false);
        let of_inner = took + trace.random.between(0, 15);
        let after = trace.random.between(0, 15);
        if let Some(inner) = inner {
            self.set_duration(inner, maker, start + before, of_inner);
            let hidden_by = vec![entry, parent];
            self.told.push(Told { span: inner, attempts: vec![attempt], hidden_by });
        }
        let duration = before + of_inner + after;
        self.set_duration(entry, maker, start, duration);
        // The attempts of gateways are found by the gateway.
        let next = Attempt {
            http: self.attempts[attempt].http,
            called: match &self.attempts[attempt].called {
                Called::Engine { span, stages } => Called::Engine { span: *span, stages: *stages },
                _ => Called::Silent,
            },
        };
        (Called::Gateway { entry, inner, next: Some(Box::new(next)) }, duration)
    }

    fn engine(&mut self, trace: &mut Trace<'_>, parent: usize, start: u64) -> (Called, u64) {
        let maker = Maker::any(trace.random, &ENGINES);
        let mut stage = |most| trace.random.between(0, most);
        let (queue, prefill, decode, rest) = (stage(200), stage(300), stage(2_000), stage(5));
        let duration = queue + prefill + decode + rest;
        let span = self.span(trace, Some(parent), (maker, "server", true), (start, duration));
        let whole = [Some(queue), Some(prefill), Some(decode)];
        let (said, stages): (Vec<(&str, u64)>, _) = match trace.random.between(0, 5) {
            0 => (vec![("e2e", duration)], [None; 3]),
            1 => {
                (vec![("time_to_first_token", queue + prefill)], [None, None, Some(decode + rest)])
            }
            2 => {
                let first = queue + prefill;
                let total = first + decode;
                let said =
                    [("time_in_queue", queue), ("time_to_first_token", first), ("e2e", total)];
                (said.to_vec(), whole)
            }
            _ => {
                let said = [
                    ("time_in_queue", queue),
                    ("time_in_model_prefill", prefill),
                    ("time_in_model_decode", decode),
                    ("time_in_model_inference", prefill + decode),
                    ("time_to_first_token", queue + prefill + 1),
                ];
                (said.to_vec(), whole)
            }
        };
        let sent = &mut self.sent[span];
        sent.record = sent.record.clone().with("gen_ai.operation.name", "chat");
        for (name, millis) in said {
            let seconds = Duration::from_millis(millis).as_secs_f64();
            sent.record = sent.record.clone().with(&format!("gen_ai.latency.{name}"), seconds);
        }
        (Called::Engine { span, stages }, duration)
    }

    fn set_duration(&mut self, span: usize, maker: Maker, start: u64, duration: u64) {
        let sent = &mut self.sent[span];
        let first = start + maker.skew();
        sent.duration = duration;
        sent.record = sent.record.clone().times(first, first + duration);
    }

    /// A request of a service with one to three calls to models.
    fn trace(&mut self, random: &mut Random, number: u64, start: u64) {
        let flags = random.percent(50);
        let mut trace = Trace { random, number, flags };
        let first = self.sent.len();
        let maker = Maker::any(trace.random, &APPS);
        let root = self.span(&mut trace, None, (maker, "server", false), (start, 60_000));
        let mut now = start;
        for _ in 0..trace.random.between(1, 4) {
            let from = now;
            // A framework's span around that of the library.
            let outer = trace.random.percent(30).then(|| {
                self.span(&mut trace, Some(root), (maker, "internal", false), (from, 60_000))
            });
            let above = outer.unwrap_or(root);
            let span = self.span(&mut trace, Some(above), (maker, "client", false), (from, 0));
            if let Some(outer) = outer {
                self.call(outer);
                self.told.push(Told { span: outer, attempts: Vec::new(), hidden_by: vec![] });
            }
            self.call(span);
            let mut attempts = Vec::new();
            for _ in 0..[1, 1, 1, 2, 3][usize::try_from(trace.random.between(0, 5)).unwrap()] {
                now += trace.random.between(1, 40);
                let through_gateway = trace.random.percent(70);
                let (attempt, took) = self.attempt(&mut trace, (maker, span), now, through_gateway);
                attempts.push(attempt);
                now += took;
            }
            now += trace.random.between(1, 40);
            self.set_duration(span, maker, from, now - from);
            // Below it, gateways have spans of the same call.
            for told in self.told.iter_mut().filter(|told| told.hidden_by.len() == 2) {
                let [_, parent] = told.hidden_by[..] else { continue };
                if parent >= span {
                    told.hidden_by.push(span);
                }
            }
            self.told.push(Told { span, attempts, hidden_by: vec![] });
        }
        for sent in &mut self.sent[first..] {
            sent.at = now + trace.random.between(0, WAIT);
        }
    }

    fn generate(seed: u64, traces: u64) -> Self {
        let mut random = Random(seed);
        let mut traffic = Self::default();
        for trace in 1..=traces {
            traffic.trace(&mut random, trace, trace * 50);
        }
        traffic
    }

    fn came(&self, span: usize) -> bool {
        !self.sent[span].lost
    }

    /// What a span is to have that tells of a call.
    fn expected(&self, told: &Told) -> Parts {
        let is_hidden =
            !told.hidden_by.is_empty() && told.hidden_by.iter().all(|span| self.came(*span));
        if is_hidden {
            return Parts::new();
        }
        let mut expected = Expected::default();
        let mut own = self.sent[told.span].duration;
        for attempt in &told.attempts {
            own -= self.add_attempt(&self.attempts[*attempt], &mut expected);
        }
        if !expected.any {
            return Parts::new();
        }
        expected.add("client", own);
        expected.parts.retain(|part, _| !expected.unknown.contains(part));
        expected.parts
    }

    /// Adds what an attempt tells, and says how long the caller was at it.
    fn add_attempt(&self, attempt: &Attempt, expected: &mut Expected) -> u64 {
        if attempt.http.is_some_and(|http| !self.came(http)) {
            return 0;
        }
        let of_http = attempt.http.map_or(0, |http| self.sent[http].duration);
        let (Called::Gateway { entry: span, .. } | Called::Engine { span, .. }) = &attempt.called
        else {
            return of_http;
        };
        if !self.came(*span) {
            return of_http;
        }
        expected.any = true;
        let took = self.sent[*span].duration;
        if attempt.http.is_some() {
            expected.add("network", of_http - took);
        }
        match &attempt.called {
            Called::Gateway { inner, next, .. } => {
                let goes_on = inner.is_none_or(|inner| self.came(inner));
                let next = next.as_ref().filter(|next| goes_on && self.has_engine(next));
                match next {
                    Some(next) => {
                        let of_next = self.add_attempt(next, expected);
                        expected.add("gateway", took - of_next);
                    }
                    None => expected.unknown.push("gateway"),
                }
            }
            Called::Engine { stages, .. } => {
                let mut rest = took;
                for (part, stage) in ["queue", "prefill", "decode"].into_iter().zip(stages) {
                    match stage {
                        Some(stage) => {
                            expected.add(part, *stage);
                            rest -= stage;
                        }
                        None => expected.unknown.extend([part, "server"]),
                    }
                }
                expected.add("server", rest);
            }
            Called::Silent => {}
        }
        if attempt.http.is_some() { of_http } else { took }
    }

    fn has_engine(&self, attempt: &Attempt) -> bool {
        let Called::Engine { span, .. } = attempt.called else { return false };
        self.came(span) && attempt.http.is_none_or(|http| self.came(http))
    }
}

#[derive(Default)]
struct Expected {
    parts: Parts,
    unknown: Vec<&'static str>,
    any: bool,
}

impl Expected {
    fn add(&mut self, part: &'static str, millis: u64) {
        *self.parts.entry(part).or_default() += millis;
    }
}

/// Sends the spans in the order in which they come, each in a chunk of its own, some of them twice. Returns
/// what each has in the end, how many spans had each outcome, and the most memory.
fn run(
    traffic: &Traffic,
    max_bytes: usize,
) -> (HashMap<usize, Parts>, [u64; SplitOutcome::ALL.len()], usize) {
    let mut splitter = splitter(Duration::from_millis(WAIT), max_bytes);
    let mut outcome = HashMap::new();
    let mut most = 0;
    let mut read = |chunk: &[u8], repeated: bool| {
        for (id, parts) in spans(chunk) {
            let number = usize::try_from(id).unwrap() - 1;
            let before = outcome.insert(number, parts);
            assert_eq!(before.is_some(), repeated, "{number} twice");
        }
    };
    let mut order: Vec<usize> =
        (0..traffic.sent.len()).filter(|number| traffic.came(*number)).collect();
    order.sort_by_key(|number| traffic.sent[*number].at);
    for number in order {
        let sent = &traffic.sent[number];
        let (event, now) = (sent.record.encode(), Tick(sent.at * MILLI));
        for emission in splitter.take(false, now) {
            read(&emission.events, false);
        }
        let times = if !sent.is_call && number % 16 == 0 { 2 } else { 1 };
        for time in 0..times {
            splitter.look(&event, now);
            let left = splitter.hold(b"ai", &event, now);
            read(left.as_deref().unwrap_or(&event), time > 0);
        }
        most = most.max(splitter.held_bytes());
    }
    assert!(most <= max_bytes);
    for emission in splitter.take(true, Tick(u64::MAX)) {
        read(&emission.events, false);
    }
    (outcome, splitter.tally().outcomes, most)
}

/// Scenario: 3000 overlapping traces of four kinds of services through three kinds of gateways to three kinds of
/// model servers, with frameworks above, up to three attempts, calls that nobody answers with a span, clocks that
/// are up to two hours wrong, 6 % of the spans lost and some sent twice, in any order within the wait.
/// Guarantees: every span of a call has exactly the parts that the spans tell, and others have none.
#[test]
fn every_span_has_exactly_what_the_others_tell() {
    for seed in [0x1234_5678_9abc_def1, 0x0fed_cba9_8765_4321, 77_777] {
        let traffic = Traffic::generate(seed, 3_000);
        let (outcome, counts, most) = run(&traffic, 256 << 20);
        let told: HashMap<usize, &Told> = traffic.told.iter().map(|it| (it.span, it)).collect();
        let (mut calls, mut split) = (0, 0);
        for (number, sent) in traffic.sent.iter().enumerate().filter(|(_, sent)| !sent.lost) {
            let expected = told.get(&number).map(|it| traffic.expected(it)).unwrap_or_default();
            assert_eq!(outcome[&number], expected, "span {}", number + 1);
            calls += u64::from(sent.is_call);
            split += u64::from(!expected.is_empty());
        }
        println!(
            "{} spans, {calls} of calls, {split} split: {counts:?}, {most} bytes",
            outcome.len()
        );
        let [whole, partial, other, alone, contradiction, forgotten] = counts;
        assert_eq!((whole + partial, contradiction, forgotten), (split, 0, 0));
        assert_eq!(split + other + alone, calls);
        assert!(whole > 1_000 && partial > 500 && other > 500 && alone > 50);
    }
}

/// Scenario: such traffic with 100 KiB of memory. Guarantees: it is kept to, no span is lost or doubled, and
/// parts are never more than the whole.
#[test]
fn with_too_little_memory_spans_go_without() {
    let traffic = Traffic::generate(42, 3_000);
    let (outcome, counts, _) = run(&traffic, 100 << 10);
    for (number, parts) in &outcome {
        assert!(parts.values().sum::<u64>() <= traffic.sent[*number].duration, "{number}");
    }
    println!("{counts:?}");
    assert_eq!(outcome.len(), traffic.sent.iter().filter(|sent| !sent.lost).count());
}
