//! The correlator: what goes on at once, what waits, and what leaves when.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::clock::Tick;
use crate::codec::msgpack::{MapView, int_of};
use crate::codec::records::testing::{SpanRecord, log_event};
use crate::codec::records::{Event, EventKind, Events, LogView};
use crate::model::{Emission, Position, TraceId};

const WINDOW: Duration = Duration::from_secs(10);
const HERE: Position = Position { run: 7, after: 2 };
const SECOND: u64 = 1_000_000_000;

pub(super) fn correlator(max_bytes: usize) -> Correlator {
    let keys = IdKeys::new(&IdKind::ALL, &[], 7);
    Correlator::new(CorrelationConfig { keys, window: WINDOW, max_bytes, position: HERE })
}

fn at(seconds: u64) -> Tick {
    Tick(seconds * SECOND)
}

/// A span of the service `shop` from second 100 to 110, with a request's id.
fn span(trace: u64, id: &str) -> SpanRecord {
    SpanRecord::new(trace, trace)
        .times(100_000, 110_000)
        .with("http.request.header.x-request-id", id)
}

/// A log of the service `shop` in second 105, with a request's id in its text.
fn log(id: &str, number: u64) -> Vec<u8> {
    let resource = json!({ "attributes": { "service.name": "shop" } });
    let metadata = json!({ "a": 1, "otlp": { "v": 1, "signal": "log", "resource": resource } });
    let body = json!({ "log": format!("done request_id={id}"), "number": number });
    log_event(105 * SECOND + 1, &metadata, &body)
}

fn trace(number: u64) -> TraceId {
    TraceId::from_hex(format!("0af7651916cd43dd{number:016x}").as_bytes()).unwrap()
}

fn trace_of(event: &Event<'_>) -> Option<TraceId> {
    LogView::new(event.otlp()?).trace_id()
}

pub(super) fn events(chunk: &[u8]) -> Vec<Event<'_>> {
    Events::new(chunk).map(Result::unwrap).collect()
}

/// What goes on of a chunk.
fn pass(correlator: &mut Correlator, chunk: &[u8], now: Tick) -> Vec<u8> {
    correlator.on_chunk(b"app", chunk, now).unwrap_or_else(|| chunk.to_vec())
}

fn holds_in_full(tally: &CorrelationTally) {
    let done = tally.matched_at_once + tally.matched_late + tally.unmatched.iter().sum::<u64>();
    assert_eq!(tally.received, done + tally.held, "{tally:?}");
}

#[test]
fn a_log_after_its_span_is_placed_at_once() {
    let mut correlator = correlator(1 << 20);
    assert_eq!(correlator.on_chunk(b"ai", &span(5, "req-00001").encode(), at(0)), None);
    let given = log("req-00001", 1);
    let out = pass(&mut correlator, &given, at(1));
    let [event] = events(&out)[..] else { panic!("one log") };
    let [before] = events(&given)[..] else { panic!() };
    assert_eq!(
        (trace_of(&event), event.body, event.time),
        (Some(trace(5)), before.body, before.time)
    );
    let otlp = MapView::new(event.otlp().unwrap());
    assert!(otlp.get(b"span_id").is_some() && otlp.get(b"from").is_none());
    assert_eq!(otlp.get(b"v").and_then(int_of), Some(1));
    assert_eq!(MapView::new(event.metadata).get(b"a").and_then(int_of), Some(1));
    let tally = *correlator.tally();
    assert_eq!((tally.received, tally.matched_at_once), (1, 1));
    assert!(correlator.take(false, at(30)).is_empty());
}

#[test]
fn a_log_before_its_span_waits_and_leaves_with_its_ids() {
    let mut correlator = correlator(1 << 20);
    let other = log_event(5, &json!({}), &json!({ "log": "without id" }));
    let chunk = [log("req-00001", 1), other.clone(), log("req-00002", 2)].concat();
    assert_eq!(pass(&mut correlator, &chunk, at(0)), other);
    assert_eq!(correlator.tally().held, 2);
    assert!(correlator.take(false, at(3)).is_empty());
    correlator.on_chunk(b"ai", &span(5, "req-00001").encode(), at(4));
    let [Emission { tag, records, events: late }] = &correlator.take(false, at(4))[..] else {
        panic!("the first log")
    };
    assert_eq!((&tag[..], *records), (&b"app"[..], 1));
    let [event] = events(late)[..] else { panic!("one") };
    assert_eq!(trace_of(&event), Some(trace(5)));
    let telemetry = event.telemetry().unwrap();
    assert_eq!(telemetry.position, Some(HERE));
    let given = log("req-00001", 1);
    assert_eq!(event.body, events(&given)[0].body);
    // It comes in again by the input that emitted it, and is left alone.
    assert_eq!(correlator.on_chunk(b"app", late, at(5)), None);
    holds_in_full(correlator.tally());
    assert_eq!((correlator.tally().matched_late, correlator.tally().held), (1, 1));
}

#[test]
fn what_has_no_span_leaves_as_it_was_when_its_window_ends() {
    let mut correlator = correlator(1 << 20);
    let ordinary = log_event(105 * SECOND, &json!({}), &json!({ "log": "request_id=req-00001" }));
    assert!(pass(&mut correlator, &ordinary, at(0)).is_empty());
    assert!(correlator.take(false, Tick(10 * SECOND - 1)).is_empty(), "not before");
    let [emission] = &correlator.take(false, at(10))[..] else { panic!("when it is over") };
    let [event] = events(&emission.events)[..] else { panic!("one") };
    let [before] = events(&ordinary)[..] else { panic!() };
    assert_eq!((event.body, event.time, trace_of(&event)), (before.body, before.time, None));
    let telemetry = event.telemetry().unwrap();
    assert!(telemetry.is_past(HERE) && telemetry.is_ordinary(&event), "it stays an ordinary log");
    assert_eq!(correlator.tally().unmatched, [1, 0, 0, 0]);
    assert_eq!(correlator.tally().held, 0);
    correlator.take(false, at(40));
    assert_eq!(correlator.held_bytes(), 0, "nothing is kept of it");
}

#[test]
fn an_id_of_two_traces_places_nothing() {
    let mut correlator = correlator(1 << 20);
    for number in [5, 6] {
        correlator.on_chunk(b"ai", &span(number, "req-00001").encode(), at(0));
    }
    let unnamed =
        log_event(105 * SECOND + 1, &json!({}), &json!({ "log": "request_id=req-00001" }));
    assert_eq!(correlator.on_chunk(b"app", &unnamed, at(1)), None);
    assert!(pass(&mut correlator, &log("req-00001", 1), at(1)).is_empty());
    let [emission] = &correlator.take(false, at(12))[..] else { panic!() };
    assert_eq!(trace_of(&events(&emission.events)[0]), None);
    assert_eq!(correlator.tally().unmatched, [0, 2, 0, 0]);
}

#[test]
fn a_session_of_one_trace_places_its_logs_late_and_one_of_two_does_not() {
    let mut correlator = correlator(1 << 20);
    let session = |number: u64, id: &str| {
        SpanRecord::new(number, number).times(100_000, 110_000).with("session.id", id).encode()
    };
    correlator.on_chunk(b"ai", &session(5, "session-one"), at(0));
    let body = |id: &str| json!({ "log": "x", "session_id": id, "service.name": "shop" });
    let log = |id: &str| log_event(105 * SECOND + 1, &json!({}), &body(id));
    let chunk = [log("session-one"), log("session-two")].concat();
    assert!(pass(&mut correlator, &chunk, at(1)).is_empty(), "another trace may follow");
    correlator.on_chunk(b"ai", &session(6, "session-two"), at(2));
    correlator.on_chunk(b"ai", &session(7, "session-two"), at(3));
    let leaving = correlator.take(false, at(11));
    let traces: Vec<_> = events(&leaving[0].events).iter().map(trace_of).collect();
    assert_eq!(traces, [Some(trace(5)), None]);
}

#[test]
fn logs_in_a_group_keep_it() {
    let mut correlator = correlator(1 << 20);
    let marker = |seconds: u32, metadata: &Value, body: &Value| {
        let mut out = vec![0x92, 0x92, 0xd7, 0];
        out.extend_from_slice(&seconds.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend(rmp_serde::to_vec(metadata).unwrap());
        out.extend(rmp_serde::to_vec(body).unwrap());
        out
    };
    let group = json!({ "schema": "otlp", "resource_id": 1, "scope_id": 1 });
    let resource = json!({ "resource": { "attributes": { "service.name": "shop" } }, "scope": {} });
    let start = marker(u32::MAX, &group, &resource);
    let end = marker(u32::MAX - 1, &json!({}), &json!({}));
    let inside = log_event(
        105 * SECOND + 1,
        &json!({ "otlp": {} }),
        &json!({ "log": "request_id=req-00001" }),
    );
    let chunk = [&start[..], &inside, &end].concat();
    assert_eq!(pass(&mut correlator, &chunk, at(0)), [&start[..], &end].concat());
    correlator.on_chunk(b"ai", &span(5, "req-00001").encode(), at(1));
    let [emission] = &correlator.take(false, at(1))[..] else { panic!("it leaves") };
    let out = events(&emission.events);
    let kinds: Vec<EventKind> = out.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::GroupStart, EventKind::Record, EventKind::GroupEnd]);
    assert_eq!(emission.records, 3);
    assert_eq!(trace_of(&out[1]), Some(trace(5)), "of the group's service");
    assert_eq!((out[0].raw, out[2].raw), (&start[..], &end[..]));
}

#[test]
fn logs_and_spans_that_are_not_to_be_looked_at_pass() {
    let mut correlator = correlator(1 << 20);
    let from = json!({ "otlp": { "from": [7, 2] } });
    let placed = json!({ "otlp": { "trace_id": "0af7651916cd43dd8448eb211c80319c" } });
    let body = json!({ "log": "request_id=req-00001" });
    let chunk = [log_event(5, &from, &body), log_event(5, &placed, &body), vec![0xc1]].concat();
    assert_eq!(correlator.on_chunk(b"app", &chunk, at(0)), None);
    correlator.on_chunk(b"ai", &span(5, "req-00001").from(7, 3).encode(), at(0));
    assert!(pass(&mut correlator, &log("req-00001", 1), at(0)).is_empty(), "not the span's turn");
    assert_eq!(correlator.tally().received, 1);
}

#[test]
fn a_shutdown_lets_all_go_and_holds_nothing_more() {
    let mut correlator = correlator(1 << 20);
    let chunk: Vec<u8> =
        (0..50).flat_map(|number| log(&format!("req-{number:05}"), number)).collect();
    assert!(pass(&mut correlator, &chunk, at(0)).is_empty());
    let leaving = correlator.take(true, at(1));
    assert_eq!(leaving.iter().map(|emission| emission.records).sum::<usize>(), 50);
    let more = log("req-00001", 1);
    assert_eq!(correlator.on_chunk(b"app", &more, at(1)), None);
    assert_eq!(correlator.tally().unmatched, [0, 0, 0, 51]);
    // What the host refuses is given again, and counts as held memory.
    let taken = leaving.into_iter().next().unwrap();
    correlator.put_back(taken.clone());
    assert!(correlator.held_bytes() >= taken.events.len());
    assert_eq!(correlator.take(true, at(2)), [taken]);
}

/// Scenario: floods of logs without spans, of spans without logs, of ids of one value, and of both with
/// an emitter that takes nothing. Guarantees: at no moment is more held than the limit says, what finds
/// no room goes on at once in its place, and nothing is lost or doubled.
#[test]
fn memory_is_bounded_whatever_comes() {
    const LIMIT: usize = 256 << 10;
    let mut correlator = correlator(LIMIT);
    let mut numbers = 0..;
    let (mut given, mut out) = (0, 0);
    for round in 0..200_u64 {
        let mut chunk = Vec::new();
        for _ in 0..50 {
            let number = numbers.next().unwrap();
            let id =
                if round % 3 == 0 { "req-shared".to_owned() } else { format!("req-{number:09}") };
            chunk.extend(log(&id, number));
            given += 1;
            if round % 2 == 0 {
                chunk.extend(span(number, &format!("req-{:09}", number * 7)).encode());
            }
        }
        let left = pass(&mut correlator, &chunk, at(round / 20));
        out += events(&left)
            .iter()
            .filter(|event| {
                event
                    .telemetry()
                    .is_some_and(|said| said.signal == Some(crate::model::Signal::Logs))
            })
            .count();
        assert!(correlator.held_bytes() <= LIMIT, "{}", correlator.held_bytes());
        holds_in_full(correlator.tally());
        if round % 10 == 0 {
            for emission in correlator.take(false, at(round / 20)) {
                correlator.put_back(emission);
            }
            assert!(correlator.held_bytes() <= LIMIT, "{}", correlator.held_bytes());
        }
    }
    let tally = *correlator.tally();
    assert!(tally.unmatched[2] > 0 && tally.forgotten_ids > 0 && tally.held > 0, "{tally:?}");
    out += correlator.take(true, at(100)).iter().map(|emission| emission.records).sum::<usize>();
    assert_eq!(out, given);
    correlator.take(false, at(200));
    assert_eq!(correlator.held_bytes(), 0);
    holds_in_full(correlator.tally());
}

proptest! {
    /// Scenario: any bytes. Guarantees: what goes on and what is held is what came.
    #[test]
    fn any_chunk_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), at_byte in 0_usize..200) {
        let mut correlator = correlator(1 << 20);
        let _unchanged = correlator.on_chunk(b"app", &bytes, Tick(0));
        let mut chunk = log("req-00001", 1);
        chunk.extend(span(5, "req-00002").encode());
        let place = at_byte % chunk.len();
        chunk.splice(place..place, bytes);
        let left = pass(&mut correlator, &chunk, Tick(0));
        let leaving: usize = correlator.take(true, Tick(0)).iter().map(|e| e.events.len()).sum();
        prop_assert!(left.len() + leaving >= chunk.len());
        holds_in_full(correlator.tally());
    }
}
