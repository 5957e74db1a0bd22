//! The filter `ai_context`: dialects become the current GenAI conventions, logs get their place in
//! the trace, what must not leave is masked.

use super::patterns_file;
use crate::config::read::{self, Read};
use crate::config::{FileOptions, Parser, options};
use crate::genai::{
    ContextProcessor, ContextSettings, ContextTally, Detector, DialectCounts, HashKey, Pattern,
    Replacement,
};
use crate::hub::Role;
use crate::model::Position;
use crate::plugin::{Chunk, Environment, Filter, OpenError, OptionSpec, Options, Spec, Verdict};
use crate::stats::{Counter, CounterFamily};

const NORMALIZED: CounterFamily = CounterFamily::counter(
    "normalized_spans_total",
    "Spans whose attributes were mapped to the current GenAI conventions",
    &["dialect"],
);
const CORRELATED: CounterFamily = CounterFamily::counter(
    "correlated_logs_total",
    "Logs that got the trace and span ids found in them",
    &[],
);
const REDACTIONS: CounterFamily = CounterFamily::counter(
    "redactions_total",
    "Places in attributes and log bodies that were redacted",
    &["detector"],
);
const UNSEARCHED: CounterFamily = CounterFamily::counter(
    "unsearched_records_total",
    "Records of which values nested deeper than 24, or with fields of newer protocol versions, could \
     not be searched for what is to be redacted, and were left out",
    &[],
);
const MALFORMED: CounterFamily = CounterFamily::counter(
    "malformed_events_total",
    "Events of a chunk that could not be read and were passed on as they were",
    &[],
);

options! {
    /// What is configured.
    struct Given in OPTIONS {
        normalize: bool = read::bool,
            Bool "normalize" = "on",
            "map OpenInference, OpenLLMetry, LiteLLM, LangSmith and older gen_ai attributes to the \
             OpenTelemetry GenAI conventions 1.41";
        keep_originals: bool = read::bool,
            Bool "keep_originals" = "on",
            "keep the attributes that were mapped beside the current ones";
        correlate: bool = read::bool,
            Bool "correlate" = "on",
            "write trace and span ids found in a log's body or attributes where OTLP has them";
        redact: Vec<Detector> = detectors,
            CommaList "redact",
            "what to redact in span attributes and logs: secrets, email, credit_card, iban, ssn, \
             phone, ip";
        redact_with: With = read::choice(&[
                ("mask", With::Mask),
                ("hash", With::Hash),
                ("drop", With::Drop),
            ]),
            Str "redact_with" = "mask",
            "what redacted text becomes: mask (the detector's name in brackets), hash (the name and 64 \
             bits of the text's HMAC-SHA-256) or drop (nothing; a value that is nothing else goes with \
             its key)";
        redact_hash_key: Option<String> = read::text,
            Str "redact_hash_key" [secret],
            "secret key of the hashes, at least 16 bytes; equal texts have equal hashes under one key, \
             and who has the key can find short texts by trying them all";
        mark_findings: bool = read::bool,
            Bool "mark_findings" = "off",
            "list in the attribute fluentbit.ai.findings of a span or log what was redacted in it: the \
             names of detectors and patterns; multi_otlp's 'content: findings_only' asks for that";
        copy_metadata: bool = read::bool,
            Bool "copy_metadata" = "off",
            "copy what a record's metadata says of OTLP (signal, resource, scope; all of a log's) into \
             its body under the key otlp, for outputs that write bodies only, such as kafka";
        record_key: Option<String> = record_key,
            Str "record_key",
            "key of the body under which a whole record comes, as from the input kafka (payload): the \
             record is taken out and what copy_metadata put into it is metadata again";
        + FileOptions::option(
            "YAML file with any of these options, and with own patterns to redact: a list 'patterns' \
             of maps with name, regex and, if it is to differ from redact_with, replacement",
        );
    }
}

/// An instance of the filter.
pub struct AiContext {
    processor: ContextProcessor,
    normalized: Vec<Counter>,
    correlated: Counter,
    redactions: Vec<Counter>,
    patterns: Vec<Counter>,
    malformed: Counter,
    unsearched: Counter,
}

fn detectors(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Vec<Detector>> {
    let mut chosen = Vec::new();
    for name in read::list(parser, option)? {
        match Detector::named(&name) {
            Some(detector) => chosen.push(detector),
            None => {
                let names: Vec<&str> = Detector::ALL.iter().map(|d| d.name()).collect();
                parser.refuse(option.name, &name, &format!("allowed: {}", names.join(", ")));
            }
        }
    }
    Some(chosen)
}

fn record_key(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Option<String>> {
    read::optional("allowed: a key, such as payload", |key| {
        (!key.is_empty()).then(|| key.to_owned())
    })(parser, option)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum With {
    Mask,
    Hash,
    Drop,
}

fn replacement(parser: &mut Parser<'_>, with: With, key: Option<&str>) -> Replacement {
    match (with, key.map(|key| HashKey::new(key.as_bytes()))) {
        (With::Hash, Some(Some(key))) => return Replacement::Hash(key),
        (With::Hash, None) => parser.problem(
            "option 'redact_hash_key' is missing; 'redact_with: hash' needs it: at least 16 bytes",
        ),
        (With::Hash, Some(None)) => parser
            .problem("option 'redact_hash_key': the key is too short; allowed: at least 16 bytes"),
        (_, Some(_)) => {
            parser.problem("option 'redact_hash_key': it is given, but needs 'redact_with: hash'");
        }
        (With::Drop, None) => return Replacement::Drop,
        (With::Mask, None) => {}
    }
    Replacement::Mask
}

impl Filter for AiContext {
    const SPEC: Spec = Spec {
        name: "ai_context",
        about: "Normalise GenAI telemetry, correlate logs with traces, redact content",
        options: OPTIONS,
    };

    fn open(options: &dyn Options, environment: Environment) -> Result<Self, OpenError> {
        let options = FileOptions::read(options, OPTIONS, &["patterns"]);
        let mut parser = Parser::over(&options);
        let (patterns, notes) = patterns_file::read(options.root());
        parser.file_problems(notes);
        let given = Given::read(&mut parser)?;
        let key = given.redact_hash_key.as_deref();
        let settings = ContextSettings {
            normalize: given.normalize,
            keep_originals: given.keep_originals,
            correlate: given.correlate,
            redact: given.redact,
            patterns,
            replacement: replacement(&mut parser, given.redact_with, key),
            mark_findings: given.mark_findings,
            copy_metadata: given.copy_metadata,
            record_key: given.record_key,
            position: Position { run: environment.hub.run(), after: environment.position },
        };
        let tags = parser.host_value("match");
        let settings = parser.finish(settings)?;
        let role = Role::Context {
            normalizes: settings.normalize,
            redacts: !settings.redact.is_empty() || !settings.patterns.is_empty(),
            unpacks: settings.record_key.is_some(),
        };
        environment.place(role, tags);
        let counters = &environment.counters;
        let of_detector = |detector: &Detector| counters.counter(REDACTIONS, &[detector.name()]);
        let of_pattern = |pattern: &Pattern| counters.counter(REDACTIONS, &[pattern.name()]);
        let of_dialect = |name| counters.counter(NORMALIZED, &[name]);
        Ok(Self {
            patterns: settings.patterns.iter().map(of_pattern).collect(),
            processor: ContextProcessor::new(settings),
            normalized: DialectCounts::names().map(of_dialect).collect(),
            correlated: counters.counter(CORRELATED, &[]),
            redactions: Detector::ALL.iter().map(of_detector).collect(),
            malformed: counters.counter(MALFORMED, &[]),
            unsearched: counters.counter(UNSEARCHED, &[]),
        })
    }

    fn on_chunk(&mut self, chunk: Chunk<'_>) -> Verdict {
        let mut tally = ContextTally::default();
        let replaced = self.processor.process(chunk.bytes, &mut tally);
        add(&self.normalized, tally.normalized.values());
        add(&self.redactions, tally.redactions);
        add(&self.patterns, tally.patterns);
        self.correlated.add(tally.correlated);
        self.malformed.add(tally.malformed);
        self.unsearched.add(tally.unsearched);
        replaced.map_or(Verdict::Pass, Verdict::Replace)
    }
}

fn add(counters: &[Counter], counts: impl IntoIterator<Item = u64>) {
    for (counter, count) in counters.iter().zip(counts) {
        counter.add(count);
    }
}

crate::export_filter!("filter_ai_context", AiContext);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::codec::msgpack;
    use crate::hub::Hub;
    use crate::plugin::Given;
    use crate::stats::{Counters, Log};

    fn open(given: &[(&str, &str)]) -> (Result<AiContext, OpenError>, Arc<Counters>) {
        let counters = Arc::new(Counters::default());
        let environment = Environment {
            instance: "ai_context.0".to_owned(),
            hub: Arc::new(Hub::new(7)),
            position: 1,
            host_release: "4.2.0".to_owned(),
            log_groups: true,
            native_chunks: true,
            counters: Arc::clone(&counters),
            log: Arc::new(Log::default()),
        };
        (AiContext::open(&Given::of(given), environment), counters)
    }

    fn log_of(text: &str) -> Vec<u8> {
        let mut chunk = vec![0x92, 0x92, 0x05, 0x80];
        msgpack::map_header(&mut chunk, 1);
        msgpack::str(&mut chunk, "log");
        msgpack::str(&mut chunk, text);
        chunk
    }

    #[test]
    fn every_wrong_option_is_named() {
        let wrong = [
            ("redact", "email, passwords"),
            ("redact_with", "burn"),
            ("normalize", "x"),
            ("mark_findings", "perhaps"),
            ("copy_metadata", "perhaps"),
            ("record_key", " "),
        ];
        let Err(OpenError(problems)) = open(&wrong).0 else { panic!("opened") };
        assert_eq!(problems.len(), 6);
        let allowed = "option 'redact_with': 'burn' is not allowed; allowed: mask, hash, drop";
        assert!(problems.iter().any(|problem| problem == allowed), "{problems:?}");
        let redact = problems.iter().find(|problem| problem.contains("'passwords'")).unwrap();
        assert!(redact.contains("allowed: secrets, email, credit_card, iban, ssn, phone, ip"));
    }

    #[test]
    fn hashes_need_a_key_which_no_mistake_shows() {
        let key = "a-secret-of-mine";
        for wrong in [
            &[("redact_with", "hash")][..],
            &[("redact_with", "hash"), ("redact_hash_key", "a-secret-of-min")],
            &[("redact_hash_key", key)],
            &[("redact_with", "drop"), ("redact_hash_key", key)],
        ] {
            let Err(OpenError(problems)) = open(wrong).0 else { panic!("opened") };
            assert_eq!(problems.len(), 1);
            assert!(problems[0].contains("redact_hash_key"), "{problems:?}");
            assert!(!problems[0].contains("a-secret"), "{problems:?}");
        }
        let given = [("redact", "email"), ("redact_with", "hash"), ("redact_hash_key", key)];
        let mut filter = open(&given).0.unwrap();
        let dirty = log_of("joe@x.com");
        let Verdict::Replace(clean) = filter.on_chunk(Chunk { tag: b"t", bytes: &dirty }) else {
            panic!("not redacted")
        };
        assert!(clean.windows(7).any(|part| part == b"[email:"));
    }

    #[test]
    fn a_file_gives_options_and_patterns() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let text = "redact: [email]\nnormalize: false\n\
                    patterns:\n  - {name: ticket, regex: 'TCK-[0-9]+', replacement: a ticket}\n";
        std::fs::write(path, text).unwrap();
        let (filter, counters) = open(&[("config_file", path)]);
        let dirty = log_of("joe@x.com of TCK-1 and TCK-2");
        let verdict = filter.unwrap().on_chunk(Chunk { tag: b"t", bytes: &dirty });
        assert_eq!(verdict, Verdict::Replace(log_of("[email] of a ticket and a ticket")));
        let readings = counters.readings();
        let of_ticket = |reading: &&crate::stats::Reading| reading.labels == ["ticket"];
        assert_eq!(readings.iter().find(of_ticket).unwrap().counter.value(), 2);
        let Err(OpenError(problems)) =
            open(&[("config_file", path), ("redact", "ip"), ("correlate", "?")]).0
        else {
            panic!("opened")
        };
        assert_eq!(problems.len(), 2, "{problems:?}");
        let twice = format!("config_file '{path}': redact: it is given in the pipeline too");
        assert!(problems[0].starts_with(&twice), "{problems:?}");
    }

    #[test]
    fn chunks_are_redacted_and_counted() {
        let (filter, counters) = open(&[("redact", "email,Secrets")]);
        let mut filter = filter.unwrap();
        let value = |name: &str, label: &str| {
            let readings = counters.readings();
            let found = readings.iter().find(|reading| {
                reading.family.name == name && reading.labels.first().is_none_or(|l| l == label)
            });
            found.unwrap().counter.value()
        };
        let clean = log_of("nothing");
        let verdict = filter.on_chunk(Chunk { tag: b"t", bytes: &clean });
        assert_eq!(verdict, Verdict::Pass);
        let dirty = log_of("joe@x.com");
        let verdict = filter.on_chunk(Chunk { tag: b"t", bytes: &dirty });
        assert_eq!(verdict, Verdict::Replace(log_of("[email]")));
        assert_eq!(value("redactions_total", "email"), 1);
        assert_eq!(value("redactions_total", "secrets"), 0);
        assert_eq!(filter.on_chunk(Chunk { tag: b"t", bytes: b"\xc1" }), Verdict::Pass);
        assert_eq!(value("malformed_events_total", ""), 1);
    }
}
