//! Detector benchmark: the detectors of `ai_context` on the text of messages, without a host: MB a
//! second on one core.

use std::hint::black_box;
use std::time::Instant;

use fluent_bit_ai::codec::records::{LogOptions, logs_to_records};
use fluent_bit_ai::genai::{
    ContextProcessor, ContextSettings, ContextTally, Detector, KeyRules, OnFailure, Replacement,
};
use fluent_bit_ai::model::Position;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;

/// What people ask and models answer: prose, lists, code, numbers, JSON. One turn in eight holds
/// something to find.
const TURNS: &[&str] = &[
    "Can you help me to plan a week in Lisbon with two children, 6 and 9 years old? We like the sea, \
     short walks and good food, and we would rather not rent a car. The budget is about 2500 euros \
     without the flights, and we arrive on 14 June around 11:40 in the morning.",
    "Of course! Here is a plan that keeps the days short:\n\n1. **Day 1** - settle in, then take tram 28 \
     up to the viewpoints.\n2. **Day 2** - the Oceanarium (opens at 10:00, about 25 EUR for adults) and \
     the cable car along the river.\n3. **Day 3** - a train to Cascais, 40 minutes each way.\n\nShall I \
     look for a family room near the centre?",
    "This function is slow for large inputs, why?\n```python\ndef pairs(rows, limit=1000):\n    out = \
     []\n    for i, a in enumerate(rows):\n        for b in rows[i + 1:]:\n            if abs(a.score - \
     b.score) < 1e-6 and len(out) < limit:\n                out.append((a.id, b.id))\n    return out\n```",
    "It compares every row with every other one, so the work grows with the square of their number: \
     20 000 rows are 199 990 000 comparisons. Sort by score first, then only neighbours within the \
     tolerance have to be compared; that takes n log n steps. In version 3.12 you may also use \
     itertools.pairwise for the inner step.",
    "Please write to maria.fernandes@example.com that her order 4711-0815 was sent, and call her on \
     +351 912 345 678 if the parcel is not there by Friday.",
    r#"{"tool":"lookup_order","arguments":{"order":"A-10293","fields":["status","carrier","eta"],"limit":5}}"#,
    "The answer has to mention that the warranty lasts for 24 months, that wear is not covered, and that \
     repairs take ten working days on average. Keep it friendly, do not promise a date, and end with an \
     offer to help further.",
    "Summarise: revenue grew by 12.4 % to 3.81 billion in the third quarter; operating margin was 18.9 % \
     after 17.2 % a year ago; the company expects growth between 9 and 11 % for 2026 and will buy back \
     shares for up to 500 million until 31 March.",
];

/// Messages in the form of `gen_ai.input.messages`, with different turns each.
fn message(number: usize) -> String {
    let turns = (0..10).map(|turn| {
        let role = if turn % 2 == 0 { "user" } else { "assistant" };
        let content = TURNS[(number * 3 + turn) % TURNS.len()];
        serde_json::json!({"role": role, "parts": [{"type": "text", "content": content}]})
    });
    serde_json::Value::from_iter(turns).to_string()
}

/// What detectors look for first, over and over: each is a text that keeps one of them busy.
const BUSY: &[&str] = &[
    "@",
    "a@",
    "a@b.",
    "a.b@c.d ",
    "1",
    "1 ",
    "1-",
    "1.",
    "12.",
    "1:",
    "a1",
    "+1 ",
    "(1) ",
    "tel 1 ",
    "0x",
    "DE89 ",
    "DE",
    "4111 ",
    "4111-",
    "sk-",
    "sk-ant-",
    "AKIA",
    "ghp_",
    "xoxb-",
    "AIza",
    "eyJ",
    "eyJ.",
    "hf_",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY-----",
    "Bearer ",
    "Basic ",
    "://",
    "a://b:",
    "a://b:c@",
    "key=",
    "key:",
    "\"key\":\"",
    "api_key = ",
    "password=",
    "password: ",
    "password=\"",
    "token=1",
    "secret ",
    "--token ",
    "?key=",
    "&token=",
    "authorization: ",
    "=",
    ":",
    "\"",
    "\\\"",
    "{\"",
    "\\u0041",
    "_",
    "-",
    "/",
    "A",
    "Zz9",
    "\u{e9}",
];

/// A chunk of 64 log records of these texts, and the bytes of text in it.
fn chunk(messages: Vec<String>) -> (Vec<u8>, usize) {
    let bytes = messages.iter().map(String::len).sum();
    let log_records = messages
        .into_iter()
        .map(|text| LogRecord {
            body: Some(AnyValue { value: Some(Value::StringValue(text)) }),
            ..LogRecord::default()
        })
        .collect();
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    let request = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
    let mut chunk = Vec::new();
    let options = LogOptions { groups: false, first_group: 1, now_unix_nanos: 1 };
    logs_to_records(&request, &mut chunk, options).expect("a request of our own");
    (chunk, bytes)
}

fn detectors() -> ContextProcessor {
    ContextProcessor::new(ContextSettings {
        normalize: false,
        dialects: fluent_bit_ai::genai::AddedDialects::NONE,
        keep_originals: false,
        conventions: fluent_bit_ai::genai::Conventions::default(),
        correlate: false,
        redact: Detector::ALL.to_vec(),
        mark_findings: false,
        on_failure: OnFailure::Drop,
        keys: KeyRules::default(),
        search_resource: false,
        copy_metadata: false,
        record_key: None,
        identify: None,
        baggage: None,
        patterns: Vec::new(),
        replacement: Replacement::Mask,
        position: Position { run: 1, after: 0 },
    })
}

/// MB a second that the detectors read of a chunk in this time, and how much they found.
fn rate(chunk: &[u8], bytes: usize, millis: u128) -> (f64, u64) {
    let (mut processor, mut tally) = (detectors(), ContextTally::default());
    let (start, mut read) = (Instant::now(), 0_usize);
    while start.elapsed().as_millis() < millis {
        black_box(processor.process(black_box(chunk), &mut tally));
        read += bytes;
    }
    (read as f64 / 1e6 / start.elapsed().as_secs_f64(), tally.redactions.iter().sum())
}

fn line(name: &str, work: &str, rate: f64) -> String {
    format!("{name:<9}{work:<46}{:>10}{rate:>10.0}{:>9}", "-", "-")
}

/// The rows `P16`, the median of the rounds, and `P16-worst`, the slowest of the texts that keep a detector busy.
pub fn rows(rounds: usize) -> String {
    let (message_chunk, bytes) = chunk((0..64).map(message).collect());
    let (mut rates, found): (Vec<f64>, Vec<u64>) =
        (0..rounds.max(1)).map(|_| rate(&message_chunk, bytes, 500)).unzip();
    assert!(found.iter().all(|found| *found > 0), "the text holds what is to be found");
    rates.sort_by(f64::total_cmp);
    let busy = BUSY.iter().map(|text| {
        let (chunk, bytes) = chunk(vec![text.repeat(8192 / text.len()); 64]);
        (rate(&chunk, bytes, 100).0, *text)
    });
    let (worst, text) = busy.min_by(|one, other| one.0.total_cmp(&other.0)).expect("texts");
    [
        line("P16", "all detectors on message text: MB/s, one core", rates[rates.len() / 2]),
        line("P16-worst", &format!(" the slowest text, {text:?} again and again"), worst),
    ]
    .join("\n")
}
