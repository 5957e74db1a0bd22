//! The splitter: what each part is, what waits, and what leaves when.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::codec::msgpack::{MapView, Reader, Token};
use crate::codec::records::testing::{SpanRecord, chunk};

pub(super) const HERE: Position = Position { run: 7, after: 2 };

pub(super) fn splitter(wait: Duration, max_bytes: usize) -> LatencySplitter {
    LatencySplitter::new(LatencyConfig { wait, window: wait * 2, max_bytes, position: HERE })
}

fn at(seconds: u64) -> Tick {
    Tick(seconds * 1_000_000_000)
}

/// The parts on a span, in milliseconds by their names.
pub(super) type Parts = BTreeMap<&'static str, u64>;

/// The spans of a chunk by their numbers, with their parts.
pub(super) fn spans(chunk: &[u8]) -> Vec<(u64, Parts)> {
    let mut found = Vec::new();
    let mut items = ItemReader::new(chunk);
    while let Some(ItemStep::Item(item)) = items.step(&mut ()) {
        let mut parts = Parts::new();
        for entry in MapView::new(item.span.attributes) {
            let part = LatencyPart::ALL.into_iter().find(|part| part.key().as_bytes() == entry.key);
            let Some(part) = part else { continue };
            let Ok(Token::Float(seconds)) = Reader::new(entry.value).token() else { panic!() };
            let nanos = u64::try_from(Duration::from_secs_f64(seconds).as_nanos()).unwrap();
            assert_eq!(nanos % 1_000_000, 0, "{seconds}");
            assert!(parts.insert(part.name(), nanos / 1_000_000).is_none(), "twice");
        }
        found.push((u64::from_be_bytes(item.span.span_id().unwrap().0), parts));
    }
    found
}

/// The parts of span 1 once all spans have come.
fn parts_of_client(spans_given: &[SpanRecord]) -> (Parts, SplitOutcome) {
    let mut splitter = splitter(Duration::from_secs(5), 1 << 20);
    let chunk = chunk(spans_given);
    splitter.look(&chunk, at(0));
    let left = splitter.hold(b"ai", &chunk, at(0));
    let mut all = spans(left.as_deref().unwrap_or(&chunk));
    all.extend(splitter.take(true, at(1)).iter().flat_map(|it| spans(&it.events)));
    assert_eq!(all.len(), spans_given.len());
    let others = all.iter().filter(|(span, parts)| *span != 1 && !parts.is_empty());
    assert_eq!(others.count(), 0, "only the client has parts");
    let client = all.into_iter().find(|(span, _)| *span == 1).unwrap().1;
    let outcomes = splitter.tally().outcomes;
    let outcome = SplitOutcome::ALL
        .into_iter()
        .find(|it| *it != SplitOutcome::OtherSpan && outcomes[*it as usize] > 0);
    (client, outcome.unwrap())
}

fn parts<const N: usize>(parts: [(&'static str, u64); N]) -> Parts {
    parts.into()
}

/// The span of a call to a model in the service `app`, by its number; times are in milliseconds.
fn call(span: u64, start: u64, end: u64) -> SpanRecord {
    SpanRecord::new(1, span)
        .service("app")
        .kind("client")
        .times(1000 + start, 1000 + end)
        .with("gen_ai.operation.name", "chat")
}

fn http(span: u64, parent: u64, start: u64, end: u64) -> SpanRecord {
    SpanRecord::new(1, span)
        .parent(parent)
        .service("app")
        .kind("client")
        .times(1000 + start, 1000 + end)
}

fn entry(span: u64, parent: u64, start: u64, end: u64) -> SpanRecord {
    SpanRecord::new(1, span)
        .parent(parent)
        .service("litellm")
        .kind("server")
        .times(1000 + start, 1000 + end)
}

/// vLLM's span: 1 ms in its queue, 2 ms reading, the rest but 1 ms writing.
fn engine(span: u64, parent: u64, start: u64, end: u64) -> SpanRecord {
    let decode = f64::from(u32::try_from(end - start).unwrap() - 4) / 1000.0;
    SpanRecord::new(1, span)
        .parent(parent)
        .service("vllm")
        .kind("server")
        .times(1000 + start, 1000 + end)
        .with("gen_ai.operation.name", "chat")
        .with("gen_ai.latency.time_in_queue", 0.001)
        .with("gen_ai.latency.time_in_model_prefill", 0.002)
        .with("gen_ai.latency.time_in_model_decode", decode)
}

#[test]
fn all_of_a_call_is_in_its_parts() {
    // The clock of the gateway is late, that of the model server early.
    let inner = call(4, 5001, 5080).parent(3).service("litellm").kind("internal");
    let spans = [
        engine(6, 5, 10, 60),
        http(5, 4, 5004, 5074).service("litellm"),
        inner,
        entry(3, 2, 5000, 5084),
        http(2, 1, 1010, 1100),
        call(1, 1000, 1120).parent(9),
        SpanRecord::new(1, 9).service("app").times(900, 1200),
    ];
    let expected = parts([
        ("client", 30),
        ("network", 6 + 20),
        ("gateway", 14),
        ("queue", 1),
        ("prefill", 2),
        ("decode", 46),
        ("server", 1),
    ]);
    assert_eq!(expected.values().sum::<u64>(), 120);
    assert_eq!(parts_of_client(&spans), (expected, SplitOutcome::Whole));
}

#[test]
fn what_did_not_come_has_no_part() {
    let without_engine = [call(1, 0, 100), http(2, 1, 10, 90), entry(3, 2, 0, 60)];
    let expected = parts([("client", 20), ("network", 20)]);
    assert_eq!(parts_of_client(&without_engine), (expected, SplitOutcome::Partial));
    let without_gateway = [call(1, 0, 100), engine(2, 1, 0, 60)];
    let expected =
        parts([("client", 40), ("queue", 1), ("prefill", 2), ("decode", 56), ("server", 1)]);
    assert_eq!(parts_of_client(&without_gateway), (expected, SplitOutcome::Whole));
    let without_stages = [
        call(1, 0, 100),
        SpanRecord::new(1, 2)
            .parent(1)
            .service("sglang")
            .kind("server")
            .times(1000, 1060)
            .with("gen_ai.latency.time_to_first_token", 0.02)
            .with("gen_ai.latency.e2e", 0.05),
    ];
    let expected = parts([("client", 40), ("decode", 30)]);
    assert_eq!(parts_of_client(&without_stages), (expected, SplitOutcome::Partial));
    let alone = [call(1, 0, 100), http(2, 1, 10, 90)];
    assert_eq!(parts_of_client(&alone), (Parts::new(), SplitOutcome::Alone));
    let broken = [call(1, 0, 100), engine(3, 2, 0, 60)];
    assert_eq!(parts_of_client(&broken), (Parts::new(), SplitOutcome::Alone));
}

/// Scenario: a second attempt, after one to another gateway that failed, of which no model server tells.
/// Guarantees: both attempts are no part of the client, what of the first was its own is not known.
#[test]
fn attempts_add_up() {
    let both = [
        call(1, 0, 200),
        http(2, 1, 10, 60),
        entry(3, 2, 0, 40).service("gateway-a"),
        engine(4, 3, 0, 30),
        http(5, 1, 80, 180),
        entry(6, 5, 0, 90).service("gateway-b"),
        engine(7, 6, 0, 80),
    ];
    let expected = parts([
        ("client", 50),
        ("network", 20),
        ("gateway", 20),
        ("queue", 2),
        ("prefill", 4),
        ("decode", 26 + 76),
        ("server", 2),
    ]);
    assert_eq!(parts_of_client(&both), (expected.clone(), SplitOutcome::Whole));
    let mut failed = both.to_vec();
    failed.remove(3);
    let mut expected = expected;
    expected.remove("gateway");
    expected.extend([("queue", 1), ("prefill", 2), ("decode", 76), ("server", 1)]);
    assert_eq!(parts_of_client(&failed), (expected, SplitOutcome::Partial));
}

#[test]
fn of_what_goes_on_beside_each_other_the_longest_counts() {
    // Two choices of one request, in one process.
    let choices = [call(1, 0, 100), http(2, 1, 5, 95), engine(3, 2, 0, 40), engine(4, 2, 1, 80)];
    let mut expected = parts([("client", 10), ("network", 11), ("queue", 1), ("prefill", 2)]);
    expected.extend([("decode", 75), ("server", 1)]);
    assert_eq!(parts_of_client(&choices), (expected.clone(), SplitOutcome::Whole));
    // The server's own span beside that of its engine, which has the call's parent too.
    let beside = [
        call(1, 0, 100),
        http(2, 1, 5, 95),
        entry(3, 2, 0, 82).service("vllm"),
        engine(4, 2, 1, 80),
    ];
    assert_eq!(parts_of_client(&beside), (expected.clone(), SplitOutcome::Whole));
    // The engine's span below that of its server.
    let below = [call(1, 0, 100), entry(3, 1, 0, 82).service("vllm"), engine(4, 3, 1, 80)];
    expected.remove("network");
    expected.extend([("client", 18), ("server", 4)]);
    assert_eq!(parts_of_client(&below), (expected, SplitOutcome::Whole));
    // In two processes, which cannot have been one after the other.
    let hedged = [call(1, 0, 100), engine(2, 1, 0, 60), engine(3, 1, 900, 980).service("vllm-2")];
    let (found, _) = parts_of_client(&hedged);
    assert_eq!((found["client"], found["decode"]), (20, 76));
}

#[test]
fn who_calls_a_cache_calls_it_itself() {
    let spans = [
        call(1, 0, 100),
        entry(2, 1, 0, 90),
        entry(3, 2, 0, 20).service("guardrail"),
        engine(4, 2, 0, 60),
    ];
    let (found, outcome) = parts_of_client(&spans);
    assert_eq!((found["client"], found["gateway"], outcome), (10, 30, SplitOutcome::Whole));
}

#[test]
fn what_cannot_be_is_not_told() {
    // The client went away, and the model server went on.
    let cancelled = [call(1, 0, 100), http(2, 1, 10, 90), engine(3, 2, 0, 900)];
    let expected = parts([("client", 20)]);
    assert_eq!(parts_of_client(&cancelled), (expected, SplitOutcome::Partial));
    let longer = [call(1, 0, 100), engine(3, 1, 0, 900)];
    assert_eq!(parts_of_client(&longer), (Parts::new(), SplitOutcome::Contradiction));
    // A server ends a little after its answer came.
    let a_little = [call(1, 0, 100), engine(3, 1, 0, 105)];
    let (found, outcome) = parts_of_client(&a_little);
    assert_eq!((found["client"], found["decode"], found["server"]), (0, 97, 0));
    assert_eq!((found.values().sum(), outcome), (100, SplitOutcome::Whole));
    let no_times = [call(1, 0, 100), engine(3, 1, 0, 60).times_nanos(0, 0)];
    assert_eq!(parts_of_client(&no_times), (Parts::new(), SplitOutcome::Contradiction));
    // Stages that are longer than the request.
    let stages = [call(1, 0, 100), engine(3, 1, 0, 60).with("gen_ai.latency.time_in_queue", 0.9)];
    assert_eq!(parts_of_client(&stages), (parts([("client", 40)]), SplitOutcome::Partial));
}

#[test]
fn spans_say_themselves_where_they_were_called_from() {
    // Without a resource that tells, the flags do; a span of kind server is not enough if they say no.
    let flagged = [
        call(1, 0, 100),
        SpanRecord::new(1, 2).parent(1).service("app").times(1000, 1080).remote(true),
        SpanRecord::new(1, 3)
            .parent(2)
            .service("app")
            .kind("server")
            .times(1000, 1070)
            .remote(false),
        engine(4, 3, 0, 60).remote(true),
    ];
    let (found, _) = parts_of_client(&flagged);
    assert_eq!((found["client"], found["gateway"], found["decode"]), (20, 20, 56));
}

#[test]
fn of_several_spans_of_a_call_one_is_the_clients() {
    // A framework's span above that of the library, and the gateway's of the same call.
    let outer = call(8, 0, 130);
    let inner = call(1, 10, 110).parent(8);
    let gateway = call(3, 0, 80).parent(2).service("litellm");
    let all = [outer, inner, entry(2, 1, 0, 90), gateway, engine(4, 3, 0, 60)];
    let (found, outcome) = parts_of_client(&all);
    assert_eq!((found["client"], found["gateway"], outcome), (10, 30, SplitOutcome::Whole));
}

#[test]
fn a_circle_of_spans_has_an_end() {
    let circle = [
        call(1, 0, 100).parent(4),
        entry(2, 1, 0, 90),
        call(3, 0, 80).parent(2).service("litellm"),
        entry(4, 3, 0, 70).service("other"),
        engine(5, 4, 0, 60),
        engine(6, 6, 0, 60),
    ];
    let mut splitter = splitter(Duration::from_secs(5), 1 << 20);
    let chunk = chunk(&circle);
    splitter.look(&chunk, at(0));
    splitter.hold(b"ai", &chunk, at(0));
    let leaving = splitter.take(true, at(1));
    assert_eq!(leaving[0].records, 2, "both calls leave");
}

#[test]
fn a_client_waits_for_those_that_it_called() {
    let mut splitter = splitter(Duration::from_secs(5), 1 << 20);
    let pass = |splitter: &mut LatencySplitter, span: &SpanRecord, now| {
        let chunk = span.encode();
        splitter.look(&chunk, now);
        splitter.hold(b"ai", &chunk, now).map_or(1, |left| spans(&left).len())
    };
    assert_eq!(pass(&mut splitter, &call(1, 0, 100), at(0)), 0, "it is held");
    assert_eq!(pass(&mut splitter, &http(5, 9, 0, 100), at(0)), 1);
    assert_eq!(splitter.tally().held, 1);
    assert_eq!(pass(&mut splitter, &engine(2, 1, 0, 60), at(4)), 1);
    assert!(splitter.take(false, Tick(5_000_000_000 - 1)).is_empty());
    let [emission] = &splitter.take(false, at(5))[..] else { panic!("the client") };
    assert_eq!((&emission.tag[..], emission.records), (&b"ai"[..], 1));
    let [(1, found)] = &spans(&emission.events)[..] else { panic!("the client") };
    assert_eq!(found["client"], 40);
    // It comes in again by the input that emitted it, and is left alone.
    splitter.look(&emission.events, at(6));
    assert_eq!(splitter.hold(b"ai", &emission.events, at(6)), None);
    assert_eq!(splitter.on_late_spans(emission.clone()), *emission, "once is enough");
    splitter.put_back(emission.clone());
    assert!(splitter.held_bytes() > emission.events.len());
    assert_eq!(splitter.take(false, at(7)), std::slice::from_ref(emission));
    // What others held gets its parts when they let it go.
    let late = call(7, 0, 100).from(7, 2);
    pass(&mut splitter, &engine(8, 7, 0, 60), at(7));
    splitter.look(&call(7, 0, 100).encode(), at(7));
    let late = Emission { tag: b"ai".to_vec(), records: 1, events: late.encode() };
    let late = splitter.on_late_spans(late);
    assert_eq!(spans(&late.events)[0].1["client"], 40);
    // At the end nothing is held.
    splitter.take(true, at(8));
    assert_eq!(pass(&mut splitter, &call(9, 0, 100), at(8)), 1);
    let tally = splitter.tally();
    assert_eq!((tally.held, tally.outcomes), (0, [2, 0, 0, 1, 0, 0]));
    splitter.take(true, at(20));
    assert_eq!(splitter.held_bytes(), 0);
}

#[test]
fn of_a_trace_that_lasts_the_latest_spans_are_known() {
    let mut splitter = splitter(Duration::from_secs(5), 16 << 20);
    let look = |splitter: &mut LatencySplitter, first: u64, now| {
        let many: Vec<SpanRecord> =
            (first..first + 1500).map(|span| http(span, 1_000_000, 0, 9)).collect();
        splitter.look(&chunk(&many), now);
    };
    let client = chunk(&[call(1, 0, 100), engine(2, 1, 0, 60)]);
    look(&mut splitter, 100, at(0));
    look(&mut splitter, 2000, at(11));
    splitter.look(&client, at(11));
    splitter.hold(b"ai", &client, at(11));
    assert_eq!(splitter.tally().forgotten_spans, 0, "the first ones were not needed any more");
    assert_eq!(spans(&splitter.take(false, at(16))[0].events)[0].1["client"], 40);
    // Too many at once: what is missing might be of the call.
    look(&mut splitter, 4000, at(17));
    splitter.look(&client, at(17));
    splitter.hold(b"ai", &client, at(17));
    assert!(splitter.tally().forgotten_spans > 0);
    let leaving = splitter.take(false, at(22));
    assert!(spans(&leaving[0].events)[0].1.is_empty());
    assert_eq!(splitter.tally().outcomes, [1, 0, 0, 0, 0, 1]);
}

/// Scenario: floods of traces and of spans of one trace, of which every other waits, and an emitter that takes
/// nothing. Guarantees: at no moment is more held than the limit says, what finds no room goes on, no span is
/// lost or doubled, and each is counted.
#[test]
fn memory_is_bounded_whatever_comes() {
    const LIMIT: usize = 256 << 10;
    let mut splitter = splitter(Duration::from_secs(5), LIMIT);
    let (mut given, mut out) = (0, 0);
    for round in 0..200_u64 {
        let many: Vec<SpanRecord> = (0..50)
            .map(|index| {
                let number = round * 50 + index;
                let trace = if round % 3 == 0 { 1 } else { number };
                let span = SpanRecord::new(trace, number + 1).parent(number).kind("server");
                match number % 2 {
                    0 => span.with("gen_ai.operation.name", "chat"),
                    _ => span.with("gen_ai.latency.e2e", 0.001),
                }
            })
            .collect();
        given += many.len();
        let (chunk, now) = (chunk(&many), at(round / 20));
        splitter.look(&chunk, now);
        let left = splitter.hold(b"ai", &chunk, now);
        out += spans(left.as_deref().unwrap_or(&chunk)).len();
        if round % 10 == 0 {
            for emission in splitter.take(false, now) {
                splitter.put_back(emission);
            }
        }
        assert!(splitter.held_bytes() <= LIMIT, "{}", splitter.held_bytes());
    }
    let tally = *splitter.tally();
    assert!(tally.forgotten_traces > 0 && tally.unheld_spans > 0 && tally.held > 0, "{tally:?}");
    out += splitter.take(true, at(200)).iter().map(|emission| emission.records).sum::<usize>();
    assert_eq!(out, given);
    assert_eq!(splitter.held_bytes(), 0);
    assert_eq!(splitter.tally().outcomes.iter().sum::<u64>(), 5_000);
}

proptest! {
    /// Scenario: any bytes, and spans broken by them. Guarantees: nothing is lost of what came.
    #[test]
    fn any_chunk_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), at_byte in 0_usize..900) {
        let mut splitter = splitter(Duration::from_secs(5), 1 << 20);
        let mut chunk = chunk(&[call(1, 0, 100), engine(2, 1, 0, 60), call(3, 0, 100)]);
        let place = at_byte % chunk.len();
        chunk.splice(place..place, bytes);
        splitter.look(&chunk, Tick(0));
        let left = splitter.hold(b"ai", &chunk, Tick(0)).unwrap_or_else(|| chunk.clone());
        let leaving: usize = splitter.take(true, Tick(0)).iter().map(|e| e.events.len()).sum();
        prop_assert!(left.len() + leaving >= chunk.len());
    }

    /// Scenario: traces of any shape and any times. Guarantees: whatever parts there are, they are no more than
    /// the client's duration, and all of it if the split says so.
    #[test]
    fn parts_are_never_more_than_the_whole(
        shape in prop::collection::vec((0_u64..12, 0_u8..5, 0_u64..60, 0_u64..60), 1..14),
    ) {
        let mut given = vec![call(1, 0, 100)];
        for (span, (parent, what, start, length)) in (2_u64..).zip(&shape) {
            let parent = 1 + parent % (span - 1);
            let (start, end) = (*start, start + length + 5);
            given.push(match what {
                0 => http(span, parent, start, end),
                1 => entry(span, parent, start, end),
                2 => engine(span, parent, start, end),
                3 => engine(span, parent, start, end).service("vllm-2"),
                _ => entry(span, parent, start, end).service("gateway-2"),
            });
        }
        let (found, outcome) = parts_of_client(&given);
        let sum: u64 = found.values().sum();
        prop_assert!(sum <= 100, "{found:?}");
        prop_assert_eq!(outcome == SplitOutcome::Whole, sum == 100 && !found.is_empty());
    }
}
