//! Every capture and every made sample, against the reviewed result beside it.

use std::collections::BTreeMap;
use std::path::Path;

use fluent_bit_ai::genai::{ContextProcessor, ContextSettings, ContextTally, Conventions};
use serde_json::{Map, Value, json};

use crate::records::{capture, read};
use crate::settings;

/// Writes the results instead of comparing them, for review.
pub(crate) const UPDATE: &str = "UPDATE_GENAI_RESULTS";

/// What the spans of a capture may weigh after they were mapped, against before.
const MOST_GROWTH: f64 = 1.05;

/// The same for made samples. They have few attributes and hardly any content, so that it shows that
/// the names of the conventions are longer than most.
const MOST_GROWTH_OF_MADE: f64 = 1.4;

pub(crate) fn folder() -> String {
    format!("{}/tests/data/genai", env!("CARGO_MANIFEST_DIR"))
}

/// The samples, by their names under the folder.
pub(crate) fn samples() -> Vec<String> {
    let mut names = Vec::new();
    for inner in ["", "made/"] {
        for entry in std::fs::read_dir(format!("{}/{inner}", folder())).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".otlp.jsonl") {
                names.push(format!("{inner}{name}"));
            }
        }
    }
    names.sort();
    assert!(names.len() > 30, "{names:?}");
    names
}

fn shorter(conventions: Conventions) -> ContextSettings {
    ContextSettings { keep_originals: false, conventions, ..settings() }
}

pub(crate) struct Mapped {
    pub(crate) before: Vec<u8>,
    pub(crate) after: Vec<u8>,
    tally: ContextTally,
    unknown: Vec<(String, u64)>,
}

pub(crate) fn mapped(file: &str, signal: &str, settings: ContextSettings) -> Mapped {
    let before = capture(file, signal);
    let mut tally = ContextTally::default();
    let mut processor = ContextProcessor::new(settings);
    let after = processor.process(&before, &mut tally).unwrap_or_else(|| before.clone());
    let mut unknown = Vec::new();
    processor.take_unknown_names(|_, name, count| unknown.push((name.to_owned(), count)));
    Mapped { before, after, tally, unknown }
}

/// What of a sample is compared: names and attributes of spans and of those of their events that have
/// any, attributes of logs, and the names that no rule knows.
fn result(file: &str) -> Value {
    let mut unknown: BTreeMap<String, u64> = BTreeMap::new();
    let spans = mapped(file, "span", shorter(Conventions::V1_41));
    let logs = mapped(file, "log", shorter(Conventions::V1_41));
    for (name, count) in spans.unknown.into_iter().chain(logs.unknown) {
        *unknown.entry(name).or_default() += count;
    }
    let spans: Vec<Value> =
        read(&spans.after).into_iter().map(|record| span(&record.body)).collect();
    let logs: Vec<Value> = read(&logs.after)
        .into_iter()
        .map(|record| readable(&record.metadata["otlp"]["attributes"]))
        .collect();
    json!({ "spans": spans, "logs": logs, "unknown": unknown })
}

fn span(body: &Value) -> Value {
    let mut span = Map::new();
    span.insert("name".to_owned(), body["name"].clone());
    span.insert("attributes".to_owned(), readable(&body["attributes"]));
    let events = body["events"].as_array().cloned().unwrap_or_default();
    let with_any = events.iter().filter(|event| event["attributes"].is_object());
    let events: Vec<Value> = with_any
        .map(|event| json!({ "name": event["name"], "attributes": readable(&event["attributes"]) }))
        .collect();
    if !events.is_empty() {
        span.insert("events".to_owned(), Value::Array(events));
    }
    Value::Object(span)
}

/// Attributes with messages as JSON rather than as text.
pub(crate) fn readable(attributes: &Value) -> Value {
    let Some(map) = attributes.as_object() else { return attributes.clone() };
    let pairs = map.iter().map(|(key, value)| {
        let read = value.as_str().filter(|_| key.starts_with("gen_ai."));
        let read = read.and_then(|text| serde_json::from_str::<Value>(text).ok());
        let read = read.filter(|read| read.is_array() || read.is_object());
        (key.clone(), read.unwrap_or_else(|| value.clone()))
    });
    Value::Object(pairs.collect())
}

#[test]
pub(crate) fn samples_become_what_was_reviewed() {
    for file in samples() {
        let name = file.trim_start_matches("made/").trim_end_matches(".otlp.jsonl");
        let path = format!("{}/results/{name}.json", folder());
        let result = result(&file);
        if std::env::var_os(UPDATE).is_some() {
            let text = serde_json::to_string_pretty(&result).unwrap();
            std::fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
            std::fs::write(&path, text + "\n").unwrap();
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("{path} is missing"));
        let reviewed: Value = serde_json::from_str(&text).unwrap();
        for part in ["spans", "logs"] {
            let (made, reviewed) = (result[part].as_array(), reviewed[part].as_array());
            let (made, reviewed) = (made.unwrap(), reviewed.unwrap());
            assert_eq!(made.len(), reviewed.len(), "{file}");
            for (made, reviewed) in made.iter().zip(reviewed) {
                assert_eq!(made, reviewed, "{file}: a changed result is reviewed under {UPDATE}=1");
            }
        }
        assert_eq!(result["unknown"], reviewed["unknown"], "{file}");
    }
}

/// Scenario: every sample in each release of the conventions. Guarantees: mapping twice is mapping
/// once.
#[test]
pub(crate) fn samples_are_mapped_once() {
    for file in samples() {
        for signal in ["span", "log", "metric"] {
            for conventions in [Conventions::V1_41, Conventions::GenAi0_1] {
                for keep_originals in [true, false] {
                    let settings = ContextSettings { keep_originals, ..shorter(conventions) };
                    let once = mapped(&file, signal, settings.clone());
                    let again = ContextProcessor::new(settings)
                        .process(&once.after, &mut once.tally.clone());
                    let again = again.map(|chunk| {
                        read(&chunk).into_iter().map(|r| (r.metadata, r.body)).collect::<Vec<_>>()
                    });
                    assert_eq!(again, None, "{file} {signal} {conventions:?} {keep_originals}");
                }
            }
        }
    }
}

/// Scenario: every sample, without the attributes that current ones say. Guarantees: it does not
/// grow beyond that.
#[test]
pub(crate) fn samples_do_not_grow() {
    for file in samples() {
        let mapped = mapped(&file, "span", shorter(Conventions::V1_41));
        if mapped.before.is_empty() {
            continue;
        }
        let growth = mapped.after.len() as f64 / mapped.before.len() as f64;
        let most = match &file {
            made if made.starts_with("made/") => MOST_GROWTH_OF_MADE,
            _ => MOST_GROWTH,
        };
        assert!(growth <= most, "{file}: {growth:.3}");
    }
}

/// Scenario: a scope that names the release of the conventions that its spans follow. Guarantees: what
/// became of them is named; where no schema URL is known, the name stays.
#[test]
fn the_schema_url_is_that_of_the_attributes() {
    for (conventions, expected) in
        [(Conventions::V1_41, "1.41.0"), (Conventions::GenAi0_1, "1.28.0")]
    {
        let after = mapped("made/gen_ai-1.28.otlp.jsonl", "span", shorter(conventions)).after;
        let record = read(&after).remove(0);
        let url = format!("https://opentelemetry.io/schemas/{expected}");
        assert_eq!(record.metadata["otlp"]["scope"]["schema_url"], url);
    }
}

/// Scenario: the later release of the conventions. Guarantees: its names stand where they differ, and
/// those of 1.41 go.
#[test]
fn the_later_release_has_its_names() {
    let of = |file| mapped(file, "span", shorter(Conventions::GenAi0_1));
    let call = read(&of("made/claude_code.otlp.jsonl").after).remove(0).body;
    assert_eq!(call["attributes"]["gen_ai.usage.cache_write.input_tokens"], 2025);
    assert_eq!(call["attributes"]["gen_ai.usage.input_tokens"], 3028);
    assert!(call["attributes"].get("gen_ai.usage.cache_creation.input_tokens").is_none());
    let flow = read(&of("made/google_adk.otlp.jsonl").after).remove(2).body;
    assert_eq!(flow["attributes"]["gen_ai.agent.name"], "w");
    assert!(flow["attributes"].get("gen_ai.workflow.name").is_none());
}
