//! Heuristic detector: long texts under names that no list of content has, which may be content
//! all the same.

use std::collections::HashSet;

use crate::stats::{Counter, Log};
use crate::sync::Mutex;

/// From which length on a text under an unlisted name is reported, in bytes.
pub(in crate::export) const LONG_TEXT: usize = 1024;
/// How many names one chunk may show.
const MAX_NAMES_OF_CHUNK: usize = 32;
/// How many names an exporter reports.
const MAX_NAMES: usize = 256;
/// The longest name that is reported in full, in bytes.
const MAX_NAME: usize = 128;

/// Names, and beginnings of names, of which the OpenTelemetry conventions and Fluent Bit's inputs
/// say what they hold.
const WELL_KNOWN: [&[u8]; 9] = [
    b"log",
    b"message",
    b"msg",
    b"MESSAGE",
    b"Message",
    b"body",
    b"logfire.json_schema",
    b"stack_trace",
    b"stacktrace",
];
const WELL_KNOWN_ROOTS: [&[u8]; 22] = [
    b"exception.",
    b"error.",
    b"http.",
    b"url.",
    b"db.",
    b"code.",
    b"k8s.",
    b"container.",
    b"process.",
    b"service.",
    b"telemetry.",
    b"host.",
    b"os.",
    b"cloud.",
    b"rpc.",
    b"messaging.",
    b"faas.",
    b"browser.",
    b"thread.",
    b"user_agent.",
    b"graphql.",
    b"fluentbit.",
];

/// Whether a text of so many bytes is long.
pub(super) const fn is_long(length: usize) -> bool {
    length > LONG_TEXT
}

/// The unlisted names under which one chunk has long texts, each once.
#[derive(Debug, Default)]
pub(in crate::export) struct UnlistedTexts {
    names: Vec<String>,
}

impl UnlistedTexts {
    /// Adds the name of a long text, unless it is known what it holds.
    pub(super) fn see(&mut self, name: &[u8]) {
        let is_known = name.is_empty()
            || WELL_KNOWN.contains(&name)
            || WELL_KNOWN_ROOTS.iter().any(|root| name.starts_with(root));
        if is_known || self.names.len() >= MAX_NAMES_OF_CHUNK {
            return;
        }
        let name = name.get(..name.len().min(MAX_NAME)).unwrap_or_default();
        let name = String::from_utf8_lossy(name);
        if !self.names.iter().any(|known| *known == name) {
            self.names.push(name.into_owned());
        }
    }

    /// The names.
    pub(in crate::export) fn names(&self) -> &[String] {
        &self.names
    }
}

/// Reports each name once, for each endpoint.
#[derive(Debug, Default)]
pub(in crate::export) struct UnlistedReport {
    reported: Mutex<HashSet<(String, String)>>,
}

impl UnlistedReport {
    /// Reports names that were not reported before, and counts them. `removed` says whether the
    /// texts were kept from the endpoint.
    pub(in crate::export) fn report(
        &self,
        endpoint: &str,
        names: &[String],
        removed: bool,
        counter: &Counter,
        log: &Log,
    ) {
        for name in names {
            let mut reported = self.reported.lock();
            let key = (endpoint.to_owned(), name.clone());
            if reported.len() >= MAX_NAMES || !reported.insert(key) {
                continue;
            }
            let is_last = reported.len() >= MAX_NAMES;
            drop(reported);
            counter.add(1);
            let sent = if removed { "was removed" } else { "was sent" };
            let advice = if removed {
                String::new()
            } else {
                format!(
                    "; if that is content, 'attributes.drop: {name}' removes it, and \
                     'content_unlisted: drop:BYTES' all such text"
                )
            };
            log.warn(format!(
                "endpoint '{endpoint}': text of more than {LONG_TEXT} bytes under '{name}', which \
                 no list of content names has, {sent}{advice}"
            ));
            if is_last {
                log.warn(format!("after {MAX_NAMES} such names no more are told of or counted"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_reported_once_and_known_ones_never() {
        let mut texts = UnlistedTexts::default();
        for name in ["acme.transcript", "acme.transcript", "exception.stacktrace", "log", "", "b"] {
            texts.see(name.as_bytes());
        }
        assert_eq!(texts.names(), ["acme.transcript", "b"]);
        let (report, counter, log) =
            (UnlistedReport::default(), Counter::default(), Log::default());
        report.report("a", texts.names(), false, &counter, &log);
        report.report("a", texts.names(), false, &counter, &log);
        report.report("b", texts.names(), true, &counter, &log);
        assert_eq!(counter.value(), 4);
        let lines: Vec<String> = log.take().into_iter().map(|line| line.text).collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[0].contains("'acme.transcript'") && lines[0].contains("was sent"));
        assert!(lines[0].contains("attributes.drop: acme.transcript"));
        assert!(lines[2].contains("endpoint 'b'") && lines[2].contains("was removed"));
    }

    #[test]
    fn names_without_end_are_bounded() {
        let (report, counter, log) =
            (UnlistedReport::default(), Counter::default(), Log::default());
        let names: Vec<String> = (0..1000).map(|number| format!("name.{number}")).collect();
        report.report("a", &names, false, &counter, &log);
        assert_eq!(counter.value(), 256);
        assert!(log.take().last().unwrap().text.contains("no more are told of"));
        let mut texts = UnlistedTexts::default();
        names.iter().for_each(|name| texts.see(name.as_bytes()));
        texts.see("x".repeat(9999).as_bytes());
        assert_eq!(texts.names().len(), 32);
    }
}
