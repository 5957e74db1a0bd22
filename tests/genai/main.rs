//! `ai_context`'s pure half over real telemetry of instrumentations, made samples of all dialects, and
//! hand-made logs.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test, as tests themselves do"
)]

mod backends;
mod context;
mod corpus;
mod dialects;
mod failures;
mod identity;
mod records;
mod redaction;
mod samples;
mod truth;

use std::cell::RefCell;

use fluent_bit_ai::genai::{
    AddedDialects, ContextProcessor, ContextSettings, ContextTally, Conventions, Detector,
    KeyRules, OnFailure, Replacement,
};
use fluent_bit_ai::model::Position;

/// Everything on that is on by default, nothing redacted.
fn settings() -> ContextSettings {
    ContextSettings {
        normalize: true,
        dialects: AddedDialects::NONE,
        keep_originals: true,
        conventions: Conventions::V1_41,
        correlate: true,
        redact: Vec::new(),
        patterns: Vec::new(),
        replacement: Replacement::Mask,
        mark_findings: false,
        on_failure: OnFailure::Drop,
        keys: KeyRules::default(),
        search_resource: false,
        copy_metadata: false,
        record_key: None,
        identify: None,
        baggage: None,
        position: Position { run: 7, after: 2 },
    }
}

fn run(settings: ContextSettings, chunk: &[u8]) -> (Option<Vec<u8>>, ContextTally) {
    let mut tally = ContextTally::default();
    let out = ContextProcessor::new(settings).process(chunk, &mut tally);
    (out, tally)
}

/// Runs a chunk through a processor with everything on, made once since that takes a while.
fn run_all(chunk: &[u8]) -> (Option<Vec<u8>>, ContextTally) {
    thread_local! {
        static PROCESSOR: RefCell<ContextProcessor> = RefCell::new(ContextProcessor::new(ContextSettings {
            redact: Detector::ALL.to_vec(),
            on_failure: OnFailure::Pass,
            ..settings()
        }));
    }
    let mut tally = ContextTally::default();
    let out = PROCESSOR.with_borrow_mut(|processor| processor.process(chunk, &mut tally));
    (out, tally)
}

fn redacting(detectors: &[Detector]) -> ContextSettings {
    ContextSettings { normalize: false, correlate: false, redact: detectors.to_vec(), ..settings() }
}
