//! The inheritor: who gets what, what waits, and what leaves when.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::codec::records::testing::{SpanRecord, chunk, log_event};
use crate::codec::records::{Event, Events};

const HERE: Position = Position { run: 7, after: 2 };

pub(super) fn inheritor(wait: Duration, max_bytes: usize) -> Inheritor {
    let tenant_keys = ["tenant.id".to_owned()];
    Inheritor::new(InheritConfig {
        fields: InheritedFields::new(&InheritedKind::ALL, &tenant_keys),
        window: Duration::from_secs(60),
        wait,
        max_bytes,
        position: HERE,
    })
}

fn at(seconds: u64) -> Tick {
    Tick(seconds * 1_000_000_000)
}

/// The attributes of the spans, or of the logs, of a chunk.
fn attributes(chunk: &[u8]) -> Vec<Value> {
    let json = |bytes: &[u8]| rmp_serde::from_slice::<Value>(bytes).unwrap();
    let of = |event: Event<'_>| match json(event.body) {
        body if body.get("span_id").is_some() => body["attributes"].clone(),
        body => match event.otlp().map(json) {
            Some(otlp) if otlp.get("attributes").is_some() => otlp["attributes"].clone(),
            _ => body,
        },
    };
    Events::new(chunk).map(Result::unwrap).map(of).collect()
}

fn pass(inheritor: &mut Inheritor, chunk: &[u8], now: Tick) -> Vec<Value> {
    let changed = inheritor.on_chunk(b"ai", chunk, now);
    attributes(changed.as_deref().unwrap_or(chunk))
}

#[test]
fn spans_get_what_one_of_their_trace_says() {
    let mut inheritor = inheritor(Duration::ZERO, 1 << 20);
    // The one that says it comes last in its chunk.
    let spans = [
        SpanRecord::new(1, 2).parent(1).with("a", "b"),
        SpanRecord::new(2, 9),
        SpanRecord::new(1, 1).with("user.id", "u-1").with("tenant.id", 7),
    ];
    let out = pass(&mut inheritor, &chunk(&spans), at(0));
    let expected = [
        json!({ "a": "b", "tenant.id": 7, "user.id": "u-1" }),
        Value::Null,
        json!({ "user.id": "u-1", "tenant.id": 7 }),
    ];
    assert_eq!(out, expected);
    // Later ones get it too, and what they say themselves stays.
    let later = [SpanRecord::new(1, 3).with("user.id", "u-2"), SpanRecord::new(1, 4).parent(3)];
    let out = pass(&mut inheritor, &chunk(&later), at(50));
    let expected =
        [json!({ "user.id": "u-2", "tenant.id": 7 }), json!({ "tenant.id": 7, "user.id": "u-2" })];
    assert_eq!(out, expected);
    let tally = *inheritor.tally();
    assert_eq!((tally.attributes, tally.conflicts), ([3, 2, 0, 0, 0], [0; 5]));
    // A trace is remembered for a minute.
    let out = pass(&mut inheritor, &SpanRecord::new(1, 5).encode(), at(111));
    assert_eq!(out, [Value::Null]);
}

#[test]
fn of_several_users_none_is_guessed() {
    let mut inheritor = inheritor(Duration::ZERO, 1 << 20);
    let spans = [
        SpanRecord::new(1, 2).parent(1).with("user.id", "u-1"),
        SpanRecord::new(1, 3).parent(1).with("user.id", "u-2"),
        SpanRecord::new(1, 4).parent(3),
        SpanRecord::new(1, 5).parent(4),
        SpanRecord::new(1, 1),
    ];
    let out = pass(&mut inheritor, &chunk(&spans), at(0));
    let user = json!({ "user.id": "u-2" });
    assert_eq!(out[2..], [user.clone(), user, Value::Null]);
    assert_eq!(inheritor.tally().conflicts, [0, 1, 0, 0, 0]);
}

#[test]
fn a_prompt_goes_down_only_and_as_one() {
    let mut inheritor = inheritor(Duration::ZERO, 1 << 20);
    let (name, version) = ("gen_ai.prompt.name", "gen_ai.prompt.version");
    let spans = [
        SpanRecord::new(1, 1),
        SpanRecord::new(1, 2).parent(1).with(name, "greeting").with(version, "3"),
        SpanRecord::new(1, 3).parent(2),
        SpanRecord::new(1, 4).parent(2).with(name, "farewell"),
        SpanRecord::new(1, 5).parent(1),
    ];
    let out = pass(&mut inheritor, &chunk(&spans), at(0));
    let greeting = json!({ name: "greeting", version: "3" });
    let expected =
        [Value::Null, greeting.clone(), greeting, json!({ name: "farewell" }), Value::Null];
    assert_eq!(out, expected);
    assert_eq!(inheritor.tally().conflicts, [0; 5], "others have no prompt");
}

#[test]
fn resources_say_it_too() {
    let mut inheritor = inheritor(Duration::ZERO, 1 << 20);
    let resource = json!({ "attributes": { "tenant.id": "acme" } });
    let metadata = json!({ "otlp": { "v": 1, "signal": "span", "resource": resource } });
    let body =
        |span: &str| json!({ "trace_id": "0af7651916cd43dd0000000000000001", "span_id": span });
    let named = log_event(5, &metadata, &body("00000000000000aa"));
    let both = [named, SpanRecord::new(1, 2).encode()].concat();
    let out = pass(&mut inheritor, &both, at(0));
    assert_eq!(out, [Value::Null, json!({ "tenant.id": "acme" })], "what has it is not told again");
    // Of a tenant, what the resource says goes before what a client may write into a span.
    let mut claims = body("00000000000000ab");
    claims["trace_id"] = json!("0af7651916cd43dd0000000000000002");
    claims["attributes"] = json!({ "tenant.id": "other" });
    let both = [log_event(5, &metadata, &claims), SpanRecord::new(2, 2).encode()].concat();
    assert_eq!(pass(&mut inheritor, &both, at(0))[1], json!({ "tenant.id": "acme" }));
}

#[test]
fn logs_of_the_trace_inherit() {
    let mut inheritor = inheritor(Duration::ZERO, 1 << 20);
    pass(&mut inheritor, &SpanRecord::new(1, 2).with("session.id", "s-1").encode(), at(0));
    let trace = "0af7651916cd43dd0000000000000001";
    let of_otlp = json!({ "otlp": { "v": 1, "signal": "log", "trace_id": trace } });
    let ordinary = json!({ "otlp": { "trace_id": trace } });
    let body = json!({ "log": "x" });
    let logs = [
        log_event(5, &of_otlp, &body),
        log_event(5, &ordinary, &body),
        log_event(5, &ordinary, &json!({ "log": "x", "session.id": "s-2" })),
        log_event(5, &json!({}), &body),
    ];
    let out = pass(&mut inheritor, &logs.concat(), at(1));
    let expected = [
        json!({ "session.id": "s-1" }),
        json!({ "log": "x", "session.id": "s-1" }),
        json!({ "log": "x", "session.id": "s-2" }),
        body.clone(),
    ];
    assert_eq!(out, expected);
    // Those that a correlator emits late are marked as ours.
    let mut late = ordinary;
    late["otlp"]["from"] = json!([7, 2]);
    let late = log_event(5, &late, &body);
    assert_eq!(inheritor.on_chunk(b"app", &late, at(2)), None);
    let emission = Emission { tag: b"app".to_vec(), records: 1, events: late };
    let out = inheritor.on_late_logs(emission);
    assert_eq!((&out.tag[..], out.records), (&b"app"[..], 1));
    assert_eq!(attributes(&out.events), [json!({ "log": "x", "session.id": "s-1" })]);
}

#[test]
fn spans_that_wait_know_what_comes_after_them() {
    let mut inheritor = inheritor(Duration::from_secs(5), 1 << 20);
    let complete = |span| {
        SpanRecord::new(span, span)
            .with("tenant.id", "t")
            .with("session.id", "s")
            .with("user.id", "u")
            .with("user.hash", "h")
            .with("enduser.id", "u")
            .with("enduser.pseudo.id", "u")
            .with("gen_ai.conversation.id", "c")
            .with("gen_ai.prompt.name", "p")
    };
    let spans = [complete(8), SpanRecord::new(1, 2).parent(1), SpanRecord::new(1, 3).parent(2)];
    let out = inheritor.on_chunk(b"ai", &chunk(&spans), at(0)).unwrap();
    assert_eq!(out, complete(8).encode(), "what lacks nothing goes on");
    assert_eq!(inheritor.tally().held, 2);
    let root = SpanRecord::new(1, 1).with("user.id", "u-1").encode();
    assert_eq!(inheritor.on_chunk(b"other", &root, at(2)), Some(Vec::new()));
    assert!(inheritor.take(false, Tick(5_000_000_000 - 1)).is_empty());
    let [emission] = &inheritor.take(false, at(5))[..] else { panic!("both") };
    assert_eq!((&emission.tag[..], emission.records), (&b"ai"[..], 2));
    let user = json!({ "user.id": "u-1" });
    assert_eq!(attributes(&emission.events), [user.clone(), user.clone()]);
    for event in Events::new(&emission.events).flatten() {
        assert_eq!(event.telemetry().unwrap().position, Some(HERE));
    }
    // It comes in again by the input that emitted it, and is left alone.
    assert_eq!(inheritor.on_chunk(b"ai", &emission.events, at(6)), None);
    let [last] = &inheritor.take(true, at(6))[..] else { panic!("the root") };
    assert_eq!(attributes(&last.events), std::slice::from_ref(&user));
    let late = SpanRecord::new(1, 4).encode();
    assert_eq!(pass(&mut inheritor, &late, at(6)), [user], "nothing is held at the end");
    assert_eq!(inheritor.tally().held, 0);
    inheritor.put_back(last.clone());
    assert!(inheritor.held_bytes() > last.events.len());
    assert_eq!(inheritor.take(true, at(100)), std::slice::from_ref(last));
    assert_eq!(inheritor.held_bytes(), 0);
}

/// Scenario: floods of traces, of spans of one trace, and of values, with and without waiting, and an
/// emitter that takes nothing. Guarantees: at no moment is more held than the limit says, what finds no
/// room goes on, and no span is lost or doubled.
#[test]
fn memory_is_bounded_whatever_comes() {
    const LIMIT: usize = 256 << 10;
    for wait in [0, 5] {
        let mut inheritor = inheritor(Duration::from_secs(wait), LIMIT);
        let (mut given, mut out) = (0, 0);
        for round in 0..200_u64 {
            let spans: Vec<SpanRecord> = (0..50)
                .map(|index| {
                    let number = round * 50 + index;
                    let trace = if round % 3 == 0 { 1 } else { number };
                    let span = SpanRecord::new(trace, number + 1).parent(number);
                    span.with("user.id", &*format!("user-{number}"))
                })
                .collect();
            given += spans.len();
            let left = pass(&mut inheritor, &chunk(&spans), at(round / 20));
            out += left.len();
            if round % 10 == 0 {
                for emission in inheritor.take(false, at(round / 20)) {
                    inheritor.put_back(emission);
                }
            }
            assert!(inheritor.held_bytes() <= LIMIT, "{}", inheritor.held_bytes());
        }
        let tally = *inheritor.tally();
        assert!(tally.forgotten_traces > 0 && tally.forgotten_values > 0, "{tally:?}");
        assert_eq!((tally.unheld_spans > 0, tally.held > 0), (wait > 0, wait > 0), "{tally:?}");
        let leaving = inheritor.take(true, at(200));
        out += leaving.iter().map(|emission| emission.records).sum::<usize>();
        assert_eq!(out, given);
        assert_eq!(inheritor.held_bytes(), 0);
    }
}

proptest! {
    /// Scenario: any bytes, and spans broken by them. Guarantees: nothing is lost of what came.
    #[test]
    fn any_chunk_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), at_byte in 0_usize..400) {
        for wait in [0, 5] {
            let mut inheritor = inheritor(Duration::from_secs(wait), 1 << 20);
            let spans = [SpanRecord::new(1, 2).with("user.id", "u"), SpanRecord::new(1, 3)];
            let mut chunk = chunk(&spans);
            let place = at_byte % chunk.len();
            chunk.splice(place..place, bytes.clone());
            let left = inheritor.on_chunk(b"ai", &chunk, Tick(0)).unwrap_or_else(|| chunk.clone());
            let leaving: usize = inheritor.take(true, Tick(0)).iter().map(|e| e.events.len()).sum();
            prop_assert!(left.len() + leaving >= chunk.len());
        }
    }
}
