//! What is masked where, in whole records.

use fluent_bit_ai::codec::records::{LogOptions, logs_to_records, traces_to_records};
use fluent_bit_ai::codec::wire;
use fluent_bit_ai::genai::{
    ContentSwitches, ContextSettings, Detector, FailureReason, HashKey, KeyRules, Pattern,
    Replacement,
};
use fluent_bit_ai::model::Signal;
use serde_json::{Value, json};

use crate::records::{encode, event, read};
use crate::{redacting, run};

fn span() -> Value {
    json!({ "otlp": { "v": 1, "signal": "span",
        "resource": { "attributes": { "owner": "joe@x.com" } }, "scope": { "name": "joe@x.com" } } })
}

#[test]
fn spans_are_masked_where_they_speak_freely() {
    let body = json!({
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "name": "joe@x.com",
        "status": { "code": "error", "message": "bad key sk-a1B2c3D4e5F6g7H8i9" },
        "attributes": {
            "gen_ai.input.messages": "[{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"I am \\\"joe@x.com\\\"\\njane@y.org\"}]}]",
            "list": ["a", { "deep": ["4111 1111 1111 1111"] }],
            "gen_ai.response.id": "4111111111111111",
            "user.id": "joe@x.com",
            "n": 4111111111111111_i64,
        },
        "events": [{ "name": "e", "attributes": { "exception.message": "joe@x.com" } }],
        "links": [{ "attributes": { "a": "joe@x.com" } }],
    });
    let mut chunk = Vec::new();
    event(&span(), &body, &mut chunk);
    event(&span(), &json!({ "attributes": { "clean": "text" } }), &mut chunk);
    let all = redacting(&[Detector::Email, Detector::CreditCard, Detector::Secrets]);
    let (out, tally) = run(all.clone(), &chunk);
    let out = out.unwrap();
    let records = read(&out);
    assert_eq!(records[0].metadata, span());
    let masked = &records[0].body;
    assert_eq!(masked["name"], "[email]");
    assert_eq!(masked["trace_id"], body["trace_id"]);
    assert_eq!(masked["status"]["message"], "bad key [secret]");
    let attributes = &masked["attributes"];
    assert_eq!(attributes["list"], json!(["a", { "deep": ["[credit_card]"] }]));
    assert_eq!(attributes["gen_ai.response.id"], "4111111111111111");
    assert_eq!(attributes["user.id"], "[email]");
    assert_eq!(attributes["n"], 0);
    let messages: Value =
        serde_json::from_str(attributes["gen_ai.input.messages"].as_str().unwrap()).unwrap();
    assert_eq!(messages[0]["parts"][0]["content"], "I am \"[email]\"\n[email]");
    assert_eq!(masked["events"][0]["attributes"]["exception.message"], "[email]");
    assert_eq!(masked["links"][0]["attributes"]["a"], "[email]");
    assert_eq!(records[1].body, json!({ "attributes": { "clean": "text" } }));
    assert_eq!(tally.redactions[Detector::Email.index()], 6);
    assert_eq!(tally.redactions[Detector::CreditCard.index()], 2);
    assert_eq!(tally.redactions[Detector::Secrets.index()], 1);
    assert_eq!(run(all, &out).0, None);
}

#[test]
fn logs_are_masked_in_body_and_attributes() {
    let metadata = json!({ "note": "joe@x.com", "otlp": {
        "attributes": { "a": "joe@x.com" }, "resource": { "attributes": { "b": "joe@x.com" } } } });
    let mut chunk = Vec::new();
    event(
        &metadata,
        &json!({ "log": "from joe@x.com", "nested": { "to": ["a@b.io"] } }),
        &mut chunk,
    );
    let (out, _) = run(redacting(&[Detector::Email]), &chunk);
    let record = read(&out.unwrap()).remove(0);
    assert_eq!(record.body, json!({ "log": "from [email]", "nested": { "to": ["[email]"] } }));
    assert_eq!(record.metadata["note"], "[email]");
    assert_eq!(record.metadata["otlp"]["attributes"]["a"], "[email]");
    assert_eq!(record.metadata["otlp"]["resource"], metadata["otlp"]["resource"]);
}

#[test]
fn what_nests_too_deep_to_tell_keys_apart_is_masked_all_the_same() {
    let mut body = json!({ "to": "joe@x.com" });
    for _ in 0..100 {
        body = json!({ "in": [body] });
    }
    let mut chunk = Vec::new();
    event(&json!({}), &body, &mut chunk);
    let (out, tally) = run(redacting(&[Detector::Email]), &chunk);
    assert!(!out.unwrap().windows(3).any(|part| part == b"joe"));
    assert_eq!(tally.redactions[Detector::Email.index()], 1);
}

#[test]
fn what_is_normalised_is_masked_too() {
    let mut chunk = Vec::new();
    let attributes = json!({
        "openinference.span.kind": "LLM",
        "llm.input_messages.0.message.content": "I am joe@x.com",
    });
    event(&span(), &json!({ "attributes": attributes }), &mut chunk);
    let settings = ContextSettings { redact: vec![Detector::Email], ..crate::settings() };
    let (out, tally) = run(settings, &chunk);
    let attributes = read(&out.unwrap()).remove(0).body["attributes"].clone();
    assert!(!attributes.to_string().contains("joe"));
    assert!(attributes["gen_ai.input.messages"].as_str().unwrap().contains("I am [email]"));
    assert_eq!(tally.redactions[Detector::Email.index()], 2);
}

#[test]
fn drop_leaves_no_trace() {
    let mut chunk = Vec::new();
    event(&json!({}), &json!({ "log": "{\"to\":\"joe@x.com\"}" }), &mut chunk);
    let settings =
        ContextSettings { replacement: Replacement::Drop, ..redacting(&[Detector::Email]) };
    let (out, _) = run(settings, &chunk);
    assert_eq!(read(&out.unwrap())[0].body["log"], "{\"to\":\"\"}");
}

#[test]
fn drop_takes_values_that_are_nothing_else() {
    let attributes = json!({
        "user": "joe@x.com", "note": "by joe@x.com", "to": ["joe@x.com"],
        "inner": { "a": "joe@x.com", "b": "c@d.org", "n": 1 }, "last": "joe@x.com",
    });
    let mut chunk = Vec::new();
    event(&span(), &json!({ "attributes": attributes, "name": "joe@x.com" }), &mut chunk);
    event(&json!({}), &json!({ "log": "joe@x.com", "who": "joe@x.com" }), &mut chunk);
    let settings =
        ContextSettings { replacement: Replacement::Drop, ..redacting(&[Detector::Email]) };
    let (out, tally) = run(settings, &chunk);
    let records = read(&out.unwrap());
    let left = json!({ "note": "by ", "to": [""], "inner": { "n": 1 } });
    // A span has a name, if only an empty one.
    assert_eq!(records[0].body, json!({ "attributes": left, "name": "" }));
    assert_eq!(records[1].body, json!({ "log": "" }));
    assert_eq!(tally.redactions[Detector::Email.index()], 9);
}

#[test]
fn large_maps_stay_readable_when_values_go() {
    for pairs in [15, 16, 17, 70_000] {
        let attributes: serde_json::Map<_, _> =
            (0..pairs).map(|n| (format!("k{n:05}"), json!("joe@x.com"))).collect();
        let mut attributes = attributes;
        attributes.insert("z".to_owned(), json!("stays"));
        let mut chunk = Vec::new();
        event(&span(), &json!({ "attributes": attributes }), &mut chunk);
        let settings =
            ContextSettings { replacement: Replacement::Drop, ..redacting(&[Detector::Email]) };
        let out = run(settings, &chunk).0.unwrap();
        assert_eq!(read(&out)[0].body, json!({ "attributes": { "z": "stays" } }));
    }
}

#[test]
fn equal_texts_have_equal_hashes() {
    let mut chunk = Vec::new();
    event(&json!({}), &json!({ "log": "a@b.io, c@d.io", "to": "a@b.io" }), &mut chunk);
    let key = HashKey::new(b"a key of 16 bytes").unwrap();
    let replacement = Replacement::Hash(key);
    let settings = ContextSettings { replacement, ..redacting(&[Detector::Email]) };
    let body = read(&run(settings, &chunk).0.unwrap()).remove(0).body;
    let (first, second) = body["log"].as_str().unwrap().split_once(", ").unwrap();
    assert_eq!(body["to"], first);
    assert_ne!(first, second);
    assert!(first.starts_with("[email:") && first.len() == 24, "{first}");
}

#[test]
fn own_patterns_are_applied_and_counted() {
    let mut chunk = Vec::new();
    let body = json!({ "attributes": { "gen_ai.input.messages": "[{\"t\":\"for ACME-12\\n\"}]" } });
    event(&span(), &body, &mut chunk);
    let pattern = Pattern::new("customer", r"ACME-\d+", None).unwrap();
    let settings = ContextSettings { patterns: vec![pattern], ..redacting(&[]) };
    let (out, tally) = run(settings, &chunk);
    let left = "[{\"t\":\"for [customer]\\n\"}]";
    let attributes = read(&out.unwrap()).remove(0).body["attributes"].clone();
    assert_eq!(attributes["gen_ai.input.messages"], left);
    assert_eq!(tally.patterns[0], 1);
}

#[test]
fn detectors_have_names() {
    for detector in Detector::ALL {
        assert_eq!(Detector::named(detector.name()), Some(detector));
    }
    assert_eq!(Detector::named("e-mail"), None);
}

#[test]
fn what_was_found_is_listed_where_asked_for() {
    let key = "fluentbit.ai.findings";
    let patterns = vec![Pattern::new("ticket", "TCK-[0-9]+", Some("a ticket")).unwrap()];
    let settings = ContextSettings {
        mark_findings: true,
        patterns,
        ..redacting(&[Detector::Email, Detector::Secrets])
    };
    let mut chunk = Vec::new();
    event(&span(), &json!({ "attributes": { "a": "c@d.org of TCK-1 joe@x.com" } }), &mut chunk);
    event(&span(), &json!({ "attributes": { "a": "clean" } }), &mut chunk);
    event(&span(), &json!({ "status": { "message": "joe@x.com" } }), &mut chunk);
    let given = json!({ key: ["email", "theirs"], "a": "sk-a1B2c3D4e5F6g7H8i9" });
    event(&span(), &json!({ "attributes": given }), &mut chunk);
    event(
        &json!({ "otlp": { "v": 1, "signal": "log" } }),
        &json!({ "log": "joe@x.com" }),
        &mut chunk,
    );
    event(&json!({}), &json!({ "log": "joe@x.com" }), &mut chunk);
    let placed = json!({ "otlp": { "trace_id": "0af7651916cd43dd8448eb211c80319c" } });
    event(&placed, &json!({ "log": "joe@x.com" }), &mut chunk);
    let (out, _) = run(settings.clone(), &chunk);
    let records = read(&out.unwrap());
    assert_eq!(records[0].body["attributes"]["a"], "[email] of a ticket [email]");
    assert_eq!(records[0].body["attributes"][key], json!(["ticket", "email"]));
    assert_eq!(records[1].body, json!({ "attributes": { "a": "clean" } }));
    assert_eq!(records[2].body["attributes"], json!({ key: ["email"] }));
    assert_eq!(records[3].body["attributes"][key], json!(["email", "theirs", "secrets"]));
    assert_eq!(records[4].metadata["otlp"]["attributes"], json!({ key: ["email"] }));
    assert_eq!(records[4].body, json!({ "log": "[email]" }));
    assert_eq!(records[5].body, json!({ "log": "[email]", key: ["email"] }));
    assert_eq!((&records[6].metadata, &records[6].body), (&placed, &records[5].body));
    // A pair that goes with what was found in it makes no difference.
    let dropping = ContextSettings { replacement: Replacement::Drop, ..settings };
    let mut chunk = Vec::new();
    let attributes: serde_json::Map<_, _> =
        (0..16).map(|n| (format!("k{n}"), json!("joe@x.com"))).collect();
    event(&span(), &json!({ "attributes": attributes }), &mut chunk);
    let (out, _) = run(dropping, &chunk);
    assert_eq!(read(&out.unwrap())[0].body["attributes"], json!({ key: ["email"] }));
}

/// Scenario: text that stands beside the record, as it is nested too deep or in a field of a newer
/// protocol; and an attribute without value, which does so too. Guarantees: redaction lets no text
/// by that it has not searched, and keeps what says nothing.
#[test]
fn text_beside_the_record_does_not_pass() {
    let message = |number: u32, content: &[u8]| {
        let mut out = Vec::new();
        wire::bytes(&mut out, number, content);
        out
    };
    let list = |element: &[u8]| message(5, &message(1, element));
    let deep = (0..40).fold(message(1, b"joe@x.com"), |inner, _| list(&inner));
    let newer = message(99, b"joe@x.com");
    let pair = |value: Option<&[u8]>| {
        let value = value.map(|value| message(2, value)).unwrap_or_default();
        [message(1, b"k"), value].concat()
    };
    for (value, hides) in [(Some(&deep), true), (Some(&newer), true), (None, false)] {
        let attribute = pair(value.map(Vec::as_slice));
        let ids = [message(1, &[1; 16]), message(2, &[2; 8])].concat();
        let span = [ids, message(9, &attribute), message(11, &message(3, &attribute))].concat();
        let log = [message(6, &attribute), message(5, value.unwrap_or(&Vec::new()))].concat();
        for (signal, item) in [(Signal::Traces, span), (Signal::Logs, log)] {
            let request = message(1, &message(2, &message(2, &item)));
            let options = LogOptions { groups: false, first_group: 1, now_unix_nanos: 1 };
            let mut chunk = Vec::new();
            let done = match signal {
                Signal::Traces => traces_to_records(&request, &mut chunk),
                _ => logs_to_records(&request, &mut chunk, options),
            };
            assert_eq!(done.unwrap().items, 1);
            assert_eq!(memchr::memmem::find(&chunk, b"joe@x.com").is_some(), hides);
            let (out, tally) = run(redacting(&[Detector::Email]), &chunk);
            let hidden = tally.failures[FailureReason::HiddenValues.index()];
            assert_eq!((out.is_some(), hidden), (hides, u64::from(hides)));
            let out = out.unwrap_or(chunk);
            assert_eq!(memchr::memmem::find(&out, b"joe@x.com"), None);
            let back = crate::records::request(&out, signal);
            assert_eq!(back == request, !hides);
            assert_eq!(memchr::memmem::find(&back, b"joe@x.com"), None);
        }
    }
}

/// Scenario: a text that is nothing but what is removed, as a body under `log` and under a key of the
/// user's. Guarantees: it stays an empty text, while such attributes and keys of a map go.
#[test]
fn a_body_under_a_key_stays_when_nothing_is_left_of_it() {
    let removing =
        ContextSettings { replacement: Replacement::Drop, ..redacting(&[Detector::Email]) };
    for (given, body, expected) in [
        (None, json!({ "log": "joe@x.com" }), json!({ "log": "" })),
        (Some("said"), json!({ "said": "joe@x.com" }), json!({ "said": "" })),
        (Some("said"), json!({ "said": { "to": "joe@x.com" } }), json!({ "said": {} })),
        (None, json!({ "said": "joe@x.com" }), json!({})),
    ] {
        let mut metadata = json!({ "otlp": { "v": 1, "signal": "log" } });
        if let Some(key) = given {
            metadata["otlp"]["body_key"] = json!(key);
        }
        let mut chunk = Vec::new();
        event(&metadata, &body, &mut chunk);
        let (out, _) = run(removing.clone(), &chunk);
        assert_eq!(read(&out.unwrap())[0].body, expected, "{given:?} {body}");
    }
}

/// Scenario: an address in the name and the events of a span, in attributes of points and exemplars of
/// each kind of metric, and in resource and scope. Guarantees: all go, those of resource and scope only
/// where that is asked for, also where they stand in the mark of a group of logs.
#[test]
fn every_place_of_every_signal_is_searched() {
    let dirty = json!({ "a": "joe@x.com", "b": ["joe@x.com"] });
    let origin = json!({ "attributes": { "owner": "joe@x.com" } });
    let otlp = |signal: &str| json!({ "otlp": { "v": 1, "signal": signal, "resource": origin, "scope": origin } });
    let mut chunk = Vec::new();
    let events = json!([{ "name": "to joe@x.com", "attributes": dirty }]);
    let body = json!({ "name": "joe@x.com", "events": events, "links": [{ "attributes": dirty }] });
    event(&otlp("span"), &body, &mut chunk);
    for kind in ["gauge", "sum", "histogram", "exponential_histogram", "summary"] {
        let exemplar = json!({ "filtered_attributes": dirty, "value": 1.5 });
        let points = json!([{ "attributes": dirty, "exemplars": [exemplar], "count": 1 }]);
        event(
            &otlp("metric"),
            &json!({ "name": "m", kind: { "data_points": points } }),
            &mut chunk,
        );
    }
    let mut group = Vec::new();
    event(&json!({}), &json!({ "resource": origin, "scope": origin }), &mut group);
    // The time of the start of a group.
    group.splice(4..12, [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    chunk.extend_from_slice(&group);
    event(&json!({ "otlp": {} }), &json!({ "log": "joe@x.com" }), &mut chunk);

    let (out, tally) = run(redacting(&[Detector::Email]), &chunk);
    let out = out.unwrap();
    let left = memchr::memmem::find_iter(&out, b"joe@x.com").count();
    assert_eq!(left, 2 * 6 + 2, "resources and scopes");
    assert_eq!(tally.redactions[Detector::Email.index()], 6 + 5 * 4 + 1);
    let all = ContextSettings { search_resource: true, ..redacting(&[Detector::Email]) };
    let copied = ContextSettings { copy_metadata: true, ..all.clone() };
    for settings in [all, copied] {
        let (out, _) = run(settings, &chunk);
        assert_eq!(memchr::memmem::find(&out.unwrap(), b"joe@x.com"), None);
    }
}

/// Scenario: a filter before ours wrote keys twice, in spans, metrics and metadata. Guarantees: both values
/// are searched, whichever of them a reader takes.
#[test]
fn keys_that_stand_twice_are_searched_twice() {
    let map = |pairs: &[(&str, &[u8])]| {
        let mut out = vec![0x80 | u8::try_from(pairs.len()).unwrap()];
        for (key, value) in pairs {
            encode(&json!(key), &mut out);
            out.extend_from_slice(value);
        }
        out
    };
    let value = |value: Value| {
        let mut out = Vec::new();
        encode(&value, &mut out);
        out
    };
    let said = value(json!({ "a": "joe@x.com" }));
    let twice = |key| map(&[(key, &said), (key, &said)]);
    let list = |item: &[u8]| [&[0x91], item].concat();
    let message = value(json!("joe@x.com"));
    let status = map(&[("message", &message), ("message", &message)]);
    let events = list(&twice("attributes"));
    let span = map(&[
        ("attributes", &said),
        ("attributes", &said),
        ("events", &events),
        ("events", &events),
        ("status", &status),
        ("status", &status),
    ]);
    let points = list(&twice("attributes"));
    let data = map(&[("data_points", &points), ("data_points", &points)]);
    let metric = map(&[("sum", &data), ("sum", &data), ("gauge", &data)]);
    for (signal, body) in [("span", span), ("metric", metric), ("log", twice("log"))] {
        let otlp =
            map(&[("signal", &value(json!(signal))), ("attributes", &said), ("attributes", &said)]);
        let mut metadata = vec![("otlp", &otlp[..])];
        if signal == "log" {
            metadata.extend([("other", &said[..]), ("other", &said)]);
        }
        let mut chunk = vec![0x92, 0x92, 0xd7, 0, 0, 0, 0, 9, 0, 0, 0, 0];
        chunk.extend_from_slice(&map(&metadata));
        chunk.extend_from_slice(&body);
        let out = run(redacting(&[Detector::Email]), &chunk).0.unwrap();
        let left = memchr::memmem::find_iter(&out, b"joe@x.com").count();
        // In the metadata of spans and metrics nothing is content.
        assert_eq!(left, if signal == "log" { 0 } else { 2 }, "{signal}");
    }
}

/// Scenario: keys by which values go or stay, names of secrets, and the switches of content. Guarantees:
/// they hold for texts, numbers and all that is inside, and are counted by key or as secrets.
#[test]
fn keys_say_what_goes_and_what_stays() {
    let text = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let content = ContentSwitches { errors: true, ..ContentSwitches::default() };
    let keys = KeyRules::new(&text(&["card.*", "born"]), &text(&["contact"]), content);
    let settings = ContextSettings { keys, ..redacting(&[Detector::Email, Detector::Secrets]) };
    let attributes = json!({
        "card.holder": "Joe", "card.more": { "inner": ["x", 7] }, "born": 1984,
        "contact": { "mail": "joe@x.com" }, "other": "joe@x.com",
        "http.request.header.authorization": ["hunter2"], "db.password": "hunter", "pin_password": 1234,
        "token": "Hello", "github_token": "a1B2c3D4e5", "exception.message": "no such user Joe",
    });
    let status = json!({ "code": "error", "message": "no such user Joe" });
    let mut chunk = Vec::new();
    event(&span(), &json!({ "attributes": attributes, "status": status }), &mut chunk);
    let (out, tally) = run(settings.clone(), &chunk);
    let out = out.unwrap();
    let body = read(&out).remove(0).body;
    let expected = json!({
        "card.holder": "[redacted]", "card.more": { "inner": ["[redacted]", 0] }, "born": 0,
        "contact": { "mail": "joe@x.com" }, "other": "[email]",
        "http.request.header.authorization": ["[secret]"], "db.password": "[secret]", "pin_password": 0,
        "token": "Hello", "github_token": "[secret]", "exception.message": "[redacted]",
    });
    assert_eq!(body["attributes"], expected);
    assert_eq!(body["status"]["message"], "[redacted]");
    assert_eq!((tally.keys, tally.redactions[Detector::Secrets.index()]), (6, 4));
    assert_eq!(run(settings, &out).0, None, "what went is left alone");
}

/// Scenario: a text with something for each detector, split between any two words. Guarantees: both
/// halves together say what the whole says. A key is found without its name, too.
#[test]
fn a_text_that_is_split_says_the_same() {
    let text = "joe@x.com called +49 151 2345678 from 10.1.2.3 about 4111111111111111 and \
                DE89370400440532013000 or 123-45-6789 with sk-a1B2c3D4e5F6g7H8 \
                {\"password\":\"x1\",\"n\":4111111111111111} and https://a:b1@c.io/?api_key=q1w2e3";
    let clean = |text: &str| {
        let mut chunk = Vec::new();
        event(&json!({}), &json!({ "log": text }), &mut chunk);
        let out = run(redacting(&Detector::ALL), &chunk).0;
        out.map_or_else(
            || text.to_owned(),
            |out| read(&out)[0].body["log"].as_str().unwrap().to_owned(),
        )
    };
    let whole = clean(text);
    for gone in ["joe", "2345678", "10.1", "4111", "DE89", "6789", "sk-", "x1", "b1@", "q1w2"] {
        assert!(!whole.contains(gone), "{gone}: {whole}");
    }
    for (at, _) in text.match_indices(' ') {
        let (head, tail) = text.split_at(at);
        // The blanks of the telephone number are part of it.
        if head.ends_with("+49") || head.ends_with("151") {
            continue;
        }
        assert_eq!(clean(head) + &clean(tail), whole, "{head}|{tail}");
    }
}
