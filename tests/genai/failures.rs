//! What cannot be searched for what is to be redacted does not pass unless asked to.

use fluent_bit_ai::genai::{ContextProcessor, ContextTally, Detector, FailureReason, OnFailure};
use serde_json::{Value, json};

use crate::records::{event, read};
use crate::redacting;

type Outcome = (Vec<u8>, Vec<(FailureReason, Vec<u8>)>, [u64; 5]);

/// What goes on of a chunk, what is kept aside, and what was counted.
fn run(on_failure: OnFailure, chunk: &[u8]) -> Outcome {
    let mut settings = redacting(&[Detector::Email]);
    settings.on_failure = on_failure;
    let mut processor = ContextProcessor::new(settings);
    let mut tally = ContextTally::default();
    let out = processor.process(chunk, &mut tally).unwrap_or_else(|| chunk.to_vec());
    let aside = processor.take_quarantined();
    assert_eq!(processor.take_quarantined(), []);
    let aside = aside.into_iter().map(|failed| (failed.reason, failed.event)).collect();
    (out, aside, tally.failures)
}

fn encoded(metadata: &Value, body: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    event(metadata, body, &mut out);
    out
}

/// Scenario: a chunk with an event between what is none, a record in a newer layout, and a broken end,
/// all with an address in them. Guarantees: what could be searched goes on, redacted; the rest does
/// what the policy says, each piece once and as it was.
#[test]
fn what_cannot_be_read_does_what_the_policy_says() {
    let rubbish = b"\x93\xa9joe@x.com\x02\x03".to_vec();
    let newer = encoded(
        &json!({ "otlp": { "v": 2, "signal": "span" } }),
        &json!({ "attributes": { "a": "joe@x.com" } }),
    );
    let good = encoded(&json!({}), &json!({ "log": "to joe@x.com" }));
    let broken = b"\x92\x92\x05\x80\x81\xa1k\xa9joe@x".to_vec();
    let chunk = [&rubbish[..], &good, &newer, &good, &broken].concat();
    let clean = encoded(&json!({}), &json!({ "log": "to [email]" }));
    let failed = [
        (FailureReason::Unreadable, rubbish.clone()),
        (FailureReason::NewerLayout, newer.clone()),
        (FailureReason::Unreadable, broken.clone()),
    ];
    let counted = [2, 1, 0, 0, 0];

    let (out, aside, failures) = run(OnFailure::Drop, &chunk);
    assert_eq!((out, aside, failures), ([&clean[..], &clean].concat(), vec![], counted));
    let (out, aside, failures) = run(OnFailure::Quarantine, &chunk);
    assert_eq!((out, failures), ([&clean[..], &clean].concat(), counted));
    assert_eq!(aside, failed);
    let (out, aside, failures) = run(OnFailure::Pass, &chunk);
    assert_eq!(out, [&rubbish[..], &clean, &newer, &clean, &broken].concat());
    assert_eq!((aside, failures), (vec![], counted));
}

/// Scenario: a value beside a record that cannot be read there. Guarantees: it goes, or its whole record
/// is kept aside, or it passes.
#[test]
fn hidden_values_do_what_the_policy_says() {
    // A list with an entry for attribute 0 whose value is no protobuf.
    let hidden = json!({ "otlp": { "v": 1, "signal": "span", "raw_values": "\u{1}joe@x.com" } });
    let chunk = encoded(&hidden, &json!({ "attributes": { "a": "b@c.org" } }));
    let counted = [0, 0, 1, 0, 0];
    let (out, _, failures) = run(OnFailure::Drop, &chunk);
    let record = read(&out).remove(0);
    assert!(!record.metadata.to_string().contains("joe"), "{}", record.metadata);
    assert_eq!((&record.body["attributes"]["a"], failures), (&json!("[email]"), counted));
    let (out, aside, failures) = run(OnFailure::Quarantine, &chunk);
    assert_eq!((out, failures), (vec![], counted));
    assert_eq!(aside, [(FailureReason::HiddenValues, chunk.clone())]);
    let (out, _, failures) = run(OnFailure::Pass, &chunk);
    let record = read(&out).remove(0);
    assert_eq!((&record.metadata, failures), (&hidden, counted));
    assert_eq!(record.body["attributes"]["a"], "[email]");
}

/// Scenario: a request of profiles, which nobody searches. Guarantees: it does what the policy says.
#[test]
fn profiles_do_what_the_policy_says() {
    let metadata = json!({ "otlp": { "v": 1, "signal": "profiles" } });
    let chunk = encoded(&metadata, &json!({ "profiles": "joe@x.com" }));
    let counted = [0, 0, 0, 1, 0];
    assert_eq!(run(OnFailure::Drop, &chunk), (vec![], vec![], counted));
    let aside = vec![(FailureReason::Profiles, chunk.clone())];
    assert_eq!(run(OnFailure::Quarantine, &chunk), (vec![], aside, counted));
    assert_eq!(run(OnFailure::Pass, &chunk), (chunk.clone(), vec![], counted));
    let mut idle = ContextProcessor::new(redacting(&[]));
    assert_eq!(idle.process(&chunk, &mut ContextTally::default()), None);
}

/// Scenario: records with a value beside them, or in a newer layout, that have the same metadata, with an
/// ordinary log between them. Guarantees: what the log's metadata does not say is not taken for granted
/// of the record after it, though its metadata was read before.
#[test]
fn a_log_between_them_does_not_let_records_pass() {
    let hidden = json!({ "otlp": { "v": 1, "signal": "span", "raw_values": "\u{1}joe@x.com" } });
    let newer = json!({ "otlp": { "v": 2, "signal": "metric" } });
    let log = encoded(&json!({}), &json!({ "log": "to joe@x.com" }));
    let clean = encoded(&json!({}), &json!({ "log": "to [email]" }));
    for (metadata, counted) in [(hidden, [0, 0, 2, 0, 0]), (newer, [0, 2, 0, 0, 0])] {
        let record = encoded(&metadata, &json!({ "attributes": { "a": "joe@x.com" } }));
        let (out, aside, failures) =
            run(OnFailure::Quarantine, &[&record[..], &log, &record].concat());
        assert_eq!((out, failures), (clean.clone(), counted));
        assert_eq!(aside.into_iter().map(|(_, event)| event).collect::<Vec<_>>(), [&record[..]; 2]);
    }
}
