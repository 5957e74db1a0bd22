//! Precision and recall of the detectors on examples that others made, which are not part of this
//! repository: `REDACTION_CORPUS` names a file of them.
//!
//! The file is a JSON list of `{"rule", "detector", "expected", "text"}`: a text, and how many places the
//! detector is to find in it. docs/ai_context.md has the figures, and where the examples came from.

use std::collections::BTreeMap;

use fluent_bit_ai::genai::{ContextProcessor, ContextTally, Detector};
use serde::Deserialize;
use serde_json::json;

use crate::records::event;
use crate::redacting;

#[derive(Deserialize)]
struct Example {
    rule: String,
    detector: String,
    expected: u64,
    text: String,
}

#[derive(Debug, Default, Clone, Copy)]
struct Score {
    right: u64,
    missed: u64,
    wrong: u64,
}

impl Score {
    fn note(&mut self, expected: u64, found: u64) {
        self.right += expected.min(found);
        self.missed += expected.saturating_sub(found);
        self.wrong += found.saturating_sub(expected);
    }

    fn row(self, name: &str) -> String {
        let Self { right, missed, wrong } = self;
        let share = |of: u64| match right + of {
            0 => "-".to_owned(),
            all => format!("{}.{:03}", right / all, right % all * 1000 / all),
        };
        let (recall, precision) = (share(missed), share(wrong));
        format!("{name} | {} | {recall} | {precision} | {wrong}", right + missed)
    }
}

#[test]
fn precision_and_recall() {
    let Some(path) = std::env::var_os("REDACTION_CORPUS") else {
        println!("REDACTION_CORPUS is not set: nothing is measured");
        return;
    };
    let examples: Vec<Example> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut processors: Vec<ContextProcessor> =
        Detector::ALL.iter().map(|it| ContextProcessor::new(redacting(&[*it]))).collect();
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    for example in &examples {
        let detector = Detector::named(&example.detector).unwrap();
        let mut chunk = Vec::new();
        event(&json!({}), &json!({ "log": example.text }), &mut chunk);
        let mut tally = ContextTally::default();
        let _changed = processors[detector.index()].process(&chunk, &mut tally);
        let found = tally.redactions[detector.index()];
        // A key may be found in two ways, by its format and by its name.
        let found = if detector == Detector::Secrets { found.min(1) } else { found };
        scores.entry(example.rule.clone()).or_default().note(example.expected, found);
        if found != example.expected && std::env::var_os("REDACTION_CORPUS_SHOW").is_some() {
            let text: String = example.text.chars().take(160).collect();
            println!("{} expected {} found {found}: {text:?}", example.rule, example.expected);
        }
    }
    for (rule, score) in scores {
        println!("{}", score.row(&rule));
    }
}
