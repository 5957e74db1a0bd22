//! Spans of captures and samples of GenAI dialects that tests compare with reviewed results, so that
//! what the mapping of dialects costs is measured with what applications write.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use serde::Deserialize;

use super::{MARK, TRACE_MARK};

/// The spans of one capture, each with its own resource and scope.
type Capture = Vec<ResourceSpans>;

/// The captures that are sent beside the made samples: those that the first figures were measured with,
/// so that later ones compare with them.
const CAPTURED: [&str; 4] = [
    "litellm-1.106.2-default",
    "openinference-openai-0.1.66+langchain-0.1.80",
    "otel-instrumentation-genai-openai-1.3b0",
    "traceloop-sdk-0.62.4",
];

/// Those captures and all made samples that have spans, in the order of their names.
fn captures() -> Vec<Capture> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/genai");
    let made = std::fs::read_dir(format!("{folder}/made")).expect("the samples' folder");
    let made = made.map(|entry| entry.expect("the samples' folder").path());
    let captured = CAPTURED.map(|name| format!("{folder}/{name}.otlp.jsonl").into());
    let mut files: Vec<std::path::PathBuf> = captured.into_iter().chain(made).collect();
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

/// A request of as many spans, an equal share of them from each capture: what one of them is short of is
/// taken again from its start.
pub(super) fn request(items: usize) -> ExportTraceServiceRequest {
    let captures = captures();
    let mut request = ExportTraceServiceRequest::default();
    let mut index = 0;
    for (number, capture) in captures.iter().enumerate() {
        let share = items / captures.len() + usize::from(number < items % captures.len());
        let first = index;
        for taken in capture.iter().cycle().take(share) {
            push(&mut request.resource_spans, taken.clone());
            number_span(&mut request, index, first);
            index += 1;
        }
    }
    request
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
    use prost::Message;

    use super::*;
    use crate::shapes::{GeneratedBatch, TelemetryShape, number_of};

    #[test]
    fn each_capture_has_its_share_and_each_span_its_number() {
        let captures = captures();
        assert!(captures.len() > 30, "{}", captures.len());
        let mut batch = GeneratedBatch::new(TelemetryShape::Captures, 128);
        let request = ExportTraceServiceRequest::decode(&*batch.numbered(1000)).unwrap();
        let spans = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        let spans: Vec<_> = spans.flat_map(|scope| &scope.spans).collect();
        assert_eq!(spans.len(), 128);
        for (number, span) in (1000..).zip(&spans) {
            assert_eq!(number_of(span.span_id.clone().try_into().unwrap()), Some(number));
        }
        let attributes: usize = spans.iter().map(|span| span.attributes.len()).sum();
        assert!(attributes > 128 * 4, "{attributes}");
    }
}
