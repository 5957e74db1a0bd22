//! Spans of captures and samples of GenAI dialects that tests compare with reviewed results, so that
//! what the mapping of dialects costs is measured with what applications write.

use std::path::PathBuf;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use serde::Deserialize;

use super::{MARK, TRACE_MARK};

/// The spans of one capture, each with its own resource and scope.
type Capture = Vec<ResourceSpans>;

/// The captures that [`samples`] has beside the made samples: those that the first figures were measured
/// with, so that later ones compare with them.
const CAPTURED: [&str; 4] = [
    "litellm-1.106.2-default",
    "openinference-openai-0.1.66+langchain-0.1.80",
    "otel-instrumentation-genai-openai-1.3b0",
    "traceloop-sdk-0.62.4",
];

/// The folder of the captures, with one of the made samples in it.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/genai");

/// How many spans of a capture follow each other in a request of [`requests`].
const RUN: usize = 4;

/// The files with requests in a folder.
fn files(folder: &str) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder of captures");
    let paths = entries.map(|entry| entry.expect("a folder of captures").path());
    paths.filter(|path| path.to_string_lossy().ends_with(".otlp.jsonl"))
}

/// What in these files has spans, in the order of their names.
fn captures(files: impl Iterator<Item = PathBuf>) -> Vec<Capture> {
    let mut files: Vec<PathBuf> = files.chain(self::files(&format!("{FOLDER}/made"))).collect();
    files.sort();
    let text = |path| std::fs::read_to_string(path).expect("a capture");
    let captures = files.into_iter().map(|path| capture(&text(path)));
    captures.filter(|capture| !capture.is_empty()).collect()
}

/// The spans of a capture, which has a request of OTLP/JSON and its path in each line.
fn capture(text: &str) -> Capture {
    let mut spans = Vec::new();
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line of a capture");
        if line["path"] == "/v1/traces" {
            let request = ExportTraceServiceRequest::deserialize(&line["body"]);
            spans.extend(request.expect("a request of a capture").resource_spans);
        }
    }
    spans.into_iter().flat_map(single_spans).collect()
}

fn single_spans(resource: ResourceSpans) -> Vec<ResourceSpans> {
    let single = |scope: &ScopeSpans| {
        let scopes = scope
            .spans
            .iter()
            .map(|span| ScopeSpans { spans: vec![span.clone()], ..scope.clone() });
        scopes.collect::<Vec<_>>()
    };
    let scopes = resource.scope_spans.iter().flat_map(single);
    scopes.map(|scope| ResourceSpans { scope_spans: vec![scope], ..resource.clone() }).collect()
}

/// Requests of as many spans, which have an equal share of each capture and made sample together: of each in
/// its turn some spans that follow each other, and what one is short of again from its start.
pub(super) fn requests(items: usize) -> Vec<ExportTraceServiceRequest> {
    let captures = captures(files(FOLDER));
    let mut spans: Vec<_> = captures.iter().map(|capture| capture.iter().cycle()).collect();
    let runs = (0..items).step_by(RUN).map(|first| RUN.min(items - first));
    let mut turns = (0..captures.len()).cycle();
    // After as many requests as there are captures, each had its turn equally often.
    let requests = (0..captures.len()).map(|_| {
        let mut request = SpansRequest::default();
        for run in runs.clone() {
            let turn = turns.next().expect("a capture");
            request.push_all(spans[turn].by_ref().take(run));
        }
        request.made
    });
    requests.collect()
}

/// A request of as many spans, an equal share of them from each made sample and some captures: what one of
/// them is short of is taken again from its start.
pub(super) fn samples(items: usize) -> ExportTraceServiceRequest {
    let named = CAPTURED.iter().map(|name| format!("{FOLDER}/{name}.otlp.jsonl").into());
    let captures = captures(named);
    let mut request = SpansRequest::default();
    for (number, capture) in captures.iter().enumerate() {
        let share = items / captures.len() + usize::from(number < items % captures.len());
        request.push_all(capture.iter().cycle().take(share));
    }
    request.made
}

/// A request in the making, whose spans get their numbers.
#[derive(Default)]
struct SpansRequest {
    made: ExportTraceServiceRequest,
    spans: usize,
}

impl SpansRequest {
    /// Appends spans as one trace.
    fn push_all<'c>(&mut self, spans: impl Iterator<Item = &'c ResourceSpans>) {
        let first = self.spans;
        for span in spans {
            push(&mut self.made.resource_spans, span.clone());
            number_span(&mut self.made, self.spans, first);
            self.spans += 1;
        }
    }
}

/// Appends a span, beside the one before if they have one resource, and one scope.
fn push(all: &mut Vec<ResourceSpans>, mut taken: ResourceSpans) {
    match all.last_mut() {
        Some(last) if last.resource == taken.resource => {
            match (last.scope_spans.last_mut(), taken.scope_spans.first_mut()) {
                (Some(scope), Some(new)) if scope.scope == new.scope => {
                    scope.spans.append(&mut new.spans);
                }
                _ => last.scope_spans.append(&mut taken.scope_spans),
            }
        }
        _ => all.push(taken),
    }
}

/// Gives the last span its number, in the trace that begins with the span `first`.
fn number_span(request: &mut ExportTraceServiceRequest, index: usize, first: usize) {
    let scope = request.resource_spans.last_mut().and_then(|last| last.scope_spans.last_mut());
    let Some(span) = scope.and_then(|scope| scope.spans.last_mut()) else { return };
    let id = |index: usize| (MARK | index as u64).to_be_bytes().to_vec();
    span.span_id = id(index);
    span.parent_span_id = if index == first { Vec::new() } else { id(first) };
    span.trace_id = (TRACE_MARK | first as u64).to_be_bytes().to_vec();
    span.trace_id.extend_from_slice(&[0; 8]);
    span.links.clear();
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use opentelemetry_proto::tonic::trace::v1::Span;
    use prost::Message;

    use super::*;
    use crate::shapes::{GeneratedBatch, TelemetryShape, number_of};

    fn spans(request: &[u8]) -> Vec<Span> {
        let request = ExportTraceServiceRequest::decode(request).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    #[test]
    fn each_request_has_as_many_spans_of_which_each_has_its_number() {
        for shape in [TelemetryShape::Captures, TelemetryShape::Samples] {
            let mut batch = GeneratedBatch::new(shape, 128);
            for first in [1280, 1408] {
                let spans = spans(&batch.numbered(first));
                assert_eq!(spans.len(), 128);
                for (number, span) in (first..).zip(&spans) {
                    let id = span.span_id.clone().try_into().unwrap();
                    assert_eq!(number_of(id), Some(number));
                }
                let attributes: usize = spans.iter().map(|span| span.attributes.len()).sum();
                assert!(attributes > 128 * 4, "{attributes}");
            }
        }
    }

    #[test]
    fn each_capture_has_its_share() {
        let captures = captures(files(FOLDER));
        let requests = requests(128);
        assert!(captures.len() > 70 && requests.len() == captures.len(), "{}", captures.len());
        // Some share their names, and some samples their times.
        let mark = |span: &Span| (span.name.clone(), span.start_time_unix_nano);
        let marks = |capture: &Capture| -> BTreeSet<(String, u64)> {
            let scopes = capture.iter().flat_map(|resource| &resource.scope_spans);
            scopes.flat_map(|scope| &scope.spans).map(mark).collect()
        };
        let all: Vec<Span> =
            requests.iter().flat_map(|request| spans(&request.encode_to_vec())).collect();
        assert_eq!(all.len(), captures.len() * 128);
        for capture in &captures {
            let marks = marks(capture);
            let count = all.iter().filter(|span| marks.contains(&mark(span))).count();
            assert!(count >= 128, "{marks:?}: {count}");
        }
    }
}
